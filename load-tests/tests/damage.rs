//! A fixed slice of what `make fuzz` does for ten minutes.

use muster_load_tests::damage::{Bench, Size, Verdict};

fn check(size: Size, cases: std::ops::Range<u64>) {
    let bench = Bench::build(size).unwrap();
    let (mut harmless, mut refused, mut survived) = (0, 0, 0);
    for case in cases {
        match bench.run(case).unwrap_or_else(|error| panic!("case {case}: {error:#}")) {
            Verdict::Harmless => harmless += 1,
            Verdict::Refused => refused += 1,
            Verdict::Survived => survived += 1,
        }
    }
    // Only padding between sections may change unnoticed.
    assert!(harmless < refused / 5, "{refused} refused, {harmless} harmless");
    assert!(survived > refused / 2, "{refused} refused, {survived} survived");
}

#[test]
fn damage_is_refused_by_name_and_hostile_bytes_do_no_harm() {
    check(Size::Small, 0..600);
}

#[test]
fn nor_in_larger_files() {
    check(Size::Large, 0..20);
}
