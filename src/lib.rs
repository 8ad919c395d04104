//! Catchup: a chat server that tells you what you missed.
pub mod log;
pub mod message;
