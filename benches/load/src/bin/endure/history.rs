//! A history of a million messages: how soon a start serves, what reading it whole costs, how fast a search is.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use catchup_bench::fetch::Fetcher;
use catchup_bench::random::Random;
use catchup_bench::sampler::Sampler;
use catchup_bench::server::Server;
use catchup_bench::system;
use memchr::memmem;

use crate::scene::{Place, Talk, fault, last_id, latency, mebibytes, pid};

const STARTS: usize = 5;
const SEARCHES: usize = 60;
/// Ranks of the made-up words; word r is about 1/r as frequent as the first.
const WORDS: u64 = 20_000;
const WORDS_A_MESSAGE: usize = 12;
const READ_LIMIT: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 1_000_000)]
    posts: u64,
    /// Who talk beside it, and how many messages a second
    #[arg(long, default_value_t = 20)]
    others: usize,
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(place: &Place, options: &Options) -> io::Result<()> {
    let mut server = place.start()?;
    server.kill()?;
    fill(place, options, &server)?;
    starts(&mut server, options.posts)?;
    search(server.address, options)?;
    read_whole(&server, options)
}

/// `catchup import` of lines made up here, into the place where the server keeps its data.
fn fill(place: &Place, options: &Options, server: &Server) -> io::Result<()> {
    let directory = server.directory().ok_or_else(|| fault("the server has no directory"))?;
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
    }
    let lines = directory.join("lines");
    let mut random = Random::new(options.seed);
    let mut out = BufWriter::new(File::create(&lines)?);
    for id in 1..=options.posts {
        write_line(&mut out, id, &mut random)?;
    }
    out.flush()?;
    drop(out);
    let started = Instant::now();
    let program = std::path::absolute(&place.server)?;
    let mut import = Command::new(program);
    import.arg("import").current_dir(directory).stdin(File::open(&lines)?).stdout(Stdio::null());
    system::tie_to_parent(&mut import, None);
    let status = import.status()?;
    if !status.success() {
        return Err(fault(format!("catchup import ended with {status}")));
    }
    let took = started.elapsed();
    let size = fs::metadata(directory.join("catchup.db"))?.len();
    fs::remove_file(lines)?;
    println!("{} messages imported in {took:.1?}; the file has {}", options.posts, mebibytes(size));
    Ok(())
}

/// "every" is in each message, "word1" in more than half of them, "word15000" in one of 12,000, and so on.
fn write_line(out: &mut impl Write, id: u64, random: &mut Random) -> io::Result<()> {
    let (high, low) = (random.next(), random.next());
    write!(
        out,
        r#"{{"room":"lobby","id":{id},"message_id":"{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}","sender":"user{}","message":"every"#,
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff,
        random.below(500)
    )?;
    for _ in 0..WORDS_A_MESSAGE {
        // Uniform in the logarithm: Zipf's law.
        let rank = (WORDS as f64).powf(random.share()) as u64;
        write!(out, " word{rank}")?;
    }
    writeln!(out, r#"","at_ms":{}}}"#, 1_700_000_000_000 + id * 1000)
}

/// From the start of the process to its first answer. The file is in the page cache: it was just written or read.
fn starts(server: &mut Server, posts: u64) -> io::Result<()> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        server.kill()?;
        let started = Instant::now();
        server.restart()?;
        let count = last_id(server, "lobby")?;
        times.push(started.elapsed());
        if count != posts {
            return Err(fault(format!("total_count is {count} of {posts}")));
        }
    }
    times.sort();
    println!("start to first answer (GET /api/messages?limit=1): median {:.1?}, all {times:.1?}", times[STARTS / 2]);
    Ok(())
}

fn search(address: SocketAddr, options: &Options) -> io::Result<()> {
    let mut fetcher = Fetcher::connect(address)?;
    let mut random = Random::new(options.seed + 1);
    let mut ask = |name: &str, make: &mut dyn FnMut(&mut Random) -> String| -> io::Result<()> {
        let (mut times, mut hits) = (Vec::new(), Vec::new());
        for _ in 0..SEARCHES {
            let query = make(&mut random);
            let started = Instant::now();
            let body = fetcher.get(&format!("/api/search?q={query}&limit=50"))?;
            times.push(started.elapsed());
            let ids = ids_of(&body)?;
            if ids.is_sorted_by(|newer, older| newer > older) {
                hits.push(ids.len());
            } else {
                return Err(fault(format!("the hits of {query} are not newest first")));
            }
        }
        times.sort();
        hits.sort_unstable();
        let (p50, p90, max) = (times[SEARCHES / 2], times[SEARCHES * 9 / 10], times[SEARCHES - 1]);
        println!(
            "search {name}: p50 {p50:.2?}, p90 {p90:.2?}, max {max:.2?}; {} hits at the median",
            hits[SEARCHES / 2]
        );
        Ok(())
    };
    ask("in every message         ", &mut |_| "every".into())?;
    ask("common (rank 1-20)       ", &mut |random| format!("word{}", 1 + random.below(20)))?;
    ask("rare (rank 10,000-20,000)", &mut |random| format!("word{}", 10_000 + random.below(10_000)))?;
    ask("two common               ", &mut |random| {
        format!("word{}+word{}", 1 + random.below(20), 1 + random.below(20))
    })?;
    ask("every and a rare one     ", &mut |random| format!("every+word{}", 10_000 + random.below(10_000)))?;
    ask("common and rare          ", &mut |random| format!("word1+word{}", 10_000 + random.below(10_000)))?;
    ask("two rare (mostly no hit) ", &mut |random| {
        format!("word{}+word{}", 10_000 + random.below(10_000), 10_000 + random.below(10_000))
    })?;
    ask("the beginning of a word  ", &mut |_| "wor".into())
}

fn ids_of(body: &[u8]) -> io::Result<Vec<u64>> {
    #[derive(serde::Deserialize)]
    struct Hits {
        messages: Vec<Hit>,
    }
    #[derive(serde::Deserialize)]
    struct Hit {
        id: u64,
    }
    let hits: Hits = serde_json::from_slice(body)?;
    Ok(hits.messages.into_iter().map(|hit| hit.id).collect())
}

/// `GET /api/messages` to its end, beside a chat in another room.
fn read_whole(server: &Server, options: &Options) -> io::Result<()> {
    let senders = options.others;
    let mut talk = Talk::join(server, "beside", options.others, senders, 200, options.rate)?;
    talk.talk_for(Duration::from_secs(2))?;
    let sampler = Sampler::start(pid(server));
    let idle = sampler.now();
    for what in ["all at once      ", "by a slow reader "] {
        let is_slow = what.contains("slow");
        let without = talk.talk_for(Duration::from_secs(5))?;
        sampler.take_peak();
        let address = server.address;
        let started = Instant::now();
        let reader = thread::spawn(move || {
            system::yield_to_others();
            read_all(address, is_slow)
        });
        let during = talk.go_on(READ_LIMIT, |_| reader.is_finished())?;
        let (took, peak) = (started.elapsed(), sampler.take_peak());
        let (count, bytes) = reader.join().unwrap_or_else(|_| Err(fault("the reader panicked")))?;
        if count != options.posts {
            return Err(fault(format!("GET /api/messages gave {count} of {} messages", options.posts)));
        }
        println!(
            "{what}: {count} messages, {} in {took:.1?}; RSS {} idle, {} at most: {} over idle",
            mebibytes(bytes),
            mebibytes(idle),
            mebibytes(peak),
            mebibytes(peak.saturating_sub(idle))
        );
        println!("  chat beside it: {}", latency("without", &without));
        println!("                  {}", latency("during ", &during));
    }
    talk.drain()
}

/// Reads the list, checks that ids go 1, 2, 3 …, and returns how many there were and the bytes.
fn read_all(address: SocketAddr, is_slow: bool) -> io::Result<(u64, u64)> {
    let mut fetcher = Fetcher::connect(address)?;
    let (mut rest, mut last, mut wrong) = (Vec::new(), 0, None);
    let bytes = fetcher.stream("/api/messages", |piece| {
        rest.extend_from_slice(piece);
        let (mut end, mut cut) = (0, None);
        for at in memmem::find_iter(&rest, b"\"id\":") {
            let digits = rest[at + 5..].iter().take_while(|byte| byte.is_ascii_digit());
            let (length, id) =
                digits.fold((0, 0), |(length, id), digit| (length + 1, id * 10 + u64::from(digit - b'0')));
            if at + 5 + length == rest.len() {
                // The number may go on in the next piece.
                cut = Some(at);
                break;
            }
            if id != last + 1 {
                wrong.get_or_insert((last, id));
            }
            (last, end) = (id, at + 5 + length);
        }
        let used = cut.unwrap_or(end.max(rest.len().saturating_sub(4)));
        rest.drain(..used);
        if is_slow {
            // About 25 MB a second.
            thread::sleep(Duration::from_micros(piece.len() as u64 / 25));
        }
    })?;
    match wrong {
        Some((before, id)) => Err(fault(format!("GET /api/messages: {id} came after {before}"))),
        None => Ok((last, bytes)),
    }
}
