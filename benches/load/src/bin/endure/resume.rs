//! Many come back at once with a long backlog while others talk: the others must not notice.

use std::io;
use std::time::{Duration, Instant};

use catchup_bench::follow::{Followers, Plan};
use catchup_bench::histogram::Histogram;
use catchup_bench::sampler::Sampler;

use crate::scene::{Place, Talk, judged, last_id, latency, mebibytes, pid};

const CATCH_UP_LIMIT: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
pub struct Options {
    /// Messages that each has missed
    #[arg(long, default_value_t = 10_000)]
    missed: u64,
    /// Who come back
    #[arg(long, default_value_t = 100)]
    clients: usize,
    /// Who talk meanwhile
    #[arg(long, default_value_t = 20)]
    others: usize,
    /// Messages a second of the others together
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    #[arg(long, default_value_t = 200)]
    size: usize,
    /// Times that all come back; each is compared with as long a time without
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

pub fn run(place: &Place, options: &Options) -> io::Result<()> {
    let server = place.start()?;
    let sampler = Sampler::start(pid(&server));
    let mut talk = Talk::join(&server, "den", options.others, options.others, options.size, options.rate)?;
    talk.prepare(options.missed, 10_000.0)?;
    talk.talk_for(Duration::from_secs(2))?;
    let before = sampler.now();
    sampler.take_peak();
    let (mut without, mut during, mut alike) = (Histogram::default(), Histogram::default(), Histogram::default());
    for round in 0..options.rounds {
        let since = last_id(&server, "den")? - options.missed;
        let plan = Plan {
            room: "den".into(),
            prefix: format!("r{round}x"),
            count: options.clients,
            size: options.size,
            since: Some(since),
            receive_buffer: None,
        };
        let started = Instant::now();
        let followers = Followers::start(server.address, plan);
        // Up to date: they have what had been said a tenth of a second ago.
        let slack = (options.rate / 10.0) as u64;
        let part = talk.go_on(CATCH_UP_LIMIT, |traffic| {
            followers.is_over() || followers.slowest() + slack >= traffic.messages()
        })?;
        let took = started.elapsed();
        during.add(&part);
        let seen = judged(followers.end()?)?;
        println!("round {}: all {} up to date after {took:.2?}, {} frames", round + 1, options.clients, seen.messages);
        if seen.messages < options.missed * options.clients as u64 {
            return Err(crate::scene::fault("somebody has less than it missed"));
        }
        talk.talk_for(Duration::from_secs(1))?;
        let (first, second) = (talk.talk_for(took)?, talk.talk_for(took)?);
        without.add(&first);
        alike.add(&second);
    }
    talk.drain()?;
    println!("{} others, {} messages of {} bytes a second", options.others, options.rate, options.size);
    println!("{}", latency("while they resume   ", &during));
    println!("{}", latency("without             ", &without));
    println!("{}", latency("without, once more  ", &alike));
    println!("server RSS: {} before, {} at most", mebibytes(before), mebibytes(sampler.take_peak()));
    Ok(())
}
