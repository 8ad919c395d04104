//! Decoding of paths and queries, once and strictly. Says nothing about which parameters exist.

use std::borrow::Cow;

use super::Error;

/// The parameters of a query, in order, decoded (`%41` and, for a space, `+`).
///
/// `a` and `a=` are both empty values; `a=1&&b=2` has two parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Pairs);

impl Query {
    /// Decodes what stands behind the `?` of a target.
    ///
    /// `Error::BadParameter` (400) where a `%` is not followed by two hex digits, or where the
    /// decoded bytes are not UTF-8.
    pub(super) fn parse(raw: &[u8]) -> Result<Query, Error> {
        let mut pairs = Pairs::default();
        for part in raw.split(|&byte| byte == b'&').filter(|part| !part.is_empty()) {
            let equals = part.iter().position(|&byte| byte == b'=');
            let (name, value) = match equals {
                Some(at) => (&part[..at], &part[at + 1..]),
                None => (part, &b""[..]),
            };
            let bad = |why| Error::BadParameter { name: String::from_utf8_lossy(name).into_owned(), why };
            let decoded = |part| decode(part, Form::Query).map_err(bad);
            pairs.add(&decoded(name)?, &decoded(value)?);
        }
        Ok(Query(pairs))
    }

    /// The value of a parameter. Given twice it is `Error::RepeatedParameter` (400): which of
    /// the two counts is a thing that programs disagree about.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Error> {
        let mut values = self.0.iter().filter(|(known, _)| *known == name);
        let value = values.next().map(|(_, value)| value);
        match values.next() {
            None => Ok(value),
            Some(_) => Err(Error::RepeatedParameter(name.to_owned())),
        }
    }

    /// The names, in order, repeated ones too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name)
    }
}

/// Decodes a path. `Err` says what is wrong with it, beginning with a verb.
pub(super) fn decode_path(raw: &[u8]) -> Result<String, &'static str> {
    decode(raw, Form::Path).map(Cow::into_owned)
}

/// Names and values, kept in one piece of text: two allocations, however many pairs.
///
/// The text of a head of `HEAD_BYTES_MAX` stays under 64 KiB, even with every byte replaced by
/// U+FFFD, so places are 16 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    text: String,
    spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    name: u16,
    value: u16,
    end: u16,
}

const _: () = assert!(super::HEAD_BYTES_MAX * "\u{fffd}".len() <= u16::MAX as usize);

impl Pairs {
    pub(super) fn with_capacity(pairs: usize, text_bytes: usize) -> Pairs {
        Pairs { text: String::with_capacity(text_bytes), spans: Vec::with_capacity(pairs) }
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        let mut append = |part: &str| {
            let place = self.text.len();
            self.text.push_str(part);
            place
        };
        let (name, value, end) = (append(name), append(value), append(""));
        let place = |place| u16::try_from(place).expect("the text of a head is under 64 KiB");
        self.spans.push(Span { name: place(name), value: place(value), end: place(end) });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spans.iter().map(|span| {
            let (name, value) = (usize::from(span.name), usize::from(span.value));
            (&self.text[name..value], &self.text[value..usize::from(span.end)])
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `+` is itself, `%2F` stays as it is.
    Path,
    /// `+` is a space.
    Query,
}

/// Decodes `raw`. What needs no encoding may be encoded all the same, and UTF-8 may stand
/// unencoded: curl sends it so, and it can be read in one way only.
fn decode(raw: &[u8], form: Form) -> Result<Cow<'_, str>, &'static str> {
    const NOT_UTF8: &str = "is not UTF-8 once it is decoded";
    const NOT_HEX: &str = "has a % without two hex digits behind it";
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| NOT_UTF8);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'+' if form == Form::Query => decoded.push(b' '),
            b'%' => {
                let [high, low, after @ ..] = rest else {
                    return Err(NOT_HEX);
                };
                rest = after;
                match hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low) {
                    None => return Err(NOT_HEX),
                    Some(b'/') if form == Form::Path => decoded.extend_from_slice(b"%2F"),
                    Some(byte) => decoded.push(byte),
                }
            }
            _ => decoded.push(*byte),
        }
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| NOT_UTF8)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expect: &[(&str, &str)]) {
        let query = Query::parse(raw.as_bytes()).expect(raw);
        let pairs: Vec<_> = query.0.iter().collect();
        assert_eq!(pairs, expect, "{raw}");
    }

    fn check_error(raw: &[u8], expect: &str) {
        let error = Query::parse(raw).expect_err(&String::from_utf8_lossy(raw));
        assert_eq!(error.detail(), expect);
        assert_eq!(error.status().code(), 400);
    }

    #[test]
    fn parameters_are_decoded_once() {
        check("", &[]);
        check("&&", &[]);
        check("a=1&b=2", &[("a", "1"), ("b", "2")]);
        check("a&b=&=c", &[("a", ""), ("b", ""), ("", "c")]);
        check("a=b=c", &[("a", "b=c")]);
        check("q=a+b%20c%2Bd", &[("q", "a b c+d")]);
        check("q=%2541", &[("q", "%41")]);
        check("na%6De=%26%3D", &[("name", "&=")]);
        check("q=Zo%C3%AB%f0%9f%98%80", &[("q", "Zoë😀")]);
        check("q=Zoë", &[("q", "Zoë")]);
        check("q=a/b?c", &[("q", "a/b?c")]);
    }

    #[test]
    fn a_parameter_that_cannot_be_decoded_is_named_and_its_value_is_not_told() {
        let hex = "parameter \"token\" has a % without two hex digits behind it";
        check_error(b"token=secret%", hex);
        check_error(b"a=1&token=secret%4", hex);
        check_error(b"token=secret%+1", hex);
        check_error(b"token=%zz", hex);
        let utf8 = "parameter \"q\" is not UTF-8 once it is decoded";
        check_error(b"q=%ff", utf8);
        check_error(b"q=%c0%80", utf8);
        check_error(b"q=%ed%a0%80", utf8);
        check_error(b"q=\xff", utf8);
        // Half a character in each of two parameters is no character.
        check_error(b"q=%c3&r=%ab", utf8);
    }

    #[test]
    fn a_repeated_parameter_is_refused_when_it_is_asked_for() {
        let query = Query::parse(b"room=a&since=1&room=a").expect("well-formed");
        assert_eq!(query.get("since"), Ok(Some("1")));
        assert_eq!(query.get("limit"), Ok(None));
        assert_eq!(query.get("Since"), Ok(None));
        let error = query.get("room").expect_err("given twice");
        assert_eq!(error.detail(), "parameter \"room\" is given twice, want it once");
        assert_eq!(query.names().collect::<Vec<_>>(), ["room", "since", "room"]);
    }

    #[test]
    fn an_encoded_slash_does_not_separate() {
        assert_eq!(decode_path(b"/api%2fmessages"), Ok("/api%2Fmessages".to_owned()));
        assert_eq!(decode_path(b"/%61pi/a+b"), Ok("/api/a+b".to_owned()));
        assert!(decode_path(b"/%").is_err());
        assert!(decode_path(b"/%e2%28%a1").is_err());
    }
}
