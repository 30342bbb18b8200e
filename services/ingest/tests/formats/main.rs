//! The readers from outside: whole files in, rows and refused rows out.

mod bad_rows;
mod collect;
mod csv;
mod damage;
mod ndjson;
mod oulad;
mod parquet;
