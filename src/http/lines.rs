//! Where lines end, in heads, chunk-size lines and trailers alike. Reads nothing into them.

use super::Error;

/// Finds the ends of lines without looking at a byte twice, however the bytes arrive.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Bytes known to be well-formed; stops before a CR whose LF is not there yet.
    checked: usize,
    /// Where the line that is being looked through began.
    began: usize,
}

pub(super) enum Line {
    /// The line ends before this place; its last two bytes are CRLF.
    Ends(usize),
    /// No end yet.
    Open,
    /// No end within the limit.
    TooLong,
}

impl Lines {
    /// Finds the end of the line that is being looked through, within the first `limit` of `bytes`.
    ///
    /// Only CRLF ends a line: a bare LF, a bare CR or any other control character but the tab is
    /// `Error::BadByte` as soon as it is seen. RFC 9112 section 2.2 lets us take a bare LF; the
    /// programs that disagree about it are how requests are smuggled.
    pub(super) fn next(&mut self, bytes: &[u8], limit: usize) -> Result<Line, Error> {
        let within = &bytes[..bytes.len().min(limit)];
        let is_plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        let odd = within[self.checked..].iter().position(|byte| !is_plain(byte));
        self.checked = odd.map_or(within.len(), |at| self.checked + at);
        match within[self.checked..] {
            [b'\r', b'\n', ..] => {
                self.checked += 2;
                self.began = self.checked;
                Ok(Line::Ends(self.checked))
            }
            [] | [b'\r'] if within.len() == limit => Ok(Line::TooLong),
            [] | [b'\r'] => Ok(Line::Open),
            [byte, ..] => Err(Error::BadByte(byte)),
        }
    }

    /// Finds the end of the empty line that closes a head or the trailers.
    pub(super) fn skip_to_blank(&mut self, bytes: &[u8], limit: usize) -> Result<Line, Error> {
        loop {
            let began = self.began;
            match self.next(bytes, limit)? {
                Line::Ends(end) if end - began > 2 => {}
                line => return Ok(line),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of the first line within 8 bytes: as a place, `Open`, `TooLong` or the bad byte.
    fn check(bytes: &[u8], expect: Result<Option<usize>, &str>) {
        let mut whole = Lines::default();
        let mut by_bytes = Lines::default();
        let mut by_bytes = (0..=bytes.len()).map(|end| by_bytes.next(&bytes[..end], 8));
        let is_sure = |found: &Result<Line, Error>| !matches!(found, Ok(Line::Open));
        let by_bytes = by_bytes.find(is_sure);
        for found in [whole.next(bytes, 8), by_bytes.unwrap_or(Ok(Line::Open))] {
            let found = match found {
                Ok(Line::Ends(end)) => Ok(Some(end)),
                Ok(Line::Open) => Ok(None),
                Ok(Line::TooLong) => Err("too long".to_owned()),
                Err(error) => Err(error.detail()),
            };
            let found = found.as_ref().map(|end| *end).map_err(String::as_str);
            assert_eq!(found, expect, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn only_crlf_ends_a_line_and_the_first_bad_byte_is_told() {
        check(b"", Ok(None));
        check(b"a\xff\t~", Ok(None));
        check(b"\r\n", Ok(Some(2)));
        check(b"ab\r\nc\n", Ok(Some(4)));
        check(b"ab\r", Ok(None));
        check(b"ab\n", Err("a line ends in LF alone, want CR LF"));
        check(b"ab\rc\0", Err("a CR stands without its LF, want CR LF"));
        check(b"ab\r\r\n", Err("a CR stands without its LF, want CR LF"));
        let zero = "byte 0x00 stands in a line, want no control characters";
        check(b"ab\0\n", Err(zero));
    }

    #[test]
    fn a_line_may_be_as_long_as_its_limit() {
        check(b"abcdef\r\n", Ok(Some(8)));
        check(b"abcdefg", Ok(None));
        check(b"abcdefgh", Err("too long"));
        check(b"abcdefg\r\n", Err("too long"));
        check(b"abcdefgh\0", Err("too long"));
    }
}
