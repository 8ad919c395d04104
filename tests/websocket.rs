//! What RFC 6455 asks of a server, case by case, over TCP, against `examples/echo.rs`: the parts of the Autobahn suite that
//! this program speaks (its groups 1 to 7, 9 and 10; `./test.sh --autobahn` runs the suite itself), with the exact answer
//! to each. Each case is sent whole, and again cut into small writes: an answer must not depend on that.

#[allow(dead_code, reason = "it is a program of its own too")]
#[path = "../examples/echo.rs"]
mod echo;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// For an answer that should come at once.
const WAIT: Duration = Duration::from_secs(30);
const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: echo\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASK: [u8; 4] = [0x5b, 0x00, 0xff, 0x81];

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// Without FIN: the first fragment of a text.
const TEXT_BEGINS: u8 = 0x01;
const BINARY_BEGINS: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;

/// A frame as a server sends it: first byte and payload.
type Frame = (u8, Vec<u8>);

fn server() -> SocketAddr {
    let server = echo::Echo::new(0).expect("loopback has a free port");
    let address = server.address().expect("it is bound");
    // It ends with the test program.
    std::thread::spawn(move || server.run());
    address
}

/// A client's frame.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A message in fragments of `size` bytes.
fn fragments(opcode: u8, payload: &[u8], size: usize) -> Vec<u8> {
    let count = payload.len().div_ceil(size);
    let part = |(index, part): (usize, &[u8])| {
        let opcode = if index == 0 { opcode } else { GOES_ON };
        frame(if index + 1 == count { opcode | 0x80 } else { opcode }, part)
    };
    payload.chunks(size).enumerate().flat_map(part).collect()
}

fn close(code: u16) -> Vec<u8> {
    frame(CLOSE, code.to_be_bytes())
}

/// Everything that the server sends until it hangs up.
fn read_all(stream: &mut TcpStream, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return bytes,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{name}: the server did not hang up ({error}) after {} bytes", bytes.len()),
        }
    }
}

fn parse(mut bytes: &[u8], name: &str) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [first, second, ..] = *bytes {
        let (head, len) = match second {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            127 => (10, u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes")) as usize),
            len => (2, usize::from(len)),
        };
        frames.push((first, bytes[head..head + len].to_vec()));
        bytes = &bytes[head + len..];
    }
    assert!(bytes.is_empty(), "{name}: half a frame");
    frames
}

/// Sends `bytes` on a new connection, `size` at a time, and gives the frames that come back until the server hangs up.
fn talk(address: SocketAddr, name: &str, bytes: &[u8], size: usize) -> Vec<Frame> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(WAIT)).expect("a socket takes a timeout");
    stream.set_nodelay(true).expect("a socket takes the option");
    stream.write_all(HANDSHAKE.as_bytes()).expect("it reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("it answers the handshake");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a head is ASCII");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    // Beside the reading: who only writes megabytes would wait for ever.
    let mut writer = stream.try_clone().expect("a descriptor is left");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for piece in bytes.chunks(size) {
                // A server that has refused a frame need not take the rest.
                if writer.write_all(piece).is_err() {
                    return;
                }
            }
        });
        let answer = read_all(&mut stream, name);
        parse(&answer, name)
    })
}

/// Sends the frames and expects these back, then the close frame with `code` (0: one without a code) and the end.
fn check(address: SocketAddr, name: &str, sent: &[u8], expect: &[(u8, &[u8])], code: u16) {
    let sizes = if sent.len() < 600 { &[usize::MAX, 1][..] } else { &[usize::MAX, 997][..] };
    for &size in sizes {
        let mut frames = talk(address, name, sent, size);
        let last = frames.pop().unwrap_or_else(|| panic!("{name}, {size} at a time: nothing came"));
        assert_eq!(last.0, CLOSE, "{name}, {size} at a time: the last frame is {last:?}");
        let told = last.1.get(..2).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
        assert_eq!(told, code, "{name}, {size} at a time: {:?}", String::from_utf8_lossy(&last.1));
        let is_same = frames.len() == expect.len() && frames.iter().zip(expect).all(|(a, b)| (a.0, &*a.1) == *b);
        let shapes: Vec<_> = frames.iter().map(|(first, payload)| (first, payload.len())).collect();
        assert!(is_same, "{name}, {size} at a time: came {shapes:x?}");
    }
}

/// What is sent is followed by a goodbye, which must be echoed.
fn echoes(address: SocketAddr, name: &str, sent: &[Vec<u8>], expect: &[(u8, &[u8])]) {
    check(address, name, &[sent.concat(), close(1000)].concat(), expect, 1000);
}

#[test]
fn messages_of_every_length_form_come_back() {
    let address = server();
    for len in [0, 1, 125, 126, 127, 128, 65_535, 65_536] {
        let text = vec![b'*'; len];
        echoes(address, &format!("text of {len}"), &[frame(TEXT, &text)], &[(TEXT, &text)]);
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
        echoes(address, &format!("binary of {len}"), &[frame(BINARY, &bytes)], &[(BINARY, &bytes)]);
    }
}

#[test]
fn pings_are_answered_with_what_they_say_and_pongs_with_nothing() {
    let address = server();
    let long = [0xfe; 125];
    for payload in [&b""[..], b"Hello", &[0x00, 0xff, 0xfe, 0xfd, 0x80], &long] {
        echoes(address, &format!("ping of {}", payload.len()), &[frame(PING, payload)], &[(PONG, payload)]);
    }
    check(address, "ping of 126", &frame(PING, [0xfe; 126]), &[], 1002);
    echoes(address, "a pong without a ping", &[frame(PONG, "")], &[]);
    echoes(address, "pong, then ping", &[frame(PONG, "unsolicited"), frame(PING, "here")], &[(PONG, b"here")]);
    let ten: Vec<String> = (0..10).map(|number| format!("payload-{number}")).collect();
    let pings: Vec<_> = ten.iter().map(|payload| frame(PING, payload)).collect();
    let pongs: Vec<_> = ten.iter().map(|payload| (PONG, payload.as_bytes())).collect();
    echoes(address, "ten pings", &pings, &pongs);
}

#[test]
fn reserved_bits_and_opcodes_are_refused_and_what_came_before_is_answered() {
    let address = server();
    let before = frame(TEXT, "before");
    for bits in 1..8 {
        for first in [TEXT, BINARY, PING, PONG, CLOSE] {
            let bad = frame(first | bits << 4, "x");
            check(address, "a reserved bit", &[before.clone(), bad].concat(), &[(TEXT, b"before")], 1002);
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in ["", "reserved opcode"] {
            let after = frame(TEXT, "after");
            let sent = [before.clone(), frame(0x80 | opcode, payload), after].concat();
            check(address, "a reserved opcode", &sent, &[(TEXT, b"before")], 1002);
        }
    }
}

#[test]
fn frames_that_a_client_may_not_send_are_refused() {
    let address = server();
    check(address, "no mask", &[TEXT, 1, b'x'], &[], 1002);
    check(address, "one byte as two", &[TEXT, 0xfe, 0, 1, 0, 0, 0, 0, b'x'], &[], 1002);
    check(address, "one byte as eight", &[TEXT, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, b'x'], &[], 1002);
    check(address, "a length with its top bit", &[TEXT, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 1009);
    let over = 16 * 1024 * 1024 + 1_u64;
    check(address, "over the limit", &[&[TEXT, 0xff][..], &over.to_be_bytes(), &MASK].concat(), &[], 1009);
}

#[test]
fn fragments_are_put_together_and_their_order_is_kept_to() {
    let address = server();
    let (one, two) = ("fragment1", "fragment2");
    let both: &[u8] = b"fragment1fragment2";
    check(address, "ping in fragments", &[frame(PING & 0x7f, one), frame(ENDS, two)].concat(), &[], 1002);
    check(address, "pong in fragments", &[frame(PONG & 0x7f, one), frame(ENDS, two)].concat(), &[], 1002);
    check(address, "close in fragments", &[frame(CLOSE & 0x7f, "\u{3}"), frame(ENDS, "x")].concat(), &[], 1002);
    echoes(address, "two", &[frame(TEXT_BEGINS, one), frame(ENDS, two)], &[(TEXT, both)]);
    echoes(address, "two, binary", &[frame(BINARY_BEGINS, one), frame(ENDS, two)], &[(BINARY, both)]);
    echoes(
        address,
        "empty ones",
        &[frame(TEXT_BEGINS, ""), frame(GOES_ON, "middle"), frame(GOES_ON, ""), frame(ENDS, "")],
        &[(TEXT, b"middle")],
    );
    echoes(address, "only empty ones", &[frame(TEXT_BEGINS, ""), frame(GOES_ON, ""), frame(ENDS, "")], &[(TEXT, b"")]);
    echoes(
        address,
        "a ping between",
        &[frame(TEXT_BEGINS, one), frame(PING, "ping"), frame(ENDS, two)],
        &[(PONG, b"ping"), (TEXT, both)],
    );
    let five = [
        frame(TEXT_BEGINS, "a"),
        frame(GOES_ON, "b"),
        frame(PING, "1"),
        frame(GOES_ON, "c"),
        frame(GOES_ON, "d"),
        frame(PING, "2"),
        frame(ENDS, "e"),
    ];
    echoes(address, "pings between five", &five, &[(PONG, b"1"), (PONG, b"2"), (TEXT, b"abcde")]);
    let whole = frame(TEXT, "whole");
    for first in [GOES_ON, ENDS] {
        let lost = [frame(first, "goes on with nothing"), whole.clone()].concat();
        check(address, "nothing to go on with", &lost, &[], 1002);
        let after_one = [frame(TEXT_BEGINS, one), frame(ENDS, two), frame(first, "nothing")].concat();
        check(address, "nothing to go on with any more", &after_one, &[(TEXT, both)], 1002);
    }
    for first in [TEXT, BINARY, TEXT_BEGINS, BINARY_BEGINS] {
        let inside = [frame(TEXT_BEGINS, one), frame(first, two)].concat();
        check(address, "a message inside a message", &inside, &[], 1002);
    }
}

#[test]
fn text_is_utf8_and_what_is_not_is_refused() {
    let address = server();
    let greeting = "Hello-µ@ßöäüàá-UTF-8!!";
    let bytes = greeting.as_bytes();
    echoes(address, "whole", &[frame(TEXT, greeting)], &[(TEXT, bytes)]);
    echoes(
        address,
        "cut in a character",
        &[frame(TEXT_BEGINS, &bytes[..7]), frame(ENDS, &bytes[7..])],
        &[(TEXT, bytes)],
    );
    echoes(address, "byte by byte", &[fragments(TEXT_BEGINS, bytes, 1)], &[(TEXT, bytes)]);
    for text in
        ["\0", "\u{80}", "\u{800}", "\u{10000}", "\u{7f}", "\u{7ff}", "\u{ffff}", "\u{10ffff}", "\u{d7ff}", "\u{e000}"]
    {
        echoes(address, &format!("{text:?}"), &[frame(TEXT, text)], &[(TEXT, text.as_bytes())]);
    }
    // No characters, but code points: RFC 3629 allows them.
    for plane in 0..=0x10_u32 {
        let text: String =
            [0xfffe, 0xffff].iter().map(|low| char::from_u32(plane << 16 | low).expect("no surrogate")).collect();
        echoes(address, &format!("{text:?}"), &[frame(TEXT, &text)], &[(TEXT, text.as_bytes())]);
    }
    let bad: &[&[u8]] = &[
        // Continuation bytes of nothing, and every byte that is never in UTF-8.
        b"\x80",
        b"\xbf",
        b"\x80\xbf\x80\xbf",
        b"\xc0",
        b"\xc1",
        b"\xf5",
        b"\xf8",
        b"\xfc",
        b"\xfe",
        b"\xff",
        // A beginning that nothing goes on with.
        b"\xc2 ",
        b"\xdf ",
        b"\xe0 ",
        b"\xef ",
        b"\xf0 ",
        b"\xf4 ",
        b"\xe1\x80 ",
        b"\xf1\x80\x80 ",
        // The end of the text inside a character.
        b"\xdf",
        b"\xef\xbf",
        b"\xf1\xbf\xbf",
        b"\xce\xba\xe1\xbd",
        // Longer than need be: a slash, the last of each length, NUL.
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xf8\x80\x80\x80\xaf",
        b"\xfc\x80\x80\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xf0\x80\x80\x80",
        // Surrogates, alone and in pairs.
        b"\xed\xa0\x80",
        b"\xed\xad\xbf",
        b"\xed\xae\x80",
        b"\xed\xaf\xbf",
        b"\xed\xb0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xed\xaf\xbf\xed\xbf\xbf",
        // Over U+10FFFF.
        b"\xf4\x90\x80\x80",
        b"\xf7\xbf\xbf\xbf",
    ];
    for bad in bad {
        let name = format!("{bad:x?}");
        check(address, &name, &[frame(TEXT, bad), close(1000)].concat(), &[], 1007);
        check(address, &name, &[frame(TEXT, ["κόσμε".as_bytes(), bad].concat()), close(1000)].concat(), &[], 1007);
        check(address, &name, &[fragments(TEXT_BEGINS, bad, 1), close(1000)].concat(), &[], 1007);
        echoes(address, &name, &[frame(BINARY, bad)], &[(BINARY, bad)]);
    }
    // Nothing more than the bad byte is waited for: neither the end of the fragment nor that of the frame.
    let text = [bytes, &[0xff], bytes].concat();
    let whole = frame(TEXT, &text);
    check(address, "half a frame", &whole[..whole.len() - bytes.len()], &[], 1007);
    let begun = [frame(TEXT_BEGINS, &text[..10]), frame(GOES_ON, &text[10..])].concat();
    check(address, "half a fragment", &begun[..begun.len() - bytes.len()], &[], 1007);
}

#[test]
fn a_close_is_echoed_and_nothing_after_it_is_heard() {
    let address = server();
    let (hello, closed) = (frame(TEXT, "Hello"), close(1000));
    check(address, "close", &closed, &[], 1000);
    check(address, "twice", &[closed.clone(), closed.clone()].concat(), &[], 1000);
    check(address, "text behind", &[hello.clone(), closed.clone(), hello.clone()].concat(), &[(TEXT, b"Hello")], 1000);
    check(address, "ping behind", &[closed.clone(), frame(PING, "late")].concat(), &[], 1000);
    let open = [frame(TEXT_BEGINS, "one"), closed.clone(), frame(ENDS, "two")].concat();
    check(address, "inside a message", &open, &[], 1000);
    let large = vec![b'B'; 256 * 1024];
    echoes(address, "behind 256 KiB", &[frame(TEXT, &large), hello], &[(TEXT, &large), (TEXT, b"Hello")]);
    check(address, "without a code", &frame(CLOSE, ""), &[], 0);
    check(address, "half a code", &frame(CLOSE, "x"), &[], 1002);
    let reason = |len: usize| frame(CLOSE, [&1000_u16.to_be_bytes()[..], &vec![b'*'; len]].concat());
    check(address, "with a reason", &reason(10), &[], 1000);
    check(address, "the longest reason", &reason(123), &[], 1000);
    check(address, "too long a reason", &reason(124), &[], 1002);
    check(address, "a reason that is no UTF-8", &frame(CLOSE, b"\x03\xe8\xce\xba\xed\xa0\x80"), &[], 1007);
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        check(address, &format!("code {code}"), &close(code), &[], code);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check(address, &format!("code {code}"), &close(code), &[], 1002);
    }
}

#[test]
fn large_messages_come_back_however_they_are_cut() {
    let address = server();
    let text: Vec<u8> = "grüße ".bytes().cycle().take(7 * 150_000).collect();
    echoes(address, "1 MB", &[frame(TEXT, &text)], &[(TEXT, &text)]);
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| (at.wrapping_mul(at) >> 3) as u8).collect();
    for size in [64, 1300, 65_536] {
        let name = format!("1 MB in fragments of {size}");
        echoes(address, &name, &[fragments(TEXT_BEGINS, &text, size)], &[(TEXT, &text)]);
        echoes(address, &name, &[fragments(BINARY_BEGINS, &bytes, size)], &[(BINARY, &bytes)]);
    }
    let lines: Vec<Vec<u8>> = (0..1000).map(|number| format!("line {number}").into_bytes()).collect();
    let sent: Vec<_> = lines.iter().map(|line| frame(TEXT, line)).collect();
    let expect: Vec<_> = lines.iter().map(|line| (TEXT, &**line)).collect();
    echoes(address, "1000 messages", &sent, &expect);
}
