//! The rule language: JSON text to a tree, the tree to a plan of whole days and codes. Pure: no
//! storage, no HTTP, no clock; what an app knows comes in through [`Catalogue`].
//!
//! ```text
//! bytes --parse--> Rule --check(Catalogue)--> Plan + warnings + freshness
//! ```
//!
//! `parse` knows the language and the caps, `check` knows the app's names and published days. Both
//! collect up to [`problem::MOST`] problems, each with the JSON pointer of the place.

pub mod arbitrary;
mod caps;
mod catalogue;
mod check;
pub mod codes;
mod compare;
mod conditions;
mod cost;
pub mod crowds;
mod depth;
mod freshness;
mod json;
mod nearest;
mod normalise;
mod parse;
mod plan;
mod pointer;
pub mod problem;
mod reader;
mod rule;
mod shape;
mod vocabulary;

pub use caps::Caps;
pub use catalogue::{Catalogue, CohortInfo, EventInfo, LabelInfo, Made};
pub use check::{Checked, check};
pub use compare::Compare;
pub use conditions::event::EventCondition;
pub use conditions::filter::ValueTest;
pub use conditions::label::{Key, LabelCondition, LabelTest};
pub use conditions::regex::compile as compile_regex;
pub use conditions::window::Window;
pub use cost::cost;
pub use freshness::{Freshness, Part};
pub use nearest::{did_you_mean, nearest};
pub use normalise::normalise;
pub use parse::{from_value, parse};
pub use plan::{Filter, Leaf, Matcher, Measure, Node, Plan, Test, Universe};
pub use problem::{Problem, Warning};
pub use rule::{Condition, Rule};
pub use vocabulary::{EventWords, LabelWords, Vocabulary};
