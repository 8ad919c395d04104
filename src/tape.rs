//! A room's frames, back to back in shared chunks: encoded once, sent to every member from its own position.
//!
//! A member is a position and the few ranges of its own frames to skip, so a message costs nothing for each
//! member until the one `send` of the turn. Who the members are, and what a frame says, is not known here.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;

use crate::message::Seq;

/// A chunk takes frames until it holds this many bytes; a longer frame gets a chunk of its own.
pub const CHUNK_BYTES: usize = 128 * 1024;
/// A member further behind than this, whose socket takes no more, leaves the tape and is fed from the store.
pub const BEHIND_BYTES_MAX: u64 = 256 * 1024;
/// Chunks kept for the next burst, over all rooms; the rest goes back to the allocator.
const SPARE_CHUNKS_MAX: usize = 8;
/// A chunk that never grew over this is kept by its quiet room.
const QUIET_BYTES_MAX: usize = 2 * 1024;

/// A place on a tape, in bytes since the room was made. Never reused.
pub type Position = u64;

/// Chunks given back by tapes, for tapes.
#[derive(Debug, Default)]
pub struct Spares(Vec<Vec<u8>>);

impl Spares {
    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    fn give_back(&mut self, mut bytes: Vec<u8>) {
        if self.0.len() < SPARE_CHUNKS_MAX && bytes.capacity() > QUIET_BYTES_MAX {
            bytes.clear();
            self.0.push(bytes);
        }
    }
}

#[derive(Debug)]
struct Chunk {
    start: Position,
    bytes: Vec<u8>,
}

impl Chunk {
    fn end(&self) -> Position {
        self.start + self.bytes.len() as u64
    }
}

/// The frames of one room that somebody still has to be sent.
///
/// Frames lie whole in one chunk each, without a gap between them: any two positions at frame borders enclose
/// whole frames. `posts` names the end of every frame that carries a post, so that a member that leaves the tape
/// knows the last post that it was sent.
#[derive(Debug)]
pub struct Tape {
    chunks: VecDeque<Chunk>,
    end: Position,
    posts: VecDeque<(Position, Seq)>,
    /// The last post whose frame is no longer on the tape.
    floor: Seq,
}

impl Tape {
    /// An empty tape of a room whose last post is `last`.
    pub fn new(last: Seq) -> Tape {
        Tape { chunks: VecDeque::new(), end: 0, posts: VecDeque::new(), floor: last }
    }

    /// Where the next frame will begin.
    pub fn end(&self) -> Position {
        self.end
    }

    /// Appends one whole frame, written by `write`; `post` is the post that it carries. Returns where it lies.
    pub fn append(
        &mut self,
        spares: &mut Spares,
        post: Option<Seq>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> (Position, Position) {
        let start = self.end;
        if self.chunks.back().is_none_or(|chunk| chunk.bytes.len() >= CHUNK_BYTES) {
            self.chunks.push_back(Chunk { start, bytes: spares.take() });
        }
        let chunk = self.chunks.back_mut().expect("pushed above if there was none");
        write(&mut chunk.bytes);
        self.end = chunk.end();
        if let Some(seq) = post {
            self.posts.push_back((self.end, seq));
        }
        (start, self.end)
    }

    /// All that lies between `from` and the end, if it is in one piece: what most members are sent at most times.
    pub fn rest(&self, from: Position) -> Option<&[u8]> {
        let chunk = self.chunks.back().filter(|chunk| chunk.start <= from)?;
        Some(&chunk.bytes[(from - chunk.start) as usize..])
    }

    /// Collects what lies between `from` and the end, without the ranges in `skip`, into `slices`.
    ///
    /// `skip` is ascending and holds nothing before `from`. Stops when `slices` is full. The common case, a member
    /// with nothing to skip and all in one chunk, is one slice.
    pub fn slices<'a, const MAX: usize>(
        &'a self,
        from: Position,
        skip: &VecDeque<(Position, Position)>,
        slices: &mut Slices<'a, MAX>,
    ) {
        let mut at = from;
        let mut skip = skip.iter().peekable();
        for chunk in self.chunks.iter().skip_while(|chunk| chunk.end() <= from) {
            while at < chunk.end() {
                let mut until = chunk.end();
                if let Some(&&(skip_start, skip_end)) = skip.peek() {
                    if at >= skip_start {
                        at = at.max(skip_end);
                        skip.next();
                        continue;
                    }
                    until = until.min(skip_start);
                }
                let bytes = &chunk.bytes[(at - chunk.start) as usize..(until - chunk.start) as usize];
                if !slices.push(bytes) {
                    return;
                }
                at = until;
            }
        }
    }

    /// The end of the frame that `at` lies in, `at` being past its first byte; `border` is a frame border at or
    /// before it in the same chunk or an earlier one.
    pub fn frame_end(&self, border: Position, at: Position) -> Position {
        let mut frame = border;
        while frame < at {
            let next = frame + self.frame_len(frame);
            debug_assert!(next > frame);
            frame = next;
        }
        frame
    }

    fn frame_len(&self, at: Position) -> u64 {
        let chunk = self.chunk(at);
        let bytes = &chunk.bytes[(at - chunk.start) as usize..];
        // Server frames are not masked: RFC 6455 section 5.2.
        match bytes[1] & 0x7f {
            126 => 4 + u64::from(u16::from_be_bytes([bytes[2], bytes[3]])),
            127 => 10 + u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes")),
            len => 2 + u64::from(len),
        }
    }

    /// The bytes from `from` to `to`, which lie in one frame.
    pub fn bytes(&self, from: Position, to: Position) -> &[u8] {
        let chunk = self.chunk(from);
        &chunk.bytes[(from - chunk.start) as usize..(to - chunk.start) as usize]
    }

    fn chunk(&self, at: Position) -> &Chunk {
        let index = self.chunks.partition_point(|chunk| chunk.end() <= at);
        &self.chunks[index]
    }

    /// The last post whose frame ends at or before `at`.
    pub fn last_post(&self, at: Position) -> Seq {
        let count = self.posts.partition_point(|(end, _)| *end <= at);
        if count == 0 { self.floor } else { self.posts[count - 1].1 }
    }

    /// The posts whose frames lie in one of `ranges`.
    pub fn posts_in<'a>(&'a self, ranges: &'a VecDeque<(Position, Position)>) -> impl Iterator<Item = Seq> + use<'a> {
        let is_in = |end: Position| ranges.iter().any(|(from, to)| *from < end && end <= *to);
        self.posts.iter().filter(move |(end, _)| is_in(*end)).map(|(_, seq)| *seq)
    }

    /// Begins anew for a room in which nobody is: `last` is its last post by now.
    pub fn restart(&mut self, spares: &mut Spares, last: Seq) {
        self.release(spares, self.end);
        self.floor = last;
    }

    /// Forgets what lies before `position`: the lowest that a member still has, or the end if there is none.
    pub fn release(&mut self, spares: &mut Spares, position: Position) {
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= position) {
            let is_last = self.chunks.len() == 1;
            let front = self.chunks.front_mut().expect("checked above");
            if is_last && front.bytes.capacity() <= QUIET_BYTES_MAX {
                // A quiet room keeps its small chunk: nothing to allocate for the next message.
                front.bytes.clear();
                front.start = position;
                break;
            }
            spares.give_back(mem::take(&mut front.bytes));
            self.chunks.pop_front();
        }
        while self.posts.front().is_some_and(|(end, _)| *end <= position) {
            self.floor = self.posts.pop_front().expect("checked above").1;
        }
    }
}

/// Slices for one `writev`, on the stack, `MAX` at most: a sender's own messages cut the tape into pieces.
#[derive(Debug)]
pub struct Slices<'a, const MAX: usize> {
    slices: [IoSlice<'a>; MAX],
    count: usize,
}

impl<'a, const MAX: usize> Slices<'a, MAX> {
    /// None yet.
    pub fn new() -> Slices<'a, MAX> {
        Slices { slices: [IoSlice::new(&[]); MAX], count: 0 }
    }

    /// Whether there was room for it.
    pub fn push(&mut self, bytes: &'a [u8]) -> bool {
        if self.count == MAX {
            return false;
        }
        self.slices[self.count] = IoSlice::new(bytes);
        self.count += 1;
        true
    }

    /// What was pushed, in order.
    pub fn as_slice(&self) -> &[IoSlice<'a>] {
        &self.slices[..self.count]
    }
}

impl<const MAX: usize> Default for Slices<'_, MAX> {
    fn default() -> Self {
        Slices::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Vec<u8> {
        let mut bytes = vec![0x81, text.len() as u8];
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    fn joined(slices: &Slices<'_, 64>) -> Vec<u8> {
        slices.as_slice().iter().flat_map(|slice| slice.to_vec()).collect()
    }

    fn append(tape: &mut Tape, spares: &mut Spares, seq: Seq, text: &str) -> (Position, Position) {
        tape.append(spares, Some(seq), |out| out.extend(frame(text)))
    }

    fn read(tape: &Tape, from: Position, skip: &[(Position, Position)]) -> Vec<u8> {
        let mut slices = Slices::new();
        let skip = skip.iter().copied().collect();
        tape.slices(from, &skip, &mut slices);
        joined(&slices)
    }

    #[test]
    fn a_member_reads_from_its_position_and_skips_its_own() {
        let (mut tape, mut spares) = (Tape::new(0), Spares::default());
        let first = append(&mut tape, &mut spares, 1, "a");
        let second = append(&mut tape, &mut spares, 2, "bb");
        append(&mut tape, &mut spares, 3, "c");
        assert_eq!(read(&tape, 0, &[]), [frame("a"), frame("bb"), frame("c")].concat());
        assert_eq!(read(&tape, first.1, &[]), [frame("bb"), frame("c")].concat());
        assert_eq!(tape.rest(first.1), Some(&*[frame("bb"), frame("c")].concat()));
        assert_eq!(read(&tape, 0, &[second]), [frame("a"), frame("c")].concat());
        assert_eq!(read(&tape, 0, &[first, second]), frame("c"));
        assert!(read(&tape, tape.end(), &[]).is_empty());
    }

    #[test]
    fn frames_over_many_chunks_are_read_whole_and_released_by_position() {
        let (mut tape, mut spares) = (Tape::new(7), Spares::default());
        let long = "x".repeat(100);
        let mut ends = Vec::new();
        for seq in 8..8 + 4000 {
            ends.push(append(&mut tape, &mut spares, seq, &long).1);
        }
        assert!(tape.chunks.len() > 2);
        assert_eq!((tape.rest(0), tape.rest(ends[3998])), (None, Some(&*frame(&long))));
        let mut at = 0;
        let mut got = Vec::new();
        while at < tape.end() {
            let mut slices = Slices::new();
            tape.slices(at, &VecDeque::new(), &mut slices);
            let bytes = joined(&slices);
            at += bytes.len() as u64;
            got.extend(bytes);
        }
        assert_eq!(got, frame(&long).repeat(4000));
        assert_eq!(tape.last_post(0), 7);
        assert_eq!(tape.last_post(ends[9]), 17);
        assert_eq!(tape.last_post(ends[9] + 1), 17);
        tape.release(&mut spares, ends[1999]);
        assert_eq!(tape.last_post(ends[1999]), 8 + 1999);
        assert_eq!(read(&tape, ends[3998], &[]), frame(&long));
        let end = tape.end();
        tape.release(&mut spares, end);
        assert!(tape.chunks.is_empty());
        assert_eq!(tape.last_post(tape.end()), 8 + 3999);
        assert_eq!(append(&mut tape, &mut spares, 5000, "y").0, end);
    }

    #[test]
    fn the_end_of_a_frame_that_was_sent_in_part_is_found() {
        let (mut tape, mut spares) = (Tape::new(0), Spares::default());
        let one = append(&mut tape, &mut spares, 1, "hello").1;
        let mut long = vec![0x81, 126, 1, 0];
        long.extend([7u8; 256]);
        let two = tape.append(&mut spares, Some(2), |out| out.extend(&long)).1;
        assert_eq!(tape.frame_end(0, 0), 0);
        assert_eq!(tape.frame_end(0, 1), one);
        assert_eq!(tape.frame_end(0, one), one);
        assert_eq!(tape.frame_end(0, one + 1), two);
        assert_eq!(tape.frame_end(one, two - 1), two);
        assert_eq!(tape.bytes(two - 3, two), [7, 7, 7]);
    }

    #[test]
    fn the_posts_that_a_member_sent_itself_are_named() {
        let (mut tape, mut spares) = (Tape::new(0), Spares::default());
        append(&mut tape, &mut spares, 1, "a");
        let own = append(&mut tape, &mut spares, 2, "b");
        append(&mut tape, &mut spares, 3, "c");
        let ranges = VecDeque::from([own]);
        assert_eq!(tape.posts_in(&ranges).collect::<Vec<_>>(), [2]);
    }
}
