//! A column of integers, one per row of a posting list.
//!
//! ```text
//! width:u8   1, 2, 4 or 8: then as many bytes a row, little-endian, signed
//!            0: numbers below 15 in half a byte each (an even row's in the low half); 15 says that the
//!            number stands among the others: n:u32, n × { row:u32 number:i64 } by row, then the halves
//! ```

use std::ops::Range;

/// What a half byte can't hold stands elsewhere.
const ELSEWHERE: u8 = 15;

pub(crate) struct Numbers<'a> {
    /// Bytes a row; 0 for half a byte.
    width: usize,
    bytes: &'a [u8],
    others: &'a [[u8; 12]],
}

impl<'a> Numbers<'a> {
    /// None when the bytes are not those of so many rows.
    pub fn parse(bytes: &'a [u8], rows: usize) -> Option<Numbers<'a>> {
        let (&width, mut bytes) = bytes.split_first()?;
        let width = usize::from(width);
        if width == 0 {
            let (count, rest) = bytes.split_first_chunk()?;
            let others = u32::from_le_bytes(*count) as usize;
            let (others, halves) = rest.split_at_checked(others.checked_mul(12)?)?;
            bytes = halves;
            let fits = bytes.len() == rows.div_ceil(2);
            return fits.then_some(Numbers { width, bytes, others: others.as_chunks().0 });
        }
        let fits = [1, 2, 4, 8].contains(&width) && bytes.len() == rows.checked_mul(width)?;
        fits.then_some(Numbers { width, bytes, others: &[] })
    }

    pub fn at(&self, row: usize) -> i64 {
        if self.width == 0 {
            return self.half(row);
        }
        let bytes = &self.bytes[row * self.width..(row + 1) * self.width];
        match *bytes {
            [a] => i64::from(a as i8),
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            _ => i64::from_le_bytes(bytes.try_into().expect("eight bytes")),
        }
    }

    fn half(&self, row: usize) -> i64 {
        match self.bytes[row / 2] >> (4 * (row % 2)) & 0xf {
            ELSEWHERE => self.other(row),
            number => number.into(),
        }
    }

    /// The number of a row that stands among the others; 0 when it does not.
    #[cold]
    fn other(&self, row: usize) -> i64 {
        let of_row = |other: &[u8; 12]| u32::from_le_bytes([other[0], other[1], other[2], other[3]]) as usize;
        let found = self.others.binary_search_by_key(&row, of_row).ok();
        let number = found.and_then(|at| self.others[at].last_chunk::<8>());
        number.map_or(0, |number| i64::from_le_bytes(*number))
    }

    /// The numbers of the rows in their order, each with its item of `beside`.
    pub fn for_each<T: Copy>(&self, rows: Range<usize>, beside: &[T], mut visit: impl FnMut(T, i64)) {
        match self.width {
            0 => self.for_each_half(rows, beside, visit),
            // The width is not looked at for every row.
            1 => self.bytes[rows].iter().zip(beside).for_each(|(n, item)| visit(*item, i64::from(*n as i8))),
            _ => rows.zip(beside).for_each(|(row, item)| visit(*item, self.at(row))),
        }
    }

    /// Two rows a byte, but for a first one that is odd and a last one that is even.
    fn for_each_half<T: Copy>(&self, rows: Range<usize>, beside: &[T], mut visit: impl FnMut(T, i64)) {
        let first = (rows.start % 2).min(rows.len());
        let (head, beside) = beside.split_at(first.min(beside.len()));
        head.iter().for_each(|item| visit(*item, self.half(rows.start)));
        let (pairs, tail) = beside.as_chunks::<2>();
        let mut row = rows.start + first;
        for ([a, b], byte) in pairs.iter().zip(&self.bytes[row / 2..]) {
            for (item, half) in [(a, byte & 0xf), (b, byte >> 4)] {
                let number = if half == ELSEWHERE { self.other(row) } else { half.into() };
                visit(*item, number);
                row += 1;
            }
        }
        tail.iter().for_each(|item| visit(*item, self.half(row)));
    }

    /// Bytes that so many rows take.
    pub fn bytes_of(&self, rows: usize) -> usize {
        if self.width == 0 { rows / 2 } else { rows * self.width }
    }
}

/// The bytes of a column, in the form that takes the fewest.
pub(crate) fn encode_numbers(numbers: impl Iterator<Item = i64> + Clone) -> Vec<u8> {
    let is_small = |n: &i64| (0..i64::from(ELSEWHERE)).contains(n);
    let (mut rows, mut others, mut width) = (0, 0, 1);
    for n in numbers.clone() {
        rows += 1;
        others += usize::from(!is_small(&n));
        width = width.max(match n {
            n if i8::try_from(n).is_ok() => 1,
            n if i16::try_from(n).is_ok() => 2,
            n if i32::try_from(n).is_ok() => 4,
            _ => 8,
        });
    }
    if 4 + 12 * others + rows / 2 >= rows * width {
        let mut bytes = vec![width as u8];
        numbers.for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()[..width]));
        return bytes;
    }
    let mut bytes = vec![0];
    bytes.extend((others as u32).to_le_bytes());
    for (row, n) in (0u32..).zip(numbers.clone()).filter(|(_, n)| !is_small(n)) {
        bytes.extend(row.to_le_bytes());
        bytes.extend(n.to_le_bytes());
    }
    let halves = bytes.len();
    for (row, n) in numbers.enumerate() {
        let half = if is_small(&n) { n as u8 } else { ELSEWHERE };
        if row % 2 == 0 {
            bytes.push(half);
        } else {
            bytes[halves + row / 2] |= half << 4;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn check(numbers: &[i64], width: u8) {
        let bytes = encode_numbers(numbers.iter().copied());
        assert_eq!(bytes[0], width, "{numbers:?}");
        let column = Numbers::parse(&bytes, numbers.len()).unwrap();
        assert!(Numbers::parse(&bytes, numbers.len() + 2).is_none());
        assert!(Numbers::parse(&bytes[..bytes.len() - 1], numbers.len()).is_none());
        for (row, number) in numbers.iter().enumerate() {
            assert_eq!(column.at(row), *number);
        }
        for from in [0, 1, numbers.len() / 3, numbers.len()] {
            let mut seen = Vec::new();
            let beside: Vec<usize> = (from..numbers.len()).collect();
            column.for_each(from..numbers.len(), &beside, |row, number| seen.push((row, number)));
            assert!(seen.iter().copied().eq(beside.iter().map(|row| (*row, numbers[*row]))));
        }
    }

    #[test]
    fn numbers_come_back_in_the_form_that_takes_the_fewest_bytes() {
        check(&[1, -1, 127], 1);
        check(&[1, -129], 2);
        check(&[1, 70_000], 4);
        check(&[i64::MIN, 0], 8);
        let mut rng = StdRng::seed_from_u64(1);
        let mut small: Vec<i64> = (0..1_001).map(|_| rng.random_range(0..15)).collect();
        check(&small, 0);
        for other in [15, -1, i64::MIN, i64::MAX, 100] {
            small[rng.random_range(0..1_001)] = other;
        }
        check(&small, 0);
        let any: Vec<i64> = (0..1_000).map(|_| rng.random_range(-20..20)).collect();
        check(&any, 1);
    }
}
