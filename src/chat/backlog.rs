//! How a member comes to the live stream: what it has missed is read from the log, page by page, until nothing is left.
//!
//! No gap and no duplicate: the last page is answered in order with the posts, and in that instant the member is present.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Chat, Effect, Member};
use crate::log::{Job, PAGE_POSTS_MAX, Page, Span};
use crate::message::{ClientId, Event, Seq, Session};

/// How far a member has come to the live stream. Only `Present` ones have a place on the tape.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The log was asked for its read mark and backlog. `own`: what it has said meanwhile.
    Joining(Box<Joining>),
    /// It is fed from the store.
    Replaying(Box<Replaying>),
    /// It gets what everybody gets.
    Present,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Joining {
    pub(super) resumed: bool,
    pub(super) since: Option<Seq>,
    pub(super) own: VecDeque<Seq>,
}

/// What comes after `after`, all but `own`: what it has said on this very connection, and not been sent past yet. What
/// it said on an earlier one is replayed like everything else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replaying {
    after: Seq,
    own: VecDeque<Seq>,
}

impl Stage {
    fn replaying(after: Seq, own: VecDeque<Seq>) -> Stage {
        Stage::Replaying(Box::new(Replaying { after, own }))
    }

    /// What it has said and must not be sent; `None` for one that is present.
    pub(super) fn own(&mut self) -> Option<&mut VecDeque<Seq>> {
        match self {
            Stage::Joining(joining) => Some(&mut joining.own),
            Stage::Replaying(replaying) => Some(&mut replaying.own),
            Stage::Present => None,
        }
    }
}

impl Chat {
    /// The log has what a joiner needs.
    pub fn joined(&mut self, client: ClientId, read: Seq, page: Page, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(client) else { return };
        let Stage::Joining(joining) = &mut member.stage else { return };
        let (resumed, since, own) = (joining.resumed, joining.since, std::mem::take(&mut joining.own));
        let (room_id, person, is_v2) = (member.room, member.person, member.is_v2);
        self.person_mut(room_id, person).has_token |= is_v2;
        let room = self.room(room_id);
        let person = room.people.of(person);
        if is_v2 {
            let session = Session {
                user_id: person.user,
                token: person.token,
                room: Arc::clone(&room.name),
                epoch: self.rules.epoch,
                last_seq: room.last,
                read_seq: read,
                resumed,
            };
            effects.push(Effect::Send { to: client, event: Event::Session(session) });
        }
        effects.push(Effect::Send { to: client, event: Event::UserCount(room.people.len()) });
        let after = since.unwrap_or(room.last);
        self.set_stage(client, Stage::replaying(after, own));
        self.replay(client, page, effects);
    }

    /// A page of the backlog, in order with the posts: at its end the member is present.
    pub fn backlog(&mut self, client: ClientId, page: Page, effects: &mut Vec<Effect>) {
        if !page.more
            && let Some(member) = self.members.get(client)
        {
            // Who came and went meanwhile was announced on the tape, where it was not.
            let count = self.room(member.room).people.len();
            effects.push(Effect::Send { to: client, event: Event::UserCount(count) });
        }
        self.replay(client, page, effects);
    }

    /// A page read beside the order of posts: it cannot make a member present.
    pub fn page(&mut self, client: ClientId, page: Page, effects: &mut Vec<Effect>) {
        self.replay(client, Page { more: true, ..page }, effects);
    }

    fn replay(&mut self, client: ClientId, mut page: Page, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(client) else { return };
        let Stage::Replaying(replaying) = &mut member.stage else { return };
        let Replaying { after, own } = &mut **replaying;
        page.posts.retain(|post| own.binary_search(&post.seq).is_err());
        own.retain(|seq| *seq > page.looked_at);
        if page.more {
            *after = page.looked_at;
        } else {
            member.stage = Stage::Present;
        }
        let (room, stage_is_present) = (member.room, member.stage == Stage::Present);
        let is_empty = page.posts.is_empty();
        if !is_empty {
            effects.push(Effect::Replay { to: client, posts: page.posts });
        }
        if stage_is_present {
            let last = self.room(room).last;
            effects.push(Effect::Tune { client, room, last });
        } else if is_empty {
            self.drained(client, effects);
        }
    }

    /// A member has taken everything that it was sent: on with its backlog.
    pub fn drained(&mut self, client: ClientId, effects: &mut Vec<Effect>) {
        let Some(Member { room, stage: Stage::Replaying(replaying), .. }) = self.members.get(client) else {
            return;
        };
        let (room, after) = (self.room(*room), replaying.after);
        let name = Arc::clone(&room.name);
        // Far behind, it reads beside the log's order, so that nobody's post waits for it.
        let job = if room.last.saturating_sub(after) > PAGE_POSTS_MAX as u64 {
            let span = Span { room: name, after, upto: room.last, limit: PAGE_POSTS_MAX, not_by: None };
            Job::Page { to: client, span }
        } else {
            Job::Backlog { to: client, room: name, after }
        };
        effects.push(Effect::Log(job));
    }

    /// A member's socket is too slow for the live stream: `last` is the last post that it was sent, `own` are its own
    /// after that. [`Chat::drained`] follows once it has taken what it was sent.
    pub fn fell_behind(&mut self, client: ClientId, last: Seq, own: Vec<Seq>) {
        self.set_stage(client, Stage::replaying(last, own.into()));
    }

    fn set_stage(&mut self, client: ClientId, stage: Stage) {
        if let Some(member) = self.members.get_mut(client) {
            member.stage = stage;
        }
    }
}
