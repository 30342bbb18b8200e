//! Whether users came into groups as they were meant to: the check that comes before every result, for groups
//! that are not as large as they should be are seldom alike either (Fabijan and others, *KDD* 2019).

use crate::distributions::chi_squared_tail;

/// Pearson's chi-squared. The p-value is that of many users, about five expected in each cell at least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquared {
    pub statistic: f64,
    pub degrees_of_freedom: u64,
    pub p_value: f64,
}

/// Users of each group against the groups' shares, whose sum may be anything. A p-value below 0.001 or so says
/// that something else than chance is at work. None unless there are two groups or more, as many shares, all
/// above 0, and somebody.
pub fn sample_ratio(users: &[u64], shares: &[f64]) -> Option<ChiSquared> {
    let (all, whole) = (sum(users), shares.iter().sum::<f64>());
    let sound = shares.iter().all(|share| *share > 0.0) && whole.is_finite();
    if !sound || users.len() < 2 || users.len() != shares.len() || all == 0.0 {
        return None;
    }
    let cells = users.iter().zip(shares).map(|(users, share)| (*users as f64, all * (share / whole)));
    Some(ChiSquared::of(cells, users.len() as u64 - 1))
}

/// Whether the groups of two experiments know nothing of each other: `table[r][c]` users are in group r of one
/// and group c of the other. Groups of nobody do not count. None where the rows' lengths differ, or fewer than
/// two groups of either experiment are left.
pub fn independence(table: &[Vec<u64>]) -> Option<ChiSquared> {
    let columns = table.first()?.len();
    if table.iter().any(|row| row.len() != columns) {
        return None;
    }
    let in_row: Vec<f64> = table.iter().map(|row| sum(row)).collect();
    let in_column: Vec<f64> =
        (0..columns).map(|column| table.iter().map(|row| row[column] as f64).sum()).collect();
    let some = |sums: &[f64]| sums.iter().filter(|users| **users > 0.0).count() as u64;
    let (rows, columns) = (some(&in_row), some(&in_column));
    if rows < 2 || columns < 2 {
        return None;
    }
    let all: f64 = in_row.iter().sum();
    let cells = table.iter().zip(&in_row).flat_map(|(row, in_row)| {
        row.iter().zip(&in_column).map(move |(users, in_column)| (*users as f64, in_row / all * in_column))
    });
    Some(ChiSquared::of(cells, (rows - 1) * (columns - 1)))
}

impl ChiSquared {
    /// Of cells as (seen, expected); who was not expected was not seen.
    fn of(cells: impl Iterator<Item = (f64, f64)>, degrees_of_freedom: u64) -> Self {
        let statistic = cells
            .filter(|(_, expected)| *expected > 0.0)
            .map(|(seen, expected)| (seen - expected).powi(2) / expected)
            .sum();
        let p_value = chi_squared_tail(statistic, degrees_of_freedom as f64);
        Self { statistic, degrees_of_freedom, p_value }
    }
}

fn sum(users: &[u64]) -> f64 {
    users.iter().map(|users| *users as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn check(seen: Option<ChiSquared>, (statistic, degrees_of_freedom, p_value): (f64, u64, f64)) {
        let seen = seen.unwrap();
        assert_eq!(seen.degrees_of_freedom, degrees_of_freedom);
        assert!((seen.statistic / statistic - 1.0).abs() < 1e-9, "{seen:?} instead of {statistic}");
        assert!((seen.p_value / p_value - 1.0).abs() < 1e-9, "{seen:?} instead of {p_value}");
    }

    /// The numbers are of scipy 1.17.1, stats.chisquare(users, shares · Σ users).
    #[test]
    fn groups_against_their_shares() {
        // Kohavi, Tang and Xu, Trustworthy Online Controlled Experiments (2020): a ratio of 0.993 at 50/50,
        // p = 1.8e-6.
        check(sample_ratio(&[821_588, 815_482], &[1.0, 1.0]), (22.77436884189436, 1, 1.8217928726191858e-06));
        // Mendel's peas, 9 : 3 : 3 : 1.
        check(
            sample_ratio(&[315, 108, 101, 32], &[9.0, 3.0, 3.0, 1.0]),
            (0.4700239808153477, 3, 0.925425895103616),
        );
        check(sample_ratio(&[500, 480, 530, 490], &[0.25; 4]), (2.8000000000000003, 3, 0.4234999170554593));
        check(
            sample_ratio(&[7_012_345, 2_001_000, 1_000_500], &[0.7, 0.2, 0.1]),
            (3.348251132022529, 2, 0.18747203975251808),
        );
    }

    /// The numbers are of scipy 1.17.1, stats.chi2_contingency(table, correction=False).
    #[test]
    fn tables_of_two_experiments() {
        // Agresti, An Introduction to Categorical Data Analysis (2nd ed., 2007), table 2.5, gender and party:
        // χ² = 30.07 of 2 degrees.
        check(
            independence(&[vec![762, 327, 468], vec![484, 239, 477]]),
            (30.070149095754672, 2, 2.9535891832117595e-07),
        );
        check(independence(&[vec![10, 20], vec![30, 15]]), (8.035714285714285, 1, 0.0045863920802535025));
        let large =
            [vec![250_100, 249_700, 250_300], vec![125_000, 125_400, 124_500], vec![62_400, 62_700, 62_500]];
        check(independence(&large), (4.457225836126683, 4, 0.34764956274060516));
    }

    #[test]
    fn groups_of_nobody_do_not_count() {
        let table = |rows: &[&[u64]]| independence(&rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>());
        let bare = table(&[&[10, 20], &[30, 15]]);
        assert!(bare.is_some());
        assert_eq!(table(&[&[10, 0, 20], &[0, 0, 0], &[30, 0, 15]]), bare);
    }

    #[test]
    fn what_can_t_be_said_is_not() {
        let nothing: [(&[u64], &[f64]); 7] = [
            (&[], &[]),
            (&[5], &[1.0]),
            (&[0, 0], &[0.5, 0.5]),
            (&[1, 2], &[1.0]),
            (&[1, 2], &[1.0, 0.0]),
            (&[1, 2], &[1.0, f64::NAN]),
            (&[1, 2], &[1.0, f64::INFINITY]),
        ];
        for (users, shares) in nothing {
            assert_eq!(sample_ratio(users, shares), None, "{users:?} {shares:?}");
        }
        for table in
            [vec![], vec![vec![]], vec![vec![1, 2]], vec![vec![1, 0], vec![2, 0]], vec![vec![1, 2], vec![3]]]
        {
            assert_eq!(independence(&table), None, "{table:?}");
        }
    }

    /// Users who fall by chance into three groups of one experiment and two of another.
    #[test]
    fn it_errs_as_often_as_it_says() {
        let (mut chance, rounds) = (Chance(23), 5_000);
        let mut rejected = [0, 0];
        for _ in 0..rounds {
            let mut table = vec![vec![0u64; 2]; 3];
            for _ in 0..200 {
                let place = chance.uniform();
                let row = usize::from(place >= 0.5) + usize::from(place >= 0.8);
                table[row][usize::from(chance.uniform() < 0.4)] += 1;
            }
            let groups: Vec<u64> = table.iter().map(|row| row.iter().sum()).collect();
            let tests = [sample_ratio(&groups, &[5.0, 3.0, 2.0]), independence(&table)];
            for (rejected, test) in rejected.iter_mut().zip(tests) {
                *rejected += u32::from(test.unwrap().p_value <= 0.05);
            }
        }
        for rejected in rejected {
            let share = f64::from(rejected) / f64::from(rounds);
            assert!((0.04..0.06).contains(&share), "{share} rejected");
        }
    }
}
