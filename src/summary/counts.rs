//! What the summary worker has done so far: plain counters for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows; many threads may add to it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many until now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters themselves, shared by the lanes.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// All of them now.
            pub fn counts(&self) -> Counts {
                Counts { $($name: self.$name.get(),)* }
            }
        }

        impl Counts {
            /// Names and values, in the order above.
            pub fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Summaries asked for.
    asked,
    /// Asks refused because too many were waiting.
    refused,
    /// Answered from the cache.
    cached,
    /// Joined a computation that was already running.
    joined,
    /// Answered by the language model.
    by_llm,
    /// Answered by the embedded engine because that was asked for, or there is no model.
    by_embedded,
    /// Answered by the embedded engine because the model did not.
    fallbacks,
    /// Requests sent to the service.
    calls,
    /// Tokens of prompts, as the service counted them.
    prompt_tokens,
    /// Tokens of answers, as the service counted them.
    answer_tokens,
    /// Statements of the model that passed the check.
    kept,
    /// Dropped: named no message of its input.
    dropped_ids,
    /// Dropped: its words are not in the messages that it names.
    dropped_words,
    /// Dropped: a number or a name that the messages do not have.
    dropped_names,
    /// Dropped: gives the task to somebody who neither took it nor is named.
    dropped_owners,
    /// Dropped: a decision that the messages do not show to be one.
    dropped_unproven,
    /// Dropped: links or markup that the messages do not have.
    dropped_markup,
    /// Dropped: proven only by messages that speak to the summarizer.
    dropped_bait,
    /// Panics caught.
    panics,
}
