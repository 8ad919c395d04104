//! Pauses that end when the server closes.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::summary::trouble::Trouble;

/// Wakes those who pause when the server closes.
#[derive(Default)]
pub struct Closing {
    is_closing: Mutex<bool>,
    changed: Condvar,
}

impl Closing {
    /// Pauses, unless the server closes.
    pub fn pause(&self, pause: Duration) -> Result<(), Trouble> {
        let guard = self.is_closing.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = self
            .changed
            .wait_timeout_while(guard, pause, |is_closing| !*is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        if *guard { Err(Trouble::Closing) } else { Ok(()) }
    }

    /// Whether it does.
    pub fn is_closing(&self) -> bool {
        *self.is_closing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every pause, also those to come.
    pub fn close(&self) {
        *self.is_closing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}
