//! The `job` table. One function per query; the time is always an argument.

mod reads;
mod row;
mod writes;

#[cfg(test)]
mod tests;

pub(crate) use reads::{Due, due, find, is_due, load, lost, page};
pub(crate) use writes::{Ending, bury, cancel, claim, finish, hand_back, insert, renew};
