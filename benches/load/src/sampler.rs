//! Watches the memory of another process all the time, so that no peak is missed between two looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::usage::Memory;

const PACE: Duration = Duration::from_millis(10);

pub struct Sampler {
    pid: u32,
    peak: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Begins to look at the process every 10 ms.
    pub fn start(pid: u32) -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let (highest, ends) = (peak.clone(), is_over.clone());
        let watch = move || {
            while !ends.load(Ordering::Relaxed) {
                highest.fetch_max(Memory::of(pid).resident, Ordering::Relaxed);
                thread::sleep(PACE);
            }
        };
        Sampler { pid, peak, is_over, thread: Some(thread::spawn(watch)) }
    }

    /// Resident bytes right now.
    pub fn now(&self) -> u64 {
        Memory::of(self.pid).resident
    }

    /// The most that was resident since the last call, or the start.
    pub fn take_peak(&self) -> u64 {
        self.peak.swap(0, Ordering::Relaxed).max(self.now())
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only reads a file and sleeps.
            let _ = thread.join();
        }
    }
}
