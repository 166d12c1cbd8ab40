//! From a path to the operation whose template it fits: `/users/7` to `/users/{id}`.
//!
//! Literal segments come before templated ones (OpenAPI 3.1 section 4.8.8.2), and of those the ones with more literal text.
//! Each node of the tree is looked at once at most, so that a search takes no longer than the document is large.

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;

/// Templates, each with what it leads to.
#[derive(Debug, Default)]
pub(super) struct Paths {
    root: Node,
}

/// What begins in one way.
#[derive(Debug, Default)]
struct Node {
    /// By the next segment, as it is.
    literal: HashMap<String, Node>,
    /// By the next segment's template, the most literal one first.
    templated: Vec<(Segment, Node)>,
    /// What templates that end here lead to, by method in upper case.
    ends: HashMap<String, usize>,
}

/// A segment with parameters: literal text around their names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    /// The text in front of the first parameter, then a parameter's name and the text behind it, each.
    head: String,
    parameters: Vec<(String, String)>,
}

/// What a path fits: what its template leads to, and the parameters in it, still percent-encoded.
pub(super) type Fit<'a> = (usize, Vec<(&'a str, &'a str)>);

impl Paths {
    /// Adds a template. The first one of the same form stays.
    pub(super) fn add(&mut self, method: &str, template: &str, leads_to: usize) {
        let Some(path) = template.strip_prefix('/') else { return };
        let mut node = &mut self.root;
        for text in path.split('/') {
            node = match Segment::of(text) {
                None => node.literal.entry(decoded(text).into_owned()).or_default(),
                Some(segment) => node.under(segment),
            };
        }
        node.ends.entry(method.to_ascii_uppercase()).or_insert(leads_to);
    }

    /// What a path fits: without query, as it stands in the request.
    pub(super) fn find<'a>(&'a self, method: &str, path: &'a str) -> Option<Fit<'a>> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let mut parameters = Vec::new();
        let method = match method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            true => Cow::Owned(method.to_ascii_uppercase()),
            false => Cow::Borrowed(method),
        };
        let found = self.root.find(&method, &segments, &mut parameters)?;
        Some((found, parameters))
    }
}

impl Node {
    /// The node under a templated segment. Segments that differ in names only are kept apart: what they fit is the same,
    /// and the first one is found.
    fn under(&mut self, segment: Segment) -> &mut Self {
        let at = match self.templated.iter().position(|(known, _)| *known == segment) {
            Some(at) => at,
            None => {
                let literal = segment.literal();
                let at = self.templated.partition_point(|(known, _)| known.literal() >= literal);
                self.templated.insert(at, (segment, Self::default()));
                at
            }
        };
        &mut self.templated[at].1
    }

    fn find<'a>(
        &'a self,
        method: &str,
        segments: &[&'a str],
        parameters: &mut Vec<(&'a str, &'a str)>,
    ) -> Option<usize> {
        let Some((first, rest)) = segments.split_first() else { return self.ends.get(method).copied() };
        if let Some(node) = self.literal.get(decoded(first).as_ref())
            && let Some(found) = node.find(method, rest, parameters)
        {
            return Some(found);
        }
        for (segment, node) in &self.templated {
            let before = parameters.len();
            if segment.fits(first, parameters)
                && let Some(found) = node.find(method, rest, parameters)
            {
                return Some(found);
            }
            parameters.truncate(before);
        }
        None
    }
}

impl Segment {
    /// A segment, if it has parameters.
    fn of(text: &str) -> Option<Self> {
        let (head, mut rest) = text.split_once('{')?;
        let mut parameters = Vec::new();
        loop {
            let (name, behind) = rest.split_once('}')?;
            match behind.split_once('{') {
                Some((between, next)) => {
                    parameters.push((name.to_owned(), decoded(between).into_owned()));
                    rest = next;
                }
                None => {
                    parameters.push((name.to_owned(), decoded(behind).into_owned()));
                    return Some(Self { head: decoded(head).into_owned(), parameters });
                }
            }
        }
    }

    /// How much of it is literal.
    fn literal(&self) -> usize {
        self.head.len() + self.parameters.iter().map(|(_, behind)| behind.len()).sum::<usize>()
    }

    /// Whether a segment of a path fits, and what its parameters are. Each takes one character at least, and as few as it can.
    fn fits<'a>(&'a self, text: &'a str, found: &mut Vec<(&'a str, &'a str)>) -> bool {
        let Some(mut rest) = text.strip_prefix(self.head.as_str()) else { return false };
        for (index, (name, behind)) in self.parameters.iter().enumerate() {
            let is_last = index + 1 == self.parameters.len();
            let value = if is_last {
                rest.strip_suffix(behind.as_str())
            } else {
                let skipped = rest.chars().next().map_or(0, char::len_utf8);
                let at = rest.get(skipped..).and_then(|tail| tail.find(behind.as_str())).map(|at| at + skipped);
                at.and_then(|at| rest.get(..at))
            };
            let Some(value) = value.filter(|value| !value.is_empty()) else { return false };
            found.push((name, value));
            rest = rest.get(value.len() + behind.len()..).unwrap_or_default();
        }
        true
    }
}

/// A segment, decoded: what is written in two ways is the same segment.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATES: [&str; 11] = [
        "/users",
        "/users/{id}",
        "/users/me",
        "/users/{id}/posts/{post}",
        "/{tenant}/me/posts/7",
        "/files/{name}.json",
        "/files/{name}",
        "/ranges/{from}..{to}",
        "/a b/%7Bx%7D",
        "/",
        "/odd/{unended",
    ];

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let mut paths = Paths::default();
        for (at, template) in TEMPLATES.iter().enumerate() {
            paths.add("get", template, at);
        }
        let found = paths.find("GET", path).map(|(at, parameters)| {
            let parameters: Vec<String> = parameters.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{}{}", TEMPLATES[at], parameters.concat())
        });
        assert_eq!(found.unwrap_or_default(), expected, "{path}");
        assert_eq!(paths.find("POST", path), None);
    }

    #[test]
    fn literal_segments_come_first_and_a_dead_end_is_left_again() {
        check("/users", "/users");
        check("/users/", "");
        check("/users/7", "/users/{id} id=7");
        check("/users/me", "/users/me");
        check("/users/%6De", "/users/me");
        check("/users/me/posts/7", "/users/{id}/posts/{post} id=me post=7");
        check("/x/me/posts/7", "/{tenant}/me/posts/7 tenant=x");
        check("/users/7/posts", "");
        check("/users//posts/1", "");
        check("/users/a%2Fb", "/users/{id} id=a%2Fb");
        check("/", "/");
        check("users", "");
        check("", "");
    }

    #[test]
    fn a_segment_may_be_templated_in_part() {
        check("/files/a.json", "/files/{name}.json name=a");
        check("/files/a.xml", "/files/{name} name=a.xml");
        check("/files/.json", "/files/{name} name=.json");
        check("/ranges/1..5", "/ranges/{from}..{to} from=1 to=5");
        check("/ranges/..5", "");
        check("/a%20b/{x}", "/a b/%7Bx%7D");
        check("/odd/{unended", "/odd/{unended");
    }
}
