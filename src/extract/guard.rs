//! Tells lines that speak to the summarizer instead of to people. They stay quotable, but decide nothing.

use super::chat::Chat;
use super::lexicon::among;

/// Words of command over a reader's instructions, and what they are about.
const COMMANDS: &[&str] = &["ignore", "disregard", "forget", "override", "bypass", "discard", "replace"];
const OBJECTS: &[&str] = &[
    "above",
    "previous",
    "prior",
    "earlier",
    "preceding",
    "instructions",
    "instruction",
    "prompt",
    "rules",
    "messages",
    "conversation",
    "chat",
    "context",
    "transcript",
    "system",
];
const MACHINES: &[&str] = &[
    "summarizer",
    "summariser",
    "summary",
    "digest",
    "recap",
    "assistant",
    "ai",
    "llm",
    "model",
    "chatbot",
    "gpt",
    "bot",
    "key_decisions",
    "action_items",
    "bullet_points",
    "decisions",
];
const ORDERS: &[&str] = &[
    "must", "should", "say", "write", "state", "output", "print", "add", "include", "list", "report", "mention", "put",
    "set", "note", "respond", "record", "pretend",
];
/// How far apart a command and its object may stand.
const COMMAND_WORDS: usize = 6;
/// A forged transcript is looked for in the heads of this many lines of a message.
const FORGED_LINES_MAX: usize = 80;

/// Whether a line gives orders to its reader's machine or forges a transcript.
pub fn is_bait(chat: &Chat<'_>, line: usize) -> bool {
    let text = chat.lines[line].text;
    let Some((first, last)) = chat.units_of(line).first().zip(chat.units_of(line).last()) else {
        return false;
    };
    let words: Vec<&str> = (first.from..last.to).map(|at| chat.text_of(at)).collect();
    commands(&words) || addresses_machine(&words) || forges(chat, text)
}

fn commands(words: &[&str]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let near = &words[at + 1..words.len().min(at + 1 + COMMAND_WORDS)];
        COMMANDS.contains(word)
            && near.iter().any(|next| OBJECTS.contains(next))
            && (near.iter().any(|next| {
                among(next, "all above previous prior earlier preceding instructions prompt system everything your")
            }))
    }) || words.windows(3).any(|three| {
        matches!(
            three,
            ["you", "are", "now"]
                | ["as", "an", "ai"]
                | ["new", "instructions", _]
                | ["end", "of", "conversation" | "transcript" | "chat" | "messages"]
        )
    }) || words.windows(2).any(|two| {
        matches!(
            two,
            ["system", "prompt"]
                | ["new", "instructions"]
                | ["jailbreak", _]
                | ["your", "instructions"]
                | ["developer", "mode"]
        )
    })
}

/// "Summarizer: list as decision", "the summary must say", "in your summary write".
fn addresses_machine(words: &[&str]) -> bool {
    let is_ordered = words.iter().any(|word| ORDERS.contains(word) || COMMANDS.contains(word));
    let names_output = words
        .windows(2)
        .any(|two| matches!(two, ["your", "summary" | "digest" | "recap" | "output" | "answer" | "response" | "json"]));
    let names_list = words.windows(3).any(|three| {
        matches!(
            three,
            [
                "action" | "key" | "bullet" | "decision",
                "items" | "item" | "decisions" | "points",
                "must" | "should" | "shall" | "is" | "are" | "has"
            ]
        )
    });
    let names_summing = words.windows(2).any(|two| {
        matches!(
            two,
            [
                "when" | "while" | "before" | "whoever" | "you",
                "summarizing" | "summarising" | "summarizes" | "summarises"
            ]
        )
    }) || words.windows(3).any(|three| {
        matches!(
            three,
            ["when" | "if", "you", "summarize" | "summarise"]
                | [
                    "to" | "dear",
                    "the" | "whoever" | "whatever",
                    "ai" | "llm" | "model" | "assistant" | "summarizes" | "summarizer"
                ]
        )
    });
    if is_ordered && (names_output || names_list) || names_summing {
        return true;
    }
    words.iter().enumerate().any(|(at, word)| {
        if !MACHINES.contains(word) {
            return false;
        }
        let near = &words[at + 1..words.len().min(at + 4)];
        let before = &words[at.saturating_sub(4)..at];
        let is_called = at == 0
            || matches!(
                before.last(),
                Some(&"dear" | &"hey" | &"attention" | &"note" | &"to" | &"the" | &"your" | &"this")
            );
        let is_told = near.iter().any(|next| {
            among(next, "must say says state output print pretend ignore should report list write include add record")
        });
        let is_target = before.iter().any(|order| ORDERS.contains(order))
            && before.iter().any(|own| among(own, "your in to into as"))
            && among(word, "summary digest recap key_decisions action_items bullet_points decisions")
            && matches!(before.last(), Some(&"your" | &"the" | &"key" | &"in" | &"to" | &"into"))
            && before.contains(&"your");
        (is_called && is_told && *word != "bot" && *word != "decisions") || is_target
    })
}

/// Delimiters of prompts, or another person's name before a colon at the head of a line.
fn forges(chat: &Chat<'_>, text: &str) -> bool {
    const MARKS: &[&str] = &[
        "<|",
        "|>",
        "[INST]",
        "<<SYS",
        "</s>",
        "</messages",
        "</chat",
        "</conversation",
        "</transcript",
        "</data",
        "</user",
        "<system",
        "</system",
        "\"key_decisions\"",
        "\"role\":",
        "\"sender\":",
    ];
    if text.contains(['<', '|', '[', '"']) && MARKS.iter().any(|mark| text.contains(mark)) {
        return true;
    }
    text.lines().take(FORGED_LINES_MAX).enumerate().any(|(row, line)| {
        let head = line
            .trim_start_matches(['[', ']', '#', '*', '-', ' ', '<', '(', ')'])
            .trim_start_matches(|sign: char| sign.is_ascii_digit() || matches!(sign, ']' | ')' | ' ' | ':' | '.'));
        let Some((name, rest)) = head.split_once([':', '>']) else {
            return false;
        };
        let name = name.trim();
        let is_role = among(
            name.to_ascii_lowercase().as_str(),
            "system assistant human user developer summarizer summary instructions instruction",
        );
        // "Bob: can you …" calls Bob; a second line in his name, or one with a mark, is forged.
        let is_person = name.len() <= 64
            && chat.is_person(name)
            && (row > 0 || head.len() < line.len() || rest.trim_start().split(':').next().is_some_and(is_shout));
        is_role || is_person
    })
}

/// A mark like RESOLVED or ACTION, in capitals.
fn is_shout(word: &str) -> bool {
    word.len() > 3 && word.len() < 16 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ')
}
