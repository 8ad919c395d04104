//! Private bytes on their way to one peer, and the only code that writes to a socket.
//!
//! It knows nothing of frames' meaning or of rooms; `connection.rs` decides the order of what is written.

use std::io::{self, ErrorKind, IoSlice, Write};

/// A peer that has more than this waiting for it is not read from until it has taken it: its own requests made it.
pub const OUTBOX_BYTES_HIGH: usize = 64 * 1024;
/// An empty outbox gives its buffer back if it had grown over this.
const KEEP_BYTES_MAX: usize = 128;

/// Bytes on their way to one peer, in order.
///
/// `sent` of the bytes are already with the kernel; what is waiting is the rest.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// All of it.
    All,
    /// This many bytes; then the socket would block.
    Part(usize),
}

impl Outbox {
    /// Where whole frames and responses are appended.
    pub fn writer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Puts the rest of a frame of the tape, which the peer has been sent in part, before everything else.
    pub fn prepend(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.sent, 0, "private bytes are begun at a frame border only");
        self.bytes.splice(0..0, bytes.iter().copied());
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what waits: the peer will not be sent anything more.
    pub fn clear(&mut self) {
        *self = Outbox::default();
    }

    /// Writes what waits until it is gone or the socket would block. Errors are the socket's.
    pub fn flush(&mut self, stream: &mut impl Write) -> io::Result<Wrote> {
        if self.is_empty() {
            return Ok(Wrote::All);
        }
        let wrote = write_all(stream, &self.bytes[self.sent..])?;
        match wrote {
            Wrote::All => {
                self.sent = 0;
                self.bytes.clear();
                if self.bytes.capacity() > KEEP_BYTES_MAX {
                    self.bytes = Vec::new();
                }
            }
            Wrote::Part(count) => {
                self.sent += count;
                if self.sent > self.bytes.len() / 2 {
                    self.bytes.drain(..self.sent);
                    self.sent = 0;
                }
            }
        }
        Ok(wrote)
    }
}

/// Writes `bytes` until they are gone or the socket would block.
pub fn write_all(stream: &mut impl Write, bytes: &[u8]) -> io::Result<Wrote> {
    let mut done = 0;
    while done < bytes.len() {
        match stream.write(&bytes[done..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Wrote::Part(done)),
            Err(error) => return Err(error),
        }
    }
    Ok(Wrote::All)
}

/// Writes the slices once: how many bytes the socket took, 0 if it would block.
pub fn write_slices(stream: &mut impl Write, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        let wrote = match slices {
            [one] => stream.write(one),
            many => stream.write_vectored(many),
        };
        match wrote {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, then would block.
    struct Narrow {
        room: usize,
        got: Vec<u8>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(self.room).min(3);
            self.room -= count;
            self.got.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_partial_write_goes_on_where_it_stopped_also_when_more_was_added() {
        let mut outbox = Outbox::default();
        let mut peer = Narrow { room: 4, got: Vec::new() };
        outbox.writer().extend_from_slice(b"abcdef");
        assert_eq!(outbox.flush(&mut peer).unwrap(), Wrote::Part(4));
        assert_eq!(outbox.len(), 2);
        outbox.writer().extend_from_slice(b"ghi");
        peer.room = 100;
        assert_eq!(outbox.flush(&mut peer).unwrap(), Wrote::All);
        assert!(outbox.is_empty());
        assert_eq!(peer.got, b"abcdefghi");
    }

    #[test]
    fn an_empty_outbox_keeps_no_large_buffer() {
        let mut outbox = Outbox::default();
        let mut peer = Narrow { room: 1 << 20, got: Vec::new() };
        outbox.writer().extend_from_slice(&[1; 5000]);
        assert_eq!(outbox.flush(&mut peer).unwrap(), Wrote::All);
        assert_eq!(outbox.bytes.capacity(), 0);
    }
}
