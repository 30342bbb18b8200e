//! The privacy floor: the smallest crowd that may be shown.

use crate::AppSettings;

/// Of one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor(u64);

impl AppSettings {
    pub fn floor(&self) -> Floor {
        Floor(self.privacy_floor.unwrap_or(0))
    }
}

impl Floor {
    /// Users that a crowd must have to be shown; 0: any.
    pub fn users(self) -> u64 {
        self.0
    }

    /// The same, where the app has a floor at all.
    pub fn named(self) -> Option<u64> {
        (self.0 > 0).then_some(self.0)
    }

    /// Whether so few users may not be shown. Nobody may.
    pub fn is_few(self, users: u64) -> bool {
        (1..self.0).contains(&users)
    }

    /// The number of users, out of `of`, that satisfy something: unless they are fewer than the floor, or
    /// those who don't are, for `not` would tell the one by the other. Nobody, and everybody, is shown.
    pub fn shown(self, count: u64, of: u64) -> Option<u64> {
        (!self.is_few(count) && !self.is_few(of.saturating_sub(count))).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_hidden_and_so_is_all_but_few() {
        let floor = Floor(5);
        for (count, of, shown) in
            [(0, 100, true), (1, 100, false), (4, 100, false), (5, 100, true), (95, 100, true)]
                .into_iter()
                .chain([(96, 100, false), (99, 100, false), (100, 100, true), (3, 3, false), (0, 3, false)])
        {
            assert_eq!(floor.shown(count, of), shown.then_some(count), "{count} of {of}");
        }
        assert_eq!(Floor(0).shown(1, 2), Some(1));
        assert_eq!(Floor(1).shown(1, 2), Some(1));
    }
}
