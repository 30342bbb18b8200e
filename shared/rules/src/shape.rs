//! The size of a rule's tree, taken before any of it is read: the caps on depth and counts.

use crate::caps::Caps;
use crate::codes;
use crate::json::Json;
use crate::pointer::At;
use crate::problem::{Problems, over};

#[derive(Default)]
struct Shape {
    depth: usize,
    /// The first condition below the cap on depth.
    too_deep: Option<String>,
    groups: usize,
    conditions: usize,
    filters: usize,
    regexes: usize,
}

/// Notes a problem for every cap that the tree under `where` breaks; `false` if there is any. The JSON's
/// own depth has been capped before, so walking it is safe.
pub(crate) fn within_caps(tree: &Json, at: &At, caps: &Caps, problems: &mut Problems) -> bool {
    let mut shape = Shape::default();
    shape.walk(tree, at, 1, caps.depth);
    let mut within = shape.too_deep.is_none();
    if let Some(pointer) = shape.too_deep {
        let detail = over("depth", caps.depth, shape.depth, "nest fewer all, any and not");
        problems.push_at(pointer, codes::RULE_TOO_DEEP, detail, None);
    }
    let counts = [
        (codes::TOO_MANY_CONDITIONS, "conditions", caps.conditions, shape.conditions),
        (codes::TOO_MANY_GROUPS, "groups", caps.groups, shape.groups),
        (codes::TOO_MANY_FILTERS, "filters", caps.filters, shape.filters),
        (codes::TOO_MANY_REGEXES, "regexes", caps.regexes, shape.regexes),
    ];
    for (code, cap, limit, given) in counts {
        if given > limit {
            within = false;
            problems.push(
                at,
                code,
                over(cap, limit, given, "make the rule smaller, or make cohorts of its parts"),
            );
        }
    }
    within
}

impl Shape {
    fn walk(&mut self, json: &Json, at: &At, level: usize, cap: usize) {
        self.depth = self.depth.max(level);
        if level > cap && self.too_deep.is_none() {
            self.too_deep = Some(at.to_string());
        }
        let Json::Object(entries) = json else { return };
        let mut group = false;
        for (key, value) in entries {
            match (key.as_str(), value) {
                ("all" | "any", Json::List(items)) => {
                    group = true;
                    let list = at.key(key);
                    for (n, item) in items.iter().enumerate() {
                        self.walk(item, &list.index(n), level + 1, cap);
                    }
                }
                ("not", inner) => {
                    group = true;
                    self.walk(inner, &at.key(key), level + 1, cap);
                }
                ("where", Json::Object(dimensions)) => self.count_filters(dimensions),
                _ => {}
            }
        }
        if group {
            self.groups += 1;
        } else {
            self.conditions += 1;
        }
    }

    fn count_filters(&mut self, dimensions: &[(String, Json)]) {
        for (_, tests) in dimensions {
            let Json::Object(tests) = tests else { continue };
            self.filters += tests.len();
            self.regexes += tests.iter().filter(|(key, _)| key == "regex").count();
        }
    }
}
