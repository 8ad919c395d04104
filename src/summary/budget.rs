//! How many tokens a text costs, and how many the service still gives us: a bucket that refills, learned from its headers.
//!
//! Pure: time comes in as `now`.

use std::time::{Duration, Instant};

/// Fewer tokens than this make no call worth its while.
pub const CALL_TOKENS_MIN: u64 = 1200;
/// Of a limit per minute one call takes at most this share: the estimate may be wrong, and others use the key as well.
const CALL_SHARE: f64 = 0.92;
/// The estimate is corrected by what the service counts, within these bounds.
const FACTOR_MIN: f64 = 0.6;
const FACTOR_MAX: f64 = 2.5;

/// Estimated tokens of a text. English comes to 3.5 characters a token; other scripts cost more for each character.
pub fn tokens(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = text.len() - ascii;
    ((ascii as f64) / 3.5 + (other as f64) * 0.4).ceil() as u64
}

/// What the service said in its `x-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Tokens a minute.
    pub limit: Option<u64>,
    /// Tokens left of it.
    pub remaining: Option<u64>,
}

/// What we may still send.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Tokens a minute; `None`: no limit is known.
    limit: Option<u64>,
    /// Tokens left at `at`. Never above the limit.
    level: f64,
    at: Instant,
    /// Largest call: prompt and answer. Shrinks when the service says that a call was too large.
    call_max: u64,
    /// What the service counts for one estimated token.
    factor: f64,
    day: Option<Day>,
}

/// What we allow ourselves until midnight.
#[derive(Clone, Debug)]
struct Day {
    tokens_max: u64,
    spent: u64,
    ends: Instant,
    /// Asked once a day, so that a longer or shorter one is right too.
    until_midnight: fn() -> Duration,
}

impl Ledger {
    /// A full bucket.
    pub fn new(limit: Option<u64>, call_max: u64, now: Instant) -> Ledger {
        Ledger { limit, level: limit.unwrap_or(0) as f64, at: now, call_max, factor: 1.0, day: None }
    }

    /// With at most so many tokens from midnight to midnight.
    pub fn with_day(self, tokens_max: u64, until_midnight: fn() -> Duration, now: Instant) -> Ledger {
        Ledger { day: Some(Day { tokens_max, spent: 0, ends: now + until_midnight(), until_midnight }), ..self }
    }

    /// The largest call (prompt and answer, in estimated tokens) that a full bucket allows.
    pub fn call_max(&self) -> u64 {
        let by_limit = self.limit.map_or(u64::MAX, |limit| (limit as f64 * CALL_SHARE) as u64);
        (self.call_max.min(by_limit) as f64 / self.factor) as u64
    }

    /// The largest call that may go out now.
    pub fn ready(&mut self, now: Instant) -> u64 {
        self.call_max().min(self.left(now))
    }

    /// All that may be spent now, in one call or several.
    pub fn left(&mut self, now: Instant) -> u64 {
        self.refill(now);
        let by_level = self.limit.map_or(u64::MAX, |_| (self.level * CALL_SHARE / self.factor) as u64);
        by_level.min(self.day_left(now))
    }

    /// How long until a call of that many estimated tokens may go out; `None`: not before tomorrow.
    pub fn wait_for(&mut self, tokens: u64, now: Instant) -> Option<Duration> {
        self.refill(now);
        if self.day_left(now) < tokens {
            return None;
        }
        let Some(limit) = self.limit else {
            return Some(Duration::ZERO);
        };
        let missing = tokens as f64 * self.factor / CALL_SHARE - self.level;
        Some(Duration::from_secs_f64((missing / (limit as f64 / 60.0)).clamp(0.0, 60.0)))
    }

    /// A call goes out.
    pub fn spend(&mut self, tokens: u64, now: Instant) {
        self.refill(now);
        let tokens = tokens as f64 * self.factor;
        self.level = (self.level - tokens).max(0.0);
        if let Some(day) = &mut self.day {
            day.spent += tokens as u64;
        }
    }

    /// A call that was taken for `estimated` tokens has really cost `real`: the day gets the difference back.
    pub fn settle(&mut self, estimated: u64, real: u64) {
        let taken = (estimated as f64 * self.factor) as u64;
        if let Some(day) = &mut self.day {
            day.spent = (day.spent + real).saturating_sub(taken);
        }
    }

    /// The service told where we stand.
    pub fn learn(&mut self, limits: Limits, now: Instant) {
        self.refill(now);
        if let Some(limit) = limits.limit.filter(|limit| *limit > 0) {
            if self.limit.is_none() {
                self.level = limit as f64;
            }
            self.limit = Some(limit);
        }
        if let (Some(limit), Some(remaining)) = (self.limit, limits.remaining) {
            self.level = (remaining as f64).min(limit as f64);
        }
    }

    /// The service counted `real` tokens in a prompt that we took for `estimated`.
    pub fn calibrate(&mut self, estimated: u64, real: u64) {
        if estimated > 0 && real > 0 {
            let seen = (real as f64 / estimated as f64).clamp(FACTOR_MIN, FACTOR_MAX);
            // Up at once, down slowly: too large a call is lost, too small a one is not.
            self.factor = if seen > self.factor { seen } else { self.factor * 0.7 + seen * 0.3 };
        }
    }

    /// The service said that a call of that many estimated tokens can never go through. `limit`: what it allows, if it said.
    pub fn too_large(&mut self, tokens: u64, limit: Option<u64>) {
        let half = (tokens as f64 * self.factor / 2.0) as u64;
        let known = limit.map_or(u64::MAX, |limit| (limit as f64 * CALL_SHARE) as u64);
        self.call_max = self.call_max.min(if known < tokens { known } else { half });
    }

    /// The service has no tokens left for us.
    pub fn is_empty(&mut self, now: Instant) {
        self.level = 0.0;
        self.at = now;
    }

    fn refill(&mut self, now: Instant) {
        if let Some(limit) = self.limit {
            let seconds = now.saturating_duration_since(self.at).as_secs_f64();
            self.level = (self.level + seconds * limit as f64 / 60.0).min(limit as f64);
        }
        self.at = self.at.max(now);
    }

    fn day_left(&mut self, now: Instant) -> u64 {
        let Some(day) = &mut self.day else { return u64::MAX };
        if now >= day.ends {
            day.ends = now + (day.until_midnight)();
            day.spent = 0;
        }
        day.tokens_max.saturating_sub(day.spent)
    }
}

/// Seconds as services write them: `7`, `7.66s`, `2m59.56s`, `120ms`, `1h2m3s`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        let unit_end = rest[end..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| at + end);
        seconds += number
            * match rest[end..unit_end].trim() {
                "" | "s" => 1.0,
                "ms" => 0.001,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_refills_with_time_and_never_above_its_limit() {
        let start = Instant::now();
        let mut ledger = Ledger::new(Some(6000), 100_000, start);
        assert_eq!(ledger.ready(start), 5520);
        ledger.spend(5520, start);
        assert!(ledger.ready(start) < 500);
        let wait = ledger.wait_for(2000, start).unwrap();
        assert!((16.0..18.0).contains(&wait.as_secs_f64()), "{wait:?}");
        assert!(ledger.ready(start + wait) >= 1999);
        assert_eq!(ledger.ready(start + Duration::from_secs(600)), 5520);
    }

    #[test]
    fn what_the_service_says_counts_more_than_what_we_think() {
        let start = Instant::now();
        let mut ledger = Ledger::new(None, 8000, start);
        assert_eq!(ledger.ready(start), 8000, "no limit known: the size of a call is the only bound");
        ledger.learn(Limits { limit: Some(6000), remaining: Some(1000) }, start);
        assert_eq!(ledger.ready(start), 920);
        ledger.calibrate(1000, 2000);
        assert_eq!(ledger.ready(start), 460, "each estimated token costs two");
        ledger.too_large(5000, Some(3000));
        assert_eq!(ledger.call_max(), 1380, "3000 tokens of theirs are 1500 of ours, less the share kept back");
    }

    #[test]
    fn a_call_that_was_too_large_is_never_repeated_in_its_size() {
        let start = Instant::now();
        let mut ledger = Ledger::new(None, 8000, start);
        for _ in 0..3 {
            let before = ledger.call_max();
            ledger.too_large(before, None);
            assert!(ledger.call_max() <= before / 2 + 1);
        }
    }

    #[test]
    fn the_day_s_budget_ends_with_the_day() {
        let start = Instant::now();
        let hour = || Duration::from_secs(3600);
        let mut ledger = Ledger::new(None, 8000, start).with_day(10_000, hour, start);
        ledger.spend(9000, start);
        assert_eq!((ledger.ready(start), ledger.wait_for(2000, start)), (1000, None));
        assert_eq!(ledger.ready(start + hour() - Duration::from_secs(1)), 1000);
        assert_eq!(ledger.ready(start + hour()), 8000, "midnight was an hour away");
        ledger.spend(9000, start + hour());
        ledger.settle(9000, 5500);
        assert_eq!(ledger.ready(start + hour() * 2 - Duration::from_secs(1)), 4500, "what was not used is given back");
    }

    #[test]
    fn times_are_read_in_every_form_that_services_use() {
        let check = |text, ms: Option<u64>| assert_eq!(duration(text).map(|d| d.as_millis() as u64), ms, "{text}");
        check("7", Some(7000));
        check("7.66s", Some(7660));
        check("2m59.56s", Some(179_560));
        check("120ms", Some(120));
        check("1h2m3s", Some(3_723_000));
        check("", None);
        check("soon", None);
        check("Wed, 21 Oct 2026 07:28:00 GMT", None);
        check("1e400", None);
    }

    #[test]
    fn other_scripts_cost_more_than_english() {
        assert_eq!(tokens("abcdefg"), 2);
        assert!(tokens("日本語の会議") >= 6 && tokens("Привет") >= 4);
    }
}
