//! Puts the answer together: subjects, sentences, lists. Decides the wording of the whole, not what matters.

use super::actions::Action;
use super::chat::{Chat, Unit, is_machine};
use super::closing;
use super::decisions::{Decision, Opening};
use super::lexicon::{among, class};
use super::lists;
use super::rewrite;
use super::weigh::{self, Weights};
use super::{Item, Judged};

const NAMES_MAX: usize = 5;
const SUMMARY_WORDS_MAX: usize = 22;
const BULLET_WORDS_MAX: usize = 26;
const BULLET_WORDS_SHORT: usize = 16;
/// Decisions and tasks that the summary itself tells.
const SUMMARY_DECISIONS: usize = 2;
const SUMMARY_ACTIONS: usize = 4;
const UNREAD_ITEMS: usize = 4;
/// From how many messages on a conversation gets at least five points.
const LONG_LINES: usize = 12;
const CLAUSE_WORDS_MAX: usize = 24;

pub const NOTHING: &str = "No messages yet.";
pub const CAUGHT_UP: &str = "You're all caught up!";

/// Gathers sentences and what they rest on.
#[derive(Default)]
struct Prose {
    text: String,
    lines: Vec<usize>,
}

impl Prose {
    fn say(&mut self, sentence: &str, lines: impl IntoIterator<Item = usize>) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        // Sentences must be told apart also where one was cut.
        match sentence.strip_suffix('…') {
            Some(cut) => self.text.push_str(&format!("{} […].", cut.trim_end())),
            None => self.text.push_str(sentence),
        }
        if !self.text.ends_with(['.', '?', '!']) {
            self.text.push('.');
        }
        self.lines.extend(lines);
    }

    fn item(self, chat: &Chat<'_>) -> Item {
        item(chat, self.text, self.lines)
    }
}

pub fn item(chat: &Chat<'_>, text: String, lines: impl IntoIterator<Item = usize>) -> Item {
    let mut ids: Vec<u64> = lines.into_iter().map(|line| chat.id(line)).collect();
    ids.sort_unstable();
    ids.dedup();
    Item { text, ids }
}

/// Two or three sentences on the whole conversation.
pub fn summary(chat: &Chat<'_>, judged: &Judged) -> Item {
    if chat.lines.is_empty() {
        return Item { text: NOTHING.to_string(), ids: Vec::new() };
    }
    let mut prose = Prose::default();
    let (decisions, actions) = (&judged.decisions, &judged.actions);
    if !chat.is_english {
        for index in weigh::select(chat, &judged.weights, 3, |_| true) {
            prose.say(&rewrite::quote(chat, &chat.units[index], SUMMARY_WORDS_MAX), [chat.units[index].line]);
        }
        return fallback(chat, prose).item(chat);
    }
    let opener = topic(chat, &judged.weights);
    if let Some((sentence, lines)) = &opener {
        prose.say(sentence, lines.iter().copied());
    }
    for index in leading(chat, judged) {
        prose.say(&rewrite::tell(chat, &chat.units[index], SUMMARY_WORDS_MAX), [chat.units[index].line]);
    }
    tell_decisions(&mut prose, decisions.iter().take(SUMMARY_DECISIONS), &|_| true);
    tell_actions(&mut prose, weightiest(actions, SUMMARY_ACTIONS));
    fallback(chat, prose).item(chat)
}

/// The sentences that stand in the summary for decisions or tasks that there are none of.
fn leading(chat: &Chat<'_>, judged: &Judged) -> Vec<usize> {
    let (decisions, actions) = (&judged.decisions, &judged.actions);
    let told = |line: usize| {
        judged.withdrawn.contains(&line)
            || decisions.iter().any(|decision| decision.line == line)
            || actions.iter().any(|action| action.lines.contains(&line))
    };
    let room = usize::from(decisions.is_empty()) + usize::from(actions.is_empty());
    weigh::select(chat, &judged.weights, room, |index| {
        let unit = &chat.units[index];
        !told(unit.line) && !unit.is_question && !chat.is_machine(unit.line)
    })
}

/// The tasks that are surest, in their order.
fn weightiest(actions: &[Action], count: usize) -> impl Iterator<Item = &Action> {
    let mut chosen: Vec<&Action> =
        actions.iter().filter(|action| action.owner.is_some() || action.score > 5.0).collect();
    // "She will add it" says nothing here.
    const UNCLEAR: f32 = 2.0;
    let weight = |action: &Action| action.score - if action.is_whole() { 0.0 } else { UNCLEAR };
    chosen.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then(a.line.cmp(&b.line)));
    chosen.truncate(count);
    chosen.sort_by_key(|action| action.line);
    chosen.into_iter()
}

/// Greetings, links and single words are told as they are.
fn fallback(chat: &Chat<'_>, mut prose: Prose) -> Prose {
    if !prose.text.is_empty() {
        return prose;
    }
    let told: Vec<&Unit> = chat.line_units.iter().filter_map(|&(from, to)| chat.units[from..to].first()).collect();
    let shown: Vec<&&Unit> = told.iter().take(2).collect();
    for unit in &shown {
        prose.say(&rewrite::quote(chat, unit, SUMMARY_WORDS_MAX), [unit.line]);
    }
    if shown.is_empty() {
        let name = chat.name(chat.speaker[0]);
        prose.say(&rewrite::finish(&format!("{name} wrote without words")), [0]);
    }
    prose
}

fn tell_decisions<'d>(
    prose: &mut Prose,
    decisions: impl Iterator<Item = &'d Decision>,
    may_tell: &dyn Fn(usize) -> bool,
) {
    let (mut clauses, mut lines) = (Vec::new(), Vec::new());
    for decision in decisions {
        let text = shorten(&decision.told(may_tell), CLAUSE_WORDS_MAX);
        let is_first = clauses.is_empty();
        clauses.push(match decision.opening {
            Opening::Verb if is_first => format!(" to {}", lower_clause(&text)),
            Opening::Name if is_first => format!(": {text}"),
            Opening::Small if is_first => format!(": {}", lower_clause(&text)),
            Opening::Verb => format!("to {}", lower_clause(&text)),
            Opening::Small => lower_clause(&text),
            Opening::Name => text,
        });
        lines.extend(&decision.lines);
    }
    if !clauses.is_empty() {
        prose.say(&format!("They decided{}", clauses.join("; ")), lines);
    }
}

fn tell_actions<'d>(prose: &mut Prose, actions: impl Iterator<Item = &'d Action>) {
    let (mut clauses, mut lines) = (Vec::new(), Vec::new());
    for action in actions {
        clauses.push(shorten(&action.text, CLAUSE_WORDS_MAX));
        lines.extend(&action.lines);
    }
    if !clauses.is_empty() {
        prose.say(&clauses.join("; "), lines);
    }
}

/// Cuts at a word, without the signs that would end a sentence inside of one.
fn shorten(text: &str, words_max: usize) -> String {
    // The first sentence stands for the rest.
    let is_end = |end: &usize| *end > 12 && !text[..*end].ends_with(|sign: char| sign.is_uppercase());
    let text = text.match_indices(". ").map(|(end, _)| end).find(is_end).map_or(text, |end| &text[..end]);
    let words: Vec<&str> = text.split(' ').collect();
    let mut out = String::new();
    for (at, word) in words.iter().take(words_max).enumerate() {
        if at > 0 {
            out.push(' ');
        }
        let is_end = at + 1 == words.len().min(words_max);
        // "Lena K." keeps the point of her initial.
        let is_initial = word.len() == 2 && word.ends_with('.');
        out.push_str(if is_end || is_initial { word } else { word.trim_end_matches(['.', '!', '?']) });
    }
    if words.len() > words_max {
        out.push('…');
    }
    out
}

fn lower_clause(text: &str) -> String {
    let mut letters = text.chars();
    let second = text.chars().nth(1);
    match letters.next() {
        Some(first) if second.is_some_and(|second| second.is_lowercase() || second == ' ') => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_string(),
    }
}

/// "A, B and C discussed X and Y.": the phrases that come back most, said by whoever brought them up.
fn topic(chat: &Chat<'_>, weights: &Weights) -> Option<(String, Vec<usize>)> {
    let phrases = phrases(chat, weights);
    let Some((first, line)) = phrases.first() else {
        let has_talk = weights.scores.iter().any(|&score| score >= 0.0) && chat.people.len() > 1;
        return has_talk.then(|| (rewrite::finish(&format!("{} chatted", names(chat, chat.speaker[0]))), vec![0]));
    };
    let mut lines = vec![*line];
    let mut subject = first.clone();
    if let Some((second, line)) = phrases.get(1) {
        subject = format!("{subject} and {second}");
        lines.push(*line);
    }
    let who = names(chat, chat.speaker[*lines.last().expect("one at least")]);
    let verb = if chat.people.len() == 1 { "wrote about" } else { "discussed" };
    Some((rewrite::finish(&format!("{who} {verb} {subject}")), lines))
}

/// Everybody, the one first who brought the subject up; of a crowd nobody, for all are among the participants.
fn names(chat: &Chat<'_>, first: usize) -> String {
    let machines = chat.people.iter().filter(|name| is_machine(name)).count();
    if chat.people.len() - machines > NAMES_MAX {
        return "They".to_string();
    }
    let is_told = |person: &usize| *person != first && !is_machine(chat.name(*person));
    let first = Some(first).filter(|&first| machines == chat.people.len() || !is_machine(chat.name(first)));
    let order = first.into_iter().chain((0..chat.people.len()).filter(is_told));
    let mut names: Vec<&str> = order.map(|person| chat.name(person)).collect();
    let last = names.pop().expect("a conversation with lines has a speaker");
    if names.is_empty() { last.to_string() } else { format!("{} and {last}", names.join(", ")) }
}

/// Words for anything: alone they are no subject.
const ANYTHING: &str = "time times people person thing things way ways lot lots bit bits part parts place places work works kind sort end ends \
start side line number numbers name names idea ideas question questions answer answers problem problems issue issues point points plan plans case cases \
fact reason help news year years word words guy man woman others rest option options version stuff everything list order kid kids way home house life world \
hand head eye step steps level thought thoughts info detail details example chance choice change changes new old big small same sorry best \
day days week weeks month months quarter next morning afternoon evening night";

/// Runs of one to three content words, heaviest first: at most two.
fn phrases(chat: &Chat<'_>, weights: &Weights) -> Vec<(String, usize)> {
    let mut said = vec![(0u32, 0u64); chat.lexicon.stem_count()];
    for (index, unit) in chat.units.iter().enumerate() {
        if weights.scores[index] < 0.0 || chat.is_bait[unit.line] {
            continue;
        }
        for stem in weigh::subject(chat, index) {
            let entry = &mut said[stem as usize];
            entry.0 += 1;
            entry.1 |= 1 << (chat.speaker[unit.line] % 64);
        }
    }
    let weight = |stem: u32| {
        let (units, speakers) = said[stem as usize];
        if units < 2 { 0.2 } else { (units as f32).sqrt() * (speakers.count_ones() as f32).sqrt() }
    };
    let mut best: Vec<Phrase> = Vec::new();
    for (index, unit) in chat.units.iter().enumerate() {
        if weights.scores[index] < 0.0 || chat.is_bait[unit.line] || chat.is_machine(unit.line) {
            continue;
        }
        for (from, to) in runs(chat, unit) {
            if (from..to).all(|at| among(chat.text_of(at), ANYTHING)) {
                continue;
            }
            let stems: Vec<u32> = (from..to).map(|at| chat.lexicon.word(chat.tokens[at].word).stem).collect();
            let strongest = stems.iter().map(|&stem| weight(stem)).fold(0.0, f32::max);
            let value = strongest
                + 0.5 * stems.iter().map(|&stem| weight(stem)).sum::<f32>() / (stems.len() as f32).sqrt()
                + 0.3 * weights.scores[index];
            best.push(Phrase { value, from, to, unit: index, stems });
            if best.len() > 64 {
                best.sort_by(Phrase::heavier);
                best.truncate(32);
            }
        }
    }
    best.sort_by(Phrase::heavier);
    // What nobody came back to is no subject of the whole.
    let led = |phrase: &Phrase| best.iter().any(|other| other.stems == phrase.stems && other.is_led(chat));
    let is_subject = |phrase: &&Phrase| {
        let recurs = phrase.stems.iter().any(|&stem| weight(stem) > 0.5);
        // A word alone is one if people speak of it as a thing, by a name of its own, or again and again.
        let is_lone = phrase.stems.len() == 1
            && !chat.tokens[phrase.from].is_capital
            && said[phrase.stems[0] as usize].0 < OFTEN
            && !led(phrase);
        recurs && !is_lone
    };
    let Some(first) = best.iter().find(is_subject) else {
        return Vec::new();
    };
    let told = |phrase: &Phrase| {
        let text = phrase.text(chat);
        (if led(phrase) { format!("the {text}") } else { text.to_string() }, chat.units[phrase.unit].line)
    };
    let is_other = |phrase: &&Phrase| phrase.stems.iter().all(|stem| !first.stems.contains(stem));
    // What is said of both stands together somewhere: there it can be looked up.
    let line = |phrase: &Phrase| chat.units[phrase.unit].line;
    let pair = best.iter().filter(is_subject).filter(is_other).find_map(|second| {
        let places = best.iter().filter(|other| other.stems == second.stems);
        places
            .flat_map(|there| best.iter().filter(|here| here.stems == first.stems).map(move |here| (here, there)))
            .find(|(here, there)| line(here).abs_diff(line(there)) <= 1)
    });
    if let Some((here, there)) = pair {
        return vec![told(here), told(there)];
    }
    let second = companion(chat, weights, &weight, &first.stems);
    [Some(told(first)), second].into_iter().flatten().collect()
}

/// So often somebody must come back to a single word for it to be a subject.
const OFTEN: u32 = 3;

/// Words that may be a subject of the conversation.
struct Phrase {
    value: f32,
    /// Its tokens.
    from: usize,
    to: usize,
    unit: usize,
    stems: Vec<u32>,
}

impl Phrase {
    fn heavier(&self, other: &Phrase) -> std::cmp::Ordering {
        other.value.total_cmp(&self.value).then(self.from.cmp(&other.from))
    }

    /// It stands behind an article or its like.
    fn is_led(&self, chat: &Chat<'_>) -> bool {
        self.from > chat.units[self.unit].from && among(chat.text_of(self.from - 1), "the our my your his her their")
    }

    fn text<'a>(&self, chat: &Chat<'a>) -> &'a str {
        let text = chat.lines[chat.units[self.unit].line].text;
        &text[chat.tokens[self.from].start as usize..chat.tokens[self.to - 1].end as usize]
    }
}

/// The heaviest other phrase of a sentence that says all of `stems`: one message vouches for both.
fn companion(
    chat: &Chat<'_>,
    weights: &Weights,
    weight: &dyn Fn(u32) -> f32,
    stems: &[u32],
) -> Option<(String, usize)> {
    let mut best: Option<(f32, String, usize)> = None;
    for (index, unit) in chat.units.iter().enumerate() {
        let content = chat.content_of(unit);
        let is_mute = chat.is_bait[unit.line] || chat.is_machine(unit.line);
        if weights.scores[index] < 0.0 || is_mute || !stems.iter().all(|stem| content.contains(stem)) {
            continue;
        }
        for (from, to) in runs(chat, unit) {
            let others: Vec<u32> = (from..to).map(|at| chat.lexicon.word(chat.tokens[at].word).stem).collect();
            let value = others.iter().map(|&stem| weight(stem)).sum::<f32>() / (others.len() as f32).sqrt()
                + 0.5 * weights.scores[index];
            let phrase = Phrase { value, from, to, unit: index, stems: others };
            let is_led = phrase.is_led(chat);
            let is_lone =
                phrase.stems.len() == 1 && !(weight(phrase.stems[0]) > 0.5 && (is_led || chat.tokens[from].is_capital));
            let is_empty = (from..to).all(|at| among(chat.text_of(at), ANYTHING));
            let is_new = phrase.stems.iter().all(|stem| !stems.contains(stem));
            if is_new && !is_lone && !is_empty && best.as_ref().is_none_or(|known| value > known.0) {
                let text = phrase.text(chat);
                best = Some((value, if is_led { format!("the {text}") } else { text.to_string() }, unit.line));
            }
        }
    }
    best.map(|(_, text, line)| (text, line))
}

/// After these a word that can be a verb is none.
const NOUN_NEXT: &str =
    "the a an this that these our my your his her its their no any some each every new of for with in on about";

/// What things do by themselves.
const HAPPENS: &str = "ends happens fails expires crashes dies breaks works comes goes arrives";

/// The runs of content words of a unit that only spaces hold together, three words at most.
pub fn runs(chat: &Chat<'_>, unit: &Unit) -> Vec<(usize, usize)> {
    let is_part = |at: usize| {
        let token = chat.tokens[at];
        chat.lexicon.is_content(token.word)
            && !chat
                .lexicon
                .is(token.word, class::NAME | class::GIVEN | class::ACK | class::FILLER | class::TELLING | class::PAST)
            && !chat.lexicon.is(token.word, class::FOREIGN)
            && !token.is_quoted
    };
    let is_subject =
        |at: usize| !(chat.is(at, class::TIME | class::NUMBER | class::VERB) || chat.text_of(at).ends_with("ing"));
    let is_verb = |word: &str| {
        let base = word.strip_suffix('s').filter(|base| !base.ends_with('s'));
        base.is_some_and(|base| lists::BASE_VERB.split(' ').any(|verb| verb == base)) || among(word, HAPPENS)
    };
    let mut runs = Vec::new();
    let mut from = unit.from;
    while from < unit.to {
        if !is_part(from) || chat.is(from, class::VERB) && from + 1 < unit.to && !is_part(from + 1) {
            from += 1;
            continue;
        }
        // "Ask payroll" is about payroll, "the release notes" are about just these.
        let is_noun = from > unit.from && among(chat.text_of(from - 1), NOUN_NEXT);
        if chat.is(from, class::VERB | class::IDLE) && !is_noun {
            from += 1;
            continue;
        }
        // "Who calls legal" is not about calls.
        let is_led_by_doer = from > unit.from
            && (among(chat.text_of(from - 1), "who he she it that this nobody somebody everybody which")
                || chat.is(from - 1, class::NAME));
        if is_led_by_doer && is_verb(chat.text_of(from)) {
            from += 1;
            continue;
        }
        if chat.text_of(from).ends_with("ing") && from + 1 < unit.to && is_part(from + 1) {
            from += 1;
        }
        let mut to = from + 1;
        while to < unit.to
            && to - from < 3
            && is_part(to)
            && !chat.text_of(to).ends_with("ing")
            && matches!(chat.gap_before(unit.line, to, unit.from), " " | "-" | "/")
        {
            to += 1;
        }
        let next = to;
        // "Wifi holds" is wifi, and "legal tomorrow" legal: neither a verb nor a time closes a phrase.
        while to > from
            && (is_verb(chat.text_of(to - 1)) || among(chat.text_of(to - 1), "today tomorrow tonight yesterday"))
        {
            to -= 1;
        }
        if (from..to).any(is_subject) {
            runs.push((from, to));
        }
        from = next;
    }
    runs
}

/// Five to ten points on a long conversation, fewer on a short one.
pub fn bullets(chat: &Chat<'_>, judged: &Judged) -> Vec<Item> {
    let lines = chat.lines.len();
    let wanted = ((lines as f32).sqrt().round() as usize).clamp(5, 10);
    let count = if lines >= LONG_LINES { wanted } else { wanted.min(lines.div_ceil(2)) };
    let words_max = if lines > 60 { BULLET_WORDS_MAX } else { BULLET_WORDS_SHORT };
    let mut chosen = {
        // Decisions and tasks have lists of their own; the points tell what led to them.
        let told: Vec<usize> = judged
            .decisions
            .iter()
            .flat_map(|decision| &decision.lines)
            .chain(judged.actions.iter().flat_map(|action| action.told_lines(chat)))
            .copied()
            .collect();
        // A long conversation has enough to say without saying it twice.
        let leading = if lines >= 4 * LONG_LINES && chat.is_english { leading(chat, judged) } else { Vec::new() };
        weigh::select(chat, &judged.weights, count, |index| {
            !closing::is_mark(chat, &chat.units[index])
                && !told.contains(&chat.units[index].line)
                && !leading.contains(&index)
        })
    };
    if lines >= LONG_LINES && chosen.len() < 5 {
        // Little was said: greetings and nods fill the list, each line once.
        for &(from, to) in &chat.line_units {
            if chosen.len() < 5 && from < to && !chosen.iter().any(|&index| (from..to).contains(&index)) {
                chosen.push(from);
            }
        }
        chosen.sort_unstable();
    }
    chosen
        .into_iter()
        .map(|index| item(chat, rewrite::tell(chat, &chat.units[index], words_max), [chat.units[index].line]))
        .collect()
}

/// What may be told to a reader of decisions and tasks; evidence that was seen before is no source for what was missed.
struct News {
    decisions: Vec<Decision>,
    actions: Vec<Action>,
}

impl News {
    fn new(judged: &Judged, may_tell: &dyn Fn(usize) -> bool) -> News {
        let keep = |lines: &mut Vec<usize>| lines.retain(|&line| may_tell(line));
        let mut decisions: Vec<Decision> =
            judged.decisions.iter().filter(|decision| may_tell(decision.line)).cloned().collect();
        let mut actions: Vec<Action> =
            judged.actions.iter().filter(|action| may_tell(action.line) && action.owner.is_some()).cloned().collect();
        decisions.iter_mut().for_each(|decision| keep(&mut decision.lines));
        actions.iter_mut().for_each(|action| keep(&mut action.lines));
        News { decisions, actions }
    }

    /// Tells, and takes out, what names the reader: decisions that do, their tasks; and the last question to them.
    fn tell_own(&mut self, prose: &mut Prose, chat: &Chat<'_>, reader: usize, may_tell: &dyn Fn(usize) -> bool) {
        let is_named = |line: usize| {
            let mut tokens = chat.units_of(line).iter().flat_map(|unit| (unit.from..unit.to).map(|at| (at, unit.to)));
            tokens.any(|(at, to)| chat.mention_at(at, to).is_some_and(|(person, _)| person == reader))
        };
        let decisions: Vec<Decision> = self.decisions.extract_if(.., |decision| is_named(decision.line)).collect();
        let actions: Vec<Action> = self.actions.extract_if(.., |action| action.owner == Some(reader)).collect();
        tell_decisions(prose, decisions.iter().skip(decisions.len().saturating_sub(UNREAD_ITEMS)), may_tell);
        tell_actions(prose, actions.iter().take(UNREAD_ITEMS));
        let is_told = |line: usize| {
            actions.iter().any(|action| action.lines.contains(&line))
                || decisions.iter().any(|decision| decision.lines.contains(&line))
        };
        // Of two everything is said to the other one.
        let is_one_of_many = chat.people.len() > 2 || reader >= chat.people.len();
        let is_asked = |unit: &&Unit| {
            unit.is_question && is_one_of_many && may_tell(unit.line) && chat.addressee(unit.line) == Some(reader)
        };
        if let Some(unit) = chat.units.iter().filter(is_asked).rfind(|unit| !is_told(unit.line)) {
            prose.say(&rewrite::tell(chat, unit, SUMMARY_WORDS_MAX), [unit.line]);
        }
    }
}

/// Only what names the reader, from the lines that `may_tell` allows: empty if nothing does.
pub fn named(chat: &Chat<'_>, judged: &Judged, reader: usize, may_tell: impl Fn(usize) -> bool) -> Item {
    let mut prose = Prose::default();
    News::new(judged, &may_tell).tell_own(&mut prose, chat, reader, &may_tell);
    prose.item(chat)
}

/// What a reader missed, from the lines that `may_tell` allows; what names the reader comes first.
pub fn unread(chat: &Chat<'_>, judged: &Judged, reader: Option<usize>, may_tell: impl Fn(usize) -> bool) -> Item {
    let mut prose = Prose::default();
    let mut news = News::new(judged, &may_tell);
    let count = news.decisions.len() + news.actions.len();
    if let Some(reader) = reader {
        news.tell_own(&mut prose, chat, reader, &may_tell);
    }
    let News { decisions, actions } = news;
    let late = decisions.len().saturating_sub(UNREAD_ITEMS);
    tell_decisions(&mut prose, decisions.iter().skip(late), &may_tell);
    tell_actions(&mut prose, actions.iter().take(UNREAD_ITEMS));
    let room = 2usize.saturating_sub(count);
    let told = prose.lines.clone();
    for index in weigh::select(chat, &judged.weights, room, |index| {
        may_tell(chat.units[index].line)
            && !judged.withdrawn.contains(&chat.units[index].line)
            && !told.contains(&chat.units[index].line)
    }) {
        prose.say(&rewrite::tell(chat, &chat.units[index], SUMMARY_WORDS_MAX), [chat.units[index].line]);
    }
    if prose.text.is_empty() {
        let first = (0..chat.lines.len()).find(|&line| may_tell(line));
        let Some(line) = first else {
            return Item { text: CAUGHT_UP.to_string(), ids: Vec::new() };
        };
        match chat.units_of(line).first() {
            Some(unit) => prose.say(&rewrite::quote(chat, unit, SUMMARY_WORDS_MAX), [line]),
            None => {
                prose.say(&rewrite::finish(&format!("{} wrote without words", chat.name(chat.speaker[line]))), [line])
            }
        }
    }
    prose.item(chat)
}
