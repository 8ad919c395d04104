//! A check of values against the JSON Schema of our API documents: the words that they use, and no other.
//!
//! Stricter than the standard in one thing: a property that the schema does not name is a fault, since the documents
//! are to tell everything.

use serde_json::Value;

/// Words that say nothing about a value, or nothing that is looked at here.
const PASSED_OVER: &[&str] = &["description", "examples", "default", "format", "pattern", "summary", "title"];

/// What about `value` is not as `schema`, a part of `document`, has it: a line each.
pub fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    Check { document, faults: &mut faults }.value(schema, value, "$");
    faults
}

/// The part of the document that a `$ref` points to, or the part itself.
pub fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    let Some(target) = part.get("$ref") else { return part };
    let pointer = target.as_str().and_then(|target| target.strip_prefix('#')).expect("references are local");
    let found = document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
    resolved(document, found)
}

struct Check<'a> {
    document: &'a Value,
    faults: &'a mut Vec<String>,
}

impl Check<'_> {
    fn fault(&mut self, place: &str, told: String) {
        self.faults.push(format!("{place}: {told}"));
    }

    fn value(&mut self, schema: &Value, value: &Value, place: &str) {
        let schema = resolved(self.document, schema).as_object().unwrap_or_else(|| panic!("{place}: no schema"));
        for (word, rule) in schema {
            match word.as_str() {
                "type" if !one_or_many(rule).any(|name| is_type(name, value)) => {
                    self.fault(place, format!("{value} is no {rule}"));
                }
                "const" if rule != value => self.fault(place, format!("{value} is not {rule}")),
                "enum" if !one_or_many(rule).any(|known| known == value) => {
                    self.fault(place, format!("{value} is none of {rule}"));
                }
                "minimum" if value.as_f64() < rule.as_f64() => self.fault(place, format!("{value} is under {rule}")),
                "maximum" if value.as_f64() > rule.as_f64() => self.fault(place, format!("{value} is over {rule}")),
                "minLength" if length(value) < rule.as_u64() => self.fault(place, format!("{value} is too short")),
                "maxLength" if length(value) > rule.as_u64() => self.fault(place, format!("{value} is too long")),
                "items" => {
                    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(rule, item, &format!("{place}[{at}]"));
                    }
                }
                "required" => {
                    for name in one_or_many(rule).filter(|name| value.get(name.as_str().expect("a name")).is_none()) {
                        self.fault(place, format!("{name} is missing"));
                    }
                }
                "properties" => {
                    for (name, item) in value.as_object().into_iter().flatten() {
                        match rule.get(name) {
                            Some(rule) => self.value(rule, item, &format!("{place}.{name}")),
                            None => self.fault(place, format!("{name:?} is not described")),
                        }
                    }
                }
                "oneOf" => {
                    let fits = |schema: &&Value| faults(self.document, schema, value).is_empty();
                    let count = one_or_many(rule).filter(fits).count();
                    if count != 1 {
                        self.fault(place, format!("{count} of the alternatives fit {value}"));
                    }
                }
                "type" | "const" | "enum" | "minimum" | "maximum" | "minLength" | "maxLength" => {}
                "additionalProperties" => assert_eq!(rule, false, "{place}: it is false anyway"),
                other => assert!(PASSED_OVER.contains(&other), "{place}: {other:?} is not known to this check"),
            }
        }
    }
}

fn one_or_many(rule: &Value) -> impl Iterator<Item = &Value> {
    match rule {
        Value::Array(many) => many.iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("types have names") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other:?} is no type"),
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}
