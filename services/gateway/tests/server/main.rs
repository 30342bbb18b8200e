//! The gateway as its callers see it: a real server on a port of its own, a real database, a small
//! service behind it.

mod apps;
mod edges;
mod flow;
mod forward;
mod harness;
mod jobs;
mod keys;
mod notes;
mod quotas;
mod repeat;
