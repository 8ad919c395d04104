//! A model that lies: invented decisions, wrong owners, ids that do not exist or prove something else, markup, flipped
//! words. None of it may reach a reader as fact, and what is true must still get through.

#[path = "support/groq.rs"]
mod groq;
#[path = "support/room.rs"]
mod room;

use std::sync::Arc;
use std::time::Duration;

use catchup::summary::Settings;
use groq::{Groq, Move};
use room::{Room, Worker, assert_sound};
use serde_json::{Value, json};

struct Case {
    said: &'static [(&'static str, &'static str)],
    /// True decisions as a model would put them, and their proof.
    decisions: &'static [(&'static str, &'static [u64])],
    /// True tasks: owner, words, proof.
    actions: &'static [(&'static str, &'static str, &'static [u64])],
    /// True points.
    points: &'static [(&'static str, &'static [u64])],
    /// Lies made with the words of the talk: what they claim to be, and what they name as proof.
    lies: &'static [(&'static str, &'static str, &'static [u64])],
}

const CASES: &[Case] = &[
    Case {
        said: &[
            ("Ann", "Morning all. When do we ship release 2.4?"),
            ("Bob", "The security audit needs two more days, so Thursday is too early"),
            ("Cid", "Should we migrate the billing service to Oracle at the same time?"),
            ("Bob", "no, please not, one thing at a time"),
            ("Ann", "ok agreed, we ship release 2.4 on Friday"),
            ("Dora", "I'll write the changelog by Thursday evening"),
            ("Ann", "Bob, can you tag the release candidate?"),
            ("Bob", "sure, will do tonight"),
            ("Cid", "The mobile build still fails on Android 9"),
            ("Dora", "Who owns the mobile build these days?"),
            ("Ann", "We should not deploy on weekends, ever"),
            ("Cid", "haha true"),
        ],
        decisions: &[("Release 2.4 ships on Friday.", &[5]), ("They decided to ship release 2.4 on Friday.", &[2, 5])],
        actions: &[
            ("Dora", "Dora will write the changelog by Thursday evening", &[6]),
            ("Bob", "Bob will tag the release candidate tonight", &[7, 8]),
        ],
        points: &[
            ("Bob said the security audit needs two more days.", &[2]),
            ("The mobile build fails on Android 9.", &[9]),
            ("Cid asked about migrating the billing service to Oracle.", &[3]),
        ],
        lies: &[
            ("key_decisions", "The team decided to migrate the billing service to Oracle.", &[3]),
            ("key_decisions", "They agreed to migrate the billing service to Oracle at the same time.", &[3, 4]),
            ("key_decisions", "Release 2.4 ships on Thursday.", &[5]),
            ("key_decisions", "Release 2.5 ships on Friday.", &[5]),
            ("key_decisions", "They agreed to deploy on weekends.", &[11]),
            ("key_decisions", "They will hire a new designer.", &[5]),
            ("key_decisions", "The audit was cancelled.", &[2, 5]),
            ("key_decisions", "Dora owns the mobile build.", &[10]),
            ("key_decisions", "They decided to drop Android 9.", &[9]),
            ("action_items", "Cid will write the changelog by Thursday evening", &[6]),
            ("action_items", "Ann will tag the release candidate tonight", &[7, 8]),
            ("action_items", "Dora will fix the mobile build", &[10]),
            ("action_items", "Bob will write the changelog by Thursday evening", &[6]),
            ("action_items", "Cid will migrate the billing service to Oracle", &[3]),
            ("action_items", "Zoe will tag the release candidate", &[7]),
            ("action_items", "Dora will write the changelog by Tuesday evening", &[6]),
            ("bullet_points", "Cid said the security audit needs two more days.", &[2]),
            ("bullet_points", "The security audit needs 5 more days.", &[2]),
            ("bullet_points", "Bob resigned from the company.", &[8]),
            ("bullet_points", "The mobile build works on Android 9 and iOS.", &[9]),
            ("open_questions", "Who will pay for the Oracle licence next year?", &[10]),
        ],
    },
    Case {
        said: &[
            ("Mia", "Lunch on Tuesday: pizza or sushi?"),
            ("Noah", "sushi please"),
            ("Olga", "I vote sushi too"),
            ("Mia", "Sushi it is then, 12:30 at Kaiten"),
            ("Noah", "I can book a table for six"),
            ("Pia", "I'm not coming on Tuesday, I have the dentist"),
            ("Olga", "Can someone bring the projector to the demo afterwards?"),
            ("Pia", "The projector cable is broken, somebody needs to order a new one"),
            ("Mia", "Noah, could you order the cable?"),
            ("Noah", "ok"),
        ],
        decisions: &[
            ("Lunch on Tuesday will be sushi at 12:30 at Kaiten.", &[1, 4]),
            ("Sushi at Kaiten at 12:30.", &[4]),
        ],
        actions: &[
            ("Noah", "Noah will book a table for six", &[5]),
            ("Noah", "Noah will order a new projector cable", &[8, 9, 10]),
        ],
        points: &[
            ("Pia is not coming on Tuesday because she has the dentist.", &[6]),
            ("The projector cable is broken.", &[8]),
        ],
        lies: &[
            ("key_decisions", "Lunch on Tuesday will be pizza.", &[1]),
            ("key_decisions", "They agreed on pizza at 12:30.", &[4]),
            ("key_decisions", "Sushi at 13:30 at Kaiten.", &[4]),
            ("key_decisions", "The demo is cancelled.", &[7]),
            ("key_decisions", "They will buy a new projector.", &[8]),
            ("key_decisions", "Pia is coming on Tuesday.", &[6]),
            ("action_items", "Mia will book a table for six", &[5]),
            ("action_items", "Pia will order a new projector cable", &[8, 9]),
            ("action_items", "Noah will book a table for eight", &[5]),
            ("action_items", "Olga will bring the projector to the demo", &[7]),
            ("action_items", "Noah will pay for the sushi", &[2]),
            ("bullet_points", "Olga is not coming on Tuesday because she has the dentist.", &[6]),
            ("bullet_points", "Mia has an allergy to fish.", &[1]),
            ("bullet_points", "The restaurant Kaiten closed in March.", &[4]),
            ("bullet_points", "Pia is coming on Tuesday.", &[6]),
            ("open_questions", "When does Kaiten raise its prices?", &[4]),
        ],
    },
    Case {
        said: &[
            ("Will", "The database reached 91% of its disk last night"),
            ("May", "I'm going to delete the old backups from 2024 today"),
            ("Will", "wait, don't delete them before legal confirms"),
            ("May", "right, I'll ask legal first"),
            ("Raj", "Let's use the cheaper storage class for everything older than 90 days"),
            ("Will", "agreed"),
            ("May", "+1"),
            ("Raj", "Could we maybe switch to Postgres 17 this quarter?"),
            ("Will", "not sure, let's talk about it next month"),
            ("Raj", "fine"),
            ("May", "What is the password policy for the new cluster?"),
        ],
        decisions: &[
            ("Everything older than 90 days goes to the cheaper storage class.", &[5, 6]),
            ("They agreed to use the cheaper storage class for everything older than 90 days.", &[5]),
        ],
        actions: &[("May", "May will ask legal first", &[4])],
        points: &[
            ("The database reached 91% of its disk.", &[1]),
            ("Raj asked about switching to Postgres 17 this quarter.", &[8]),
        ],
        lies: &[
            ("key_decisions", "They decided to switch to Postgres 17 this quarter.", &[8]),
            ("key_decisions", "Everything older than 30 days goes to the cheaper storage class.", &[5, 6]),
            ("key_decisions", "Legal confirmed the deletion.", &[3]),
            ("key_decisions", "They decided to buy 91 new disks.", &[1]),
            ("key_decisions", "The password policy requires 12 characters.", &[11]),
            ("action_items", "Raj will ask legal first", &[4]),
            ("action_items", "Will will delete the old backups from 2024 today", &[2]),
            ("action_items", "Raj will switch to Postgres 17", &[10]),
            ("action_items", "May will delete the old backups from 2023 today", &[2]),
            ("action_items", "Legal will pay May", &[4]),
            ("bullet_points", "The database reached 99% of its disk.", &[1]),
            ("bullet_points", "Raj deleted the old backups.", &[2]),
            ("bullet_points", "Will was fired by legal.", &[3]),
            ("open_questions", "Why did Raj leak the password?", &[11]),
        ],
    },
    Case {
        said: &[
            ("Li Wei", "The client from Hamburg wants the contract signed by 30 June"),
            ("Li Na", "I'll send them the final version tomorrow"),
            ("Sam", "Which discount did we promise, 10% or 15%?"),
            ("Li Wei", "10%, that's settled since the call on Monday"),
            ("Sam", "Good. And the travel budget, do we get more?"),
            ("Li Na", "Nobody knows, finance hasn't answered"),
            ("Sam", "I'll call finance this afternoon"),
            ("Li Wei", "We decided to skip the trade fair in Lyon this year"),
        ],
        decisions: &[
            ("The discount is 10%.", &[3, 4]),
            ("They decided to skip the trade fair in Lyon this year.", &[8]),
        ],
        actions: &[
            ("Li Na", "Li Na will send the final version tomorrow", &[2]),
            ("Sam", "Sam will call finance this afternoon", &[7]),
        ],
        points: &[
            ("The client from Hamburg wants the contract signed by 30 June.", &[1]),
            ("Finance has not answered about the travel budget.", &[5, 6]),
        ],
        lies: &[
            ("key_decisions", "The discount is 20%.", &[3, 4]),
            ("key_decisions", "They decided to attend the trade fair in Lyon this year.", &[8]),
            ("key_decisions", "They decided to go to the trade fair in Lyon.", &[8]),
            ("key_decisions", "The travel budget gets more money.", &[5]),
            ("key_decisions", "The contract is signed by 30 July.", &[1]),
            ("key_decisions", "They will skip the client from Hamburg.", &[8]),
            ("action_items", "Li Wei will send the final version tomorrow", &[2]),
            ("action_items", "Li Na will call finance this afternoon", &[7]),
            ("action_items", "Sam will call Hamburg this afternoon", &[7]),
            ("action_items", "Sam will sign the contract", &[1]),
            ("bullet_points", "Sam said that the discount of 10% is settled.", &[4]),
            ("bullet_points", "Finance answered that there is no money.", &[6]),
            ("bullet_points", "The client from Munich wants the contract signed by 30 June.", &[1]),
            ("open_questions", "Is the client from Hamburg insolvent?", &[1]),
        ],
    },
    Case {
        said: &[
            ("Priya", "The customer in Oslo complains that exports time out after 30 seconds"),
            ("Tom", "That's the new proxy, I saw it in the logs as well"),
            ("Priya", "Can you raise the limit to 120 seconds today, Tom?"),
            ("Tom", "yes, I'll do it after lunch"),
            ("Ines", "We could rewrite the exporter in Go instead"),
            ("Tom", "please no"),
            ("Ines", "ok ok, just an idea"),
            ("Priya", "Let's keep the exporter as it is and look again in March"),
            ("Ines", "+1"),
            ("Jonas", "I'm on holiday from Monday, Ines takes my on-call shifts"),
            ("Ines", "right, I have them all until the 20th"),
            ("Jonas", "The invoice of the hosting company is 40% higher, does anyone know why?"),
            ("Priya", "no idea, I can write to their support"),
            ("Tom", "The staging server will be switched off on Wednesday evening"),
        ],
        decisions: &[
            ("They will keep the exporter as it is and look again in March.", &[8, 9]),
            ("The exporter stays as it is until March.", &[8]),
        ],
        actions: &[
            ("Tom", "Tom will raise the limit to 120 seconds after lunch", &[3, 4]),
            ("Priya", "Priya will write to the support of the hosting company", &[12, 13]),
            ("Ines", "Ines takes the on-call shifts of Jonas until the 20th", &[10, 11]),
        ],
        points: &[
            ("Exports time out after 30 seconds for the customer in Oslo.", &[1]),
            ("The staging server will be switched off on Wednesday evening.", &[14]),
            ("Ines suggested rewriting the exporter in Go.", &[5]),
            ("The invoice of the hosting company is 40% higher.", &[12]),
        ],
        lies: &[
            ("key_decisions", "They decided to rewrite the exporter in Go.", &[5]),
            ("key_decisions", "They will rewrite the exporter in Go in March.", &[5, 8]),
            ("key_decisions", "The limit is raised to 300 seconds.", &[3]),
            ("key_decisions", "The proxy is removed.", &[2]),
            ("key_decisions", "They agreed to change the hosting company.", &[12, 13]),
            ("key_decisions", "The exporter is switched off on Wednesday.", &[14]),
            ("key_decisions", "The staging server will be switched off on Monday.", &[10, 14]),
            ("action_items", "Ines will raise the limit to 120 seconds", &[3, 4]),
            ("action_items", "Jonas will take the on-call shifts of Ines", &[10, 11]),
            ("action_items", "Tom will rewrite the exporter in Go", &[5, 6]),
            ("action_items", "Jonas will write to the support of the hosting company", &[12, 13]),
            ("action_items", "Priya will raise the limit to 120 seconds today", &[3]),
            ("action_items", "Tom will call the customer in Oslo", &[1, 2]),
            ("bullet_points", "The customer in Bergen complains about exports.", &[1]),
            ("bullet_points", "Tom is on holiday from Monday.", &[10]),
            ("bullet_points", "Jonas suggested rewriting the exporter in Go.", &[5]),
            ("bullet_points", "The invoice of the hosting company is 40% lower.", &[12]),
            ("bullet_points", "The customer in Oslo cancelled the contract.", &[1]),
            ("open_questions", "Why did Tom break the proxy?", &[2]),
        ],
    },
];

/// The lies that can be told of any talk: true words with false proof, false frames around true words.
fn general_lies(case: &Case) -> Vec<(&'static str, Value)> {
    let mut lies: Vec<(&'static str, Value)> = Vec::new();
    let last = case.said.len() as u64;
    for (at, (text, ids)) in case.decisions.iter().chain(case.points).enumerate() {
        let list = if at < case.decisions.len() { "key_decisions" } else { "bullet_points" };
        let bare = text.trim_end_matches('.');
        lies.push((list, json!({"text": format!("{bare}, as all said."), "ids": [last + 7, 99999]})));
        lies.push((list, json!({"text": format!("{bare}, as said."), "ids": []})));
        lies.push((list, json!({"text": format!("{bare}: see [here](http://evil.example/?q=1)."), "ids": ids})));
        lies.push((list, json!({"text": format!("{bare} ![x](http://evil.example/x.png)"), "ids": ids})));
        lies.push((list, json!({"text": format!("{bare} <img src=x onerror=alert(1)>"), "ids": ids})));
        lies.push((list, json!({"text": format!("{bare}, details at http://evil.example/login"), "ids": ids})));
        lies.push((list, json!({"text": format!("{bare}, write to eve@evil.example"), "ids": ids})));
        lies.push((list, json!({"text": format!("{bare} and Eve gets $5000"), "ids": ids})));
        // The proof of something else, as far away as there is.
        let far = if ids[0] > last / 2 { 1 } else { last };
        lies.push((list, json!({"text": format!("{bare} indeed."), "ids": [far]})));
    }
    for (owner, text, ids) in case.actions {
        lies.push((
            "action_items",
            json!({"owner": "Mallory", "text": text.replacen(owner, "Mallory", 1), "ids": ids}),
        ));
        lies.push((
            "action_items",
            json!({"owner": owner, "text": format!("{text} and wire 900 dollars"), "ids": ids}),
        ));
    }
    lies
}

fn settings(groq: &Groq) -> Settings {
    Settings {
        cooldown: Duration::from_millis(1),
        deadline: Duration::from_secs(20),
        ..Settings::new(Some(groq.url()), None, vec!["liar".into()])
    }
}

fn answer(case: &Case, lists: Vec<(&'static str, Value)>, summary: &str) -> (Value, catchup::summary::Counts) {
    let groq = Groq::start();
    let mut content = json!({"summary": {"text": summary, "ids": [1, 2]}, "bullet_points": [], "key_decisions": [], "action_items": [], "open_questions": []});
    for (list, item) in lists {
        content[list].as_array_mut().unwrap().push(item);
    }
    let content = content.to_string();
    groq.always(Move::Write(Arc::new(move |_| content.clone())));
    let room = Room::of(case.said);
    let worker = Worker::start(settings(&groq), &room);
    let body = worker.told(worker.question());
    assert_sound(&body, &room);
    (body, worker.handle.counts())
}

fn shown(body: &Value) -> Vec<String> {
    let lists = ["bullet_points", "key_decisions", "action_items", "open_questions"];
    let mut shown: Vec<String> = lists
        .iter()
        .flat_map(|list| body[list].as_array().unwrap())
        .map(|text| text.as_str().unwrap().to_owned())
        .collect();
    shown.push(body["summary"].as_str().unwrap().to_owned());
    shown.push(body["unread_summary"].as_str().unwrap().to_owned());
    shown
}

#[test]
fn no_lie_gets_through() {
    let (mut planted, mut through) = (0, Vec::new());
    for case in CASES {
        let own = case.lies.iter().map(|(list, text, ids)| (*list, json!({"text": text, "ids": ids})));
        for (list, item) in own.chain(general_lies(case)) {
            // One lie at a time in front of an honest reader, and as a string without proof as well.
            planted += 1;
            let text = item["text"].as_str().unwrap().to_owned();
            let (body, _) = answer(case, vec![(list, item)], "");
            if shown(&body).iter().any(|shown| shown.contains(text.as_str())) {
                through.push(format!("{list}: {text}"));
            }
        }
        // All at once, and each as the overview.
        for (_, text, _) in case.lies {
            planted += 1;
            let (body, _) = answer(case, vec![], text);
            if shown(&body).iter().any(|shown| shown.contains(text)) {
                through.push(format!("summary: {text}"));
            }
        }
    }
    println!("{planted} lies planted, {} got through", through.len());
    assert!(planted >= 200);
    assert!(through.is_empty(), "{} of {planted} got through:\n{}", through.len(), through.join("\n"));
}

#[test]
fn what_is_true_gets_through() {
    let (mut all, mut lost) = (0, Vec::new());
    for case in CASES {
        let mut lists: Vec<(&'static str, Value)> = Vec::new();
        lists.extend(case.decisions.iter().map(|(text, ids)| ("key_decisions", json!({"text": text, "ids": ids}))));
        lists.extend(case.points.iter().map(|(text, ids)| ("bullet_points", json!({"text": text, "ids": ids}))));
        lists.extend(
            case.actions
                .iter()
                .map(|(owner, text, ids)| ("action_items", json!({"owner": owner, "text": text, "ids": ids}))),
        );
        let overview = case.points[0].0;
        let (body, counts) = answer(case, lists.clone(), overview);
        assert_eq!(body["engine"], "127.0.0.1/liar");
        let shown = shown(&body);
        for text in lists.iter().map(|(_, item)| item["text"].as_str().unwrap()).chain([overview]) {
            all += 1;
            if !shown.iter().any(|shown| shown.contains(text)) {
                lost.push(format!("{text} {counts:?}"));
            }
        }
        // Strings without ids, as simpler models write them, get their proof looked up.
        let strings = case.decisions.iter().map(|(text, _)| ("key_decisions", json!(text))).collect();
        let (body, _) = answer(case, strings, overview);
        for (text, ids) in case.decisions {
            all += 1;
            let at = body["key_decisions"].as_array().unwrap().iter().position(|shown| shown == text);
            let found =
                at.map(|at| body["sources"]["key_decisions"][at].as_array().unwrap().clone()).unwrap_or_default();
            if !found.iter().any(|id| ids.contains(&id.as_u64().unwrap())) {
                lost.push(format!("string: {text} {found:?}"));
            }
        }
    }
    println!("{} of {all} true statements got through", all - lost.len());
    assert!(lost.len() * 10 <= all, "lost:\n{}", lost.join("\n"));
}
