//! The options of `load`, and what they may be. Does nothing with them.

use std::io;
use std::path::PathBuf;

use catchup_bench::mark::TEXT_BYTES_MIN;
use catchup_bench::traffic::WINDOW_MAX;
use clap::{Parser, ValueEnum};

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Mode {
    /// Each sender keeps --window messages in flight
    Closed,
    /// --rate messages a second in total on a fixed schedule; latency from the intended time
    Rate,
    /// Everyone sends one message and all wait until everyone has everything
    Bun,
    /// Connects, waits, and prints the server's memory for each connection
    Idle,
    /// How many clients a second are upgraded and greeted
    Joins,
    /// The highest rate whose p99 stays under 25 ms
    Ramp,
}

/// Load generator for a Catchup-speaking chat server
#[derive(Parser)]
#[command(name = "load")]
pub struct Options {
    /// Program to start on a free port; its arguments come after `--` ({port} stands for the port)
    #[arg(long, value_name = "PATH", required_unless_present = "url")]
    pub server: Option<PathBuf>,
    /// A server that runs already, ws://host:port
    #[arg(long, conflicts_with = "server")]
    pub url: Option<String>,
    /// Process of the server at --url, for CPU and memory figures
    #[arg(long, requires = "url")]
    pub pid: Option<u32>,
    #[arg(long, value_enum, default_value = "closed")]
    pub mode: Mode,
    #[arg(long, default_value_t = 100)]
    pub clients: usize,
    /// The first M clients send (all of them in mode bun)
    #[arg(long, value_name = "M", default_value_t = 10)]
    pub senders: usize,
    /// Bytes of text in each message
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    pub size: usize,
    /// Messages in flight for each sender (mode closed)
    #[arg(long, value_name = "W", default_value_t = 8)]
    pub window: u32,
    /// Messages a second, all senders together (mode rate)
    #[arg(long, value_name = "R", default_value_t = 200.0)]
    pub rate: f64,
    /// Measured time (mode ramp has steps of its own)
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5)]
    pub warmup: f64,
    /// Server to core 0, generator to core 1
    #[arg(long)]
    pub pin: bool,
    /// Sleep in the kernel when there is nothing to do, instead of asking it over and over
    #[arg(long)]
    pub wait: bool,
    /// Every client in a room of its own (&room=…): nobody is told of anybody
    #[arg(long)]
    pub own_rooms: bool,
    /// Where the server gets its empty directory
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Arguments for the server
    #[arg(last = true)]
    pub arguments: Vec<String>,
}

/// Refuses what cannot be run, with the value and what would be right.
pub fn check(options: &Options) -> io::Result<()> {
    let complain = |what: String| Err(io::Error::other(what));
    if options.clients < 2 && options.mode != Mode::Idle {
        return complain(format!("clients is {}: want at least 2, one to send and one to receive", options.clients));
    }
    if options.senders == 0 || options.senders > options.clients {
        return complain(format!(
            "senders is {}: want 1 to {}, the number of clients",
            options.senders, options.clients
        ));
    }
    if options.size < TEXT_BYTES_MIN || options.size > 16 << 10 {
        return complain(format!("size is {}: want {TEXT_BYTES_MIN} to 16384 bytes", options.size));
    }
    if options.window == 0 || options.window > WINDOW_MAX {
        return complain(format!("window is {}: want 1 to {WINDOW_MAX}", options.window));
    }
    if !(options.rate > 0.0 && (0.01..=600.0).contains(&options.seconds) && (0.0..=60.0).contains(&options.warmup)) {
        return complain("rate, seconds and warmup: want a rate over 0, 0.01 to 600 s, and 0 to 60 s".into());
    }
    Ok(())
}
