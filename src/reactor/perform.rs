//! Carrying out what the cores decided, and handing them what the workers answered.

use std::mem;

use super::{Log, Reactor};
use crate::api;
use crate::chat;
use crate::config::{RATE_LIMIT_DEFAULT, Rate, RateLimit};
use crate::connection::Protocol;
use crate::console::{Line, News};
use crate::http::{self, Reply, Response, Status, Version};
use crate::log::{Answer, Job};
use crate::message::{ClientId, CloseReason, Event, Post};
use crate::metrics::Levels;
use crate::summary;
use crate::ws::{self, MESSAGE_BYTES_MAX, Session};

impl Reactor {
    /// Carries out all effects, and those that come of them.
    pub(super) fn perform(&mut self) {
        while !self.chat_effects.is_empty() || !self.api_effects.is_empty() {
            let mut effects = mem::take(&mut self.chat_effects);
            for effect in effects.drain(..) {
                self.perform_chat(effect);
            }
            if self.chat_effects.is_empty() {
                // Keeps its room for the next turn.
                self.chat_effects = effects;
            }
            for effect in mem::take(&mut self.api_effects) {
                self.perform_api(effect);
            }
        }
    }

    fn perform_chat(&mut self, effect: chat::Effect) {
        match effect {
            chat::Effect::Send { to, event } => self.send(to, &event),
            chat::Effect::Replay { to, posts } => self.replay(to, posts),
            chat::Effect::Broadcast { room, event, author } => {
                let post = match &event {
                    Event::Message(post) => Some(post.seq),
                    _ => None,
                };
                if post.is_some() {
                    self.talked_ms = self.time.now_ms;
                }
                self.encode(&event);
                let payload = &self.payload;
                let receivers = self.connections.broadcast(room, post, author, |out| ws::write_text(out, payload));
                if post.is_some() {
                    self.metrics.live += receivers as u64;
                }
            }
            chat::Effect::Whisper { to, event } => {
                self.encode(&event);
                for id in to {
                    if let Some(connection) = self.connections.touch(id).filter(|c| c.is_caught_up())
                        && let Some(out) = connection.writer()
                    {
                        ws::write_text(out, &self.payload);
                    }
                }
            }
            chat::Effect::Tune { client, room, last } => self.connections.tune(client, room, last),
            chat::Effect::Untune { client } => self.connections.untune(client),
            chat::Effect::Log(job) => self.ask_log(job),
            chat::Effect::Close { to, reason } => {
                if let Some(connection) = self.connections.touch(to) {
                    connection.close(reason, self.time.now_ms);
                }
            }
            chat::Effect::Print(news) => self.print(news),
            chat::Effect::Posted { to, post, is_repeat } => {
                self.api.posted(to, &post, is_repeat, &mut self.api_effects);
            }
            chat::Effect::PostRefused { to, why } => self.api.failed(to, &why, &mut self.api_effects),
        }
    }

    fn encode(&mut self, event: &Event) {
        self.payload.clear();
        self.encoder.event(&mut self.payload, event);
    }

    fn send(&mut self, to: ClientId, event: &Event) {
        self.encode(event);
        if let Some(out) = self.connections.touch(to).and_then(|connection| connection.writer()) {
            ws::write_text(out, &self.payload);
        }
    }

    fn replay(&mut self, to: ClientId, posts: Vec<Post>) {
        self.metrics.backlog += posts.len() as u64;
        for post in posts {
            self.send(to, &Event::Message(post));
        }
        if let Some(connection) = self.connections.touch(to) {
            connection.wants_drained = true;
        }
    }

    /// Every question has exactly one answer: that is how many are under way.
    fn ask_log(&mut self, job: Job) {
        self.jobs += 1;
        if let Job::Append(_) = &job {
            self.metrics.asked(self.turn_ns);
        }
        match &mut self.log {
            Log::Worker(Some(worker)) => worker.submit(job),
            // Only at the end of the server: who asks now is told so at once.
            Log::Worker(None) => self.answered.extend(refused(job)),
            Log::Memory(memory) => self.answered.extend(memory.answer(job)),
        }
    }

    pub(super) fn print(&self, news: News) {
        if !self.console.is_quiet() {
            self.console.print(Line { at_ms: self.time.at_ms, news });
        }
    }

    pub(super) fn note(&self, text: String) {
        self.print(News::Note(text));
    }

    fn perform_api(&mut self, effect: api::Effect) {
        match effect {
            api::Effect::Respond { to, response, form, has_more } => self.respond(to, &response, form, has_more),
            api::Effect::Chunk { to, bytes, form, is_last } => self.send_chunk(to, &bytes, form, is_last),
            api::Effect::Cut { to } => {
                if let Some(connection) = self.connections.touch(to) {
                    connection.kill(CloseReason::Finished);
                }
            }
            api::Effect::Upgrade { to, response, hello, is_proxied } => self.upgrade(to, &response, *hello, is_proxied),
            api::Effect::Log(job) => {
                if let Job::Append(draft) = &job {
                    self.spend_post(draft.from);
                }
                self.ask_log(job);
            }
            api::Effect::Measure { to } => {
                let text = self.metrics.text(self.connections.sent(), &self.levels());
                self.api.measured(to, text, &mut self.api_effects);
            }
            api::Effect::Summarize(ask) => {
                let to = ask.to;
                if self.summaries.as_ref().is_none_or(|summaries| summaries.ask(ask).is_err()) {
                    self.api.busy(to, &mut self.api_effects);
                }
            }
        }
    }

    /// What is so now, for `/metrics`.
    fn levels(&self) -> Levels {
        let summaries = self.summaries.as_ref();
        Levels {
            connections: self.connections.len() as u64,
            turned_away: self.doors.refusals,
            rooms: self.chat.room_count() as u64,
            people: self.chat.people() as u64,
            log_jobs: self.jobs as u64,
            held: self.held.len() as u64,
            summaries: summaries.map_or(0, |summaries| summaries.waiting() as u64),
            summary_events: summaries.map(|summaries| summaries.counts().list()).unwrap_or_default(),
        }
    }

    fn respond(&mut self, to: ClientId, response: &Response, form: api::Form, has_more: bool) {
        let date = http::imf_date(self.time.at_ms.div_euclid(1000));
        let is_draining = self.is_draining();
        let Some(connection) = self.connections.touch(to) else { return };
        let keep_alive = form.keep_alive && !connection.is_last_answer() && !is_draining;
        let reply = Reply { date: &date, is_head: form.is_head, keep_alive, version: form.version };
        let Some(outbox) = connection.outbox() else { return };
        self.metrics.answered(response.status.code());
        let rest = response.write_front(outbox.writer(), &reply);
        outbox.append_static(rest);
        if has_more {
            connection.wants_drained = true;
        } else {
            self.end_exchange(to, response.keeps_alive(&reply));
        }
    }

    fn send_chunk(&mut self, to: ClientId, bytes: &[u8], form: api::Form, is_last: bool) {
        let Some(connection) = self.connections.touch(to) else { return };
        let is_last_answer = connection.is_last_answer();
        let Some(out) = connection.writer() else { return };
        match form.version {
            Version::Http10 => out.extend_from_slice(bytes),
            Version::Http11 => {
                http::write_chunk(out, bytes);
                if is_last {
                    http::write_last_chunk(out);
                }
            }
        }
        if is_last {
            self.end_exchange(to, form.keep_alive && !is_last_answer && form.version == Version::Http11);
        } else {
            connection.wants_drained = true;
        }
    }

    fn end_exchange(&mut self, to: ClientId, keeps_alive: bool) {
        let (now_ms, is_serving) = (self.time.now_ms, !self.is_draining());
        let Some(connection) = self.connections.touch(to) else { return };
        connection.is_awaiting = false;
        connection.restart_patience(now_ms);
        if keeps_alive && is_serving {
            self.finished.push(to);
        } else {
            connection.close(CloseReason::Finished, now_ms);
        }
    }

    /// Answers a request that was not understood, or not completed; what follows it would not be either.
    pub(super) fn refuse(&mut self, to: ClientId, response: Response) {
        let form = api::Form { is_head: false, keep_alive: false, version: Version::Http11 };
        self.respond(to, &response, form, false);
    }

    pub(super) fn tell_to_continue(&mut self, to: ClientId) {
        let reply = Reply { date: "", is_head: false, keep_alive: true, version: Version::Http11 };
        if let Some(out) = self.connections.touch(to).and_then(|connection| connection.writer()) {
            Response::new(Status::Continue).write(out, &reply);
        }
    }

    /// A message that came by POST counts against its connection's rate, as one in a frame does. A believed proxy's
    /// connection carries the posts of many: only a limit that is for everybody is for it too.
    fn spend_post(&mut self, from: ClientId) {
        let (now_ms, rate) = (self.time.now_ms, self.rate);
        let Some(connection) = self.connections.touch(from) else { return };
        let is_elsewhere = !connection.peer.is_local() && !self.doors.trusts(connection.peer);
        let Some(limit) = limit_of(rate, is_elsewhere) else { return };
        connection.limit_rate(now_ms, limit);
        connection.spend_post(now_ms);
    }

    /// Queues the 101 first; then the session begins. What has come of its frames already is read in the next turn, like
    /// all others: within its rate.
    fn upgrade(&mut self, to: ClientId, response: &Response, hello: chat::Hello, is_proxied: bool) {
        if !self.is_welcome(to, hello.peer) {
            return;
        }
        let form = api::Form { is_head: false, keep_alive: true, version: Version::Http11 };
        self.respond(to, response, form, false);
        let now_ms = self.time.now_ms;
        let Some(connection) = self.connections.touch(to) else { return };
        let Protocol::Http(reader) = &mut connection.protocol else { return };
        let early = mem::take(&mut **reader).into_rest();
        let has_early = !early.is_empty();
        // They are counted when they are read again.
        self.metrics.received_bytes -= early.len() as u64;
        connection.upgrade(Session::new(MESSAGE_BYTES_MAX), early, now_ms);
        self.metrics.websockets += 1;
        if let Some(limit) = limit_of(self.rate, is_proxied || !connection.peer.is_local()) {
            connection.limit_rate(now_ms, limit);
        }
        self.chat.join(self.time, to, hello, &mut self.chat_effects);
        self.perform();
        if has_early {
            self.list(to, false);
        }
    }

    /// An answer of the log, to whoever asked.
    pub(super) fn answered(&mut self, answer: Answer) {
        self.jobs = self.jobs.saturating_sub(match &answer {
            Answer::Appended(appended) => appended.len(),
            Answer::Refused(drafts, _) => drafts.len(),
            _ => 1,
        });
        match answer {
            Answer::Appended(appended) => {
                let repeats = appended.iter().filter(|appended| appended.is_repeat).count();
                self.metrics.stored(appended.len() as u64, repeats as u64);
                self.chat.appended(appended, &mut self.chat_effects);
            }
            Answer::Refused(drafts, why) => {
                let count = drafts.len();
                self.metrics.not_stored(count as u64);
                if count > 0 {
                    self.note(format!("not stored: {count} message{}: {why}", if count == 1 { "" } else { "s" }));
                }
                self.chat.refused(drafts, &why, &mut self.chat_effects);
            }
            Answer::Joined { to, read, page } => self.chat.joined(to, read, page, &mut self.chat_effects),
            Answer::Backlog { to, page } => self.chat.backlog(to, page, &mut self.chat_effects),
            Answer::Page { to, page } if self.chat.has(to) => self.chat.page(to, page, &mut self.chat_effects),
            Answer::Page { to, page } => {
                self.api.page(to, page, &mut self.api_effects);
            }
            Answer::Unread { to, read, count } => self.api.unread(to, read, count, &self.chat, &mut self.api_effects),
            Answer::Found { to, posts } => {
                self.api.found(to, &posts, &self.chat, &mut self.api_effects);
            }
            Answer::Marked { to } => {
                self.api.marked(to, &mut self.api_effects);
            }
            Answer::Failed { to, why } => {
                self.note(format!("the history could not be read: {why}"));
                if self.chat.has(to) {
                    self.chat.failed(to, &why, &mut self.chat_effects);
                } else {
                    self.api.failed(to, &why, &mut self.api_effects);
                }
            }
        }
        self.perform();
    }

    pub(super) fn summarized(&mut self, answer: summary::Answer) {
        match answer {
            summary::Answer::Told { to, body, upto } => {
                self.api.summarized(to, body, upto, &mut self.api_effects);
            }
            summary::Answer::Progress { to, done, of } => self.api.progress(to, done, of, &mut self.api_effects),
            summary::Answer::Failed { to, why } => self.api.failed(to, &why, &mut self.api_effects),
        }
        self.perform();
    }
}

/// The answer to a job that comes when the log is closed.
fn refused(job: Job) -> Option<Answer> {
    let why = "the server is stopping".to_owned();
    Some(match job {
        // The summary workers' own business, and never answered.
        Job::Keep(_) => return None,
        Job::Append(draft) => Answer::Refused(vec![draft], why),
        Job::Mark { to: None, .. } => Answer::Refused(Vec::new(), why),
        Job::Mark { to: Some(to), .. }
        | Job::Join { to, .. }
        | Job::Backlog { to, .. }
        | Job::Page { to, .. }
        | Job::Unread { to, .. }
        | Job::Search { to, .. } => Answer::Failed { to, why },
    })
}

/// What holds for a connection, which may come from another machine.
fn limit_of(rate: Rate, is_elsewhere: bool) -> Option<RateLimit> {
    match rate {
        Rate::All(limit) => Some(limit),
        Rate::Auto => is_elsewhere.then_some(RATE_LIMIT_DEFAULT),
        Rate::Off => None,
    }
}
