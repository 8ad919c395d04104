//! The figures of one run, as text for people and as JSON for `compare`. Measures nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::Faults;
use crate::histogram::Histogram;

/// One run of one mode. Figures that a mode does not have are absent.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub mode: String,
    pub clients: usize,
    pub senders: usize,
    pub size: usize,
    /// Measured time, warm-up excluded.
    pub seconds: f64,
    pub deliveries: u64,
    pub deliveries_per_second: f64,
    pub latency: Option<Latency>,
    pub cpu: Option<CpuPerDelivery>,
    /// How full a read of the generator was: about as many as the server put into one write.
    pub deliveries_per_read: f64,
    pub messages: u64,
    pub faults: Faults,
    /// The server numbers its messages, so that one order for all was checked too.
    pub has_ids: bool,
    pub stalled: bool,
    pub start_ms: Option<f64>,
    pub memory: Option<MemoryUse>,
    /// Cores that other processes kept busy during the run: 0 on a quiet machine.
    pub others_cores: f64,
    pub joins_per_second: Option<f64>,
    pub ramp: Option<Ramp>,
}

/// From the intended send time to the return of the read, in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// CPU nanoseconds of the server for each delivery, and its share of one core.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct CpuPerDelivery {
    pub user_ns: f64,
    pub system_ns: f64,
    pub core_share: f64,
}

/// Memory of the server process in bytes: before the first client, at the end, and what each client
/// took when all had joined and nothing had been said.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct MemoryUse {
    pub resident_before: u64,
    pub resident_after: u64,
    pub resident_per_client: f64,
    pub anonymous_per_client: f64,
}

/// The highest rate that held, in deliveries a second, and the lowest that did not.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Ramp {
    pub held: f64,
    pub failed: f64,
    pub p99_us_held: f64,
}

impl From<&Histogram> for Latency {
    fn from(histogram: &Histogram) -> Self {
        let at = |share| histogram.quantile(share) as f64 / 1e3;
        Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: histogram.max() as f64 / 1e3 }
    }
}

impl Report {
    /// Every message came once, in order, and nothing stalled.
    pub fn is_clean(&self) -> bool {
        self.faults.is_clean() && !self.stalled
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: {} clients, {} senders, {} B of text", self.mode, self.clients, self.senders, self.size)?;
        if let Some(start) = self.start_ms {
            writeln!(out, "  start to first accept   {start:.1} ms")?;
        }
        if self.deliveries > 0 {
            let (count, seconds) = (self.deliveries, self.seconds);
            writeln!(out, "  deliveries              {:.0}/s ({count} in {seconds:.2} s)", self.deliveries_per_second)?;
            writeln!(out, "  deliveries per read     {:.1}", self.deliveries_per_read)?;
        }
        if let Some(Latency { p50, p90, p99, p999, max }) = self.latency {
            let figures = format!("p50 {p50:.0}  p90 {p90:.0}  p99 {p99:.0}  p99.9 {p999:.0}  max {max:.0}");
            writeln!(out, "  latency in us           {figures}")?;
        }
        if let Some(cpu) = self.cpu {
            if self.deliveries > 0 {
                let (all, user, system) = (cpu.user_ns + cpu.system_ns, cpu.user_ns, cpu.system_ns);
                writeln!(out, "  server CPU a delivery   {all:.0} ns (user {user:.0}, system {system:.0})")?;
            }
            writeln!(out, "  server CPU              {:.1} % of a core", cpu.core_share * 100.0)?;
        }
        writeln!(out, "  others on the machine   {:.2} cores", self.others_cores)?;
        if let Some(rate) = self.joins_per_second {
            writeln!(out, "  joins                   {rate:.0}/s")?;
        }
        if let Some(ramp) = self.ramp {
            let (held, failed, p99) = (ramp.held, ramp.failed, ramp.p99_us_held);
            writeln!(out, "  highest rate held       {held:.0}/s (p99 {p99:.0} us; {failed:.0}/s failed)")?;
        }
        if let Some(memory) = self.memory {
            let (before, after) = (memory.resident_before / 1024, memory.resident_after / 1024);
            let (resident, anonymous) = (memory.resident_per_client, memory.anonymous_per_client);
            writeln!(out, "  server memory           {before} KiB before, {after} KiB at the end")?;
            writeln!(out, "  memory per connection   {resident:.0} B resident, {anonymous:.0} B anonymous")?;
        }
        if self.messages > 0 {
            let order =
                if self.has_ids { "one order for all, by id" } else { "no ids: order checked for each sender only" };
            match self.is_clean() {
                true => writeln!(out, "  check                   {} messages, no fault ({order})", self.messages)?,
                false => writeln!(out, "  check FAILED            {:?}, stalled: {}", self.faults, self.stalled)?,
            }
        }
        Ok(())
    }
}
