//! `catchup health`: asks a server that runs whether it is alive, for those who watch over it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for connecting, and for the answer.
const WAIT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 1024;

/// Where a server with these settings is found from its own machine: `http://127.0.0.1:8000/healthz`, or
/// `unix:PATH` if it listens on no port.
pub fn own_url(host: Option<IpAddr>, port: u16, unix: Option<&Path>) -> Option<String> {
    let host = host.map(|host| match host {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        host => host,
    });
    let tcp = host.map(|host| format!("http://{}/healthz", SocketAddr::new(host, port)));
    tcp.or_else(|| unix.map(|path| format!("unix:{}", path.display())))
}

/// Asks `http://host[:port][/path]`, or `unix:PATH` for `/healthz`. An answer of 200 is good; the error is one line that
/// says what was got instead.
pub fn ask(url: &str) -> Result<(), String> {
    let first = match url.strip_prefix("unix:") {
        Some(path) => {
            let wrong = |error| format!("health: {url} does not answer: {error}");
            let stream = UnixStream::connect(path).map_err(wrong)?;
            let limits = stream.set_read_timeout(Some(WAIT)).and_then(|()| stream.set_write_timeout(Some(WAIT)));
            limits.and_then(|()| exchange(stream, "localhost", "/healthz")).map_err(wrong)?
        }
        None => {
            let is_plain = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_graphic());
            let is_good = |rest: &&str| !rest.is_empty() && !rest.starts_with('/') && is_plain(rest);
            let rest = url.strip_prefix("http://").filter(is_good);
            let rest =
                rest.ok_or(format!("health: {url:?} is no address: want http://host[:port][/path], or unix:PATH"))?;
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let path = if path.is_empty() { "/healthz" } else { path };
            ask_tcp(authority, path).map_err(|error| format!("health: {url} does not answer: {error}"))?
        }
    };
    match first.split_once(' ') {
        Some((version, rest)) if version.starts_with("HTTP/1.") && rest.starts_with("200 ") => Ok(()),
        _ => Err(format!("health: {url} answered {first:?}: want 200")),
    }
}

fn ask_tcp(authority: &str, path: &str) -> io::Result<String> {
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let mut last = ErrorKind::NotFound.into();
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, WAIT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(WAIT))?;
                stream.set_write_timeout(Some(WAIT))?;
                return exchange(stream, authority, path);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// One request; the status line of its answer. What follows that is not waited for, nor that the server hangs up.
fn exchange(mut stream: impl Read + Write, host: &str, path: &str) -> io::Result<String> {
    let late = || io::Error::new(ErrorKind::TimedOut, format!("nothing was heard for {} s", WAIT.as_secs()));
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let begun = Instant::now();
    let (mut answer, mut piece) = (Vec::new(), [0; ANSWER_BYTES_MAX]);
    while !answer.contains(&b'\r') && answer.len() < ANSWER_BYTES_MAX {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(_) if begun.elapsed() > WAIT => return Err(late()),
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // How a socket says that its time is up.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(late()),
            Err(error) => return Err(error),
        }
    }
    let line = answer.split(|&byte| byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces as they come; then its time is up.
    struct Slow(Vec<&'static [u8]>);

    impl Read for Slow {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = self.0.pop() else { return Err(ErrorKind::WouldBlock.into()) };
            bytes[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_status_line_is_all_that_is_waited_for() {
        let told = |pieces: &[&'static [u8]]| {
            let pieces = pieces.iter().rev().copied().collect();
            exchange(Slow(pieces), "x", "/healthz").map_err(|error| error.to_string())
        };
        assert_eq!(told(&[b"HTTP/1.1 200 ", b"OK\r\nContent-"]), Ok("HTTP/1.1 200 OK".into()));
        assert_eq!(told(&[b"SSH-2.0", b""]), Ok("SSH-2.0".into()), "it hung up");
        for pieces in [&[][..], &[&b"HTTP/1.1 200 OK"[..]]] {
            assert_eq!(told(pieces), Err("nothing was heard for 5 s".into()));
        }
        assert_eq!(told(&[&[b'x'; 1000][..]; 9]).map(|line| line.len()), Ok(2000), "endless");
    }
}
