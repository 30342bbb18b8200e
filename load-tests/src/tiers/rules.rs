//! Varied rules over the generated set: another number is another rule, the same on every run.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::engine::rules::{label_name, page_name};
use crate::engine::set::{DAYS, Event, Label, PAGES};

/// Makes rules.
pub struct Rules {
    /// Tags of each label.
    labels: Vec<u16>,
}

impl Rules {
    pub fn new() -> Rules {
        Rules { labels: Label::all().iter().map(Label::tags).collect() }
    }

    /// Rule number `number` of exactly so many conditions, all of which must hold; one in six is negated.
    pub fn rule(&self, conditions: usize, number: u32) -> Value {
        let mut rng = StdRng::seed_from_u64(u64::from(number) << 8 | conditions as u64);
        let mut one = || {
            let condition = self.condition(&mut rng);
            if rng.random_ratio(1, 6) { json!({ "not": condition }) } else { condition }
        };
        let all: Vec<Value> = (0..conditions).map(|_| one()).collect();
        json!({ "where": { "all": all } })
    }

    /// Rules that between them read every file, so that the others find all of them open.
    pub fn of_everything(&self) -> Vec<Value> {
        let labels = (0..self.labels.len() as u16).map(|n| json!({"label": label_name(n), "set": true}));
        let labels = json!({"any": labels.collect::<Vec<_>>()});
        // Totals read the weeks, distinct days the days.
        let totals =
            Event::ALL.map(|event| json!({"event": event.name(), "last_days": DAYS, "pv": {"gte": 2}}));
        let days =
            Event::ALL.map(|event| json!({"event": event.name(), "last_days": DAYS, "days": {"gte": 2}}));
        let pages = json!({"event": "visit", "where": {"page": {"prefix": "/"}}, "last_days": DAYS});
        [labels, pages]
            .into_iter()
            .chain(totals)
            .chain(days)
            .map(|condition| json!({"where": condition}))
            .collect()
    }

    /// Six in ten are about labels.
    fn condition(&self, rng: &mut StdRng) -> Value {
        let days = rng.random_range(1..=DAYS);
        match rng.random_range(0..10) {
            0..6 => self.label(rng),
            6 => {
                let page = page_name(rng.random_range(1..=PAGES as u16));
                json!({"event": "visit", "where": {"page": {"in": [page]}}, "last_days": days,
                       "pv": {"gte": rng.random_range(1..4)}})
            }
            7 => json!({"event": "visit", "last_days": days, "days": {"gte": rng.random_range(1..4)}}),
            _ => {
                let event = Event::ALL.choose(rng).unwrap_or(&Event::Visit).name();
                json!({"event": event, "last_days": days, "pv": {"gte": rng.random_range(1..12)}})
            }
        }
    }

    /// Up to half of the label's tags.
    fn label(&self, rng: &mut StdRng) -> Value {
        let number = rng.random_range(0..self.labels.len());
        let tags = self.labels[number];
        let mut wanted: Vec<u16> =
            (0..rng.random_range(1..=tags.div_ceil(2))).map(|_| rng.random_range(1..=tags)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        json!({ "label": label_name(number as u16), "in": wanted })
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules::new()
    }
}

#[cfg(test)]
mod tests {
    use muster_rules::{Caps, parse};

    use super::*;

    #[test]
    fn rules_have_their_size_and_differ() {
        let rules = Rules::new();
        for size in [1, 3, 5, 10, 20] {
            let mut texts: Vec<String> = (0..50).map(|number| rules.rule(size, number).to_string()).collect();
            for text in &texts {
                let rule = parse(text.as_bytes(), &Caps::default());
                assert!(rule.is_ok(), "{text}: {rule:?}");
                assert_eq!(text.matches("\"label\"").count() + text.matches("\"event\"").count(), size);
            }
            texts.sort();
            texts.dedup();
            assert!(texts.len() > 45, "{} rules of {size} conditions", texts.len());
        }
    }
}
