//! The `catchup` program: reads the settings, opens the log, binds, starts the workers, serves.

use std::collections::HashMap;
use std::env::{self, VarError};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::{fs, io};

use catchup::api::{Access, Api};
use catchup::chat::{Chat, Rules};
use catchup::config::{Config, Durability, LogFormat, SECRETS, SETTINGS};
use catchup::console::{Console, Form, complain};
use catchup::listen::{self, Listener};
use catchup::log::{KnownRoom, Posts};
use catchup::memory::Memory;
use catchup::message::Uuid;
use catchup::reactor::{Caps, Inbox, Log, Mailbox, Parts, Reactor};
use catchup::{archive, health, history, summary};
use clap::{Arg, ArgAction, ArgMatches, Command};

/// Descriptors kept for what is no connection: the database, the threads' own, the refused.
const DESCRIPTORS_SPARE: u64 = 64;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            complain(format_args!("{line}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let matches = command().get_matches();
    let config = settings(&matches)?;
    match matches.subcommand() {
        Some(("health", arguments)) => {
            let own = health::own_url(config.host, config.port, config.unix.as_deref());
            let url = arguments.get_one::<String>("url").cloned().or(own);
            health::ask(&url.ok_or("config: HOST is none, and there is no --unix: say --url")?)
        }
        Some((name, arguments)) => keep(name, arguments, &config),
        None => serve(config),
    }
}

/// `catchup backup`, `export` and `import`: what one does with the log beside serving it.
fn keep(name: &str, arguments: &ArgMatches, config: &Config) -> Result<(), String> {
    let data = config.data.as_deref().ok_or("config: --ephemeral keeps nothing that could be copied")?;
    let text = |name: &str| arguments.get_one::<String>(name).map(String::as_str);
    let counts = match name {
        "backup" => {
            let to = text("FILE").unwrap_or_default();
            archive::backup(data, Path::new(to)).map_err(|error| error.to_string())?;
            complain(format_args!("catchup: {} is copied to {to}", data.display()));
            return Ok(());
        }
        "export" => archive::export(data, text("room"), &mut io::stdout().lock()),
        _ => archive::import(data, &mut io::stdin().lock()),
    };
    let counts = counts.map_err(|error| error.to_string())?;
    complain(format_args!("catchup: {name}: {} messages of {} rooms", counts.posts, counts.rooms));
    Ok(())
}

fn serve(config: Config) -> Result<(), String> {
    // First of all: descriptors are known by their numbers.
    let handed = listen::handed()?;
    // Each client is a descriptor: take as many as the system gives without asking anybody.
    let descriptors = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| format!("catchup: cannot ask how many files may be open: {error}"))?;
    let caps = caps(&config, descriptors)?;
    let inbox = Inbox::new().map_err(|error| format!("catchup: cannot make a poll: {error}"))?;
    // Bound first: a start that fails because of the port leaves no database behind.
    let listeners = listeners(&config, handed)?;
    let operators = config.metrics.map(listen::tcp).transpose();
    let operators = operators.map_err(|told| told.replace("--port", "--metrics-addr"))?;
    let opened = open_log(&config, inbox.mailbox())?;
    let shown: Vec<String> = listeners.iter().map(Listener::shown).collect();
    let metrics = operators.as_ref().map(Listener::shown);
    let mailbox = inbox.mailbox();
    let summaries = summary::start(summary_settings(&config), opened.posts, move |answer| mailbox.summary(answer))
        .map_err(|error| format!("catchup: cannot start the summary threads: {error}"))?;
    let console = match config.is_quiet {
        true => Console::quiet(),
        false => Console::start(io::stdout(), log_form(&config))
            .map_err(|error| format!("catchup: cannot start the console: {error}"))?,
    };
    let known = opened.rooms.into_iter().map(|room| (room.name, room.last));
    let chat = Chat::new(Rules::new(opened.epoch, config.allow_duplicate_names), known);
    let trusted = config.trusted.clone();
    let api = Api::new(Access {
        token: config.token,
        has_operators: operators.is_some(),
        origins: config.origins,
        trusted: trusted.clone(),
    });
    let parts = Parts {
        listeners,
        operators,
        caps,
        trusted,
        chat,
        api,
        log: opened.log,
        summaries,
        console,
        rate: config.rate,
        drain: config.drain,
        drain_delay: config.drain_delay,
    };
    let reactor = Reactor::new(inbox, parts).map_err(|error| format!("catchup: cannot start the loop: {error}"))?;
    for address in shown {
        complain(format_args!("Catchup listens on {address}"));
    }
    if let Some(address) = metrics {
        complain(format_args!("Catchup serves its metrics on {address}/metrics"));
    }
    let per_address = caps.per_address.map_or("as many as like".into(), |count| count.to_string());
    complain(format_args!("Catchup takes {} connections at once, {per_address} from one address", caps.connections));
    reactor.run().map_err(|error| format!("catchup: the loop has failed: {error}"))
}

/// What was handed over in place of the address, else the address; and the Unix socket.
fn listeners(config: &Config, handed: Vec<Listener>) -> Result<Vec<Listener>, String> {
    let mut listeners = handed;
    if let Some(host) = config.host.filter(|_| listeners.is_empty()) {
        listeners.push(listen::tcp(SocketAddr::new(host, config.port))?);
    }
    if let Some(path) = &config.unix {
        listeners.push(listen::unix(path)?);
    }
    if listeners.is_empty() {
        return Err("config: HOST is none, and there is no --unix: nobody could come in".into());
    }
    Ok(listeners)
}

/// How many may come in: each connection is a descriptor.
fn caps(config: &Config, descriptors: u64) -> Result<Caps, String> {
    let spare = DESCRIPTORS_SPARE.min(descriptors / 2);
    let most = usize::try_from(descriptors - spare).unwrap_or(usize::MAX);
    let connections = match config.connections_max {
        Some(count) if count > most => {
            return Err(format!(
                "config: CATCHUP_MAX_CONNECTIONS is \"{count}\": want {most} at most, as {descriptors} files may be open \
                 (ulimit -n) and {spare} are for other things"
            ));
        }
        count => count.unwrap_or(most),
    };
    Ok(Caps { connections, per_address: config.address_connections_max })
}

/// Flags before the environment before `.env`.
fn settings(matches: &ArgMatches) -> Result<Config, String> {
    let dotenv = dotenv()?;
    // Taken for unset, a token would leave the server open to everybody.
    for variable in SETTINGS.iter().map(|setting| setting.variable).chain(SECRETS.iter().copied()) {
        if let Err(VarError::NotUnicode(_)) = env::var(variable) {
            return Err(format!("config: {variable} is not UTF-8: want text that is"));
        }
    }
    let given = |variable: &str| -> Option<String> {
        let setting = SETTINGS.iter().find(|setting| setting.variable == variable);
        let flag = setting.and_then(|setting| match setting.value {
            "" => matches.get_flag(setting.flag).then(|| "true".to_owned()),
            _ => matches.get_one::<String>(setting.flag).cloned(),
        });
        flag.or_else(|| env::var(variable).ok()).or_else(|| dotenv.get(variable).cloned())
    };
    Config::check(given)
}

/// The settings in `.env` of the working directory, if there is one.
fn dotenv() -> Result<HashMap<String, String>, String> {
    let text = match fs::read_to_string(".env") {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(format!("config: cannot read .env: {error}")),
    };
    // Some editors put a byte-order mark in front.
    let text = text.trim_start_matches('\u{feff}');
    parse_dotenv(text).map_err(|error| {
        // What it says quotes the line, which may be a key: only where it stands is told. That is the end of the
        // shortest beginning of the file in which the same is wrong.
        let ends = text.match_indices('\n').map(|(at, _)| at + 1).chain([text.len()]);
        let is_wrong = |end| parse_dotenv(&text[..end]).is_err_and(|part| part.to_string() == error.to_string());
        let number = ends.take_while(|&end| !is_wrong(end)).count() + 1;
        format!(
            "config: line {number} of .env is not understood: want NAME=value, or NAME='value' if it has blanks in it"
        )
    })
}

fn parse_dotenv(text: &str) -> dotenvy::Result<HashMap<String, String>> {
    dotenvy::from_read_iter(text.as_bytes()).collect()
}

fn command() -> Command {
    let arg = |setting: &catchup::config::Setting| {
        let arg = Arg::new(setting.flag).long(setting.flag);
        let help = match setting.default {
            "" => format!("{} [env: {}]", setting.help, setting.variable),
            default => format!("{} [default: {default}] [env: {}]", setting.help, setting.variable),
        };
        match setting.value {
            "" => arg.action(ArgAction::SetTrue).help(help),
            value => arg.value_name(value).help(help),
        }
    };
    Command::new("catchup")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A chat server that tells you what you missed")
        .after_help(format!(
            "Every setting is a flag, an environment variable and a line of .env in the working directory, in this\n\
             order of precedence. Keys are variables only: {}.",
            SECRETS.join(", ")
        ))
        .args(SETTINGS.iter().map(|setting| arg(setting).global(true)))
        .subcommand(
            Command::new("backup")
                .about("Copy the database, also while a server runs on it")
                .arg(Arg::new("FILE").required(true).help("The copy, which must not exist yet")),
        )
        .subcommand(
            Command::new("export")
                .about("Write the messages as JSON lines to standard output, also while a server runs")
                .arg(Arg::new("room").long("room").value_name("ROOM").help("Only this room")),
        )
        .subcommand(
            Command::new("health")
                .about("Ask a server that runs whether it is alive: ends with 0 if so, with 1 and a line if not")
                .arg(Arg::new("url").long("url").value_name("URL").help(
                    "http://host[:port][/path] or unix:PATH [default: where a server with these settings listens]",
                )),
        )
        .subcommand(
            Command::new("import").about("Read what export wrote from standard input; no server may run meanwhile"),
        )
}

/// The log, and what it knows at the start.
struct Opened {
    log: Log,
    rooms: Vec<KnownRoom>,
    epoch: Uuid,
    posts: PostsMaker,
}

type PostsMaker = Box<dyn Fn() -> Result<Box<dyn Posts>, String> + Send + Sync>;

fn open_log(config: &Config, mailbox: Mailbox) -> Result<Opened, String> {
    let Some(path) = &config.data else {
        let memory = Memory::new();
        let (epoch, posts) = (memory.epoch(), memory.posts());
        let posts: PostsMaker = Box::new(move || Ok(Box::new(posts.clone())));
        return Ok(Opened { log: Log::Memory(memory), rooms: Vec::new(), epoch, posts });
    };
    let durability = match config.durability {
        Durability::Normal => history::Durability::Process,
        Durability::Full => history::Durability::Power,
    };
    let store = history::Store::open(path, durability).map_err(|error| error.to_string())?;
    let (rooms, epoch) = (store.rooms(), store.epoch());
    let path = Arc::new(path.clone());
    let pages = mailbox.clone();
    let worker = store
        .start(move |answer| mailbox.log(answer), move |answer| pages.page(answer))
        .map_err(|error| format!("history: cannot start its threads: {error}"))?;
    let keeper = worker.keeper();
    let posts: PostsMaker = Box::new(move || {
        let reader = history::Reader::open(&path).map_err(|error| error.to_string())?;
        Ok(Box::new(reader.keeping(keeper.clone())) as Box<dyn Posts>)
    });
    Ok(Opened { log: Log::Worker(Some(worker)), rooms, epoch, posts })
}

fn summary_settings(config: &Config) -> summary::Settings {
    let (url, key, models) = (config.llm_url.clone(), config.llm_key.clone(), config.llm_models.clone());
    summary::Settings {
        deadline: config.llm_timeout,
        has_llm: config.has_llm(),
        is_llm_off: config.is_llm_off,
        tokens_per_day: config.llm_budget_per_day,
        until_midnight: catchup::message::until_midnight,
        ..summary::Settings::new(Some(url), key, models)
    }
}

fn log_form(config: &Config) -> Form {
    match config.log_format {
        LogFormat::Text => Form::Text,
        LogFormat::Json => Form::Json,
    }
}
