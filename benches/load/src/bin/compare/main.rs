//! Runs chosen servers under chosen loads, interleaved, and prints medians as a Markdown table.
//!
//! Each run is a `load` process of its own with a server of its own; a run with a fault counts as
//! failed and gives no figure. Measures nothing itself.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use catchup_bench::report::Report;
use clap::Parser;

use crate::field::{Figure, LOADS, Load, PEERS, Quiet};

mod field;
mod table;

/// Compares chat servers under the same loads
#[derive(Parser)]
#[command(name = "compare")]
pub struct Options {
    /// Servers, by name (--list shows all)
    #[arg(long, value_delimiter = ',', default_value = "limit,catchup")]
    peers: Vec<String>,
    /// Loads, by name (--list shows all)
    #[arg(long, value_delimiter = ',', default_value = "fanout100,fanout1000,fanout1000-1k,bunchat")]
    loads: Vec<String>,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Begin no round later than this
    #[arg(long)]
    minutes: Option<f64>,
    /// Measured seconds of each run
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// A run during which others kept more than this many cores busy is repeated, twice at most
    #[arg(long, default_value_t = 0.1)]
    calm: f64,
    /// One more server: NAME=PROGRAM ARGUMENT…, told its port as --port N or by {port}
    #[arg(long, value_name = "NAME=COMMAND")]
    peer: Vec<String>,
    /// Leave the cores to the kernel
    #[arg(long)]
    no_pin: bool,
    /// Where servers get their empty directories (a disk, if a stored server is to be judged)
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// Show servers and loads, and stop
    #[arg(long)]
    list: bool,
}

/// Runs for one figure, at most, while others disturb.
const RUNS_MAX: usize = 3;

/// A server ready to be started: a known one, or one from the command line.
pub struct Entrant {
    name: String,
    command: Vec<String>,
    quiet: Quiet,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        list();
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::from(2)
        }
    }
}

fn list() {
    println!("servers, and how to build them:");
    for peer in PEERS {
        println!("  {:<18} {}", peer.name, peer.build);
    }
    println!("loads:");
    for load in LOADS {
        println!("  {:<18} {}", load.name, load.about);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let bin = std::env::current_exe()?;
    let bin = bin.parent().expect("a program lies in a directory");
    build()?;
    let entrants = entrants(options, bin)?;
    let mut loads = Vec::new();
    for name in &options.loads {
        let known = LOADS.iter().find(|load| load.name == name);
        loads.push(known.ok_or_else(|| io::Error::other(format!("load \"{name}\" is unknown: see --list")))?);
    }
    let mut reports: BTreeMap<(usize, usize), Vec<Report>> = BTreeMap::new();
    let started = Instant::now();
    for round in 1..=options.rounds {
        if options.minutes.is_some_and(|minutes| started.elapsed().as_secs_f64() > minutes * 60.0) {
            eprintln!("compare: the time is up, {} rounds are done", round - 1);
            break;
        }
        for (column, load) in loads.iter().enumerate() {
            for (row, entrant) in entrants.iter().enumerate() {
                eprint!("round {round} of {}: {} on {} ... ", options.rounds, entrant.name, load.name);
                match calm_run(options, bin, entrant, load) {
                    Ok(report) => {
                        eprintln!("{}", table::cell(load.figure, &[&report]));
                        reports.entry((column, row)).or_default().push(report);
                    }
                    Err(error) => eprintln!("failed: {error}"),
                }
            }
        }
    }
    table::print_heading(options);
    for (column, load) in loads.iter().enumerate() {
        let of_load: Vec<&[Report]> =
            (0..entrants.len()).map(|row| reports.get(&(column, row)).map_or(&[][..], Vec::as_slice)).collect();
        table::print_table(load, &entrants, &of_load);
    }
    Ok(())
}

/// `cargo run --bin compare` builds this program alone; the server, `load` and `limit` have to be fresh too.
fn build() -> io::Result<()> {
    if cfg!(debug_assertions) {
        return Err(io::Error::other("this is a debug build, its figures mean nothing: cargo run --release …"));
    }
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let status = Command::new(cargo).args(["build", "--release", "--workspace", "--bins"]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the project does not build")) }
}

fn entrants(options: &Options, bin: &Path) -> io::Result<Vec<Entrant>> {
    let mut entrants = Vec::new();
    for name in &options.peers {
        let known = PEERS.iter().find(|peer| peer.name == name);
        let peer = known.ok_or_else(|| io::Error::other(format!("peer \"{name}\" is unknown: see --list")))?;
        let command: Vec<String> =
            peer.command.iter().map(|word| word.replace("{bin}", &bin.to_string_lossy())).collect();
        let is_missing = command.iter().any(|word| word.contains('/') && !Path::new(word).exists());
        if is_missing {
            eprintln!("compare: {name} is not built, left out; in the project's directory: {}", peer.build);
            continue;
        }
        entrants.push(Entrant { name: name.clone(), command, quiet: peer.quiet });
    }
    for extra in &options.peer {
        let Some((name, command)) = extra.split_once('=') else {
            return Err(io::Error::other(format!("peer is \"{extra}\": want NAME=PROGRAM ARGUMENT…")));
        };
        let command = command.split_whitespace().map(str::to_owned).collect();
        entrants.push(Entrant { name: name.to_owned(), command, quiet: Quiet::OwnRooms });
    }
    Ok(entrants)
}

/// The calmest of up to three runs: on a shared machine others' work spoils single ones.
fn calm_run(options: &Options, bin: &Path, entrant: &Entrant, load: &Load) -> io::Result<Report> {
    let mut calmest = one_run(options, bin, entrant, load)?;
    for _ in 0..RUNS_MAX - 1 {
        if calmest.others_cores <= options.calm {
            break;
        }
        eprint!("(others kept {:.2} cores busy: again) ", calmest.others_cores);
        let again = one_run(options, bin, entrant, load)?;
        if again.others_cores < calmest.others_cores {
            calmest = again;
        }
    }
    Ok(calmest)
}

fn one_run(options: &Options, bin: &Path, entrant: &Entrant, load: &Load) -> io::Result<Report> {
    let (program, arguments) = entrant.command.split_first().ok_or_else(|| io::Error::other("no program"))?;
    let mut command = Command::new(bin.join("load"));
    command.args(["--json", "--seconds", &options.seconds.to_string(), "--server", program]);
    command.args(load.arguments.split_whitespace());
    if !options.no_pin {
        command.arg("--pin");
    }
    if let Some(directory) = &options.dir {
        command.arg("--dir").arg(directory);
    }
    if load.is_quiet && entrant.quiet == Quiet::OwnRooms {
        command.arg("--own-rooms");
    }
    command.arg("--").args(arguments);
    // Announced joins are measured by the load that is about them; elsewhere they only take time,
    // with a server that tells everyone of everyone.
    if entrant.quiet == Quiet::Flag && (load.is_quiet || load.figure != Figure::Joins) {
        command.args(["--announce", "off"]);
    }
    let output = command.stdin(Stdio::null()).output()?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let report: Report = serde_json::from_slice(&output.stdout).map_err(|_| io::Error::other(complaint))?;
    if !report.is_clean() {
        return Err(io::Error::other(format!("{:?}, stalled: {}", report.faults, report.stalled)));
    }
    Ok(report)
}
