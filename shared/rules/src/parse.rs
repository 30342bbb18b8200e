//! From JSON text to a [`Rule`]: the text's own caps, the top keys, the tree of groups.

use serde_json::Value;

use crate::caps::Caps;
use crate::codes;
use crate::conditions::{cohort, event, label, segment};
use crate::cost::cost;
use crate::depth::{TooDeep, too_deep};
use crate::json::Json;
use crate::nearest::nearest;
use crate::pointer::At;
use crate::problem::{Problem, Problems, over, refused, shown};
use crate::reader::{Fields, Reader, listed};
use crate::rule::{Condition, EVERYONE, Rule, VERSION};
use crate::shape;

const TOP: [&str; 4] = ["version", "universe", "as_of", "where"];
const KINDS: [&str; 8] = ["all", "any", "not", "label", "event", "cohort", "segment", "list"];

/// Reads a rule from JSON text. Nothing recurses before the text's depth is known to be within the cap.
pub fn parse(text: &[u8], caps: &Caps) -> Result<Rule, Vec<Problem>> {
    if text.len() > caps.bytes {
        let detail =
            over("bytes", caps.bytes, text.len(), "shorten the rule; long lists of users are cohorts");
        return refused(codes::TOO_MANY_BYTES, detail);
    }
    if let Some(found) = too_deep(text, caps.json_depth()) {
        return refused_depth(found, caps);
    }
    match serde_json::from_slice::<Json>(text) {
        Ok(json) => read(&json, caps),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            refused(codes::JSON_SYNTAX, format!("this is not JSON: line {line}, column {column}: {reason}"))
        }
    }
}

/// Reads a rule from JSON that is part of a larger document; pointers start at `value`.
///
/// A key given twice can't be seen here: the value has kept one of them.
pub fn from_value(value: &Value, caps: &Caps) -> Result<Rule, Vec<Problem>> {
    match Json::from_value(value, caps.json_depth()) {
        Ok(json) => read(&json, caps),
        Err(found) => refused_depth(found, caps),
    }
}

fn refused_depth<T>(found: TooDeep, caps: &Caps) -> Result<T, Vec<Problem>> {
    let detail = over("json_depth", caps.json_depth(), format_args!("{} levels", found.depth), "nest less");
    Err(vec![Problem { pointer: found.pointer, code: codes::JSON_TOO_DEEP, detail, nearest: None }])
}

fn read(json: &Json, caps: &Caps) -> Result<Rule, Vec<Problem>> {
    let mut reader = Reader { caps, problems: Problems::default() };
    let rule = reader.rule(json);
    let rule = reader.problems.finish(rule)?;
    let cost = cost(&rule);
    if cost > caps.cost {
        let detail = over("cost", caps.cost, cost, "use fewer conditions, shorter windows or fewer filters");
        return refused(codes::RULE_TOO_COSTLY, detail);
    }
    Ok(rule)
}

impl Reader<'_> {
    fn rule(&mut self, json: &Json) -> Option<Rule> {
        let root = At::root();
        let fields = self.object(json, &root, "an object with `where`")?;
        self.only(fields, &root, &TOP);
        self.version(fields, &root);
        let universe = match fields.get("universe") {
            None => Some(EVERYONE.to_owned()),
            Some(name) => self.name(name, &root.key("universe")),
        };
        let as_of = match fields.get("as_of") {
            None => Some(None),
            Some(day) => self.day(day, &root.key("as_of")).map(Some),
        };
        let Some(tree) = fields.get("where") else {
            self.missing(&root, "write `where`: the condition, or {\"all\": []} for everyone");
            return None;
        };
        let at = root.key("where");
        if !shape::within_caps(tree, &at, self.caps, &mut self.problems) {
            return None;
        }
        let tree = self.condition(tree, &at);
        Some(Rule { universe: universe?, as_of: as_of?, root: tree? })
    }

    fn version(&mut self, fields: Fields, at: &At) {
        let Some(json) = fields.get("version") else { return };
        let at = at.key("version");
        match self.integer(json, &at) {
            None | Some(VERSION) => {}
            Some(other) => {
                let detail = format!("version {other} of the rule language is not known here: write 1");
                self.problems.push(&at, codes::UNKNOWN_VERSION, detail);
            }
        }
    }

    fn condition(&mut self, json: &Json, at: &At) -> Option<Condition> {
        if self.problems.full() {
            return None;
        }
        let fields = self.object(json, at, "a condition, such as {\"label\": …} or {\"all\": […]}")?;
        let kinds = fields.given(&KINDS);
        match kinds[..] {
            [] => self.no_kind(fields, at),
            [kind] => self.kind(kind, fields, at),
            [first, second, ..] => {
                let detail = format!(
                    "one condition can't be `{first}` and `{second}` at once: \
                     write two conditions in an `all` or `any`"
                );
                self.problems.push(&at.key(second), codes::CONFLICTING_KEYS, detail);
                None
            }
        }
    }

    fn kind(&mut self, kind: &str, fields: Fields, at: &At) -> Option<Condition> {
        match kind {
            "all" => self.group("all", fields, at).map(Condition::All),
            "any" => self.group("any", fields, at).map(Condition::Any),
            "not" => {
                self.only(fields, at, &["not"]);
                let inner = self.condition(fields.get("not")?, &at.key("not"))?;
                Some(Condition::Not(Box::new(inner)))
            }
            "label" => label::read(self, fields, at).map(Condition::Label),
            "event" => event::read(self, fields, at).map(Condition::Event),
            "cohort" => cohort::read(self, fields, at).map(Condition::Cohort),
            "segment" => segment::read(self, fields, kind, at).map(Condition::Segment),
            _ => segment::read(self, fields, kind, at).map(Condition::List),
        }
    }

    fn group(&mut self, kind: &str, fields: Fields, at: &At) -> Option<Vec<Condition>> {
        self.only(fields, at, &[kind]);
        let json = fields.get(kind)?;
        let at = at.key(kind);
        let Json::List(items) = json else {
            self.wrong_type(json, &at, "a list of conditions");
            return None;
        };
        let read: Vec<_> =
            items.iter().enumerate().map(|(n, item)| self.condition(item, &at.index(n))).collect();
        read.into_iter().collect()
    }

    /// A misspelt kind is pointed at; otherwise the whole condition is.
    fn no_kind(&mut self, fields: Fields, at: &At) -> Option<Condition> {
        for (key, _) in fields.0 {
            if let Some(name) = nearest(key, KINDS) {
                let detail =
                    format!("`{}` is no kind of condition: the kinds are {}", shown(key), listed(&KINDS));
                self.problems.push_nearest(&at.key(key), codes::UNKNOWN_KEY, detail, Some(name));
                return None;
            }
        }
        self.missing(at, format!("say what the condition is about: one of {}", listed(&KINDS)));
        None
    }
}
