//! Labels and tags by what people call them: id, name, display names in any language, and of a label the
//! names of its tags too.

use std::collections::BTreeMap;

use muster_catalogue::{DisplayNames, LabelCard, TagCard};
use muster_profile_store::{LabelEntry, Snapshot};

use super::matching::{How, Rank, Wanted};

/// The best match of one label or tag. Sorts as a list shows it: the best first, a label's own names before
/// those of its tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found<'a> {
    pub rank: Rank,
    /// Whether it is a tag of the label that is called so.
    of_tag: bool,
    /// Empty where it is the id.
    pub text: &'a str,
    pub id: i64,
    /// The tag that is.
    pub tag: Option<i64>,
}

impl Found<'_> {
    pub fn how(&self) -> How {
        self.rank.0
    }
}

/// What a label and its tags are called.
pub struct Called<'a> {
    id: i64,
    entry: Option<&'a LabelEntry>,
    card: Option<&'a LabelCard>,
}

impl<'a> Called<'a> {
    pub fn of(snapshot: &'a Snapshot, id: i64) -> Called<'a> {
        let (entry, card) = (snapshot.manifest().labels.get(&id), snapshot.catalogue().labels.get(&id));
        Called { id, entry, card }
    }

    /// How many texts there are to look through, about.
    pub fn texts(&self) -> usize {
        let tags =
            |card: &LabelCard| card.tags.values().map(|tag| 1 + tag.display_names.len()).sum::<usize>();
        let said = self.card.map_or(0, |card| 1 + card.display_names.len() + tags(card));
        said + self.entry.map_or(0, |entry| 1 + entry.tags.len())
    }

    /// None when nothing that it is called matches. Tags that are retired count only when they are asked
    /// for.
    pub fn find(&self, wanted: &Wanted, retired: bool) -> Option<Found<'a>> {
        let own = self.entry.map(|entry| entry.name.as_str());
        let card = self.card.and_then(|card| card.name.as_deref());
        let shown = self.card.into_iter().flat_map(|card| texts(&card.display_names));
        let named = own.into_iter().chain(card).chain(shown);
        let named = named.filter_map(|text| Some((wanted.rank(text)?, text, None)));
        let by_id = wanted.rank_number(self.id).map(|rank| (rank, "", None));
        let tags = self.tags().filter(|(_, _, hidden)| retired || !hidden);
        let tags = tags.filter_map(|(code, text, _)| Some((wanted.rank(text)?, text, Some(code))));
        let found = by_id.into_iter().chain(named).chain(tags);
        let found =
            found.map(|(rank, text, tag)| Found { rank, of_tag: tag.is_some(), text, id: self.id, tag });
        found.min()
    }

    /// Every name of every tag, and whether the tag is retired.
    fn tags(&self) -> impl Iterator<Item = (i64, &'a str, bool)> {
        let cards = self.card.map(|card| &card.tags);
        let hidden =
            move |code: &i64| cards.and_then(|cards| cards.get(code)).is_some_and(|card| card.retired);
        let published = self.entry.into_iter().flat_map(|entry| &entry.tags);
        let published = published.map(move |(code, name)| (*code, name.as_str(), hidden(code)));
        let said = cards.into_iter().flatten();
        let said = said.flat_map(|(code, card)| tag_texts(card).map(move |text| (*code, text, card.retired)));
        published.chain(said)
    }
}

/// The best match of a tag that is called `name` where it is published.
pub fn find_tag<'a>(
    (code, name): (i64, &'a str),
    cards: Option<&'a BTreeMap<i64, TagCard>>,
    wanted: &Wanted,
) -> Option<Found<'a>> {
    let said = cards.and_then(|cards| cards.get(&code)).into_iter().flat_map(tag_texts);
    let named = std::iter::once(name).chain(said).filter_map(|text| Some((wanted.rank(text)?, text)));
    // The beginning of a code says nothing: tags are numbered from 1.
    let by_id = wanted.rank_number(code).filter(|rank| rank.0 == How::Exact).map(|rank| (rank, ""));
    let found = by_id.into_iter().chain(named);
    found.map(|(rank, text)| Found { rank, of_tag: false, text, id: code, tag: None }).min()
}

fn texts(names: &DisplayNames) -> impl Iterator<Item = &str> {
    names.values().map(String::as_str)
}

fn tag_texts(card: &TagCard) -> impl Iterator<Item = &str> {
    card.name.as_deref().into_iter().chain(texts(&card.display_names))
}
