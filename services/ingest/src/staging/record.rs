//! A staged row as bytes. Rows of one bucket of one part lie end to end, in the order of the file.
//!
//! ```text
//! both       hash of the user id: u64, length of the user id: u8, the user id
//! labels     widths of tag and weight: u8, tag, weight
//! behaviour  pv, length of the dimensions in bytes, per dimension: index, length, text;
//!            then number of measures, per measure: index, number
//! ```
//!
//! Numbers of behaviour are LEB128, the signed ones zigzag.

use std::io;

use muster_profile_store::{LabelRow, User};

use crate::rows;

pub fn put_label(out: &mut Vec<u8>, user: &User<'_>, row: &rows::LabelRow<'_>) {
    let (tag, weight) = (row.tag_id.to_le_bytes(), row.weight.unwrap_or_default().to_le_bytes());
    let widths = (width(row.tag_id), row.weight.map_or(0, width));
    put_user(out, user);
    out.push((widths.0 << 4 | widths.1) as u8);
    out.extend_from_slice(&tag[..widths.0]);
    out.extend_from_slice(&weight[..widths.1]);
}

pub fn put_behavior(out: &mut Vec<u8>, user: &User<'_>, row: &rows::BehaviorRow<'_>) {
    put_user(out, user);
    put_number(out, row.pv);
    let length = |&(index, text): &(usize, &str)| {
        number_len(index as u64) + number_len(text.len() as u64) + text.len()
    };
    put_number(out, row.dimensions.iter().map(length).sum::<usize>() as u64);
    for &(index, text) in row.dimensions {
        put_number(out, index as u64);
        put_number(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
    put_number(out, row.measures.len() as u64);
    for &(index, number) in row.measures {
        put_number(out, index as u64);
        put_number(out, (number << 1 ^ number >> 63) as u64);
    }
}

fn put_user(out: &mut Vec<u8>, user: &User<'_>) {
    out.extend_from_slice(&user.hash.to_le_bytes());
    // At most `rows::MAX_ID`.
    out.push(user.id.len() as u8);
    out.extend_from_slice(user.id);
}

/// Bytes that hold the number, sign included.
fn width(number: i64) -> usize {
    match number {
        n if i8::try_from(n).is_ok() => 1,
        n if i16::try_from(n).is_ok() => 2,
        n if i32::try_from(n).is_ok() => 4,
        _ => 8,
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads rows from their start to their end.
pub struct Records<'a>(pub &'a [u8]);

impl<'a> Records<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn label(&mut self) -> io::Result<LabelRow<'a>> {
        let user = self.user()?;
        let widths = usize::from(self.bytes(1)?[0]);
        let tag = signed(self.bytes(widths >> 4)?);
        let weight = self.bytes(widths & 15)?;
        Ok(LabelRow { user, tag, weight: (!weight.is_empty()).then(|| signed(weight)) })
    }

    pub fn user(&mut self) -> io::Result<User<'a>> {
        let (hash, rest) = self.0.split_first_chunk().ok_or_else(torn)?;
        self.0 = rest;
        let length = usize::from(self.bytes(1)?[0]);
        Ok(User { id: self.bytes(length)?, hash: u64::from_le_bytes(*hash) })
    }

    /// The bytes of a row's dimensions, which [`Records::dimension`] reads.
    pub fn dimensions(&mut self) -> io::Result<&'a [u8]> {
        let length = self.number()? as usize;
        self.bytes(length)
    }

    pub fn dimension(&mut self) -> io::Result<(u32, &'a str)> {
        let index = self.number()? as u32;
        let length = self.number()? as usize;
        std::str::from_utf8(self.bytes(length)?).map(|text| (index, text)).map_err(|_| torn())
    }

    pub fn measure(&mut self) -> io::Result<(u32, i64)> {
        let (index, number) = (self.number()? as u32, self.number()?);
        Ok((index, (number >> 1) as i64 ^ -((number & 1) as i64)))
    }

    pub fn number(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.bytes(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(torn())
    }

    fn bytes(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(torn)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// Little-endian, of at most eight bytes.
fn signed(bytes: &[u8]) -> i64 {
    let mut all = [if bytes.last().is_some_and(|last| *last >= 0x80) { 0xff } else { 0 }; 8];
    let length = bytes.len().min(8);
    all[..length].copy_from_slice(&bytes[..length]);
    i64::from_le_bytes(all)
}

fn torn() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a staged row is torn")
}

#[cfg(test)]
mod tests {
    use muster_days::Ds;

    use super::*;

    const NUMBERS: [i64; 12] = [0, 1, -1, 127, 128, -128, -129, 32_768, -32_769, 1 << 31, i64::MAX, i64::MIN];

    #[test]
    fn rows_come_back() {
        let ds = Ds::from_number(20261101).unwrap();
        let mut bytes = Vec::new();
        let (long, names) = ("x".repeat(128), rows::Names::default());
        let user = User::new(long.as_bytes());
        for tag_id in NUMBERS {
            for weight in NUMBERS.map(Some).into_iter().chain([None]) {
                let (app, label_name, tag_name) = ("shop", "gender", "male");
                let row = rows::LabelRow {
                    ds,
                    app,
                    label_id: 1,
                    label_name,
                    user: &long,
                    tag_id,
                    tag_name,
                    weight,
                };
                put_label(&mut bytes, &user, &row);
            }
        }
        let mut records = Records(&bytes);
        for tag in NUMBERS {
            for weight in NUMBERS.map(Some).into_iter().chain([None]) {
                let row = records.label().unwrap();
                assert_eq!((row.user, row.tag, row.weight), (user, tag, weight));
            }
        }
        assert!(records.is_empty());

        bytes.clear();
        let value = "v".repeat(4096);
        let dimensions = [(0, value.as_str()), (1000, "é")];
        let measures: Vec<(usize, i64)> = NUMBERS.into_iter().enumerate().collect();
        let (app, event, pv) = ("shop", "visit", i64::MAX as u64);
        let (dimensions, measures) = (&dimensions[..], &measures[..]);
        let row = rows::BehaviorRow { ds, app, user: &long, event, pv, dimensions, measures, names: &names };
        put_behavior(&mut bytes, &user, &row);
        let mut records = Records(&bytes);
        assert_eq!((records.user().unwrap(), records.number().unwrap()), (user, pv));
        let mut read = Records(records.dimensions().unwrap());
        assert_eq!(read.dimension().unwrap(), (0, value.as_str()));
        assert_eq!(read.dimension().unwrap(), (1000, "é"));
        assert!(read.is_empty());
        assert_eq!(records.number().unwrap(), NUMBERS.len() as u64);
        for (index, number) in (0..).zip(NUMBERS) {
            assert_eq!(records.measure().unwrap(), (index, number));
        }
        assert!(records.is_empty());
        for cut in 0..bytes.len() {
            let mut records = Records(&bytes[..cut]);
            let whole = records.user().and_then(|_| records.number()).and_then(|_| records.dimensions());
            let whole = whole
                .and_then(|_| records.number())
                .and_then(|count| (0..count).try_for_each(|_| records.measure().map(drop)));
            assert!(whole.is_err(), "cut at {cut}");
        }
    }
}
