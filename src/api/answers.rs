//! What the log, the summary workers and the counters answered, on its way to who waits for it.

use std::sync::Arc;

use super::{Api, EVENTS, Effect, Exchange, Form, JSON, Stream, Wait, ask, current, ok, refusal};
use crate::chat::Chat;
use crate::http::Status;
use crate::log::{Job, PAGE_POSTS_MAX, Page, Span};
use crate::message::{self, ClientId, ListTail, ListWriter, Post, Seq};
use crate::metrics;

impl Api {
    /// A page of a list has been read.
    pub fn page(&mut self, client: ClientId, page: Page, effects: &mut Vec<Effect>) {
        let Some(Exchange { form, wait: Wait::List(list) }) = self.exchanges.get_mut(&client) else { return };
        let form = *form;
        let mut bytes = Vec::new();
        if !list.is_begun {
            list.writer.open(&mut bytes);
        }
        for post in &page.posts {
            list.writer.item(&mut bytes, &mut self.encoder, post);
        }
        list.left = list.left.saturating_sub(page.posts.len() as u64);
        let is_whole = !page.more || list.left == 0;
        let is_last = is_whole || form.is_head;
        if is_last {
            list.writer.close(&mut bytes, &list.tail);
        }
        let is_begun = std::mem::replace(&mut list.is_begun, true);
        list.span.after = page.looked_at;
        match (is_begun, is_last) {
            // To HEAD, of what GET would give in pieces: it has no length.
            (false, true) if !is_whole => {
                let response = current(Status::Ok).with_chunks(JSON);
                self.respond(client, response, form, false, effects);
            }
            // Short enough for one piece.
            (false, true) => {
                self.respond(client, ok(bytes), form, false, effects);
            }
            (false, false) => {
                let response = current(Status::Ok).with_chunks(JSON);
                self.respond(client, response, form, true, effects);
                effects.push(Effect::Chunk { to: client, bytes, form, is_last });
            }
            (true, _) => effects.push(Effect::Chunk { to: client, bytes, form, is_last }),
        }
        if is_last {
            self.exchanges.remove(&client);
        }
    }

    /// The client has taken everything so far: the next page of its list.
    pub fn drained(&mut self, client: ClientId, effects: &mut Vec<Effect>) {
        if let Some(Exchange { wait: Wait::List(list), .. }) = self.exchanges.get(&client) {
            effects.push(Effect::Log(Job::Page { to: client, span: list.next_span() }));
        }
    }

    /// The log knows how much is unread.
    pub fn unread(&mut self, client: ClientId, read: Seq, count: u64, chat: &Chat, effects: &mut Vec<Effect>) {
        let Some(Exchange { form, wait: Wait::Unread { room, reader, limit, upto } }) = self.exchanges.get(&client)
        else {
            return;
        };
        // What has come since the question is in neither the count nor the list.
        let (form, room, reader, limit, last) = (*form, Arc::clone(room), Arc::clone(reader), *limit, *upto);
        let tail = ListTail {
            unread_count: Some(count),
            read_id: Some(read),
            last_id: last,
            epoch: chat.epoch(),
            limit,
            ..ListTail::default()
        };
        let span = Span { room, after: read, upto: last, limit: PAGE_POSTS_MAX, not_by: Some(reader) };
        let wait = Wait::List(ask::list(client, span, limit, tail, effects));
        self.exchanges.insert(client, Exchange { form, wait });
    }

    /// The log has found these, newest first.
    pub fn found(&mut self, client: ClientId, posts: &[Post], chat: &Chat, effects: &mut Vec<Effect>) {
        let Some(Exchange { form, wait: Wait::Search { room, limit } }) = self.exchanges.remove(&client) else {
            return;
        };
        let (mut body, mut writer) = (Vec::new(), ListWriter::default());
        writer.open(&mut body);
        for post in posts {
            writer.item(&mut body, &mut self.encoder, post);
        }
        let tail = ListTail {
            last_id: chat.last(&room),
            epoch: chat.epoch(),
            limit: Some(limit as u64),
            ..ListTail::default()
        };
        writer.close(&mut body, &tail);
        self.respond(client, ok(body), form, false, effects);
    }

    /// A program's post is stored.
    pub fn posted(&mut self, client: ClientId, post: &Post, is_repeat: bool, effects: &mut Vec<Effect>) {
        let Some(exchange) = self.take(client, |wait| matches!(wait, Wait::Post)) else { return };
        let status = if is_repeat { Status::Ok } else { Status::Created };
        let response = current(status).with_body(JSON, message::post_body(&mut self.encoder, post));
        self.respond(client, response, exchange.form, false, effects);
    }

    /// A summary is made. Before it is given out, what it covers counts as read.
    pub fn summarized(&mut self, client: ClientId, body: Arc<[u8]>, upto: Seq, effects: &mut Vec<Effect>) {
        let Some(Exchange { form, wait: Wait::Summary { room, reader, stream } }) = self.exchanges.remove(&client)
        else {
            return;
        };
        let Some(reader) = reader else {
            self.give_summary(client, &body, form, stream, effects);
            return;
        };
        self.exchanges.insert(client, Exchange { form, wait: Wait::Mark { body, stream } });
        effects.push(Effect::Log(Job::Mark { to: Some(client), room, reader, seq: upto }));
    }

    /// The read mark is moved.
    pub fn marked(&mut self, client: ClientId, effects: &mut Vec<Effect>) {
        let Some(Exchange { form, wait: Wait::Mark { body, stream } }) = self.exchanges.remove(&client) else {
            return;
        };
        self.give_summary(client, &body, form, stream, effects);
    }

    /// How far a summary is that was asked for as a stream.
    pub fn progress(&mut self, client: ClientId, done: u64, of: u64, effects: &mut Vec<Effect>) {
        let Some(Exchange { form, wait: Wait::Summary { stream, .. } }) = self.exchanges.get_mut(&client) else {
            return;
        };
        let (form, stream) = (*form, std::mem::replace(stream, Stream::Begun));
        let bytes = event("progress", &message::summary::progress(done, of));
        self.send_event(client, bytes, form, stream, false, effects);
    }

    fn give_summary(&mut self, to: ClientId, body: &[u8], form: Form, stream: Stream, effects: &mut Vec<Effect>) {
        match stream {
            Stream::No => self.respond(to, ok(body.to_vec()), form, false, effects),
            _ => self.send_event(to, event("summary", body), form, stream, true, effects),
        }
    }

    fn send_event(
        &mut self,
        to: ClientId,
        bytes: Vec<u8>,
        form: Form,
        stream: Stream,
        is_last: bool,
        effects: &mut Vec<Effect>,
    ) {
        if stream == Stream::Wanted {
            // Proxies that gather a response before they pass it on would make it useless.
            let response = current(Status::Ok).with_chunks(EVENTS).with_header("X-Accel-Buffering", "no");
            self.respond(to, response, form, true, effects);
        }
        effects.push(Effect::Chunk { to, bytes, form, is_last });
    }

    /// The counters are read.
    pub fn measured(&mut self, client: ClientId, text: String, effects: &mut Vec<Effect>) {
        let Some(exchange) = self.take(client, |wait| matches!(wait, Wait::Metrics)) else { return };
        let response = current(Status::Ok).with_body(metrics::CONTENT_TYPE, text.into_bytes());
        self.respond(client, response, exchange.form, false, effects);
    }

    /// The queue of summaries is full.
    pub fn busy(&mut self, client: ClientId, effects: &mut Vec<Effect>) {
        let told = "too many summaries are being made: ask again in a few seconds";
        self.fail_with(client, Status::ServiceUnavailable, told, effects);
    }

    /// What was asked cannot be answered.
    pub fn failed(&mut self, client: ClientId, why: &str, effects: &mut Vec<Effect>) {
        self.fail_with(client, Status::ServiceUnavailable, why, effects);
    }

    fn fail_with(&mut self, client: ClientId, status: Status, why: &str, effects: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.remove(&client) else { return };
        if matches!(&exchange.wait, Wait::List(list) if list.is_begun) {
            effects.push(Effect::Cut { to: client });
            return;
        }
        if let Wait::Summary { stream: Stream::Begun, .. } | Wait::Mark { stream: Stream::Begun, .. } = exchange.wait {
            let bytes = event("error", &message::detail(why));
            self.send_event(client, bytes, exchange.form, Stream::Begun, true, effects);
            return;
        }
        let response = refusal(status, why);
        self.respond(client, response, exchange.form, false, effects);
    }

    fn take(&mut self, client: ClientId, is_it: impl Fn(&Wait) -> bool) -> Option<Exchange> {
        if !is_it(&self.exchanges.get(&client)?.wait) {
            return None;
        }
        self.exchanges.remove(&client)
    }
}

/// One server-sent event. The JSON is on one line.
fn event(name: &str, json: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(json.len() + 32);
    for part in [b"event: ", name.as_bytes(), b"\ndata: ", json, b"\n\n"] {
        bytes.extend_from_slice(part);
    }
    bytes
}
