//! Small English word lists that tell a promise from a request, a decision from a proposal, a yes from a no.
//!
//! They only ever make the check stricter for English; a text in another language passes them.

use std::collections::HashSet;

use crate::extract::content_words;

/// A text with its words between single spaces, and a space at both ends: a phrase is found by `contains`.
fn spaced(text: &str) -> String {
    let mut out = String::from(" ");
    for word in text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’' | '+' | '👍'))) {
        if !word.is_empty() {
            out.push_str(&word.replace('’', "'"));
            out.push(' ');
        }
    }
    out
}

/// Whether one of the phrases, with `|` between them, stands in a text as whole words.
fn has(text: &str, phrases: &str) -> bool {
    let text = spaced(text);
    phrases.split('|').any(|phrase| {
        text.match_indices(phrase)
            .any(|(at, _)| text[..at].ends_with(' ') && text[at + phrase.len()..].starts_with(' '))
    })
}

/// Whether the lists below can say anything about a text.
pub fn is_english(text: &str) -> bool {
    const COMMON: &str = "the|to|we|is|it|i|and|a|of|for|you|on|in|that|this|will|i'll|can|be|are|ok|okay|yes|no|not|do|let's|\
         with|please|sure|agreed|my|me|at|by|so|have|has|need|was|should|what|when|who|how|but|our|your|it's|\
         i'm|we'll|go|deal|done|+1|fine|good|great|then|from|an|as|if";
    has(text, COMMON)
}

/// "I'll", "let me", "on my list".
pub fn is_first_person(text: &str) -> bool {
    has(text, "i|i'll|i'm|i've|i'd|me|my|mine|myself|we|we'll|let me|ill|im|will do|todo")
}

/// A yes to a request.
pub fn is_acceptance(text: &str) -> bool {
    has(
        text,
        "on it|will do|sure|ok|okay|yes|yep|yeah|of course|i can|i'll|i will|fine|done|no problem|happy to|\
         gladly|got it|consider it done|can do|absolutely|i'm on it|mine|i got this|count me in|will take|👍|\
         +1|deal|works|yup",
    )
}

/// A yes to a proposal.
pub fn is_agreement(text: &str) -> bool {
    is_acceptance(text)
        || has(
            text,
            "agreed|agree|sounds good|good idea|great|perfect|works for me|lgtm|do it|let's do|exactly|i'm in|\
         same here|love it|makes sense|no objections|no objection|settled|decided|approved|good|go ahead|\
         right|true|it is|cool|nice|let's",
        )
}

/// Words by which people settle something.
pub fn is_decision(text: &str) -> bool {
    has(
        text,
        "agreed|decided|decide|decision|decisions|settled|resolved|resolution|approved|final|finally|let's|\
         lets|we'll|we will|we are|we're|going with|go with|went with|deal|done|it is|stick with|\
         sticking with|we use|we keep|moving to|move to|moves to|postponed|postpone|cancelled|canceled|\
         cancel|confirmed|confirm|chosen|chose|picked|voted|consensus|no objections|scrap|drop|ship it|then|\
         so|keep|stays|becomes|accepted|rejected|will|ok|okay|skip|delayed|delay|closed|merged|set to|locked|\
         from now on|not now|shall",
    )
}

/// Words by which people put something forward.
pub fn is_proposal(text: &str) -> bool {
    has(
        text,
        "should|could|propose|proposal|proposed|suggest|suggestion|what about|how about|maybe|let's|i think|\
         i'd|i vote|prefer|motion|would|can we|might|i say|better|recommend|why not|i'd rather|i want|\
         we need|plan",
    )
}

/// Words by which people take something on.
pub fn is_promise(text: &str) -> bool {
    has(
        text,
        "i'll|i will|i'm going to|i can|let me|i am going to|i'm|i need to|i have to|i should|i must|we'll|\
         we will|ill|will|i plan|my job|my task|todo|i promise|i've got|i want to|i'd|we need to|we have to|\
         we must|we should|let's|action|by|due|going to|assigned|owner|i take|i do",
    )
}

/// Words by which people ask for something to be done.
pub fn is_request(text: &str) -> bool {
    has(
        text,
        "can you|could you|would you|will you|please|pls|need you|needs to|need to|has to|have to|must|\
         should|who can|who will|someone|somebody|remind|make sure|don't forget|you'll|to do|can|could|\
         take care|your turn|want you|ask|to",
    )
}

/// "… said", "… asks": the one before it must be the one who wrote.
pub fn is_saying(text: &str) -> bool {
    let first = spaced(text);
    let first = first.split_whitespace().next().unwrap_or_default();
    const VERBS: &str = "said|says|wrote|writes|quoted|quotes|cited|cites|posted|posts|asked|asks|suggested|suggests|proposed|proposes|reported|reports|promised|promises|thinks|\
         thought|wants|wanted|mentioned|mentions|confirmed|confirms|agreed|agrees|announced|announces|told|\
         tells|offered|offers|explained|explains|noted|notes|recommended|recommends|refused|refuses|\
         disagreed|disagrees|warned|warns|complained|complains|admitted|admits|claimed|claims|decided|\
         decides|objected|objects";
    VERBS.split('|').any(|verb| verb == first)
}

/// A plain "not" in a statement.
pub fn is_negated(text: &str) -> bool {
    let text = spaced(text);
    text.contains("n't ")
        || [" not ", " never ", " cannot ", " no longer ", " nobody "].iter().any(|word| text.contains(word))
}

/// Anything that says no, also in a roundabout way.
pub fn is_negative(text: &str) -> bool {
    is_negated(text)
        || has(
            text,
            "no|none|without|against|stop|stopped|cancel|cancelled|canceled|reject|rejected|drop|dropped|scrap|\
         scrapped|skip|skipped|instead|nothing|neither|nor|nope|nah|fail|failed|fails|unable|dont|cant|wont|\
         isnt|postpone|postponed|avoid|remove|removed|missing|down|broken|refused|refuse|off|lacks|lack|\
         forget|un|avoided|rather|out|unless|hold|delay|wait",
        )
}

/// Whether a message denies one of these words: "we should not deploy".
pub fn denies(text: &str, words: &HashSet<String>) -> bool {
    if text.trim_end().ends_with('?') {
        return false;
    }
    let text = spaced(text);
    let said: Vec<&str> = text.split_whitespace().collect();
    said.iter().enumerate().any(|(at, word)| {
        let is_no = word.ends_with("n't") || matches!(*word, "not" | "never" | "cannot" | "dont" | "wont" | "cant");
        let next = said.get(at + 1).copied().unwrap_or_default();
        let is_phrase = has(next, "forget|worry|only|just|wait|yet|mind|sure|bad|know|think|see|we|you|hesitate");
        is_no
            && !is_phrase
            && said[at + 1..].iter().take(3).any(|near| content_words(near).iter().any(|word| words.contains(word)))
    })
}

/// Whether a number stands in a text as a word.
pub fn is_spelled(run: &str, text: &str) -> bool {
    const WORDS: &str = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|\
         sixteen|seventeen|eighteen|nineteen|twenty";
    run.parse::<usize>().ok().and_then(|number| WORDS.split('|').nth(number)).is_some_and(|word| has(text, word))
}

/// Words of whoever reports, that prove nothing and need no proof. Compared by their beginnings: the words are stems.
pub fn is_report(word: &str) -> bool {
    const STEMS: &str = "discuss|decid|decis|agre|team|group|chat|convers|particip|mention|suggest|propos|propose|report|\
         confirm|ask|said|say|tell|told|talk|plan|member|everyon|peopl|request|promis|offer|respons|assign|\
         conclud|conclus|settl|resolv|question|answer|topic|includ|regard|relat|explain|messag|note|announc|\
         consid|address|task|action|item|issu|need|want|use|go|make|take|get|also|about|whether|their|they|\
         he|she|him|her|his|was|were|wa|would|could|should|will|has|have|had|been|being|after|befor|while|\
         due|then|there|other|both|share|express|state|inform|who|what|when|which|how|final|finaliz|choos|\
         chose|chosen|select|pick|adopt|instead|proceed|focus|various|several|cover|key";
    STEMS
        .split('|')
        .any(|stem| stem == word || (stem.len() >= 5 && word.starts_with(stem) && word.len() <= stem.len() + 3))
}

/// What follows a name in a sentence that gives its owner something to do.
pub fn is_undertaking(rest: &str) -> bool {
    let rest = spaced(rest);
    "will|is going to|has to|must|needs to|promised to|agreed to|offered to|volunteered to|plans to|to|shall"
        .split('|')
        .any(|verb| rest[1..].starts_with(verb) && rest[1 + verb.len()..].starts_with(' '))
}

/// A sentence that tells of something settled.
pub fn is_settlement(text: &str) -> bool {
    has(text, "decided|agreed|chose|chosen|settled|approved|resolved|will|concluded|voted|confirmed")
}

/// Days and months whose names are nothing else.
pub fn is_day(word: &str) -> bool {
    const DAYS: &str = "monday|tuesday|wednesday|thursday|friday|saturday|sunday|today|tomorrow|tonight|yesterday|january|\
         february|april|june|july|august|september|october|november|december";
    DAYS.split('|').any(|day| day == word)
}

/// Names that are words as well: such a word alone names nobody.
pub fn is_word_name(name: &str) -> bool {
    const NAMES: &str = "will|may|mark|bill|art|grace|hope|faith|joy|rose|sue|pat|jack|dawn|drew|chip|rich|frank|ray|june|april|\
         august|summer|penny|ruby|rob|nick|victor|max|chase|hunter|page|guy|sandy|don|dale|grant|lance|miles|peg|\
         wade|olive|pearl|reed|sky|sunny|he|it|bot|admin|me|you|test|user";
    NAMES.split('|').any(|other| other == name)
}
