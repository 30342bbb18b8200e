//! Lists are paged by cursor: `?limit=&cursor=` in, `{"items": […], "next": …}` out.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Kind, Problem};

/// Items per page when the request names no limit.
pub const DEFAULT_PAGE: u32 = 100;
/// The most items a page may hold.
pub const MAX_PAGE: u32 = 1000;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required)]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The same page of other items.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(each).collect(), next: self.next }
    }

    /// From up to `size + 1` rows, the last of which only tells that there is more; `cursor` names the
    /// last row that is on this page.
    pub fn cut(mut rows: Vec<T>, size: u32, cursor: impl FnOnce(&T) -> String) -> Page<T> {
        let more = rows.len() > size as usize;
        rows.truncate(size as usize);
        let next = if more { rows.last().map(cursor) } else { None };
        Page { items: rows, next }
    }
}

/// The paging parameters of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items per page, 1 to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000, required = false)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[param(required = false)]
    pub cursor: Option<String>,
}

impl PageQuery {
    /// The cursor of a list whose cursors are numbers, or 400 `invalid_cursor`.
    pub fn number(&self) -> Result<Option<u32>, Problem> {
        self.cursor.as_deref().map(str::parse).transpose().map_err(|_| {
            Problem::new(Kind::BadRequest, "invalid_cursor", "The cursor is not one that this list gave.")
        })
    }

    /// The page's size, or 400 `invalid_limit` that names the bounds.
    pub fn size(&self) -> Result<u32, Problem> {
        let size = self.limit.unwrap_or(DEFAULT_PAGE);
        if (1..=MAX_PAGE).contains(&size) {
            return Ok(size);
        }
        let detail = format!("`limit` is {size}; a page holds 1 to {MAX_PAGE} items.");
        Err(Problem::new(Kind::BadRequest, "invalid_limit", detail).with_fault("limit", "out_of_range", None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_has_bounds() {
        let size = |limit| PageQuery { limit, cursor: None }.size().map_err(|p| p.code);
        assert_eq!(size(None), Ok(100));
        assert_eq!(size(Some(1000)), Ok(1000));
        assert_eq!(size(Some(1001)), Err("invalid_limit".into()));
        assert_eq!(size(Some(0)), Err("invalid_limit".into()));
    }

    #[test]
    fn a_cursor_is_a_number_or_refused() {
        let number = |cursor: Option<&str>| {
            PageQuery { limit: None, cursor: cursor.map(str::to_owned) }.number().map_err(|p| p.code)
        };
        assert_eq!(number(None), Ok(None));
        assert_eq!(number(Some("20261101")), Ok(Some(20261101)));
        assert_eq!(number(Some("seg_1")), Err("invalid_cursor".into()));
    }

    #[test]
    fn the_extra_row_only_says_that_there_is_more() {
        let cursor = |n: &i32| n.to_string();
        assert_eq!(Page::cut(vec![1, 2, 3], 2, cursor), Page { items: vec![1, 2], next: Some("2".into()) });
        assert_eq!(Page::cut(vec![1, 2], 2, cursor), Page { items: vec![1, 2], next: None });
        assert_eq!(Page::cut(vec![], 2, cursor), Page { items: vec![], next: None });
    }
}
