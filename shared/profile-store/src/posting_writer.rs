//! The postings of one bucket, write side. See `Kind::PostingTuples` for the form.

use std::ops::Range;

use crate::error::Result;
use crate::event_rows::Rows;
use crate::numbers::encode_numbers;
use crate::sealed::{Kind, Writer, u32_bytes};

/// More could not be counted, should all of them have the same pv.
const MOST_IN_GROUP: usize = u16::MAX as usize;

#[derive(Default)]
struct Order {
    /// Entries of `Kind::PostingTuples`.
    tuples: Vec<[u32; 4]>,
    /// Entries of `Kind::PostingGroups`.
    groups: Vec<[u16; 4]>,
    /// The rows as they are written.
    rows: Vec<usize>,
    others: u32,
}

/// `tuples`: the part's numbers of tuples, ascending, each with its rows, which are in the order of ordinals.
pub(crate) fn write_postings(
    writer: &mut Writer,
    bucket: u32,
    rows: &Rows,
    tuples: Vec<(u32, Range<usize>)>,
) -> Result<()> {
    let mut order = Order::default();
    for (tuple, range) in tuples {
        order.add_tuple(tuple, range, rows);
    }
    let groups: Vec<u8> = order.groups.iter().flatten().flat_map(|n| n.to_le_bytes()).collect();
    let places =
        order.rows.iter().flat_map(|&row| (rows.ordinal(row) as u16).to_le_bytes()).collect::<Vec<u8>>();
    writer.section(Kind::PostingTuples, bucket, 0, &u32_bytes(order.tuples.into_iter().flatten()))?;
    writer.section(Kind::PostingPlaces, bucket, 0, &places)?;
    writer.section(Kind::PostingGroups, bucket, 0, &groups)?;
    let pv = order.rows.iter().map(|&row| rows.number(0, row)).filter(|pv| !matches!(pv, 1 | 2));
    writer.section(Kind::PostingNumbers, bucket, 0, &encode_numbers(pv))?;
    for column in 1..rows.columns() {
        let numbers = order.rows.iter().map(|&row| rows.number(column, row));
        writer.section(Kind::PostingNumbers, bucket, column as i64, &encode_numbers(numbers))?;
    }
    Ok(())
}

impl Order {
    fn add_tuple(&mut self, tuple: u32, mut range: Range<usize>, rows: &Rows) {
        while !range.is_empty() {
            let block = rows.ordinal(range.start) >> 16;
            let of_block =
                range.clone().take(MOST_IN_GROUP).take_while(|&row| rows.ordinal(row) >> 16 == block);
            let end = range.start + of_block.count();
            self.add_group(block as u16, range.start..end, rows);
            range.start = end;
        }
        self.tuples.push([tuple, self.groups.len() as u32, self.rows.len() as u32, self.others]);
    }

    fn add_group(&mut self, block: u16, range: Range<usize>, rows: &Rows) {
        let mut add = |belongs: fn(i64) -> bool| {
            let before = self.rows.len();
            self.rows.extend(range.clone().filter(|&row| belongs(rows.number(0, row))));
            (self.rows.len() - before) as u16
        };
        let (ones, twos) = (add(|pv| pv == 1), add(|pv| pv == 2));
        let others = add(|pv| !matches!(pv, 1 | 2));
        self.groups.push([block, ones, twos, others]);
        self.others += u32::from(others);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use muster_days::Ds;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::event_part::EventMeta;
    use crate::postings::Postings;
    use crate::sealed::Sealed;

    /// (tuple, ordinal, pv, measure)
    type Row = (u32, u32, i64, i64);

    /// Written as a bucket's postings; rows ascend.
    fn written(path: &Path, all: &[Row]) -> Sealed {
        let mut rows = Rows::new(1);
        all.iter().for_each(|&(tuple, ordinal, pv, measure)| rows.push((tuple, ordinal), pv, &[measure]));
        let mut from = 0;
        let tuples = all.chunk_by(|a, b| a.0 == b.0).map(|rows| {
            from += rows.len();
            (rows[0].0, from - rows.len()..from)
        });
        let mut writer = Writer::create(path).unwrap();
        write_postings(&mut writer, 0, &rows, tuples.collect()).unwrap();
        writer.seal().unwrap();
        Sealed::open(path).unwrap()
    }

    fn meta() -> EventMeta {
        let (event, ds) = ("order".to_owned(), Ds::from_number(20261101).unwrap());
        let (dimensions, measures) = (vec!["page".to_owned()], vec!["m".to_owned()]);
        EventMeta { event, ds, dimensions, measures, users: 0, idle_users: 0, pv: 0, rows: 0, tuples: 1_000 }
    }

    fn read(postings: &Postings<'_>) -> Vec<Row> {
        let mut all = Vec::new();
        for (tuple, rows) in postings.tuples() {
            let visit = |group: crate::RowGroup| {
                let ordinal = |place: u16| u32::from(group.block) << 16 | u32::from(place);
                let mut pvs = Vec::new();
                postings.for_each(&group, 0, |place, pv| pvs.push((place, pv)));
                let mut measures = Vec::new();
                postings.for_each(&group, 1, |place, measure| measures.push((place, measure)));
                assert_eq!((pvs.len(), measures.len()), (group.rows().len(), group.rows().len()));
                for ((row, (place, pv)), measure) in group.rows().zip(pvs).zip(measures) {
                    assert_eq!((postings.place(row), measure.0), (place, place));
                    assert_eq!(postings.find(&group, place), Some(row));
                    assert_eq!(postings.number(&group, 0, row), pv);
                    assert_eq!(postings.number(&group, 1, row), measure.1);
                    all.push((tuple, ordinal(place), pv, measure.1));
                }
            };
            postings.groups(rows, visit).unwrap();
        }
        all.sort_unstable();
        all
    }

    fn check(all: &[Row]) {
        let dir = tempfile::tempdir().unwrap();
        let file = written(&dir.path().join("a"), all);
        let postings = Postings::open(&file, &meta(), 0).unwrap().unwrap();
        assert!(read(&postings) == all, "{} rows", all.len());
        let others = all.iter().filter(|row| row.2 != 1 && row.2 != 2).count();
        assert!(file.section(Kind::PostingNumbers, 0, 0).unwrap().len() <= 1 + 8 * others);
    }

    #[test]
    fn rows_come_back() {
        check(&[]);
        check(&[(7, 3, 1, -1)]);
        check(&[(0, 0, 2, i64::MIN)]);
        check(&[(999, u32::MAX, 0, i64::MAX)]);
        let pvs = [0, 1, 2, 3, 14, 15, 300, i64::MAX];
        check(
            &(0..80).map(|n| (n / 20, n * 9_999, pvs[n as usize % 8], -i64::from(n))).collect::<Vec<Row>>(),
        );
        let mut rng = StdRng::seed_from_u64(3);
        for most in [3, 20, 70_000] {
            let mut all = Vec::new();
            for tuple in (0..1_000).step_by(9) {
                let mut ordinal = 0;
                for _ in 0..rng.random_range(1..400) {
                    ordinal += 1 + rng.random_range(0..[2, 5_000][tuple as usize % 2]);
                    all.push((tuple, ordinal, rng.random_range(0..most), rng.random_range(-100..100)));
                }
            }
            check(&all);
        }
    }

    #[test]
    fn full_blocks_take_two_groups() {
        for pv in [1, 2, 5] {
            let all: Vec<Row> = (0..0x2_0010).map(|n| (3, n, pv, i64::from(n % 5))).collect();
            check(&all);
            let dir = tempfile::tempdir().unwrap();
            let file = written(&dir.path().join("a"), &all);
            let postings = Postings::open(&file, &meta(), 0).unwrap().unwrap();
            let mut groups = Vec::new();
            let rows = postings.tuples().next().unwrap().1;
            postings.groups(rows, |group| groups.push((group.block, group.rows().len()))).unwrap();
            assert_eq!(groups, [(0, 65_535), (0, 1), (1, 65_535), (1, 1), (2, 16)]);
        }
        let mixed: Vec<Row> = (0..0x1_0000).map(|n| (3, n, i64::from(n % 4), i64::from(n))).collect();
        check(&mixed);
    }
}
