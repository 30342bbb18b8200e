//! A group of posting rows: what is counted and ordered together.

use std::ops::Range;

/// Rows of one tuple in one block. Rows have numbers in the bucket; [`RowGroup::rows`] are the group's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowGroup {
    pub block: u16,
    ones: u16,
    twos: u16,
    others: u32,
    first_row: u32,
    first_other: u32,
}

impl RowGroup {
    /// From an entry of `Kind::PostingGroups`. A section's rows are counted in 32 bits, see `in_order`.
    pub(crate) fn new(entry: &[u8; 8], first_row: usize, first_other: usize) -> RowGroup {
        let number = |at: usize| u16::from_le_bytes([entry[at * 2], entry[at * 2 + 1]]);
        RowGroup {
            block: number(0),
            ones: number(1),
            twos: number(2),
            others: number(3).into(),
            first_row: first_row as u32,
            first_other: first_other as u32,
        }
    }

    pub(crate) fn of_others(block: u16, rows: usize, first_row: usize) -> RowGroup {
        let first_row = first_row as u32;
        RowGroup { block, ones: 0, twos: 0, others: rows as u32, first_row, first_other: first_row }
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.ones) + usize::from(self.twos) + self.others as usize
    }

    pub fn rows(&self) -> Range<usize> {
        let first = self.first_row as usize;
        first..first + self.len()
    }

    /// The rows with a pv of 1, those with a pv of 2, and the others. In each of them places ascend.
    pub(crate) fn parts(&self) -> [Range<usize>; 3] {
        let Range { start, end } = self.rows();
        let twos = start + usize::from(self.ones);
        let others = twos + usize::from(self.twos);
        [start..twos, twos..others, others..end]
    }

    /// Where the others' pv stand in their column.
    pub(crate) fn others(&self) -> Range<usize> {
        let first = self.first_other as usize;
        first..first + self.others as usize
    }
}
