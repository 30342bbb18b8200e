//! What a single value has to be. Every refusal is one sentence that doesn't repeat the value.

use std::borrow::Cow;
use std::num::IntErrorKind;

use muster_days::Ds;
use muster_http::is_padded;

use super::Intake;
use crate::rows::{MAX_COLUMN_NAME, MAX_ID, MAX_NAME, MAX_VALUE};

/// So many characters of a name that was not expected are told.
pub(super) const SHOWN: usize = 100;

pub(super) type Reason = Cow<'static, str>;

/// The checks of one file; remembers the last day and app, which rarely change from row to row.
pub(super) struct Checks<'a> {
    allowed: &'a (dyn Fn(&str) -> bool + Sync),
    takes_label: &'a (dyn Fn(&str, i64) -> bool + Sync),
    last_day_of: &'a (dyn Fn(&str) -> Option<Ds> + Sync),
    last_ds: Option<([u8; 8], Ds)>,
    last_app: String,
    /// Of the last app, like the label.
    last_day: Option<Ds>,
    last_label: Option<i64>,
}

impl<'a> Checks<'a> {
    pub fn new(intake: &Intake<'a>) -> Checks<'a> {
        let Intake { allowed, takes_label, last_day: last_day_of, .. } = *intake;
        let (last_ds, last_app, last_day, last_label) = (None, String::new(), None, None);
        Checks { allowed, takes_label, last_day_of, last_ds, last_app, last_day, last_label }
    }

    /// A day of the calendar, as eight digits.
    pub fn ds(&mut self, text: &str) -> Result<Ds, Reason> {
        if let Some((seen, ds)) = self.last_ds
            && seen == text.as_bytes()
        {
            return Ok(ds);
        }
        filled(text)?;
        let ds =
            text.parse::<Ds>().map_err(|_| Cow::Borrowed("not a day of the calendar written YYYYMMDD"))?;
        self.last_ds = text.as_bytes().try_into().ok().map(|bytes| (bytes, ds));
        Ok(ds)
    }

    /// An app that the caller may import.
    pub fn app(&mut self, text: &str) -> Result<(), Reason> {
        if self.last_app == text && !text.is_empty() {
            return Ok(());
        }
        key(text, MAX_ID)?;
        if !(self.allowed)(text) {
            return Err(Cow::Borrowed("not an app that this import may write to"));
        }
        self.last_label = None;
        self.last_day = (self.last_day_of)(text);
        self.last_app.clear();
        self.last_app.push_str(text);
        Ok(())
    }

    /// A day that is not too far ahead for the app, which was the last one checked.
    pub fn ahead(&self, ds: Ds) -> Result<(), Reason> {
        ahead(ds, self.last_day)
    }

    /// A label that the app takes, which was the last one checked.
    pub fn label(&mut self, text: &str) -> Result<i64, Reason> {
        let label = integer(text)?;
        if self.last_label != Some(label) && !(self.takes_label)(&self.last_app, label) {
            return Err(Cow::Borrowed(
                "not a label of the app's catalogue that is in use, and the app refuses others",
            ));
        }
        self.last_label = Some(label);
        Ok(label)
    }
}

/// A day up to the last one that the app takes: one that was mistyped would be its newest for good.
pub(super) fn ahead(ds: Ds, last: Option<Ds>) -> Result<(), Reason> {
    match last {
        Some(last) if ds > last => {
            Err(Cow::Owned(format!("too far ahead: the last day that the app takes is {last}")))
        }
        _ => Ok(()),
    }
}

/// The text of a user id.
pub(super) fn user(text: &str) -> Result<(), Reason> {
    short_text(text, MAX_ID)
}

/// The name of a label or tag, which have ids for keys.
pub(super) fn name(text: &str) -> Result<(), Reason> {
    short_text(text, MAX_NAME)
}

/// The name of an event.
pub(super) fn event(text: &str) -> Result<(), Reason> {
    key(text, MAX_NAME)
}

/// The name of a dimension or measure.
pub(super) fn column_name(text: &str) -> Result<(), Reason> {
    key(text, MAX_COLUMN_NAME)
}

/// The value of a dimension; any text, control characters too.
pub(super) fn value(text: &str) -> Result<(), Reason> {
    within(text, MAX_VALUE)
}

/// A whole number in decimal digits, with a minus if need be, that fits a signed 64-bit integer.
pub(super) fn integer(text: &str) -> Result<i64, Reason> {
    filled(text)?;
    if text.starts_with('+') {
        return Err(Cow::Borrowed("not an integer"));
    }
    text.parse().map_err(|err: std::num::ParseIntError| match err.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
            Cow::Borrowed("outside the range of a signed 64-bit integer")
        }
        _ => Cow::Borrowed("not an integer"),
    })
}

/// Nothing when the text is empty, else an integer.
pub(super) fn optional_integer(text: &str) -> Result<Option<i64>, Reason> {
    if text.is_empty() { Ok(None) } else { integer(text).map(Some) }
}

/// A number of views.
pub(super) fn pv(text: &str) -> Result<u64, Reason> {
    u64::try_from(integer(text)?).map_err(|_| Cow::Borrowed("negative"))
}

/// A text that is a key in tables.
fn key(text: &str, longest: usize) -> Result<(), Reason> {
    short_text(text, longest)?;
    if is_padded(text) { Err(Cow::Borrowed("begins or ends with white space")) } else { Ok(()) }
}

fn short_text(text: &str, longest: usize) -> Result<(), Reason> {
    filled(text)?;
    within(text, longest)?;
    // Mostly plain ASCII, which is told at once.
    let plain = text.bytes().fold(true, |plain, byte| plain & (b' '..=b'~').contains(&byte));
    if !plain && text.chars().any(char::is_control) {
        return Err(Cow::Borrowed("holds a control character"));
    }
    Ok(())
}

fn filled(text: &str) -> Result<(), Reason> {
    if text.is_empty() { Err(Cow::Borrowed("empty")) } else { Ok(()) }
}

fn within(text: &str, longest: usize) -> Result<(), Reason> {
    match text.len() {
        len if len > longest => Err(Cow::Owned(format!("{len} bytes long, at most {longest} are accepted"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_plain_and_never_truncated() {
        let check = |text: &str, expected: Result<i64, &str>| {
            assert_eq!(integer(text), expected.map_err(|reason| Cow::Owned(reason.to_owned())), "{text:?}");
        };
        check("0", Ok(0));
        check("-7", Ok(-7));
        check("0010001", Ok(10001));
        check("9223372036854775807", Ok(i64::MAX));
        check("-9223372036854775808", Ok(i64::MIN));
        check("9223372036854775808", Err("outside the range of a signed 64-bit integer"));
        check("-9223372036854775809", Err("outside the range of a signed 64-bit integer"));
        check("", Err("empty"));
        for text in ["+1", "1.0", "1e3", " 1", "1 ", "-", "0x10", "1_000", "١", "NaN"] {
            check(text, Err("not an integer"));
        }
        assert_eq!(pv("-1"), Err(Cow::Borrowed("negative")));
        assert_eq!(optional_integer(""), Ok(None));
    }

    #[test]
    fn texts_have_a_length_and_no_control_characters() {
        assert!(user(&"x".repeat(128)).is_ok());
        assert!(user(&"x".repeat(129)).unwrap_err().contains("129 bytes"));
        assert!(user(&"é".repeat(65)).is_err());
        assert!(name(&"x".repeat(256)).is_ok());
        for bad in ["", "a\tb", "a\nb", "\0", "a\u{7f}", "a\u{85}b"] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert!(name("性别 – ♀").is_ok());
        for padded in [" visit", "visit ", "visit\u{3000}"] {
            let reason = Err(Cow::Borrowed("begins or ends with white space"));
            assert_eq!((event(padded), column_name(padded)), (reason.clone(), reason), "{padded:?}");
            assert!(name(padded).is_ok() && user(padded).is_ok() && value(padded).is_ok());
        }
        assert!(event("first visit").is_ok());
        assert!(value("two\nlines").is_ok());
    }
}
