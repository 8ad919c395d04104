//! The JSON of an OpenAI-compatible chat-completions service: what it is asked, what it answers, what the model wrote.
//!
//! It reads leniently and trusts nothing: what an answer is worth is found out in `summary/check.rs`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::json;

/// Most statements taken from one list of a model's answer.
pub const CLAIMS_MAX: usize = 60;
/// Longest statement taken from a model's answer, in characters.
pub const CLAIM_CHARS_MAX: usize = 1200;

/// How the model is bound to JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `json_schema`: the service enforces the very shape.
    Schema,
    /// `json_object`: the service enforces JSON.
    Object,
    /// Nothing but the words of the prompt.
    Free,
}

/// One question to the service.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Which model.
    pub model: &'a str,
    /// The fixed instructions.
    pub system: &'a str,
    /// The data.
    pub user: &'a str,
    /// Longest answer, in tokens.
    pub answer_tokens: u64,
    /// How the model is bound to JSON.
    pub format: Format,
    /// Whether the model is known to think first, and is told to do so only a little.
    pub is_thinker: bool,
    /// Whether the length goes out as `max_completion_tokens`: services that know both names want either.
    pub is_modern: bool,
}

#[derive(Serialize)]
struct WireQuestion<'a> {
    model: &'a str,
    messages: [WireTurn<'a>; 2],
    temperature: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<WireFormat>,
    stream: bool,
}

#[derive(Serialize)]
struct WireTurn<'a> {
    role: &'a str,
    content: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireFormat {
    JsonObject,
    JsonSchema { json_schema: WireSchema },
}

#[derive(Serialize)]
struct WireSchema {
    name: &'static str,
    strict: bool,
    schema: Value,
}

/// Low, so that the same chat gives the same summary.
const TEMPERATURE: f32 = 0.1;

/// The body of one request.
pub fn question(ask: &Question<'_>) -> Vec<u8> {
    let format = match ask.format {
        Format::Free => None,
        Format::Object => Some(WireFormat::JsonObject),
        Format::Schema => {
            Some(WireFormat::JsonSchema { json_schema: WireSchema { name: "digest", strict: true, schema: schema() } })
        }
    };
    json(&WireQuestion {
        model: ask.model,
        messages: [WireTurn { role: "system", content: ask.system }, WireTurn { role: "user", content: ask.user }],
        temperature: TEMPERATURE,
        max_tokens: (!ask.is_modern).then_some(ask.answer_tokens),
        max_completion_tokens: ask.is_modern.then_some(ask.answer_tokens),
        reasoning_effort: ask.is_thinker.then_some("low"),
        response_format: format,
        stream: false,
    })
}

fn schema() -> Value {
    // A text and not a tree of Rust calls: this is what the service's documentation shows.
    const ITEM: &str = r#"{"type":"object","properties":{"text":{"type":"string"},"ids":{"type":"array","items":{"type":"integer"}}},"required":["text","ids"],"additionalProperties":false}"#;
    const TASK: &str = r#"{"type":"object","properties":{"owner":{"type":"string"},"text":{"type":"string"},"ids":{"type":"array","items":{"type":"integer"}}},"required":["owner","text","ids"],"additionalProperties":false}"#;
    const WHOLE: &str = r#"{"type":"object","properties":{"summary":ITEM,"bullet_points":{"type":"array","items":ITEM},"key_decisions":{"type":"array","items":ITEM},"action_items":{"type":"array","items":TASK},"open_questions":{"type":"array","items":ITEM}},"required":["summary","bullet_points","key_decisions","action_items","open_questions"],"additionalProperties":false}"#;
    serde_json::from_str(&WHOLE.replace("ITEM", ITEM).replace("TASK", TASK)).expect("the schema above is JSON")
}

/// What the service answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// What the model wrote.
    pub content: String,
    /// The model stopped because the answer became too long.
    pub is_cut: bool,
    /// Tokens of the prompt, as the service counted them.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, as the service counted them.
    pub answer_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct WireReply {
    choices: Vec<WireChoice>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireChoice {
    message: WireMessage,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireMessage {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

/// Reads the body of a success; `None` if it is not one.
pub fn reply(body: &[u8]) -> Option<Reply> {
    let wire: WireReply = serde_json::from_slice(body).ok()?;
    let choice = wire.choices.into_iter().next()?;
    let usage = wire.usage.unwrap_or(WireUsage { prompt_tokens: None, completion_tokens: None });
    Some(Reply {
        content: choice.message.content?,
        is_cut: choice.finish_reason.as_deref() == Some("length"),
        prompt_tokens: usage.prompt_tokens,
        answer_tokens: usage.completion_tokens,
    })
}

/// What the service said is wrong. Empty where it said nothing that can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// For programs, such as `model_not_found`.
    pub code: String,
    /// For people. It may repeat the key: never show it.
    pub message: String,
    /// What the model wrote where the service found that it is no JSON.
    pub failed_generation: Option<String>,
}

/// Reads the body of a failure: `{"error":{…}}`, `{"error":"…"}`, or anything.
pub fn complaint(body: &[u8]) -> Complaint {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Complaint::default();
    };
    let error = value.get("error").unwrap_or(&value);
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    Complaint {
        code: text("code").or_else(|| text("type")).unwrap_or_default(),
        message: text("message").or_else(|| error.as_str().map(str::to_owned)).unwrap_or_default(),
        failed_generation: text("failed_generation"),
    }
}

/// What the model gets to read.
#[derive(Debug, Default, Serialize)]
pub struct Material<'a> {
    /// For whom it is written, if for one person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader: Option<&'a str>,
    /// Who takes part.
    pub participants: Vec<&'a str>,
    /// What was found before in messages that are not here: `[kind, text, ids]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<(&'a str, &'a str, Vec<usize>)>,
    /// `[id, sender, text]`, in order.
    pub messages: Vec<(usize, &'a str, &'a str)>,
}

/// The material as the text of a prompt.
pub fn material(material: &Material<'_>) -> String {
    String::from_utf8(json(material)).expect("serde_json writes UTF-8")
}

/// One statement of a model, as it stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// What it says.
    pub text: String,
    /// Which messages it names; `None` if the model gave no ids at all.
    pub ids: Option<Vec<usize>>,
    /// Who has to do it, if it says so.
    pub owner: Option<String>,
}

/// A model's whole answer, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The overview.
    pub summary: Claim,
    /// What happened.
    pub bullet_points: Vec<Claim>,
    /// What was decided.
    pub key_decisions: Vec<Claim>,
    /// Who has to do what.
    pub action_items: Vec<Claim>,
    /// What was asked and not answered.
    pub open_questions: Vec<Claim>,
}

/// Reads what the model wrote. Code fences and words around the object are cut off, a missing end is put on.
///
/// With `is_whole` false (the answer is known to be cut or refused) missing lists are empty lists; else they are an
/// error: a model that leaves out what it was asked for is not to be believed. The errors are sentences.
pub fn claims(content: &str, is_whole: bool) -> Result<Claims, &'static str> {
    let start = content.find('{').ok_or("its answer was not JSON")?;
    let text = &content[start..];
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = match values.next() {
        Some(Ok(value)) => value,
        _ => mend(text).and_then(|text| serde_json::from_str(&text).ok()).ok_or("its answer was not JSON")?,
    };
    let list = |name: &str, is_needed: bool| match value.get(name) {
        Some(Value::Array(items)) => {
            let claims: Vec<Claim> = items.iter().take(CLAIMS_MAX).filter_map(claim).collect();
            if claims.is_empty() && !items.is_empty() {
                return Err("a field of its answer has the wrong type");
            }
            Ok(claims)
        }
        None | Some(Value::Null) if !(is_whole && is_needed) => Ok(Vec::new()),
        None | Some(Value::Null) => Err("a field of its answer is missing"),
        Some(_) => Err("a field of its answer has the wrong type"),
    };
    let summary = match value.get("summary") {
        Some(value) => claim(value).ok_or("a field of its answer has the wrong type")?,
        None => return Err("a field of its answer is missing"),
    };
    Ok(Claims {
        summary,
        bullet_points: list("bullet_points", true)?,
        key_decisions: list("key_decisions", true)?,
        action_items: list("action_items", true)?,
        open_questions: list("open_questions", false)?,
    })
}

/// A statement is a string, or an object with the string under one of the names that models use.
fn claim(value: &Value) -> Option<Claim> {
    let clip = |text: &str| text.chars().take(CLAIM_CHARS_MAX).collect::<String>();
    if let Some(text) = value.as_str() {
        return (!text.trim().is_empty()).then(|| Claim { text: clip(text), ..Claim::default() });
    }
    let names = ["text", "summary", "point", "decision", "action", "task", "question", "item", "description"];
    let text = names.iter().find_map(|name| value.get(name)?.as_str()).filter(|text| !text.trim().is_empty())?;
    let ids = ["ids", "id", "sources", "source"].iter().find_map(|name| value.get(name)).map(ids);
    let owner = ["owner", "assignee", "who"].iter().find_map(|name| value.get(name)?.as_str());
    let owner = owner.map(str::trim).filter(|owner| !owner.is_empty()).map(clip);
    Some(Claim { text: clip(text), ids, owner })
}

fn ids(value: &Value) -> Vec<usize> {
    let one = |value: &Value| match value {
        Value::Number(number) => number.as_u64().and_then(|id| usize::try_from(id).ok()),
        Value::String(text) => text.trim().trim_start_matches('#').parse().ok(),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().take(CLAIMS_MAX).filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

/// Puts an end on JSON that was cut: after the last element that is whole.
fn mend(text: &str) -> Option<String> {
    let mut open: Vec<char> = Vec::new();
    let mut is_string = false;
    let mut is_escaped = false;
    let mut whole: Option<(usize, String)> = None;
    for (at, sign) in text.char_indices() {
        if is_string {
            match sign {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => is_string = false,
                _ => {}
            }
            continue;
        }
        match sign {
            '"' => is_string = true,
            '{' => open.push('}'),
            '[' => open.push(']'),
            '}' | ']' => {
                if open.pop() != Some(sign) {
                    return None;
                }
                let ends: String = open.iter().rev().collect();
                whole = Some((at + 1, ends));
            }
            _ => {}
        }
    }
    let (end, ends) = whole?;
    Some(format!("{}{ends}", &text[..end]))
}
