//! Makes what the server sends of `client.html` and of the API documents in `docs/`: each compressed, with its ETag; for
//! the page the Content-Security-Policy that allows exactly the script and the style that stand in it.

use std::io::Write;
use std::path::Path;
use std::{env, fs};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

fn main() {
    println!("cargo::rerun-if-changed=client.html");
    let html = fs::read_to_string("client.html").expect("client.html stands beside Cargo.toml");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let out = Path::new(&out);
    let script = hash(inside(&html, "script").as_bytes());
    let style = hash(inside(&html, "style").as_bytes());
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
         img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    write(out, "policy.txt", policy.as_bytes());
    embed(out, "client.html", html.as_bytes());
    for name in ["openapi.json", "asyncapi.json"] {
        let path = Path::new("docs").join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        let json = fs::read_to_string(path).expect("docs holds the API documents");
        embed(out, name, compact(&json).as_bytes());
    }
}

/// `NAME.gz` and `NAME.etag`.
fn embed(out: &Path, name: &str, bytes: &[u8]) {
    write(out, &format!("{name}.etag"), format!("W/\"{}\"", &hash(bytes)[..16]).as_bytes());
    let mut zip = GzEncoder::new(Vec::new(), Compression::best());
    zip.write_all(bytes).expect("a Vec takes every write");
    write(out, &format!("{name}.gz"), &zip.finish().expect("a Vec takes every write"));
}

/// JSON without the white space between its tokens.
fn compact(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let keep = |c: &char| {
        let is_kept = is_text || !c.is_ascii_whitespace();
        is_text ^= *c == '"' && !is_escaped;
        is_escaped = is_text && *c == '\\' && !is_escaped;
        is_kept
    };
    json.chars().filter(keep).collect()
}

fn write(out: &Path, name: &str, bytes: &[u8]) {
    fs::write(out.join(name), bytes).expect("OUT_DIR can be written");
}

/// The text between `<name …>` and `</name>`, which must stand there once: a second one would not run.
fn inside<'a>(html: &'a str, name: &str) -> &'a str {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    assert_eq!(html.matches(&close).count(), 1, "client.html has one <{name}>, whose hash the policy names");
    let start = html.find(&open).expect("it is closed, so it is opened");
    let body = start + html[start..].find('>').expect("a tag ends") + 1;
    &html[body..html.find(&close).expect("counted above")]
}

fn hash(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(bytes))
}
