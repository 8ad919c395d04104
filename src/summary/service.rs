//! One OpenAI-compatible chat-completions service: a question goes out, an answer or a [`Trouble`] comes back in time.
//!
//! Knows models, limits, retries and rests. It does not know what is asked: prompts are made in `prompt.rs`.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{HeaderMap, Response, Uri};

use crate::message::llm::{self, Format, Question};
use crate::summary::Settings;
use crate::summary::budget::{Ledger, duration, tokens};
use crate::summary::closing::Closing;
use crate::summary::counts::Counters;
use crate::summary::trouble::Trouble;
use crate::summary::wire::{
    BAD_ADDRESS, first_duration, is_context_exceeded, is_overwhelmed, limits, name, number_after, trouble_of,
};

/// Largest answer that is read.
const RESPONSE_BYTES_MAX: u64 = 512 * 1024;
/// Names are looked up in this time or not at all: a lookup cannot be interrupted at exit.
const RESOLVE_MAX: Duration = Duration::from_secs(3);
/// Idle connections are kept for the next question this long.
const IDLE_AGE_MAX: Duration = Duration::from_secs(30);
/// A service that is overwhelmed is asked once more, after a pause of this much to twice as much.
const RETRY_PAUSE: Duration = Duration::from_millis(150);
/// Most requests that one question may cost: models that are gone, formats not known, waits and retries together.
const TRIES_MAX: u32 = 8;
/// With less than this left, nothing is asked any more.
const ANSWER_TIME_MIN: Duration = Duration::from_millis(50);
/// A service that asks for a longer pause is asked again after this all the same.
const REST_MAX: Duration = Duration::from_secs(600);

/// One question for the model.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The fixed instructions.
    pub system: &'a str,
    /// The data.
    pub user: &'a str,
    /// Longest answer, in tokens.
    pub answer_tokens: u64,
}

impl Call<'_> {
    /// What it may cost, in estimated tokens.
    pub fn cost(&self) -> u64 {
        tokens(self.system) + tokens(self.user) + self.answer_tokens
    }
}

/// What the model wrote.
#[derive(Clone, Debug)]
pub struct Told {
    /// The text.
    pub content: String,
    /// Neither cut for its length nor refused by the service's own check.
    pub is_whole: bool,
    /// Service and model, such as `groq/llama-3.1-8b-instant`.
    pub engine: String,
}

/// The service and all that was learned about it.
pub struct Service {
    agent: Agent,
    settings: Settings,
    address: String,
    name: String,
    memory: Mutex<Memory>,
    closing: Closing,
}

struct Memory {
    /// Which of the models is asked: the one that answered last.
    model: usize,
    /// What the model is known not to take.
    has_no_format: bool,
    has_no_schema: bool,
    has_no_effort: bool,
    is_modern: bool,
    ledger: Ledger,
    /// Not asked again before this, and why.
    rest: Option<(Instant, Trouble)>,
}

/// What to do after one request.
enum Next {
    Done(Told),
    /// Ask again after a pause: another model, another form, the same later.
    Again(Duration),
    Stop(Trouble),
}

impl Service {
    /// Connects to nothing yet.
    pub fn new(settings: Settings) -> Service {
        let base = settings.url.trim_end_matches('/');
        let address =
            if base.ends_with("/chat/completions") { base.into() } else { format!("{base}/chat/completions") };
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_age(IDLE_AGE_MAX)
            .timeout_resolve(Some(RESOLVE_MAX.min(settings.deadline)))
            .timeout_connect(Some(settings.connect_max.min(settings.deadline)))
            .timeout_send_request(Some(settings.deadline))
            .timeout_send_body(Some(settings.deadline))
            .timeout_recv_response(Some(settings.deadline))
            .timeout_recv_body(Some(settings.deadline))
            // No limit for a silence: an answer comes in one piece, when the model has written the last word of it.
            .timeout_global(Some(settings.deadline))
            .user_agent(concat!("catchup/", env!("CARGO_PKG_VERSION")));
        if !settings.has_env_proxy {
            config = config.proxy(None);
        }
        let now = Instant::now();
        let ledger = Ledger::new(settings.tokens_per_minute, settings.call_tokens_max, now);
        let ledger = match settings.tokens_per_day {
            Some(tokens) => ledger.with_day(tokens, settings.until_midnight, now),
            None => ledger,
        };
        let memory = Memory {
            model: 0,
            has_no_format: false,
            has_no_schema: false,
            has_no_effort: false,
            is_modern: false,
            ledger,
            rest: None,
        };
        Service {
            agent: config.build().new_agent(),
            name: name(&settings.url),
            address,
            settings,
            memory: Mutex::new(memory),
            closing: Closing::default(),
        }
    }

    /// `groq`, or the host of the address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its answers may be signed with: each model in its place.
    pub fn engines(&self) -> Vec<String> {
        (0..self.settings.models.len()).map(|index| self.engine(index)).collect()
    }

    /// Why the service is not to be asked now, if it had better not be.
    pub fn rest(&self, now: Instant) -> Option<Trouble> {
        let mut memory = self.memory();
        match &memory.rest {
            Some((until, Trouble::Limited(_))) if *until > now => Some(Trouble::Limited(Some(*until - now))),
            Some((until, why)) if *until > now => Some(why.clone()),
            _ => {
                memory.rest = None;
                None
            }
        }
    }

    /// The largest call, prompt and answer, that may go out within `patience`, and waits until it may.
    ///
    /// A smaller call now is better than a larger one later: only what is too little for any call is waited for.
    pub fn room(&self, least: u64, patience: Duration) -> Result<u64, Trouble> {
        let now = Instant::now();
        let wait = {
            let mut memory = self.memory();
            let ready = memory.ledger.ready(now);
            if ready >= least {
                return Ok(ready);
            }
            if memory.ledger.call_max() < least {
                return Err(Trouble::TooLarge);
            }
            memory.ledger.wait_for(least, now).ok_or(Trouble::DaySpent)?
        };
        if wait > patience {
            return Err(Trouble::Limited(Some(wait)));
        }
        self.closing.pause(wait)?;
        Ok(self.memory().ledger.ready(Instant::now()).max(least))
    }

    /// The largest call that is ever allowed.
    pub fn call_max(&self) -> u64 {
        self.memory().ledger.call_max()
    }

    /// The largest call that may go out now.
    pub fn tokens_left(&self) -> u64 {
        self.memory().ledger.left(Instant::now())
    }

    /// Asks the model; answers by `deadline`, whatever the service does.
    pub fn ask(&self, call: &Call<'_>, deadline: Instant, counters: &Counters) -> Result<Told, Trouble> {
        let mut overwhelmed = 0;
        for _ in 0..TRIES_MAX {
            let left = deadline.saturating_duration_since(Instant::now());
            if left < ANSWER_TIME_MIN {
                return Err(self.stop(Trouble::TooSlow));
            }
            counters.calls.add(1);
            let next = match self.send(call, left, counters) {
                Ok(next) => next,
                Err(ureq::Error::Http(_)) if self.address.parse::<Uri>().is_err() => Next::Stop(BAD_ADDRESS),
                Err(error) => Next::Stop(trouble_of(&error)),
            };
            match next {
                Next::Done(told) => return Ok(told),
                Next::Stop(Trouble::Status(status)) if is_overwhelmed(status) && overwhelmed == 0 => {
                    overwhelmed += 1;
                    self.closing.pause(jitter(RETRY_PAUSE))?;
                }
                Next::Stop(trouble) => return Err(self.stop(trouble)),
                Next::Again(pause) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if pause + ANSWER_TIME_MIN > left {
                        return Err(self.stop(Trouble::Limited(Some(pause))));
                    }
                    self.closing.pause(pause)?;
                }
            }
        }
        Err(self.stop(Trouble::NoModel))
    }

    /// Ends every request in flight; later ones fail at once.
    pub fn close(&self) {
        self.closing.close();
        self.agent.clone().shutdown();
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // What a panic left behind is still a valid memory: each field stands for itself.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a trouble that will last, so that the next users do not wait for it again.
    fn stop(&self, trouble: Trouble) -> Trouble {
        if self.closing.is_closing() {
            return Trouble::Closing;
        }
        let pause = match &trouble {
            Trouble::Limited(Some(wait)) => (*wait).min(REST_MAX),
            trouble if trouble.is_lasting() => self.settings.cooldown,
            _ => return trouble,
        };
        self.memory().rest = Some((Instant::now() + pause, trouble.clone()));
        trouble
    }

    fn send(&self, call: &Call<'_>, left: Duration, counters: &Counters) -> Result<Next, ureq::Error> {
        let (index, body) = {
            let mut memory = self.memory();
            let Some(model) = self.settings.models.get(memory.model) else {
                return Ok(Next::Stop(Trouble::NoModel));
            };
            memory.ledger.spend(call.cost(), Instant::now());
            let is_thinker = model.contains("gpt-oss");
            let format = match is_thinker {
                _ if memory.has_no_format => Format::Free,
                true if !memory.has_no_schema => Format::Schema,
                _ => Format::Object,
            };
            let question = Question {
                model,
                system: call.system,
                user: call.user,
                // What a model thinks counts as its answer.
                answer_tokens: if is_thinker { call.answer_tokens * 3 / 2 } else { call.answer_tokens },
                format,
                is_thinker: is_thinker && !memory.has_no_effort,
                is_modern: memory.is_modern,
            };
            (memory.model, llm::question(&question))
        };
        let mut request = self.agent.post(&self.address).content_type("application/json");
        if let Some(key) = &self.settings.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let response =
            request.config().timeout_global(Some(left)).timeout_recv_response(Some(left)).build().send(&body[..])?;
        let (parts, body) = response.into_parts();
        let body = body.into_with_config().limit(RESPONSE_BYTES_MAX).read_to_vec();
        if !parts.status.is_success() {
            // Without its body a failure is still a failure.
            let body = body.unwrap_or_default();
            return Ok(self.failed(Response::from_parts(parts, body), index, call));
        }
        let body = body.map_err(|error| match error {
            ureq::Error::Io(_) | ureq::Error::Protocol(_) => {
                ureq::Error::Io(io::Error::from(io::ErrorKind::UnexpectedEof))
            }
            error => error,
        })?;
        Ok(self.answered(&parts.headers, &body, index, call, counters))
    }

    fn answered(&self, headers: &HeaderMap, body: &[u8], index: usize, call: &Call<'_>, counters: &Counters) -> Next {
        let Some(reply) = llm::reply(body) else {
            return Next::Stop(Trouble::Garbled("its answer was not a chat completion"));
        };
        let mut memory = self.memory();
        memory.model = index;
        memory.ledger.learn(limits(headers), Instant::now());
        if let (Some(prompt), Some(answer)) = (reply.prompt_tokens, reply.answer_tokens) {
            memory.ledger.settle(call.cost(), prompt + answer);
        }
        if let Some(real) = reply.prompt_tokens {
            memory.ledger.calibrate(tokens(call.system) + tokens(call.user), real);
        }
        counters.prompt_tokens.add(reply.prompt_tokens.unwrap_or_else(|| tokens(call.system) + tokens(call.user)));
        counters.answer_tokens.add(reply.answer_tokens.unwrap_or_else(|| tokens(&reply.content)));
        Next::Done(Told { content: reply.content, is_whole: !reply.is_cut, engine: self.engine(index) })
    }

    fn engine(&self, index: usize) -> String {
        format!("{}/{}", self.name, self.settings.models[index])
    }

    /// Any status but a success.
    fn failed(&self, response: Response<Vec<u8>>, index: usize, call: &Call<'_>) -> Next {
        let status = response.status().as_u16();
        let complaint = llm::complaint(response.body());
        let (code, said) = (complaint.code.as_str(), complaint.message.to_lowercase());
        let mut memory = self.memory();
        let now = Instant::now();
        memory.ledger.learn(limits(response.headers()), now);
        let is_model_gone = matches!(code, "model_not_found" | "model_decommissioned" | "model_not_active")
            || (status == 404 && said.contains("model"));
        match status {
            400 | 404 if is_model_gone => {
                // Another thread may have moved on already.
                if memory.model == index {
                    memory.model += 1;
                }
                if memory.model < self.settings.models.len() {
                    return Next::Again(Duration::ZERO);
                }
                // After the rest all are tried again: a model may come back.
                memory.model = 0;
                Next::Stop(Trouble::NoModel)
            }
            401 | 403 => Next::Stop(Trouble::KeyRefused),
            404 | 405 => Next::Stop(Trouble::NoService),
            400 | 422 if complaint.failed_generation.is_some() => Next::Done(Told {
                content: complaint.failed_generation.unwrap_or_default(),
                is_whole: false,
                engine: self.engine(index),
            }),
            413 => {
                memory.ledger.too_large(call.cost(), number_after(&said, "limit"));
                Next::Stop(Trouble::TooLarge)
            }
            400 if is_context_exceeded(code, &said) => {
                memory.ledger.too_large(call.cost(), None);
                Next::Stop(Trouble::TooLarge)
            }
            400 | 422 if memory.learn_form(&said) => Next::Again(Duration::ZERO),
            429 => {
                if let (Some(limit), Some(asked)) = (number_after(&said, "limit"), number_after(&said, "requested"))
                    && asked > limit
                    && said.contains("per minute")
                {
                    memory.ledger.too_large(call.cost(), Some(limit));
                    return Next::Stop(Trouble::TooLarge);
                }
                if code == "insufficient_quota" {
                    return Next::Stop(Trouble::Limited(None));
                }
                memory.ledger.is_empty(now);
                let header = response.headers().get("retry-after").and_then(|value| duration(value.to_str().ok()?));
                match header.or_else(|| said.split("try again in ").nth(1).and_then(first_duration)) {
                    Some(wait) => Next::Again(wait),
                    None => Next::Stop(Trouble::Limited(None)),
                }
            }
            status => Next::Stop(Trouble::Status(status)),
        }
    }
}

impl Memory {
    /// Takes from a complaint which part of the form the model does not know. False if it says nothing of the kind.
    fn learn_form(&mut self, said: &str) -> bool {
        let is_about = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if is_about(&["max_completion_tokens"]) && !self.is_modern {
            self.is_modern = true;
        } else if is_about(&["reasoning"]) && !self.has_no_effort {
            self.has_no_effort = true;
        } else if is_about(&["json_schema", "response format `json_schema`"]) && !self.has_no_schema {
            self.has_no_schema = true;
        } else if is_about(&["response_format", "response format", "json_object", "json mode", "json_schema"])
            && !self.has_no_format
        {
            self.has_no_format = true;
        } else {
            return false;
        }
        true
    }
}

fn jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0u8) % 1000;
    pause + pause.mul_f64(random as f64 / 1000.0)
}
