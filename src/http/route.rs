//! Which endpoint a method and a path name. Knows nothing about parameters or bodies.

use super::{Error, Method};

/// An endpoint. `HEAD` is the route of `GET`, answered without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /`: the chat page.
    Page,
    /// `GET /ws`: the upgrade.
    WebSocket,
    /// `POST /api/summarize`
    Summarize,
    /// `GET /api/messages`
    Messages,
    /// `POST /api/messages`
    PostMessage,
    /// `GET /api/search`
    Search,
    /// `GET /api/rooms`
    Rooms,
    /// `GET /api/users`
    Users,
    /// `GET /healthz`
    Healthz,
    /// `GET /readyz`
    Readyz,
    /// `GET /metrics`
    Metrics,
    /// `GET /openapi.json`
    OpenApi,
    /// `GET /asyncapi.json`
    AsyncApi,
    /// `OPTIONS` on any of these paths, or on `*`: the value of the `Allow` header.
    Options(&'static str),
}

const UPGRADE: &str = "GET, OPTIONS";
const READ: &str = "GET, HEAD, OPTIONS";
const WRITE: &str = "POST, OPTIONS";
const READ_AND_WRITE: &str = "GET, HEAD, POST, OPTIONS";

/// What is at a path.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The path, decoded.
    pub path: &'static str,
    /// What GET asks for.
    pub get: Option<Route>,
    /// What POST asks for.
    pub post: Option<Route>,
    /// The value of the `Allow` header.
    pub allow: &'static str,
}

const fn endpoint(path: &'static str, get: Option<Route>, post: Option<Route>, allow: &'static str) -> Endpoint {
    Endpoint { path, get, post, allow }
}

/// Every path; `*` stands for the server itself (RFC 9110 section 9.3.7).
pub const ENDPOINTS: [Endpoint; 13] = [
    endpoint("/", Some(Route::Page), None, READ),
    endpoint("/ws", Some(Route::WebSocket), None, UPGRADE),
    endpoint("/api/summarize", None, Some(Route::Summarize), WRITE),
    endpoint("/api/messages", Some(Route::Messages), Some(Route::PostMessage), READ_AND_WRITE),
    endpoint("/api/search", Some(Route::Search), None, READ),
    endpoint("/api/rooms", Some(Route::Rooms), None, READ),
    endpoint("/api/users", Some(Route::Users), None, READ),
    endpoint("/healthz", Some(Route::Healthz), None, READ),
    endpoint("/readyz", Some(Route::Readyz), None, READ),
    endpoint("/metrics", Some(Route::Metrics), None, READ),
    endpoint("/openapi.json", Some(Route::OpenApi), None, READ),
    endpoint("/asyncapi.json", Some(Route::AsyncApi), None, READ),
    endpoint("*", None, None, READ_AND_WRITE),
];

/// Methods that we know and have nowhere. CONNECT is not among them: no path comes with it.
const METHODS_ELSEWHERE: [&str; 5] = ["PUT", "DELETE", "PATCH", "QUERY", "TRACE"];

/// The endpoint for a method and a decoded path.
///
/// `Error::UnknownMethod` (501) wherever it is asked, `Error::NotFound` (404), or
/// `Error::NotAllowed` (405) with the methods for the path. Paths are compared whole: a slash at
/// the end, or a capital letter, is another path.
pub fn route(method: &Method, path: &str) -> Result<Route, Error> {
    if let Method::Other(name) = method
        && !METHODS_ELSEWHERE.contains(&name.as_str())
    {
        return Err(Error::UnknownMethod(name.clone()));
    }
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.path == path);
    let &Endpoint { get, post, allow, .. } = endpoint.ok_or_else(|| Error::NotFound(path.to_owned()))?;
    let route = match method {
        Method::Get => get,
        Method::Head if allow == UPGRADE => None,
        Method::Head => get,
        Method::Post => post,
        Method::Options => Some(Route::Options(allow)),
        Method::Other(_) => None,
    };
    route.ok_or_else(|| Error::NotAllowed { method: name(method).to_owned(), path: path.to_owned(), allow })
}

fn name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Options => "OPTIONS",
        Method::Other(name) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, path: &str, expect: Result<Route, (u16, Option<&str>)>) {
        let found = route(&method, path);
        let found = found.map_err(|error| (error.status().code(), error.allow()));
        assert_eq!(found, expect, "{method:?} {path}");
    }

    fn other(name: &str) -> Method {
        Method::Other(name.to_owned())
    }

    #[test]
    fn every_endpoint_is_found_by_its_methods_only() {
        check(Method::Get, "/", Ok(Route::Page));
        check(Method::Head, "/", Ok(Route::Page));
        check(Method::Get, "/ws", Ok(Route::WebSocket));
        check(Method::Post, "/api/summarize", Ok(Route::Summarize));
        check(Method::Get, "/api/messages", Ok(Route::Messages));
        check(Method::Post, "/api/messages", Ok(Route::PostMessage));
        check(Method::Head, "/api/search", Ok(Route::Search));
        check(Method::Post, "/", Err((405, Some("GET, HEAD, OPTIONS"))));
        check(Method::Head, "/ws", Err((405, Some("GET, OPTIONS"))));
        check(Method::Get, "/api/summarize", Err((405, Some("POST, OPTIONS"))));
        check(other("DELETE"), "/api/messages", Err((405, Some("GET, HEAD, POST, OPTIONS"))));
    }

    #[test]
    fn options_tells_what_is_allowed() {
        check(Method::Options, "/ws", Ok(Route::Options("GET, OPTIONS")));
        check(Method::Options, "*", Ok(Route::Options("GET, HEAD, POST, OPTIONS")));
        check(Method::Options, "/nowhere", Err((404, None)));
    }

    #[test]
    fn an_unknown_path_is_404_and_an_unknown_method_501_everywhere() {
        check(Method::Get, "/api/messages/", Err((404, None)));
        check(Method::Get, "/API/messages", Err((404, None)));
        check(Method::Get, "/api%2Fmessages", Err((404, None)));
        check(other("PUT"), "/nowhere", Err((404, None)));
        check(other("BREW"), "/", Err((501, None)));
        check(other("get"), "/", Err((501, None)));
    }
}
