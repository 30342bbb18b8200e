//! What became of a cohort: who entered and who left since another one, and what they are.

use std::sync::Arc;
use std::time::Instant;

use muster_catalogue::Floor;
use muster_evaluator::{Control, LabelCounts, Matrix, overlap};
use muster_profile_store::{LabelPart, Snapshot};
use muster_rules::{Leaf, Node, Plan, Test, Universe};

use super::profile::{Asked, Scope, members_of, tag_name};
use super::served::snapshot;
use crate::Segments;
use crate::answers::Cohort;
use crate::error::Error;
use crate::profile_answers::{ChangedTag, CohortDifference, LabelDay};

/// Members of the first cohort who are none of the second.
fn without(first: &Cohort, second: &Cohort) -> Universe {
    let leaf = |id: &str| Leaf { pointer: String::new(), test: Test::Cohort { id: id.to_owned() } };
    let root = Node::All(vec![Node::Leaf(0), Node::Not(Box::new(Node::Leaf(1)))]);
    let leaves = vec![leaf(&first.id), leaf(&second.id)];
    let plan = Plan { universe: Universe::All, as_of: first.ds, root, leaves };
    Universe::Defined { name: first.id.clone(), plan: Box::new(plan) }
}

/// Two cohorts of one app, `before` and `after`, that may be shown. Refused where those who entered, left or stayed
/// are so few that the app does not let them be shown: the tags would tell who they are. Blocks.
pub fn difference(
    segments: &Segments,
    (before, after): (&Cohort, &Cohort),
    scope: &Scope,
    (control, began): (&Control<'_>, Instant),
) -> Result<CohortDifference, Error> {
    super::on_newest_data(|| difference_once(segments, (before, after), scope, (control, began)))
}

fn difference_once(
    segments: &Segments,
    (before, after): (&Cohort, &Cohort),
    scope: &Scope,
    (control, began): (&Control<'_>, Instant),
) -> Result<CohortDifference, Error> {
    let snapshot = snapshot(segments, &after.app_id)?;
    let floor = snapshot.catalogue().settings.floor();
    let ids = [before.id.clone(), after.id.clone()];
    let regions = overlap(&snapshot, &ids, control)?;
    let (left, entered, stayed) = (regions[1], regions[2], regions[3]);
    if [left, entered, stayed].iter().any(|users| floor.is_few(*users)) {
        return Err(Error::BelowFloor(floor));
    }
    let ds = scope.ds.unwrap_or(after.ds);
    let asked = scope.parts(&snapshot, ds)?;
    let parts: Vec<Arc<LabelPart>> = asked.iter().filter_map(|label| label.part.clone()).collect();
    let crowds = [
        members_of(&before.id, ds),
        members_of(&after.id, ds),
        without(after, before),
        without(before, after),
    ];
    let counts = Matrix::new(&crowds, &[], parts, snapshot.clone())?.counts(control)?;
    let view = View { snapshot: &snapshot, floor, sizes: [left + stayed, entered + stayed, entered, left] };
    let mut found = counts.labels.iter();
    let (mut labels, mut tags) = (Vec::new(), Vec::new());
    for label in &asked {
        let counts = label.part.as_ref().and_then(|_| found.next());
        let label_ds = label.part.as_ref().map(|part| part.meta().ds);
        labels.push(LabelDay { id: label.id, name: label.name.clone(), label_ds });
        tags.extend(counts.into_iter().flat_map(|counts| view.tags(label, counts)));
    }
    tags.sort_by(|a, b| {
        let change = |tag: &ChangedTag| tag.change.map_or(-1.0, f64::abs);
        change(b).total_cmp(&change(a)).then((a.label_id, a.id).cmp(&(b.label_id, b.id)))
    });
    let tags_total = tags.len();
    tags.truncate(scope.top);
    Ok(CohortDifference {
        cohort_id: after.id.clone(),
        from: before.id.clone(),
        ds,
        before: left + stayed,
        after: entered + stayed,
        entered,
        left,
        stayed,
        labels,
        tags,
        tags_total,
        privacy_floor: floor.named(),
        took_ms: super::millis(began),
    })
}

/// Both cohorts; sizes of before, after, entered and left.
struct View<'s> {
    snapshot: &'s Snapshot,
    floor: Floor,
    sizes: [u64; 4],
}

impl View<'_> {
    /// Tags that anybody in either cohort carries.
    fn tags<'c>(
        &'c self,
        label: &'c Asked,
        counts: &'c LabelCounts,
    ) -> impl Iterator<Item = ChangedTag> + 'c {
        let users = |place: usize| std::array::from_fn(|crowd| counts.users[crowd][place]);
        let places = (0..counts.tags.len()).map(move |place| (counts.tags[place], users(place)));
        places
            .filter(|(_, users): &(i64, [u64; 4])| users[0] + users[1] > 0)
            .map(move |(tag, users)| self.tag(label, tag, users))
    }

    fn tag(&self, label: &Asked, tag: i64, users: [u64; 4]) -> ChangedTag {
        let [before, _, entered, left] = users;
        let [all_before, _, all_entered, all_left] = self.sizes;
        let told = |users: u64, of: u64| self.floor.shown(users, of).is_some();
        // Any two of the counts tell a third: those who carry the tag entered, left or stayed.
        let stayed = told(before - left, all_before - all_left);
        let moved = told(entered, all_entered) && told(left, all_left) && stayed;
        // Where nobody entered, or nobody left, the difference of the two cohorts is who left, or entered.
        let both = moved || (all_entered > 0 && all_left > 0);
        let told = |crowd: usize| self.floor.shown(users[crowd], self.sizes[crowd]);
        let (told_before, told_after) = (told(0).filter(|_| both), told(1));
        let share = |users: Option<u64>, of: usize| Some(users? as f64 / self.sizes[of].max(1) as f64);
        let shares = (share(told_before, 0), share(told_after, 1));
        // Of both cohorts, and of those who stayed: whoever has these three has the others.
        let moved = moved && told_before.is_some() && told_after.is_some();
        ChangedTag {
            label_id: label.id,
            label: label.name.clone(),
            id: tag,
            name: tag_name(self.snapshot, label.id, tag),
            before: told_before,
            after: told_after,
            share_before: shares.0,
            share_after: shares.1,
            change: shares.1.zip(shares.0).map(|(after, before)| after - before),
            entered: moved.then_some(entered),
            left: moved.then_some(left),
        }
    }
}
