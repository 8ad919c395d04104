//! `catchup health`: asks a server that runs whether it is alive, for those who watch over it.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longest wait for connecting, and for each piece of the answer.
const WAIT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 1024;

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
            let rest = url.strip_prefix("http://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
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

fn ask_tcp(authority: &str, path: &str) -> std::io::Result<String> {
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let mut last = std::io::ErrorKind::NotFound.into();
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

/// One request; the status line of its answer.
fn exchange(mut stream: impl Read + Write, host: &str, path: &str) -> std::io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let line = answer.split(|&byte| byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}
