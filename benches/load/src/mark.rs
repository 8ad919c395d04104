//! The mark at the front of each message text: who sent it, as which number, and when.
//!
//! Every field has a fixed width, so the sender patches digits into a frame made once, and the
//! receiver reads them without a search: `#ssssssss:nnnnnnnn:tttttttttttttttt:` and padding.

use memchr::memmem;

use crate::wire::{self, MASK};

/// The shortest text that holds a mark.
pub const TEXT_BYTES_MIN: usize = 36;
const SENDER: usize = 1;
const NUMBER: usize = 10;
const TIME: usize = 19;

/// What a text says of itself. `sent_ns` is the *intended* send time on the generator's clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    pub sender: u32,
    pub number: u32,
    pub sent_ns: u64,
}

/// One sender's frame, encoded and masked in advance; only its digits change.
pub struct Template {
    frame: Vec<u8>,
    payload_at: usize,
    text_at: usize,
}

impl Template {
    /// `size` is the length of the message text in bytes, at least [`TEXT_BYTES_MIN`].
    pub fn new(sender: u32, size: usize) -> Self {
        let mut text = format!("#{sender:08}:{:08}:{:016}:", 0, 0);
        assert!(size >= text.len(), "size is {size}: a marked text needs {}", text.len());
        text.extend("lorem ipsum dolor sit amet, ".chars().cycle().take(size - text.len()));
        let prefix = br#"{"type":"message","message":""#;
        let payload = [prefix, text.as_bytes(), br#""}"#].concat();
        let mut frame = Vec::new();
        wire::append_masked_frame(&mut frame, wire::TEXT, &payload);
        let payload_at = frame.len() - payload.len();
        Template { frame, payload_at, text_at: prefix.len() }
    }

    /// Appends the frame for this number and time.
    pub fn append(&mut self, out: &mut Vec<u8>, number: u32, sent_ns: u64) {
        self.patch(NUMBER, 8, u64::from(number));
        self.patch(TIME, 16, sent_ns);
        out.extend_from_slice(&self.frame);
    }

    fn patch(&mut self, field: usize, width: usize, mut value: u64) {
        for offset in (0..width).rev() {
            let at = self.text_at + field + offset;
            self.frame[self.payload_at + at] = (b'0' + (value % 10) as u8) ^ MASK[at % 4];
            value /= 10;
        }
    }
}

/// Where a server puts the `id` of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum IdPlace {
    Unknown,
    Last,
    Elsewhere,
    Nowhere,
}

/// Reads marks and ids out of the JSON that a server sends, without parsing the JSON.
pub struct Reader {
    size: usize,
    text_at: usize,
    id_place: IdPlace,
}

impl Reader {
    /// `size` is the length of every message text in bytes.
    pub fn new(size: usize) -> Self {
        Reader { size, text_at: 0, id_place: IdPlace::Unknown }
    }

    pub fn sees_ids(&self) -> bool {
        matches!(self.id_place, IdPlace::Last | IdPlace::Elsewhere)
    }

    /// The mark and the id of a message; `None` for every other frame.
    #[inline]
    pub fn read(&mut self, payload: &[u8]) -> Option<(Mark, Option<u64>)> {
        let mark = match payload.get(self.text_at..).and_then(mark) {
            Some(mark) => mark,
            // The sender's name or the id has another length than in the frame before.
            None => {
                self.text_at = memmem::find(payload, b"\"#")? + 1;
                mark(&payload[self.text_at..])?
            }
        };
        Some((mark, self.id(payload)))
    }

    #[inline]
    fn id(&mut self, payload: &[u8]) -> Option<u64> {
        match self.id_place {
            IdPlace::Nowhere => None,
            IdPlace::Last => id_at_end(payload),
            IdPlace::Elsewhere => self.id_anywhere(payload),
            IdPlace::Unknown => {
                let last = id_at_end(payload);
                let found = last.or_else(|| self.id_anywhere(payload));
                self.id_place = match (last, found) {
                    (Some(_), _) => IdPlace::Last,
                    (None, Some(_)) => IdPlace::Elsewhere,
                    (None, None) => IdPlace::Nowhere,
                };
                found
            }
        }
    }

    #[cold]
    fn id_anywhere(&self, payload: &[u8]) -> Option<u64> {
        let after_text = payload.get(self.text_at + self.size..)?;
        [after_text, &payload[..self.text_at]].into_iter().find_map(|part| {
            let at = memmem::find(part, b"\"id\":")? + 5;
            let rest = part[at..].trim_ascii_start();
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (digits > 0).then(|| decimal(&rest[..digits]))
        })
    }
}

/// `…,"id":12}`, with or without blanks as Python writes them.
#[inline]
fn id_at_end(payload: &[u8]) -> Option<u64> {
    let body = payload.strip_suffix(b"}")?;
    let digits = body.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = body.split_at(body.len() - digits);
    let is_id = before.ends_with(b"\"id\":") || before.ends_with(b"\"id\": ");
    (is_id && !digits.is_empty()).then(|| decimal(digits))
}

fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
}

#[inline]
fn mark(text: &[u8]) -> Option<Mark> {
    let text = text.get(..TEXT_BYTES_MIN)?;
    if text[0] != b'#' || text[NUMBER - 1] != b':' || text[TIME - 1] != b':' || text[TEXT_BYTES_MIN - 1] != b':' {
        return None;
    }
    let time = eight_digits(text, TIME) * 100_000_000 + eight_digits(text, TIME + 8);
    Some(Mark { sender: eight_digits(text, SENDER) as u32, number: eight_digits(text, NUMBER) as u32, sent_ns: time })
}

/// Eight decimal digits as a number, four multiplications for all: pairs, then fours, then the eight.
#[inline]
fn eight_digits(text: &[u8], at: usize) -> u64 {
    let digits = <[u8; 8]>::try_from(&text[at..at + 8]).expect("the slice has eight bytes");
    let word = u64::from_le_bytes(digits) & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broadcast(text: &str, form: &str) -> Vec<u8> {
        form.replace("TEXT", text).into_bytes()
    }

    #[test]
    fn a_mark_survives_the_way_through_a_server_of_any_json_habit() {
        let mut template = Template::new(7, 64);
        let forms = [
            (r#"{"type":"message","sender":"b7","message":"TEXT","timestamp":"t","id":41}"#, Some(41)),
            (r#"{"type": "message", "sender": "b7", "message": "TEXT", "id": 41}"#, Some(41)),
            (r#"{"id":41,"type":"message","sender":"b7","message":"TEXT","timestamp":"t"}"#, Some(41)),
            (r#"{"type":"message","id":41,"message":"TEXT","sender":"b7"}"#, Some(41)),
            (r#"{"type":"message","sender":"b7","message":"TEXT"}"#, None),
        ];
        for (form, id) in forms {
            let mut reader = Reader::new(64);
            for number in [0, 1, 99_999_999] {
                let mut bytes = Vec::new();
                template.append(&mut bytes, number, 123_456_789_012);
                let frame = wire::frame(&bytes, 0).expect("the frame is complete");
                wire::unmask(&mut bytes[frame.start..frame.end], frame.mask.expect("it is masked"));
                let sent = std::str::from_utf8(&bytes[frame.start..]).expect("it is text");
                let text = &sent[29..sent.len() - 2];
                assert_eq!(text.len(), 64);
                let want = Mark { sender: 7, number, sent_ns: 123_456_789_012 };
                assert_eq!(reader.read(&broadcast(text, form)), Some((want, id)), "{form}");
            }
            assert_eq!(reader.sees_ids(), id.is_some());
        }
    }

    #[test]
    fn frames_of_other_types_hold_no_mark() {
        let mut reader = Reader::new(64);
        for other in
            [r##"{"type":"system","message":"Welcome to the chat, #1!"}"##, r#"{"type":"user_count","count":3}"#, ""]
        {
            assert_eq!(reader.read(other.as_bytes()), None);
        }
    }
}
