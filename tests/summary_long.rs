//! Long talks through a small service: what the model is sent, what it costs, and what asking again costs.

#[path = "support/groq.rs"]
mod groq;
#[path = "support/room.rs"]
mod room;

use std::time::{Duration, Instant};

use catchup::summary::{Ask, Settings};
use groq::Groq;
use room::{Room, Worker, assert_sound};

/// A talk like those of a team: mostly small talk, now and then a decision, a promise, a question.
fn team_talk(count: usize) -> Room {
    const PEOPLE: [&str; 7] = ["Ann", "Bob", "Cid", "Dora", "Emil", "Fay", "Gus"];
    const THINGS: [&str; 11] = [
        "login page",
        "billing job",
        "search index",
        "mobile build",
        "release notes",
        "backup",
        "dashboard",
        "api gateway",
        "test suite",
        "onboarding",
        "cache",
    ];
    let room = Room::default();
    let mut state = 7u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for n in 0..count {
        let (who, thing) = (PEOPLE[next(7)], THINGS[next(11)]);
        let text = match next(20) {
            0 => format!("ok let's go with option {} for the {thing}, agreed", next(9)),
            1 => format!("I'll fix the {thing} by {}", ["Monday", "Friday", "tomorrow"][next(3)]),
            2 => format!("Does anybody know why the {thing} fails with code {}?", 400 + next(100)),
            3 => format!(
                "The {thing} takes {} ms since the last deploy, that is twice as much as in week {}",
                next(900),
                n / 500
            ),
            4 | 5 => "sounds good".to_owned(),
            6 | 7 => "haha yes".to_owned(),
            8 => "thanks!".to_owned(),
            _ => format!("I looked at the {thing} and the {} again, still not sure about it", THINGS[next(11)]),
        };
        room.say(who, &text);
    }
    room
}

fn settings(groq: &Groq, tokens_per_minute: Option<u64>) -> Settings {
    Settings { tokens_per_minute, ..Settings::new(Some(groq.url()), None, vec!["llama-3.1-8b-instant".into()]) }
}

#[test]
fn a_talk_of_20000_messages_gets_a_full_answer_from_6000_tokens_a_minute() {
    let groq = Groq::start();
    groq.limit(6000);
    let room = team_talk(20_000);
    let worker = Worker::start(settings(&groq, Some(6000)), &room);
    let began = Instant::now();
    let body = worker.told(worker.question());
    let took = began.elapsed();
    assert_sound(&body, &room);
    assert_eq!(body["engine"], "127.0.0.1/llama-3.1-8b-instant", "{}", body["notice"]);
    assert_eq!((body["from_id"].as_u64(), body["to_id"].as_u64()), (Some(1), Some(20_000)));
    let read = body["messages_read"].as_u64().unwrap();
    let tokens: Vec<u64> = groq.seen().iter().map(|seen| seen.tokens).collect();
    println!(
        "20000 messages: {took:?}, {} calls of {tokens:?} tokens, {read} messages read by the model",
        tokens.len()
    );
    assert!(read > 50 && tokens.iter().sum::<u64>() <= 6000, "{tokens:?}, {read} read");

    let began = Instant::now();
    let again = worker.told(worker.question());
    println!("the same again: {:?}, {} calls", began.elapsed(), groq.seen().len() - tokens.len());
    assert_eq!((&again["cached"], &again["summary"]), (&true.into(), &body["summary"]));
    assert_eq!(groq.seen().len(), tokens.len());
}

/// A room of so many messages, all of which the model reads or as many as its calls take; then 100 more.
fn check_100_more(count: usize, is_all_read: bool) {
    let groq = Groq::start();
    let room = team_talk(count);
    let worker = Worker::start(settings(&groq, None), &room);
    let body = worker.told(worker.question());
    let read = body["messages_read"].as_u64().unwrap();
    assert_eq!(read == count as u64, is_all_read, "{read} of {count} read: {}", body["notice"]);
    let first = groq.seen();
    let tokens = |seen: &[groq::Seen]| seen.iter().map(|seen| seen.tokens).sum::<u64>();
    println!("{count} messages: {} calls, {} tokens, {read} read", first.len(), tokens(&first));
    for n in 0..100 {
        room.say("Ann", &format!("The new plan has a point {n} about the cache"));
    }
    let body = worker.told(worker.question());
    assert_sound(&body, &room);
    assert_eq!((body["cached"].as_bool(), body["messages_read"].as_u64()), (Some(false), Some(read + 100)));
    let seen = groq.seen();
    let new = &seen[first.len()..];
    println!("100 more: {} calls, {} tokens", new.len(), tokens(new));
    assert_eq!(new.len(), 1);
    assert_eq!(new[0].messages().len(), 100, "nothing that it has read before");
    assert!(new[0].material()["notes"].as_array().is_some_and(|notes| !notes.is_empty()), "but what it found there");
}

#[test]
fn after_100_new_messages_only_what_is_new_is_sent() {
    check_100_more(1500, true);
    check_100_more(10_000, false);
}

#[test]
fn sealed_chunks_are_kept_when_the_last_call_fails() {
    let groq = Groq::start();
    let room = team_talk(1000);
    let settings = Settings { cooldown: Duration::from_millis(1), ..settings(&groq, None) };
    let worker = Worker::start(settings, &room);
    let chunks = 3;
    for _ in 0..chunks {
        groq.then(groq::Move::Honest);
    }
    groq.always(groq::Move::Status(500, vec![], String::new()));
    assert_eq!(worker.told(worker.question())["engine"], "embedded");
    let before = groq.seen().len();
    groq.always(groq::Move::Honest);
    let body = worker.told(Ask { ..worker.question() });
    assert_eq!(body["engine"], "127.0.0.1/llama-3.1-8b-instant", "{}", body["notice"]);
    let new = groq.seen().len() - before;
    let all = { groq.seen()[..before].len() };
    println!("{all} requests before the failure, {new} after it");
    let sent: usize = groq.seen()[before..].iter().map(|seen| seen.messages().len()).sum();
    assert!(sent < 1000 - 400, "{sent} messages were sent again");
}

#[test]
fn after_a_restart_the_same_question_costs_nothing_and_a_longer_one_only_what_is_new() {
    let groq = Groq::start();
    let room = team_talk(1000);
    let first = Worker::start(settings(&groq, None), &room);
    let body = first.told(first.question());
    first.handle.close();
    let calls = groq.seen().len();
    assert!(calls > 1, "chunks and the last call");

    let worker = Worker::start(settings(&groq, None), &room);
    let again = worker.told(worker.question());
    assert_eq!(again["cached"], true);
    assert_eq!(
        serde_json::Map::from_iter(again.as_object().unwrap().clone().into_iter().filter(|(name, _)| name != "cached")),
        serde_json::Map::from_iter(body.as_object().unwrap().clone().into_iter().filter(|(name, _)| name != "cached"))
    );
    assert_eq!(groq.seen().len(), calls, "no call");
    worker.handle.close();

    for n in 0..20 {
        room.say("Ann", &format!("The new plan has a point {n} about the cache"));
    }
    let worker = Worker::start(settings(&groq, None), &room);
    let body = worker.told(worker.question());
    assert_eq!((body["cached"].as_bool(), body["messages_read"].as_u64()), (Some(false), Some(1020)));
    assert_eq!(groq.seen().len(), calls + 1);
    assert_eq!(groq.seen()[calls].messages().len(), 20, "nothing that it has read before the restart");
    worker.handle.close();

    // Another model's words are not passed off as this one's.
    let other = Settings { models: vec!["another".into()], ..settings(&groq, None) };
    let worker = Worker::start(other, &room);
    let body = worker.told(worker.question());
    assert_eq!((&body["engine"], &body["cached"]), (&"127.0.0.1/another".into(), &false.into()));
}

#[test]
fn chunks_that_were_finished_before_a_crash_are_not_paid_for_again() {
    let groq = Groq::start();
    let room = team_talk(1000);
    for _ in 0..3 {
        groq.then(groq::Move::Honest);
    }
    groq.always(groq::Move::Status(500, vec![], String::new()));
    let first = Worker::start(settings(&groq, None), &room);
    assert_eq!(first.told(first.question())["engine"], "embedded");
    first.handle.close();
    let before = groq.seen().len();
    groq.always(groq::Move::Honest);
    let worker = Worker::start(settings(&groq, None), &room);
    assert_ne!(worker.told(worker.question())["engine"], "embedded");
    let sent: usize = groq.seen()[before..].iter().map(|seen| seen.messages().len()).sum();
    assert!(sent < 1000 - 400, "{sent} messages were sent again");
}

#[test]
fn a_cached_answer_takes_less_than_a_millisecond() {
    let groq = Groq::start();
    let room = team_talk(500);
    let worker = Worker::start(settings(&groq, None), &room);
    worker.told_to("Zoe");
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let ask = Ask { reader: Some("Zoe".into()), ..worker.question() };
            let began = Instant::now();
            worker.handle.ask(ask).unwrap();
            let answer = worker.answer();
            let took = began.elapsed();
            assert!(matches!(answer, catchup::summary::Answer::Told { .. }));
            took
        })
        .collect();
    times.sort_unstable();
    println!("cached: median {:?}, 99 % {:?}", times[100], times[198]);
    assert!(times[100] < Duration::from_millis(1), "median {:?}", times[100]);
}
