//! Everything that a snapshot publishes, read through the public calls and written as lines of text.

use std::collections::BTreeSet;

use muster_bitmaps::SlicesView;
use muster_profile_store::{EventPart, EventWeek, LabelPart, Place, Result, Snapshot};

/// Users by place, then every label and event day, every dictionary, and the cohorts asked for.
pub fn content(snapshot: &Snapshot, cohorts: &[&str]) -> Result<Vec<String>> {
    let (manifest, buckets) = (snapshot.manifest(), snapshot.directory().buckets());
    let mut lines = Vec::new();
    for bucket in 0..buckets {
        for ordinal in 0..snapshot.directory().ordinals_in(bucket) {
            let place = Place { bucket, ordinal };
            if is_erased(snapshot, place) {
                assert_eq!(snapshot.directory().user(place), None);
                continue;
            }
            let user = name(snapshot, place);
            let found = snapshot.directory().find(user.as_bytes());
            assert_eq!(found, Some(place), "{user} is found where it stands");
            lines.push(format!("user {bucket}/{ordinal}: {user}"));
        }
    }
    for (id, label) in &manifest.labels {
        lines.push(format!("label {id} is {}, tags {:?}", label.name, label.tags));
        for ds in label.days.keys() {
            let part = snapshot.label(*id, *ds)?.expect("a published day has a part");
            label_lines(snapshot, &part, &format!("label {id} {ds}"), &mut lines)?;
        }
    }
    for (event, entry) in &manifest.events {
        lines.push(format!("event {event} has {:?}", entry.measures));
        for dimension in entry.dimensions.keys() {
            let dictionary = snapshot.dictionary(event, dimension)?.expect("a known dimension has values");
            let values: Vec<&str> = dictionary.values().collect();
            assert!(values.iter().zip(0..).all(|(value, id)| dictionary.id(value) == Some(id)));
            lines.push(format!("values {event} {dimension}: {values:?}"));
        }
        for ds in entry.days.keys() {
            let part = snapshot.event(event, *ds)?.expect("a published day has a part");
            event_lines(snapshot, &part, &format!("event {event} {ds}"), &mut lines)?;
        }
        for first in entry.weeks.keys() {
            let week = snapshot.week(event, *first)?.expect("a known week has a file");
            week_lines(snapshot, &week, &format!("week {event} {first}"), &mut lines)?;
        }
    }
    for id in cohorts {
        let Some(cohort) = snapshot.cohort(id)? else { continue };
        let mut members = BTreeSet::new();
        for bucket in 0..buckets {
            for ordinal in cohort.members(bucket)?.iter().flat_map(|users| users.to_roaring().unwrap()) {
                members.insert(name(snapshot, Place { bucket, ordinal }));
            }
        }
        lines.push(format!("cohort {id} {} of {}: {members:?}", cohort.meta().ds, cohort.size()?));
    }
    Ok(lines)
}

fn is_erased(snapshot: &Snapshot, place: Place) -> bool {
    snapshot.directory().erased_in(place.bucket).is_some_and(|erased| erased.contains(place.ordinal))
}

fn name(snapshot: &Snapshot, place: Place) -> String {
    let user = snapshot.directory().user(place).expect("a given ordinal has a user");
    String::from_utf8(user.to_vec()).unwrap()
}

fn label_lines(snapshot: &Snapshot, part: &LabelPart, title: &str, lines: &mut Vec<String>) -> Result<()> {
    for (tag, meta) in &part.meta().tags {
        let mut users = BTreeSet::new();
        for bucket in 0..snapshot.directory().buckets() {
            let weights = part.weights(bucket, *tag)?;
            for ordinal in part.tag(bucket, *tag)?.iter().flat_map(|users| users.to_roaring().unwrap()) {
                let weight = weights.as_ref().and_then(|weights| weights.value_at(ordinal));
                let weight = weight.map_or(String::new(), |weight| format!("={weight}"));
                users.insert(name(snapshot, Place { bucket, ordinal }) + &weight);
            }
        }
        assert_eq!(meta.users, users.len() as u64);
        let users: Vec<String> = users.into_iter().collect();
        lines.push(format!("{title} tag {tag} {}: {}", meta.name, users.join(", ")));
    }
    Ok(())
}

fn week_lines(snapshot: &Snapshot, week: &EventWeek, title: &str, lines: &mut Vec<String>) -> Result<()> {
    for bucket in 0..snapshot.directory().buckets() {
        for ordinal in 0..snapshot.directory().ordinals_in(bucket) {
            if is_erased(snapshot, Place { bucket, ordinal }) {
                continue;
            }
            let user = name(snapshot, Place { bucket, ordinal });
            let value = |column: Option<SlicesView<'_>>| column.and_then(|column| column.value_at(ordinal));
            let mut columns = vec![value(week.pv(bucket)?).unwrap_or(0)];
            for measure in &week.meta().measures {
                columns.push(value(week.measure(bucket, measure)?).unwrap_or(0));
            }
            if columns.iter().any(|total| *total != 0) {
                lines.push(format!("{title} {user}: {columns:?}"));
            }
        }
    }
    Ok(())
}

fn event_lines(snapshot: &Snapshot, part: &EventPart, title: &str, lines: &mut Vec<String>) -> Result<()> {
    let meta = part.meta();
    let (mut rows, mut sums) = (BTreeSet::new(), BTreeSet::new());
    for bucket in 0..snapshot.directory().buckets() {
        let Some(pv) = part.pv(bucket)? else { continue };
        let postings = part.postings(bucket)?;
        assert_eq!(postings.is_none(), meta.dimensions.is_empty());
        for (postings, (tuple, range)) in
            postings.iter().flat_map(|postings| postings.tuples().map(move |rows| (postings, rows)))
        {
            let mut values = String::new();
            for (n, dimension) in meta.dimensions.iter().enumerate() {
                let Some(id) = part.tuple_value(tuple, n) else { continue };
                let dictionary = snapshot.dictionary(&meta.event, dimension)?.expect("a dictionary");
                values += &format!(" {dimension}={}", dictionary.value(id).expect("a value"));
            }
            let mut groups = Vec::new();
            postings.groups(range, |group| groups.push(group))?;
            for (group, row) in groups.iter().flat_map(|group| group.rows().map(move |row| (group, row))) {
                let ordinal = u32::from(group.block) << 16 | u32::from(postings.place(row));
                let user = name(snapshot, Place { bucket, ordinal });
                let numbers: Vec<i64> =
                    (0..=meta.measures.len()).map(|column| postings.number(group, column, row)).collect();
                rows.insert(format!("{user}{values} {numbers:?}"));
            }
        }
        for ordinal in pv.exists().to_roaring().unwrap() {
            let mut sum = vec![pv.value_at(ordinal).unwrap()];
            for measure in &meta.measures {
                sum.push(part.measure(bucket, measure)?.expect("sums").value_at(ordinal).unwrap());
            }
            sums.insert(format!("{} {sum:?}", name(snapshot, Place { bucket, ordinal })));
        }
    }
    let row_count = if meta.dimensions.is_empty() { sums.len() } else { rows.len() };
    assert_eq!((meta.rows, meta.users), (row_count as u64, sums.len() as u64));
    lines.push(format!("{title} pv {} idle {} {:?}", meta.pv, meta.idle_users, meta.measures));
    lines.extend(rows.into_iter().map(|row| format!("{title} row {row}")));
    lines.extend(sums.into_iter().map(|sum| format!("{title} sum {sum}")));
    Ok(())
}
