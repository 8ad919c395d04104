//! What the server has done, in numbers: the counters that the loop owns, and their text for Prometheus.
//!
//! Plain integers, added to once a turn, a write or a message, never for each member and message. It measures
//! nothing itself: no socket, no clock, no thread; times come in as nanoseconds.

use std::collections::VecDeque;
use std::fmt::{Display, Write};

use crate::message::CloseReason;

/// The type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const NS_PER_SECOND: f64 = 1e9;
/// Upper ends of the buckets of a turn's time, in nanoseconds: 10 µs to 1 s.
const TURN_NS: &[u64] = &[
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    1_000_000_000,
];
/// Upper ends of the buckets of a delivery's time, in nanoseconds: 50 µs to 10 s.
const DELIVERY_NS: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    10_000_000_000,
];
/// Upper ends of the buckets of what is counted in batches.
const BATCHES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
const BUCKETS_MAX: usize = 16;
/// While rooms are served in turns, so many groups of messages are waited with; then they count as written.
const STORED_MAX: usize = 1024;

/// How often a value lay between which bounds.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Ascending; a bucket holds what is at most its bound. What is over the last has a bucket of its own.
    bounds: &'static [u64],
    counts: [u64; BUCKETS_MAX],
    sum: u64,
}

impl Histogram {
    /// Empty; at most 15 bounds.
    fn new(bounds: &'static [u64]) -> Histogram {
        assert!(bounds.len() < BUCKETS_MAX);
        Histogram { bounds, counts: [0; BUCKETS_MAX], sum: 0 }
    }

    /// The value was seen so many times.
    pub fn observe(&mut self, value: u64, times: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += times;
        self.sum += value * times;
    }
}

/// What has gone out to clients.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Bytes that the kernel took.
    pub bytes: u64,
    /// New frames of a room's tape in a write to one of its members.
    pub frames: Histogram,
}

impl Default for Sent {
    fn default() -> Sent {
        Sent { bytes: 0, frames: Histogram::new(BATCHES) }
    }
}

/// Messages on their way through the log, in the order asked: since when, and how many of one turn.
#[derive(Debug, Default)]
struct Way {
    /// Not answered yet. As long as the log has jobs, at most.
    asked: VecDeque<(u64, u64)>,
    /// Answered, and not written to all rooms yet; [`STORED_MAX`] at most and what one turn adds.
    stored: Vec<(u64, u64)>,
}

/// Everything that is counted but for [`Sent`].
#[derive(Debug)]
pub struct Metrics {
    /// When the server was started, in milliseconds since 1970.
    started_ms: i64,
    /// Connections accepted.
    pub accepted: u64,
    /// Open connections that are WebSockets.
    pub websockets: u64,
    /// Bytes read from open connections.
    pub received_bytes: u64,
    /// Messages stored.
    pub appended: u64,
    /// Messages that were stored before, by their `client_id`.
    pub repeated: u64,
    /// Messages that the log did not store.
    pub refused: u64,
    /// Messages times the members that they were put on the way to.
    pub live: u64,
    /// Messages of backlogs given to one member each.
    pub backlog: u64,
    /// Time of a turn without its wait, in nanoseconds.
    pub turns: Histogram,
    deliveries: Histogram,
    commits: Histogram,
    answers: [u64; 5],
    closes: Vec<(&'static str, u64)>,
    way: Way,
}

/// What is so at the moment of asking.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// Open connections, WebSockets included.
    pub connections: u64,
    /// Newcomers told to come back later.
    pub turned_away: u64,
    /// Rooms that somebody is in or has ever written in.
    pub rooms: u64,
    /// People in rooms, those included who are expected back.
    pub people: u64,
    /// Questions that the log has not answered.
    pub log_jobs: u64,
    /// Connections that are not read from until the log has caught up.
    pub held: u64,
    /// Summaries that are waited for.
    pub summaries: u64,
    /// What the summary workers have done, by kind.
    pub summary_events: Vec<(&'static str, u64)>,
}

impl Metrics {
    /// All zero; the server was started at `started_ms`, in milliseconds since 1970.
    pub fn new(started_ms: i64) -> Metrics {
        Metrics {
            started_ms,
            accepted: 0,
            websockets: 0,
            received_bytes: 0,
            appended: 0,
            repeated: 0,
            refused: 0,
            live: 0,
            backlog: 0,
            turns: Histogram::new(TURN_NS),
            deliveries: Histogram::new(DELIVERY_NS),
            commits: Histogram::new(BATCHES),
            answers: [0; 5],
            closes: CloseReason::NAMES.map(|name| (name, 0)).to_vec(),
            way: Way::default(),
        }
    }

    /// A response with this status is on its way.
    pub fn answered(&mut self, status: u16) {
        if let Some(count) = self.answers.get_mut(usize::from(status / 100).wrapping_sub(1)) {
            *count += 1;
        }
    }

    /// A connection has ended.
    pub fn closed(&mut self, reason: CloseReason) {
        let name = reason.name();
        match self.closes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.closes.push((name, 1)),
        }
    }

    /// The log is asked to store a message that the turn begun at `turn_ns` has taken.
    pub fn asked(&mut self, turn_ns: u64) {
        match self.way.asked.back_mut() {
            Some((since, count)) if *since == turn_ns => *count += 1,
            _ => self.way.asked.push_back((turn_ns, 1)),
        }
    }

    /// The log has stored the next so many messages together, `repeats` of them before.
    pub fn stored(&mut self, count: u64, repeats: u64) {
        self.appended += count - repeats;
        self.repeated += repeats;
        self.commits.observe(count, 1);
        self.come(count, true);
    }

    /// The log has not stored the next so many messages.
    pub fn not_stored(&mut self, count: u64) {
        self.refused += count;
        self.come(count, false);
    }

    fn come(&mut self, mut count: u64, is_stored: bool) {
        while let Some((since, left)) = self.way.asked.front_mut().filter(|_| count > 0) {
            let part = count.min(*left);
            if is_stored {
                self.way.stored.push((*since, part));
            }
            count -= part;
            *left -= part;
            if *left == 0 {
                self.way.asked.pop_front();
            }
        }
    }

    /// The turn has sent what it could, at `now_ns`. `is_all`: no room still waits to be served.
    pub fn settled(&mut self, now_ns: u64, is_all: bool) {
        if is_all || self.way.stored.len() >= STORED_MAX {
            for (since, count) in self.way.stored.drain(..) {
                self.deliveries.observe(now_ns.saturating_sub(since), count);
            }
        }
    }

    /// Everything in the Prometheus text exposition format, version 0.0.4.
    pub fn text(&self, sent: &Sent, levels: &Levels) -> String {
        let mut text = Text(String::with_capacity(16 * 1024));
        text.family("catchup_build_info", "gauge", "The version that runs.");
        text.labelled("catchup_build_info", "version", env!("CARGO_PKG_VERSION"), 1);
        text.one(
            "process_start_time_seconds",
            "gauge",
            "When the server was started, in seconds since 1970.",
            self.started_ms as f64 / 1000.0,
        );
        self.write_clients(&mut text, sent, levels);
        self.write_messages(&mut text, levels);
        let name = "catchup_turn_seconds";
        text.histogram(name, "Time of a turn of the loop, without its wait for news.", &self.turns, NS_PER_SECOND);
        let name = "catchup_summaries_total";
        text.counts(name, "counter", "What the summary workers did.", "event", levels.summary_events.iter().copied());
        text.one("catchup_summaries_waiting", "gauge", "Summaries that somebody waits for.", levels.summaries);
        text.0
    }

    fn write_clients(&self, text: &mut Text, sent: &Sent, levels: &Levels) {
        let kinds =
            [("http", levels.connections.saturating_sub(self.websockets)), ("websocket", self.websockets)].into_iter();
        text.counts("catchup_connections", "gauge", "Open connections.", "kind", kinds);
        text.one("catchup_connections_accepted_total", "counter", "Connections accepted.", self.accepted);
        let help = "Newcomers told to come back later, as a cap was reached.";
        text.one("catchup_connections_turned_away_total", "counter", help, levels.turned_away);
        let closes = self.closes.iter().copied();
        text.counts("catchup_closes_total", "counter", "Connections that have ended, by why.", "reason", closes);
        let answers = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(self.answers);
        let help = "HTTP responses begun, by class of status; 1xx are WebSocket upgrades.";
        text.counts("catchup_http_responses_total", "counter", help, "class", answers);
        let help = "Bytes read from connections that were not closing.";
        text.one("catchup_received_bytes_total", "counter", help, self.received_bytes);
        text.one("catchup_sent_bytes_total", "counter", "Bytes that the kernel took for clients.", sent.bytes);
        let help = "New frames of a room when a member was written to, one observation for each such write.";
        text.histogram("catchup_write_frames", help, &sent.frames, 1.0);
    }

    fn write_messages(&self, text: &mut Text, levels: &Levels) {
        let help = "Rooms that somebody is in or has ever written in.";
        text.one("catchup_rooms", "gauge", help, levels.rooms);
        let help = "People in rooms, each room counted, those included who are expected back after a drop.";
        text.one("catchup_people", "gauge", help, levels.people);
        let outcomes = [("stored", self.appended), ("repeated", self.repeated), ("refused", self.refused)].into_iter();
        let help = "Messages that the log answered: stored, repeated (known by their client_id), refused.";
        text.counts("catchup_messages_total", "counter", help, "outcome", outcomes);
        let ways = [("live", self.live), ("backlog", self.backlog)].into_iter();
        let help = "Messages times receivers: live, to the members there when it was stored; backlog, to who resumed \
                    or had fallen behind.";
        text.counts("catchup_deliveries_total", "counter", help, "way", ways);
        let help = "From the turn that read a message to the end of the one that wrote it, stored, to the sockets of \
                    its room.";
        text.histogram("catchup_delivery_seconds", help, &self.deliveries, NS_PER_SECOND);
        let help =
            "Messages that the log answered together: of one transaction, and with no other question between them.";
        text.histogram("catchup_commit_messages", help, &self.commits, 1.0);
        text.one("catchup_log_jobs", "gauge", "Questions that the log has not answered yet.", levels.log_jobs);
        let help = "Connections that are not read from until the log has caught up.";
        text.one("catchup_held_connections", "gauge", help, levels.held);
    }
}

/// The format: `# HELP`, `# TYPE`, samples.
struct Text(String);

impl Text {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("a String takes every write");
        self.0.push('\n');
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    /// Label values are names of our own: nothing in them wants an escape.
    fn labelled(&mut self, name: &str, label: &str, is: &str, value: u64) {
        self.line(format_args!("{name}{{{label}=\"{is}\"}} {value}"));
    }

    fn counts(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        counts: impl Iterator<Item = (&'static str, u64)>,
    ) {
        self.family(name, kind, help);
        for (is, count) in counts {
            self.labelled(name, label, is, count);
        }
    }

    /// `scale`: how many of the histogram's units are one of the metric's.
    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram, scale: f64) {
        self.family(name, "histogram", help);
        let mut count = 0;
        for (bound, here) in histogram.bounds.iter().zip(histogram.counts) {
            count += here;
            self.line(format_args!("{name}_bucket{{le=\"{}\"}} {count}", *bound as f64 / scale));
        }
        count += histogram.counts[histogram.bounds.len()];
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
        self.line(format_args!("{name}_sum {}", histogram.sum as f64 / scale));
        self.line(format_args!("{name}_count {count}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        metrics.text(&Sent::default(), &Levels::default())
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|known| known == line), "{line:?} is not in\n{text}");
    }

    #[test]
    fn a_bucket_holds_what_is_at_most_its_bound_and_all_below() {
        let mut metrics = Metrics::new(1_500);
        for (value, times) in [(10_000, 2), (10_001, 1), (1_000_000_000, 1), (1_000_000_001, 3)] {
            metrics.turns.observe(value, times);
        }
        let text = text(&metrics);
        has(&text, "process_start_time_seconds 1.5");
        has(&text, "catchup_turn_seconds_bucket{le=\"0.00001\"} 2");
        has(&text, "catchup_turn_seconds_bucket{le=\"0.000025\"} 3");
        has(&text, "catchup_turn_seconds_bucket{le=\"1\"} 4");
        has(&text, "catchup_turn_seconds_bucket{le=\"+Inf\"} 7");
        has(&text, "catchup_turn_seconds_sum 4.000030004");
        has(&text, "catchup_turn_seconds_count 7");
    }

    #[test]
    fn a_message_is_timed_from_its_own_turn_however_the_log_answers() {
        let mut metrics = Metrics::new(0);
        for turn_ns in [1_000, 1_000, 1_000, 9_000, 9_000] {
            metrics.asked(turn_ns);
        }
        metrics.stored(2, 1);
        metrics.settled(30_000, false);
        assert_eq!(metrics.way.stored.len(), 1, "a room waits");
        metrics.settled(41_000, true);
        metrics.not_stored(1);
        metrics.stored(2, 0);
        metrics.settled(109_000, true);
        assert!(metrics.way.asked.is_empty());
        let text = text(&metrics);
        has(&text, "catchup_messages_total{outcome=\"stored\"} 3");
        has(&text, "catchup_messages_total{outcome=\"repeated\"} 1");
        has(&text, "catchup_messages_total{outcome=\"refused\"} 1");
        has(&text, "catchup_delivery_seconds_bucket{le=\"0.00005\"} 2");
        has(&text, "catchup_delivery_seconds_bucket{le=\"0.0001\"} 4");
        has(&text, "catchup_delivery_seconds_sum 0.00028");
        has(&text, "catchup_commit_messages_bucket{le=\"2\"} 2");
    }

    #[test]
    fn each_reason_and_each_class_has_its_line() {
        let mut metrics = Metrics::new(0);
        for code in [1002, 1003, 1007, 1009] {
            metrics.closed(CloseReason::Protocol(code));
        }
        metrics.closed(CloseReason::Goodbye);
        for status in [101, 200, 204, 304, 404, 503, 999] {
            metrics.answered(status);
        }
        let text = text(&metrics);
        for reason in ["broken_frame", "binary", "bad_text", "too_long", "goodbye"] {
            has(&text, &format!("catchup_closes_total{{reason=\"{reason}\"}} 1"));
        }
        has(&text, "catchup_closes_total{reason=\"slow\"} 0");
        has(&text, "catchup_http_responses_total{class=\"2xx\"} 2");
        has(&text, "catchup_http_responses_total{class=\"5xx\"} 1");
    }
}
