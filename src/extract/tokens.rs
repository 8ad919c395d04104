//! Cuts a message into tokens and sentences. Knows links, code and quotation marks; knows no meaning.

use super::lexicon::{Lexicon, class};
use unicode_segmentation::UnicodeSegmentation;

/// What of a message is read; the rest of a dump is not looked at.
pub const MESSAGE_TOKENS_MAX: usize = 1_500;
/// A token that is longer (a data URL, a hash without spaces) is not shown whole.
pub const TOKEN_BYTES_MAX: usize = 300;

/// A word, link or piece of code, by its place in the text of its message (bytes).
#[derive(Clone, Copy, Debug)]
pub struct Token {
    pub word: u32,
    pub start: u32,
    pub end: u32,
    /// Inside quotation marks or code, or in a line that quotes: somebody else's words.
    pub is_quoted: bool,
    pub is_capital: bool,
    /// Written with an @ before it.
    pub is_mention: bool,
}

/// Where the scanner stands with regard to quotation marks and fences.
struct Quote {
    is_open: bool,
    is_line: bool,
}

/// Appends the tokens of `text`. Links and inline code become one token each; a fenced block becomes one as well.
pub fn scan(text: &str, lexicon: &mut Lexicon, out: &mut Vec<Token>) {
    let bytes = text.as_bytes();
    let first = out.len();
    let mut quote = Quote { is_open: false, is_line: text.trim_start().starts_with('>') };
    let mut at = 0;
    while at < bytes.len() && out.len() - first < MESSAGE_TOKENS_MAX {
        let byte = bytes[at];
        if byte == b'\n' {
            at += 1;
            // A quotation that nobody closed ends with its line.
            quote = Quote { is_open: false, is_line: text[at..].trim_start_matches(' ').starts_with('>') };
        } else if byte == b'`' {
            at = scan_code(text, at, lexicon, out);
        } else if byte == b'"' {
            quote.is_open = !quote.is_open && text[at + 1..].split('\n').next().is_some_and(|line| line.contains('"'));
            at += 1;
        } else if byte.is_ascii_whitespace() {
            at += 1;
        } else {
            let end = chunk_end(text, at);
            scan_chunk(text, at, end, &mut quote, lexicon, out);
            at = end;
        }
    }
}

/// Where the run without spaces, quotation marks and backticks ends.
fn chunk_end(text: &str, at: usize) -> usize {
    let rest = &text.as_bytes()[at..];
    let is_link = is_link(&text[at..]);
    let end = rest.iter().position(|&byte| byte.is_ascii_whitespace() || (!is_link && (byte == b'"' || byte == b'`')));
    at + end.unwrap_or(rest.len())
}

fn is_link(text: &str) -> bool {
    ["http://", "https://", "www."]
        .iter()
        .any(|head| text.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head)))
}

/// From a backtick to its partner, or only the backtick where there is none.
fn scan_code(text: &str, at: usize, lexicon: &mut Lexicon, out: &mut Vec<Token>) -> usize {
    let fence = if text[at..].starts_with("```") { "```" } else { "`" };
    let body = at + fence.len();
    let Some(length) = text[body..].find(fence) else {
        return body;
    };
    let end = body + length + fence.len();
    if fence.len() == 1 && text[body..end].contains('\n') {
        return body;
    }
    push(text, at, end, true, lexicon, out);
    end
}

fn scan_chunk(text: &str, at: usize, end: usize, quote: &mut Quote, lexicon: &mut Lexicon, out: &mut Vec<Token>) {
    let chunk = &text[at..end];
    if let Some(link) = chunk.find("http").or_else(|| chunk.find("www.")).filter(|&link| is_link(&chunk[link..])) {
        let start = at + link;
        let stop = start + text[start..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '>', '\'']).len();
        push(text, start, stop.max(start + 1), true, lexicon, out);
        return;
    }
    if chunk.is_ascii() {
        scan_ascii(text, at, end, quote, lexicon, out);
    } else {
        scan_unicode(text, at, end, quote, lexicon, out);
    }
}

fn scan_ascii(text: &str, at: usize, end: usize, quote: &mut Quote, lexicon: &mut Lexicon, out: &mut Vec<Token>) {
    let bytes = text.as_bytes();
    let mut from = at;
    while from < end {
        let byte = bytes[from];
        let next = bytes.get(from + 1).copied().unwrap_or(b' ');
        // "+1" and "-0.5" are votes, "#action" is a mark, "foo()" and "a_b" stay whole.
        let is_vote = (byte == b'+' || byte == b'-') && next.is_ascii_digit() && (from == at);
        let is_mark = byte == b'#' && next.is_ascii_alphanumeric();
        if !byte.is_ascii_alphanumeric() && byte != b'_' && !is_vote && !is_mark {
            from += 1;
            continue;
        }
        let mut to = from + 1;
        while to < end && joins(bytes, to, end) {
            to += 1;
        }
        // The mouth of a smiley is no word.
        let is_smiley = to - from == 1
            && from > at
            && matches!(bytes[from - 1], b':' | b';' | b'=' | b'-')
            && matches!(byte, b'D' | b'P' | b'p' | b'o' | b'O' | b'x');
        if !is_smiley {
            push(text, from, to, quote.is_open || quote.is_line, lexicon, out);
        }
        from = to;
    }
}

/// Whether the byte at `at` goes on with the word before it.
fn joins(bytes: &[u8], at: usize, end: usize) -> bool {
    let byte = bytes[at];
    if byte.is_ascii_alphanumeric() || byte == b'_' {
        return true;
    }
    let (before, after) = (bytes[at - 1], if at + 1 < end { bytes[at + 1] } else { b' ' });
    match byte {
        b'\'' => before.is_ascii_alphabetic() && after.is_ascii_alphabetic(),
        b'.' => before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric(),
        b':' | b',' => before.is_ascii_digit() && after.is_ascii_digit(),
        _ => false,
    }
}

fn scan_unicode(text: &str, at: usize, end: usize, quote: &mut Quote, lexicon: &mut Lexicon, out: &mut Vec<Token>) {
    let mut done = at;
    for (start, word) in text[at..end].unicode_word_indices() {
        scan_signs(text, done, at + start, quote, lexicon, out);
        done = at + start + word.len();
        push(text, at + start, done, quote.is_open || quote.is_line, lexicon, out);
    }
    scan_signs(text, done, end, quote, lexicon, out);
}

/// Between words of a chunk: curly quotation marks open and close; a raised thumb is a vote.
fn scan_signs(text: &str, at: usize, end: usize, quote: &mut Quote, lexicon: &mut Lexicon, out: &mut Vec<Token>) {
    for (offset, sign) in text[at..end].char_indices() {
        match sign {
            '\u{201c}' | '\u{ab}' | '\u{201e}' | '\u{300c}' => quote.is_open = true,
            '\u{201d}' | '\u{bb}' | '\u{300d}' => quote.is_open = false,
            '👍' | '✅' | '👌' | '🙌' | '💯' | '👎' => {
                let word = lexicon.intern(if sign == '👎' { "-1" } else { "+1" });
                let (start, end) = ((at + offset) as u32, (at + offset + sign.len_utf8()) as u32);
                out.push(Token { word, start, end, is_quoted: quote.is_open, is_capital: false, is_mention: false });
            }
            _ => {}
        }
    }
}

fn push(text: &str, start: usize, end: usize, is_quoted: bool, lexicon: &mut Lexicon, out: &mut Vec<Token>) {
    let surface = &text[start..end];
    let is_opaque = surface.starts_with('`') || is_link(surface);
    let word = lexicon.intern(surface);
    if is_opaque || surface.len() > TOKEN_BYTES_MAX {
        lexicon.mark(word, class::OPAQUE);
    }
    out.push(Token {
        word,
        start: start as u32,
        end: end as u32,
        is_quoted,
        is_capital: surface.chars().next().is_some_and(char::is_uppercase),
        is_mention: start > 0 && text.as_bytes()[start - 1] == b'@',
    });
}

/// Whether a sentence ends in the text between two tokens. `before` is the word that it would end with.
pub fn ends_sentence(gap: &str, before: &str, after_is_capital: bool) -> bool {
    let mut previous = ' ';
    for sign in gap.chars() {
        match sign {
            '\n' | '。' | '！' | '？' | '؟' | '।' | '…' => return true,
            _ if sign.is_whitespace() => match previous {
                '!' | '?' | ';' => return true,
                '.' => return !is_abbreviation(before, after_is_capital),
                _ => {}
            },
            _ => {}
        }
        // Closing brackets and marks stand between the full stop and the space.
        if !matches!(sign, ')' | '"' | '\'' | ']' | '*' | '_') {
            previous = sign;
        }
    }
    false
}

fn is_abbreviation(word: &str, after_is_capital: bool) -> bool {
    matches!(word, "mr" | "mrs" | "ms" | "dr" | "e.g" | "i.e" | "st" | "vs" | "prof" | "fig" | "jr" | "sr")
        || (matches!(word, "etc" | "approx" | "no" | "inc" | "ca" | "incl" | "dept") && !after_is_capital)
}
