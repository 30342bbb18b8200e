//! Fuzzy look-up of names and values: what contains the text comes first, then what is a slip away.

use muster_http::Page;
use serde::Serialize;
use utoipa::ToSchema;

use super::paging::{Key, Paging};
use crate::error::{Error, Result};

/// Longest text that is looked for, in bytes.
const LONGEST: usize = 4096;
/// Slips are looked for among at most this many candidates: each costs an edit distance.
const SLIPS_AMONG: usize = 20_000;
/// Slips are looked for in texts of this many letters; of a shorter one nearly everything is a slip.
const SLIP_LETTERS: std::ops::RangeInclusive<usize> = 3..=64;

/// How a candidate matches the text, upper and lower case being the same; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It is the text.
    Exact,
    /// It begins with the text.
    Prefix,
    /// It contains the text.
    Substring,
    /// It differs from the text by a few letters.
    Similar,
}

/// Sorts matches: by how they match, then by the letters that differ.
pub type Rank = (How, usize);

/// A text to look for.
pub struct Wanted {
    text: String,
    letters: usize,
    slips: bool,
}

impl Wanted {
    /// None when there is nothing to look for: `match` is absent or empty.
    pub fn new(text: Option<&str>, candidates: usize) -> Result<Option<Wanted>> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        if text.len() > LONGEST {
            return Err(Error::LongMatch { bytes: text.len(), most: LONGEST });
        }
        let text = text.to_lowercase();
        let letters = text.chars().count();
        let slips = candidates <= SLIPS_AMONG && SLIP_LETTERS.contains(&letters);
        Ok(Some(Wanted { text, letters, slips }))
    }

    /// None when the candidate does not match.
    pub fn rank(&self, candidate: &str) -> Option<Rank> {
        let candidate = candidate.to_lowercase();
        match candidate.find(&self.text) {
            Some(0) if candidate.len() == self.text.len() => Some((How::Exact, 0)),
            Some(0) => Some((How::Prefix, 0)),
            Some(_) => Some((How::Substring, 0)),
            None => self.slip(&candidate).map(|letters| (How::Similar, letters)),
        }
    }

    /// Of a number, which is not searched for slips and what it contains: every other one would be like it.
    pub fn rank_number(&self, number: i64) -> Option<Rank> {
        let number = number.to_string();
        let rest = number.strip_prefix(&self.text)?;
        Some((if rest.is_empty() { How::Exact } else { How::Prefix }, 0))
    }

    /// Letters to edit, if they are at most a third of the text.
    fn slip(&self, candidate: &str) -> Option<usize> {
        let allowed = self.letters / 3;
        if !self.slips || candidate.chars().count().abs_diff(self.letters) > allowed {
            return None;
        }
        let distance = strsim::osa_distance(&self.text, candidate);
        (distance <= allowed).then_some(distance)
    }
}

/// A candidate that matches, sorted as a list shows them: the best first, equals by text, then by key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match<'a, K> {
    pub rank: Rank,
    pub text: &'a str,
    pub key: K,
}

/// A page of the candidates that match; the cursor is a candidate's key.
pub fn best<'a, K: Key + Ord + Copy>(
    candidates: impl Iterator<Item = (K, &'a str)>,
    wanted: &Wanted,
    paging: &Paging<K>,
    text_of: impl Fn(K) -> Option<&'a str>,
) -> Result<Page<Match<'a, K>>> {
    let matched = |key: K, text: &'a str| wanted.rank(text).map(|rank| Match { rank, text, key });
    let after = match paging.after {
        Some(key) => Some(text_of(key).and_then(|text| matched(key, text)).ok_or(Error::ForeignCursor)?),
        None => None,
    };
    let found = candidates.filter_map(|(key, text)| matched(key, text));
    Ok(page_after(after, found, paging, |last| last.key))
}

/// A page of matches in ascending order, from behind the one that the cursor names.
pub fn page_after<M: Ord, K: Key>(
    after: Option<M>,
    found: impl Iterator<Item = M>,
    paging: &Paging<K>,
    key: impl FnOnce(&M) -> K,
) -> Page<M> {
    let rest = found.filter(|found| after.as_ref().is_none_or(|after| found > after)).collect();
    paging.page(smallest(rest, paging.fetch()), key)
}

/// The first `most` of `rows` in ascending order.
fn smallest<T: Ord>(mut rows: Vec<T>, most: usize) -> Vec<T> {
    if rows.len() > most {
        rows.select_nth_unstable(most);
        rows.truncate(most);
    }
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks through the candidates two at a time.
    fn check(text: &str, candidates: &[&str], expected: &[&str]) {
        let wanted = Wanted::new(Some(text), candidates.len()).unwrap().unwrap();
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let numbered = (0u32..).zip(candidates.iter().copied());
            let text_of = |key: u32| candidates.get(key as usize).copied();
            let page = best(numbered, &wanted, &Paging { size: 2, after }, text_of).unwrap();
            found.extend(page.items.iter().map(|found| found.text));
            let Some(next) = page.next else { break };
            after = u32::read(&next);
        }
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let wanted = Wanted::new(Some("sale"), 1).unwrap().unwrap();
        for stranger in [0, 7] {
            let paging = Paging { size: 2, after: Some(stranger) };
            let text_of = |key: u32| (key == 0).then_some("weather");
            let result = best([(0, "weather")].into_iter(), &wanted, &paging, text_of);
            assert!(matches!(result, Err(Error::ForeignCursor)), "{stranger}");
        }
    }

    #[test]
    fn exact_then_prefix_then_substring_then_slips() {
        let pages = ["/on-sale", "sale-2", "Sale", "slae", "sail", "news", "salt"];
        check("sale", &pages, &["Sale", "sale-2", "/on-sale", "salt", "slae"]);
        check("SALE", &pages, &["Sale", "sale-2", "/on-sale", "salt", "slae"]);
        check("sa", &pages, &["Sale", "sail", "sale-2", "salt", "/on-sale"]);
    }

    #[test]
    fn letters_count_not_bytes() {
        check("广东省", &["广东", "广东省", "广西省", "湖南省"], &["广东省", "广东", "广西省"]);
        check("ÉCOLE", &["école", "l'école"], &["école", "l'école"]);
    }

    #[test]
    fn nothing_to_look_for_and_too_much() {
        assert!(Wanted::new(None, 1).unwrap().is_none());
        assert!(Wanted::new(Some(""), 1).unwrap().is_none());
        assert!(matches!(Wanted::new(Some(&"x".repeat(LONGEST + 1)), 1), Err(Error::LongMatch { .. })));
    }

    #[test]
    fn long_dictionaries_are_searched_without_slips() {
        let wanted = Wanted::new(Some("sale"), SLIPS_AMONG + 1).unwrap().unwrap();
        assert_eq!(wanted.rank("slae"), None);
        assert_eq!(wanted.rank("on sale"), Some((How::Substring, 0)));
    }

    #[test]
    fn numbers_match_from_their_beginning() {
        let rank = |text: &str, number: i64| Wanted::new(Some(text), 1).unwrap().unwrap().rank_number(number);
        assert_eq!(rank("10001", 10001), Some((How::Exact, 0)));
        assert_eq!(rank("-7", -7), Some((How::Exact, 0)));
        assert_eq!(rank("100", 10001), Some((How::Prefix, 0)));
        assert_eq!((rank("10002", 10001), rank("001", 10001), rank("x", 1)), (None, None, None));
    }

    #[test]
    fn the_smallest_come_in_order() {
        assert_eq!(smallest(vec![5, 3, 9, 1], 2), [1, 3]);
        assert_eq!(smallest(vec![2, 1], 2), [1, 2]);
        assert!(smallest(Vec::<i32>::new(), 2).is_empty());
    }
}
