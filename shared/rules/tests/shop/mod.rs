//! A small shop's catalogue for the tests of this crate.

use muster_days::Ds;
use muster_rules::crowds::Crowd;
use muster_rules::{Caps, EventWords, LabelWords, Made, Vocabulary, parse};

pub fn ds(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

pub fn crowd(rule: &str) -> Crowd {
    Crowd::Defined { rule: parse(rule.as_bytes(), &Caps::default()).unwrap(), retired: false }
}

/// Published from 2026-10-25 to 2026-11-01, with gaps: `gender` stops on 10-30, `visit` lacks 10-29,
/// `order` lacks 10-31 and later, `nobody_has` has never been published.
pub fn shop() -> Vocabulary {
    let days = |from: i64, to: i64| ds(from).through(ds(to));
    let label = |id, name: &str, tags: &[(i64, &str)], published: Vec<Ds>| LabelWords {
        id,
        name: name.into(),
        tags: tags.iter().map(|(code, name)| (*code, (*name).into())).collect(),
        published,
    };
    let event =
        |name: &str, dimensions: &[(&str, &[&str])], measures: &[&str], published: Vec<Ds>| EventWords {
            name: name.into(),
            dimensions: dimensions
                .iter()
                .map(|(name, values)| ((*name).into(), values.iter().map(|value| (*value).into()).collect()))
                .collect(),
            measures: measures.iter().map(|name| (*name).into()).collect(),
            published,
        };
    let vip = r#"{"universe": "active_7d", "where": {"label": "gender", "in": ["male"]}}"#;
    // There has always been a cohort of it, so that any rule that names it has an answer.
    let cohorts = [(ds(19700101), "coh_0".to_owned()), (ds(20261028), "coh_1".to_owned())];
    let segments = [("seg_1".to_owned(), cohorts.to_vec())].into();
    let lists = [("lst_1".to_owned(), cohorts[1..].to_vec())].into();
    Vocabulary {
        labels: vec![
            label(10001, "gender", &[(1, "male"), (2, "female")], days(20261025, 20261030).collect()),
            label(
                10002,
                "province",
                &[(44, "Guangdong"), (43, "Hunan"), (86, "Hunan"), (7, "44")],
                days(20261025, 20261101).collect(),
            ),
            label(10003, "city_tier", &[(5, "tier 5"), (6, "tier 6")], vec![ds(20261025), ds(20261031)]),
            label(10004, "studied_credits", &[(1, "credits")], days(20261025, 20261031).collect()),
            label(10005, "nobody_has", &[(1, "yes")], vec![]),
        ],
        events: vec![
            event(
                "visit",
                &[("page", &["/sale", "/home", "/sale/shoes"]), ("app/os", &["ios", "android", "7", "true"])],
                &[],
                days(20261025, 20261101).filter(|day| day.number() != 20261029).collect(),
            ),
            event(
                "order",
                &[("channel", &["web", "shop"])],
                &["m_amount", "m_items"],
                days(20261025, 20261030).collect(),
            ),
        ],
        cohorts: [("coh_0".to_owned(), ds(19700101)), ("coh_1".to_owned(), ds(20261028))].into(),
        made: Made { segments, lists },
        crowds: [("vip".to_owned(), crowd(vip))].into(),
    }
}
