//! One client stops reading while 100,000 messages pass, then reads on and gets them all, once and in order.

use std::io;
use std::time::{Duration, Instant};

use catchup_bench::follow::{Followers, Plan};
use catchup_bench::sampler::Sampler;

use crate::scene::{Place, Talk, judged, last_id, latency, mebibytes, pid};

const CATCH_UP_LIMIT: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
pub struct Options {
    /// Seconds of sleep. After 30 s in which it took no byte it is closed; then it resumes.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Messages that pass meanwhile
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// Those who read on time; four of them talk
    #[arg(long, default_value_t = 20)]
    readers: usize,
    #[arg(long, default_value_t = 200)]
    size: usize,
}

pub fn run(place: &Place, options: &Options) -> io::Result<()> {
    let server = place.start()?;
    let rate = options.messages as f64 / options.seconds;
    let mut talk = Talk::join(&server, "den", options.readers, 4.min(options.readers), options.size, rate)?;
    let plan = Plan {
        room: "den".into(),
        prefix: "z".into(),
        count: 1,
        size: options.size,
        since: None,
        receive_buffer: None,
    };
    let followers = Followers::start(server.address, plan);
    talk.wait_for(&followers, 1)?;
    talk.talk_for(Duration::from_secs(1))?;

    let awake = talk.talk_for(Duration::from_secs_f64(options.seconds / 3.0))?;
    let sampler = Sampler::start(pid(&server));
    let before = sampler.now();
    followers.pause(1);
    let asleep = talk.talk_for(Duration::from_secs_f64(options.seconds))?;
    let sleeping = sampler.take_peak();
    let (behind, woken) = (last_id(&server, "den")? - followers.slowest(), Instant::now());
    followers.unpause();
    // Up to date while the others talk on: it has what was there a moment ago.
    let rising =
        talk.go_on(CATCH_UP_LIMIT, |traffic| followers.slowest() + (rate / 4.0) as u64 >= traffic.messages())?;
    let took = woken.elapsed();
    let catching_up = sampler.take_peak();
    let after = talk.talk_for(Duration::from_secs_f64(options.seconds / 3.0))?;
    talk.drain()?;
    let total = talk.traffic.messages();
    talk.go_on(CATCH_UP_LIMIT, |_| followers.slowest() >= total || followers.is_over())?;
    let resting = sampler.now();
    let seen = judged(followers.end()?)?;

    println!("{total} messages of {} bytes at {rate:.0} a second, {} readers", options.size, options.readers);
    println!("the sleeper slept {} s, was {behind} messages behind, was up to date after {took:.1?}", options.seconds);
    println!("it was closed and resumed {} times, got {} messages in order, each once", seen.returns, seen.messages);
    println!(
        "server RSS: {} before, {} at most while it slept, {} at most while it caught up, {} at the end",
        mebibytes(before),
        mebibytes(sleeping),
        mebibytes(catching_up),
        mebibytes(resting)
    );
    println!("the others: {}", latency("it reads", &awake));
    println!("            {}", latency("it sleeps", &asleep));
    println!("            {}", latency("it catches up", &rising));
    println!("            {}", latency("it reads again", &after));
    Ok(())
}
