//! Segments after those that they name.

use std::collections::{BTreeSet, HashMap};

use crate::store::{DailyRow, named};

/// The segments in groups, each of which names only segments of groups before it, or none of these at all.
/// Where two changes at the same time have closed a ring, its segments come last, and see of each other what
/// was made before.
pub fn in_order(segments: Vec<DailyRow>) -> Vec<Vec<DailyRow>> {
    let place: HashMap<&str, usize> =
        segments.iter().enumerate().map(|(place, segment)| (&*segment.id, place)).collect();
    let mut waits = vec![0; segments.len()];
    let mut named_by = vec![Vec::new(); segments.len()];
    for (user, segment) in segments.iter().enumerate() {
        let inner: BTreeSet<&str> = named(&segment.rule, "segment").into_iter().collect();
        for inner in inner.iter().filter_map(|id| place.get(id)) {
            waits[user] += 1;
            named_by[*inner].push(user);
        }
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut ready: Vec<usize> = (0..segments.len()).filter(|place| waits[*place] == 0).collect();
    while !ready.is_empty() {
        let mut next = Vec::new();
        for user in ready.iter().flat_map(|place| &named_by[*place]) {
            waits[*user] -= 1;
            if waits[*user] == 0 {
                next.push(*user);
            }
        }
        groups.push(std::mem::replace(&mut ready, next));
    }
    let rings: Vec<usize> = (0..segments.len()).filter(|place| waits[*place] > 0).collect();
    groups.extend((!rings.is_empty()).then_some(rings));
    let mut left: Vec<Option<DailyRow>> = segments.into_iter().map(Some).collect();
    groups
        .into_iter()
        .map(|group| group.into_iter().filter_map(|place| left[place].take()).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_named_come_first() {
        let segment = |(id, names): (&str, &[&str])| {
            let names: Vec<String> = names.iter().map(|name| format!(r#"{{"segment":"{name}"}}"#)).collect();
            let rule = format!(r#"{{"version":1,"universe":"all","where":{{"any":[{}]}}}}"#, names.join(","));
            DailyRow { id: id.into(), version: 1, rule, on_missing: None }
        };
        let segments: [(&str, &[&str]); 7] = [
            ("top", &["middle", "leaf", "leaf"]),
            ("middle", &["leaf", "not due"]),
            ("leaf", &[]),
            ("alone", &["not due"]),
            ("ring 1", &["ring 2"]),
            ("ring 2", &["ring 1"]),
            ("on the ring", &["ring 1", "leaf"]),
        ];
        let groups = in_order(segments.map(segment).to_vec());
        let ids: Vec<Vec<&str>> =
            groups.iter().map(|group| group.iter().map(|segment| &*segment.id).collect()).collect();
        let expected =
            [vec!["leaf", "alone"], vec!["middle"], vec!["top"], vec!["ring 1", "ring 2", "on the ring"]];
        assert_eq!(ids, expected);
        assert!(in_order(Vec::new()).is_empty());
    }
}
