//! Who may ask: the token, the origin of the page that asks, and the name that it asks by. Knows no endpoint but by its
//! route.

use super::Asker;
use crate::http::{Request, Route, Status};
use crate::peer::Trusted;

/// Endings of names that nobody can register: RFC 2606 (example, test, invalid, localhost), RFC 6762 (local), RFC 8375
/// (home.arpa), what ICANN keeps free (internal), and what routers give out (lan).
const PRIVATE_ENDINGS: [&str; 11] = [
    ".localhost",
    ".test",
    ".example",
    ".example.com",
    ".example.net",
    ".example.org",
    ".invalid",
    ".local",
    ".home.arpa",
    ".internal",
    ".lan",
];

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
    /// Token, name and origin. Browsers send an `Origin` with every WebSocket upgrade and every request of a page that
    /// is not a plain read of its own; a page elsewhere may do neither unless the operator named it.
    pub(super) fn admit(&self, route: Route, asker: Asker, request: &Request) -> Result<(), Refused> {
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
        if !is_open {
            self.check_name(asker, request)?;
        }
        let Some(origin) = request.headers.get("origin") else { return Ok(()) };
        if is_open || self.is_own_origin(request, origin) || self.is_allowed_origin(origin) {
            return Ok(());
        }
        let told = format!("origin {origin:?} may not use this server: start it with --allow-origin to let it in");
        Err((Status::Forbidden, told))
    }

    /// DNS rebinding: somebody's page under a name of theirs, which they then let point at 127.0.0.1. To the browser here
    /// the page and this server are one origin, and only the name tells that they are not. So what comes from this
    /// machine, and from no proxy that is believed, must call it by an address or by a name that is nobody else's.
    /// Whoever gives the token is no such page.
    fn check_name(&self, asker: Asker, request: &Request) -> Result<(), Refused> {
        let Some(host) = request.headers.get("host") else { return Ok(()) };
        let is_here = asker.peer.is_local() && !asker.is_vouched_for && !self.trusted.has(asker.peer);
        if self.token.is_some() || !is_here || !may_be_anybodys(host) {
            return Ok(());
        }
        let is_host =
            |origin: &str| origin.split_once("://").is_some_and(|(_, named)| named.eq_ignore_ascii_case(host));
        if self.origins.iter().any(|allowed| &**allowed == "*" || is_host(allowed)) {
            return Ok(());
        }
        let told = format!(
            "host {host:?} is not known to be this machine: if a proxy here passes it on, start with --trusted-proxy \
             127.0.0.1; else name it with --allow-origin http://{host}"
        );
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

/// Whether it is a name in the DNS, which its owner may point anywhere: with a dot, and no address. What ends in a number
/// is one (WHATWG URL, section 3.5), also `127.1`.
fn may_be_anybodys(host: &str) -> bool {
    if host.starts_with('[') {
        return false;
    }
    let name = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let is_private = PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(ending) || *name == ending[1..]);
    let is_address = |last: &str| last.bytes().all(|byte| byte.is_ascii_digit());
    name.rsplit_once('.').is_some_and(|(_, last)| !is_address(last)) && !is_private
}

/// Compares in a time that tells nothing about where they differ.
fn is_same_secret(given: &str, secret: &str) -> bool {
    let (given, secret) = (given.as_bytes(), secret.as_bytes());
    let differing = given.iter().zip(secret.iter()).fold(0u8, |all, (a, b)| all | (a ^ b));
    given.len() == secret.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_dot_may_be_anybodys_unless_nobody_can_register_it() {
        for host in
            ["evil.site", "evil.site:8000", "EVIL.site.", "127.0.0.1.evil.site", "localhost.evil.site", "anexample.com"]
        {
            assert!(may_be_anybodys(host), "{host}");
        }
        for host in [
            "localhost",
            "localhost.:8000",
            "127.0.0.1",
            "127.8.9.1:80",
            "127.1",
            "192.0.2.7",
            "[::1]",
            "[::1]:8000",
            "x",
            "catchup:8000",
            "Chat.LocalHost",
            "box.local:8000",
            "box.lan.",
            "example.com",
            "server.example.com",
            "chat.home.arpa",
            "chat.svc.internal",
        ] {
            assert!(!may_be_anybodys(host), "{host}");
        }
    }
}
