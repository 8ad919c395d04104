//! One HTTP request, its answer handed out piece by piece. HTTP/1.1, plain, as much of it as our servers speak.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes longer between two of its bytes.
const SILENCE: Duration = Duration::from_secs(30);
const PIECE_BYTES: usize = 64 << 10;

/// A kept-alive connection.
pub struct Fetcher {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Fetcher {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        Ok(Fetcher { stream: BufReader::with_capacity(PIECE_BYTES, stream), host: address.to_string() })
    }

    /// The whole body of a GET; every status but 200 is an error.
    pub fn get(&mut self, target: &str) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        self.stream(target, |piece| body.extend_from_slice(piece))?;
        Ok(body)
    }

    /// The body of a GET in pieces as they come; every status but 200 is an error. Returns its length.
    pub fn stream(&mut self, target: &str, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let header = self.line()?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            is_chunked |= header.starts_with("transfer-encoding:") && header.ends_with("chunked");
        }
        let mut total = 0;
        if is_chunked {
            loop {
                let size = u64::from_str_radix(self.line()?.trim(), 16).map_err(io::Error::other)?;
                self.body(size, &mut each)?;
                total += size;
                if !self.line()?.is_empty() {
                    return Err(io::Error::other("a chunk is longer than it says"));
                }
                if size == 0 {
                    break;
                }
            }
        } else {
            self.body(length, &mut each)?;
            total = length;
        }
        if !status.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(format!("GET {target} answered {status}")));
        }
        Ok(total)
    }

    fn body(&mut self, mut left: u64, each: &mut impl FnMut(&[u8])) -> io::Result<()> {
        while left > 0 {
            let piece = self.stream.fill_buf()?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            each(&piece[..count]);
            self.stream.consume(count);
            left -= count as u64;
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.by_ref().take(8192).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }
}
