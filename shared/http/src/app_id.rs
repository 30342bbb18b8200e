//! Ids of apps, and other names that are keys of tables.

use crate::problem::{Kind, Problem};

/// Whether a name begins or ends with white space. MySQL and MariaDB take `shop` and `shop ` for one name,
/// everything else takes them for two: so no app, event or dimension is called so.
pub fn is_padded(name: &str) -> bool {
    name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace)
}

/// 400 `invalid_app` for an id that no app can have.
pub fn check_app_id(app: &str) -> Result<(), Problem> {
    if is_padded(app) {
        let detail = format!("`{app}` is no id of an app: it begins or ends with white space.");
        return Err(Problem::new(Kind::BadRequest, "invalid_app", detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_refused_at_the_ends_only() {
        for padded in [" shop", "shop ", "shop\t", "\u{3000}shop", " ", "shop\u{a0}"] {
            assert!(is_padded(padded) && check_app_id(padded).is_err(), "{padded:?}");
        }
        for plain in ["shop", "my shop", "店铺/2", ""] {
            assert!(!is_padded(plain) && check_app_id(plain).is_ok(), "{plain:?}");
        }
    }
}
