//! The kernel's readiness queue as it is, level-triggered, for the yardstick server only.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

pub const EVENTS_PER_WAIT: usize = 1024;

pub struct Epoll {
    queue: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// What a descriptor is ready for, under the key it was added with.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    pub key: u64,
    pub is_readable: bool,
    pub is_writable: bool,
}

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no memory; the descriptor it returns is nobody else's yet.
        let queue = unsafe {
            let raw = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if raw < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(raw)
        };
        Ok(Epoll { queue, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_WAIT] })
    }

    pub fn add(&self, source: &impl AsRawFd, key: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, source, key, libc::EPOLLIN)
    }

    /// Asks for room to write as well, or no longer.
    pub fn want_writable(&self, source: &impl AsRawFd, key: u64, is_wanted: bool) -> io::Result<()> {
        let write = if is_wanted { libc::EPOLLOUT } else { 0 };
        self.control(libc::EPOLL_CTL_MOD, source, key, libc::EPOLLIN | write)
    }

    fn control(&self, operation: i32, source: &impl AsRawFd, key: u64, interest: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest as u32, u64: key };
        // SAFETY: `event` outlives the call, and both descriptors are open as long as their owners are borrowed.
        let result = unsafe { libc::epoll_ctl(self.queue.as_raw_fd(), operation, source.as_raw_fd(), &mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits (for ever with `None`) and appends what is ready.
    pub fn wait(&mut self, limit: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let milliseconds = limit.map_or(-1, |limit| limit.as_millis() as i32);
        let room = self.events.len() as i32;
        // SAFETY: the kernel writes at most `room` events into the vector, which has that many.
        let count = unsafe { libc::epoll_wait(self.queue.as_raw_fd(), self.events.as_mut_ptr(), room, milliseconds) };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        };
        for event in &self.events[..count] {
            let flags = event.events as i32;
            ready.push(Ready {
                key: event.u64,
                is_readable: flags & (libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR) != 0,
                is_writable: flags & libc::EPOLLOUT != 0,
            });
        }
        Ok(())
    }
}
