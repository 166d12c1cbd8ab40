//! Values held against the schemas of a document, soberly: a schema that says nothing, contradicts itself, can't be found
//! or can't be judged in linear time refuses nothing. So it is no validator of JSON Schema; it finds what a service would
//! surely refuse.
//!
//! Own code rather than a crate: schemas of OpenAPI 3.0 and Swagger 2.0 are of no draft (`nullable`, Boolean
//! `exclusiveMinimum`, `file`), those of real documents break the drafts' rules in many places, and a validator refuses
//! a schema with one such mistake as a whole.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use super::read::resolve;

/// Most faults of one value that are told.
const MAX_FAULTS: usize = 100;
/// Most schemas that are looked at for one value; what remains then is accepted. Alternatives within alternatives double.
const MAX_VISITS: usize = 50_000;
/// Deepest nesting of schemas that is followed, references and alternatives counted.
const MAX_DEPTH: usize = 64;
/// Largest compiled pattern, in bytes.
const MAX_PATTERN: usize = 256 << 10;
/// Longest list whose items are compared with one another.
const MAX_COMPARED: usize = 1000;
/// Most members of an object, or values of an `enum`, that are named where one is wrong.
const MAX_NAMED: usize = 20;

/// What a value may be. Its references are followed when a value is held against it.
#[derive(Clone, Debug, Default)]
pub struct Schema(Value);

impl Schema {
    /// A schema of a document; `None` accepts everything.
    pub(super) fn new(value: Option<&Value>) -> Self {
        Self(value.cloned().unwrap_or_default())
    }

    /// As it is written.
    pub(super) fn value(&self) -> &Value {
        &self.0
    }
}

/// What is wrong with a part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFault {
    /// Where: a JSON pointer (RFC 6901) into the value; empty for the value itself.
    pub pointer: String,
    /// In what way.
    pub wrong: Wrong,
    /// What is wanted; repeats nothing of the value but names of members.
    pub message: String,
}

/// In what way a part of a value is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It must be given.
    Missing,
    /// The schema has no such member.
    Unknown,
    /// Of another type, or not of the wanted form.
    Malformed,
}

/// What is wrong with a value.
pub(super) fn check(root: &Value, schema: &Schema, value: &Value) -> Vec<SchemaFault> {
    let mut check = Check { root, faults: Vec::new(), visits: 0 };
    check.value(&schema.0, value, "", 0, false);
    check.faults
}

/// A value with its text read as what the schema wants; one level of a list or an object too.
pub(super) fn read_text(root: &Value, schema: &Value, value: &Value) -> Value {
    let Some(schema) = resolve(root, schema) else { return value.clone() };
    match value {
        Value::String(text) => read_scalar(schema, text).unwrap_or_else(|| value.clone()),
        Value::Array(items) => {
            let of_item = schema.get("items").and_then(|items| resolve(root, items));
            items.iter().map(|item| read_member(of_item, item)).collect()
        }
        Value::Object(members) => {
            let of_member = |name: &str| schema.get("properties")?.get(name).and_then(|member| resolve(root, member));
            let read = |(name, value): (&String, &Value)| {
                let value = match (of_member(name), value) {
                    (Some(schema), Value::Array(_)) => read_text(root, &Value::Object(only_items(schema)), value),
                    (schema, value) => read_member(schema, value),
                };
                (name.clone(), value)
            };
            Value::Object(members.iter().map(read).collect())
        }
        other => other.clone(),
    }
}

/// Of a list's schema what says what its items are.
fn only_items(schema: &Value) -> Map<String, Value> {
    schema.get("items").map(|items| ("items".to_owned(), items.clone())).into_iter().collect()
}

/// An item or member with its text read as its schema wants.
fn read_member(schema: Option<&Value>, value: &Value) -> Value {
    let read = schema.zip(value.as_str()).and_then(|(schema, text)| read_scalar(schema, text));
    read.unwrap_or_else(|| value.clone())
}

/// Text as the number or truth value that the schema wants; `None` where it wants text, or anything, or it is neither.
fn read_scalar(schema: &Value, text: &str) -> Option<Value> {
    let types: Vec<&str> = match schema.get("type")? {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    if types.contains(&"string") {
        return None;
    }
    let read: Value = serde_json::from_str(text).ok()?;
    let numeric = types.iter().any(|name| matches!(*name, "integer" | "number"));
    (read.is_number() && numeric || read.is_boolean() && types.contains(&"boolean")).then_some(read)
}

/// One value being held against one schema.
struct Check<'a> {
    /// What references lead into.
    root: &'a Value,
    faults: Vec<SchemaFault>,
    /// Schemas looked at so far.
    visits: usize,
}

impl Check<'_> {
    /// `within`: the schema is one of several that hold together, so that it doesn't know all members.
    fn value(&mut self, schema: &Value, value: &Value, pointer: &str, depth: usize, within: bool) {
        self.visits += 1;
        if depth > MAX_DEPTH || self.visits > MAX_VISITS || self.faults.len() >= MAX_FAULTS {
            return;
        }
        if *schema == Value::Bool(false) {
            return self.add(pointer, Wrong::Unknown, "isn't allowed here");
        }
        let Some(schema) = resolve(self.root, schema).and_then(Value::as_object) else { return };
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return;
        }
        if !self.is_of_type(schema, value, pointer) {
            return;
        }
        self.choices(schema, value, pointer);
        match value {
            Value::String(text) => self.text(schema, text, pointer),
            Value::Number(number) => self.number(schema, number, pointer),
            Value::Array(items) => self.items(schema, items, pointer, depth),
            Value::Object(members) => self.members(schema, members, pointer, depth, within),
            _ => {}
        }
        for part in list(schema, "allOf") {
            self.value(part, value, pointer, depth + 1, true);
        }
        for name in ["anyOf", "oneOf"] {
            self.alternatives(list(schema, name), value, pointer, depth, within);
        }
    }

    fn add(&mut self, pointer: &str, wrong: Wrong, message: impl Into<String>) {
        let fault = SchemaFault { pointer: pointer.to_owned(), wrong, message: message.into() };
        if self.faults.len() < MAX_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Whether the value is of one of the schema's types; a fault where it isn't.
    fn is_of_type(&mut self, schema: &Map<String, Value>, value: &Value, pointer: &str) -> bool {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let fits = |name: &&str| match *name {
            "string" | "file" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "null" => value.is_null(),
            // No type there is.
            _ => true,
        };
        if types.is_empty() || types.iter().any(fits) {
            return true;
        }
        let wanted: Vec<_> = types.iter().map(|name| with_article(name)).collect();
        self.add(pointer, Wrong::Malformed, format!("is {}; {} is wanted", kind(value), wanted.join(" or ")));
        false
    }

    /// `enum` and `const`.
    fn choices(&mut self, schema: &Map<String, Value>, value: &Value, pointer: &str) {
        let choices = match schema.get("enum").and_then(Value::as_array) {
            Some(choices) => choices.as_slice(),
            None => schema.get("const").map(std::slice::from_ref).unwrap_or_default(),
        };
        if choices.is_empty() || choices.iter().any(|choice| same(choice, value)) {
            return;
        }
        let mut named: Vec<_> = choices.iter().take(MAX_NAMED).map(Value::to_string).collect();
        if choices.len() > MAX_NAMED {
            named.push(format!("{} more", choices.len() - MAX_NAMED));
        }
        self.add(pointer, Wrong::Malformed, format!("isn't one of the values that are allowed: {}", named.join(", ")));
    }

    fn text(&mut self, schema: &Map<String, Value>, text: &str, pointer: &str) {
        let length = text.chars().count() as f64;
        self.bounds(schema, ["minLength", "maxLength"], length, "characters", pointer);
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str).filter(|pattern| !matches(pattern, text)) {
            self.add(pointer, Wrong::Malformed, format!("doesn't match the pattern {pattern}"));
        }
        let wanted = match schema.get("format").and_then(Value::as_str) {
            Some("date") => (chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_err() || text.len() != 10)
                .then_some("a date is wanted, e.g. 2026-01-31"),
            Some("date-time") => chrono::DateTime::parse_from_rfc3339(text)
                .is_err()
                .then_some("a time as in RFC 3339 is wanted, e.g. 2026-01-31T10:00:00Z"),
            Some("uuid") => (!is_uuid(text)).then_some("a UUID is wanted"),
            Some("ipv4") => text.parse::<Ipv4Addr>().is_err().then_some("an IPv4 address is wanted"),
            Some("ipv6") => text.parse::<Ipv6Addr>().is_err().then_some("an IPv6 address is wanted"),
            _ => None,
        };
        if let Some(wanted) = wanted {
            self.add(pointer, Wrong::Malformed, wanted);
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, number: &serde_json::Number, pointer: &str) {
        let Some(value) = number.as_f64() else { return };
        // Up to OpenAPI 3.0 a flag beside the bound, later a bound of its own.
        let bound = |name: &str, exclusive: &str| match (schema.get(name), schema.get(exclusive)) {
            (Some(bound), Some(Value::Bool(true))) => (None, bound.as_f64()),
            (bound, exclusive) => (bound.and_then(Value::as_f64), exclusive.and_then(Value::as_f64)),
        };
        let (least, above) = bound("minimum", "exclusiveMinimum");
        let (most, below) = bound("maximum", "exclusiveMaximum");
        let faults = [
            least.filter(|least| value < *least).map(|least| format!("at least {least} is wanted")),
            above.filter(|above| value <= *above).map(|above| format!("more than {above} is wanted")),
            most.filter(|most| value > *most).map(|most| format!("at most {most} is wanted")),
            below.filter(|below| value >= *below).map(|below| format!("less than {below} is wanted")),
        ];
        for fault in faults.into_iter().flatten() {
            self.add(pointer, Wrong::Malformed, fault);
        }
        if schema.get("format").and_then(Value::as_str) == Some("int32")
            && !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value)
        {
            self.add(pointer, Wrong::Malformed, "doesn't fit into 32 bits");
        }
        let step = schema.get("multipleOf").and_then(Value::as_i64).filter(|step| *step > 0);
        if let Some(step) = step.filter(|step| number.as_i64().is_some_and(|value| value % step != 0)) {
            self.add(pointer, Wrong::Malformed, format!("a multiple of {step} is wanted"));
        }
    }

    fn items(&mut self, schema: &Map<String, Value>, items: &[Value], pointer: &str, depth: usize) {
        self.bounds(schema, ["minItems", "maxItems"], items.len() as f64, "items", pointer);
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) && items.len() <= MAX_COMPARED {
            let mut seen = HashSet::new();
            if !items.iter().all(|item| seen.insert(item.to_string())) {
                self.add(pointer, Wrong::Malformed, "has an item twice; each only once is wanted");
            }
        }
        let first = list(schema, "prefixItems");
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(index).or_else(|| schema.get("items")) {
                self.value(schema, item, &format!("{pointer}/{index}"), depth + 1, false);
            }
        }
    }

    fn members(
        &mut self,
        schema: &Map<String, Value>,
        members: &Map<String, Value>,
        pointer: &str,
        depth: usize,
        within: bool,
    ) {
        self.bounds(schema, ["minProperties", "maxProperties"], members.len() as f64, "members", pointer);
        let known = schema.get("properties").and_then(Value::as_object);
        let of_member = |name: &str| known.and_then(|known| known.get(name));
        for name in list(schema, "required").iter().filter_map(Value::as_str) {
            // What only answers have isn't wanted of a request (OpenAPI 3.0.4 section 4.7.24.2).
            let only_read = of_member(name)
                .and_then(|schema| resolve(self.root, schema))
                .is_some_and(|schema| schema.get("readOnly") == Some(&Value::Bool(true)));
            if !members.contains_key(name) && !only_read {
                self.add(&at(pointer, name), Wrong::Missing, "must be given");
            }
        }
        // Other members are judged only where the schema knows all there may be.
        let open = within
            || ["patternProperties", "allOf", "anyOf", "oneOf", "$ref", "if"]
                .iter()
                .any(|name| schema.contains_key(*name));
        for (name, value) in members {
            let pointer = at(pointer, name);
            match (of_member(name), schema.get("additionalProperties")) {
                (Some(schema), _) => self.value(schema, value, &pointer, depth + 1, false),
                (None, Some(Value::Bool(false))) if !open => {
                    let names = names(known);
                    self.add(&pointer, Wrong::Unknown, format!("there is no such member; {names}"));
                }
                (None, Some(schema @ Value::Object(_))) if !open => {
                    self.value(schema, value, &pointer, depth + 1, false);
                }
                _ => {}
            }
        }
    }

    /// One of these must accept the value. Whether only one does (`oneOf`) isn't asked: documents rarely keep to it.
    fn alternatives(&mut self, alternatives: &[Value], value: &Value, pointer: &str, depth: usize, within: bool) {
        let mut nearest: Option<Vec<SchemaFault>> = None;
        let mut near = 0;
        for alternative in alternatives {
            let mut check = Check { root: self.root, faults: Vec::new(), visits: self.visits };
            check.value(alternative, value, pointer, depth + 1, within);
            self.visits = check.visits;
            if check.faults.is_empty() {
                return;
            }
            // One whose very type is another was hardly meant.
            if !check.faults.iter().any(|fault| fault.pointer == pointer && fault.wrong == Wrong::Malformed) {
                near += 1;
                nearest = Some(check.faults);
            }
        }
        match nearest {
            _ if alternatives.is_empty() => {}
            Some(faults) if near == 1 => {
                faults.into_iter().for_each(|fault| self.add(&fault.pointer, fault.wrong, fault.message));
            }
            _ => {
                let count = alternatives.len();
                self.add(pointer, Wrong::Malformed, format!("fits none of the {count} alternatives that are allowed"));
            }
        }
    }

    /// A lower and an upper bound of a count.
    fn bounds(&mut self, schema: &Map<String, Value>, names: [&str; 2], count: f64, what: &str, pointer: &str) {
        let [least, most] = names.map(|name| schema.get(name).and_then(Value::as_f64));
        if let Some(least) = least.filter(|least| count < *least) {
            self.add(pointer, Wrong::Malformed, format!("has {count} {what}; at least {least} are wanted"));
        }
        if let Some(most) = most.filter(|most| count > *most) {
            self.add(pointer, Wrong::Malformed, format!("has {count} {what}; at most {most} are wanted"));
        }
    }
}

/// The list that a member holds; empty where it is anything else.
fn list<'a>(schema: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    schema.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A pointer to a member.
fn at(pointer: &str, name: &str) -> String {
    super::super::warnings::member(pointer, name)
}

/// Whether two values are the same to a service: `1` and `1.0` are, and YAML makes numbers of text without quotes.
fn same(choice: &Value, value: &Value) -> bool {
    match (choice, value) {
        (Value::Number(choice), Value::Number(value)) => choice.as_f64() == value.as_f64(),
        (Value::Number(number), Value::String(text)) => number.to_string() == text.as_str(),
        (Value::Bool(flag), Value::String(text)) => text == if *flag { "true" } else { "false" },
        _ => choice == value,
    }
}

/// Whether a pattern, which may match anywhere in it, matches the text. One that isn't understood here matches all: those
/// of ECMA-262 with look-around or back-references can't be judged in linear time, and some documents write `/…/`.
fn matches(pattern: &str, text: &str) -> bool {
    if pattern.len() > 1 && pattern.starts_with('/') {
        return true;
    }
    let regex = regex::RegexBuilder::new(pattern).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN).build();
    regex.map_or(true, |regex| regex.is_match(text))
}

/// Whether this is 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(index, character)| match index {
            8 | 13 | 18 | 23 => character == '-',
            _ => character.is_ascii_hexdigit(),
        })
}

/// What a value is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "an integer",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What a type is, in words.
fn with_article(name: &str) -> &str {
    match name {
        "string" | "file" => "text",
        "boolean" => "true or false",
        "integer" => "an integer",
        "number" => "a number",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

/// The members that an object may have, in words.
fn names(known: Option<&Map<String, Value>>) -> String {
    let known: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    match known.len() {
        0 => "it has none".to_owned(),
        count if count > MAX_NAMED => format!("it has {count} others"),
        _ => format!("it has {}", known.join(", ")),
    }
}
