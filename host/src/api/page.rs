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
        let wanted = Self::read(&mut query);
        query.finish()?;
        Ok(wanted)
    }

    /// Reads `limit` and `cursor` out of a query that has other parameters besides.
    pub(super) fn read(query: &mut Query) -> Self {
        let limit = query.number("limit", 1..=MOST).unwrap_or(DEFAULT);
        let after = query.text("cursor").and_then(|cursor| {
            let id = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|id| String::from_utf8(id).ok()?.parse().ok());
            if id.is_none() {
                query.fault("cursor", "is none that this list gave");
            }
            id
        });
        Self { after, limit: usize::try_from(limit).unwrap_or(1) }
    }

    /// Begins a page of those items that pass a sieve.
    pub(super) fn sieve<I>(&self) -> Sieve<'_, I, K>
    where
        K: Clone,
    {
        Sieve { wanted: self, kept: Vec::new(), after: self.after.clone(), looked_at: 0, is_over: false }
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

/// Items that are looked at for one page where few pass: then the page ends early, and its `next` leads on.
const LOOKED_AT: usize = 10_000;

/// A page while it is filled with those items that pass.
pub(super) struct Sieve<'a, I, K> {
    /// Which page.
    wanted: &'a Wanted<K>,
    /// What passed so far.
    kept: Vec<I>,
    /// The last one that was looked at.
    after: Option<K>,
    /// How many were.
    looked_at: usize,
    /// Whether there are no more.
    is_over: bool,
}

impl<I, K: std::str::FromStr + std::fmt::Display> Sieve<'_, I, K> {
    /// Whether more items are to be read, after [`Sieve::after`].
    pub(super) fn is_open(&self) -> bool {
        !self.is_over && self.kept.len() < self.to_read() && self.looked_at < LOOKED_AT
    }

    /// The id of the last item that was looked at.
    pub(super) fn after(&self) -> Option<&K> {
        self.after.as_ref()
    }

    /// How many items to read at once.
    pub(super) fn to_read(&self) -> usize {
        self.wanted.to_read()
    }

    /// Takes the items that come after the last one; none: there are no more.
    pub(super) fn add(&mut self, read: Vec<I>, id: impl Fn(&I) -> K, passes: impl Fn(&I) -> bool) {
        self.is_over = read.is_empty();
        self.looked_at += read.len();
        self.after = read.last().map(id).or(self.after.take());
        self.kept.extend(read.into_iter().filter(passes));
    }

    /// The page.
    pub(super) fn page<T>(self, id: impl Fn(&I) -> K, view: impl FnMut(I) -> T) -> Page<T> {
        let is_full = self.kept.len() >= self.wanted.to_read();
        let mut page = self.wanted.page(self.kept, |item| id(item).to_string(), view);
        if !is_full && !self.is_over {
            page.next = self.after.map(|after| URL_SAFE_NO_PAD.encode(after.to_string()));
        }
        page
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
    fn a_page_of_few_among_many_leads_on() {
        let all: Vec<u64> = (1..=25_000).collect();
        let (mut seen, mut pages) = (Vec::new(), 0);
        let mut uri: Uri = "/x?limit=2".parse().unwrap();
        loop {
            let wanted = Wanted::<u64>::of(&uri).unwrap();
            let mut sieve = wanted.sieve();
            while sieve.is_open() {
                let after = sieve.after().copied().unwrap_or(0);
                let read = all.iter().copied().filter(|item| *item > after).take(sieve.to_read()).collect();
                sieve.add(read, |item| *item, |item| [7, 8, 9, 24_999].contains(item));
            }
            let page = sieve.page(|item| *item, |item| item);
            seen.extend(page.items);
            pages += 1;
            let Some(next) = page.next else { break };
            uri = format!("/x?limit=2&cursor={next}").parse().unwrap();
        }
        assert_eq!((seen, pages), (vec![7, 8, 9, 24_999], 4));
    }

    #[test]
    fn bad_pages_are_refused() {
        for query in ["limit=0", "limit=1001", "limit=x", "cursor=%21", "cursor=eA", "cursor=1", "page=2"] {
            assert!(Wanted::<u64>::of(&format!("/x?{query}").parse().unwrap()).is_err(), "{query}");
        }
    }
}
