//! The `job` table. One function per query; the time is always an argument.

mod reads;
mod row;
mod writes;

#[cfg(test)]
mod tests;

pub(crate) use reads::{
    Due, due, due_of, find, load, lost, others_wait, page, party_of_due, running_of, unfinished_of,
};
pub(crate) use writes::{Ending, bury, cancel, claim, finish, hand_back, insert, renew};
