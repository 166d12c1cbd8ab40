//! Which parts of a document are kept, and a reader of JSON or YAML that keeps just those.
//!
//! The largest real document has 47 MB, of which 60,000 values matter here. Everything else streams by: it is checked
//! to be well-formed and takes no memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::warnings::member;

/// Most values that are kept: eight times as many as in the largest real document with its 22,361 operations, at about
/// 200 bytes each.
pub(super) const MAX_VALUES: usize = 500_000;
/// Most text that is kept, in bytes: about six times the largest real document's.
pub(super) const MAX_TEXT: usize = 16 << 20;
/// Most repeated names that are reported.
const MAX_REPEATED: usize = 100;
/// The name that YAML merges by (<https://yaml.org/type/merge.html>).
const MERGE: &str = "<<";

/// The methods that a path item has as members of its own; `query` is of OpenAPI 3.2.
pub(super) const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// What is kept of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Outline {
    /// All of it.
    all: bool,
    /// These members, and what of them.
    members: BTreeMap<String, Outline>,
    /// This of every other member.
    others: Option<Box<Outline>>,
}

impl Outline {
    /// The whole value.
    pub(super) fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// These members of an object.
    fn members<'a>(members: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let members = members.into_iter().map(|(name, outline)| (name.to_owned(), outline)).collect();
        Self { members, ..Self::default() }
    }

    /// This of every member of an object.
    fn each(outline: Self) -> Self {
        Self { others: Some(Box::new(outline)), ..Self::default() }
    }

    /// Whole members of an object.
    fn whole<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::members(names.into_iter().map(|name| (name, Self::all())))
    }

    /// What matters of a path item.
    pub(super) fn path_item() -> Self {
        let operation = Self::whole(["operationId", "security", "servers", "schemes"]);
        let mut item = Self::whole(["$ref", "servers"]);
        item.members.extend(METHODS.map(|method| (method.to_owned(), operation.clone())));
        item.members.insert("additionalOperations".to_owned(), Self::each(operation));
        item
    }

    /// What matters of the path item of one operation for a request of it. Its method is lower-case where it is one of
    /// [`METHODS`].
    pub(super) fn request(method: &str) -> Self {
        let operation = Self::whole(["parameters", "requestBody", "consumes"]);
        let mut item = Self::whole(["$ref", "parameters"]);
        if METHODS.contains(&method) {
            item.members.insert(method.to_owned(), operation);
        } else {
            item.members.insert("additionalOperations".to_owned(), Self::members([(method, operation)]));
        }
        item
    }

    /// What matters of a document, of any version, for a request to the path with this item.
    pub(super) fn request_in(path: &str, item: Self) -> Self {
        let mut root = Self::whole(["openapi", "swagger", "consumes"]);
        root.members.insert("paths".to_owned(), Self::members([(path, item)]));
        root
    }

    /// What matters of a document, of any version.
    pub(super) fn document() -> Self {
        let mut root = Self::whole([
            "openapi",
            "swagger",
            "servers",
            "security",
            "host",
            "basePath",
            "schemes",
            "securityDefinitions",
        ]);
        root.members.insert("info".to_owned(), Self::whole(["title", "version"]));
        root.members.insert("paths".to_owned(), Self::each(Self::path_item()));
        root.members.insert(
            "components".to_owned(),
            Self::members([("securitySchemes", Self::all()), ("pathItems", Self::each(Self::path_item()))]),
        );
        root
    }

    /// What is kept of this member, if anything.
    fn member(&self, name: &str) -> Option<&Self> {
        if self.all { Some(self) } else { self.members.get(name).or(self.others.as_deref()) }
    }

    /// Keeps this as well of the value that the path of names leads to. Says whether that is more than before.
    pub(super) fn add(&mut self, path: &[String], what: &Self) -> bool {
        let mut at = self;
        for name in path {
            if at.all {
                return false;
            }
            let others = at.others.as_deref().cloned();
            at = at.members.entry(name.clone()).or_insert_with(|| others.unwrap_or_default());
        }
        at.merge(what)
    }

    /// Keeps this as well. Says whether that is more than before.
    fn merge(&mut self, what: &Self) -> bool {
        if self.all {
            return false;
        }
        if what.all {
            *self = Self::all();
            return true;
        }
        let mut more = false;
        for (name, outline) in &what.members {
            more |= self.add(std::slice::from_ref(name), outline);
        }
        if let Some(others) = &what.others {
            more |= self.others.get_or_insert_default().merge(others);
        }
        more
    }
}

/// What has been kept so far.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// How many values.
    values: usize,
    /// How many bytes of text.
    text: usize,
    /// Whether merge keys are followed, as in YAML. Here rather than by its parser, which would remember every name of
    /// every object for it.
    merges: bool,
    /// Pointer to the value that is being read.
    pointer: String,
    /// Pointers to members whose name stands twice in their object.
    pub(super) repeated: Vec<String>,
    /// What there is too much of, and how much of it is kept.
    pub(super) excess: Option<(&'static str, usize)>,
}

impl Kept {
    /// Nothing yet.
    pub(super) fn new(merges: bool) -> Self {
        Self { merges, ..Self::default() }
    }

    /// Counts a value.
    fn count<E: Error>(&mut self, text: usize) -> Result<(), E> {
        self.values += 1;
        self.text += text;
        if self.values > MAX_VALUES {
            self.excess = Some(("values in servers, security schemes and operations", MAX_VALUES));
        } else if self.text > MAX_TEXT {
            self.excess = Some(("bytes of text in servers, security schemes and operations", MAX_TEXT));
        } else {
            return Ok(());
        }
        Err(E::custom("too much"))
    }

    /// Goes on to a member; returns the pointer to come back to.
    fn enter(&mut self, name: &str) -> String {
        self.text += name.len();
        let pointer = member(&self.pointer, name);
        std::mem::replace(&mut self.pointer, pointer)
    }
}

/// Reads what the outline keeps of one value.
pub(super) struct Keeping<'a> {
    /// What is kept of it.
    pub(super) outline: &'a Outline,
    /// What has been kept before it.
    pub(super) kept: &'a RefCell<Kept>,
}

impl<'de> DeserializeSeed<'de> for Keeping<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keeping<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.kept.borrow_mut().count(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.kept.borrow_mut().count(0).map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.kept.borrow_mut().count(0).map(|()| value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.kept.borrow_mut().count(0).map(|()| value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.kept.borrow_mut().count(0).map(|()| Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.kept.borrow_mut().count(value.len()).map(|()| value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.kept.borrow_mut().count(value.len()).map(|()| value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.kept.borrow_mut().count(0)?;
        let mut list = Vec::new();
        loop {
            let outer = self.kept.borrow_mut().enter(&list.len().to_string());
            let item = items.next_element_seed(Keeping { outline: self.outline, kept: self.kept })?;
            self.kept.borrow_mut().pointer = outer;
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.kept.borrow_mut().count(0)?;
        let mut map = Map::new();
        let mut merged = Vec::new();
        let merges = self.kept.borrow().merges;
        while let Some(kept) = members.next_key_seed(Name { outline: self.outline, merges })? {
            let Some((name, outline)) = kept else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            let outer = self.kept.borrow_mut().enter(&name);
            let value = members.next_value_seed(Keeping { outline, kept: self.kept })?;
            let mut kept = self.kept.borrow_mut();
            let pointer = std::mem::replace(&mut kept.pointer, outer);
            if merges && name == MERGE {
                merged.push(value);
            } else if map.insert(name, value).is_some() && kept.repeated.len() < MAX_REPEATED {
                kept.repeated.push(pointer);
            }
        }
        for source in merged {
            merge(&mut map, source);
        }
        Ok(Value::Object(map))
    }
}

/// Adds what a merge key stands for: an object, or a list of them, the earlier ones first. What is there already stays.
fn merge(map: &mut Map<String, Value>, source: Value) {
    match source {
        Value::Object(members) => {
            for (name, value) in members {
                map.entry(name).or_insert(value);
            }
        }
        Value::Array(sources) => sources.into_iter().for_each(|source| merge(map, source)),
        _ => {}
    }
}

/// Reads a member's name, and what is kept of the member; nothing where the member is skipped.
struct Name<'a> {
    /// What is kept of the object.
    outline: &'a Outline,
    /// Whether merge keys are followed.
    merges: bool,
}

impl<'a, 'de> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<(String, &'a Outline)>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, 'de> Visitor<'de> for Name<'a> {
    type Value = Option<(String, &'a Outline)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let merge = self.merges && name == MERGE;
        let outline = if merge { Some(self.outline) } else { self.outline.member(name) };
        Ok(outline.map(|outline| (name.to_owned(), outline)))
    }

    // YAML has names of any type; in JSON they are text.
    fn visit_bool<E: Error>(self, name: bool) -> Result<Self::Value, E> {
        self.visit_str(&name.to_string())
    }

    fn visit_i64<E: Error>(self, name: i64) -> Result<Self::Value, E> {
        self.visit_str(&name.to_string())
    }

    fn visit_u64<E: Error>(self, name: u64) -> Result<Self::Value, E> {
        self.visit_str(&name.to_string())
    }

    fn visit_f64<E: Error>(self, name: f64) -> Result<Self::Value, E> {
        self.visit_str(&name.to_string())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.visit_str("null")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(outline: &Outline, document: &str, expected: &str) {
        let kept = RefCell::new(Kept::new(false));
        let mut deserializer = serde_json::Deserializer::from_str(document);
        let value = Keeping { outline, kept: &kept }.deserialize(&mut deserializer).unwrap();
        assert_eq!(value.to_string(), expected);
    }

    #[test]
    fn keeps_what_the_outline_says() {
        let document = r#"{"openapi":"3.0.0","x":[{}],"info":{"title":"t","x":1},"components":{"schemas":{"a":{}},"securitySchemes":{"s":{"type":[1]}}},
            "paths":{"/a":{"get":{"operationId":"i","parameters":[1,2],"security":[{"s":[]}]},"summary":"x"},"/b":[1,{"x":2}]}}"#;
        let kept = r#"{"openapi":"3.0.0","info":{"title":"t"},"components":{"securitySchemes":{"s":{"type":[1]}}},"paths":{"/a":{"get":{"operationId":"i","security":[{"s":[]}]}},"/b":[1,{}]}}"#;
        check(&Outline::document(), document, kept);
    }

    #[test]
    fn an_outline_grows_by_what_a_reference_needs() {
        let path = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let mut outline = Outline::document();
        assert!(!outline.add(&path("components/securitySchemes/a"), &Outline::all()));
        assert!(!outline.add(&path("paths/~"), &Outline::path_item()));
        assert!(outline.add(&path("x-parts/a"), &Outline::all()));
        assert!(!outline.add(&path("x-parts/a/b"), &Outline::all()));
        assert!(outline.add(&path("paths/p/get/x"), &Outline::all()));
        let document = r#"{"x-parts":{"a":[1],"b":2},"paths":{"p":{"get":{"x":[2],"y":1,"operationId":"i"}},"q":{"get":{"x":1}}}}"#;
        check(
            &outline,
            document,
            r#"{"x-parts":{"a":[1]},"paths":{"p":{"get":{"x":[2],"operationId":"i"}},"q":{"get":{}}}}"#,
        );
    }
}
