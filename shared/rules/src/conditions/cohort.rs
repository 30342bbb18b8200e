//! `{"cohort": "coh_…"}`: members of a cohort made before.

use crate::catalogue::CohortInfo;
use crate::check::{Dating, Names};
use crate::codes;
use crate::freshness::{Freshness, Part};
use crate::plan::Test;
use crate::pointer::At;
use crate::problem::shown;
use crate::reader::{Fields, Reader};

pub(crate) fn read(reader: &mut Reader, fields: Fields, at: &At) -> Option<String> {
    reader.only(fields, at, &["cohort"]);
    reader.name(fields.get("cohort")?, &at.key("cohort"))
}

pub(crate) struct Resolved<'r> {
    pub id: &'r str,
    pub info: CohortInfo,
}

pub(crate) fn resolve<'r>(names: &mut Names, id: &'r str, at: &At) -> Option<Resolved<'r>> {
    let info = names.catalogue.cohort(id);
    if info.is_none() {
        let detail = format!("the app has no cohort `{}`: use the id of one that is done", shown(id));
        names.problems.push(&at.key("cohort"), codes::UNKNOWN_COHORT, detail);
    }
    Some(Resolved { id, info: info? })
}

impl Resolved<'_> {
    /// A cohort is what it is on its own day, whatever day the rule looks from.
    pub fn date(self, pointer: &str, dating: &mut Dating) -> Test {
        let ds = self.info.ds;
        if ds > dating.as_of {
            let detail = format!("the cohort was made for {ds}, after the rule's as_of {}", dating.as_of);
            dating.warn(pointer, codes::COHORT_AFTER_AS_OF, detail);
        }
        dating.freshness.push(Freshness {
            pointer: pointer.to_owned(),
            kind: Part::Cohort,
            name: self.id.to_owned(),
            ds: Some(ds),
            from: None,
            to: None,
            missing_days: Vec::new(),
        });
        Test::Cohort { id: self.id.to_owned() }
    }
}
