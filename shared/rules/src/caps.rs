//! The limits of a rule. Every refusal names the cap, its limit and what was given.

/// Limits that `parse` and `check` hold a rule to. The defaults are the documented ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of the JSON text.
    pub bytes: usize,
    /// Nesting of the JSON text, the outermost object being level 1. Never above 120 in effect, so that
    /// no stack depends on what a caller sends or an operator configures.
    pub json_depth: usize,
    /// Nesting of the rule's tree, the outermost condition of `where` being level 1.
    pub depth: usize,
    /// Conditions on a label, an event or a cohort.
    pub conditions: usize,
    /// `all`, `any` and `not` together.
    pub groups: usize,
    /// Tests of dimensions (`in`, `prefix`, …) in all event conditions together.
    pub filters: usize,
    /// `regex` tests in all event conditions together.
    pub regexes: usize,
    /// Bytes of one regular expression.
    pub regex_length: usize,
    /// Entries of one `in` or `not_in`.
    pub list: usize,
    /// Bytes of one name (label, event, dimension, measure, universe, cohort).
    pub name_bytes: usize,
    /// Days of one window, and how many days back `days_ago` reaches.
    pub window_days: u32,
    /// What [`crate::cost`] may come to.
    pub cost: u64,
}

impl Default for Caps {
    fn default() -> Caps {
        Caps {
            bytes: 1 << 20,
            json_depth: 100,
            depth: 32,
            conditions: 200,
            groups: 500,
            filters: 500,
            regexes: 50,
            regex_length: 1_000,
            list: 10_000,
            name_bytes: 512,
            window_days: 3_660,
            cost: 10_000,
        }
    }
}

impl Caps {
    pub(crate) fn json_depth(&self) -> usize {
        self.json_depth.min(120)
    }
}
