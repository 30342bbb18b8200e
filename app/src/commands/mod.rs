//! One file per command.

pub mod bench;
pub mod catalogue;
pub mod cohort;
pub mod delivery;
pub mod demo;
pub mod erase;
pub mod estimate;
pub mod experiment;
pub mod export;
pub mod import;
pub mod job;
pub mod key;
pub mod lifecycle;
pub mod list;
pub mod migrate;
pub mod segment;
pub mod serve;
pub mod track;
pub mod verify;
pub mod why;
