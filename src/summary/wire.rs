//! What a service's errors, headers and sentences mean: from the words of the wire to ours.
//!
//! No request is made here.

use std::io;
use std::time::Duration;

use ureq::http::HeaderMap;

use crate::summary::budget::{Limits, duration};
use crate::summary::trouble::Trouble;

/// An address that is no URL.
pub const BAD_ADDRESS: Trouble = Trouble::Unreachable("its address is not valid");

/// Somebody else may have answered in the service's name.
const UNTRUSTED: Trouble = Trouble::Unreachable("its certificate is not trusted");

/// Whether the service may well answer a moment later.
pub fn is_overwhelmed(status: u16) -> bool {
    matches!(status, 408 | 424 | 498 | 500 | 502 | 503 | 504 | 529)
}

/// Whether a 400 means that the prompt was too long.
pub fn is_context_exceeded(code: &str, said: &str) -> bool {
    matches!(code, "context_length_exceeded" | "exceed_context_size_error" | "request_too_large")
        || (said.contains("context") && ["length", "size", "window"].iter().any(|word| said.contains(word)))
}

/// `… limit 6000, requested 6294 …`
pub fn number_after(said: &str, word: &str) -> Option<u64> {
    let rest = said.rsplit(word).next()?.trim_start_matches([':', ' ']);
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    digits.parse().ok()
}

/// The time that a text begins with.
pub fn first_duration(text: &str) -> Option<Duration> {
    let word = text.split_whitespace().next()?;
    duration(word.trim_end_matches(['.', ',']))
}

/// What the headers say about our tokens.
pub fn limits(headers: &HeaderMap) -> Limits {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    Limits { limit: number("x-ratelimit-limit-tokens"), remaining: number("x-ratelimit-remaining-tokens") }
}

/// What the users know the service by.
pub fn name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // `http://user:password@host`: what stands before the host is nobody's business.
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
    match host {
        "api.groq.com" => "groq".to_owned(),
        "" => "llm".to_owned(),
        host => host.to_owned(),
    }
}

/// What an error of the client means for us.
pub fn trouble_of(error: &ureq::Error) -> Trouble {
    use ureq::Error;
    match error {
        Error::Timeout(ureq::Timeout::Resolve) => Trouble::Unreachable("its name could not be looked up in time"),
        Error::Timeout(ureq::Timeout::Connect) => Trouble::Unreachable("no connection in time"),
        Error::Timeout(_) => Trouble::TooSlow,
        Error::HostNotFound => Trouble::Unreachable("its name is not known"),
        Error::Rustls(error) if is_untrusted(&error.to_string()) => UNTRUSTED,
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) | Error::TlsRequired => {
            Trouble::Unreachable("no secure connection")
        }
        Error::BodyExceedsLimit(_) | Error::LargeResponseHeader(..) => Trouble::Garbled("its answer was too long"),
        Error::BadUri(_) => BAD_ADDRESS,
        // The only header that can be bad is the one that holds the key.
        Error::Http(_) => Trouble::KeyRefused,
        Error::Protocol(_) => Trouble::Garbled("its answer was not HTTP"),
        Error::Io(error) => trouble_of_io(error),
        _ => Trouble::Unreachable("no connection"),
    }
}

/// The TLS library has a kind for each way in which a certificate can be wrong, and these words before all of them.
fn is_untrusted(said: &str) -> bool {
    said.contains("invalid peer certificate")
}

fn trouble_of_io(error: &io::Error) -> Trouble {
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        return trouble_of(inner);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Trouble::Unreachable("connection refused"),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Trouble::TooSlow,
        io::ErrorKind::InvalidData if is_untrusted(&error.to_string()) => UNTRUSTED,
        io::ErrorKind::InvalidData => Trouble::Unreachable("no secure connection"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            Trouble::CutOff
        }
        io::ErrorKind::BrokenPipe => Trouble::CutOff,
        // The standard library has no kind for a name that cannot be looked up, only this text.
        _ if error.to_string().contains("lookup address") => Trouble::Unreachable("its name is not known"),
        _ => Trouble::Unreachable("no connection"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_named_by_its_host_and_never_by_a_password() {
        let check = |url, expect| assert_eq!(name(url), expect, "{url}");
        check("https://api.groq.com/openai/v1", "groq");
        check("http://localhost:11434/v1", "localhost");
        check("http://me:secret@llm.example.org:8080/v1/", "llm.example.org");
        check("http://[::1]:8080/v1", "[::1]:8080");
        check("", "llm");
    }

    #[test]
    fn numbers_and_waits_are_found_in_what_services_say() {
        let said = "request too large on tokens per minute (tpm): limit 6000, requested 6294, please reduce";
        assert_eq!((number_after(said, "limit"), number_after(said, "requested")), (Some(6000), Some(6294)));
        assert_eq!(first_duration("4.77s. visit"), Some(Duration::from_millis(4770)));
        assert!(is_context_exceeded("", "this model's maximum context length is 4096 tokens"));
    }
}
