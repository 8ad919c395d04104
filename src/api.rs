//! The HTTP endpoints: what a request means, who waits for which answer, what is answered.
//!
//! Pure like `chat.rs`: takes requests and answers, gives effects. Parsing is done in `http.rs`, JSON in
//! `message.rs`, and whether a name is free is known by `chat.rs`.
//!
//! This file is the way of a request: let in (`access`), asked (`ask`), answered at once or later (`answers`).

mod access;
mod answers;
mod ask;

use std::collections::HashMap;
use std::sync::Arc;

use crate::chat::{Chat, Hello, Time};
use crate::http::{self, Method, Request, Response, Route, Status, Version};
use crate::log::{Job, Span};
use crate::message::{self, ClientId, Encoder, ListTail, ListWriter, RoomEntry, Seq};
use crate::peer::Peer;
use crate::summary::Ask;
use crate::{documents, page};
pub use access::Access;
pub use ask::{LIST_MAX, QUERY_CHARS_MAX};

/// Seconds after which a client may ask again when the summary queue is full.
const BUSY_SECONDS: u64 = 5;
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// How far the server has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// `/readyz` says no.
    Leaving,
    /// The log is closed.
    Closed,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Where the connection comes from.
    pub peer: Peer,
    /// A believed proxy has said so, in a PROXY header.
    pub is_vouched_for: bool,
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
        asker: Asker,
        request: &Request,
        chat: &Chat,
        effects: &mut Vec<Effect>,
    ) {
        let form =
            Form { is_head: request.method == Method::Head, keep_alive: request.keep_alive, version: request.version };
        let origin = request.headers.get("origin").filter(|origin| self.access.is_allowed_origin(origin));
        self.shared.extend(origin.map(|origin| (client, origin.into())));
        let asked = http::route(&request.method, &request.path)
            .map_err(Response::from)
            .and_then(|route| self.answer(time, client, asker, route, request, chat, form, effects));
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
        asker: Asker,
        route: Route,
        request: &Request,
        chat: &Chat,
        form: Form,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Response>, Response> {
        self.access.admit(route, asker, request).map_err(|(status, detail)| refusal(status, &detail))?;
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
                let room = ask::room(&request.query)?;
                ok(message::users_body(room, &chat.users(room)))
            }
            Route::WebSocket => {
                effects.push(ask::enter(client, asker.peer, &self.access.trusted, request, chat)?);
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
                    Route::Messages => ask::messages(client, request, chat, effects)?,
                    Route::PostMessage => ask::post(time, client, request, chat, effects)?,
                    Route::Search => ask::search(client, request, chat, effects)?,
                    _ => ask::summarize(client, request, chat, effects)?,
                };
                self.exchanges.insert(client, Exchange { form, wait });
                return Ok(None);
            }
        };
        Ok(Some(fixed))
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
}

fn rooms(chat: &Chat) -> Vec<u8> {
    let entry = |room: crate::chat::RoomInfo| RoomEntry { room: room.name, online: room.online, messages: room.last };
    let rooms: Vec<RoomEntry> = chat.rooms().into_iter().map(entry).collect();
    message::rooms_body(&rooms)
}
