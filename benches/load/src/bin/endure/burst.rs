//! Thousands join one room at once: presence must cost O(n) frames, and a small room must not notice.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use catchup_bench::histogram::Histogram;
use catchup_bench::swarm::{Receiver, Swarm};
use memchr::memmem;

use crate::scene::{Place, fault, mebibytes, milliseconds, pid};

const LIMIT: Duration = Duration::from_secs(120);
/// Those who are in the small room from the start.
const WITNESSES: usize = 10;
/// Somebody joins the small room this often.
const PACE: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 5000)]
    clients: usize,
    /// Seconds to look on after the last has joined
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// What one client of the large room was told about others.
#[derive(Default, Clone)]
struct Told {
    lines: u64,
    counts: u64,
    last_count: u64,
}

struct Large(Vec<Told>);

impl Receiver for Large {
    fn frame(&mut self, client: usize, payload: &[u8], _: u64) {
        if self.0.len() <= client {
            self.0.resize(client + 1, Told::default());
        }
        let told = &mut self.0[client];
        if payload.starts_with(br#"{"type":"user_count""#) {
            told.counts += 1;
            told.last_count = number_after(payload, b"\"count\":");
        } else if memmem::find(payload, b" the chat\"").is_some() {
            told.lines += 1;
        }
    }
}

fn number_after(payload: &[u8], name: &[u8]) -> u64 {
    let at = memmem::find(payload, name).map_or(payload.len(), |at| at + name.len());
    let digits = payload[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

pub fn run(place: &Place, options: &Options) -> io::Result<()> {
    let server = place.start()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let small = {
        let (address, is_over) = (server.address, is_over.clone());
        thread::spawn(move || small_room(address, &is_over))
    };
    thread::sleep(Duration::from_secs(2));

    let mut swarm = Swarm::new(server.address, false)?;
    let mut large = Large(Vec::new());
    let clients = options.clients;
    let started = Instant::now();
    swarm.join(clients, |index| format!("/ws?room=large&username=c{index:05}"), &mut large, LIMIT)?;
    let burst = started.elapsed();
    let joined = Instant::now();
    while large.0.iter().filter(|told| told.last_count == clients as u64).count() < clients {
        swarm.turn(Duration::from_millis(5), &mut large)?;
        if joined.elapsed() > LIMIT {
            let behind = large.0.iter().filter(|told| told.last_count != clients as u64).count();
            return Err(fault(format!("{behind} clients were never told the count {clients}")));
        }
    }
    let converged = joined.elapsed();
    let whole = started.elapsed();
    let frames: u64 = large.0.iter().map(|told| told.lines + told.counts).sum();
    let most = large.0.iter().map(|told| told.lines + told.counts).max().unwrap_or(0);
    let memory = catchup_bench::usage::Memory::of(pid(&server)).resident;
    while joined.elapsed().as_secs_f64() < options.seconds {
        swarm.turn(Duration::from_millis(5), &mut large)?;
    }
    is_over.store(true, Ordering::Relaxed);
    let seen = small.join().unwrap_or_else(|_| Err(fault("the small room's thread panicked")))?;
    if let Some(wrong) = large.0.iter().position(|told| told.last_count != clients as u64) {
        return Err(fault(format!("client {wrong} was told {} in the end", large.0[wrong].last_count)));
    }

    println!("{clients} joined one room in {burst:.2?}; {converged:.2?} later all were told {clients}");
    println!(
        "presence: {frames} frames to all, {:.1} a client, {most} to the one that got most: {:.1} a second; \
         one frame for each join and client would be {}",
        frames as f64 / clients as f64,
        most as f64 / whole.as_secs_f64(),
        clients * clients
    );
    println!("server RSS then {}", mebibytes(memory));
    let [p50, p99, max] = [seen.quantile(0.5), seen.quantile(0.99), seen.max()].map(milliseconds);
    println!("a join in the small room, from connect to seen: p50 {p50}, p99 {p99}, max {max} of {}", seen.total());
    Ok(())
}

/// Who has seen which join of the small room, and when it was begun.
struct Small {
    begun_ns: Vec<u64>,
    /// For each joiner: how many of the witnesses have seen it.
    seen: Vec<usize>,
    times: Histogram,
    is_double: bool,
}

impl Receiver for Small {
    fn frame(&mut self, client: usize, payload: &[u8], now_ns: u64) {
        if client >= WITNESSES || memmem::find(payload, b" joined the chat\"").is_none() {
            return;
        }
        if let Some(at) = memmem::find(payload, b"\"j0") {
            let joiner = number_after(&payload[at..], b"\"j") as usize;
            self.times.record(now_ns - self.begun_ns[joiner]);
            self.seen[joiner] += 1;
            self.is_double |= self.seen[joiner] > WITNESSES;
        }
    }
}

fn small_room(address: SocketAddr, is_over: &AtomicBool) -> io::Result<Histogram> {
    let mut swarm = Swarm::new(address, false)?;
    let mut small = Small { begun_ns: Vec::new(), seen: Vec::new(), times: Histogram::default(), is_double: false };
    let path = |index| format!("/ws?room=small&username=w{index:02}");
    swarm.join(WITNESSES, path, &mut small, LIMIT)?;
    swarm.quiet_down(&mut small, LIMIT)?;
    let mut next = Instant::now();
    // No more than a small room holds, so that each is told at once: as one comes, another goes.
    while !is_over.load(Ordering::Relaxed) {
        if Instant::now() >= next {
            next += PACE;
            let joiner = small.begun_ns.len();
            small.begun_ns.push(swarm.now_ns());
            small.seen.push(0);
            let client = swarm.add(&format!("/ws?room=small&username=j{joiner:06}"), None)?;
            if let Some(older) = client.checked_sub(20).filter(|older| *older >= WITNESSES) {
                swarm.cut(older);
            }
        }
        swarm.turn(Duration::from_millis(1), &mut small)?;
    }
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        swarm.turn(Duration::from_millis(1), &mut small)?;
    }
    if small.is_double {
        return Err(fault("a join of the small room was seen twice"));
    }
    match small.seen.iter().position(|seen| *seen != WITNESSES) {
        Some(joiner) => {
            Err(fault(format!("joiner {joiner} of the small room was seen by {} of {WITNESSES}", small.seen[joiner])))
        }
        None => Ok(small.times),
    }
}
