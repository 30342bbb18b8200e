//! `{"segment": "seg_…"}`: members of another segment, as its newest cohort has them.

use muster_days::Ds;

use crate::check::{Dating, Names};
use crate::codes;
use crate::freshness::{Freshness, Part};
use crate::plan::Test;
use crate::pointer::At;
use crate::problem::shown;
use crate::reader::{Fields, Reader};

pub(crate) fn read(reader: &mut Reader, fields: Fields, at: &At) -> Option<String> {
    reader.only(fields, at, &["segment"]);
    reader.name(fields.get("segment")?, &at.key("segment"))
}

pub(crate) struct Resolved<'r> {
    id: &'r str,
    /// From old to new.
    cohorts: Vec<(Ds, String)>,
}

pub(crate) fn resolve<'r>(names: &mut Names, id: &'r str, at: &At) -> Option<Resolved<'r>> {
    let cohorts = names.catalogue.segment(id);
    if cohorts.is_none() {
        let detail = format!("no segment `{}` can be named here: use the id of one of the app's", shown(id));
        names.problems.push(&at.key("segment"), codes::UNKNOWN_SEGMENT, detail);
    }
    Some(Resolved { id, cohorts: cohorts? })
}

impl Resolved<'_> {
    pub fn newest(&self) -> Option<Ds> {
        self.cohorts.last().map(|(ds, _)| *ds)
    }

    /// The cohort that was newest on the day the rule looks from. Without one the rule has no answer: nobody
    /// would be a wrong one.
    pub fn date(self, pointer: &str, dating: &mut Dating) -> Test {
        let there = |id: &str| dating.catalogue.cohort(id).is_some();
        let found = self.cohorts.into_iter().rev().find(|(ds, id)| *ds <= dating.as_of && there(id));
        if found.is_none() {
            let detail = format!(
                "nothing was made of the segment `{}` on {} or before: have it run first",
                shown(self.id),
                dating.as_of
            );
            let at = format!("{pointer}/segment");
            dating.problems.push_at(at, codes::SEGMENT_NOT_MADE, detail, None);
        }
        let (ds, cohort) = found.unzip();
        dating.freshness.push(Freshness {
            pointer: pointer.to_owned(),
            kind: Part::Segment,
            name: self.id.to_owned(),
            ds,
            from: None,
            to: None,
            missing_days: Vec::new(),
        });
        Test::Cohort { id: cohort.unwrap_or_default() }
    }
}
