//! What the members of a cohort are, beside the whole app: every tag of some labels or of all, in one pass.

use std::sync::Arc;
use std::time::Instant;

use muster_catalogue::hidden::{Counts, sum_shown};
use muster_days::Ds;
use muster_evaluator::{Control, LabelCounts, Matrix, Weights};
use muster_profile_store::{LabelPart, Snapshot};
use muster_rules::{Leaf, Node, Plan, Test, Universe, nearest};
use muster_statistics::{Tagged, q_values, two_sided};

use super::in_app::InApp;
use super::served::snapshot;
use crate::Segments;
use crate::answers::Cohort;
use crate::error::Error;
use crate::profile_answers::{CohortProfile, ProfiledLabel, ProfiledTag, ProfiledWeight};

/// Discoveries are told at this rate.
const RATE: f64 = 0.05;

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The tag whose share differs most significantly from that of the rest of the app, either way.
    Surprise,
    /// The tag that the cohort carries most of all, compared with the whole app.
    Index,
    /// The tag that most members carry.
    Users,
}

/// What is asked of the labels.
pub struct Scope {
    /// By id or name; all that are not retired when empty.
    pub labels: Vec<String>,
    /// The day whose labels count; the cohort's own when not given.
    pub ds: Option<Ds>,
    /// Tags of the answer.
    pub top: usize,
}

/// Members of the cohort, as a universe.
pub fn members_of(id: &str, ds: Ds) -> Universe {
    Universe::Defined { name: id.to_owned(), plan: Box::new(plan_of(id, ds)) }
}

/// The rule that names nothing but the cohort.
pub fn plan_of(id: &str, ds: Ds) -> Plan {
    let leaf = Leaf { pointer: String::new(), test: Test::Cohort { id: id.to_owned() } };
    Plan { universe: Universe::All, as_of: ds, root: Node::Leaf(0), leaves: vec![leaf] }
}

/// A label that is asked for, with its newest part at or before the day.
pub struct Asked {
    pub id: i64,
    pub name: String,
    pub part: Option<Arc<LabelPart>>,
}

impl Scope {
    pub fn parts(&self, snapshot: &Snapshot, ds: Ds) -> Result<Vec<Asked>, Error> {
        let entries = &snapshot.manifest().labels;
        let find = |given: &String| {
            let by_id = given.parse::<i64>().ok().filter(|id| entries.contains_key(id));
            let by_name = || entries.iter().find(|(_, entry)| entry.name == *given).map(|(id, _)| *id);
            by_id.or_else(by_name).ok_or_else(|| Error::Unknown {
                what: "label",
                given: given.clone(),
                nearest: nearest(given, entries.values().map(|entry| &entry.name)),
            })
        };
        let retired = |id: &i64| snapshot.catalogue().labels.get(id).is_some_and(|card| card.retired);
        let ids: Vec<i64> = match self.labels.is_empty() {
            true => entries.keys().filter(|id| !retired(id)).copied().collect(),
            false => self.labels.iter().map(find).collect::<Result<_, _>>()?,
        };
        let mut asked: Vec<Asked> = Vec::with_capacity(ids.len());
        for id in ids {
            if asked.iter().any(|other| other.id == id) {
                continue;
            }
            let day = entries[&id].days.range(..=ds).next_back().map(|(day, _)| *day);
            let part = day.map(|day| snapshot.label(id, day)).transpose()?.flatten();
            asked.push(Asked { id, name: entries[&id].name.clone(), part });
        }
        Ok(asked)
    }
}

/// `cohort` may be shown. Blocks.
pub fn profile(
    segments: &Segments,
    cohort: &Cohort,
    scope: &Scope,
    order: Order,
    (control, began): (&Control<'_>, Instant),
) -> Result<CohortProfile, Error> {
    super::on_newest_data(|| profile_once(segments, cohort, scope, order, (control, began)))
}

fn profile_once(
    segments: &Segments,
    cohort: &Cohort,
    scope: &Scope,
    order: Order,
    (control, began): (&Control<'_>, Instant),
) -> Result<CohortProfile, Error> {
    let snapshot = snapshot(segments, &cohort.app_id)?;
    let ds = scope.ds.unwrap_or(cohort.ds);
    let asked = scope.parts(&snapshot, ds)?;
    let parts: Vec<Arc<LabelPart>> = asked.iter().filter_map(|label| label.part.clone()).collect();
    let crowds = [members_of(&cohort.id, ds), Universe::All];
    let counts = Matrix::new(&crowds, &[], parts, snapshot.clone())?.counts(control)?;
    let floor = snapshot.catalogue().settings.floor();
    let sizes = (counts.crowds[0], counts.crowds[1]);
    let view = View { snapshot: &snapshot, of: InApp::new(&snapshot, sizes.0, sizes.1) };
    let mut found = counts.labels.iter();
    let (mut labels, mut tags) = (Vec::new(), Vec::new());
    for label in &asked {
        let counts = label.part.as_ref().and_then(|_| found.next());
        labels.push(view.label(label, counts));
        tags.extend(counts.into_iter().flat_map(|counts| view.tags(label, counts)));
    }
    let tested = test(&mut tags);
    let discoveries = tags.iter().filter(|tag| tag.q.is_some_and(|q| q <= RATE)).count();
    sort(&mut tags, order);
    let tags_total = tags.len();
    tags.truncate(scope.top);
    Ok(CohortProfile {
        cohort_id: cohort.id.clone(),
        ds,
        users: sizes.0,
        app_users: view.of.sizes().app,
        labels,
        tags,
        tags_total,
        tested,
        discoveries,
        privacy_floor: floor.named(),
        took_ms: super::millis(began),
    })
}

struct View<'s> {
    snapshot: &'s Snapshot,
    of: InApp,
}

impl View<'_> {
    /// Place, users in the cohort and users in the app of each tag that anybody carries.
    fn carried<'c>(&self, counts: &'c LabelCounts) -> impl Iterator<Item = (usize, Counts)> + Clone + 'c {
        let users =
            |place: usize| Counts { in_crowd: counts.users[0][place], in_app: counts.users[1][place] };
        (0..counts.tags.len()).map(move |place| (place, users(place))).filter(|(_, users)| users.in_app > 0)
    }

    fn label(&self, label: &Asked, counts: Option<&LabelCounts>) -> ProfiledLabel {
        let floor = self.of.floor;
        let told = |(_, counts): (usize, Counts)| (counts, self.of.shown(counts));
        let carry = |counts: &LabelCounts| {
            let all = Counts { in_crowd: counts.carrying[0], in_app: counts.carrying[1] };
            let (of_crowd, of_app) = self.of.shown(all);
            let tags = || self.carried(counts).map(told);
            let in_crowd = tags().map(|(counts, told)| (counts.in_crowd, counts.in_app, told.0.is_some()));
            let in_app = tags().map(|(counts, told)| (counts.in_app, self.of.app, told.1.is_some()));
            let of_crowd = of_crowd.filter(|_| sum_shown(floor, in_crowd));
            (of_crowd, of_app.filter(|_| sum_shown(floor, in_app)))
        };
        let (carrying, app_carrying) = counts.map(carry).unwrap_or_default();
        let label_ds = label.part.as_ref().map(|part| part.meta().ds);
        ProfiledLabel { id: label.id, name: label.name.clone(), label_ds, carrying, app_carrying }
    }

    fn tags<'c>(
        &'c self,
        label: &'c Asked,
        counts: &'c LabelCounts,
    ) -> impl Iterator<Item = ProfiledTag> + 'c {
        self.carried(counts).map(move |(place, users)| self.tag(label, counts, (place, users)))
    }

    fn tag(&self, label: &Asked, counts: &LabelCounts, (place, users): (usize, Counts)) -> ProfiledTag {
        let (in_crowd, in_app) = self.of.shown(users);
        // What follows from both tells each by the other.
        let both = in_crowd.and(in_app).map(|_| self.of.tagged(users));
        ProfiledTag {
            label_id: label.id,
            label: label.name.clone(),
            id: counts.tags[place],
            name: tag_name(self.snapshot, label.id, counts.tags[place]),
            users: in_crowd,
            share: in_crowd.map(|users| users as f64 / self.of.users.max(1) as f64),
            app_users: in_app,
            index: both.and_then(Tagged::index),
            index_interval: both.and_then(Tagged::interval),
            surprise: both.and_then(Tagged::surprise),
            q: None,
            weight: in_crowd.and_then(|users| self.weight(counts, place, users)),
        }
    }

    fn weight(&self, counts: &LabelCounts, place: usize, carrying: u64) -> Option<ProfiledWeight> {
        let weighted = counts.weighted.binary_search(&place).ok()?;
        let Weights { users, sum } = counts.weights[0][weighted];
        let told = |of: u64| users > 0 && self.of.floor.shown(users, of).is_some();
        let told = told(carrying) && told(counts.weights[1][weighted].users);
        let mean = sum as f64 / users as f64;
        told.then(|| ProfiledWeight { users, sum: i64::try_from(sum).ok(), mean })
    }
}

/// The name of a tag, empty when it has none.
pub fn tag_name(snapshot: &Snapshot, label: i64, tag: i64) -> String {
    let entry = snapshot.manifest().labels.get(&label);
    entry.and_then(|entry| entry.tags.get(&tag).cloned()).unwrap_or_default()
}

/// Fills in `q`; answers how many tags were tested.
fn test(tags: &mut [ProfiledTag]) -> usize {
    let p_values: Vec<f64> = tags.iter().filter_map(|tag| tag.surprise).map(two_sided).collect();
    let tested = tags.iter_mut().filter(|tag| tag.surprise.is_some());
    tested.zip(q_values(&p_values)).for_each(|(tag, q)| tag.q = Some(q));
    p_values.len()
}

fn sort(tags: &mut [ProfiledTag], order: Order) {
    let key = |tag: &ProfiledTag| match order {
        Order::Surprise => tag.surprise.map_or(-1.0, f64::abs),
        Order::Index => tag.index.unwrap_or(-1.0),
        Order::Users => tag.users.map_or(-1.0, |users| users as f64),
    };
    tags.sort_by(|a, b| {
        key(b)
            .total_cmp(&key(a))
            .then(b.users.cmp(&a.users))
            .then((a.label_id, a.id).cmp(&(b.label_id, b.id)))
    });
}
