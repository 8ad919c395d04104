//! Why the language model did not answer, in words for the person who reads the summary.
//!
//! Never quotes the service: its messages may repeat the key.

use std::time::Duration;

/// What stood between us and an answer of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 401, 403, or a key that cannot be sent.
    KeyRefused,
    /// None of the models is there.
    NoModel,
    /// The address answers, but has no such service.
    NoService,
    /// Too much was asked for the time being; how long the service wants us to wait, if it is known.
    Limited(Option<Duration>),
    /// The day's own budget is used up.
    DaySpent,
    /// One call was larger than the service ever allows.
    TooLarge,
    /// No connection: what failed.
    Unreachable(&'static str),
    /// Not in time.
    TooSlow,
    /// The connection ended before the answer did.
    CutOff,
    /// A status that says nothing more.
    Status(u16),
    /// An answer that is none: why.
    Garbled(&'static str),
    /// Nothing of the answer was supported by the messages.
    Unsupported,
    /// A bug of ours.
    Bug,
    /// The server is closing.
    Closing,
}

impl Trouble {
    /// The sentences for the answer's `notice`.
    pub fn notice(&self, service: &str) -> String {
        format!("The language model was not used: {}. The embedded summarizer wrote this.", self.why(service))
    }

    /// The same where only the unread part is concerned.
    pub fn notice_unread(&self, service: &str) -> String {
        format!("The embedded summarizer wrote the unread part: {}.", self.why(service))
    }

    fn why(&self, service: &str) -> String {
        match self {
            Trouble::KeyRefused => format!("{service} refused the API key"),
            Trouble::NoModel => format!("{service} has none of the models that are set up"),
            Trouble::NoService => format!("{service} has no chat-completions service at the address that is set up"),
            Trouble::Limited(None) => format!("{service} is over its rate limit"),
            Trouble::Limited(Some(wait)) => {
                format!("{service} is over its rate limit for another {} s", wait.as_secs().max(1))
            }
            Trouble::DaySpent => "today's token budget for the language model is used up".to_owned(),
            Trouble::TooLarge => format!("{service} does not take requests of this size"),
            Trouble::Unreachable(what) => format!("{service} cannot be reached ({what})"),
            Trouble::TooSlow => format!("{service} did not answer in time"),
            Trouble::CutOff => format!("the connection to {service} broke off before its answer was whole"),
            Trouble::Status(status) => format!("{service} answered with the error {status}"),
            Trouble::Garbled(what) => format!("the model at {service} could not be understood: {what}"),
            Trouble::Unsupported => {
                format!("what the model at {service} wrote is not supported by the messages")
            }
            Trouble::Bug => "a bug in the server stopped the language model's summary".to_owned(),
            Trouble::Closing => "the server is closing".to_owned(),
        }
    }

    /// Whether asking again at once would end the same way.
    pub fn is_lasting(&self) -> bool {
        match self {
            Trouble::KeyRefused | Trouble::NoModel | Trouble::NoService | Trouble::Unreachable(_) => true,
            Trouble::Limited(_) | Trouble::TooSlow | Trouble::Status(_) => true,
            Trouble::DaySpent | Trouble::TooLarge | Trouble::CutOff | Trouble::Garbled(_) => false,
            Trouble::Unsupported | Trouble::Bug | Trouble::Closing => false,
        }
    }
}
