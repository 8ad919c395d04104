//! The shape of the program, read from its sources: who may import whom, and which file alone names an outside crate.
//!
//! A rule that is broken is told with its file, its line and what would be right. The tables below are the design;
//! a new file wants a row.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and its layer. A module imports from lower layers only.
const LAYERS: &[(&str, u8)] = &[
    ("main", 6),
    ("reactor", 5),
    ("api", 4),
    ("archive", 3),
    ("connection", 3),
    ("chat", 2),
    ("history", 2),
    ("memory", 2),
    ("summary", 2),
    ("ws", 2),
    ("page", 3),
    ("documents", 3),
    ("embedded", 2),
    ("extract", 1),
    ("config", 1),
    ("health", 0),
    ("listen", 0),
    ("console", 1),
    ("http", 1),
    ("log", 1),
    ("metrics", 1),
    ("message", 0),
    ("outbox", 0),
    ("peer", 0),
    ("tape", 1),
    ("words", 0),
];

/// What else may be imported: from the same layer, for a reason.
const SAME_LAYER: &[(&str, &str, &str)] = &[];

/// Which module alone names an outside crate.
const CRATES: &[(&str, &str)] = &[
    ("clap", "main"),
    ("dotenvy", "main"),
    ("socket2", "listen"),
    ("listenfd", "listen"),
    ("rlimit", "main"),
    ("mio", "reactor"),
    ("miniz_oxide", "embedded"),
    ("signal_hook", "reactor"),
    ("slab", "connection"),
    ("tungstenite", "ws"),
    ("httparse", "http/head"),
    ("rusqlite", "history"),
    ("ureq", "summary"),
    ("rust_stemmers", "extract"),
    ("unicode_segmentation", "extract"),
    ("serde", "message"),
    ("serde_json", "message"),
    ("chrono", "message"),
    ("uuid", "message"),
];

/// One file of `src/`, without its tests, comments and the texts in it.
struct Source {
    /// `history/reader` for `src/history/reader.rs`.
    file: String,
    lines: Vec<String>,
    /// The same lines with their texts.
    whole: Vec<String>,
}

impl Source {
    fn module(&self) -> &str {
        self.file.split('/').next().expect("a split gives one at least")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    find(&root, &mut files);
    let source = |path: &PathBuf| {
        let name = path.strip_prefix(&root).expect("it was found there").with_extension("");
        let file = name.to_str().expect("names are ASCII").trim_end_matches("/mod").to_owned();
        parse(file, &fs::read_to_string(path).expect("sources can be read"))
    };
    files.iter().map(source).collect()
}

fn find(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("src is there") {
        let path = entry.expect("src can be listed").path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
}

/// Leaves out what is after `#[cfg(test)]` in the first column: tests stand last in a file.
fn parse(file: String, text: &str) -> Source {
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let bare = without_comments_and_texts(&text[..end]);
    let lines = bare.lines().map(str::to_owned).collect();
    Source { file, lines, whole: text[..end].lines().map(str::to_owned).collect() }
}

/// Comments, strings and characters become blanks; lines stay where they are.
fn without_comments_and_texts(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut bare = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => until(&chars, at, |c, _| c == '\n'),
            'r' if chars[at + 1..].starts_with(&['#', '"']) => {
                until(&chars, at + 3, |c, at| c == '"' && chars.get(at + 1) == Some(&'#')) + 2
            }
            'r' if chars.get(at + 1) == Some(&'"') && !is_word(at.checked_sub(1).map(|at| chars[at])) => {
                until(&chars, at + 2, |c, _| c == '"') + 1
            }
            '"' => end_of_string(&chars, at + 1),
            '\'' if chars.get(at + 1) == Some(&'\\') => until(&chars, at + 3, |c, _| c == '\'') + 1,
            '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
            c => {
                bare.push(c);
                at += 1;
                continue;
            }
        };
        bare.extend(chars[at..end.min(chars.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    bare
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn until(chars: &[char], from: usize, is_end: impl Fn(char, usize) -> bool) -> usize {
    (from..chars.len()).find(|at| is_end(chars[*at], *at)).unwrap_or(chars.len())
}

fn end_of_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Words of a line that stand before `::`, or are imported whole, with `crate::` and `catchup::` lists opened.
fn modules_named(lines: &[String]) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let text = lines.join("\n");
    for prefix in ["crate::", "catchup::"] {
        for (at, _) in text.match_indices(prefix) {
            if is_word(text[..at].chars().next_back()) {
                continue;
            }
            let line = text[..at].matches('\n').count() + 1;
            let rest = &text[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(list) => named.extend(listed(list).into_iter().map(|name| (line, name))),
                None => named.push((line, word(rest).to_owned())),
            }
        }
    }
    named
}

/// The first words of a list's entries: `a, b::{c, d}, e as f}` gives a, b, e.
fn listed(list: &str) -> Vec<String> {
    let (mut depth, mut entry, mut entries) = (0, String::new(), Vec::new());
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => entries.push(std::mem::take(&mut entry)),
            _ => {}
        }
        if depth == 0 && c != ',' {
            entry.push(c);
        }
    }
    entries.push(entry);
    entries.iter().map(|entry| word(entry.trim()).to_owned()).filter(|word| !word.is_empty()).collect()
}

fn word(text: &str) -> &str {
    text.split(|c: char| !is_word(Some(c))).next().expect("a split gives one at least")
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn imports_broken(source: &Source) -> Vec<String> {
    let module = source.module();
    let own = layer(module);
    let mut broken = Vec::new();
    for (line, name) in modules_named(&source.lines) {
        if name == module {
            continue;
        }
        let place = format!("src/{}.rs:{line}", source.file);
        let is_allowed = SAME_LAYER.iter().any(|(from, to, _)| *from == module && *to == name);
        match (own, layer(&name)) {
            (None, _) => broken.push(format!("{place}: {module:?} has no row in LAYERS")),
            (_, None) => broken.push(format!("{place}: {name:?} has no row in LAYERS; name things by their module")),
            (Some(own), Some(other)) if other >= own && !is_allowed => {
                broken.push(format!("{place}: {module} (layer {own}) imports {name} (layer {other}): only downward"));
            }
            _ => {}
        }
    }
    broken
}

fn crates_broken(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, home) in CRATES {
        let is_home = source.file == *home || source.module() == *home;
        for (number, line) in source.lines.iter().enumerate().filter(|_| !is_home) {
            let is_named = line.match_indices(name).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = &line[at + name.len()..];
                let is_path = after.starts_with("::");
                let is_use = line.trim_start().starts_with("use ") && line.trim_start()[4..].starts_with(name);
                !is_word(before) && before != Some(':') && !is_word(after.chars().next()) && (is_path || is_use)
            });
            if is_named {
                broken.push(format!("src/{}.rs:{}: names {name}, which is {home}'s alone", source.file, number + 1));
            }
        }
    }
    broken
}

/// No JSON is made outside `message`, and no socket is written to outside `outbox`.
fn homes_broken(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, (line, whole)) in source.lines.iter().zip(&source.whole).enumerate() {
        let place = format!("src/{}.rs:{}", source.file, number + 1);
        let makes_json = line.contains("json!") || (line.contains("format!") && whole.contains("{{\\\""));
        if makes_json && source.file != "message" {
            broken.push(format!("{place}: makes JSON, which is message's business: {}", whole.trim()));
        }
        let writes = [".write(&", ".write_vectored(", ".try_write("].iter().any(|call| line.contains(call));
        let is_stream = line.contains("stream") || line.contains("socket");
        if writes && is_stream && source.file != "outbox" {
            broken.push(format!("{place}: writes to a socket, which is outbox's business: {}", whole.trim()));
        }
    }
    broken
}

fn dependencies() -> BTreeSet<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let text = fs::read_to_string(manifest).expect("there is a manifest");
    let section = text.split("\n[").find_map(|section| section.strip_prefix("dependencies]")).expect("there are some");
    section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.replace('-', "_")).collect()
}

#[test]
fn imports_run_downward_only() {
    let broken: Vec<String> = sources().iter().filter(|s| s.file != "lib").flat_map(imports_broken).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn each_outside_crate_is_named_in_one_module_only() {
    let sources = sources();
    let broken: Vec<String> = sources.iter().flat_map(crates_broken).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    let known: BTreeSet<String> = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(dependencies(), known, "CRATES and the dependencies in Cargo.toml differ");
}

#[test]
fn json_is_made_in_message_and_sockets_are_written_to_in_outbox() {
    let broken: Vec<String> = sources().iter().flat_map(homes_broken).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn a_rule_that_is_broken_is_found() {
    let check = |file: &str, text: &str, expect: &[&str]| {
        let source = parse(file.to_owned(), text);
        let broken = [imports_broken(&source), crates_broken(&source), homes_broken(&source)].concat();
        let is_told = broken.len() == expect.len() && broken.iter().zip(expect).all(|(told, part)| told.contains(part));
        assert!(is_told, "{text}: {broken:?}");
    };
    check("chat", "use crate::message::Post;\nuse std::io;", &[]);
    check("chat", "use crate::reactor::Reactor;", &["src/chat.rs:1: chat (layer 2) imports reactor (layer 5)"]);
    check("tape", "fn a() {\n    crate::chat::b()\n}", &["src/tape.rs:2: tape (layer 1) imports chat"]);
    check("tape", "use crate::{\n    message::{Seq, Post}, api,\n};", &["src/tape.rs:1: tape (layer 1) imports api"]);
    check("tape", "use crate::Thing;", &["\"Thing\" has no row"]);
    check("strange", "use crate::message::Post;", &["\"strange\" has no row"]);
    check("tape", "// use crate::chat::Chat;\nlet a = \"crate::chat\";", &[]);
    check("tape", "\n#[cfg(test)]\nmod tests {\n    use crate::chat::Chat;\n}", &[]);
    check("api", "let id = uuid::Uuid::new_v4();", &["src/api.rs:1: names uuid"]);
    check("api", "use mio;", &["names mio"]);
    check("history/reader", "use rusqlite::Row;\nlet uuid = self.uuid;", &[]);
    check("http/lines", "use httparse::Header;", &["names httparse, which is http/head's"]);
    check("api", "let a = json!(1);", &["makes JSON"]);
    check("api", "let a = format!(\"{{\\\"a\\\":1}}\");", &["makes JSON"]);
    check("connection", "self.stream.write(&bytes);", &["writes to a socket"]);
}
