//! The end: signals, what was received is stored and shown, and everybody is told goodbye.

use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{io, mem, thread};

use super::{Log, Reactor};
use crate::message::{ClientId, CloseReason};

/// At the end, how long the log's reader is listened to before looking whether its thread has ended.
const PAGES_WAIT: Duration = Duration::from_millis(1);
/// After the farewells, peers have this long to hang up.
const DRAIN_END_MS: u64 = 2_000;
/// Before that end, who still waits for an answer is told that none will come.
const DRAIN_ANSWER_MS: u64 = 500;
/// Farewells a millisecond: a small server need not take its whole `--drain-ms`.
const FAREWELLS_PER_MS: u64 = 1;

/// How far the server has come to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// As before, but `/readyz` says no, so that whoever sends clients here stops doing so.
    Leaving {
        until_ms: u64,
    },
    /// Farewells go out until all have theirs; at `end_ms` nobody is waited for any more.
    Draining {
        begun_ms: u64,
        spread_ms: u64,
        /// When those who still wait for an answer are told so; `None` once they are.
        answer_ms: Option<u64>,
        end_ms: u64,
        farewells: Vec<ClientId>,
        told: usize,
    },
    Ended,
}

impl Reactor {
    /// Whether the log is closed and the farewells go out.
    pub(super) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
    }

    pub(super) fn heed_signals(&mut self) {
        let mut bytes = [0; 16];
        let count = match mem::take(&mut self.has_signal) {
            true => io::Read::read(&mut self.signals, &mut bytes).unwrap_or(0),
            false => 0,
        };
        for _ in 0..count {
            match self.phase {
                Phase::Serving if !self.drain_delay.is_zero() => self.begin_leaving(),
                Phase::Serving | Phase::Leaving { .. } => self.begin_drain(),
                _ => self.phase = Phase::Ended,
            }
        }
        if matches!(self.phase, Phase::Leaving { until_ms } if until_ms <= self.time.now_ms) {
            self.begin_drain();
        }
    }

    /// Goes on as before, but says no where it is asked whether clients should be sent here.
    fn begin_leaving(&mut self) {
        let delay_ms = self.drain_delay.as_millis() as u64;
        self.note(format!("stopping in {delay_ms} ms: /readyz says no from now on"));
        self.api.leave();
        self.phase = Phase::Leaving { until_ms: self.time.now_ms + delay_ms };
    }

    /// Stops taking anything; what was received is stored and shown before anyone is sent away.
    fn begin_drain(&mut self) {
        self.note("stopping: storing what was received and saying goodbye".into());
        self.is_stopping.store(true, Ordering::Relaxed);
        self.doors.close(self.poll.registry());
        self.api.close();
        if let Log::Worker(worker) = &mut self.log
            && let Some(worker) = worker.take()
        {
            // The reader may be waiting for us to take its pages, while we wait for its thread.
            let closing = thread::spawn(move || worker.close());
            while !closing.is_finished() {
                self.answered.extend(self.pages.recv_timeout(PAGES_WAIT));
            }
            self.answered.extend(self.pages.try_iter());
        }
        self.has_mail = true;
        self.complete();
        let now_ms = self.time.now_ms;
        let farewells = self.connections.ids();
        let spread_ms = (self.drain.as_millis() as u64).min(farewells.len() as u64 / FAREWELLS_PER_MS);
        let end_ms = now_ms + spread_ms + DRAIN_END_MS;
        let answer_ms = Some(end_ms - DRAIN_ANSWER_MS);
        self.phase = Phase::Draining { begun_ms: now_ms, spread_ms, answer_ms, end_ms, farewells, told: 0 };
    }

    pub(super) fn say_farewells(&mut self) {
        let now_ms = self.time.now_ms;
        let Phase::Draining { begun_ms, spread_ms, answer_ms, end_ms, farewells, told } = &mut self.phase else {
            return;
        };
        let elapsed = now_ms - *begun_ms;
        let due = match *spread_ms {
            0 => farewells.len(),
            spread => (farewells.len() as u64 * elapsed / spread + 1).min(farewells.len() as u64) as usize,
        };
        let now = farewells[(*told).min(due)..due].to_vec();
        *told = due.max(*told);
        let are_waiting_told = answer_ms.take_if(|at| *at <= now_ms).is_some();
        if now_ms >= *end_ms {
            self.phase = Phase::Ended;
        }
        for id in now {
            // A request that has come meanwhile is still told what goes on.
            self.receive_last(id);
            if let Some(connection) = self.connections.touch(id)
                && !connection.is_awaiting
            {
                connection.close(CloseReason::Restart, now_ms);
            }
        }
        if are_waiting_told {
            for id in self.connections.ids() {
                self.api.failed(id, "the server is stopping", &mut self.api_effects);
            }
            self.perform();
        }
    }

    /// The end, as soon as everyone is gone.
    pub(super) fn end_drain(&mut self) {
        if let Phase::Draining { farewells, told, .. } = &self.phase
            && *told == farewells.len()
            && self.connections.is_empty()
        {
            self.phase = Phase::Ended;
        }
    }
}
