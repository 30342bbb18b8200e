//! A synthetic shop: who its users are, what they do, the files that tell of it, and questions worth
//! asking. The same options give the same bytes on every machine.

pub mod days;
pub mod dice;
pub mod files;
pub mod rules;
pub mod shop;
pub mod supply;
