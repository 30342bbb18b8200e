//! Keyset paging: a cursor is the key of the last item seen, so that a list that grows between two pages
//! neither repeats nor skips what was there.

use muster_http::{Page, PageQuery, Problem};

use crate::error::{Error, Result};

/// A page's bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging<K> {
    /// Most items on the page, at least 1.
    pub size: u32,
    /// Key of the last item of the page before.
    pub after: Option<K>,
}

impl<K: Key> Paging<K> {
    pub fn from_query(query: &PageQuery) -> Result<Self, Problem> {
        let size = query.size()?;
        let after =
            query.cursor.as_deref().map(|text| K::read(text).ok_or(Error::ForeignCursor)).transpose()?;
        Ok(Paging { size, after })
    }

    /// How many rows to fetch: one more than the page holds, to know whether there is another page.
    pub fn fetch(&self) -> usize {
        self.size as usize + 1
    }

    /// The page of up to [`fetch`](Self::fetch) rows.
    pub fn page<T>(&self, rows: Vec<T>, key: impl FnOnce(&T) -> K) -> Page<T> {
        Page::cut(rows, self.size, |row| key(row).write())
    }
}

/// A list's key as it stands in a cursor: characters that no URL needs to escape.
pub trait Key: Sized {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl Key for i64 {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Key for u32 {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Hex digits of the UTF-8 bytes.
impl Key for String {
    fn write(&self) -> String {
        self.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(text: &str) -> Option<Self> {
        if !text.len().is_multiple_of(2) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).ok();
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
        String::from_utf8(bytes?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_and_strangers_do_not() {
        for name in ["", "visit", "浏览 /&?", "%"] {
            let text = name.to_owned().write();
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()), "{text}");
            assert_eq!(String::read(&text).as_deref(), Some(name));
        }
        for bad in ["7", "zz", "ff", "é1", "+1"] {
            assert_eq!(String::read(bad), None, "{bad}");
        }
        assert_eq!(i64::read(&(-5i64).write()), Some(-5));
        assert_eq!(u32::read("-1"), None);
    }
}
