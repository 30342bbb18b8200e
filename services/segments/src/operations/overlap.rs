//! How up to six cohorts lie in each other.

use std::time::Instant;

use muster_catalogue::Floor;
use muster_evaluator::{Control, overlap as regions_of};

use super::served::snapshot;
use crate::Segments;
use crate::answers::Cohort;
use crate::error::Error;
use crate::profile_answers::{Overlap, OverlappingCohort, Region};

/// `cohorts` are of one app, may be shown, and are different ones.
pub fn overlap(segments: &Segments, app: &str, cohorts: &[Cohort], began: Instant) -> Result<Overlap, Error> {
    super::on_newest_data(|| overlap_once(segments, app, cohorts, began))
}

fn overlap_once(
    segments: &Segments,
    app: &str,
    cohorts: &[Cohort],
    began: Instant,
) -> Result<Overlap, Error> {
    let snapshot = snapshot(segments, app)?;
    let ids: Vec<String> = cohorts.iter().map(|cohort| cohort.id.clone()).collect();
    let users = regions_of(&snapshot, &ids, &Control::NONE)?;
    let floor = snapshot.catalogue().settings.floor();
    let hidden = hidden(floor, &users);
    let region = |(bits, users): (usize, &u64)| Region {
        cohorts: ids
            .iter()
            .enumerate()
            .filter(|(n, _)| bits >> n & 1 == 1)
            .map(|(_, id)| id.clone())
            .collect(),
        users: (!hidden[bits]).then_some(*users),
    };
    let regions = users.iter().enumerate().skip(1).map(region).collect();
    let any = users.iter().skip(1).sum();
    Ok(Overlap {
        cohorts: cohorts
            .iter()
            .map(|cohort| OverlappingCohort {
                id: cohort.id.clone(),
                ds: cohort.ds,
                users: cohort.size.unwrap_or_default(),
            })
            .collect(),
        regions,
        any: (!hidden.contains(&true)).then_some(any),
        privacy_floor: (floor.users() > 0).then_some(floor.users()),
        took_ms: super::millis(began),
    })
}

/// Which regions are not told, by their bits. Those of fewer users than the floor are not; and as the size of each
/// cohort is known, nor is the next smallest, as long as what is hidden of a cohort is one region alone, or all
/// together less than the floor. Region 0, whom no cohort holds, is known by the size of the app.
fn hidden(floor: Floor, users: &[u64]) -> Vec<bool> {
    let few = |users: u64| (1..floor.users()).contains(&users);
    let mut hidden: Vec<bool> = users.iter().map(|users| few(*users)).collect();
    let cohorts = users.len().trailing_zeros();
    // Each cohort, and the whole app, is a sum of regions that is known.
    let sums: Vec<Vec<usize>> = (0..cohorts)
        .map(|cohort| (0..users.len()).filter(|region| region >> cohort & 1 == 1).collect())
        .chain([(0..users.len()).collect()])
        .collect();
    loop {
        let next = sums.iter().find_map(|regions| {
            let (dark, told): (Vec<usize>, Vec<usize>) = regions.iter().partition(|region| hidden[**region]);
            let sum: u64 = dark.iter().map(|region| users[*region]).sum();
            let tells = dark.len() == 1 || (dark.len() > 1 && sum < floor.users());
            let next =
                told.into_iter().filter(|region| users[*region] > 0).min_by_key(|region| users[*region]);
            next.filter(|_| tells)
        });
        match next {
            Some(region) => hidden[region] = true,
            None => return hidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_catalogue::AppSettings;

    use super::*;

    fn hide(privacy_floor: u64, users: &[u64]) -> Vec<usize> {
        let floor = AppSettings { privacy_floor: Some(privacy_floor), ..AppSettings::default() }.floor();
        let hidden = hidden(floor, users);
        hidden.iter().enumerate().filter(|(_, hidden)| **hidden).map(|(region, _)| region).collect()
    }

    #[test]
    fn a_small_region_takes_another_one_of_its_cohorts_along() {
        assert!(hide(0, &[900, 1, 2, 3]).is_empty());
        assert!(hide(5, &[900, 50, 0, 30]).is_empty());
        // Three are in both: with either cohort's size known, neither rest may be told.
        assert_eq!(hide(5, &[900, 50, 40, 3]), [1, 2, 3]);
        // Three are in the first alone; what both share would tell them, and the second's rest that.
        assert_eq!(hide(5, &[900, 3, 40, 60]), [1, 2, 3]);
        // In no other cohort than the first, as everybody else is: the whole app tells.
        assert_eq!(hide(5, &[900, 3]), [0, 1]);
    }

    #[test]
    fn what_is_hidden_is_never_what_is_left() {
        let users = [5_000, 70, 3, 40, 90, 2, 800, 11];
        let dark = hide(10, &users);
        for cohort in 0..3 {
            let of: Vec<u64> = dark
                .iter()
                .filter(|region| **region >> cohort & 1 == 1)
                .map(|region| users[*region])
                .collect();
            assert!(of.is_empty() || (of.len() > 1 && of.iter().sum::<u64>() >= 10), "{cohort}: {of:?}");
        }
    }
}
