//! Waiting for a condition, for the tests and for the examples that borrow their browser.

use std::time::{Duration, Instant};

use super::WAIT;

/// Looks again and again until `look` gives something, `WAIT` at most.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < WAIT, "waited {WAIT:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
