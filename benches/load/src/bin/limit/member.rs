//! One member of the yardstick's room: where it is on the log, and the one write that moves it on.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::TcpStream;

const SLICES_MAX: usize = 64;

pub struct Member {
    pub stream: TcpStream,
    /// Empty until the upgrade.
    pub name: String,
    pub position: u64,
    /// Ranges of the log that are not for this member: its own messages.
    pub skipped: VecDeque<(u64, u64)>,
    /// The beginning of a frame or head whose end has not come.
    pub partial: Vec<u8>,
    pub is_blocked: bool,
}

/// Writes once, from the member's position to the end of the log, its own ranges left out.
pub fn flush(member: &mut Member, log: &[u8], log_start: u64) -> io::Result<()> {
    let end = log_start + log.len() as u64;
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let mut pieces = [(0, 0); SLICES_MAX];
    let mut used = 0;
    let mut at = member.position;
    for &(from, to) in &member.skipped {
        if from > at && used < SLICES_MAX - 1 {
            pieces[used] = (at, from);
            used += 1;
        }
        if used == SLICES_MAX - 1 {
            break;
        }
        at = to;
    }
    if used < SLICES_MAX - 1 && at < end {
        pieces[used] = (at, end);
        used += 1;
    }
    for (slice, (from, to)) in slices.iter_mut().zip(&pieces[..used]) {
        *slice = IoSlice::new(&log[(from - log_start) as usize..(to - log_start) as usize]);
    }
    let written = match used {
        0 => Ok(0),
        1 => member.stream.write(&slices[0]),
        _ => member.stream.write_vectored(&slices[..used]),
    };
    match written {
        Ok(written) => advance(member, written as u64, &pieces[..used]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    skip_own(member);
    Ok(())
}

/// Moves the position over the bytes that were written and the ranges between them.
fn advance(member: &mut Member, mut written: u64, pieces: &[(u64, u64)]) {
    for (from, to) in pieces {
        let part = written.min(to - from);
        if part > 0 {
            member.position = from + part;
        }
        written -= part;
    }
}

fn skip_own(member: &mut Member) {
    while let Some(&(from, to)) = member.skipped.front()
        && from <= member.position
    {
        member.position = member.position.max(to);
        member.skipped.pop_front();
    }
}
