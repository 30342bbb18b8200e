//! Regular expressions within limits: one compiler for the check and for the evaluator.

use regex::{Regex, RegexBuilder};

use crate::codes;
use crate::pointer::At;
use crate::problem::over;
use crate::reader::Reader;

/// Bytes of a compiled program and of its cache: a pattern like `(\w{1000}){1000}` stops here.
const SIZE: usize = 1 << 20;

/// Groups inside groups: compiling recurses into them.
const NESTING: u32 = 50;

/// Compiles a pattern as every part of the suite does, so that one that passed the check compiles again.
/// The error is one sentence. Matching takes time linear in the text, whatever the pattern.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(SIZE).dfa_size_limit(SIZE).nest_limit(NESTING).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("it compiles to more than {limit} bytes: repeat less, or use smaller classes")
        }
        other => reason(&other.to_string()),
    })
}

/// The library draws the pattern with a marker below it; the position and the last line say the same.
fn reason(drawn: &str) -> String {
    let column = drawn
        .lines()
        .find_map(|line| line.trim().chars().all(|c| c == '^').then(|| line.find('^')).flatten());
    let last = drawn.lines().last().unwrap_or(drawn).trim_start_matches("error: ");
    // The drawing indents the pattern by four.
    match column {
        Some(column) if column >= 4 => format!("{last} at character {}", column - 3),
        _ => last.to_owned(),
    }
}

/// Whether the pattern is short enough and compiles; a problem is noted if not.
pub(crate) fn valid(reader: &mut Reader, pattern: &str, at: &At) -> bool {
    let limit = reader.caps.regex_length;
    if pattern.len() > limit {
        let detail = over("regex_length", limit, pattern.len(), "shorten it, or list the values with `in`");
        reader.problems.push(at, codes::REGEX_TOO_LONG, detail);
        return false;
    }
    if let Err(reason) = compile(pattern) {
        reader.problems.push(at, codes::BAD_REGEX, format!("this is no regular expression: {reason}"));
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_the_place() {
        assert_eq!(compile("a(b").unwrap_err(), "unclosed group at character 2");
        assert_eq!(compile("*a").unwrap_err(), "repetition operator missing expression at character 1");
        assert!(compile(r"(\w{500}){500}").unwrap_err().contains("1048576 bytes"));
        assert!(compile(&"(".repeat(400)).is_err());
        assert!(compile("^/sale/\\w+$").unwrap().is_match("/sale/shoes"));
    }
}
