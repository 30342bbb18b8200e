//! Where a command takes its rule from: a file, standard input, or the line itself.

use std::io::Read;

use clap::Args;

use crate::failure::Failure;

/// A rule, given in one of three ways.
#[derive(Debug, Clone, Args)]
pub struct RuleArgs {
    /// File with the rule's JSON, or `-` for standard input
    #[arg(value_name = "FILE", conflicts_with = "rule")]
    pub file: Option<String>,
    /// The rule itself
    #[arg(long, value_name = "JSON")]
    pub rule: Option<String>,
}

impl RuleArgs {
    /// The rule's text, if one is given. It is the server that judges it.
    pub fn read(&self) -> Result<Option<String>, Failure> {
        if let Some(rule) = &self.rule {
            return Ok(Some(rule.clone()));
        }
        let Some(file) = &self.file else { return Ok(None) };
        let mut text = String::new();
        let read = match file.as_str() {
            "-" => std::io::stdin().read_to_string(&mut text).map(drop),
            path => std::fs::read_to_string(path).map(|found| text = found),
        };
        read.map_err(|err| Failure::usage(format!("can't read the rule from `{file}`: {err}")))?;
        Ok(Some(text))
    }

    /// The rule's text, which this command can't do without.
    pub fn required(&self) -> Result<String, Failure> {
        let missing =
            || Failure::usage("give the rule as a FILE, as `-` (standard input), or with --rule JSON");
        self.read()?.ok_or_else(missing)
    }
}
