//! How up to six cohorts lie in each other.

use std::time::Instant;

use muster_catalogue::Floor;
use muster_evaluator::{Control, overlap as regions_of};

use super::served::snapshot;
use crate::Segments;
use crate::error::Error;
use crate::profile_answers::{Overlap, OverlappingCohort, Region};
use crate::store::Brief;

/// `cohorts` are of one app, may be shown, and are different ones.
pub fn overlap(
    segments: &Segments,
    app: &str,
    cohorts: &[Brief],
    (control, began): (&Control<'_>, Instant),
) -> Result<Overlap, Error> {
    super::on_newest_data(|| overlap_once(segments, app, cohorts, (control, began)))
}

fn overlap_once(
    segments: &Segments,
    app: &str,
    cohorts: &[Brief],
    (control, began): (&Control<'_>, Instant),
) -> Result<Overlap, Error> {
    let snapshot = snapshot(segments, app)?;
    let ids: Vec<String> = cohorts.iter().map(|cohort| cohort.id.clone()).collect();
    let users = regions_of(&snapshot, &ids, control)?;
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
            .map(|cohort| OverlappingCohort { id: cohort.id.clone(), ds: cohort.ds, users: cohort.users })
            .collect(),
        regions,
        any: (!hidden.contains(&true)).then_some(any),
        privacy_floor: floor.named(),
        took_ms: super::millis(began),
    })
}

/// Which regions are not told, by their bits. Those of fewer users than the floor are not, and neither is what would
/// tell them: the size of each cohort and of the app is known, and so are sums and differences of these. So the
/// next smallest regions are hidden with them, until no combination of what is known comes down to one region of
/// so few users alone, and what is hidden of no cohort is so few together.
fn hidden(floor: Floor, users: &[u64]) -> Vec<bool> {
    let mut hidden: Vec<bool> = users.iter().map(|users| floor.is_few(*users)).collect();
    let tells = |hidden: &[bool]| {
        let alone = (0..users.len()).any(|region| floor.is_few(users[region]) && told(hidden, region));
        alone || sums(hidden).iter().any(|sum| floor.is_few(sum.iter().map(|region| users[*region]).sum()))
    };
    while tells(&hidden) {
        let next = (0..users.len()).filter(|region| !hidden[*region] && users[*region] > 0);
        match next.min_by_key(|region| users[*region]) {
            Some(region) => hidden[region] = true,
            None => break,
        }
    }
    hidden
}

/// The hidden regions of the whole app, and of each cohort: what is known is the sum of each of these.
fn sums(hidden: &[bool]) -> Vec<Vec<usize>> {
    let dark: Vec<usize> = (0..hidden.len()).filter(|region| hidden[*region]).collect();
    // Region 0 is in no cohort.
    let of = |cohort| dark.iter().copied().filter(|region| region >> cohort & 1 == 1).collect();
    (0..hidden.len().trailing_zeros()).map(of).chain([dark.clone()]).collect()
}

/// Whether the hidden region follows from the sums that are known.
fn told(hidden: &[bool], region: usize) -> bool {
    let row = |of: &[usize]| -> Vec<f64> {
        (0..hidden.len()).map(|region| if of.contains(&region) { 1.0 } else { 0.0 }).collect()
    };
    let mut rows: Vec<Vec<f64>> = sums(hidden).iter().map(|sum| row(sum)).collect();
    let before = rank(&mut rows);
    rows.push(row(&[region]));
    rank(&mut rows) == before
}

/// Gaussian elimination in place. The numbers are small and whole, and stay near that.
fn rank(rows: &mut [Vec<f64>]) -> usize {
    let columns = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    for column in 0..columns {
        let best =
            (rank..rows.len()).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()));
        let Some(best) = best.filter(|best| rows[*best][column].abs() > 1e-9) else { continue };
        rows.swap(rank, best);
        let (above, below) = rows.split_at_mut(rank + 1);
        let pivot = &above[rank];
        for row in below {
            let times = row[column] / pivot[column];
            row.iter_mut().zip(pivot).for_each(|(value, of)| *value -= times * of);
        }
        rank += 1;
    }
    rank
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

    /// All ways to fill the hidden regions with the same sums: one that is hidden because few are in it has to
    /// be able to hold other numbers as well.
    fn can_be_otherwise(users: &[u64], dark: &[usize], region: usize) -> bool {
        let cohorts = users.len().trailing_zeros();
        let sum = |values: &[i64], cohort: Option<u32>| -> i64 {
            let of = |region: usize| cohort.is_none_or(|cohort| region >> cohort & 1 == 1);
            dark.iter().zip(values).filter(|(region, _)| of(**region)).map(|(_, users)| users).sum()
        };
        let truth: Vec<i64> = dark.iter().map(|region| users[*region] as i64).collect();
        let all = |values: &[i64]| {
            (0..cohorts).map(Some).chain([None]).all(|of| sum(values, of) == sum(&truth, of))
        };
        let place = dark.iter().position(|of| *of == region).unwrap();
        // Steps of one up and down are enough for these sums.
        (0..3i64.pow(dark.len() as u32)).any(|mut code| {
            let mut values = truth.clone();
            for value in &mut values {
                *value += code % 3 - 1;
                code /= 3;
            }
            values[place] != truth[place] && all(&values)
        })
    }

    #[test]
    fn a_small_region_takes_others_of_its_cohorts_along() {
        assert!(hide(0, &[900, 1, 2, 3]).is_empty());
        assert!(hide(5, &[900, 50, 0, 30]).is_empty());
        // Three are in both: with either cohort's size known, neither rest may be told, nor who is in none.
        assert_eq!(hide(5, &[900, 50, 40, 3]), [0, 1, 2, 3]);
        // In no other cohort than the first, as everybody else is: the whole app tells.
        assert_eq!(hide(5, &[900, 3]), [0, 1]);
    }

    #[test]
    fn no_sum_and_no_difference_of_sums_tells_a_small_region() {
        // Sums of several dark regions, each large enough, whose differences are not.
        let tricky = [5_000, 50, 50, 3, 50, 50, 3, 4];
        let others =
            [[5_000, 70, 3, 40, 90, 2, 800, 11], [100, 4, 4, 4, 4, 4, 4, 4], [9, 9, 9, 9, 9, 9, 9, 3]];
        for users in [tricky].into_iter().chain(others) {
            let dark = hide(5, &users);
            for region in (0..users.len()).filter(|region| (1..5).contains(&users[*region])) {
                assert!(can_be_otherwise(&users, &dark, region), "{users:?}: {dark:?} tell {region}");
            }
            for cohort in 0..3 {
                let of = dark.iter().filter(|region| **region >> cohort & 1 == 1);
                let sum: u64 = of.map(|region| users[*region]).sum();
                assert!(sum == 0 || sum >= 5, "{users:?}: {sum} are hidden of cohort {cohort}");
            }
        }
    }
}
