//! The little of RFC 6455 that a load generator and a yardstick need: frames, and the upgrade.
//!
//! No continuation frames, no extensions: no server here sends them for a short text.

pub const TEXT: u8 = 0x1;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;

/// A real client draws a fresh mask for each frame; it costs the server the same.
pub const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0xe9];

/// One frame at the front of a buffer: where its payload lies and where it ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    pub start: usize,
    pub end: usize,
}

/// Finds the frame that begins at `bytes[at]`, or `None` if it is not complete yet.
#[inline]
pub fn frame(bytes: &[u8], at: usize) -> Option<Frame> {
    let first = *bytes.get(at)?;
    let second = *bytes.get(at + 1)?;
    let (length, mut start) = match second & 0x7f {
        126 => {
            let field = bytes.get(at + 2..at + 4)?;
            (usize::from(u16::from_be_bytes([field[0], field[1]])), at + 4)
        }
        127 => {
            let field = bytes.get(at + 2..at + 10)?;
            let field = <[u8; 8]>::try_from(field).expect("the slice has eight bytes");
            (usize::try_from(u64::from_be_bytes(field)).ok()?, at + 10)
        }
        short => (usize::from(short), at + 2),
    };
    let mut mask = None;
    if second & 0x80 != 0 {
        mask = Some(<[u8; 4]>::try_from(bytes.get(start..start + 4)?).ok()?);
        start += 4;
    }
    let end = start.checked_add(length)?;
    (end <= bytes.len()).then_some(Frame { opcode: first & 0x0f, mask, start, end })
}

/// Appends a frame as a server sends it: final, unmasked.
pub fn append_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    append_head(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// Appends a frame as a client sends it: final, masked with [`MASK`].
pub fn append_masked_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    append_head(out, opcode, payload.len(), 0x80);
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Appends the head alone; `mask_bit` is 0x80 where a mask follows.
pub fn append_head(out: &mut Vec<u8>, opcode: u8, length: usize, mask_bit: u8) {
    out.push(0x80 | opcode);
    match length {
        0..126 => out.push(mask_bit | length as u8),
        126..=0xffff => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let mut words = payload.chunks_exact_mut(4);
    for word in &mut words {
        for (byte, mask) in word.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// The request that asks for the upgrade. The key is a constant: nobody caches these answers.
pub fn upgrade_request(host: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// Length of the HTTP head at the front of `bytes`, its blank line included; `None` while it is not whole.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The answer that grants the upgrade, or `None` where the request has no key.
pub fn upgrade_answer(head: &str) -> Option<Vec<u8>> {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value.trim())
    })?;
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    Some(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_any_length_is_found_whole_and_never_before_it_is_complete() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 70000] {
            let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let mut plain = b"xx".to_vec();
            append_frame(&mut plain, TEXT, &payload);
            let found = frame(&plain, 2).expect("the frame is complete");
            assert_eq!(&plain[found.start..found.end], &payload[..]);
            assert_eq!(found.end, plain.len());
            assert_eq!(frame(&plain[..plain.len() - 1], 2), None, "length {length}");

            let mut masked = Vec::new();
            append_masked_frame(&mut masked, TEXT, &payload);
            let found = frame(&masked, 0).expect("the frame is complete");
            unmask(&mut masked[found.start..found.end], found.mask.expect("it is masked"));
            assert_eq!(&masked[found.start..], &payload[..]);
        }
    }

    #[test]
    fn the_answer_to_the_key_of_the_rfc_is_the_one_in_the_rfc() {
        let request = String::from_utf8(upgrade_request("localhost", "/ws")).expect("it is text");
        let answer = upgrade_answer(&request).expect("it has a key");
        assert!(String::from_utf8(answer).expect("text").contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }
}
