//! The chat page, embedded, with a policy under which only its own script runs.

use crate::embedded::Embedded;
use crate::http::Response;

static HTML: Embedded = Embedded::new(
    "text/html; charset=utf-8",
    include_bytes!(concat!(env!("OUT_DIR"), "/client.html.gz")),
    include_str!(concat!(env!("OUT_DIR"), "/client.html.etag")),
);
/// Content Security Policy Level 3: the hashes of the page's one script and one style.
const POLICY: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.txt"));

/// The page, or 304 if the browser has it (RFC 9110 section 13.1.2).
pub fn response(if_none_match: Option<&str>, accepts_gzip: bool) -> Response {
    HTML.response(if_none_match, accepts_gzip)
        .with_header("Content-Security-Policy", POLICY)
        .with_header("X-Frame-Options", "DENY")
        .with_header("Referrer-Policy", "no-referrer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Body, Status};

    #[test]
    fn the_page_is_small_and_comes_compressed_to_those_who_take_it() {
        let plain = response(None, false);
        let zipped = response(None, true);
        let (Body::Bytes(html), Body::Bytes(gzip)) = (&plain.body, &zipped.body) else { panic!("pages have bodies") };
        assert!(html.len() < 50_000, "the page has {} bytes", html.len());
        assert!(gzip.len() < html.len() / 2);
        assert_eq!(gzip[..2], [0x1f, 0x8b]);
        assert!(**html == *include_bytes!("../client.html"), "what comes uncompressed is the file");
    }

    #[test]
    fn a_browser_that_has_the_page_is_not_sent_it_again() {
        let etag = response(None, true).headers.into_iter().find(|(name, _)| *name == "ETag").expect("it has one").1;
        let opaque = etag.strip_prefix("W/").expect("one for what is compressed and what is not");
        for tags in [&etag, opaque, &format!("\"other\", {etag}"), &format!(" {opaque} ,W/\"x\""), "*"] {
            assert_eq!(response(Some(tags), true).status, Status::NotModified, "{tags}");
        }
        for tags in ["\"other\"", "", "W/", "\"*\"", opaque.trim_matches('"')] {
            assert_eq!(response(Some(tags), true).status, Status::Ok, "{tags}");
        }
    }
}
