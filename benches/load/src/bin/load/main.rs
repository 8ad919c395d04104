//! Loads one server and prints its figures. Every delivery is checked; a fault makes the exit status 1.

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use catchup_bench::report::{CpuPerDelivery, Latency, MemoryUse, Report};
use catchup_bench::server::Server;
use catchup_bench::swarm::{Ignore, Swarm};
use catchup_bench::system;
use catchup_bench::traffic::{Pace, Traffic};
use catchup_bench::usage::{Cpu, Memory, machine_busy_ns};
use clap::Parser;

use crate::options::{Mode, Options};

mod options;
mod ramp;

const JOIN_LIMIT: Duration = Duration::from_secs(60);
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.mode == Mode::Bun {
        options.senders = options.clients;
    }
    match options::check(&options).and_then(|()| run(&options)) {
        Ok(report) => {
            if options.json {
                println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
            } else {
                print!("{report}");
            }
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> io::Result<Report> {
    let files = system::raise_open_files()?;
    if options.clients as u64 + 32 > files {
        return Err(io::Error::other(format!("clients is {}: this process may open {files} files", options.clients)));
    }
    let core = options.pin.then_some(0);
    let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut server = match (&options.server, &options.url) {
        (Some(program), _) => Server::start(program, &options.arguments, core, &parent)?,
        (None, Some(url)) => Server::running(url, options.pid)?,
        (None, None) => unreachable!("clap wants one of the two"),
    };
    if options.pin {
        system::pin_to_core(1)?;
    }
    let mut report = Report {
        mode: format!("{:?}", options.mode).to_lowercase(),
        clients: options.clients,
        senders: options.senders,
        size: options.size,
        start_ms: server.start.map(|start| start.as_secs_f64() * 1e3),
        ..Report::default()
    };
    let mut swarm = Swarm::new(server.address, !options.wait)?;
    let watch = Watch::start(&server);
    match options.mode {
        Mode::Idle => idle(options, &server, &mut swarm, &mut report)?,
        Mode::Joins => joins(options, &mut swarm, &mut report)?,
        Mode::Closed | Mode::Rate | Mode::Bun => flood(options, &server, &mut swarm, &mut report)?,
        Mode::Ramp => ramp::run(options, &mut swarm, &mut report)?,
    }
    report.others_cores = watch.others_cores(&server);
    if !server.is_alive() {
        return Err(io::Error::other("the server ended during the run"));
    }
    Ok(report)
}

/// The cores that neither the server nor this program used, and yet were busy.
struct Watch {
    started: Instant,
    own_ns: u64,
    busy_ns: u64,
}

impl Watch {
    fn start(server: &Server) -> Self {
        Watch { started: Instant::now(), own_ns: own_ns(server), busy_ns: machine_busy_ns() }
    }

    fn others_cores(&self, server: &Server) -> f64 {
        let busy = machine_busy_ns().saturating_sub(self.busy_ns);
        let own = own_ns(server).saturating_sub(self.own_ns);
        busy.saturating_sub(own) as f64 / self.started.elapsed().as_nanos() as f64
    }
}

fn own_ns(server: &Server) -> u64 {
    Cpu::of(std::process::id()).total_ns + server.pid.map_or(0, |pid| Cpu::of(pid).total_ns)
}

fn path(options: &Options) -> impl Fn(usize) -> String {
    let own_rooms = options.own_rooms;
    move |index| match own_rooms {
        true => format!("/ws?username=b{index:05}&room=r{index:05}"),
        false => format!("/ws?username=b{index:05}"),
    }
}

fn joined(options: &Options, swarm: &mut Swarm) -> io::Result<Traffic> {
    let mut traffic = Traffic::new(options.clients, options.senders, options.size);
    swarm.join(options.clients, path(options), &mut traffic, JOIN_LIMIT)?;
    swarm.quiet_down(&mut traffic, SETTLE_LIMIT)?;
    Ok(traffic)
}

/// Modes closed, rate and bun: warm up, measure, let everything arrive, and judge.
fn flood(options: &Options, server: &Server, swarm: &mut Swarm, report: &mut Report) -> io::Result<()> {
    let before_memory = server.pid.map(Memory::of);
    let mut traffic = joined(options, swarm)?;
    report.memory =
        server.pid.zip(before_memory).map(|(pid, before)| memory_use(before, Memory::of(pid), options.clients));
    let pace = match options.mode {
        Mode::Rate => Pace::Open { messages_per_second: options.rate },
        Mode::Bun => Pace::Rounds,
        _ => Pace::Closed { window: options.window },
    };
    let warm = traffic.run(swarm, pace, Duration::from_secs_f64(options.warmup), |_| true)?;
    traffic.window.deliveries = 0;
    traffic.window.latency.clear();
    let (reads, cpu, started) = (swarm.counts.reads, server.pid.map(Cpu::of), Instant::now());
    let flowed = warm && traffic.run(swarm, pace, Duration::from_secs_f64(options.seconds), |_| true)?;
    let seconds = started.elapsed().as_secs_f64();
    report.cpu = server
        .pid
        .zip(cpu)
        .map(|(pid, before)| cpu_per_delivery(before, Cpu::of(pid), traffic.window.deliveries, seconds));
    report.seconds = seconds;
    report.deliveries = traffic.window.deliveries;
    report.deliveries_per_second = report.deliveries as f64 / seconds;
    report.deliveries_per_read = report.deliveries as f64 / (swarm.counts.reads - reads).max(1) as f64;
    let arrived = traffic.drain(swarm)?;
    // An open loop counts what it sent in the window, also what arrived after it: the late ones are the point.
    report.latency = Some(Latency::from(&traffic.window.latency));
    if let Some((memory, pid)) = report.memory.as_mut().zip(server.pid) {
        memory.resident_after = Memory::of(pid).resident;
    }
    report.stalled = !(flowed && arrived);
    judge(&traffic, swarm, report);
    Ok(())
}

fn judge(traffic: &Traffic, swarm: &Swarm, report: &mut Report) {
    report.messages = traffic.messages();
    report.faults = traffic.faults();
    report.has_ids = traffic.sees_ids();
    report.stalled |= swarm.counts.closed > 0;
}

fn cpu_per_delivery(before: Cpu, after: Cpu, deliveries: u64, seconds: f64) -> CpuPerDelivery {
    let (user, system) = after.since(&before);
    let each = deliveries.max(1) as f64;
    CpuPerDelivery { user_ns: user / each, system_ns: system / each, core_share: (user + system) / (seconds * 1e9) }
}

fn memory_use(before: Memory, after: Memory, clients: usize) -> MemoryUse {
    let each = |before: u64, after: u64| (after as f64 - before as f64) / clients as f64;
    MemoryUse {
        resident_before: before.resident,
        resident_after: after.resident,
        resident_per_client: each(before.resident, after.resident),
        anonymous_per_client: each(before.anonymous, after.anonymous),
    }
}

/// Mode idle. The first hundred clients come before the first look, so that what a server
/// allocates once is not counted as theirs.
fn idle(options: &Options, server: &Server, swarm: &mut Swarm, report: &mut Report) -> io::Result<()> {
    let first = options.clients.min(100) / 2;
    swarm.join(first, path(options), &mut Ignore, JOIN_LIMIT)?;
    swarm.quiet_down(&mut Ignore, SETTLE_LIMIT)?;
    let before = server.pid.map(Memory::of);
    let started = Instant::now();
    swarm.join(options.clients - first, path(options), &mut Ignore, JOIN_LIMIT)?;
    report.joins_per_second = Some((options.clients - first) as f64 / started.elapsed().as_secs_f64());
    swarm.quiet_down(&mut Ignore, SETTLE_LIMIT)?;
    report.memory =
        server.pid.zip(before).map(|(pid, before)| memory_use(before, Memory::of(pid), options.clients - first));
    let (cpu, started) = (server.pid.map(Cpu::of), Instant::now());
    while started.elapsed().as_secs_f64() < options.seconds {
        swarm.turn(Duration::from_millis(20), &mut Ignore)?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    report.cpu = server.pid.zip(cpu).map(|(pid, before)| cpu_per_delivery(before, Cpu::of(pid), 0, report.seconds));
    report.stalled = swarm.counts.closed > 0;
    Ok(())
}

/// Mode joins: from no client to all of them.
fn joins(options: &Options, swarm: &mut Swarm, report: &mut Report) -> io::Result<()> {
    let started = Instant::now();
    swarm.join(options.clients, path(options), &mut Ignore, JOIN_LIMIT)?;
    report.seconds = started.elapsed().as_secs_f64();
    report.joins_per_second = Some(options.clients as f64 / report.seconds);
    swarm.quiet_down(&mut Ignore, SETTLE_LIMIT)?;
    report.stalled = swarm.counts.closed > 0;
    Ok(())
}
