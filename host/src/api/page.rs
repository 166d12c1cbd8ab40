//! Lists in pages: a cursor says where the next page begins. It is opaque to clients, and good as long as they like.

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;

use super::problem::Problem;

/// Items on a page where the client doesn't say.
const DEFAULT: u64 = 100;

/// The most items on a page.
const MOST: u64 = 1000;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The items, in order.
    pub(super) items: Vec<T>,
    /// Give it as `cursor` to get the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// Which page a client asks for.
pub(super) struct Wanted<K> {
    /// The id of the last item of the page before.
    pub(super) after: Option<K>,
    /// Items on a page.
    limit: usize,
}

impl<K: std::str::FromStr> Wanted<K> {
    /// Reads `limit` and `cursor`.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let mut query = Query::of(uri);
        let limit = query.number("limit", 1..=MOST).unwrap_or(DEFAULT);
        let after = query.text("cursor").and_then(|cursor| {
            let id = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|id| String::from_utf8(id).ok()?.parse().ok());
            if id.is_none() {
                query.fault("cursor", "is none that this list gave");
            }
            id
        });
        query.finish()?;
        Ok(Self { after, limit: usize::try_from(limit).unwrap_or(1) })
    }

    /// How many items to read: one more than are shown tells whether there is a next page.
    pub(super) fn to_read(&self) -> usize {
        self.limit + 1
    }

    /// The page out of what was read.
    pub(super) fn page<I, T>(&self, mut read: Vec<I>, id: impl Fn(&I) -> String, view: impl FnMut(I) -> T) -> Page<T> {
        let more = read.len() > self.limit;
        read.truncate(self.limit);
        let next = read.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(id(last)));
        Page { items: read.into_iter().map(view).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let all: Vec<u64> = (1..=7).collect();
        let mut seen = Vec::new();
        let mut uri: Uri = "/x?limit=3".parse().unwrap();
        for pages_left in (0..3).rev() {
            let wanted = Wanted::<u64>::of(&uri).unwrap();
            let after = wanted.after.unwrap_or(0);
            let read = all.iter().copied().filter(|item| *item > after).take(wanted.to_read()).collect();
            let page = wanted.page(read, ToString::to_string, |item| item);
            seen.extend(page.items);
            assert_eq!(page.next.is_some(), pages_left > 0);
            uri = format!("/x?limit=3&cursor={}", page.next.unwrap_or_default()).parse().unwrap();
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn bad_pages_are_refused() {
        for query in ["limit=0", "limit=1001", "limit=x", "cursor=%21", "cursor=eA", "cursor=1", "page=2"] {
            assert!(Wanted::<u64>::of(&format!("/x?{query}").parse().unwrap()).is_err(), "{query}");
        }
    }
}
