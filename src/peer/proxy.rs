//! The PROXY protocol's header, versions 1 and 2: who is at the far side of a proxy that only passes bytes on.
//!
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>. Pure: bytes in, an address out. Only to be read
//! from a peer that is believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a version 1 header with its line end (section 2.1).
pub const V1_BYTES_MAX: usize = 107;
/// Bytes of a version 2 header with its addresses and all that follows them; the protocol itself allows 64 KiB.
pub const V2_BYTES_MAX: usize = 4 * 1024;

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const V2_FIXED_BYTES: usize = 16;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preface {
    /// The beginning of a header, or of what may become one: read on.
    Open,
    /// No header: all of it belongs to the first request.
    Absent,
    /// A header.
    Header {
        /// The client; `None` where the proxy speaks for itself or does not know.
        client: Option<IpAddr>,
        /// Bytes of the header; the first request begins behind them.
        len: usize,
    },
}

/// Reads the header at the front of `bytes`.
///
/// How the bytes were split into reads changes nothing in what comes out. The error says what is wrong with a header
/// that was begun; the connection must then be closed (section 2).
pub fn parse(bytes: &[u8]) -> Result<Preface, &'static str> {
    if starts(bytes, V1_SIGNATURE) {
        return parse_v1(bytes);
    }
    if starts(bytes, V2_SIGNATURE) {
        return parse_v2(bytes);
    }
    Ok(Preface::Absent)
}

/// Whether the bytes begin with the signature, as far as they have come.
fn starts(bytes: &[u8], signature: &[u8]) -> bool {
    let count = bytes.len().min(signature.len());
    bytes[..count] == signature[..count]
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 4711 80`, CRLF (section 2.1).
fn parse_v1(bytes: &[u8]) -> Result<Preface, &'static str> {
    let seen = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = seen.iter().position(|&byte| matches!(byte, b'\r' | b'\n')) else {
        return if bytes.len() < V1_BYTES_MAX { Ok(Preface::Open) } else { Err("has no end within 107 bytes") };
    };
    match (seen[end], bytes.get(end + 1)) {
        (b'\r', Some(b'\n')) if end + 2 <= V1_BYTES_MAX => {}
        (b'\r', None) if end + 2 <= V1_BYTES_MAX => return Ok(Preface::Open),
        (b'\r', Some(b'\n') | None) => return Err("has no end within 107 bytes"),
        _ => return Err("ends without CRLF"),
    }
    let line = std::str::from_utf8(&seen[V1_SIGNATURE.len().min(end)..end]).map_err(|_| "is not ASCII")?;
    let client = match line.split(' ').collect::<Vec<_>>()[..] {
        // What an unknown connection's line says further is to be ignored.
        ["UNKNOWN", ..] => None,
        ["TCP4", from, to, from_port, to_port] => {
            let (from, _) = (from.parse::<Ipv4Addr>(), to.parse::<Ipv4Addr>().map_err(|_| "has a bad address")?);
            check_ports(from_port, to_port)?;
            Some(IpAddr::V4(from.map_err(|_| "has a bad address")?))
        }
        ["TCP6", from, to, from_port, to_port] => {
            let (from, _) = (from.parse::<Ipv6Addr>(), to.parse::<Ipv6Addr>().map_err(|_| "has a bad address")?);
            check_ports(from_port, to_port)?;
            Some(IpAddr::V6(from.map_err(|_| "has a bad address")?).to_canonical())
        }
        ["TCP4" | "TCP6", ..] => return Err("has not two addresses and two ports, with one space between"),
        _ => return Err("is neither of TCP4 nor of TCP6 nor UNKNOWN"),
    };
    Ok(Preface::Header { client, len: end + 2 })
}

/// Decimal, without sign and leading zeros.
fn check_ports(from: &str, to: &str) -> Result<(), &'static str> {
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port.to_string() == text);
    if is_port(from) && is_port(to) { Ok(()) } else { Err("has a bad port") }
}

/// Section 2.2. What follows the addresses (TLVs) says nothing to us and is skipped.
fn parse_v2(bytes: &[u8]) -> Result<Preface, &'static str> {
    // Judged as soon as it is there: who speaks another version learns it at once.
    let command = match bytes.get(12) {
        Some(byte) if byte >> 4 != 2 => return Err("is not of version 2"),
        Some(byte) if byte & 15 > 1 => return Err("has an unknown command"),
        Some(byte) => byte & 15,
        None => return Ok(Preface::Open),
    };
    let Some(fixed) = bytes.get(..V2_FIXED_BYTES) else { return Ok(Preface::Open) };
    let len = V2_FIXED_BYTES + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if len > V2_BYTES_MAX {
        return Err("is longer than 4096 bytes");
    }
    let want = match (command, fixed[13]) {
        // The proxy asks for itself: whatever else it says is to be ignored.
        (0, _) | (_, 0x00) => 0,
        (_, 0x11) => 12,
        (_, 0x21) => 36,
        (_, 0x31) => 216,
        (_, 0x12 | 0x22 | 0x32) => return Err("is of a datagram"),
        _ => return Err("has an unknown family"),
    };
    if len - V2_FIXED_BYTES < want {
        return Err("is too short for its addresses");
    }
    let Some(rest) = bytes.get(V2_FIXED_BYTES..len) else { return Ok(Preface::Open) };
    let client = match want {
        12 => Some(IpAddr::from([rest[0], rest[1], rest[2], rest[3]])),
        36 => {
            let six: [u8; 16] = rest[..16].try_into().expect("36 bytes are there");
            Some(IpAddr::from(six).to_canonical())
        }
        // A proxy's own Unix socket says nothing about an address.
        _ => None,
    };
    Ok(Preface::Header { client, len })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(version_command: u8, family: u8, len: u16, rest: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend_from_slice(&[version_command, family]);
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes
    }

    fn four() -> Vec<u8> {
        vec![192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 80]
    }

    fn six() -> Vec<u8> {
        let mut bytes = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets().to_vec();
        bytes.extend_from_slice(&[0; 20]);
        bytes
    }

    /// The expected client, or `None` for a header that names none.
    fn wellformed() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let line = |text: &str| text.as_bytes().to_vec();
        let longest = format!("PROXY TCP6 {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        let unknown = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 16));
        let with_tlvs = [four(), vec![0x04, 0, 3, 1, 2, 3]].concat();
        let widest = [four(), vec![0; V2_BYTES_MAX - 28]].concat();
        vec![
            (line("PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n"), Some("192.0.2.1")),
            (line("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), Some("0.0.0.0")),
            (line("PROXY TCP6 2001:db8::7 ::1 4711 80\r\n"), Some("2001:db8::7")),
            (line("PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 80\r\n"), Some("192.0.2.1")),
            (longest.into_bytes(), Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
            (line("PROXY UNKNOWN\r\n"), None),
            (line("PROXY UNKNOWN ffff::1 what ever\r\n"), None),
            (unknown.into_bytes(), None),
            (v2(0x21, 0x11, 12, &four()), Some("192.0.2.1")),
            (v2(0x21, 0x21, 36, &six()), Some("2001:db8::7")),
            (v2(0x21, 0x11, 18, &with_tlvs), Some("192.0.2.1")),
            (v2(0x21, 0x11, (V2_BYTES_MAX - 16) as u16, &widest), Some("192.0.2.1")),
            (v2(0x20, 0x00, 0, b""), None),
            (v2(0x20, 0x11, 12, &four()), None),
            (v2(0x20, 0x77, 3, b"abc"), None),
            (v2(0x21, 0x00, 0, b""), None),
            (v2(0x21, 0x00, 5, b"abcde"), None),
            (v2(0x21, 0x31, 216, &[b'/'; 216]), None),
        ]
    }

    #[test]
    fn a_header_is_read_however_it_was_split_and_what_follows_is_left() {
        for (bytes, client) in wellformed() {
            let len = bytes.len();
            let client = client.map(|text| text.parse().unwrap());
            for rest in ["", "GET / HTTP/1.1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "\0"] {
                let all = [&bytes, rest.as_bytes()].concat();
                assert_eq!(parse(&all), Ok(Preface::Header { client, len }), "{all:?}");
            }
            for end in 0..len {
                assert_eq!(parse(&bytes[..end]), Ok(Preface::Open), "{end} bytes of {bytes:?}");
            }
        }
    }

    #[test]
    fn what_begins_like_no_header_belongs_to_the_first_request() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\n",
            b"PROPFIND / HTTP/1.1\r\n",
            b"PROXY/ HTTP/1.1",
            b"PROXYTCP4 1.1.1.1",
            b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
            b" PROXY UNKNOWN\r\n",
            b"\r\nGET / HTTP/1.1\r\n",
            b"\r\n\r\nGET / HTTP/1.1\r\n",
            b"\r\n\r\n\0\r\nQUIT\r",
            b"\0",
        ] {
            assert_eq!(parse(bytes), Ok(Preface::Absent), "{bytes:?}");
        }
    }

    #[test]
    fn each_malformed_header_is_refused_with_what_is_wrong() {
        let address = "has a bad address";
        let port = "has a bad port";
        let words = "has not two addresses and two ports, with one space between";
        let family = "is neither of TCP4 nor of TCP6 nor UNKNOWN";
        for (line, told) in [
            ("PROXY \r\n", family),
            ("PROXY TCP\r\n", family),
            ("PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", family),
            ("PROXY tcp4 1.1.1.1 1.1.1.1 1 1\r\n", family),
            ("PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n", family),
            ("PROXY UNKNOWNX\r\n", family),
            ("PROXY \u{e9}\r\n", family),
            ("PROXY TCP4\r\n", words),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", words),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n", words),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n", words),
            ("PROXY TCP4 1.1.1.1  1.1.1.1 1 1\r\n", words),
            ("PROXY TCP6 ::1 ::1\r\n", words),
            ("PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n", address),
            ("PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n", address),
            ("PROXY TCP4 1.1.1.01 1.1.1.1 1 1\r\n", address),
            ("PROXY TCP4 1.1.1.1 x 1 1\r\n", address),
            ("PROXY TCP4 ::1 ::1 1 1\r\n", address),
            ("PROXY TCP4 1.1.1.1\t 1.1.1.1 1 1\r\n", address),
            ("PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n", address),
            ("PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n", address),
            ("PROXY TCP6 [::1] ::1 1 1\r\n", address),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n", port),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n", port),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n", port),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n", port),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 1 \r\n", port),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", "ends without CRLF"),
            ("PROXY UNKNOWN\n", "ends without CRLF"),
            ("PROXY UNKNOWN\rx", "ends without CRLF"),
            ("PROXY UNKNOWN\r\r\n", "ends without CRLF"),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(told), "{line:?}");
        }
        assert_eq!(parse(b"PROXY \xff\r\n"), Err("is not ASCII"));
        for bytes in [108, 200, 70_000] {
            let line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(bytes - 16));
            assert_eq!(parse(line.as_bytes()), Err("has no end within 107 bytes"), "{bytes}");
        }
        let open = format!("PROXY UNKNOWN {}", "x".repeat(93));
        assert_eq!(parse(open.as_bytes()), Err("has no end within 107 bytes"));
        // Its CR is byte 107: the LF would be too much.
        let late = format!("PROXY UNKNOWN {}\r", "x".repeat(92));
        assert_eq!((late.len(), parse(late.as_bytes())), (107, Err("has no end within 107 bytes")));

        let short = "is too short for its addresses";
        for (bytes, told) in [
            (v2(0x11, 0x11, 12, &four()), "is not of version 2"),
            (v2(0x31, 0x11, 12, &four()), "is not of version 2"),
            (v2(0x01, 0x11, 12, &four()), "is not of version 2"),
            (v2(0x22, 0x11, 12, &four()), "has an unknown command"),
            (v2(0x2f, 0x11, 12, &four()), "has an unknown command"),
            (v2(0x21, 0x11, 0, b""), short),
            (v2(0x21, 0x11, 11, &four()), short),
            (v2(0x21, 0x21, 35, &six()), short),
            (v2(0x21, 0x31, 215, &[0; 215]), short),
            (v2(0x21, 0x12, 12, &four()), "is of a datagram"),
            (v2(0x21, 0x22, 36, &six()), "is of a datagram"),
            (v2(0x21, 0x32, 216, &[0; 216]), "is of a datagram"),
            (v2(0x21, 0x10, 12, &four()), "has an unknown family"),
            (v2(0x21, 0x41, 12, &four()), "has an unknown family"),
            (v2(0x21, 0xff, 12, &four()), "has an unknown family"),
            (v2(0x21, 0x11, 4081, &four()), "is longer than 4096 bytes"),
            (v2(0x21, 0x11, 65535, &four()), "is longer than 4096 bytes"),
            (v2(0x20, 0x00, 65535, b""), "is longer than 4096 bytes"),
        ] {
            assert_eq!(parse(&bytes), Err(told), "{bytes:?}");
        }
    }

    /// Random bytes, headers with a byte changed, headers cut and lengthened: never a panic; what is decided stays so
    /// however much follows; and a decision is always made within the longest header.
    #[test]
    fn whatever_comes_is_decided_within_the_longest_header_and_more_bytes_change_nothing() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below as u64) as usize
        };
        let headers = wellformed();
        for round in 0..40_000 {
            let mut bytes = headers[random(headers.len())].0.clone();
            for _ in 0..random(4) {
                let at = random(bytes.len().min(60));
                bytes[at] = random(256) as u8;
            }
            match round % 4 {
                0 => bytes.truncate(random(bytes.len() + 1)),
                1 => bytes.extend((0..random(200)).map(|n| n as u8)),
                _ => {}
            }
            let whole = parse(&bytes);
            for end in (0..bytes.len()).take(120) {
                let part = parse(&bytes[..end]);
                assert!(part == Ok(Preface::Open) || part == whole, "{end} bytes of {bytes:?}: {part:?}, {whole:?}");
            }
            if let Ok(Preface::Header { len, .. }) = whole {
                assert!(len <= bytes.len() && len <= V2_BYTES_MAX);
            }
            bytes.resize(V2_BYTES_MAX, b'x');
            assert_ne!(parse(&bytes), Ok(Preface::Open), "{bytes:?}");
        }
    }
}
