//! Names that teams give.

use crate::error::Error;

/// Longest name of a segment or a list, in bytes.
const BYTES: usize = 256;

/// Refuses one that is empty or too long.
pub fn check_name(name: &str) -> Result<(), Error> {
    if name.trim().is_empty() || name.len() > BYTES {
        let detail = format!("The name has 1 to {BYTES} bytes.");
        return Err(Error::Body { pointer: "/name", code: "bad_name", detail });
    }
    Ok(())
}
