//! What is wrong with a rule, and where; and what is right but worth knowing.

use serde::Serialize;

use crate::pointer::At;

/// Problems reported for one rule; what follows is not looked for.
pub const MOST: usize = 20;

/// A refusal of one place of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// RFC 6901 pointer of the place; empty for the whole rule.
    pub pointer: String,
    /// One of [`crate::codes::PROBLEMS`].
    pub code: &'static str,
    /// A sentence that tells the caller what to do.
    pub detail: String,
    /// The known name that looks most like the one given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl Problem {
    /// The same problem of a rule that is part of a larger document, at `prefix` (such as `/rule`).
    pub fn under(mut self, prefix: &str) -> Problem {
        self.pointer.insert_str(0, prefix);
        self
    }
}

/// Refuses the rule as a whole.
pub(crate) fn refused<T>(code: &'static str, detail: impl Into<String>) -> Result<T, Vec<Problem>> {
    Err(vec![Problem { pointer: String::new(), code, detail: detail.into(), nearest: None }])
}

/// Something that does not stop the rule but may not be what its author meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub pointer: String,
    /// One of [`crate::codes::WARNINGS`].
    pub code: &'static str,
    pub detail: String,
}

/// Collects problems up to [`MOST`].
#[derive(Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    /// Names of what has nothing made of it yet. Behind the others and with a bound of their own: a rule that is
    /// only kept may have as many of these as it likes.
    not_made: Vec<Problem>,
}

impl Problems {
    pub fn push(&mut self, at: &At, code: &'static str, detail: impl Into<String>) {
        self.push_nearest(at, code, detail, None);
    }

    pub fn push_nearest(
        &mut self,
        at: &At,
        code: &'static str,
        detail: impl Into<String>,
        nearest: Option<String>,
    ) {
        self.push_at(at.to_string(), code, detail, nearest);
    }

    pub fn push_at(
        &mut self,
        pointer: String,
        code: &'static str,
        detail: impl Into<String>,
        nearest: Option<String>,
    ) {
        if !self.full() {
            self.found.push(Problem { pointer, code, detail: detail.into(), nearest });
        }
    }

    /// `pointer` names a segment or a list that nothing was made of until the day the rule looks from.
    pub fn push_not_made(&mut self, pointer: String, code: &'static str, detail: String) {
        if self.not_made.len() < MOST {
            self.not_made.push(Problem { pointer, code, detail, nearest: None });
        }
    }

    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Puts those after the first `count` at `at`: they are of text that the author of the rule did not
    /// write, and `of` says which.
    pub fn move_to(&mut self, count: usize, at: &At, of: &str) {
        for problem in &mut self.found[count..] {
            problem.detail = format!("{of}, {}: {}", problem.pointer, problem.detail);
            problem.pointer = at.to_string();
        }
    }

    /// One more look-up would tell the caller nothing: stop early.
    pub fn full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// The value, unless something was noted. A value is only ever missing after a problem.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Vec<Problem>> {
        self.found.append(&mut self.not_made);
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => Err(self.found),
        }
    }
}

/// A caller's text inside a sentence: short, whatever was sent.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// The sentence of every cap: which one, its limit, what was given, and what to do.
pub(crate) fn over(
    cap: &str,
    limit: impl std::fmt::Display,
    given: impl std::fmt::Display,
    advice: &str,
) -> String {
    format!("cap `{cap}` is {limit}, this has {given}: {advice}")
}
