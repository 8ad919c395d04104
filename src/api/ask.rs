//! What a request asks: its parameters, checked, become a question to the log or the summary workers, and what the
//! connection waits for. Answers nothing itself.

use std::sync::Arc;

use super::{EVENTS, Effect, List, Stream, Wait, refusal};
use crate::chat::{Chat, Hello, Time};
use crate::http::{Query, Request, Response, Status};
use crate::log::{HITS_MAX, Job, PAGE_POSTS_MAX, Span};
use crate::message::{self, ClientId, Draft, ListTail, ListWriter};
use crate::peer::{Peer, Trusted};
use crate::summary::{Ask, Engine};
use crate::ws;

/// Most messages that a list with a `limit` gives; without one there is no bound.
pub const LIST_MAX: u64 = 1000;
/// Hits of a search that names no `limit`.
const HITS_DEFAULT: usize = 50;
/// Longest text to search for, in characters: also percent-encoded it fits into a target.
pub const QUERY_CHARS_MAX: usize = 256;
pub(super) fn enter(
    client: ClientId,
    asker: Peer,
    trusted: &Trusted,
    request: &Request,
    chat: &Chat,
) -> Result<Effect, Response> {
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

pub(super) fn messages(
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
    let tail = ListTail { total_count: Some(last), last_id: last, epoch: chat.epoch(), limit, ..ListTail::default() };
    let span = Span { room, after, upto, limit: PAGE_POSTS_MAX, not_by: None };
    Ok(Wait::List(list(client, span, limit, tail, effects)))
}

pub(super) fn post(
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

pub(super) fn search(
    client: ClientId,
    request: &Request,
    chat: &Chat,
    effects: &mut Vec<Effect>,
) -> Result<Wait, Response> {
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

pub(super) fn summarize(
    client: ClientId,
    request: &Request,
    chat: &Chat,
    effects: &mut Vec<Effect>,
) -> Result<Wait, Response> {
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

pub(super) fn room(query: &Query) -> Result<&str, Response> {
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
            let told = format!("{name} is {shown:?}: want a whole number from 0 to {}", i64::MAX);
            Err(refusal(Status::BadRequest, &told))
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

impl List {
    pub(super) fn next_span(&self) -> Span {
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(PAGE_POSTS_MAX);
        Span { limit, ..self.span.clone() }
    }
}

pub(super) fn list(
    client: ClientId,
    span: Span,
    limit: Option<u64>,
    tail: ListTail,
    effects: &mut Vec<Effect>,
) -> List {
    let left = limit.unwrap_or(u64::MAX);
    let list = List { span, left, writer: ListWriter::default(), tail, is_begun: false };
    effects.push(Effect::Log(Job::Page { to: client, span: list.next_span() }));
    list
}
