//! What the bench programs share: clients, checks, clocks and figures. No server code.
//!
//! `load` drives one server, `compare` drives many in turn, `limit` is the yardstick they are
//! held against; `endure` does what lasts or hurts. Read `load` first, then `swarm` (the sockets) and `traffic` (what is sent and
//! how each delivery is checked).

pub mod check;
pub mod fetch;
pub mod follow;
pub mod histogram;
pub mod mark;
pub mod random;
pub mod report;
pub mod sampler;
pub mod server;
pub mod swarm;
pub mod system;
pub mod traffic;
pub mod usage;
pub mod wire;
