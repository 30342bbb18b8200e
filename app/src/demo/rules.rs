//! Three questions that a shop would ask.

use serde_json::Value;

/// A rule and what it is for.
pub struct Question {
    pub name: &'static str,
    pub text: &'static str,
    /// The rule's JSON, laid out for reading.
    pub rule: &'static str,
}

impl Question {
    pub fn parsed(&self) -> Value {
        serde_json::from_str(self.rule).expect("the rules below are JSON")
    }
}

/// The first one is also made a segment.
pub const QUESTIONS: [Question; 3] = [
    Question {
        name: "window shoppers",
        text: "Women in Guangdong or Zhejiang who looked at the sale three times or more in the last 7 days,
but have not ordered in 30 days",
        rule: r#"{"where": {"all": [
  {"label": "gender", "in": ["female"]},
  {"label": "province", "in": ["Guangdong", "Zhejiang"]},
  {"event": "visit", "where": {"page": {"in": ["/sale"]}}, "last_days": 7, "pv": {"gte": 3}},
  {"not": {"event": "order", "last_days": 30}}
]}}"#,
    },
    Question {
        name: "slipping away",
        text:
            "Gold members and better, worth 10,000 yuan or more, who came on three days or more between 29 and
15 days ago, but not once in the last 10",
        rule: r#"{"where": {"all": [
  {"label": "member_level", "in": ["gold", "platinum", "diamond"]},
  {"label": "lifetime_spend", "weight": {"gte": 10000}},
  {"event": "visit", "days_ago": [29, 15], "days": {"gte": 3}},
  {"not": {"event": "visit", "last_days": 10}}
]}}"#,
    },
    Question {
        name: "undecided players",
        text: "Of those active in 30 days: fond of gaming or digital goods, with either in the cart on two
different days, who spent less than 500 yuan; on iOS or in a big city",
        rule: r#"{"universe": "active_30d", "where": {"all": [
  {"label": "interests", "in": ["gaming", "digital"]},
  {"event": "cart", "where": {"category": {"in": ["gaming", "digital"]}}, "last_days": 30, "days": {"gte": 2}},
  {"event": "order", "last_days": 30, "sum": {"m_amount": {"lt": 50000}}},
  {"any": [{"label": "device", "in": ["ios"]}, {"label": "city_tier", "in": [1, 2]}]}
]}}"#,
    },
];

#[cfg(test)]
mod tests {
    use muster_rules::{Caps, parse};

    use super::*;

    #[test]
    fn the_questions_are_rules() {
        for question in QUESTIONS {
            let parsed = parse(question.rule.as_bytes(), &Caps::default());
            assert!(parsed.is_ok(), "{}: {parsed:?}", question.name);
            assert!(question.parsed().is_object());
        }
    }
}
