//! How answers look on a terminal.

pub mod bar;
pub mod catalogue;
pub mod cohort;
pub mod estimate;
pub mod experiment;
pub mod number;
pub mod rule;
pub mod table;
pub mod why;

use serde_json::Value;

/// Prints a line, or many, to standard output. A reader that has gone away (`| head`) ends the program
/// quietly, as it ends any other filter.
pub fn print(text: impl std::fmt::Display) {
    use std::io::Write;
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// The member as text, whatever it is; empty when it is not there.
pub fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
