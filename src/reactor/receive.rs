//! What clients send: read in turns, and handed to who understands it.

use std::mem;

use super::{JOBS_MAX, Reactor};
use crate::api::Asker;
use crate::connection::{Life, Protocol, ReadOutcome};
use crate::message::{ClientId, CloseReason};
use crate::ws::Step;

/// Reads from one connection in one turn; what it has more waits for the next.
const READS_PER_TURN: usize = 4;

impl Reactor {
    /// Notes that a connection has, or may have, something to read; `is_end`: its end is among it.
    pub(super) fn list(&mut self, id: ClientId, is_end: bool) {
        let Some(connection) = self.connections.touch(id) else { return };
        connection.is_readable = true;
        connection.is_read_closed |= is_end;
        if !mem::replace(&mut connection.is_listed, true) {
            self.unread.push(id);
        }
    }

    /// Takes what clients have sent, all of them, before anything is sent.
    pub(super) fn receive(&mut self) {
        let is_draining = self.is_draining();
        for id in mem::take(&mut self.unread) {
            match is_draining {
                false => self.receive_from(id),
                true => self.receive_last(id),
            }
        }
    }

    /// At the end nothing new is taken: who asks for something is told so, and who has hung up is still noticed.
    pub(super) fn receive_last(&mut self, id: ClientId) {
        match self.connections.touch(id).map(|connection| &connection.protocol) {
            Some(Protocol::Http(_) | Protocol::Preface(_)) => self.receive_from(id),
            _ => self.discard(id),
        }
    }

    fn receive_from(&mut self, id: ClientId) {
        let now_ms = self.time.now_ms;
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.connections.touch(id) else { return };
            if self.jobs >= JOBS_MAX {
                self.held.push(id);
                return;
            }
            connection.is_listed = false;
            if !connection.may_read(now_ms) {
                return;
            }
            let outcome = connection.read(&mut self.scratch, now_ms);
            connection.is_readable = matches!(outcome, ReadOutcome::More(_));
            match outcome {
                ReadOutcome::Drained(0) => return,
                ReadOutcome::Drained(count) => return self.hear(id, count),
                ReadOutcome::More(count) => self.hear(id, count),
                ReadOutcome::End => return self.end(id),
            }
        }
        self.list(id, false);
    }

    fn discard(&mut self, id: ClientId) {
        let now_ms = self.time.now_ms;
        let Some(connection) = self.connections.touch(id) else { return };
        connection.is_listed = false;
        for _ in 0..READS_PER_TURN {
            let outcome = connection.read(&mut self.scratch, now_ms);
            connection.is_readable = matches!(outcome, ReadOutcome::More(_));
            match outcome {
                ReadOutcome::More(_) => {}
                ReadOutcome::Drained(_) => return,
                ReadOutcome::End => return connection.end(),
            }
        }
        self.list(id, false);
    }

    fn end(&mut self, id: ClientId) {
        if let Some(connection) = self.connections.touch(id) {
            connection.end();
            self.serve(id);
        }
    }

    /// `count` bytes of this client are in the scratch buffer.
    fn hear(&mut self, id: ClientId, count: usize) {
        self.metrics.received_bytes += count as u64;
        let mut scratch = mem::take(&mut self.scratch);
        self.hear_bytes(id, &mut scratch[..count]);
        self.scratch = scratch;
    }

    pub(super) fn hear_bytes(&mut self, id: ClientId, bytes: &mut [u8]) {
        let Some(connection) = self.connections.touch(id) else { return };
        match &mut connection.protocol {
            Protocol::Http(reader) => {
                let was_idle = reader.is_idle();
                reader.receive(bytes);
                if was_idle {
                    connection.restart_patience(self.time.now_ms);
                }
                self.serve(id);
            }
            Protocol::Ws(_) => self.hear_frames(id, bytes),
            Protocol::Preface(_) => self.hear_preface(id, bytes),
        }
    }

    fn hear_frames(&mut self, id: ClientId, mut bytes: &mut [u8]) {
        while let Some((session, replies)) = self.connections.touch(id).and_then(|c| c.session()) {
            match session.next(&mut bytes, replies) {
                Step::Text(text) => {
                    self.chat.receive(self.time, id, &text, &mut self.chat_effects);
                    self.perform();
                }
                Step::Empty => break,
                Step::Binary(_) => {
                    self.part(id, CloseReason::Protocol(1003));
                    break;
                }
                Step::Closed => {
                    self.part(id, CloseReason::Goodbye);
                    break;
                }
                Step::Broken(code) => {
                    self.part(id, CloseReason::Protocol(code));
                    break;
                }
            }
        }
        if let Some(connection) = self.connections.touch(id) {
            connection.spend_frames(self.time.now_ms);
        }
    }

    /// A session is over: nothing of what goes on in the room is sent to it any more.
    fn part(&mut self, id: ClientId, reason: CloseReason) {
        self.connections.untune(id);
        if let Some(connection) = self.connections.touch(id) {
            connection.close(reason, self.time.now_ms);
        }
        self.chat.leave(self.time, id, reason.is_goodbye(), &mut self.chat_effects);
        self.perform();
    }

    /// Answers the requests of a connection, as far as they have come and as far as no answer must be waited for.
    pub(super) fn serve(&mut self, id: ClientId) {
        loop {
            let now_ms = self.time.now_ms;
            let Some(connection) = self.connections.touch(id) else { return };
            let (Life::Open, false) = (connection.life(), connection.is_awaiting) else { return };
            if connection.is_full() {
                // What it asks next is answered when it has taken this: 50 KB of page for each 26 bytes of request.
                connection.wants_drained = true;
                return;
            }
            let asker = Asker { peer: connection.peer, is_vouched_for: connection.is_vouched_for };
            let (is_operators, is_ended) = (connection.is_operators, connection.is_ended());
            let Protocol::Http(reader) = &mut connection.protocol else { return };
            let was_in_body = reader.is_in_body();
            match reader.next() {
                Ok(Some(request)) => {
                    connection.is_awaiting = true;
                    connection.restart_patience(now_ms);
                    self.api.set_full(self.doors.is_full(self.connections.len()));
                    match is_operators {
                        true => self.api.operate(id, &request, &mut self.api_effects),
                        false => self.api.request(self.time, id, asker, &request, &self.chat, &mut self.api_effects),
                    }
                    self.perform();
                }
                // Its last request is answered, and no other can come.
                Ok(None) if is_ended => return connection.close(CloseReason::Finished, now_ms),
                Ok(None) => {
                    let (wants_continue, is_in_body) = (reader.wants_continue(), reader.is_in_body());
                    if is_in_body && !was_in_body {
                        connection.restart_patience(now_ms);
                    }
                    if wants_continue {
                        self.tell_to_continue(id);
                    }
                    return;
                }
                Err(error) => return self.refuse(id, error.into()),
            }
        }
    }
}
