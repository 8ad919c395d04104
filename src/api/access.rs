//! Who may ask: the token, and the origin of the page that asks. Knows no endpoint but by its route.

use crate::http::{Request, Route, Status};
use crate::peer::Trusted;

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Without it nothing but `/` and `/healthz` answers.
    pub token: Option<Box<str>>,
    /// `/metrics` has an address of its own, and is not here.
    pub has_operators: bool,
    /// Origins of other pages that may connect, as browsers write them: `https://example.org`.
    pub origins: Vec<Box<str>>,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted: Trusted,
}

type Refused = (Status, String);

impl Access {
    /// Token and origin. Browsers send an `Origin` with every WebSocket upgrade and every request of a page that
    /// is not a plain read of its own; a page elsewhere may do neither unless the operator named it.
    pub(super) fn admit(&self, route: Route, request: &Request) -> Result<(), Refused> {
        let is_open = matches!(route, Route::Page | Route::Healthz | Route::Options(_));
        if let Some(token) = self.token.as_deref().filter(|_| !is_open) {
            // The scheme has no case (RFC 9110 section 11.1).
            let header = request.headers.get("authorization").and_then(|value| value.split_once(' '));
            let given = match header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
                Some((_, bearer)) => Some(bearer.trim()),
                None => request.query.get("token").map_err(|error| (error.status(), error.detail()))?,
            };
            if !given.is_some_and(|given| is_same_secret(given, token)) {
                let told = "this server wants its token: add ?token=… or \"Authorization: Bearer …\"";
                return Err((Status::Unauthorized, told.into()));
            }
        }
        let Some(origin) = request.headers.get("origin") else { return Ok(()) };
        if is_open || self.is_own_origin(request, origin) || self.is_allowed_origin(origin) {
            return Ok(());
        }
        let told = format!("origin {origin:?} may not use this server: start it with --allow-origin to let it in");
        Err((Status::Forbidden, told))
    }

    fn is_own_origin(&self, request: &Request, origin: &str) -> bool {
        let host = request.headers.get("host");
        let origin_host = origin.split_once("://").map(|(_, host)| host);
        matches!((host, origin_host), (Some(host), Some(origin)) if host.eq_ignore_ascii_case(origin))
    }

    pub(super) fn is_allowed_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| &**allowed == "*" || allowed.eq_ignore_ascii_case(origin))
    }
}

/// Compares in a time that tells nothing about where they differ.
fn is_same_secret(given: &str, secret: &str) -> bool {
    let (given, secret) = (given.as_bytes(), secret.as_bytes());
    let differing = given.iter().zip(secret.iter()).fold(0u8, |all, (a, b)| all | (a ^ b));
    given.len() == secret.len() && differing == 0
}
