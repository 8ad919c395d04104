//! What another process has used, read from `/proc`: CPU time and memory. Linux only.

use std::fs;

use crate::system;

/// CPU time since the start of a process, all threads, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    pub total_ns: u64,
    /// In clock ticks (10 ms): good for the split into user and system, not for short spans.
    user_ticks: u64,
    system_ticks: u64,
}

impl Cpu {
    /// All zero when the process is gone.
    pub fn of(pid: u32) -> Self {
        let mut cpu = Cpu::default();
        if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
            // The name in parentheses may hold anything; the fields after it are plain.
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            let ticks = |index: usize| fields.get(index).and_then(|field| field.parse().ok()).unwrap_or(0);
            cpu.user_ticks = ticks(11);
            cpu.system_ticks = ticks(12);
        }
        cpu.total_ns = scheduled_ns(pid);
        if cpu.total_ns == 0 {
            cpu.total_ns = (cpu.user_ticks + cpu.system_ticks) * (1_000_000_000 / system::ticks_per_second());
        }
        cpu
    }

    /// User and system nanoseconds since `earlier`: the exact total, split as the ticks are.
    pub fn since(&self, earlier: &Cpu) -> (f64, f64) {
        let total = self.total_ns.saturating_sub(earlier.total_ns) as f64;
        let user = self.user_ticks.saturating_sub(earlier.user_ticks) as f64;
        let system = self.system_ticks.saturating_sub(earlier.system_ticks) as f64;
        let share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
        (total * share, total * (1.0 - share))
    }
}

/// Time on a core of all threads that still live, to the nanosecond.
fn scheduled_ns(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// Time that all cores together were not idle since the machine started, also on behalf of other guests of its host.
pub fn machine_busy_ns() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or("").split_whitespace().skip(1);
    // user nice system idle iowait irq softirq steal; the guests that follow are in user already.
    let ticks: Vec<u64> = fields.take(8).filter_map(|field| field.parse().ok()).collect();
    let busy: u64 =
        ticks.iter().enumerate().filter(|(index, _)| *index != 3 && *index != 4).map(|(_, ticks)| ticks).sum();
    busy * (1_000_000_000 / system::ticks_per_second())
}

/// Memory of a process in bytes: all that is resident, and the anonymous part of it (heap and stacks).
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    pub resident: u64,
    pub anonymous: u64,
}

impl Memory {
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kib.unwrap_or(0) * 1024
        };
        Memory { resident: field("VmRSS:"), anonymous: field("RssAnon:") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_uses_time_and_memory() {
        let pid = std::process::id();
        let before = Cpu::of(pid);
        let started = std::time::Instant::now();
        while started.elapsed().as_millis() < 60 {
            std::hint::black_box(0);
        }
        let (user, system) = Cpu::of(pid).since(&before);
        assert!(user + system > 1e6, "60 ms of work shows as {user} + {system} ns");
        let memory = Memory::of(pid);
        assert!(memory.anonymous > 0 && memory.resident > memory.anonymous);
    }
}
