//! The fuzzers' targets, run as ordinary tests: over every file of their corpora, which hold all that once went wrong, and
//! over mutations of them that are the same each time. `fuzz/README.md` tells how to let them run for long.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

use targets::TARGETS;

/// What a target was given, told if it panics.
struct Told<'a> {
    target: &'a str,
    origin: &'a str,
    bytes: &'a [u8],
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {}: {}", self.target, self.origin, self.bytes.escape_ascii());
        }
    }
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let listed = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = listed.map(|entry| entry.expect("it can be listed").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has no corpus");
    let read = |path: &std::path::PathBuf| (path.display().to_string(), fs::read(path).expect("it can be read"));
    files.iter().map(read).collect()
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// One to four changes: a bit, a byte, a piece less, a piece twice, a piece of another file.
    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        const ODD: &[u8] = b"\0\r\n \t\"\\%:;{}[],\x7f\x80\xbf\xc3\xff\xfe0-+";
        for _ in 0..=self.roll(4) {
            let at = self.roll(bytes.len() + 1);
            let end = (at + 1 + self.roll(16)).min(bytes.len());
            match self.roll(6) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.roll(8),
                1 if at < bytes.len() => bytes[at] = ODD[self.roll(ODD.len())],
                2 => bytes.insert(at, ODD[self.roll(ODD.len())]),
                3 if at < end => drop(bytes.drain(at..end)),
                4 if at < end => {
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let from = self.roll(other.len() + 1);
                    let to = (from + self.roll(64)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
    }
}

fn run(name: &str) {
    let (target, run, mutations) = TARGETS.iter().find(|(known, ..)| *known == name).expect("it is a target");
    let files = corpus(target);
    for (path, bytes) in &files {
        let _told = Told { target, origin: path, bytes };
        run(bytes);
    }
    let mut dice = Dice(1);
    for number in 0..*mutations {
        let mut bytes = files[dice.roll(files.len())].1.clone();
        let other = &files[dice.roll(files.len())].1;
        dice.mutate(&mut bytes, other);
        let _told = Told { target, origin: &format!("mutation {number}"), bytes: &bytes };
        run(&bytes);
    }
}

#[test]
fn each_target_has_a_test_and_a_fuzzer() {
    let tests = include_str!("fuzz.rs");
    let manifest = include_str!("../fuzz/Cargo.toml");
    for (name, ..) in TARGETS {
        assert!(tests.contains(&format!("run({name:?})")), "{name} has no test");
        assert!(manifest.contains(&format!("name = {name:?}")), "{name} has no fuzzer");
    }
}

#[test]
fn requests_are_read_the_same_however_they_are_cut() {
    run("request");
}

#[test]
fn queries_are_decoded_once_and_strictly() {
    run("query");
}

#[test]
fn frames_are_heard_the_same_however_they_are_cut() {
    run("frames");
}

#[test]
fn what_clients_say_is_refused_or_shown_as_it_is() {
    run("client_json");
}

#[test]
fn an_archive_is_imported_whole_or_not_at_all() {
    run("import");
}

#[test]
fn any_file_is_opened_as_a_database_or_refused() {
    run("database");
}

#[test]
fn any_conversation_is_summed_up_from_what_was_said() {
    run("extract");
}
