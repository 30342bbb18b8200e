//! Which group of an experiment a user is in. Nothing is drawn and nothing remembered: a user's place is a hash of
//! a salt and the user's id, so that anybody who knows the salts comes to the same answer, on any machine, for
//! users whom nobody has seen yet. Pure.
//!
//! The position of a user under a salt is `xxh3_64(salt + "/" + user id) × 1,000,000 / 2^64`, rounded down (XXH3 of
//! 64 bits, seed 0): a whole number below a million. Different salts give positions that know nothing of each other.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64;

/// Positions there are: shares are counted in millionths.
pub const WHOLE: u32 = 1_000_000;

/// Positions from `from` up to, and without, `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Range {
    pub from: u32,
    pub to: u32,
}

impl Range {
    pub fn len(self) -> u32 {
        self.to - self.from
    }

    fn holds(self, position: u32) -> bool {
        (self.from..self.to).contains(&position)
    }
}

/// Positions under one salt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Slice {
    pub salt: String,
    pub ranges: Vec<Range>,
}

/// How the users of an experiment's audience are split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assignment {
    /// Users of the app who are in no experiment.
    pub holdout: Option<Slice>,
    /// Users of its layer whom the experiment has for itself.
    pub traffic: Slice,
    /// Splits those into groups.
    pub salt: String,
    /// Millionths, by group; they add up to a million.
    pub shares: Vec<u32>,
}

/// Where a user of the audience ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    HeldOut,
    /// Another experiment of the layer may have the user.
    NoTraffic,
    /// By place among the groups.
    Group(usize),
}

/// An [`Assignment`] that is asked for many users.
pub struct Assigner<'a> {
    holdout: Option<(Hasher, &'a [Range])>,
    traffic: (Hasher, &'a [Range]),
    groups: Hasher,
    /// The position at which each group ends.
    ends: Vec<u32>,
}

/// Positions under one salt.
pub struct Hasher {
    /// The salt and a slash, and then the user asked for last.
    text: Vec<u8>,
    salt: usize,
}

impl Hasher {
    pub fn new(salt: &str) -> Hasher {
        let text = format!("{salt}/").into_bytes();
        Hasher { salt: text.len(), text }
    }

    pub fn position(&mut self, user: &[u8]) -> u32 {
        self.text.truncate(self.salt);
        self.text.extend_from_slice(user);
        ((u128::from(xxh3_64(&self.text)) * u128::from(WHOLE)) >> 64) as u32
    }
}

impl Assignment {
    pub fn assigner(&self) -> Assigner<'_> {
        Assigner {
            holdout: self.holdout.as_ref().map(|slice| (Hasher::new(&slice.salt), &slice.ranges[..])),
            traffic: (Hasher::new(&self.traffic.salt), &self.traffic.ranges),
            groups: Hasher::new(&self.salt),
            ends: ends(&self.shares),
        }
    }
}

impl Assigner<'_> {
    pub fn place(&mut self, user: &[u8]) -> Place {
        if let Some((hasher, ranges)) = &mut self.holdout
            && is_in(ranges, hasher.position(user))
        {
            return Place::HeldOut;
        }
        let (hasher, ranges) = &mut self.traffic;
        // Whoever takes all of it needs no hash.
        let all = matches!(ranges, [Range { from: 0, to: WHOLE }]);
        if !all && !is_in(ranges, hasher.position(user)) {
            return Place::NoTraffic;
        }
        let position = self.groups.position(user);
        Place::Group(self.ends.partition_point(|end| *end <= position))
    }
}

fn is_in(ranges: &[Range], position: u32) -> bool {
    ranges.iter().any(|range| range.holds(position))
}

fn ends(shares: &[u32]) -> Vec<u32> {
    let add = |end: &mut u32, share: &u32| {
        *end += share;
        Some(*end)
    };
    shares.iter().scan(0, add).collect()
}

/// Shares as millionths, when they are above 0 and add up to 1 as well as six decimals tell.
pub fn millionths(shares: &[f64]) -> Option<Vec<u32>> {
    let parts = shares.iter().map(|share| in_millionths(*share).filter(|part| *part > 0));
    let mut parts: Vec<u32> = parts.collect::<Option<_>>()?;
    let sum: u64 = parts.iter().map(|part| u64::from(*part)).sum();
    // A third is 333,333 millionths, and three of them leave one over: it is the last group's.
    let over = i64::from(WHOLE) - i64::try_from(sum).ok()?;
    let last = parts.last_mut()?;
    (over.unsigned_abs() < shares.len() as u64).then_some(())?;
    *last = u32::try_from(i64::from(*last) + over).ok()?;
    Some(parts)
}

/// A share from 0 to 1.
pub fn in_millionths(share: f64) -> Option<u32> {
    (0.0..=1.0).contains(&share).then(|| (share * f64::from(WHOLE)).round() as u32)
}

/// The first `wanted` positions that nobody has taken; None when there are not so many.
pub fn take(taken: &[Range], wanted: u32) -> Option<Vec<Range>> {
    let mut taken = taken.to_vec();
    taken.sort_by_key(|range| range.from);
    taken.push(Range { from: WHOLE, to: WHOLE });
    let (mut free, mut left, mut at) = (Vec::new(), wanted, 0);
    for range in taken {
        let gap = range.from.saturating_sub(at).min(left);
        if gap > 0 {
            free.push(Range { from: at, to: at + gap });
            left -= gap;
        }
        at = at.max(range.to);
    }
    (left == 0).then_some(free)
}

#[cfg(test)]
mod tests {
    use muster_statistics::{independence, sample_ratio};

    use super::*;

    const USERS: usize = 1_000_000;

    fn assignment(salt: &str, shares: &[u32]) -> Assignment {
        let traffic = Slice { salt: "layer".into(), ranges: vec![Range { from: 0, to: WHOLE }] };
        Assignment { holdout: None, traffic, salt: salt.into(), shares: shares.to_vec() }
    }

    fn places(assignment: &Assignment) -> Vec<Place> {
        let mut assigner = assignment.assigner();
        (0..USERS).map(|user| assigner.place(format!("u{user}").as_bytes())).collect()
    }

    fn count(places: &[Place], wanted: Place) -> u64 {
        places.iter().filter(|place| **place == wanted).count() as u64
    }

    /// The numbers are of Python's xxhash 3, `xxh3_64_intdigest(salt + "/" + user) * 1000000 >> 64`.
    #[test]
    fn positions_are_those_that_are_documented() {
        for (salt, user, expected) in [
            ("salt", "u1", 695_939),
            ("salt", "u2", 969_452),
            ("a longer salt of an experiment", "9007199254740993", 314_010),
            ("s", "é", 534_380),
        ] {
            let mut hasher = Hasher::new(salt);
            hasher.position(b"somebody before with a longer id");
            assert_eq!(hasher.position(user.as_bytes()), expected, "{salt}/{user}");
        }
    }

    #[test]
    fn two_experiments_over_a_million_users_know_nothing_of_each_other() {
        let one = places(&assignment("one", &[500_000, 500_000]));
        let other = places(&assignment("other", &[500_000, 500_000]));
        let mut table = vec![vec![0u64; 2]; 2];
        for pair in one.iter().zip(&other) {
            let (Place::Group(row), Place::Group(column)) = pair else { panic!("all are in a group") };
            table[*row][*column] += 1;
        }
        let independent = independence(&table).unwrap();
        assert!(independent.p_value > 0.001, "{table:?}: {independent:?}");
        for groups in [
            vec![table[0][0] + table[0][1], table[1][0] + table[1][1]],
            vec![table[0][0] + table[1][0], table[0][1] + table[1][1]],
        ] {
            // Five standard deviations of a binomial count.
            let off = groups[0].abs_diff(USERS as u64 / 2) as f64;
            assert!(off < 5.0 * (USERS as f64 / 4.0).sqrt(), "{groups:?}");
        }
    }

    #[test]
    fn uneven_shares_hold() {
        let shares = [700_000, 250_000, 50_000];
        let places = places(&assignment("uneven", &shares));
        let groups: Vec<u64> = (0..3).map(|group| count(&places, Place::Group(group))).collect();
        assert_eq!(groups.iter().sum::<u64>(), USERS as u64);
        let test = sample_ratio(&groups, &shares.map(f64::from)).unwrap();
        assert!(test.p_value > 0.001, "{groups:?}: {test:?}");
    }

    #[test]
    fn a_layer_gives_each_user_to_one_experiment_and_the_held_out_to_none() {
        let holdout = Slice { salt: "held".into(), ranges: vec![Range { from: 0, to: 100_000 }] };
        let (first, second) =
            (take(&[], 300_000).unwrap(), take(&take(&[], 300_000).unwrap(), 700_000).unwrap());
        let split = |salt: &str, ranges: Vec<Range>| Assignment {
            holdout: Some(holdout.clone()),
            traffic: Slice { salt: "layer".into(), ranges },
            ..assignment(salt, &[500_000, 500_000])
        };
        let (one, other) = (places(&split("one", first)), places(&split("other", second)));
        for (one, other) in one.iter().zip(&other) {
            match (one, other) {
                (Place::HeldOut, Place::HeldOut) => {}
                (Place::Group(_), Place::NoTraffic) | (Place::NoTraffic, Place::Group(_)) => {}
                both => panic!("{both:?}"),
            }
        }
        let near = |seen: u64, share: f64| {
            let expected = share * USERS as f64;
            assert!(
                (seen as f64 - expected).abs() < 5.0 * (expected * (1.0 - share)).sqrt(),
                "{seen} of {expected}"
            );
        };
        near(count(&one, Place::HeldOut), 0.1);
        near(count(&one, Place::NoTraffic), 0.9 * 0.7);
        near(count(&other, Place::NoTraffic), 0.9 * 0.3);
    }

    #[test]
    fn what_is_taken_is_nobody_elses() {
        let range = |from, to| Range { from, to };
        assert_eq!(take(&[], 10), Some(vec![range(0, 10)]));
        let taken = [range(600_000, 1_000_000), range(0, 100_000), range(200_000, 300_000)];
        assert_eq!(take(&taken, 150_000), Some(vec![range(100_000, 200_000), range(300_000, 350_000)]));
        assert_eq!(take(&taken, 400_000), Some(vec![range(100_000, 200_000), range(300_000, 600_000)]));
        assert_eq!((take(&taken, 400_001), take(&taken, 0)), (None, Some(vec![])));
    }

    #[test]
    fn shares_are_millionths() {
        assert_eq!(millionths(&[0.5, 0.5]), Some(vec![500_000, 500_000]));
        assert_eq!(millionths(&[1.0 / 3.0; 3]), Some(vec![333_333, 333_333, 333_334]));
        assert_eq!(millionths(&[0.9, 0.05, 0.05]), Some(vec![900_000, 50_000, 50_000]));
        for refused in [&[][..], &[0.5, 0.4], &[1.0, 0.0], &[0.6, 0.6], &[f64::NAN, 1.0], &[-0.5, 1.5]] {
            assert_eq!(millionths(refused), None, "{refused:?}");
        }
    }
}
