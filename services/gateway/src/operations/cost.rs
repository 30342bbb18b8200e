//! What a request that carries a rule costs.

use muster_rules::Caps;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A segment being saved; the rest of its body is the segments service's own.
#[derive(Deserialize)]
struct Saved<'a> {
    #[serde(borrow)]
    rule: &'a RawValue,
}

/// The cost of the rule in the body of an estimate, which is the rule, or of a segment, which holds it
/// under `rule`. 1 when there is no readable rule: the handler will say what is wrong with it.
pub fn of(path: &str, body: &[u8], caps: &Caps) -> u64 {
    let rule = match path.ends_with("/segments/estimate") {
        true => Some(body),
        false => serde_json::from_slice::<Saved>(body).ok().map(|saved| saved.rule.get().as_bytes()),
    };
    let parsed = rule.and_then(|rule| muster_rules::parse(rule, caps).ok());
    parsed.map_or(1, |rule| muster_rules::cost(&rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_weighs_the_same_wherever_it_lies() {
        let rule = r#"{"where": {"event": "visit", "last_days": 70, "pv": {"gte": 3}}}"#;
        let cost = |path: &str, body: &str| of(path, body.as_bytes(), &Caps::default());
        let alone = cost("/v1/apps/a/segments/estimate", rule);
        assert!(alone > 5, "{alone}");
        let saved = format!(r#"{{"name": "n", "rule": {rule}, "refresh": "manual"}}"#);
        assert_eq!(cost("/v1/apps/a/segments", &saved), alone);
        assert_eq!(cost("/v1/apps/a/segments/seg_1", &saved), alone);
        for unreadable in ["", "{}", "[1]", "nonsense", rule] {
            assert_eq!(cost("/v1/apps/a/segments", unreadable), 1, "{unreadable}");
        }
    }
}
