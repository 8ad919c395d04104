//! The HTTP endpoints: what a request means, who waits for which answer, what is answered.
//!
//! Pure like `chat.rs`: takes requests and answers, gives effects. Parsing is done in `http.rs`, JSON in
//! `message.rs`, and whether a name is free is known by `chat.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::chat::{Chat, Hello, Time};
use crate::http::{self, Method, Query, Request, Response, Route, Status, Version};
use crate::log::{HITS_MAX, Job, PAGE_POSTS_MAX, Page, Span};
use crate::message::{self, ClientId, Draft, Encoder, ListTail, ListWriter, Post, RoomEntry, Seq};
use crate::peer::{Peer, Trusted};
use crate::summary::{Ask, Engine};
use crate::{documents, metrics, page, ws};

/// Most messages that a list with a `limit` gives; without one there is no bound.
pub const LIST_MAX: u64 = 1000;
/// Hits of a search that names no `limit`.
const HITS_DEFAULT: usize = 50;
/// Longest text to search for, in characters: also percent-encoded it fits into a target.
pub const QUERY_CHARS_MAX: usize = 256;
/// Seconds after which a client may ask again when the summary queue is full.
const BUSY_SECONDS: u64 = 5;
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Without it nothing but `/` and `/healthz` answers.
    pub token: Option<Box<str>>,
    /// `/metrics` has an address of its own, and is not here.
    pub has_operators: bool,
    /// Origins of other pages that may connect, as browsers write them: `https://example.org`.
    pub origins: Vec<Box<str>>,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted: Trusted,
}

/// How far the server has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// `/readyz` says no.
    Leaving,
    /// The log is closed.
    Closed,
}

/// How the response to a request must be written.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// HEAD: no body.
    pub is_head: bool,
    /// The connection stays.
    pub keep_alive: bool,
    /// The version asked in.
    pub version: Version,
}

/// What the endpoints want done.
#[derive(Debug)]
pub enum Effect {
    /// A whole response, or the head of one whose chunks follow.
    Respond {
        /// To whom.
        to: ClientId,
        /// What.
        response: Response,
        /// How.
        form: Form,
        /// Whether chunks follow: then [`Api::drained`] is wanted.
        has_more: bool,
    },
    /// A piece of a long body.
    Chunk {
        /// To whom.
        to: ClientId,
        /// The bytes.
        bytes: Vec<u8>,
        /// How.
        form: Form,
        /// It is the last; if not, [`Api::drained`] is wanted.
        is_last: bool,
    },
    /// A long body cannot be ended as it should: cut the connection, so that the client knows.
    Cut {
        /// Whose.
        to: ClientId,
    },
    /// Switch to WebSocket, then let the client into the chat.
    Upgrade {
        /// Whose.
        to: ClientId,
        /// The 101.
        response: Response,
        /// Who it says it is.
        hello: Box<Hello>,
        /// A proxy stands between.
        is_proxied: bool,
    },
    /// Ask the log.
    Log(Job),
    /// Ask for the counters; [`Api::measured`] follows.
    Measure {
        /// For whom.
        to: ClientId,
    },
    /// Ask for a summary; [`Api::busy`] if the queue is full.
    Summarize(Ask),
}

/// What a connection waits for.
#[derive(Debug)]
struct Exchange {
    form: Form,
    wait: Wait,
}

#[derive(Debug)]
enum Wait {
    /// A list of messages, which began or did not yet.
    List(List),
    /// How much is unread; then a list.
    Unread {
        room: Arc<str>,
        reader: Arc<str>,
        limit: Option<u64>,
        upto: Seq,
    },
    Search {
        room: Arc<str>,
        limit: usize,
    },
    Post,
    Metrics,
    Summary {
        room: Arc<str>,
        reader: Option<Arc<str>>,
        stream: Stream,
    },
    /// The read mark is being moved; then this answer.
    Mark {
        body: Arc<[u8]>,
        stream: Stream,
    },
}

/// How a summary is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    /// As one JSON body.
    No,
    /// As server-sent events (WHATWG HTML, section 9.2), of which none is out yet.
    Wanted,
    /// The head is out, and perhaps events.
    Begun,
}

/// A list on its way.
#[derive(Debug)]
struct List {
    span: Span,
    /// Messages still to give.
    left: u64,
    writer: ListWriter,
    tail: ListTail,
    is_begun: bool,
}

/// All endpoints.
pub struct Api {
    access: Access,
    exchanges: HashMap<ClientId, Exchange>,
    /// The origins of exchanges that a page elsewhere, named by the operator, has begun.
    shared: HashMap<ClientId, Box<str>>,
    encoder: Encoder,
    stage: Stage,
    is_full: bool,
}

type Refused = (Status, String);

impl From<http::Error> for Response {
    fn from(error: http::Error) -> Response {
        let response = refusal(error.status(), &error.detail());
        match error.allow() {
            Some(allow) => response.with_header("Allow", allow),
            None => response,
        }
    }
}

/// A response whose body is `{"detail":"…"}`.
pub fn refusal(status: Status, detail: &str) -> Response {
    let response = current(status).with_body(JSON, message::detail(detail));
    match status {
        Status::UpgradeRequired => {
            response.with_header("Upgrade", "websocket").with_header("Sec-WebSocket-Version", "13")
        }
        Status::Unauthorized => response.with_header("WWW-Authenticate", "Bearer realm=\"catchup\""),
        Status::ServiceUnavailable => response.with_header("Retry-After", BUSY_SECONDS.to_string()),
        _ => response,
    }
}

fn not_ready(why: &str) -> Response {
    current(Status::ServiceUnavailable).with_body(JSON, message::status(why))
}

fn ok(body: Vec<u8>) -> Response {
    current(Status::Ok).with_body(JSON, body)
}

/// An answer that is true now and for who asked: no cache keeps it (RFC 9111 section 5.2.2.5).
fn current(status: Status) -> Response {
    Response::new(status).with_header("Cache-Control", "no-store")
}

fn bad(detail: impl Into<String>) -> Refused {
    (Status::BadRequest, detail.into())
}

impl Api {
    /// Endpoints for those whom `access` lets in.
    pub fn new(access: Access) -> Api {
        Api {
            access,
            exchanges: HashMap::new(),
            shared: HashMap::new(),
            encoder: Encoder::default(),
            stage: Stage::Open,
            is_full: false,
        }
    }

    /// From now on `/readyz` says no.
    pub fn leave(&mut self) {
        self.stage = Stage::Leaving;
    }

    /// From now on everyone is told to come back later, as the log takes and gives nothing any more.
    pub fn close(&mut self) {
        self.stage = Stage::Closed;
    }

    /// Whether `/readyz` says no because nobody more may come in.
    pub fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// The connection is gone.
    pub fn forget(&mut self, client: ClientId) {
        self.exchanges.remove(&client);
        self.shared.remove(&client);
    }

    /// One request.
    pub fn request(
        &mut self,
        time: Time,
        client: ClientId,
        peer: Peer,
        request: &Request,
        chat: &Chat,
        effects: &mut Vec<Effect>,
    ) {
        let form =
            Form { is_head: request.method == Method::Head, keep_alive: request.keep_alive, version: request.version };
        let origin = request.headers.get("origin").filter(|origin| self.is_allowed_origin(origin));
        self.shared.extend(origin.map(|origin| (client, origin.into())));
        let asked = http::route(&request.method, &request.path)
            .map_err(Response::from)
            .and_then(|route| self.answer(time, client, peer, route, request, chat, form, effects));
        match asked {
            // An upgrade is answered without it: a WebSocket is shared by being let in.
            Ok(None) if !self.exchanges.contains_key(&client) => drop(self.shared.remove(&client)),
            Ok(None) => {}
            Ok(Some(response)) | Err(response) => {
                self.respond(client, response, form, false, effects);
            }
        }
    }

    /// One request at the operator's own address: `/metrics`, `/healthz` and `/readyz`, without a token.
    pub fn operate(&mut self, client: ClientId, request: &Request, effects: &mut Vec<Effect>) {
        let form =
            Form { is_head: request.method == Method::Head, keep_alive: request.keep_alive, version: request.version };
        let response = match http::route(&request.method, &request.path) {
            Ok(Route::Metrics) => {
                self.exchanges.insert(client, Exchange { form, wait: Wait::Metrics });
                return effects.push(Effect::Measure { to: client });
            }
            Ok(Route::Healthz) => ok(message::status("ok")),
            Ok(Route::Readyz) => self.readiness(),
            Err(error @ (http::Error::NotAllowed { .. } | http::Error::UnknownMethod(_))) => error.into(),
            _ => refusal(Status::NotFound, "here are /metrics, /healthz and /readyz only"),
        };
        self.respond(client, response, form, false, effects);
    }

    fn readiness(&self) -> Response {
        match self.stage {
            Stage::Leaving | Stage::Closed => not_ready("draining"),
            Stage::Open if self.is_full => not_ready("full"),
            Stage::Open => ok(message::status("ready")),
        }
    }

    /// `None`: the answer comes later, or is among the effects.
    #[expect(clippy::too_many_arguments, reason = "all of it is the request")]
    fn answer(
        &mut self,
        time: Time,
        client: ClientId,
        peer: Peer,
        route: Route,
        request: &Request,
        chat: &Chat,
        form: Form,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Response>, Response> {
        self.admit(route, request).map_err(|(status, detail)| refusal(status, &detail))?;
        if self.stage == Stage::Closed && !matches!(route, Route::Healthz | Route::Readyz) {
            let told = "the server is stopping: come back in a moment";
            return Err(refusal(Status::ServiceUnavailable, told));
        }
        let (known, takes_gzip) = (request.headers.get("if-none-match"), request.headers.accepts_coding("gzip"));
        let fixed = match route {
            Route::Page => page::response(known, takes_gzip),
            Route::OpenApi => documents::OPENAPI.response(known, takes_gzip),
            Route::AsyncApi => documents::ASYNCAPI.response(known, takes_gzip),
            Route::Healthz => ok(message::status("ok")),
            Route::Readyz => self.readiness(),
            // Also the answer to a preflight of a page elsewhere (Fetch standard, section 3.2.3).
            Route::Options(allow) => Response::new(Status::NoContent)
                .with_header("Allow", allow)
                .with_header("Access-Control-Allow-Methods", allow)
                .with_header("Access-Control-Allow-Headers", "Authorization, Content-Type"),
            Route::Rooms => ok(rooms(chat)),
            Route::Users => {
                let room = room(&request.query)?;
                ok(message::users_body(room, &chat.users(room)))
            }
            Route::WebSocket => {
                effects.push(enter(client, peer, &self.access.trusted, request, chat)?);
                return Ok(None);
            }
            // They have an address of their own.
            Route::Metrics if self.access.has_operators => {
                return Err(http::Error::NotFound(request.path.clone()).into());
            }
            Route::Metrics => {
                self.exchanges.insert(client, Exchange { form, wait: Wait::Metrics });
                effects.push(Effect::Measure { to: client });
                return Ok(None);
            }
            Route::Messages | Route::PostMessage | Route::Search | Route::Summarize => {
                let wait = match route {
                    Route::Messages => self.messages(client, request, chat, effects)?,
                    Route::PostMessage => post(time, client, request, chat, effects)?,
                    Route::Search => search(client, request, chat, effects)?,
                    _ => summarize(client, request, chat, effects)?,
                };
                self.exchanges.insert(client, Exchange { form, wait });
                return Ok(None);
            }
        };
        Ok(Some(fixed))
    }

    /// Token and origin. Browsers send an `Origin` with every WebSocket upgrade and every request of a page that
    /// is not a plain read of its own; a page elsewhere may do neither unless the operator named it.
    fn admit(&self, route: Route, request: &Request) -> Result<(), Refused> {
        let is_open = matches!(route, Route::Page | Route::Healthz | Route::Options(_));
        if let Some(token) = self.access.token.as_deref().filter(|_| !is_open) {
            // The scheme has no case (RFC 9110 section 11.1).
            let header = request.headers.get("authorization").and_then(|value| value.split_once(' '));
            let given = match header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
                Some((_, bearer)) => Some(bearer.trim()),
                None => request.query.get("token").map_err(|error| (error.status(), error.detail()))?,
            };
            if !given.is_some_and(|given| is_same_secret(given, token)) {
                let told = "this server wants its token: add ?token=… or \"Authorization: Bearer …\"";
                return Err((Status::Unauthorized, told.into()));
            }
        }
        let Some(origin) = request.headers.get("origin") else { return Ok(()) };
        if is_open || self.is_own_origin(request, origin) || self.is_allowed_origin(origin) {
            return Ok(());
        }
        let told = format!("origin {origin:?} may not use this server: start it with --allow-origin to let it in");
        Err((Status::Forbidden, told))
    }

    fn is_own_origin(&self, request: &Request, origin: &str) -> bool {
        let host = request.headers.get("host");
        let origin_host = origin.split_once("://").map(|(_, host)| host);
        matches!((host, origin_host), (Some(host), Some(origin)) if host.eq_ignore_ascii_case(origin))
    }

    fn is_allowed_origin(&self, origin: &str) -> bool {
        self.access.origins.iter().any(|allowed| &**allowed == "*" || allowed.eq_ignore_ascii_case(origin))
    }

    /// Answers. A page elsewhere that the operator named may read what it asked for (Fetch standard, section 3.2).
    fn respond(&mut self, to: ClientId, response: Response, form: Form, has_more: bool, effects: &mut Vec<Effect>) {
        let response = match self.shared.remove(&to) {
            Some(origin) => {
                response.with_header("Access-Control-Allow-Origin", String::from(origin)).with_header("Vary", "Origin")
            }
            None => response,
        };
        effects.push(Effect::Respond { to, response, form, has_more });
    }

    fn messages(
        &mut self,
        client: ClientId,
        request: &Request,
        chat: &Chat,
        effects: &mut Vec<Effect>,
    ) -> Result<Wait, Response> {
        let query = &request.query;
        let room: Arc<str> = room(query)?.into();
        let last = chat.last(&room);
        let limit = limit(query)?;
        let (since, before) = (number(query, "since")?, number(query, "before")?);
        if let Some(reader) = name(query)? {
            let job = Job::Unread { to: client, room: Arc::clone(&room), reader: Arc::clone(&reader), upto: last };
            effects.push(Effect::Log(job));
            return Ok(Wait::Unread { room, reader, limit, upto: last });
        }
        let upto = before.map_or(last, |before| before.saturating_sub(1).min(last));
        let after = match (since, limit) {
            (Some(since), _) => since.min(upto),
            // Ids have no gaps: the newest n begin n before the end.
            (None, Some(limit)) => upto.saturating_sub(limit),
            (None, None) => 0,
        };
        let tail =
            ListTail { total_count: Some(last), last_id: last, epoch: chat.epoch(), limit, ..ListTail::default() };
        let span = Span { room, after, upto, limit: PAGE_POSTS_MAX, not_by: None };
        Ok(Wait::List(ask_list(client, span, limit, tail, effects)))
    }

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
        let wait = Wait::List(ask_list(client, span, limit, tail, effects));
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

impl List {
    fn next_span(&self) -> Span {
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(PAGE_POSTS_MAX);
        Span { limit, ..self.span.clone() }
    }
}

fn ask_list(client: ClientId, span: Span, limit: Option<u64>, tail: ListTail, effects: &mut Vec<Effect>) -> List {
    let left = limit.unwrap_or(u64::MAX);
    let list = List { span, left, writer: ListWriter::default(), tail, is_begun: false };
    effects.push(Effect::Log(Job::Page { to: client, span: list.next_span() }));
    list
}

fn rooms(chat: &Chat) -> Vec<u8> {
    let entry = |room: crate::chat::RoomInfo| RoomEntry { room: room.name, online: room.online, messages: room.last };
    let rooms: Vec<RoomEntry> = chat.rooms().into_iter().map(entry).collect();
    message::rooms_body(&rooms)
}

fn enter(client: ClientId, asker: Peer, trusted: &Trusted, request: &Request, chat: &Chat) -> Result<Effect, Response> {
    let response = ws::upgrade(request).map_err(|(status, detail)| refusal(status, detail))?;
    let query = &request.query;
    let room = room(query)?;
    let name = message::check_name(query.get("username")?).map_err(|told| refusal(Status::BadRequest, &told))?;
    chat.check_room_count(room).map_err(|told| refusal(Status::ServiceUnavailable, &told))?;
    let peer = trusted.client(asker, request.headers.all("x-forwarded-for"));
    let hello = Hello {
        room: room.into(),
        name: name.into(),
        is_v2: query.get("v")? == Some("2"),
        session: query.get("session")?.and_then(message::parse_uuid),
        since: number(query, "since")?,
        // One that is no UUID names no history of ours.
        epoch: query.get("epoch")?.map(|epoch| message::parse_uuid(epoch).unwrap_or_default()),
        peer,
        fresh: [message::fresh_uuid(), message::fresh_uuid()],
    };
    // Somebody elsewhere, although we cannot know who.
    let is_proxied = peer == asker
        && ["forwarded", "x-forwarded-for", "x-real-ip"].iter().any(|name| request.headers.get(name).is_some());
    Ok(Effect::Upgrade { to: client, response, hello: Box::new(hello), is_proxied })
}

fn post(
    time: Time,
    client: ClientId,
    request: &Request,
    chat: &Chat,
    effects: &mut Vec<Effect>,
) -> Result<Wait, Response> {
    let query = &request.query;
    let room = room(query)?;
    let refuse = |status: Status| move |told: String| refusal(status, &told);
    let name = message::check_name(query.get("username")?).map_err(refuse(Status::BadRequest))?;
    chat.check_room_count(room).map_err(refuse(Status::ServiceUnavailable))?;
    let (text, client_id) = message::parse_post_body(&request.body).map_err(refuse(Status::BadRequest))?;
    if let Err(wrong) = message::check_text(&text) {
        let is_long = wrong.code == "message_too_long";
        let status = if is_long { Status::ContentTooLarge } else { Status::BadRequest };
        return Err(refusal(status, &wrong.message));
    }
    let session = query.get("session")?.and_then(message::parse_uuid);
    chat.check_poster(room, name, session).map_err(refuse(Status::Conflict))?;
    effects.push(Effect::Log(Job::Append(Draft {
        from: client,
        room: room.into(),
        author: name.into(),
        text: text.into(),
        at_ms: time.at_ms,
        client_id: client_id.map(Into::into),
    })));
    Ok(Wait::Post)
}

fn search(client: ClientId, request: &Request, chat: &Chat, effects: &mut Vec<Effect>) -> Result<Wait, Response> {
    let query = &request.query;
    let room: Arc<str> = room(query)?.into();
    let Some(words) = query.get("q")? else {
        return Err(refusal(Status::BadRequest, "q is missing: add ?q=<words to search for>"));
    };
    let chars = words.chars().count();
    if chars > QUERY_CHARS_MAX {
        let told = format!("q is {chars} characters long, the limit is {QUERY_CHARS_MAX}");
        return Err(refusal(Status::BadRequest, &told));
    }
    let limit = limit(query)?.map_or(HITS_DEFAULT, |limit| (limit as usize).min(HITS_MAX));
    let upto = chat.last(&room);
    let job = Job::Search { to: client, room: Arc::clone(&room), query: words.into(), upto, limit };
    effects.push(Effect::Log(job));
    Ok(Wait::Search { room, limit })
}

fn summarize(client: ClientId, request: &Request, chat: &Chat, effects: &mut Vec<Effect>) -> Result<Wait, Response> {
    let query = &request.query;
    let room: Arc<str> = room(query)?.into();
    let reader = name(query)?;
    let engine = match query.get("engine")? {
        None | Some("best" | "") => Engine::Best,
        Some("embedded") => Engine::Embedded,
        Some(other) => {
            let told = format!("engine {other:?} is not known: want engine=embedded, or none for the best there is");
            return Err(refusal(Status::BadRequest, &told));
        }
    };
    let last = number(query, "last")?;
    if last == Some(0) {
        return Err(refusal(Status::BadRequest, "last is 0: want how many of the newest messages to summarize"));
    }
    let wants_events = request.headers.get("accept").is_some_and(accepts_events);
    let ask = Ask {
        to: client,
        upto: chat.last(&room),
        room: Arc::clone(&room),
        after: number(query, "since")?.unwrap_or(0),
        last,
        reader: reader.clone(),
        engine,
        wants_progress: wants_events,
    };
    effects.push(Effect::Summarize(ask));
    Ok(Wait::Summary { room, reader, stream: if wants_events { Stream::Wanted } else { Stream::No } })
}

/// An `Accept` that names server-sent events (RFC 9110 section 12.5.1); what it prefers does not matter.
fn accepts_events(accept: &str) -> bool {
    accept.split(',').any(|range| range.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(EVENTS)))
}

fn room(query: &Query) -> Result<&str, Response> {
    message::check_room(query.get("room")?).map_err(|told| refusal(Status::BadRequest, &told))
}

/// The `username` of a request that may have none.
fn name(query: &Query) -> Result<Option<Arc<str>>, Response> {
    let Some(raw) = query.get("username")? else { return Ok(None) };
    let name = message::check_name(Some(raw)).map_err(|told| refusal(Status::BadRequest, &told))?;
    Ok(Some(name.into()))
}

fn number(query: &Query, name: &str) -> Result<Option<u64>, Response> {
    let Some(raw) = query.get(name)? else { return Ok(None) };
    let is_plain = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
    match raw.parse::<i64>().ok().filter(|_| is_plain).and_then(|number| u64::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => {
            let shown: String = raw.chars().take(32).collect();
            let (status, detail) = bad(format!("{name} is {shown:?}: want a whole number from 0 to {}", i64::MAX));
            Err(refusal(status, &detail))
        }
    }
}

/// `limit`, bounded by [`LIST_MAX`]; 0 is refused.
fn limit(query: &Query) -> Result<Option<u64>, Response> {
    match number(query, "limit")? {
        Some(0) => Err(refusal(Status::BadRequest, &format!("limit is 0: want 1-{LIST_MAX}"))),
        Some(limit) => Ok(Some(limit.min(LIST_MAX))),
        None => Ok(None),
    }
}

/// Compares in a time that tells nothing about where they differ.
fn is_same_secret(given: &str, secret: &str) -> bool {
    let (given, secret) = (given.as_bytes(), secret.as_bytes());
    let differing = given.iter().zip(secret.iter()).fold(0u8, |all, (a, b)| all | (a ^ b));
    given.len() == secret.len() && differing == 0
}
