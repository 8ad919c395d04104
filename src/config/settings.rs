//! The table of all settings, as `--help` shows them. What their texts may be is checked in `config.rs`.

/// A setting as the operator sees it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `--flag`.
    pub flag: &'static str,
    /// `VARIABLE`, also in `.env`.
    pub variable: &'static str,
    /// What its value is called in `--help`; empty for a switch.
    pub value: &'static str,
    /// Its value if nobody sets it; empty for none.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn setting(
    flag: &'static str,
    variable: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { flag, variable, value, default, help }
}

/// All settings, in the order of `--help`.
pub const SETTINGS: &[Setting] = &[
    setting(
        "host",
        "HOST",
        "ADDRESS",
        "0.0.0.0",
        "Address to listen on, e.g. 127.0.0.1 for this machine only; none: on no port, with --unix",
    ),
    setting("port", "PORT", "PORT", "8000", "Port to listen on; 0 takes a free one, which is printed"),
    setting("unix", "CATCHUP_UNIX", "PATH", "", "A Unix socket to listen on too"),
    setting("data", "CATCHUP_DATA", "PATH", "catchup.db", "The database file; it is made at the first start"),
    setting(
        "ephemeral",
        "CATCHUP_EPHEMERAL",
        "",
        "",
        "Keep everything in memory only; the end of the server forgets it",
    ),
    setting(
        "durability",
        "CATCHUP_DURABILITY",
        "LEVEL",
        "normal",
        "What a message that somebody has seen survives: normal = a crash of the server, full = a power cut too",
    ),
    setting("quiet", "CATCHUP_QUIET", "", "", "Print no line for who comes, goes and says what"),
    setting(
        "metrics-addr",
        "CATCHUP_METRICS_ADDR",
        "ADDRESS",
        "",
        "Serve /metrics at this address and port only, without a token, e.g. 127.0.0.1:9100; not with the rest",
    ),
    setting(
        "log-format",
        "CATCHUP_LOG_FORMAT",
        "FORMAT",
        "text",
        "How these lines are printed: text, or json = one object a line",
    ),
    setting(
        "rate-limit",
        "CATCHUP_RATE_LIMIT",
        "LIMIT",
        "auto",
        "Messages and other frames a second from one connection before its reading is slowed (nothing is dropped): a number, off, or \
         auto = 50 for connections from other machines or through a proxy, off for this machine",
    ),
    setting("allow-duplicate-names", "CATCHUP_ALLOW_DUPLICATE_NAMES", "", "", "Let two people in a room have one name"),
    setting(
        "token",
        "CATCHUP_TOKEN",
        "SECRET",
        "",
        "Let in only who knows it (?token=SECRET or Authorization: Bearer)",
    ),
    setting(
        "allow-origin",
        "CATCHUP_ALLOW_ORIGIN",
        "ORIGINS",
        "",
        "Pages elsewhere that may connect, separated by commas, e.g. https://example.org; * for all",
    ),
    setting(
        "trusted-proxy",
        "CATCHUP_TRUSTED_PROXY",
        "CIDRS",
        "",
        "Proxies that are believed when they say who the client is (X-Forwarded-For, PROXY protocol), separated by \
         commas, e.g. 127.0.0.1,10.0.0.0/8",
    ),
    setting(
        "max-connections",
        "CATCHUP_MAX_CONNECTIONS",
        "COUNT",
        "auto",
        "Connections at once; whoever comes then is told to come back later (503). auto: what the limit of open files \
         (ulimit -n) leaves",
    ),
    setting(
        "max-connections-per-address",
        "CATCHUP_MAX_CONNECTIONS_PER_ADDRESS",
        "COUNT",
        "512",
        "Connections at once from one address, in IPv6 from one /64, or off; this machine and trusted proxies are not \
         counted",
    ),
    setting(
        "drain-delay-ms",
        "CATCHUP_DRAIN_DELAY_MS",
        "MS",
        "0",
        "At the end, first go on for this time while /readyz says no, 0-60000 ms",
    ),
    setting(
        "drain-ms",
        "CATCHUP_DRAIN_MS",
        "MS",
        "1000",
        "At the end, spread the farewells over this time, 0-60000 ms",
    ),
    setting("llm-url", "LLM_BASE_URL", "URL", GROQ_URL, "OpenAI-compatible service that writes the summaries"),
    setting(
        "llm-model",
        "LLM_MODEL",
        "MODELS",
        "llama-3.1-8b-instant,openai/gpt-oss-20b",
        "Models to try, in this order, separated by commas",
    ),
    setting("llm-timeout-ms", "LLM_TIMEOUT_MS", "MS", "20000", "Longest wait for the service, 100-600000 ms"),
    setting(
        "no-llm",
        "CATCHUP_NO_LLM",
        "",
        "",
        "Never ask a language model, whatever keys there are: no text leaves this machine",
    ),
    setting(
        "llm-budget-per-day",
        "LLM_BUDGET_PER_DAY",
        "TOKENS",
        "",
        "Tokens for the service until midnight, 1-1000000000000; when they are spent the embedded summarizer writes",
    ),
];

/// Settings that are secrets: variables only, so that no list of processes shows them.
pub const SECRETS: &[&str] = &["GROQ_API_KEY", "LLM_API_KEY"];

/// Groq's OpenAI-compatible service.
pub const GROQ_URL: &str = "https://api.groq.com/openai/v1";
