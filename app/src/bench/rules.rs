//! Varied rules of a given number of conditions over the shop: the same ones on every run.

use serde_json::{Value, json};

use crate::demo::dice::Dice;
use crate::demo::shop::{
    AGE_BAND, CATEGORY, CITY_TIER, DEVICE, GENDER, MEMBER_LEVEL, PROVINCE, SIGNUP_CHANNEL, Tag,
};

const SEED: u64 = 20_261_101;
const PAGES: [&str; 7] = ["/home", "/search", "/category", "/item", "/sale", "/cart", "/me"];

/// Rule number `number` with exactly this many conditions.
pub fn rule(conditions: usize, number: u64) -> Value {
    let mut dice = Dice::new(SEED + conditions as u64, number);
    let mut groups = Vec::new();
    let mut left = conditions;
    while left > 0 {
        // One in four stands with another in an `any`, one in six is negated.
        if left >= 2 && dice.permille(250) {
            groups.push(json!({ "any": [condition(&mut dice), condition(&mut dice)] }));
            left -= 2;
            continue;
        }
        let one = condition(&mut dice);
        groups.push(if dice.permille(160) { json!({ "not": one }) } else { one });
        left -= 1;
    }
    let universe = ["all", "all", "active_30d"][dice.below(3) as usize];
    json!({ "universe": universe, "where": { "all": groups } })
}

fn condition(dice: &mut Dice) -> Value {
    match dice.below(10) {
        0..5 => label(dice),
        5 => json!({"label": "lifetime_spend", "weight": {"gte": dice.below(5000)}}),
        6 => json!({"event": "visit", "last_days": dice.between(1, 30), "pv": {"gte": dice.between(1, 20)}}),
        7 => json!({"event": "visit", "where": {"page": {"in": [*dice.choose(&PAGES)]}},
                    "last_days": dice.between(1, 30), "pv": {"gte": dice.between(1, 5)}}),
        8 => json!({"event": "order", "last_days": dice.between(7, 30),
                    "sum": {"m_amount": {"gte": dice.between(1000, 100_000)}}}),
        _ => json!({"event": "cart", "last_days": dice.between(7, 30), "days": {"gte": dice.between(1, 3)}}),
    }
}

fn label(dice: &mut Dice) -> Value {
    let provinces = PROVINCE.map(|(tag, _, _)| tag);
    let labels: [(&str, &[Tag]); 8] = [
        ("gender", &GENDER),
        ("age_band", &AGE_BAND),
        ("province", &provinces),
        ("city_tier", &CITY_TIER),
        ("device", &DEVICE),
        ("member_level", &MEMBER_LEVEL),
        ("interests", &CATEGORY),
        ("signup_channel", &SIGNUP_CHANNEL),
    ];
    let (name, tags) = *dice.choose(&labels);
    let wanted = dice.between(1, (tags.len() as u64 / 2).max(1));
    let mut named: Vec<&str> = (0..wanted).map(|_| dice.choose(tags).1).collect();
    named.sort_unstable();
    named.dedup();
    let verb = if dice.permille(150) { "not_in" } else { "in" };
    json!({ "label": name, verb: named })
}

#[cfg(test)]
mod tests {
    use muster_rules::{Caps, parse};

    use super::*;

    fn leaves(condition: &Value) -> usize {
        for key in ["all", "any"] {
            if let Some(Value::Array(items)) = condition.get(key) {
                return items.iter().map(leaves).sum();
            }
        }
        condition.get("not").map_or(1, leaves)
    }

    #[test]
    fn rules_have_the_size_that_was_asked_for_and_are_rules() {
        for size in [1, 3, 5, 10, 20] {
            for number in 0..50 {
                let rule = rule(size, number);
                assert_eq!(leaves(&rule["where"]), size);
                let parsed = parse(rule.to_string().as_bytes(), &Caps::default());
                assert!(parsed.is_ok(), "{rule}: {parsed:?}");
            }
        }
        assert_ne!(rule(3, 0), rule(3, 1));
    }
}
