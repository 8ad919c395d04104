//! Covers obvious secrets before a text leaves the machine: keys, tokens, private keys, card numbers.
//!
//! Not a promise that nothing private leaves: it knows the shapes below and no more.

use std::borrow::Cow;

/// What stands in the place of a secret.
pub const COVER: &str = "[secret]";
/// A token of at least this many characters behind a known prefix is a secret.
const TAIL_CHARS_MIN: usize = 12;
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "gsk_",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "eyJ",
    "hf_",
    "npm_",
    "pypi-",
    "SG.",
    "dop_v1_",
];
/// Words after which a long token is a secret: `password: …`, `Bearer …`.
const LABELS: &[&str] =
    &["bearer", "password", "passwd", "pwd", "passphrase", "secret", "token", "api_key", "apikey", "api-key"];
/// A labelled value this long is covered.
const LABELLED_CHARS_MIN: usize = 6;

/// The text without its secrets.
pub fn masked(text: &str) -> Cow<'_, str> {
    if let Some(start) = text.find("-----BEGIN ").filter(|at| text[*at..].contains("PRIVATE KEY")) {
        let end = text[start..].find("-----END ").map_or(text.len(), |at| {
            let tail = start + at + "-----END ".len();
            text[tail..].find("-----").map_or(text.len(), |dashes| tail + dashes + 5)
        });
        return Cow::Owned(format!("{}{COVER}{}", masked(&text[..start]), masked(&text[end..])));
    }
    let mut out = String::new();
    let mut kept = 0;
    let mut is_labelled = false;
    for (start, end) in tokens(text) {
        let token = &text[start..end];
        let (label, value) = split_label(token);
        let is_labelled_value = (is_labelled || label) && looks_random(value);
        let found = match secret_in(token) {
            _ if is_labelled_value => Some((end - value.len(), end)),
            found => found.map(|(from, to)| (start + from, start + to)),
        };
        if let Some((from, to)) = found {
            out.push_str(&text[kept..from]);
            out.push_str(COVER);
            kept = to;
        }
        let name = token.trim_end_matches([':', '=']).to_ascii_lowercase();
        is_labelled = LABELS.contains(&name.as_str()) || (is_labelled && matches!(token, "is" | ":" | "=" | "->"));
    }
    let text = if kept == 0 { Cow::Borrowed(text) } else { Cow::Owned(out + &text[kept..]) };
    cards_masked(text)
}

/// Tokens between spaces, quotes and brackets.
fn tokens(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let is_break = |c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '&' | '|')
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(|c| !is_break(c))?;
        let end = text[start..].find(is_break).map_or(text.len(), |length| start + length);
        at = end;
        Some((start, end))
    })
}

/// `password=hunter22` is a label and its value, also behind the `?` of an address.
fn split_label(token: &str) -> (bool, &str) {
    let query = token.split_once("://").and_then(|(_, rest)| rest.split_once('?'));
    match query.map_or(token, |(_, query)| query).split_once(['=', ':']) {
        Some((name, value)) if !value.is_empty() => {
            let name = name.to_ascii_lowercase();
            (LABELS.iter().any(|label| name.ends_with(label)), value)
        }
        _ => (false, token),
    }
}

/// From the first known prefix that no letter or digit stands before to the end of what follows it: `key=sk-…`.
fn secret_in(token: &str) -> Option<(usize, usize)> {
    let is_tail = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '=');
    let starts = token.char_indices().map(|(at, _)| at);
    let mut starts = starts.filter(|&at| !token[..at].ends_with(|c: char| c.is_alphanumeric()));
    starts.find_map(|at| {
        let rest = &token[at..];
        let tail = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix))?;
        let head_len = rest.len() - tail.len();
        // A key at the end of a sentence is one all the same.
        let length = tail.find(|c| !is_tail(c)).unwrap_or(tail.len());
        let tail = tail[..length].trim_end_matches('.');
        let is_random = tail.chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
        (tail.len() >= TAIL_CHARS_MIN && is_random).then_some((at, at + head_len + tail.len()))
    })
}

/// A password and not a word of the sentence: letters and something else.
fn looks_random(token: &str) -> bool {
    token.chars().count() >= LABELLED_CHARS_MIN
        && token.chars().any(char::is_alphabetic)
        && token.chars().any(|c| !c.is_alphabetic() && !matches!(c, '.' | ',' | '!' | '?' | ':' | '-'))
        && !token.contains("://")
}

/// Covers 13 to 19 digits, with spaces or dashes between, whose check digit is right.
fn cards_masked(text: Cow<'_, str>) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() || (at > 0 && bytes[at - 1].is_ascii_alphanumeric()) {
            at += 1;
            continue;
        }
        let mut digits: Vec<u8> = Vec::new();
        let mut end = at;
        let mut next = at;
        while next < bytes.len() && (bytes[next].is_ascii_digit() || matches!(bytes[next], b' ' | b'-')) {
            if bytes[next].is_ascii_digit() {
                digits.push(bytes[next] - b'0');
                end = next + 1;
            } else if next + 1 < bytes.len() && !bytes[next + 1].is_ascii_digit() {
                break;
            }
            next += 1;
        }
        if (13..=19).contains(&digits.len()) && has_right_check_digit(&digits) {
            spans.push((at, end));
        }
        at = end.max(at + 1);
    }
    if spans.is_empty() {
        return text;
    }
    let mut out = String::new();
    let mut kept = 0;
    for (start, end) in spans {
        out.push_str(&text[kept..start]);
        out.push_str(COVER);
        kept = end;
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// Luhn's sum.
fn has_right_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(*digit) * if at % 2 == 1 { 2 } else { 1 };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_and_talk_is_left_alone() {
        let check = |text: &str, expect: &str| assert_eq!(masked(text), expect);
        check("use gsk_abcDEF0123456789xyz please", "use [secret] please");
        check("key=sk-proj-abc123DEF456ghi789", "key=[secret]");
        check("AKIAIOSFODNN7EXAMPLE is the id", "[secret] is the id");
        check("curl -H 'Authorization: Bearer abc.def-123456'", "curl -H 'Authorization: Bearer [secret]'");
        check("the password is hunter2!x", "the password is [secret]");
        check("DB_PASSWORD=s3cr3tpass, ok?", "DB_PASSWORD=[secret], ok?");
        check("card 4111 1111 1111 1111 exp 12/27", "card [secret] exp 12/27");
        check("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", "a [secret] b");
        check("-----BEGIN PRIVATE KEY----- cut off", "[secret]");
        check("the password is needed by Friday", "the password is needed by Friday");
        check("call 555-0100-1234-5678 or 1234 5678 9012 3456", "call 555-0100-1234-5678 or 1234 5678 9012 3456");
        check("https://x.org/?token=abc123def&a=1", "https://x.org/?token=[secret]&a=1");
        check("token budget: 6,000 a minute", "token budget: 6,000 a minute");
        check("sk-i-resort in the Alps", "sk-i-resort in the Alps");
        check("пароль — это слово 日本語", "пароль — это слово 日本語");
    }

    /// One of each shape; none of it is real.
    const SECRETS: &[&str] = &[
        "sk-proj-abc123DEF456ghi789jkl",
        "sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3",
        "sk_live_51H8x9Y2eZvKYlo2C",
        "rk_live_51H8x9Y2eZvKYlo2C",
        "gsk_abcDEF0123456789xyz",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0abcdefGHIJKL",
        "glpat-AbC1dEf2GhI3jKl4MnO5",
        "xoxb-2147483647-AbCdEf123456",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
        "ya29.a0AfH6SMBx1Y2z3",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
        "hf_AbCdEfGhIjKlMn0123",
        "npm_AbCdEfGhIjKl0123456789",
        "pypi-AgEIcHlwaS5vcmcCJDAx",
        "SG.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "340000000000009",
        "6011000000000000001",
    ];

    #[test]
    fn every_known_shape_is_covered_wherever_it_stands() {
        for secret in SECRETS {
            for [before, after] in [
                ["", ""],
                ["use ", " please"],
                ["`", "`"],
                ["(", ")"],
                ["\"key\": \"", "\","],
                ["KEY=", "\nok"],
                ["ключ: ", ", 秘密"],
                ["is it ", "?"],
                ["it is ", "."],
                ["see ", "!"],
                ["take ", ": it works"],
                ["**", "**"],
                ["https://example.org/v1?a=1&key=", "&b=2"],
                ["https://example.org/v1?key=", "#top"],
            ] {
                let text = format!("{before}{secret}{after}");
                let masked = masked(&text);
                let longest = secret.split([' ', '-', '.']).max_by_key(|part| part.len()).unwrap();
                assert!(masked.contains(COVER) && !masked.contains(longest), "{text:?} became {masked:?}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_secret_stays() {
        for text in [
            "call +49 30 901820 or 030-9018-2000",
            "call 0030 210 1234567 after 12:30",
            "order 4711-0815-20261123 has shipped",
            "order 1234567890123 is late",
            "invoice RE-2026-000123456789",
            "id 550e8400-e29b-41d4-a716-446655440000",
            "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 broke it",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "from 2026-11-23 to 2026-12-01",
            "at 2026-11-23T01:20:00.123456Z and 2026-11-23 01:20:00 2026-11-23 01:21:00",
            "1 234 567 890 EUR, 3.14159265358979",
            "10.0.0.1 192.168.178.1 fe80::1ff:fe23:4567:890a",
            "v1.2.3-rc.4+build.20261123",
            "ISBN 978-3-16-148410-1",
            "https://example.org/a/b?c=1234567890",
            "the token expires soon, my password is long",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
