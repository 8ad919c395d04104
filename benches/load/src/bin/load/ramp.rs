//! Mode ramp: looks for the highest rate that a server holds.

use std::io;
use std::time::Duration;

use catchup_bench::report::{Ramp, Report};
use catchup_bench::swarm::Swarm;
use catchup_bench::traffic::{Pace, Traffic};

use crate::options::Options;
use crate::{joined, judge};

/// The ramp holds a rate if p99 stays below this.
const RAMP_P99_NS: u64 = 25_000_000;
/// A step is given up when this much of a second's deliveries is on its way.
const RAMP_BEHIND_SECONDS: f64 = 0.25;
const RAMP_STEP: Duration = Duration::from_millis(700);
const RAMP_WARMUP: Duration = Duration::from_millis(250);
const RAMP_GROWTH: f64 = 1.5;
const RAMP_FAILURES: usize = 3;
const RAMP_BISECTIONS: usize = 5;
/// Neither the server nor the generator reaches this; it ends a ramp that measures nothing.
const RAMP_RATE_MAX: f64 = 200e6;

/// Rates grow by half until three in a row fail, then the border is halved a few times.
///
/// Three, because one failure on a shared machine may be a neighbour's.
pub fn run(options: &Options, swarm: &mut Swarm, report: &mut Report) -> io::Result<()> {
    let mut traffic = joined(options, swarm)?;
    let others = options.clients as f64 - 1.0;
    let mut found = Ramp { held: 0.0, failed: f64::INFINITY, p99_us_held: 0.0 };
    // Twenty messages a second from each sender: any server holds that, or its figure is 0.
    let mut rate = options.senders as f64 * 20.0 * others;
    let (mut failures, mut bisections) = (0, 0);
    while bisections < RAMP_BISECTIONS && rate < RAMP_RATE_MAX {
        if let Some(p99_ns) = step(&mut traffic, swarm, rate / others, rate)? {
            found = Ramp { held: rate, p99_us_held: p99_ns as f64 / 1e3, ..found };
            failures = 0;
            if found.failed <= rate {
                found.failed = f64::INFINITY;
            }
        } else {
            found.failed = found.failed.min(rate);
            failures += 1;
        }
        if !traffic.drain(swarm)? {
            report.stalled = true;
            break;
        }
        if bisections > 0 || failures >= RAMP_FAILURES {
            bisections += 1;
            rate = (found.held.max(1.0) * found.failed).sqrt();
        } else {
            rate *= RAMP_GROWTH;
        }
    }
    if !found.failed.is_finite() {
        found.failed = rate;
    }
    report.ramp = Some(found);
    judge(&traffic, swarm, report);
    Ok(())
}

/// One rate: its p99 if it held.
fn step(traffic: &mut Traffic, swarm: &mut Swarm, messages: f64, deliveries: f64) -> io::Result<Option<u64>> {
    let pace = Pace::Open { messages_per_second: messages };
    let behind_max = (deliveries * RAMP_BEHIND_SECONDS) as u64;
    if !traffic.run(swarm, pace, RAMP_WARMUP, |behind| behind <= behind_max)? {
        return Ok(None);
    }
    traffic.window.deliveries = 0;
    traffic.window.latency.clear();
    if !traffic.run(swarm, pace, RAMP_STEP, |behind| behind <= behind_max)? {
        return Ok(None);
    }
    let (p99, seen) = (traffic.window.latency.quantile(0.99), traffic.window.deliveries as f64);
    let has_kept_up = seen >= deliveries * RAMP_STEP.as_secs_f64() * 0.95;
    Ok((has_kept_up && p99 < RAMP_P99_NS).then_some(p99))
}
