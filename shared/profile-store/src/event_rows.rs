//! The rows of one event in one bucket while they are added up.

/// Rows kept before equal ones are added up (24 bytes and 8 per measure each).
const FOLD_AT: usize = 1 << 21;

/// Columns of equal length; `measures` has one stride per row. A key is (place of the tuple, ordinal).
#[derive(Default)]
pub(crate) struct Rows {
    stride: usize,
    keys: Vec<u64>,
    pv: Vec<i64>,
    measures: Vec<i64>,
    fold_at: usize,
}

impl Rows {
    pub fn new(measures: usize) -> Rows {
        Rows { stride: measures, fold_at: FOLD_AT, ..Rows::default() }
    }

    pub fn push(&mut self, (tuple, ordinal): (u32, u32), pv: i64, measures: &[i64]) {
        self.keys.push(u64::from(tuple) << 32 | u64::from(ordinal));
        self.pv.push(pv);
        self.measures.extend_from_slice(measures);
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn tuple(&self, row: usize) -> u32 {
        (self.keys[row] >> 32) as u32
    }

    pub fn ordinal(&self, row: usize) -> u32 {
        self.keys[row] as u32
    }

    /// Column 0 is pv, column 1 + i measure number i.
    pub fn number(&self, column: usize, row: usize) -> i64 {
        match column {
            0 => self.pv[row],
            column => self.measures[row * self.stride + column - 1],
        }
    }

    pub fn columns(&self) -> usize {
        1 + self.stride
    }

    /// Keeps memory bounded by what is left of many rows. None when a sum does not fit 64 bits.
    pub fn fold_if_full(&mut self) -> Option<()> {
        if self.keys.len() >= self.fold_at {
            self.fold()?;
            self.fold_at = (self.keys.len() * 2).max(FOLD_AT);
        }
        Some(())
    }

    /// Sorts by key and adds up rows with equal keys. None when a sum does not fit 64 bits.
    pub fn fold(&mut self) -> Option<()> {
        if self.keys.is_sorted_by(|a, b| a < b) {
            return Some(());
        }
        let mut order: Vec<(u64, u32)> = self.keys.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let mut folded = Rows::new(self.stride);
        folded.fold_at = self.fold_at;
        for rows in order.chunk_by(|a, b| a.0 == b.0) {
            folded.keys.push(rows[0].0);
            folded.pv.push(self.sum(0, rows)?);
            for column in 1..self.columns() {
                folded.measures.push(self.sum(column, rows)?);
            }
        }
        *self = folded;
        Some(())
    }

    fn sum(&self, column: usize, rows: &[(u64, u32)]) -> Option<i64> {
        match rows {
            [(_, row)] => Some(self.number(column, *row as usize)),
            rows => sum(rows.iter().map(|&(_, row)| self.number(column, row as usize))),
        }
    }

    /// Rows by user: (ordinal, row), ascending.
    pub fn by_user(&self) -> Vec<(u32, u32)> {
        let mut rows: Vec<(u32, u32)> = self.keys.iter().map(|&key| key as u32).zip(0..).collect();
        rows.sort_unstable();
        rows
    }

    /// The column's sum per user over all tuples, by ordinal. None when one does not fit 64 bits.
    pub fn user_sums(&self, column: usize, by_user: &[(u32, u32)]) -> Option<Vec<(u32, i64)>> {
        let users = by_user.chunk_by(|a, b| a.0 == b.0);
        let sums = users.map(|rows| {
            let numbers = rows.iter().map(|&(_, row)| self.number(column, row as usize));
            Some((rows[0].0, sum(numbers)?))
        });
        sums.collect()
    }
}

/// None only when the sum itself does not fit, whatever the order of the numbers.
fn sum(numbers: impl Iterator<Item = i64>) -> Option<i64> {
    i64::try_from(numbers.map(i128::from).sum::<i128>()).ok()
}
