//! Files inside the binary: stored compressed, sent so to who takes it, with an ETag.
//!
//! Knows nothing of what is in them; `build.rs` makes them.

use std::sync::OnceLock;

use miniz_oxide::inflate::decompress_to_vec;

use crate::http::{Response, Status};

/// Bytes before and behind the deflated data: RFC 1952 section 2.3, without optional fields.
const GZIP_HEAD_BYTES: usize = 10;
const GZIP_TAIL_BYTES: usize = 8;

/// One file; to be a `static`.
pub struct Embedded {
    kind: &'static str,
    gzip: &'static [u8],
    etag: &'static str,
    /// Made for the first who does not take it compressed.
    plain: OnceLock<Vec<u8>>,
}

impl Embedded {
    /// A file of this Content-Type, as `build.rs` compressed it.
    pub const fn new(kind: &'static str, gzip: &'static [u8], etag: &'static str) -> Embedded {
        Embedded { kind, gzip, etag, plain: OnceLock::new() }
    }

    /// The file, or 304 if the client has it (RFC 9110 section 13.1.2). Its ETag is a weak one: compressed or not, it is
    /// the same file in other bytes (section 8.8.1).
    pub fn response(&'static self, if_none_match: Option<&str>, accepts_gzip: bool) -> Response {
        let is_known = if_none_match.is_some_and(|tags| is_known(tags, self.etag));
        let response = if is_known {
            Response::new(Status::NotModified)
        } else if accepts_gzip {
            Response::new(Status::Ok).with_body(self.kind, self.gzip).with_header("Content-Encoding", "gzip")
        } else {
            Response::new(Status::Ok).with_body(self.kind, self.plain())
        };
        response
            .with_header("ETag", self.etag)
            .with_header("Cache-Control", "no-cache")
            .with_header("Vary", "Accept-Encoding")
    }

    /// The file as it was before it was compressed.
    pub fn plain(&self) -> &[u8] {
        self.plain.get_or_init(|| {
            let deflated = &self.gzip[GZIP_HEAD_BYTES..self.gzip.len() - GZIP_TAIL_BYTES];
            decompress_to_vec(deflated).expect("build.rs has compressed it")
        })
    }
}

/// Whether the tag is among those of an `If-None-Match`, which may be `*`: whatever there is.
fn is_known(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}
