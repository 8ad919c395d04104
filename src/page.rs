//! The chat page, embedded: compressed, with an ETag, and with a policy under which only its own script runs.

use crate::http::{Response, Status};

const HTML: &[u8] = include_bytes!("../client.html");
const GZIP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/client.html.gz"));
const ETAG: &str = include_str!(concat!(env!("OUT_DIR"), "/etag.txt"));
/// Content Security Policy Level 3: the hashes of the page's one script and one style.
const POLICY: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.txt"));

/// The page, or 304 if the browser has it (RFC 9110 section 13.1.2).
pub fn response(if_none_match: Option<&str>, accepts_gzip: bool) -> Response {
    let is_known =
        if_none_match.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == ETAG));
    let response = if is_known {
        Response::new(Status::NotModified)
    } else if accepts_gzip {
        Response::new(Status::Ok).with_body("text/html; charset=utf-8", GZIP).with_header("Content-Encoding", "gzip")
    } else {
        Response::new(Status::Ok).with_body("text/html; charset=utf-8", HTML)
    };
    response
        .with_header("ETag", ETAG)
        .with_header("Cache-Control", "no-cache")
        .with_header("Vary", "Accept-Encoding")
        .with_header("Content-Security-Policy", POLICY)
        .with_header("X-Content-Type-Options", "nosniff")
        .with_header("X-Frame-Options", "DENY")
        .with_header("Referrer-Policy", "no-referrer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    #[test]
    fn the_page_is_small_and_comes_compressed_to_those_who_take_it() {
        let plain = response(None, false);
        let zipped = response(None, true);
        let (Body::Bytes(html), Body::Bytes(gzip)) = (&plain.body, &zipped.body) else { panic!("pages have bodies") };
        assert!(html.len() < 50 * 1024, "the page has {} bytes", html.len());
        assert!(gzip.len() < html.len() / 2);
        assert_eq!(gzip[..2], [0x1f, 0x8b]);
    }

    #[test]
    fn a_browser_that_has_the_page_is_not_sent_it_again() {
        assert_eq!(response(Some(ETAG), true).status, Status::NotModified);
        assert_eq!(response(Some(&format!("\"other\", W/{ETAG}")), true).status, Status::NotModified);
        assert_eq!(response(Some("\"other\""), true).status, Status::Ok);
    }
}
