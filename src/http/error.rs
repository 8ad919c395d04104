//! Everything that an HTTP request can be refused for, and how it is said. Makes no JSON.

use std::fmt;

use super::Status;
use super::{BODY_BYTES_MAX, CHUNK_LINE_BYTES_MAX, EXTENSIONS_BYTES_MAX, HEAD_BYTES_MAX};
use super::{HEADERS_MAX, TARGET_BYTES_MAX, TRAILERS_BYTES_MAX};

/// Characters of the client's own text that a detail repeats.
const QUOTED_CHARS_MAX: usize = 64;

/// Why a request is refused. Each has one status and one sentence.
///
/// What the reader gives ends the connection: where the next request begins is not known. What
/// `route` and `Query::get` give concerns one whole request and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// 400: a control character in a head, a chunk-size line or the trailers. CR and LF are among
    /// them, unless they stand together.
    BadByte(u8),
    /// 400: the first line is not `METHOD target HTTP/1.1`; what about it.
    BadRequestLine(&'static str),
    /// 400: the target is in no form that we know; what about it.
    BadTarget(&'static str),
    /// 400: the path cannot be decoded; what about it.
    BadPath(&'static str),
    /// 400: a query parameter cannot be decoded.
    BadParameter {
        /// Its name, as it was sent.
        name: String,
        /// What is wrong with it, beginning with a verb.
        why: &'static str,
    },
    /// 400: a query parameter that must be there at most once is there twice.
    RepeatedParameter(String),
    /// 400: a header line, or trailer line, is not `Name: value`.
    BadHeader {
        /// The line, or its name.
        line: String,
        /// What is wrong with it, beginning with a verb.
        why: &'static str,
    },
    /// 400: no Host, two, or one that is not `host[:port]`; what about it.
    BadHost(&'static str),
    /// 400: a Content-Length that is not one number.
    BadLength(String),
    /// 400: a Content-Length beside a Transfer-Encoding.
    TwoLengths,
    /// 400: a Transfer-Encoding that leaves the end of the body open.
    BadTransferEncoding(String),
    /// 400: the chunks of a body; what about them, beginning with a verb.
    BadChunk(&'static str),
    /// 400: a chunk-size line over `CHUNK_LINE_BYTES_MAX`.
    ChunkLineTooLong,
    /// 400: chunk extensions over `EXTENSIONS_BYTES_MAX` in one body.
    ExtensionsTooLarge,
    /// 404
    NotFound(String),
    /// 405, with the methods that are allowed there.
    NotAllowed {
        /// What was asked.
        method: String,
        /// Where.
        path: String,
        /// For the `Allow` header.
        allow: &'static str,
    },
    /// 413: a body of at least this many bytes.
    BodyTooLarge(u64),
    /// 414
    TargetTooLong,
    /// 417: an expectation other than `100-continue`.
    UnknownExpectation(String),
    /// 431
    HeadTooLarge,
    /// 431
    TooManyHeaders,
    /// 431
    TrailersTooLarge,
    /// 501: a method that we do not know anywhere.
    UnknownMethod(String),
    /// 501: a coding before `chunked`.
    UnknownTransferCoding(String),
    /// 505
    UnknownVersion(String),
}

impl Error {
    /// The status to answer with.
    pub fn status(&self) -> Status {
        match self {
            Error::BadByte(_)
            | Error::BadRequestLine(_)
            | Error::BadTarget(_)
            | Error::BadPath(_)
            | Error::BadParameter { .. }
            | Error::RepeatedParameter(_)
            | Error::BadHeader { .. }
            | Error::BadHost(_)
            | Error::BadLength(_)
            | Error::TwoLengths
            | Error::BadTransferEncoding(_)
            | Error::BadChunk(_)
            | Error::ChunkLineTooLong
            | Error::ExtensionsTooLarge => Status::BadRequest,
            Error::NotFound(_) => Status::NotFound,
            Error::NotAllowed { .. } => Status::MethodNotAllowed,
            Error::BodyTooLarge(_) => Status::ContentTooLarge,
            Error::TargetTooLong => Status::UriTooLong,
            Error::UnknownExpectation(_) => Status::ExpectationFailed,
            Error::HeadTooLarge | Error::TooManyHeaders | Error::TrailersTooLarge => Status::HeadersTooLarge,
            Error::UnknownMethod(_) | Error::UnknownTransferCoding(_) => Status::NotImplemented,
            Error::UnknownVersion(_) => Status::VersionNotSupported,
        }
    }

    /// One sentence for people: what is wrong and what would be right. What the client sent is
    /// repeated only where it is no secret, cut short, with its control characters escaped.
    pub fn detail(&self) -> String {
        match self {
            Error::BadByte(b'\n') => "a line ends in LF alone, want CR LF".to_owned(),
            Error::BadByte(b'\r') => "a CR stands without its LF, want CR LF".to_owned(),
            Error::BadByte(byte) => {
                format!("byte 0x{byte:02x} stands in a line, want no control characters")
            }
            Error::BadRequestLine(why) => {
                format!("request line {why}, want \"METHOD /path HTTP/1.1\"")
            }
            Error::BadTarget(why) => format!("request target {why}, want \"/path?query\""),
            Error::BadPath(why) => format!("path {why}"),
            Error::BadParameter { name, why } => format!("parameter {} {why}", quoted(name)),
            Error::RepeatedParameter(name) => {
                format!("parameter {} is given twice, want it once", quoted(name))
            }
            Error::BadHeader { line, why } => {
                format!("header line {} {why}, want \"Name: value\"", quoted(line))
            }
            Error::BadHost(why) => format!("header Host {why}, want one \"Host: name[:port]\""),
            Error::BadLength(value) => {
                format!("header Content-Length is {}, want one whole number", quoted(value))
            }
            Error::TwoLengths => "headers Content-Length and Transfer-Encoding are both given, want one".to_owned(),
            Error::BadTransferEncoding(value) => {
                format!("header Transfer-Encoding is {}, want \"chunked\" and HTTP/1.1", quoted(value))
            }
            Error::BadChunk(why) => format!("a chunk of the body {why}"),
            Error::ChunkLineTooLong => {
                format!("a chunk-size line is too long, the limit is {CHUNK_LINE_BYTES_MAX} bytes")
            }
            Error::ExtensionsTooLarge => {
                format!("chunk extensions are too large, the limit is {EXTENSIONS_BYTES_MAX} bytes")
            }
            Error::NotFound(path) => {
                format!("path {} is not here, try /, /ws or /api/messages", quoted(path))
            }
            Error::NotAllowed { method, path, allow } => {
                format!("method {} is not for path {}, want one of {allow}", quoted(method), quoted(path))
            }
            Error::BodyTooLarge(bytes) => {
                format!("body is {bytes} bytes, the limit is {BODY_BYTES_MAX}")
            }
            Error::TargetTooLong => {
                format!("request target is too long, the limit is {TARGET_BYTES_MAX} bytes")
            }
            Error::UnknownExpectation(value) => {
                format!("header Expect is {}, want \"100-continue\"", quoted(value))
            }
            Error::HeadTooLarge => {
                format!("request head is too large, the limit is {HEAD_BYTES_MAX} bytes")
            }
            Error::TooManyHeaders => {
                format!("request has too many header lines, the limit is {HEADERS_MAX}")
            }
            Error::TrailersTooLarge => {
                format!("trailers are too large, the limit is {TRAILERS_BYTES_MAX} bytes")
            }
            Error::UnknownMethod(method) => {
                format!("method {} is not known, want GET, HEAD, POST or OPTIONS", quoted(method))
            }
            Error::UnknownTransferCoding(value) => {
                format!("header Transfer-Encoding is {}, want \"chunked\"", quoted(value))
            }
            Error::UnknownVersion(version) => {
                format!("version {} is not spoken here, want HTTP/1.1", quoted(version))
            }
        }
    }

    /// For 405: the value of the `Allow` header, which must be there (RFC 9110 section 15.5.6).
    pub fn allow(&self) -> Option<&'static str> {
        match self {
            Error::NotAllowed { allow, .. } => Some(allow),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.detail())
    }
}

impl std::error::Error for Error {}

fn quoted(text: &str) -> String {
    let mut start: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_repeats_little_and_escapes_it() {
        let error = Error::NotFound("/\r\n\u{1b}[2J\"".to_owned());
        assert_eq!(error.detail(), r#"path "/\r\n\u{1b}[2J\"" is not here, try /, /ws or /api/messages"#);
        let error = Error::NotFound("/é".repeat(4000));
        assert!(error.detail().len() < 200, "{}", error.detail());
    }
}
