//! How long the embedded summarizer takes: `cargo run --release --example extract_speed`.

use std::time::Instant;

use catchup::extract::{Line, digest};

fn main() {
    for count in [1_000u64, 10_000, 100_000] {
        let texts: Vec<String> =
            (0..count).map(|i| format!("I'll move case {i} to rack{} by Friday, ok?", i % 977)).collect();
        let line = |(text, id)| Line { id, sender: ["a", "b", "c"][id as usize % 3], text, at_ms: 0 };
        let lines: Vec<Line> = texts.iter().map(String::as_str).zip(1..).map(line).collect();
        let mut times: Vec<_> = (0..5)
            .map(|_| {
                let begun = Instant::now();
                digest(&lines);
                begun.elapsed()
            })
            .collect();
        times.sort();
        println!("{count} messages: median {:?} of 5", times[2]);
    }
}
