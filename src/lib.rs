//! Catchup: a chat server that tells you what you missed.
//!
//! A tour, in the order in which a message passes:
//!
//! - [`reactor`] is the one loop: it accepts, reads, lets others decide, and sends once a turn.
//! - [`http`] parses requests and writes responses; [`ws`] upgrades, reads frames and writes them.
//! - [`message`] knows the JSON: what a client may say and what it is told.
//! - [`chat`] decides: rooms, names, presence, who is told what. [`api`] does the same for HTTP endpoints.
//! - [`log`] are the words in which a room's log is asked; [`history`] keeps it in SQLite, [`memory`] in memory.
//! - [`tape`] holds a room's frames, encoded once; [`outbox`] private bytes and the only writes to a socket.
//! - [`connection`] knows who is owed what, and pays it when a turn ends.
//! - [`summary`] answers "what did I miss?" on threads of its own; [`extract`] is its embedded engine.
//! - [`listen`] opens the sockets, [`peer`] knows who is at the other end of one.
//! - [`config`], [`console`], [`health`] and [`metrics`] are what the operator sees; [`page`] and [`documents`], [`embedded`] in the
//!   binary, what browsers and programs do.
//!
//! Imports run downward only; `tests/layers.rs` keeps it so.

pub mod api;
pub mod archive;
pub mod chat;
pub mod config;
pub mod connection;
pub mod console;
pub mod documents;
pub mod embedded;
pub mod extract;
pub mod health;
pub mod history;
pub mod http;
pub mod listen;
pub mod log;
pub mod memory;
pub mod message;
pub mod metrics;
pub mod outbox;
pub mod page;
pub mod peer;
pub mod reactor;
pub mod summary;
pub mod tape;
pub mod words;
pub mod ws;
