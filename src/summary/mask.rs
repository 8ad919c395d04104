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
        let value_start = end - value.len();
        if is_secret(value) || ((is_labelled || label) && looks_random(value)) {
            out.push_str(&text[kept..value_start]);
            out.push_str(COVER);
            kept = end;
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
        c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';')
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(|c| !is_break(c))?;
        let end = text[start..].find(is_break).map_or(text.len(), |length| start + length);
        at = end;
        Some((start, end))
    })
}

/// `password=hunter22` is a label and its value.
fn split_label(token: &str) -> (bool, &str) {
    match token.split_once(['=', ':']) {
        Some((name, value)) if !value.is_empty() => {
            let name = name.to_ascii_lowercase();
            (LABELS.iter().any(|label| name.ends_with(label)), value)
        }
        _ => (false, token),
    }
}

fn is_secret(token: &str) -> bool {
    PREFIXES.iter().any(|prefix| {
        token.strip_prefix(prefix).is_some_and(|tail| {
            tail.chars().count() >= TAIL_CHARS_MIN
                && tail.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '='))
                && tail.chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
        })
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
        check("token budget: 6,000 a minute", "token budget: 6,000 a minute");
        check("sk-i-resort in the Alps", "sk-i-resort in the Alps");
        check("пароль — это слово 日本語", "пароль — это слово 日本語");
    }
}
