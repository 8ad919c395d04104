//! Where workers put their answers, and how that wakes the loop.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use mio::{Poll, Token, Waker};

use crate::{log, summary};

/// Answers that the log's reader may be ahead of the loop; then it waits, so that they do not gather in memory.
const PAGES_WAITING_MAX: usize = 8;

pub(super) const MAILBOX: Token = Token(usize::MAX - 2);

/// What workers send to the loop.
#[derive(Debug)]
pub(super) enum Mail {
    Log(log::Answer),
    Summary(summary::Answer),
}

/// Where workers put their answers: wakes the loop.
#[derive(Clone)]
pub struct Mailbox {
    sender: Sender<Mail>,
    /// Bounded: the log's reader waits when the loop has so many pages to send.
    pages: SyncSender<log::Answer>,
    waker: Arc<Waker>,
}

impl Mailbox {
    /// An answer of the log.
    pub fn log(&self, answer: log::Answer) {
        self.put(Mail::Log(answer));
    }

    /// An answer of the log's reader: in no order with the others, and taken a few a turn. Waits while many do.
    pub fn page(&self, answer: log::Answer) {
        if self.pages.send(answer).is_ok() {
            drop(self.waker.wake());
        }
    }

    /// An answer of the summary workers.
    pub fn summary(&self, answer: summary::Answer) {
        self.put(Mail::Summary(answer));
    }

    fn put(&self, mail: Mail) {
        // Only a loop that has ended does not take mail: then nobody waits for it.
        if self.sender.send(mail).is_ok() {
            drop(self.waker.wake());
        }
    }
}

/// The poll and the mailbox, made before the workers that answer into it.
pub struct Inbox {
    pub(super) poll: Poll,
    mailbox: Mailbox,
    pub(super) mail: Receiver<Mail>,
    pub(super) pages: Receiver<log::Answer>,
}

impl Inbox {
    /// A new poll.
    pub fn new() -> io::Result<Inbox> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), MAILBOX)?);
        let (sender, mail) = channel();
        let (pages, page_mail) = sync_channel(PAGES_WAITING_MAX);
        let mailbox = Mailbox { sender, pages, waker };
        Ok(Inbox { poll, mailbox, mail, pages: page_mail })
    }

    /// Where workers put their answers.
    pub fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }
}
