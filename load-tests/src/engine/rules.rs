//! The rules of the set, each as Muster's JSON and as ClickHouse's SQL.

use serde_json::{Value, json};

use super::set::{DAYS, Event, day};

/// A rule: all of its conditions hold.
pub struct Rule {
    pub name: &'static str,
    pub behaviour: bool,
    conditions: Vec<Condition>,
}

#[derive(Clone)]
enum Condition {
    Tags { label: u16, tags: Vec<u16> },
    Event { event: Event, page: Option<u16>, days: usize, at_least: u32 },
    Not(Box<Condition>),
}

use Condition::Tags;

pub fn label_name(label: u16) -> String {
    format!("label-{label}")
}

pub fn page_name(page: u16) -> String {
    format!("/page/{page}")
}

pub fn all() -> Vec<Rule> {
    let tags = |label, tags: &[u16]| Tags { label, tags: tags.to_vec() };
    let event = |event, days, at_least| Condition::Event { event, page: None, days, at_least };
    let page =
        |page, days, at_least| Condition::Event { event: Event::Visit, page: Some(page), days, at_least };
    let not = |condition| Condition::Not(Box::new(condition));
    let labels = || {
        vec![
            tags(6, &[1, 2, 5, 7]),
            tags(0, &[1, 2]),
            tags(3, &[1, 2, 3, 4]),
            tags(7, &[1, 2, 3, 4, 5, 6, 7, 8]),
            tags(1, &[1, 3]),
            tags(9, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            tags(4, &[1, 2, 3, 4, 5]),
            tags(2, &[1, 2, 4]),
            tags(5, &[1, 3, 5, 6, 7]),
            tags(8, &[1, 2, 3, 4, 5, 6, 9, 11, 13]),
        ]
    };
    let first = |n| labels().into_iter().take(n).collect::<Vec<_>>();
    let mixed = vec![
        tags(6, &[1, 2, 5, 7]),
        event(Event::Visit, 7, 3),
        tags(0, &[1, 2]),
        not(tags(40, &[1])),
        page(3, 14, 1),
        tags(3, &[1, 2, 3, 4]),
        event(Event::Search, 30, 2),
        not(event(Event::Order, 30, 1)),
        tags(9, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        event(Event::Visit, 30, 10),
    ];
    let three = vec![event(Event::Visit, 7, 5), event(Event::Search, 14, 2), not(event(Event::Order, 30, 1))];
    let rule = |name, behaviour, conditions| Rule { name, behaviour, conditions };
    vec![
        rule("one label, three tags", false, vec![tags(6, &[1, 4, 7])]),
        rule("3 label conditions", false, first(3)),
        rule("5 label conditions", false, first(5)),
        rule("10 label conditions", false, first(10)),
        rule("one page >= 3 in 7 days", true, vec![page(2, 7, 3)]),
        rule("visit >= 5 in 7 days", true, vec![event(Event::Visit, 7, 5)]),
        rule("visit >= 20 in 30 days", true, vec![event(Event::Visit, 30, 20)]),
        rule("3 behaviours, one excluded", true, three),
        rule("10 mixed conditions", true, mixed),
    ]
}

/// So many rules of three conditions each, out of a few dozen that they share.
pub fn some(count: usize) -> Vec<Rule> {
    let conditions: Vec<Condition> = (0..60).map(shared).collect();
    let pick = |n: usize| conditions[n % conditions.len()].clone();
    let rule = |n: usize| Rule {
        name: "one of many",
        behaviour: true,
        conditions: vec![pick(n * 7), pick(n * 13 + n / 60 + 1), pick(n * 29 + n / 7 + 2)],
    };
    (0..count).map(rule).collect()
}

fn shared(n: u16) -> Condition {
    match n % 3 {
        0 => Tags { label: n % 10, tags: vec![1, 1 + n % 3] },
        1 => Tags { label: 10 + n % 35, tags: vec![1] },
        _ => {
            let (event, days) = (Event::ALL[usize::from(n) % 2], [1, 7, 14, 30][usize::from(n) / 3 % 4]);
            Condition::Event { event, page: None, days, at_least: 1 + u32::from(n) / 12 }
        }
    }
}

impl Rule {
    pub fn json(&self) -> Value {
        let all: Vec<Value> = self.conditions.iter().map(Condition::json).collect();
        json!({ "where": { "all": all } })
    }

    /// One query that returns the count. The parts of an intersection are read side by side.
    pub fn sql(&self) -> String {
        let parts = |excluded: bool| -> Vec<String> {
            let wanted = self.conditions.iter().filter(|condition| condition.is_not() == excluded);
            wanted.map(Condition::sql).collect()
        };
        let (held, excluded) = (parts(false), parts(true));
        match (&held[..], &excluded[..]) {
            ([one], []) => format!("SELECT bitmapCardinality(s) FROM ({one})"),
            (held, []) => format!("SELECT groupBitmapAnd(s) FROM ({})", held.join(" UNION ALL ")),
            (held, excluded) => format!(
                "SELECT bitmapAndnotCardinality(a, b) FROM \
                 (SELECT groupBitmapAndState(s) AS a FROM ({})) AS held, \
                 (SELECT groupBitmapOrState(s) AS b FROM ({})) AS excluded",
                held.join(" UNION ALL "),
                excluded.join(" UNION ALL "),
            ),
        }
    }
}

impl Condition {
    fn is_not(&self) -> bool {
        matches!(self, Condition::Not(_))
    }

    fn json(&self) -> Value {
        match self {
            Tags { label, tags } => json!({ "label": label_name(*label), "in": tags }),
            Condition::Event { event, page, days, at_least } => {
                let mut condition =
                    json!({ "event": event.name(), "last_days": days, "pv": { "gte": at_least } });
                if let Some(page) = page {
                    condition["where"] = json!({ "page": { "in": [page_name(*page)] } });
                }
                condition
            }
            Condition::Not(inner) => json!({ "not": inner.json() }),
        }
    }

    /// A query with one column `s`, the state of a groupBitmap.
    fn sql(&self) -> String {
        match self {
            Tags { label, tags } => {
                let tags: Vec<String> = tags.iter().map(u16::to_string).collect();
                format!(
                    "SELECT groupBitmapMergeState(users) AS s FROM labels WHERE label = {label} AND tag IN ({})",
                    tags.join(", ")
                )
            }
            Condition::Event { event, page, days, at_least } => {
                let page = page.map(|page| format!(" AND page = {page}")).unwrap_or_default();
                format!(
                    "SELECT groupBitmapState(user) AS s FROM (SELECT user FROM behaviour \
                     WHERE event = {} AND ds BETWEEN {} AND {}{page} GROUP BY user HAVING sum(pv) >= {at_least})",
                    *event as u8,
                    day(DAYS - days),
                    day(DAYS - 1),
                )
            }
            Condition::Not(inner) => inner.sql(),
        }
    }
}
