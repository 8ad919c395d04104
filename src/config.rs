//! Every setting, checked: its unit and its bounds. The table of them is `settings`.
//!
//! Pure: takes texts, gives a [`Config`] or one line that says which setting is wrong and what would be right.
//! Where the texts come from (flags, environment, `.env`) is the business of `main.rs`.

mod settings;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::peer::Trusted;
pub use settings::{GROQ_URL, SECRETS, SETTINGS, Setting};

/// `--rate-limit auto`.
pub const RATE_LIMIT_DEFAULT: RateLimit = RateLimit { per_second: 50, burst: 500 };
/// Messages at once, for each message a second.
const BURST_SECONDS: u32 = 10;

/// Holds back a peer that sends too much: messages a second, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Messages a second over a long time.
    pub per_second: u32,
    /// Messages at once.
    pub burst: u32,
}

/// What a message that somebody has seen survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the server.
    Normal,
    /// A power cut too.
    Full,
}

/// How console lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: a JSON object a line.
    Json,
}

/// Whose reading is slowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Nobody's.
    Off,
    /// Connections from elsewhere: [`RATE_LIMIT_DEFAULT`].
    Auto,
    /// Everybody's.
    All(RateLimit),
}

/// The settings, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Address to listen on, if any.
    pub host: Option<IpAddr>,
    /// Port to listen on, 0 for a free one.
    pub port: u16,
    /// Unix socket to listen on.
    pub unix: Option<PathBuf>,
    /// The database file; `None`: in memory only.
    pub data: Option<PathBuf>,
    /// See [`Durability`].
    pub durability: Durability,
    /// No console.
    pub is_quiet: bool,
    /// Where `/metrics` is served, if not with the rest.
    pub metrics: Option<SocketAddr>,
    /// See [`LogFormat`].
    pub log_format: LogFormat,
    /// See [`Rate`].
    pub rate: Rate,
    /// Names need not be unique.
    pub allow_duplicate_names: bool,
    /// Who knows it may come in.
    pub token: Option<Box<str>>,
    /// Origins of pages elsewhere that may connect.
    pub origins: Vec<Box<str>>,
    /// Proxies that are believed.
    pub trusted: Trusted,
    /// Connections at once; `None`: what the limit of open files leaves.
    pub connections_max: Option<usize>,
    /// Connections at once from one address; `None`: as many as like.
    pub address_connections_max: Option<u32>,
    /// How long `/readyz` says no before the end begins.
    pub drain_delay: Duration,
    /// Spread of the farewells.
    pub drain: Duration,
    /// Base of the chat-completions service, without a slash at its end.
    pub llm_url: String,
    /// Models in the order to try.
    pub llm_models: Vec<String>,
    /// Its key, if any.
    pub llm_key: Option<String>,
    /// Longest wait for it.
    pub llm_timeout: Duration,
    /// It is never asked.
    pub is_llm_off: bool,
    /// What it may cost until midnight, in tokens.
    pub llm_budget_per_day: Option<u64>,
}

impl Config {
    /// Checks the settings; `get` gives the text of a setting or secret by its variable, if it is set.
    ///
    /// The error is one line that names the variable, its text, and what it should be.
    pub fn check(get: impl Fn(&str) -> Option<String>) -> Result<Config, String> {
        // Called for each setting: not to be copied into each place.
        Config::check_all(&get)
    }

    fn check_all(get: &dyn Fn(&str) -> Option<String>) -> Result<Config, String> {
        let text = |variable: &str| {
            let setting = SETTINGS.iter().find(|setting| setting.variable == variable);
            get(variable).or_else(|| setting.map(|s| s.default.to_owned()).filter(|text| !text.is_empty()))
        };
        let want = |variable: &str| text(variable).unwrap_or_default();
        let host = want("HOST");
        let wrong = |variable: &str, given: &str, want: &str| format!("config: {variable} is {given:?}: want {want}");
        let llm_url = want("LLM_BASE_URL").trim_end_matches('/').to_owned();
        if !llm_url.starts_with("http://") && !llm_url.starts_with("https://") {
            return Err(wrong("LLM_BASE_URL", &llm_url, "an address that begins with http:// or https://"));
        }
        let secret = |name: &str| get(name).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        let own_key = secret("LLM_API_KEY");
        // A Groq key is for Groq, or for what stands before it on this machine; never for another service.
        let llm_key = own_key.or_else(|| secret("GROQ_API_KEY").filter(|_| takes_groq_key(&llm_url)));
        let is_ephemeral = switch("CATCHUP_EPHEMERAL", &want("CATCHUP_EPHEMERAL"))?;
        let data = PathBuf::from(want("CATCHUP_DATA"));
        if data.as_os_str().is_empty() {
            return Err(wrong("CATCHUP_DATA", "", "the path of a file"));
        }
        Ok(Config {
            host: match host.trim_matches(['[', ']']) {
                "none" => None,
                "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
                text => {
                    let want = "an IP address such as 0.0.0.0, 127.0.0.1 or ::, or none";
                    Some(text.parse().map_err(|_| wrong("HOST", &host, want))?)
                }
            },
            port: number("PORT", &want("PORT"), 0, u16::MAX.into())? as u16,
            unix: text("CATCHUP_UNIX").filter(|path| !path.is_empty()).map(PathBuf::from),
            data: (!is_ephemeral).then_some(data),
            durability: match want("CATCHUP_DURABILITY").as_str() {
                "normal" => Durability::Normal,
                "full" => Durability::Full,
                other => return Err(wrong("CATCHUP_DURABILITY", other, "normal or full")),
            },
            is_quiet: switch("CATCHUP_QUIET", &want("CATCHUP_QUIET"))?,
            metrics: match text("CATCHUP_METRICS_ADDR").filter(|address| !address.is_empty()) {
                None => None,
                Some(given) => {
                    let address = given.replace("localhost:", "127.0.0.1:").parse();
                    let want = "an address and a port such as 127.0.0.1:9100 or [::1]:9100";
                    Some(address.map_err(|_| wrong("CATCHUP_METRICS_ADDR", &given, want))?)
                }
            },
            log_format: match want("CATCHUP_LOG_FORMAT").as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                other => return Err(wrong("CATCHUP_LOG_FORMAT", other, "text or json")),
            },
            rate: rate(&want("CATCHUP_RATE_LIMIT"))?,
            allow_duplicate_names: switch("CATCHUP_ALLOW_DUPLICATE_NAMES", &want("CATCHUP_ALLOW_DUPLICATE_NAMES"))?,
            token: token(text("CATCHUP_TOKEN"))?,
            origins: origins(&want("CATCHUP_ALLOW_ORIGIN"))?,
            trusted: Trusted::parse(&want("CATCHUP_TRUSTED_PROXY"))
                .map_err(|told| format!("config: CATCHUP_TRUSTED_PROXY has {told}"))?,
            connections_max: match want("CATCHUP_MAX_CONNECTIONS").trim() {
                "auto" => None,
                count => Some(cap("CATCHUP_MAX_CONNECTIONS", count, "auto")? as usize),
            },
            address_connections_max: match want("CATCHUP_MAX_CONNECTIONS_PER_ADDRESS").trim() {
                "off" => None,
                count => Some(cap("CATCHUP_MAX_CONNECTIONS_PER_ADDRESS", count, "off")?),
            },
            drain_delay: millis("CATCHUP_DRAIN_DELAY_MS", &want("CATCHUP_DRAIN_DELAY_MS"), 0, 60_000)?,
            drain: millis("CATCHUP_DRAIN_MS", &want("CATCHUP_DRAIN_MS"), 0, 60_000)?,
            llm_url,
            llm_models: models(&want("LLM_MODEL"))?,
            llm_key,
            llm_timeout: millis("LLM_TIMEOUT_MS", &want("LLM_TIMEOUT_MS"), 100, 600_000)?,
            is_llm_off: switch("CATCHUP_NO_LLM", &want("CATCHUP_NO_LLM"))?,
            llm_budget_per_day: text("LLM_BUDGET_PER_DAY")
                .map(|tokens| number("LLM_BUDGET_PER_DAY", &tokens, 1, 1_000_000_000_000))
                .transpose()?,
        })
    }

    /// Whether there is a service to ask: Groq wants a key, any other may do without.
    pub fn has_llm(&self) -> bool {
        !self.is_llm_off && (self.llm_key.is_some() || self.llm_url != GROQ_URL)
    }
}

fn takes_groq_key(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_here || host == "groq.com" || host.ends_with(".groq.com")
}

fn number(variable: &str, text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.trim().parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("config: {variable} is {text:?}: want a number from {least} to {most}")),
    }
}

fn millis(variable: &str, text: &str, least: u64, most: u64) -> Result<Duration, String> {
    number(variable, text, least, most).map(Duration::from_millis)
}

fn cap(variable: &str, text: &str, or: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(count @ 1..=10_000_000) => Ok(count),
        _ => Err(format!("config: {variable} is {text:?}: want {or}, or 1-10000000 connections")),
    }
}

fn switch(variable: &str, text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "0" | "false" | "no" | "off" => Ok(false),
        "1" | "true" | "yes" | "on" => Ok(true),
        _ => Err(format!("config: {variable} is {text:?}: want true or false")),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    match text.trim() {
        "off" => Ok(Rate::Off),
        "auto" => Ok(Rate::Auto),
        number => match number.parse::<u32>() {
            Ok(per_second @ 1..=1_000_000) => {
                Ok(Rate::All(RateLimit { per_second, burst: per_second.saturating_mul(BURST_SECONDS) }))
            }
            _ => Err(format!("config: CATCHUP_RATE_LIMIT is {text:?}: want off, auto, or 1-1000000 messages a second")),
        },
    }
}

fn token(text: Option<String>) -> Result<Option<Box<str>>, String> {
    match text {
        Some(text) if text.trim().is_empty() => {
            Err("config: CATCHUP_TOKEN is empty: want a secret, or leave it unset".into())
        }
        // No header line could give it (RFC 9110 section 5.5).
        Some(text) if text.trim() != text || text.contains(char::is_control) => {
            Err("config: CATCHUP_TOKEN has blanks at an end, or a control character: want a secret without".into())
        }
        text => Ok(text.map(Into::into)),
    }
}

fn origins(text: &str) -> Result<Vec<Box<str>>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|origin| match origin.split_once("://") {
            _ if origin == "*" => Ok(origin.into()),
            Some((scheme, host)) if is_origin(scheme, host) => Ok(origin.into()),
            _ => Err(format!(
                "config: CATCHUP_ALLOW_ORIGIN has {origin:?}: want scheme://host[:port] as browsers write it, which is \
                 in ASCII and without the port of the scheme, or *"
            )),
        })
        .collect()
}

/// Whether a browser may ever send this: another would let in nobody, and nobody would know why. RFC 6454 section 6.2.
fn is_origin(scheme: &str, host: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]+".contains(&byte);
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "/",
    };
    !scheme.is_empty() && !host.is_empty() && (scheme.bytes().chain(host.bytes())).all(is_name) && !host.ends_with(port)
}

fn models(text: &str) -> Result<Vec<String>, String> {
    let models: Vec<String> = text.split(',').map(str::trim).filter(|m| !m.is_empty()).map(str::to_owned).collect();
    if models.is_empty() {
        return Err(format!("config: LLM_MODEL is {text:?}: want the name of a model, or several with commas"));
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(set: &[(&str, &str)]) -> Result<Config, String> {
        Config::check(|variable| set.iter().find(|(name, _)| *name == variable).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn with_nothing_set_it_serves_everyone_on_port_8000_from_catchup_db() {
        let config = check(&[]).unwrap();
        assert_eq!((config.host, config.port), (Some(IpAddr::from([0, 0, 0, 0])), 8000));
        assert_eq!((config.connections_max, config.address_connections_max), (None, Some(512)));
        assert_eq!(config.data, Some("catchup.db".into()));
        assert!(!config.has_llm());
        assert_eq!(config.llm_models, ["llama-3.1-8b-instant", "openai/gpt-oss-20b"]);
    }

    #[test]
    fn a_bad_setting_is_one_line_that_says_what_would_be_right() {
        for (variable, text, expect) in [
            ("PORT", "80a", "config: PORT is \"80a\": want a number from 0 to 65535"),
            ("PORT", "65536", "config: PORT is \"65536\": want a number from 0 to 65535"),
            (
                "HOST",
                "example",
                "config: HOST is \"example\": want an IP address such as 0.0.0.0, 127.0.0.1 or ::, or none",
            ),
            (
                "CATCHUP_TRUSTED_PROXY",
                "10.0.0.0/8, proxy",
                "config: CATCHUP_TRUSTED_PROXY has \"proxy\": want an address such as 10.0.0.1, or a block such as 10.0.0.0/8",
            ),
            (
                "CATCHUP_MAX_CONNECTIONS",
                "0",
                "config: CATCHUP_MAX_CONNECTIONS is \"0\": want auto, or 1-10000000 connections",
            ),
            (
                "CATCHUP_MAX_CONNECTIONS_PER_ADDRESS",
                "many",
                "config: CATCHUP_MAX_CONNECTIONS_PER_ADDRESS is \"many\": want off, or 1-10000000 connections",
            ),
            (
                "CATCHUP_DRAIN_DELAY_MS",
                "60001",
                "config: CATCHUP_DRAIN_DELAY_MS is \"60001\": want a number from 0 to 60000",
            ),
            ("CATCHUP_TOKEN", "", "config: CATCHUP_TOKEN is empty: want a secret, or leave it unset"),
            (
                "CATCHUP_TOKEN",
                "secret\n",
                "config: CATCHUP_TOKEN has blanks at an end, or a control character: want a secret without",
            ),
            ("CATCHUP_DATA", "", "config: CATCHUP_DATA is \"\": want the path of a file"),
            ("CATCHUP_DURABILITY", "most", "config: CATCHUP_DURABILITY is \"most\": want normal or full"),
            (
                "CATCHUP_METRICS_ADDR",
                "9100",
                "config: CATCHUP_METRICS_ADDR is \"9100\": want an address and a port such as 127.0.0.1:9100 or [::1]:9100",
            ),
            ("CATCHUP_LOG_FORMAT", "xml", "config: CATCHUP_LOG_FORMAT is \"xml\": want text or json"),
            ("CATCHUP_QUIET", "maybe", "config: CATCHUP_QUIET is \"maybe\": want true or false"),
            (
                "LLM_BASE_URL",
                "ftp://x",
                "config: LLM_BASE_URL is \"ftp://x\": want an address that begins with http:// or https://",
            ),
        ] {
            assert_eq!(check(&[(variable, text)]).unwrap_err(), expect);
        }
    }

    #[test]
    fn an_origin_is_one_that_a_browser_may_send() {
        for origins in
            ["*", "https://example.org", "http://localhost:3000, https://[::1]:8443", "chrome-extension://abc"]
        {
            let count = origins.split(',').count();
            assert_eq!(check(&[("CATCHUP_ALLOW_ORIGIN", origins)]).unwrap().origins.len(), count, "{origins}");
        }
        for origin in [
            "example.org",
            "null",
            "https://",
            "://example.org",
            "https://example.org/",
            "https://example.org?a",
            "https://me@example.org",
            "https://example org",
            "https://\u{e9}xample.org",
            "https://example.org:443",
            "http://[::1]:80",
        ] {
            let told = check(&[("CATCHUP_ALLOW_ORIGIN", origin)]).unwrap_err();
            assert!(told.starts_with(&format!("config: CATCHUP_ALLOW_ORIGIN has {origin:?}: want ")), "{told}");
        }
    }

    #[test]
    fn a_groq_key_goes_to_groq_and_to_this_machine_alone() {
        let groq = check(&[("GROQ_API_KEY", " k ")]).unwrap();
        assert_eq!((groq.llm_key.as_deref(), groq.has_llm()), (Some("k"), true));
        for (url, key) in [
            ("http://localhost:11434/v1/", Some("k")),
            ("http://[::1]:80/v1", Some("k")),
            ("https://api.groq.com:443/openai/v1", Some("k")),
            ("https://api.groq.com.evil.example/v1", None),
            ("https://me:x@evil.example/api.groq.com", None),
        ] {
            let config = check(&[("GROQ_API_KEY", "k"), ("LLM_BASE_URL", url)]).unwrap();
            assert_eq!(config.llm_key.as_deref(), key, "{url}");
        }
    }
}
