//! The processes that run one role: whose turn it is, and who is left out for a moment.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// One that could not be reached is left out for so long.
const LEFT_OUT_MS: i64 = 1_000;

pub struct Instances {
    all: Vec<Instance>,
    next: AtomicUsize,
}

pub struct Instance {
    pub base: String,
    /// Milliseconds since the epoch.
    out_until: AtomicI64,
}

impl Instances {
    pub fn new(bases: Vec<String>) -> Instances {
        let instance = |base| Instance { base, out_until: AtomicI64::new(0) };
        Instances { all: bases.into_iter().map(instance).collect(), next: AtomicUsize::new(0) }
    }

    pub fn all(&self) -> &[Instance] {
        &self.all
    }

    /// All of them in the order to try: each one's turn comes round, and those that could not be reached a
    /// moment ago are the last resort.
    pub fn in_turn(&self, now: i64) -> Vec<&Instance> {
        let count = self.all.len().max(1);
        let first = self.next.fetch_add(1, Ordering::Relaxed) % count;
        let (had_theirs, coming) = self.all.split_at(first.min(self.all.len()));
        let mut order: Vec<&Instance> = coming.iter().chain(had_theirs).collect();
        order.sort_by_key(|instance| instance.is_out(now));
        order
    }
}

impl Instance {
    pub fn leave_out(&self, now: i64) {
        self.out_until.store(now + LEFT_OUT_MS, Ordering::Relaxed);
    }

    pub fn welcome_back(&self) {
        if self.out_until.load(Ordering::Relaxed) != 0 {
            self.out_until.store(0, Ordering::Relaxed);
        }
    }

    fn is_out(&self, now: i64) -> bool {
        now < self.out_until.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_round_and_the_lost_come_last() {
        let instances = Instances::new(vec!["a".into(), "b".into(), "c".into()]);
        let order = |now| instances.in_turn(now).iter().map(|one| one.base.clone()).collect::<String>();
        assert_eq!([order(0), order(0), order(0), order(0)], ["abc", "bca", "cab", "abc"]);
        instances.all()[2].leave_out(0);
        assert_eq!([order(999), order(999), order(1_000)], ["bac", "abc", "abc"]);
        assert!(Instances::new(Vec::new()).in_turn(0).is_empty());
    }
}
