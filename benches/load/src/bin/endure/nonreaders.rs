//! A share of a large room reads nothing; the others notice nothing, and the server's memory stays bounded.

use std::io;
use std::time::Duration;

use catchup_bench::follow::{Followers, Plan};
use catchup_bench::histogram::Histogram;
use catchup_bench::sampler::Sampler;

use crate::scene::{Place, Talk, judged, latency, mebibytes, pid};

const CATCH_UP_LIMIT: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// How many of a hundred do not read
    #[arg(long, default_value_t = 1.0)]
    percent: f64,
    /// Messages a second, of all senders
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Length of a text in bytes. What passes in one part must not fit into the kernel's buffers (2.6 MiB on loopback)
    #[arg(long, default_value_t = 8000)]
    size: usize,
    /// Seconds of each part: three in which all read, and two between them in which some do not
    #[arg(long, default_value_t = 22.0)]
    seconds: f64,
    /// SO_RCVBUF of those who do not read: the smaller, the sooner the server must care
    #[arg(long, default_value_t = 4096)]
    receive_buffer: usize,
}

pub fn run(place: &Place, options: &Options) -> io::Result<()> {
    let server = place.start()?;
    let silent = ((options.clients as f64 * options.percent / 100.0).round() as usize).max(1);
    let people = options.clients - silent;
    let mut talk = Talk::join(&server, "den", people, 10.min(people), options.size, options.rate)?;
    let plan = Plan {
        room: "den".into(),
        prefix: "n".into(),
        count: silent,
        size: options.size,
        since: None,
        receive_buffer: Some(options.receive_buffer),
    };
    let followers = Followers::start(server.address, plan);
    talk.wait_for(&followers, silent)?;
    talk.talk_for(Duration::from_secs(2))?;

    let length = Duration::from_secs_f64(options.seconds);
    let sampler = Sampler::start(pid(&server));
    let before = sampler.now();
    println!(
        "{people} read on time, {silent} (SO_RCVBUF {}) read or not; {} messages of {} bytes a second",
        options.receive_buffer, options.rate, options.size
    );
    let report = |name: &str, histogram: &Histogram| {
        println!("{}; server RSS at most {}", latency(name, histogram), mebibytes(sampler.take_peak()));
    };
    report("all read       ", &talk.talk_for(length)?);
    for _ in 0..2 {
        followers.pause(silent);
        report("some do not    ", &talk.talk_for(length)?);
        followers.unpause();
        let slack = (options.rate / 2.0) as u64;
        let caught = talk.go_on(CATCH_UP_LIMIT, |traffic| followers.slowest() + slack >= traffic.messages())?;
        report("they catch up  ", &caught);
        report("all read again ", &talk.talk_for(length)?);
    }
    talk.drain()?;
    let total = talk.traffic.messages();
    talk.go_on(CATCH_UP_LIMIT, |_| followers.slowest() >= total || followers.is_over())?;
    let after = sampler.now();
    let seen = judged(followers.end()?)?;
    println!("those who did not read were closed and resumed {} times, and have everything once", seen.returns);
    println!("server RSS {} before, {} after", mebibytes(before), mebibytes(after));
    Ok(())
}
