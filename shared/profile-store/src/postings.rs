//! The rows of one event on one day in one bucket, sorted by tuple of dimension values, then ordinal: for
//! rules that name a value.
//!
//! The rows of a tuple lie in groups of one block of 65,536 ordinals each: first those with a pv of 1, then
//! those with a pv of 2, then the others, so that only these have a pv of their own in the file. A pv of 1
//! or 2 is what nearly every row has. In files of version 1 every row is one of the others.

use std::ops::Range;

use crate::error::{Result, StoreError};
use crate::event_part::EventMeta;
use crate::numbers::Numbers;
use crate::row_group::RowGroup;
use crate::sealed::{Kind, Sealed, u32_at};

pub struct Postings<'a> {
    file: &'a Sealed,
    form: Form<'a>,
    /// pv of the others, then each measure of every row.
    numbers: Vec<Numbers<'a>>,
}

/// Stands for what a tuple has, see [`Postings::groups`].
#[derive(Clone, Copy, Debug)]
pub struct TupleRows(usize);

/// What a tuple has.
struct Has {
    groups: Range<usize>,
    rows: Range<usize>,
    others: Range<usize>,
}

enum Form<'a> {
    /// Entries of `Kind::PostingTuples` and `Kind::PostingGroups`, and the places of all rows.
    Groups { tuples: &'a [[u8; 16]], groups: &'a [[u8; 8]], places: &'a [[u8; 2]] },
    /// Entries of `Kind::PostingStarts`, and the ordinals of all rows.
    Ordinals { starts: &'a [[u8; 8]], ordinals: &'a [[u8; 4]] },
}

impl<'a> Postings<'a> {
    pub(crate) fn open(file: &'a Sealed, meta: &EventMeta, bucket: u32) -> Result<Option<Postings<'a>>> {
        let damaged = |what: &str| StoreError::damaged(file.path(), what);
        let form = if let Some(tuples) = file.section(Kind::PostingTuples, bucket, 0) {
            let groups = file.need(Kind::PostingGroups, bucket, 0)?.as_chunks().0;
            let places = file.need(Kind::PostingPlaces, bucket, 0)?.as_chunks().0;
            Form::Groups { tuples: tuples.as_chunks().0, groups, places }
        } else if let Some(starts) = file.section(Kind::PostingStarts, bucket, 0) {
            let ordinals = file.need(Kind::PostingOrdinals, bucket, 0)?.as_chunks().0;
            Form::Ordinals { starts: starts.as_chunks().0, ordinals }
        } else {
            return Ok(None);
        };
        if !form.in_order(meta.tuples) {
            return Err(damaged("postings out of order"));
        }
        let (rows, others) = form.rows_and_others();
        let numbers: Result<Vec<Numbers<'_>>> = (0..=meta.measures.len())
            .map(|key| {
                let bytes = file.need(Kind::PostingNumbers, bucket, key as i64)?;
                let count = if key == 0 { others } else { rows };
                Numbers::parse(bytes, count).ok_or_else(|| damaged("posting numbers"))
            })
            .collect();
        Ok(Some(Postings { file, form, numbers: numbers? }))
    }

    /// Every tuple that has rows, ascending, with what it has.
    pub fn tuples(&self) -> impl Iterator<Item = (u32, TupleRows)> + '_ {
        (0..self.form.tuples()).map(|entry| (self.form.tuple(entry), TupleRows(entry)))
    }

    /// Calls `visit` with each group of the tuple, by block; a block may have several. The groups' rows are
    /// rows of the tuple, whatever the bytes say: an error ends the calls before others are reached.
    pub fn groups(&self, tuple: TupleRows, mut visit: impl FnMut(RowGroup)) -> Result<()> {
        let tuple = self.form.has(tuple.0);
        let (mut row, mut other) = (tuple.rows.start, tuple.others.start);
        match &self.form {
            Form::Groups { groups, .. } => {
                for counts in &groups[tuple.groups] {
                    let group = RowGroup::new(counts, row, other);
                    row += group.len();
                    other += group.others().len();
                    if row > tuple.rows.end || other > tuple.others.end {
                        break;
                    }
                    visit(group);
                }
            }
            Form::Ordinals { ordinals, .. } => {
                for rows in ordinals[tuple.rows.clone()].chunk_by(|a, b| a[2..] == b[2..]) {
                    let block = u16::from_le_bytes([rows[0][2], rows[0][3]]);
                    visit(RowGroup::of_others(block, rows.len(), row));
                    row += rows.len();
                }
                other = row;
            }
        }
        if (row, other) != (tuple.rows.end, tuple.others.end) {
            return Err(StoreError::damaged(self.file.path(), "posting groups"));
        }
        Ok(())
    }

    /// The row's ordinal less that of its block's first.
    pub fn place(&self, row: usize) -> u16 {
        match &self.form {
            Form::Groups { places, .. } => u16::from_le_bytes(places[row]),
            Form::Ordinals { ordinals, .. } => low_half(ordinals[row]),
        }
    }

    /// The group's row at `place`.
    pub fn find(&self, group: &RowGroup, place: u16) -> Option<usize> {
        group.parts().into_iter().find_map(|rows| self.find_within(rows, place))
    }

    fn find_within(&self, rows: Range<usize>, place: u16) -> Option<usize> {
        let (mut low, mut high) = (rows.start, rows.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.place(middle) < place {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low < rows.end && self.place(low) == place).then_some(low)
    }

    /// Bytes that the places and the numbers in the column of the group's rows take.
    pub fn bytes_of(&self, group: &RowGroup, column: usize) -> usize {
        let place = if let Form::Groups { .. } = self.form { 2 } else { 4 };
        let numbers = if column == 0 { group.others().len() } else { group.len() };
        group.len() * place + self.numbers[column].bytes_of(numbers)
    }

    /// A row of the group. Column 0 is pv, column 1 + i measure number i.
    pub fn number(&self, group: &RowGroup, column: usize, row: usize) -> i64 {
        let [ones, twos, others] = group.parts();
        match row {
            row if column > 0 => self.numbers[column].at(row),
            row if ones.contains(&row) => 1,
            row if twos.contains(&row) => 2,
            row => self.numbers[0].at(group.others().start + row - others.start),
        }
    }

    /// Calls `visit` with place and number of each row of the group.
    #[inline]
    pub fn for_each(&self, group: &RowGroup, column: usize, mut visit: impl FnMut(u16, i64)) {
        let numbers = &self.numbers[column];
        match &self.form {
            Form::Groups { places, .. } if column == 0 => {
                // The number is a constant in each of the first two loops.
                let [ones, twos, others] = group.parts();
                places[ones].iter().for_each(|place| visit(u16::from_le_bytes(*place), 1));
                places[twos].iter().for_each(|place| visit(u16::from_le_bytes(*place), 2));
                let visit = |place, number| visit(u16::from_le_bytes(place), number);
                numbers.for_each(group.others(), &places[others], visit);
            }
            Form::Groups { places, .. } => {
                let visit = |place, number| visit(u16::from_le_bytes(place), number);
                numbers.for_each(group.rows(), &places[group.rows()], visit);
            }
            Form::Ordinals { ordinals, .. } => {
                let visit = |ordinal, number| visit(low_half(ordinal), number);
                numbers.for_each(group.rows(), &ordinals[group.rows()], visit);
            }
        }
    }
}

fn low_half(ordinal: [u8; 4]) -> u16 {
    u32::from_le_bytes(ordinal) as u16
}

impl Form<'_> {
    fn tuples(&self) -> usize {
        match self {
            Form::Groups { tuples, .. } => tuples.len(),
            Form::Ordinals { starts, .. } => starts.len(),
        }
    }

    /// How many rows there are, and how many of them have a pv of their own.
    fn rows_and_others(&self) -> (usize, usize) {
        match self {
            Form::Groups { tuples, places, .. } => {
                (places.len(), tuples.last().map_or(0, |last| u32_at(last, 3) as usize))
            }
            Form::Ordinals { ordinals, .. } => (ordinals.len(), ordinals.len()),
        }
    }

    fn tuple(&self, entry: usize) -> u32 {
        match self {
            Form::Groups { tuples, .. } => u32_at(&tuples[entry], 0),
            Form::Ordinals { starts, .. } => u32_at(&starts[entry], 0),
        }
    }

    /// What the tuple of the entry has.
    fn has(&self, entry: usize) -> Has {
        match self {
            Form::Groups { tuples, .. } => {
                let (own, before) = (&tuples[entry], entry.checked_sub(1).map(|before| &tuples[before]));
                let range = |field| {
                    let start = before.map_or(0, |before| u32_at(before, field) as usize);
                    start..u32_at(own, field) as usize
                };
                Has { groups: range(1), rows: range(2), others: range(3) }
            }
            Form::Ordinals { starts, ordinals } => {
                let end = starts.get(entry + 1).map_or(ordinals.len(), |next| u32_at(next, 1) as usize);
                let rows = u32_at(&starts[entry], 1) as usize..end;
                Has { groups: 0..0, rows: rows.clone(), others: rows }
            }
        }
    }

    /// Tuples ascend and are tuples of the part; what they have follows on each other and ends with the
    /// sections, which are counted in 32 bits.
    fn in_order(&self, part_tuples: u32) -> bool {
        match self {
            Form::Groups { tuples, groups, places } => {
                let entries = tuples.iter().map(numbers_of);
                let ends = (groups.len(), places.len());
                let fits = |[_, groups, rows, _]: [u32; 4]| (groups as usize, rows as usize) == ends;
                last_in_order(entries, part_tuples).is_some_and(fits)
            }
            Form::Ordinals { starts, ordinals } => {
                let entries = starts.iter().map(|entry| [u32_at(entry, 0), 0, u32_at(entry, 1), 0]);
                let fits = |[_, _, row, _]: [u32; 4]| row as usize <= ordinals.len();
                u32::try_from(ordinals.len()).is_ok() && last_in_order(entries, part_tuples).is_some_and(fits)
            }
        }
    }
}

/// An entry of `Kind::PostingTuples`.
fn numbers_of(entry: &[u8; 16]) -> [u32; 4] {
    [u32_at(entry, 0), u32_at(entry, 1), u32_at(entry, 2), u32_at(entry, 3)]
}

/// The last of the entries (zeros when there is none), if tuples ascend and no other number goes down. There are
/// many tuples, and a rule names few of them: nothing else is done for each.
fn last_in_order(entries: impl Iterator<Item = [u32; 4]>, part_tuples: u32) -> Option<[u32; 4]> {
    let (mut next, mut last, mut fits) = (0, [0; 4], true);
    for entry in entries {
        fits &= (next <= entry[0]) & (entry[0] < part_tuples);
        fits &= (last[1] <= entry[1]) & (last[2] <= entry[2]) & (last[3] <= entry[3]);
        next = entry[0].saturating_add(1);
        last = entry;
    }
    fits.then_some(last)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use muster_days::Ds;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::numbers::encode_numbers;
    use crate::sealed::{Writer, u32_bytes};

    /// Sections with the right checksums, whatever they say.
    struct Bytes {
        tuples: Vec<u32>,
        groups: Vec<u16>,
        places: u16,
        others: i64,
    }

    /// Two tuples, one of them in two blocks.
    fn good() -> Bytes {
        let groups = vec![0, 2, 1, 1, 5, 0, 1, 1, 0, 3, 0, 0];
        Bytes { tuples: vec![4, 2, 6, 2, 9, 3, 9, 2], groups, places: 9, others: 2 }
    }

    fn written(path: &Path, bytes: &Bytes) -> Sealed {
        let mut writer = Writer::create(path).unwrap();
        let groups: Vec<u8> = bytes.groups.iter().flat_map(|n| n.to_le_bytes()).collect();
        let places: Vec<u8> = (0..bytes.places).flat_map(|n| n.to_le_bytes()).collect();
        let tuples = u32_bytes(bytes.tuples.iter().copied());
        writer.section(Kind::PostingTuples, 0, 0, &tuples).unwrap();
        writer.section(Kind::PostingGroups, 0, 0, &groups).unwrap();
        writer.section(Kind::PostingPlaces, 0, 0, &places).unwrap();
        writer.section(Kind::PostingNumbers, 0, 0, &encode_numbers(0..bytes.others)).unwrap();
        writer.seal().unwrap();
        Sealed::open(path).unwrap()
    }

    /// Reads every row in every way; how many there are.
    fn read(path: &Path, bytes: &Bytes) -> Result<usize> {
        let (event, ds) = ("order".to_owned(), Ds::from_number(20261101).unwrap());
        let (dimensions, measures) = (vec!["page".to_owned()], Vec::new());
        let meta = EventMeta {
            event,
            ds,
            dimensions,
            measures,
            users: 0,
            idle_users: 0,
            pv: 0,
            rows: 0,
            tuples: 10,
        };
        let file = written(path, bytes);
        let postings = Postings::open(&file, &meta, 0)?.unwrap();
        let mut rows = 0;
        for (tuple, of_tuple) in postings.tuples() {
            assert!(tuple < meta.tuples);
            let visit = |group: RowGroup| {
                postings.for_each(&group, 0, |place, _| _ = postings.find(&group, place));
                group.rows().for_each(|row| _ = postings.number(&group, 0, row));
                rows += group.rows().len();
            };
            postings.groups(of_tuple, visit)?;
        }
        Ok(rows)
    }

    #[test]
    fn what_leads_out_of_a_section_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let refused = |what: &str, change: fn(&mut Bytes)| {
            let mut bytes = good();
            change(&mut bytes);
            let error = read(&path, &bytes).expect_err(what).to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        };
        assert_eq!(read(&path, &good()).unwrap(), 9);
        refused("tuples go down", |bytes| bytes.tuples[4] = 3);
        refused("a tuple twice", |bytes| bytes.tuples[4] = 4);
        refused("a tuple that the part does not have", |bytes| bytes.tuples[4] = 10);
        refused("groups go down", |bytes| bytes.tuples[1] = 4);
        refused("rows go down", |bytes| bytes.tuples[2] = 10);
        refused("others go down", |bytes| bytes.tuples[3] = u32::MAX);
        refused("groups that are not there", |bytes| bytes.tuples[5] = 4);
        refused("a group that no tuple has", |bytes| bytes.tuples[5] = 2);
        refused("rows that are not there", |bytes| bytes.tuples[6] = 10);
        refused("a row that no tuple has", |bytes| bytes.places = 10);
        refused("others that are not there", |bytes| bytes.tuples[7] = 3);
        refused("no tuple", |bytes| bytes.tuples.clear());
        refused("a group that reaches into the next tuple", |bytes| bytes.groups[5] = 1);
        refused("a group that reaches far out", |bytes| bytes.groups[9] = u16::MAX);
        refused("others of the next tuple", |bytes| (bytes.groups[6], bytes.groups[7]) = (0, 2));
        refused("a row that no group has", |bytes| bytes.groups[1] = 1);
    }

    #[test]
    fn any_numbers_are_refused_or_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut rng = StdRng::seed_from_u64(8);
        for _ in 0..2_000 {
            let mut bytes = good();
            for _ in 0..rng.random_range(1..4) {
                let (tuple, group) = (rng.random_range(0..8), rng.random_range(0..12));
                match rng.random_range(0..4) {
                    0 => bytes.tuples[tuple] = rng.random_range(0..12),
                    1 => bytes.groups[group] = rng.random_range(0..4),
                    2 => bytes.groups[group] = rng.random(),
                    _ => bytes.tuples[tuple] = rng.random(),
                }
            }
            let rows = read(&path, &bytes);
            assert!(rows.is_err() || rows.unwrap() == 9);
        }
    }
}
