//! Who has come in becomes a connection; a proxy's header before its first request says whose.

use std::mem;

use mio::Token;

use super::Reactor;
use super::doors::ACCEPTS_PER_TURN;
use super::socket::Socket;
use crate::connection::Protocol;
use crate::message::{ClientId, CloseReason};
use crate::peer::Peer;
use crate::peer::proxy::{self, Preface};

impl Reactor {
    pub(super) fn accept(&mut self) {
        let mut budget = ACCEPTS_PER_TURN;
        loop {
            let open = self.connections.len();
            let Some((socket, peer)) = self.doors.next(&mut budget, open, self.time, &mut self.scratch) else { return };
            self.admit(socket, peer);
        }
    }

    fn admit(&mut self, mut socket: Socket, peer: Peer) {
        let id = self.connections.next_id();
        let is_operators = self.doors.is_operators();
        // A socket that cannot be watched is of no use: dropping it hangs up.
        if socket.watch(self.poll.registry(), Token(id.slot as usize)).is_err() {
            return self.doors.let_out(peer, is_operators);
        }
        self.connections.admit(socket, peer, self.time.now_ms);
        self.metrics.accepted += 1;
        if let Some(connection) = self.connections.touch(id) {
            connection.is_operators = is_operators;
        }
        if self.doors.trusts(peer)
            && let Some(connection) = self.connections.touch(id)
        {
            connection.protocol = Protocol::Preface(Vec::new());
        }
    }

    /// The first bytes of somebody who may be a proxy: for whom it speaks, if it says so, and then requests.
    pub(super) fn hear_preface(&mut self, id: ClientId, bytes: &[u8]) {
        let now_ms = self.time.now_ms;
        let Some(connection) = self.connections.touch(id) else { return };
        let Protocol::Preface(held) = &mut connection.protocol else { return };
        let is_first = held.is_empty();
        held.extend_from_slice(bytes);
        let preface = match proxy::parse(held) {
            Ok(preface) => preface,
            Err(told) => {
                let peer = connection.peer;
                connection.kill(CloseReason::Gone);
                return self.note(format!("{peer} was hung up on: its PROXY header {told}"));
            }
        };
        let (client, used) = match preface {
            Preface::Open if is_first => return connection.restart_patience(now_ms),
            Preface::Open => return,
            Preface::Absent => (None, 0),
            Preface::Header { client, len } => (client, len),
        };
        let held = mem::take(held);
        connection.is_vouched_for = client.is_some();
        connection.protocol = Protocol::Http(Box::default());
        let is_welcome = client.is_none_or(|client| self.is_welcome(id, client.into()));
        if is_welcome && held.len() > used {
            let mut rest = held;
            self.hear_bytes(id, &mut rest[used..]);
        }
    }

    /// This client of a proxy counts as whom the proxy says that it is, from now on; if one more of those is too many, it
    /// is told so, and false.
    pub(super) fn is_welcome(&mut self, id: ClientId, client: Peer) -> bool {
        let Some(connection) = self.connections.touch(id) else { return false };
        if connection.peer == client {
            return true;
        }
        match self.doors.enter(client) {
            Ok(()) => {
                self.doors.leave(mem::replace(&mut connection.peer, client));
                true
            }
            Err(refusal) => {
                self.doors.count(refusal);
                self.refuse(id, refusal.response());
                false
            }
        }
    }
}
