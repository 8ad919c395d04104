//! The phrases and marks that people close a question with: tables, and how formal a conversation is.
//! What they weigh together with the messages around them is judged in `decisions.rs`.

use super::chat::{Chat, Unit};
use super::cues::{Cue, Cues};
use super::lexicon::Lexicon;

const CUES: &[Cue] = &[
    (
        "we|we've|team|group|everyone|everybody|they|all have? all? decided|agreed|settled|chosen|approved|concluded|voted",
        3.5,
    ),
    ("we're|we all? agreed|settled|decided", 3.5),
    ("decided|agreed to|that|on|against", 3.2),
    ("let's just? go|stick|stay|settle with|on|for|to", 3.3),
    (
        "let's just? use|keep|ship|do|postpone|skip|drop|move|push|switch|make|set|have|pick|choose|cut|revert|freeze|delay|leave|cancel|merge|target|aim|require|book|put|add|remove|call|default|limit|adopt|defer|bump|release|launch|deploy|split|rename|standardize|standardise|plan|meet|start|stop|hold|order|schedule|announce|avoid|archive|close|extend|reduce|raise|lower|cap|swap|replace|allow|ban|offer|hire|not|roll|return|rent|buy|block|unblock|mute|unmute|restart|upgrade|downgrade|pay|play|eat|cook|drive|fly|invite|share|pause",
        3.2,
    ),
    ("<we'll> go|stick|stay|settle with|on|for", 3.2),
    (
        "<we'll> just? use|keep|ship|offer|adopt|postpone|skip|drop|move|push|switch|make|set|cut|freeze|delay|leave|cancel|target|require|add|remove|limit|defer|release|launch|deploy|split|hold|start|stop|support|allow|run|take|meet|do|not|only|stay|roll|revert|return|rent|buy|close|block|unblock|mute|unmute|restart|upgrade|downgrade|pay|play|eat|cook|drive|fly|invite|share|pause",
        2.9,
    ),
    ("<we're> going with|for|to|ahead", 3.1),
    (
        "<we're> moving|dropping|postponing|switching|using|keeping|cancelling|canceling|skipping|delaying|freezing|adopting|sticking|staying|doing|shipping|launching|releasing|pushing|not",
        2.6,
    ),
    ("^ going|sticking with", 3.0),
    ("go with", 2.2),
    ("it's|that's|its|is|are settled|decided|approved|final|official|agreed|confirmed", 3.2),
    ("the|our|final decision|consensus|verdict|conclusion|outcome|agreement is|was", 3.1),
    ("^ the|new|our plan is|:", 2.6),
    ("^ change of plans|plan", 2.8),
    ("^ new plan", 2.8),
    ("it is then?$", 3.0),
    ("^ <any> <any>? it is", 3.0),
    ("wins", 2.3),
    ("scrap|forget|cancel|drop|kill|ditch that|this|it|the", 2.6),
    ("stays|remains at|on|in|as|the", 2.4),
    ("moves to the? next?", 2.4),
    ("moved to the? next", 2.4),
    (
        "is|are|gets|getting postponed|cancelled|canceled|dropped|delayed|pushed|moved|scrapped|approved|rejected|deferred|out",
        2.2,
    ),
    ("becomes", 2.5),
    ("^ no more", 2.6),
    ("^ no <any> until|before|today|on|after", 2.4),
    ("^ so|then|ok|okay|alright we|we'll|we're <any>", 2.5),
    ("^ ok|okay|alright|then|fine we <verb>", 3.0),
    ("^ yes|yep|yeah|ok|okay|fine|alright|but let's <any>", 2.6),
    ("that's what|how we agreed|decided|settled", 5.0),
    ("^ good|great|right|fine|perfect|cool|yes|yep we|we'll <verb>", 2.5),
    ("^ ok|okay|yes|yep|alright|fine|so|then <verb> it|that|this|them", 2.5),
    ("we won't|will not?", 2.4),
    ("<we're> not doing|going|shipping|using|supporting|adding|changing|taking", 2.6),
    ("from now on", 2.7),
    ("starting|effective monday|tuesday|wednesday|thursday|friday|next|today|tomorrow|immediately", 2.2),
    ("^ approved|rejected|accepted", 2.7),
    ("signed off on?", 2.6),
    ("any? objections|objection$", 2.2),
    ("everyone|everybody|all ok|okay|good|fine|happy|agreed|agree with?", 2.3),
    ("^ keep|exclude|ship|use|drop|skip|postpone|go|make", 1.9),
    ("postponed|later", 1.6),
    ("not now", 2.5),
    ("^ maybe? next|another quarter|sprint|release|year|month|week|time", 2.3),
    ("not a priority", 2.0),
    ("out of scope", 2.4),
    ("not this|for time|week|sprint|quarter|release|year|now", 2.3),
    ("^ nobody|noone", 2.5),
    ("i|i'd propose|suggest|move we|that|to", 2.2),
    ("i'd say we <verb>", 3.3),
    ("how about we", 1.7),
    ("i'm fine|ok|happy with", 1.6),
    ("let's", 1.8),
    ("we should", 1.6),
    ("i vote", 1.6),
];

/// What is settled in speech is hardly ever called a decision: it is said how things shall be.
const SPOKEN: &[Cue] = &[
    ("we|we've have? decided|agreed to|on|that|for", 3.4),
    ("<we'll> go|use|make|take|put|keep|stick|skip|add with|for?", 2.4),
    ("let's go|use|make|put|keep|stick|skip|give|add|just", 2.4),
    ("should|will|would be", 2.2),
    ("gonna be|have|use|put", 2.0),
    ("just make|use|put|skip|leave|keep", 2.4),
];

/// Words that settle what was said before them.
const SETTLES: &[Cue] = &[
    ("^ decided then?$", 3.4),
    ("^ settled then?$", 3.4),
    ("^ agreed then|everyone|all$", 3.4),
    ("^ deal then?$", 3.4),
    ("^ good settled|decided|agreed$", 3.4),
    ("^ approved|accepted|confirmed|passed|carried then?$", 3.4),
    ("^ that's|it's|its|all settled|decided|final|agreed|a deal|decision|plan? then?$", 3.4),
    ("^ that's that?$", 0.0),
    ("^ it's|that's a deal|plan|decision$", 3.4),
    ("^ so|then agreed|decided|settled$", 3.4),
    ("^ let's do that|it|this then?$", 3.3),
    ("^ let's go with that|it|this then?$", 3.4),
    ("^ <we'll> do|go|use|take with? that|it|this then?$", 3.2),
    ("^ sold$", 2.6),
    ("^ motion carries|carried|passes|passed$", 3.4),
    ("^ no objections?$", 1.0),
];

/// Sentences that undo the decision before them.
const UNDOES: &[Cue] = &[
    ("^ scrap|forget|cancel|undo|reverse|revert that|it|this", 1.0),
    ("never mind", 1.0),
    ("^ nevermind", 1.0),
    ("on second thought", 1.0),
    ("changed my|our mind", 1.0),
    ("change of plans|plan", 1.0),
    ("^ wait|hold no|on", 1.0),
    ("<we're> not doing that|it|this anymore?", 1.0),
    ("go|going|switch|let's back to", 1.0),
    ("let's not|reverse|revert|undo|cancel", 1.0),
    ("instead$", 1.0),
    ("actually let's|we|we'll|no|scrap|cancel|can", 1.0),
    ("^ no|nope let's|we'll|we", 1.0),
    ("after all", 1.0),
    ("rather than", 1.0),
    ("new plan", 1.0),
    ("scratch that", 1.0),
];

pub struct Rules {
    pub cues: Cues,
    pub settles: Cues,
    pub undoes: Cues,
    pub spoken: Cues,
}

impl Rules {
    pub fn new(lexicon: &mut Lexicon) -> Rules {
        Rules {
            cues: Cues::new(CUES, lexicon),
            settles: Cues::new(SETTLES, lexicon),
            undoes: Cues::new(UNDOES, lexicon),
            spoken: Cues::new(SPOKEN, lexicon),
        }
    }
}

pub enum Mark {
    Resolved,
    Proposed,
}

/// A mark at the head of a unit, and where the text after it begins. A colon must follow a word; a "#" mark needs none.
pub fn mark(chat: &Chat<'_>, unit: &Unit) -> Option<(usize, Mark)> {
    let mut at = unit.from;
    if chat.text_of(at) == "final" || chat.text_of(at) == "key" {
        at += 1;
    }
    if at + 1 >= unit.to || chat.tokens[at].is_quoted {
        return None;
    }
    let kind = match chat.text_of(at) {
        "#agreed" | "#decision" | "#resolved" | "#decided" => return Some((at + 1, Mark::Resolved)),
        "resolved" | "resolution" | "agreed" | "decision" | "decided" | "accepted" | "approved" | "consensus" => {
            Mark::Resolved
        }
        "proposal" | "proposed" | "motion" | "propose" => Mark::Proposed,
        _ => return None,
    };
    chat.gap_before(unit.line, at + 1, unit.from).trim_start().starts_with(':').then_some((at + 1, kind))
}

/// Whether a unit is a mark of this or of the task kind: its list tells it already.
pub fn is_mark(chat: &Chat<'_>, unit: &Unit) -> bool {
    mark(chat, unit).is_some() || super::tasks::is_marked(chat, unit)
}

/// How much of their business people mark: the more they do, the less is guessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Formality {
    None,
    /// Tasks are marked.
    Assigns,
    /// Decisions are marked.
    Resolves,
}

/// Looks for marks in a whole conversation.
pub fn formality(chat: &Chat<'_>) -> Formality {
    let mut formality = Formality::None;
    for unit in
        chat.units.iter().filter(|unit| unit.is_english && !chat.is_bait[unit.line] && !chat.is_machine(unit.line))
    {
        if matches!(mark(chat, unit), Some((_, Mark::Resolved))) {
            return Formality::Resolves;
        }
        if formality == Formality::None && super::tasks::is_marked(chat, unit) {
            formality = Formality::Assigns;
        }
    }
    formality
}
