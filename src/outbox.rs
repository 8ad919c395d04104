//! Private bytes on their way to one peer, and the only code that writes to a socket.
//!
//! It knows nothing of frames' meaning or of rooms; `connection.rs` decides the order of what is written.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::mem;

/// A peer that has more than this waiting for it is not read from until it has taken it: its own requests made it.
pub const OUTBOX_BYTES_HIGH: usize = 64 * 1024;
/// An outbox whose own bytes are sent gives their buffer back if it had grown over this.
const KEEP_BYTES_MAX: usize = 128;

/// Bytes on their way to one peer, in order.
///
/// `sent` of the bytes are already with the kernel; what is waiting is the rest, and the tail behind it.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// What is left of a file inside the binary: shared by all who are sent it, never copied for one of them.
    tail: &'static [u8],
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
    /// Where whole frames and responses are appended. A tail that waits becomes bytes like the others first, so do not
    /// append to an outbox that [is full](Outbox::is_full) if it can be helped.
    pub fn writer(&mut self) -> &mut Vec<u8> {
        self.bytes.extend_from_slice(mem::take(&mut self.tail));
        &mut self.bytes
    }

    /// Appends bytes that live as long as the program, without a copy.
    pub fn append_static(&mut self, bytes: &'static [u8]) {
        self.writer();
        self.tail = bytes;
    }

    /// Puts the rest of a frame of the tape, which the peer has been sent in part, before everything else.
    pub fn prepend(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.sent, 0, "private bytes are begun at a frame border only");
        self.bytes.splice(0..0, bytes.iter().copied());
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent + self.tail.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing more should be appended before the peer has taken some: [`OUTBOX_BYTES_HIGH`] wait, or a tail,
    /// which would have to be copied.
    pub fn is_full(&self) -> bool {
        !self.tail.is_empty() || self.len() >= OUTBOX_BYTES_HIGH
    }

    /// Forgets what waits: the peer will not be sent anything more.
    pub fn clear(&mut self) {
        *self = Outbox::default();
    }

    /// Writes what waits until it is gone or the socket would block. Errors are the socket's.
    pub fn flush(&mut self, stream: &mut impl Write) -> io::Result<Wrote> {
        let mut wrote = Wrote::All;
        let waiting = self.len();
        while !self.is_empty() {
            let bytes = IoSlice::new(&self.bytes[self.sent..]);
            // A head and its file go in one write, where the kernel takes it.
            let count = match (bytes.is_empty(), self.tail.is_empty()) {
                (_, true) => write_slices(stream, &[bytes])?,
                (true, false) => write_slices(stream, &[IoSlice::new(self.tail)])?,
                (false, false) => write_slices(stream, &[bytes, IoSlice::new(self.tail)])?,
            };
            if count == 0 {
                wrote = Wrote::Part(waiting - self.len());
                break;
            }
            let own = count.min(bytes.len());
            self.sent += own;
            self.tail = &self.tail[count - own..];
        }
        self.give_back();
        Ok(wrote)
    }

    /// Frees the room of what is sent, if there is enough of it.
    fn give_back(&mut self) {
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
            if self.bytes.capacity() > KEEP_BYTES_MAX {
                self.bytes = Vec::new();
            }
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
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

    /// Takes `room` bytes, at most `step` in one write, then would block.
    struct Narrow {
        room: usize,
        step: usize,
        writes: usize,
        got: Vec<u8>,
    }

    impl Narrow {
        fn new(room: usize, step: usize) -> Narrow {
            Narrow { room, step, writes: 0, got: Vec::new() }
        }
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let most = self.room.min(self.step);
            let before = self.got.len();
            self.got.extend(slices.iter().flat_map(|slice| slice.iter()).take(most));
            let count = self.got.len() - before;
            self.room -= count;
            self.writes += 1;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_partial_write_goes_on_where_it_stopped_also_when_more_was_added() {
        let mut outbox = Outbox::default();
        let mut peer = Narrow::new(4, 3);
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
        let mut peer = Narrow::new(1 << 20, 1000);
        outbox.writer().extend_from_slice(&[1; 5000]);
        assert_eq!(outbox.flush(&mut peer).unwrap(), Wrote::All);
        assert_eq!(outbox.bytes.capacity(), 0);
    }

    static FILE: [u8; 50_000] = [b'f'; 50_000];

    #[test]
    fn a_file_that_is_read_slowly_is_not_copied() {
        let mut outbox = Outbox::default();
        outbox.writer().extend_from_slice(&[b'h'; 700]);
        outbox.append_static(&FILE);
        assert!((outbox.len(), outbox.is_full()) == (50_700, true) && outbox.bytes.capacity() < 2000);
        let mut peer = Narrow::new(600, 1 << 20);
        assert_eq!(outbox.flush(&mut peer).unwrap(), Wrote::Part(600));
        peer.room = 150;
        assert_eq!(outbox.flush(&mut peer).unwrap(), Wrote::Part(150));
        assert_eq!((outbox.len(), outbox.is_full(), outbox.bytes.capacity()), (49_950, true, 0));
        peer.room = 1 << 20;
        assert_eq!(outbox.flush(&mut peer).unwrap(), Wrote::All);
        assert!(outbox.is_empty() && !outbox.is_full());
        assert!(peer.got == [&[b'h'; 700][..], &FILE].concat());
    }

    #[test]
    fn a_head_and_its_file_go_in_one_write() {
        let mut outbox = Outbox::default();
        outbox.writer().extend_from_slice(b"head");
        outbox.append_static(b"file");
        let mut peer = Narrow::new(100, 100);
        assert_eq!(outbox.flush(&mut peer).unwrap(), Wrote::All);
        assert_eq!((&*peer.got, peer.writes), (&b"headfile"[..], 1));
    }

    /// Appends, prepends and writes in any order and any pieces come out as from one plain queue of bytes.
    #[test]
    fn whatever_is_done_bytes_stay_in_order() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            ((random >> 33) % below) as usize
        };
        let file: &'static [u8] =
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];
        let mut copies = 0;
        for _ in 0..2000 {
            let (mut outbox, mut peer, mut model) = (Outbox::default(), Narrow::new(0, 1), Vec::new());
            for byte in 0..40 {
                match next(5) {
                    0 => {
                        let bytes = vec![byte; next(12)];
                        copies += usize::from(!outbox.tail.is_empty());
                        outbox.writer().extend_from_slice(&bytes);
                        model.extend_from_slice(&bytes);
                    }
                    1 => {
                        let begin = next(file.len() as u64);
                        outbox.append_static(&file[begin..]);
                        model.extend_from_slice(&file[begin..]);
                    }
                    2 if outbox.sent == 0 => {
                        let bytes = vec![byte; next(6)];
                        outbox.prepend(&bytes);
                        model.splice(peer.got.len()..peer.got.len(), bytes);
                    }
                    3 if next(20) == 0 => {
                        outbox.clear();
                        model.truncate(peer.got.len());
                    }
                    _ => {
                        (peer.room, peer.step) = (next(30), 1 + next(10));
                        let (before, room) = (outbox.len(), peer.room);
                        let wrote = outbox.flush(&mut peer).unwrap();
                        match before <= room {
                            true => assert_eq!(wrote, Wrote::All),
                            false => assert_eq!(wrote, Wrote::Part(room)),
                        }
                    }
                }
                assert!(model.starts_with(&peer.got), "{model:?}: {:?}", peer.got);
                assert_eq!(outbox.len(), model.len() - peer.got.len());
                assert_eq!(outbox.is_empty(), model.len() == peer.got.len());
            }
            peer.room = 1 << 20;
            assert_eq!(outbox.flush(&mut peer).unwrap(), Wrote::All);
            assert_eq!(peer.got, model);
        }
        assert!(copies > 1000, "a tail stood in the way {copies} times");
    }
}
