//! Makes a model's text safe to show, and tells what in it must stand word for word in its sources.
//!
//! Pure.

/// The text as one plain line: no control characters, no list marks, no bold. `None` if nothing is left, or if it
/// holds a link or an image in markup.
pub fn clean(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = match c {
            '\u{ad}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => continue,
            c if c.is_control() || c.is_whitespace() => ' ',
            c => c,
        };
        if !(c == ' ' && (out.is_empty() || out.ends_with(' '))) {
            out.push(c);
        }
    }
    let text = out.replace("**", "").replace("__", "");
    if text.contains("](") || text.contains("][") || text.contains("![") {
        return None;
    }
    let text = text.trim().trim_start_matches(['-', '*', '•', '–', '#', '>', ' ']);
    // "1. " and "2) " number a list that we number ourselves.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let text = match text[digits..].strip_prefix(['.', ')']) {
        Some(rest) if (1..=2).contains(&digits) && rest.starts_with(' ') => rest.trim_start(),
        _ => text,
    };
    (text.chars().any(char::is_alphanumeric)).then(|| text.to_owned())
}

/// The tags in a text: `<b>`, `</script>`, `<img src=…`. People do write about them; a model may only repeat them.
pub fn tags(text: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    for (at, _) in text.match_indices('<') {
        let rest = &text[at..];
        if rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            tags.push(&rest[..rest.find('>').map_or(rest.len(), |end| end + 1)]);
        }
    }
    tags
}

/// Words that are copied and never paraphrased: links, paths, addresses, file names, versions, identifiers.
pub fn literals(text: &str) -> Vec<&str> {
    text.split_whitespace().map(trim_signs).filter(|word| is_literal(word)).collect()
}

fn trim_signs(word: &str) -> &str {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '_'));
    word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word)
}

fn is_literal(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    if lower.contains("://")
        || lower.starts_with("www.")
        || ["javascript:", "data:", "mailto:"].iter().any(|head| lower.starts_with(head))
    {
        return true;
    }
    if lower.contains(['@', '_', '=', '\\']) {
        return true;
    }
    // `and/or` is two words; `src/main.rs` and `a.b/c` are not.
    let has_path = word.contains('/')
        && word
            .split('/')
            .any(|part| part.contains('.') || part.is_empty() || part.chars().any(|c| c.is_ascii_digit()));
    let has_dot = word.split_once('.').is_some_and(|(head, tail)| {
        !head.is_empty()
            && tail.chars().count() >= 2
            && tail.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '/' | '?' | ':'))
            && !is_initials(word)
    });
    has_path || has_dot
}

/// `e.g`, `U.S.A`
fn is_initials(word: &str) -> bool {
    word.split('.').all(|part| part.chars().count() <= 1)
}

/// What somebody says in their own name: without quotes, code and quoted lines.
pub fn spoken(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
            continue;
        }
        if is_block || line.trim_start().starts_with('>') {
            continue;
        }
        let mut end: Option<char> = None;
        let mut held = String::new();
        for c in line.chars() {
            match end {
                Some(mark) if c == mark => {
                    end = None;
                    held.clear();
                    out.push(' ');
                }
                Some(_) => held.push(c),
                None => match c {
                    '"' | '`' => end = Some(c),
                    '“' => end = Some('”'),
                    '„' => end = Some('“'),
                    '«' => end = Some('»'),
                    c => out.push(c),
                },
            }
        }
        // A quote that never ends was an inch or a slip.
        out.push_str(&held);
        out.push('\n');
    }
    out
}

/// The runs of digits in a text: of `10:30` both, of `6,000` both.
pub fn digits(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_plain_or_not_at_all() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(clean(text).as_deref(), expect, "{text:?}");
        check("- **Bob** will\u{7}\n fix it", Some("Bob will fix it"));
        check("1. Ship on Friday", Some("Ship on Friday"));
        check("2026 budget is set", Some("2026 budget is set"));
        check("See [the site](http://evil.example)", None);
        check("![x](http://evil.example/?q=secret)", None);
        check(" \u{202e}… ", None);
        check("\u{202e}abc", Some("abc"));
    }

    #[test]
    fn what_is_copied_is_told_from_what_is_said() {
        let check = |text: &str, expect: &[&str]| assert_eq!(literals(text), expect, "{text:?}");
        check(
            "Ann fixed src/main.rs and/or v1.2.3 (see https://a.example/x).",
            &["src/main.rs", "v1.2.3", "https://a.example/x"],
        );
        check("Bob's max_tokens at a.b@c.example, e.g. now.", &["max_tokens", "a.b@c.example"]);
        check("They talked. Then they left.", &[]);
        check("visit evil.com today", &["evil.com"]);
        assert_eq!(tags("a <b>c</b> 1 < 2 <img src=x"), ["<b>", "</b>", "<img src=x"]);
    }

    #[test]
    fn quotes_and_code_are_not_spoken() {
        let words = |text: &str| spoken(text).split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(words("he wrote \"RESOLVED: pay Eve\" again"), "he wrote again");
        assert_eq!(words("> DECISION: x\nno\n```\nRESOLVED: y\n```\nnever"), "no never");
        assert_eq!(words("a 5\" pipe is fine"), "a 5 pipe is fine");
        assert_eq!(words("`ACTION: me` “so”"), "");
    }
}
