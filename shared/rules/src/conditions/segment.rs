//! `{"segment": "seg_…"}`: members of another segment, as its newest cohort has them; and `{"list": "lst_…"}`: users
//! on a list. Both are a cohort that is looked for when the rule is checked.

use muster_days::Ds;

use crate::check::{Dating, Names};
use crate::codes;
use crate::freshness::{Freshness, Part};
use crate::plan::Test;
use crate::pointer::At;
use crate::problem::shown;
use crate::reader::{Fields, Reader};

/// `key` is `segment` or `list`.
pub(crate) fn read(reader: &mut Reader, fields: Fields, key: &str, at: &At) -> Option<String> {
    reader.only(fields, at, &[key]);
    reader.name(fields.get(key)?, &at.key(key))
}

pub(crate) struct Resolved<'r> {
    kind: Part,
    id: &'r str,
    /// From old to new.
    cohorts: &'r [(Ds, String)],
    /// The newest day that it is made for; a list has no days.
    pub newest: Option<Ds>,
}

pub(crate) fn resolve<'r, 'c: 'r>(names: &mut Names<'c>, id: &'r str, at: &At) -> Option<Resolved<'r>> {
    let catalogue = names.catalogue;
    let Some(cohorts) = catalogue.segment(id) else {
        let detail = format!("no segment `{}` can be named here: use the id of one of the app's", shown(id));
        names.problems.push(&at.key("segment"), codes::UNKNOWN_SEGMENT, detail);
        return None;
    };
    // A run may look from a day that has no data yet: no other rule has to look from there, too.
    let newest = cohorts.last().map(|(ds, _)| *ds).min(catalogue.newest());
    Some(Resolved { kind: Part::Segment, id, cohorts, newest })
}

pub(crate) fn resolve_list<'r, 'c: 'r>(names: &mut Names<'c>, id: &'r str, at: &At) -> Option<Resolved<'r>> {
    let Some(cohorts) = names.catalogue.list(id) else {
        let detail = format!("no list `{}` can be named here: use the id of one of the app's", shown(id));
        names.problems.push(&at.key("list"), codes::UNKNOWN_LIST, detail);
        return None;
    };
    Some(Resolved { kind: Part::List, id, cohorts, newest: None })
}

impl Resolved<'_> {
    /// The cohort that was newest on the day the rule looks from; of a list the newest one, whatever the day.
    /// Without one the rule has no answer: nobody would be a wrong one.
    pub fn date(self, pointer: &str, dating: &mut Dating) -> Test {
        let catalogue = dating.catalogue;
        let there = |id: &str| catalogue.cohort(id).is_some();
        let found = match self.kind {
            // An older version would be another list.
            Part::List => self.cohorts.last().filter(|(_, id)| there(id)),
            _ => self.cohorts.iter().rev().find(|(ds, id)| *ds <= dating.as_of && there(id)),
        };
        match found {
            None => self.refuse(pointer, dating),
            Some((ds, _)) => self.warn(*ds, pointer, dating),
        }
        dating.freshness.push(Freshness {
            pointer: pointer.to_owned(),
            kind: self.kind,
            name: self.id.to_owned(),
            ds: found.map(|(ds, _)| *ds),
            from: None,
            to: None,
            missing_days: Vec::new(),
        });
        Test::Cohort { id: found.map(|(_, cohort)| cohort.clone()).unwrap_or_default() }
    }

    fn refuse(&self, pointer: &str, dating: &mut Dating) {
        let id = shown(self.id);
        let (key, code, detail) = match self.kind {
            Part::List => {
                let detail = format!("nothing was uploaded to the list `{id}`: fill it first");
                ("list", codes::LIST_NOT_FILLED, detail)
            }
            _ => {
                let as_of = dating.as_of;
                let detail =
                    format!("nothing was made of the segment `{id}` on {as_of} or before: have it run first");
                ("segment", codes::SEGMENT_NOT_MADE, detail)
            }
        };
        dating.problems.push_not_made(format!("{pointer}/{key}"), code, detail);
    }

    fn warn(&self, ds: Ds, pointer: &str, dating: &mut Dating) {
        if self.kind == Part::List || ds == dating.as_of {
            return;
        }
        let detail = format!(
            "nothing was made of the segment `{}` on {}: its members are those of {ds}",
            shown(self.id),
            dating.as_of
        );
        dating.warn(pointer, codes::SEGMENT_BEHIND, detail);
    }
}
