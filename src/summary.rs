//! The summary worker: is asked what happened in a room, and answers beside the chat, whatever the language model does.
//!
//! A desk answers at once what is known; two lanes do the rest: one thread for the embedded engine, a few for the
//! language model, so that nobody waits for a service that hangs. It knows neither sockets nor the reactor.

mod bait;
mod budget;
mod cache;
mod check;
mod clean;
mod closing;
mod counts;
mod cues;
mod desk;
mod embedded;
mod mask;
mod model;
mod prompt;
mod report;
mod service;
mod store;
mod support;
mod talk;
mod trouble;
mod waiter;
mod wire;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

pub use crate::summary::counts::Counts;

use crate::log::Posts;
use crate::message::{ClientId, Seq};
use crate::summary::desk::{Desk, Job, Lane};

/// Most questions that wait for an answer at one time; at more, [`Handle::ask`] gives the question back.
pub const ASKS_MAX: usize = 256;
/// Threads that talk to the service: so many questions are on their way to it at one time.
pub const MODEL_THREADS: usize = 4;
/// The lanes are waited for this long at the end.
pub const CLOSE_MS_MAX: u64 = 1_000;
/// Groq, unless another service is named.
pub const URL_DEFAULT: &str = "https://api.groq.com/openai/v1";
/// What the first model of the list is, and what it is replaced by where it is gone.
pub const MODELS_DEFAULT: [&str; 2] = ["llama-3.1-8b-instant", "openai/gpt-oss-20b"];
/// Tokens a minute on Groq's free tier, until its headers say otherwise.
const GROQ_TOKENS_PER_MINUTE: u64 = 6_000;
/// Largest call, prompt and answer: what the small models that people run themselves can hold, with some to spare.
const CALL_TOKENS_MAX: u64 = 7_500;

/// How the worker works.
#[derive(Clone)]
pub struct Settings {
    /// Base address of an OpenAI-compatible service, such as `https://api.groq.com/openai/v1`.
    pub url: String,
    /// What authorizes us there.
    pub key: Option<String>,
    /// Models in the order in which they are tried.
    pub models: Vec<String>,
    /// The longest that a question to the model may take, all waits and retries included.
    pub deadline: Duration,
    /// Whether there is a service to ask: a key is given, or another address than Groq's.
    pub has_llm: bool,
    /// The longest that a connection to the service may take.
    pub connect_max: Duration,
    /// How long a service that failed is left alone.
    pub cooldown: Duration,
    /// The service's limit, if it is known beforehand; its headers correct it.
    pub tokens_per_minute: Option<u64>,
    /// What we allow ourselves from midnight to midnight.
    pub tokens_per_day: Option<u64>,
    /// How long the day goes on, by the clock on the wall.
    pub until_midnight: fn() -> Duration,
    /// The operator wants no model.
    pub is_llm_off: bool,
    /// Largest call, prompt and answer.
    pub call_tokens_max: u64,
    /// Whether `HTTPS_PROXY` and its kin are obeyed.
    pub has_env_proxy: bool,
}

impl Settings {
    /// The settings for a service, with defaults for the rest. Without an address: Groq. Without models: Groq's.
    pub fn new(url: Option<String>, key: Option<String>, models: Vec<String>) -> Settings {
        let key = key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        let url = url.unwrap_or_else(|| URL_DEFAULT.to_owned());
        let is_groq = url.contains("://api.groq.com");
        let models = if models.is_empty() { MODELS_DEFAULT.map(str::to_owned).to_vec() } else { models };
        Settings {
            has_llm: key.is_some() || !is_groq,
            tokens_per_minute: is_groq.then_some(GROQ_TOKENS_PER_MINUTE),
            url,
            key,
            models,
            deadline: Duration::from_secs(30),
            connect_max: Duration::from_secs(5),
            cooldown: Duration::from_secs(20),
            tokens_per_day: None,
            until_midnight: || Duration::from_secs(24 * 60 * 60),
            is_llm_off: false,
            call_tokens_max: CALL_TOKENS_MAX,
            has_env_proxy: false,
        }
    }
}

/// Without the key: settings end up in logs.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_some() { "given" } else { "none" };
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("key", &key)
            .field("models", &self.models)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Who is to write the summary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Engine {
    /// The language model if there is one, else the embedded engine.
    Best,
    /// The embedded engine: no text leaves the machine.
    Embedded,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who asks.
    pub to: ClientId,
    /// About which room.
    pub room: Arc<str>,
    /// Only posts after this one; 0: from the start.
    pub after: Seq,
    /// Of these only the newest n.
    pub last: Option<u64>,
    /// The room's last post when the question was asked: nothing after it is looked at.
    pub upto: Seq,
    /// Whose unread posts are told of.
    pub reader: Option<Arc<str>>,
    /// Who is to write it.
    pub engine: Engine,
    /// Whether to tell how far it is: [`Answer::Progress`], none or more, before the answer.
    pub wants_progress: bool,
}

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// The summary.
    Told {
        /// Who asked.
        to: ClientId,
        /// The JSON of the response.
        body: Arc<[u8]>,
        /// The last post that it covers: where the read mark goes.
        upto: Seq,
    },
    /// How far the model is. The answer itself comes later.
    Progress {
        /// Who asked.
        to: ClientId,
        /// Parts that it has read.
        done: u64,
        /// Parts that there are.
        of: u64,
    },
    /// The posts could not be read, and why.
    Failed {
        /// Who asked.
        to: ClientId,
        /// A sentence.
        why: String,
    },
}

/// Opens a way into the log for one thread.
pub(crate) type OpenPosts = dyn Fn() -> Result<Box<dyn Posts>, String> + Send + Sync;

/// A question and when it was asked.
struct Asked {
    ask: Ask,
    at: Instant,
}

/// The running worker.
pub struct Handle {
    desk: Arc<Desk>,
    asks: Sender<Asked>,
    waiting: Arc<AtomicUsize>,
    ended: Receiver<()>,
}

/// Starts the worker. `posts` is called once in each thread that reads; `reply` from any of them.
pub fn start(
    settings: Settings,
    posts: impl Fn() -> Result<Box<dyn Posts>, String> + Send + Sync + 'static,
    reply: impl Fn(Answer) + Send + Sync + Clone + 'static,
) -> io::Result<Handle> {
    let waiting = Arc::new(AtomicUsize::new(0));
    let answered = waiting.clone();
    let reply = move |answer| {
        if !matches!(answer, Answer::Progress { .. }) {
            answered.fetch_sub(1, Ordering::AcqRel);
        }
        reply(answer);
    };
    let (asks, asked) = channel::<Asked>();
    // The lanes' queues need no bound of their own: what is in them is among the `ASKS_MAX` that wait.
    let (embedded, embedded_jobs) = channel::<Job>();
    let (model, model_jobs) = channel::<Job>();
    let model_threads = if settings.has_llm { MODEL_THREADS } else { 0 };
    let desk = Arc::new(Desk::new(settings, Box::new(posts), Box::new(reply), embedded, model));
    let (end, ended) = channel::<()>();
    let model_jobs = Arc::new(std::sync::Mutex::new(model_jobs));
    for at in 0..model_threads {
        let (desk, jobs, end) = (desk.clone(), model_jobs.clone(), end.clone());
        thread::Builder::new().name(format!("summary-llm-{at}")).spawn(move || {
            let _end = end;
            desk.work(Lane::Model, || jobs.lock().ok()?.recv().ok());
        })?;
    }
    let (lane, lane_end) = (desk.clone(), end.clone());
    thread::Builder::new().name("summary".to_owned()).spawn(move || {
        let _end = lane_end;
        lane.work(Lane::Embedded, || embedded_jobs.recv().ok());
    })?;
    let front = desk.clone();
    thread::Builder::new().name("summary-desk".to_owned()).spawn(move || {
        let _end = end;
        front.receive(|| asked.recv().ok());
    })?;
    Ok(Handle { desk, asks, waiting, ended })
}

impl Handle {
    /// Asks. The question comes back if [`ASKS_MAX`] others wait: say so to the one who asked.
    pub fn ask(&self, ask: Ask) -> Result<(), Ask> {
        let counters = self.desk.counters();
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= ASKS_MAX {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            counters.refused.add(1);
            return Err(ask);
        }
        counters.asked.add(1);
        self.asks.send(Asked { ask, at: Instant::now() }).map_err(|unsent| {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            unsent.0.ask
        })
    }

    /// What was done until now.
    pub fn counts(&self) -> Counts {
        self.desk.counters().counts()
    }

    /// Questions that wait for an answer.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Ends the worker: requests on their way are broken off, what waits is not answered any more.
    pub fn close(self) {
        let Handle { desk, asks, ended, .. } = self;
        desk.close();
        drop((asks, desk));
        // Nothing is ever sent: this ends when the last thread has dropped its end, or with the time.
        let _ = ended.recv_timeout(Duration::from_millis(CLOSE_MS_MAX));
    }
}
