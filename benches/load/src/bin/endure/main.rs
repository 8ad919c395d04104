//! What lasts or hurts: flaky clients and crashes, sleepers, crowds, long backlogs and large histories.
//!
//! Each scene starts a server of its own, checks every frame, prints its figures and ends with OK or the fault;
//! a fault makes the exit status 1. Read `scene` first, then whichever scene you came for.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use catchup_bench::system;
use clap::{Parser, Subcommand};

mod burst;
mod flaky;
mod history;
mod nonreaders;
mod person;
mod resume;
mod scene;
mod sleeper;

#[derive(Parser)]
#[command(about = "Endurance and memory: each scene checks every frame; a fault makes the exit status 1")]
struct Options {
    #[command(subcommand)]
    scene: Scene,
    /// The server to start
    #[arg(long, global = true, default_value = "target/release/catchup")]
    server: PathBuf,
    /// Where the scenes keep their data; each removes its own
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Scene {
    /// Clients that are cut at random, and a server that is killed: everyone has everything once
    Flaky(flaky::Options),
    /// One client that stops reading while 100,000 messages pass, then reads on
    Sleeper(sleeper::Options),
    /// Thousands join one room at once, a few another
    Burst(burst::Options),
    /// Many resume a long backlog at once while others talk
    Resume(resume::Options),
    /// A history of a million messages: start, read whole, search
    History(history::Options),
    /// A share of the clients reads nothing while the others talk
    Nonreaders(nonreaders::Options),
}

fn main() -> ExitCode {
    let options = Options::parse();
    let place = scene::Place { server: options.server, parent: options.dir.unwrap_or_else(std::env::temp_dir) };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average before: {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "));
    let outcome = system::raise_open_files().and_then(|_| run(&place, &options.scene));
    match outcome {
        Ok(()) => {
            println!("OK");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAULT: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(place: &scene::Place, scene: &Scene) -> io::Result<()> {
    match scene {
        Scene::Flaky(options) => flaky::run(place, options),
        Scene::Sleeper(options) => sleeper::run(place, options),
        Scene::Burst(options) => burst::run(place, options),
        Scene::Resume(options) => resume::run(place, options),
        Scene::History(options) => history::run(place, options),
        Scene::Nonreaders(options) => nonreaders::run(place, options),
    }
}
