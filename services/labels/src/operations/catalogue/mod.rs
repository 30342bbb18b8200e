//! The catalogue as people write it: changed entry by entry, checked, kept as versions, and shown to the
//! other services.

mod change;
mod check;
mod history;
mod load;
mod sheet;

pub use change::{Author, Changed, change, current, show_pending};
pub use history::{Change, ChangeWithEntries, changes, one_change, rollback};
pub use load::load;
pub use sheet::{read as read_sheet, write as write_sheet};
