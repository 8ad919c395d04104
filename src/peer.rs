//! Who is at the other end: addresses, which of them are proxies that are believed, and what those say about others.
//!
//! Pure: takes addresses and texts, gives addresses. `proxy` reads the PROXY protocol's header.

pub mod proxy;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address; one of IPv4 inside IPv6 is written as IPv4.
    Ip(IpAddr),
    /// A program on this machine, through the Unix socket.
    Unix,
}

impl Peer {
    /// Whether it is on this machine.
    pub fn is_local(self) -> bool {
        match self {
            Peer::Ip(ip) => ip.is_loopback(),
            Peer::Unix => true,
        }
    }

    /// What its connections are counted under: its address, or its /64 of IPv6, which is what one subscriber has at
    /// least (RFC 6177). `None` for this machine, which is never counted.
    pub fn network(self) -> Option<IpAddr> {
        match self {
            _ if self.is_local() => None,
            Peer::Unix => None,
            Peer::Ip(IpAddr::V4(four)) => Some(four.into()),
            Peer::Ip(IpAddr::V6(six)) => Some(Ipv6Addr::from(u128::from(six) & !u128::from(u64::MAX)).into()),
        }
    }
}

impl From<IpAddr> for Peer {
    fn from(ip: IpAddr) -> Peer {
        Peer::Ip(ip.to_canonical())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ip(ip) => ip.fmt(f),
            Peer::Unix => f.write_str("unix:"),
        }
    }
}

/// A block of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    base: IpAddr,
    prefix: u8,
}

impl Block {
    fn parse(text: &str) -> Result<Block, &'static str> {
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr =
            base.parse().map_err(|_| "want an address such as 10.0.0.1, or a block such as 10.0.0.0/8")?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(digits) => match digits.parse::<u8>() {
                Ok(prefix) if prefix <= most && digits.bytes().all(|byte| byte.is_ascii_digit()) => prefix,
                _ if most == 32 => return Err("want 0 to 32 behind the slash"),
                _ => return Err("want 0 to 128 behind the slash"),
            },
        };
        let block = Block { base, prefix };
        if bits(base) & !block.mask() != 0 {
            return Err("has bits set behind its prefix: it would cover other addresses than it names");
        }
        Ok(block)
    }

    fn mask(self) -> u128 {
        // IPv4 lies in the upper 32 bits, so that one rule serves both.
        if self.prefix == 0 { 0 } else { u128::MAX << (128 - u32::from(self.prefix)) }
    }

    fn has(self, ip: IpAddr) -> bool {
        self.base.is_ipv4() == ip.is_ipv4() && bits(ip) & self.mask() == bits(self.base)
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(four) => u128::from(u32::from(four)) << 96,
        IpAddr::V6(six) => six.into(),
    }
}

/// The proxies that are believed when they say for whom they speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted(Vec<Block>);

impl Trusted {
    /// From a list such as `127.0.0.1, 10.0.0.0/8`. The error names the entry and says what would be right.
    pub fn parse(text: &str) -> Result<Trusted, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let block = |part| Block::parse(part).map_err(|want| format!("{part:?}: {want}"));
        parts.map(block).collect::<Result<_, _>>().map(Trusted)
    }

    /// Whether it is believed. Who can open the Unix socket was let in by the file's mode.
    pub fn has(&self, peer: Peer) -> bool {
        match peer {
            Peer::Unix => true,
            Peer::Ip(ip) => self.0.iter().any(|block| block.has(ip)),
        }
    }

    /// The client for whom `peer` speaks, by the values of its `X-Forwarded-For` lines, in order.
    ///
    /// Each proxy adds whom it was asked by at the right: the rightmost address that is no proxy of ours is the last
    /// that can be believed. If all are ours, the leftmost is where it began. `peer` itself if it is not believed,
    /// if there is no such line, or if one of the values looked at is no address: then nothing of it can be believed.
    pub fn client<'a>(&self, peer: Peer, lines: impl Iterator<Item = &'a str>) -> Peer {
        if !self.has(peer) {
            return peer;
        }
        let lines: Vec<&str> = lines.collect();
        let mut client = peer;
        for value in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Some(ip) = forwarded(value.trim_matches([' ', '\t'])) else { return peer };
            client = ip.into();
            if !self.has(client) {
                break;
            }
        }
        client
    }
}

/// `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:1234`.
fn forwarded(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (six, port) = rest.split_once(']')?;
        let is_right = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return is_right.then(|| six.parse().ok().map(IpAddr::V6)).flatten();
    }
    match text.split_once(':') {
        Some((four, port)) if !port.contains(':') => is_port(port).then(|| four.parse().ok().map(IpAddr::V4)).flatten(),
        _ => text.parse().ok(),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Peer {
        text.parse::<IpAddr>().expect("a test writes addresses").into()
    }

    #[test]
    fn a_block_holds_its_addresses_and_no_others() {
        for (list, inside, outside) in [
            ("10.0.0.0/8", &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"][..], &["11.0.0.0", "9.255.255.255"][..]),
            ("192.0.2.7", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8", "::192.0.2.7"]),
            ("0.0.0.0/0", &["1.2.3.4"], &["::1"]),
            ("::/0", &["::1", "2001:db8::1"], &["1.2.3.4"]),
            ("fd00::/8, ::1", &["fd12::1", "::1"], &["fe80::1", "::2"]),
            ("203.0.113.128/25", &["203.0.113.128", "203.0.113.255"], &["203.0.113.127"]),
        ] {
            let trusted = Trusted::parse(list).unwrap();
            assert!(inside.iter().all(|text| trusted.has(ip(text))), "{list}");
            assert!(!outside.iter().any(|text| trusted.has(ip(text))), "{list}");
        }
        assert_eq!(Trusted::parse(" ,").unwrap(), Trusted::default());
        assert!(!Trusted::default().has(ip("127.0.0.1")));
        assert!(Trusted::default().has(Peer::Unix));
    }

    #[test]
    fn a_block_that_is_not_understood_is_told() {
        let address = "want an address such as 10.0.0.1, or a block such as 10.0.0.0/8";
        let bits = "has bits set behind its prefix: it would cover other addresses than it names";
        for (text, told) in [
            ("10.0.0", address),
            ("localhost", address),
            ("/8", address),
            ("10.0.0.1/", "want 0 to 32 behind the slash"),
            ("10.0.0.0/33", "want 0 to 32 behind the slash"),
            ("10.0.0.0/+8", "want 0 to 32 behind the slash"),
            ("::/129", "want 0 to 128 behind the slash"),
            ("10.0.0.1/8", bits),
            ("fd00::1/64", bits),
        ] {
            assert_eq!(Trusted::parse(text).unwrap_err(), format!("{text:?}: {told}"));
        }
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_no_proxy_of_ours() {
        let trusted = Trusted::parse("127.0.0.1,10.0.0.0/8,fd00::/8").unwrap();
        for (peer, lines, expect) in [
            ("127.0.0.1", &["192.0.2.1"][..], "192.0.2.1"),
            ("127.0.0.1", &["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["198.51.100.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            ("127.0.0.1", &["198.51.100.9,192.0.2.1", "10.0.0.2,\t10.0.0.3"], "192.0.2.1"),
            ("127.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            ("127.0.0.1", &["127.0.0.1, 192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["192.0.2.1:4711"], "192.0.2.1"),
            ("127.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("127.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("127.0.0.1", &["[2001:db8::1]:80"], "2001:db8::1"),
            ("127.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1"),
            // Who is not believed is who it is.
            ("192.0.2.200", &["198.51.100.9"], "192.0.2.200"),
            // Nothing said, or nothing that can be read: the proxy itself.
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.1, "], "127.0.0.1"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.1, unknown, 10.0.0.2"], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.256"], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.1:"], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.1:99999"], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.1:+80"], "127.0.0.1"),
            ("127.0.0.1", &["[192.0.2.1]"], "127.0.0.1"),
            ("127.0.0.1", &["[2001:db8::1]x"], "127.0.0.1"),
            ("127.0.0.1", &["[2001:db8::1"], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.1 198.51.100.9"], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.01"], "127.0.0.1"),
            // What is left of the last that can be believed is not looked at: anybody may have written it.
            ("127.0.0.1", &["junk, 192.0.2.1"], "192.0.2.1"),
        ] {
            assert_eq!(trusted.client(ip(peer), lines.iter().copied()), ip(expect), "{peer} {lines:?}");
        }
        let client = Trusted::default().client(Peer::Unix, ["192.0.2.1"].into_iter());
        assert_eq!(client, ip("192.0.2.1"));
        assert_eq!(Trusted::default().client(Peer::Unix, [].into_iter()), Peer::Unix);
    }

    #[test]
    fn connections_are_counted_by_address_and_in_ipv6_by_64_bits_but_not_on_this_machine() {
        for (peer, network) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1:2::")),
            ("127.0.0.9", None),
            ("::1", None),
        ] {
            assert_eq!(ip(peer).network(), network.map(|text| text.parse().unwrap()), "{peer}");
        }
        assert_eq!(Peer::Unix.network(), None);
        assert_eq!((Peer::Unix.to_string(), ip("::1").to_string()), ("unix:".into(), "::1".into()));
    }
}
