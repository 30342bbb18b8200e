//! Parquet: the same rows as CSV, whatever types they are kept in.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
    Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray, StructArray,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use muster_ingest::formats::{Format, Kind};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::collect::{Collected, gzip, read, read_csv};

/// A file of one batch, in row groups of `group` rows.
pub fn file(columns: Vec<(&str, ArrayRef)>, group: usize, compression: Compression) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_compression(compression)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn text(values: impl IntoIterator<Item = impl ToString>) -> ArrayRef {
    let values = values.into_iter().map(|value| Some(value.to_string()));
    Arc::new(values.collect::<StringArray>())
}

fn read_parquet(kind: Kind, columns: Vec<(&str, ArrayRef)>) -> Collected {
    read(kind, Format::Parquet, &file(columns, 1000, Compression::SNAPPY)).unwrap()
}

/// Five behaviour columns of one row, `replaced` among them or added.
fn behavior_with(replaced: (&str, ArrayRef)) -> Vec<u8> {
    let (name, values) = replaced;
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("ds", text([20261101])),
        ("app_id", text(["shop"])),
        ("user_id", text(["u"])),
        ("event", text(["e"])),
        ("pv", text([1])),
    ];
    match columns.iter_mut().find(|(has, _)| *has == name) {
        Some(column) => column.1 = values,
        None => columns.push((name, values)),
    }
    file(columns, 10, Compression::UNCOMPRESSED)
}

#[test]
fn csv_gzip_and_parquet_of_the_same_rows_are_the_same() {
    let rows = 20_000i64;
    let mut csv = String::from("ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n");
    let user = |n: i64| u64::MAX - n as u64;
    let weight = |n: i64| (n % 3 != 0).then_some(i64::MIN + n);
    for n in 0..rows {
        let weight = weight(n).map(|weight| weight.to_string()).unwrap_or_default();
        csv += &format!("20261101,shop,10001,gender,{},{},tag {},{weight}\n", user(n), n % 7, n % 7);
    }
    let from_csv = read_csv(Kind::Labels, &csv);
    assert_eq!(from_csv.rows.len(), rows as usize);
    assert_eq!(
        from_csv.rows[1],
        format!("20261101 shop 10001=gender 18446744073709551614 1=tag 1 Some({})", i64::MIN + 1)
    );

    let names: DictionaryArray<Int32Type> = (0..rows).map(|_| "gender").collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tag_value", Arc::new((0..rows).map(weight).collect::<Int64Array>())),
        ("user_id", Arc::new(UInt64Array::from_iter_values((0..rows).map(user)))),
        ("tag_id", Arc::new(Int32Array::from_iter_values((0..rows).map(|n| (n % 7) as i32)))),
        (
            "tag_name",
            Arc::new(StringViewArray::from_iter_values((0..rows).map(|n| format!("tag {}", n % 7)))),
        ),
        ("label_name", Arc::new(names)),
        ("ds", Arc::new(Int32Array::from_iter_values((0..rows).map(|_| 20261101)))),
        ("label_id", text((0..rows).map(|_| 10001))),
        ("app_id", Arc::new(LargeStringArray::from_iter_values((0..rows).map(|_| "shop")))),
    ];
    let gzipped = Compression::GZIP(GzipLevel::default());
    for compression in
        [Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default()), gzipped, Compression::LZ4_RAW]
    {
        let bytes = file(columns.clone(), 3000, compression);
        let from_parquet = read(Kind::Labels, Format::Parquet, &bytes).unwrap();
        assert_eq!(from_parquet.rows, from_csv.rows);
        assert_eq!(from_parquet.lines, (1..=rows as u64).collect::<Vec<_>>());
        assert_eq!(read(Kind::Labels, Format::Parquet, &gzip(&bytes)).unwrap(), from_parquet);
    }
    assert_eq!(read(Kind::Labels, Format::Csv, &gzip(csv.as_bytes())).unwrap(), from_csv);
}

#[test]
fn days_ids_and_dimensions_of_many_types() {
    let check = |column: (&str, ArrayRef), expected: &str| {
        let read = read(Kind::Behavior, Format::Parquet, &behavior_with(column)).unwrap();
        assert_eq!((read.rows, read.bad), (vec![expected.to_owned()], vec![]));
    };
    check(("ds", Arc::new(Date32Array::from(vec![20_758]))), "20261101 shop u e 1 ");
    check(("ds", Arc::new(Int64Array::from(vec![20261101]))), "20261101 shop u e 1 ");
    check(("app_id", Arc::new(Int32Array::from(vec![42]))), "20261101 42 u e 1 ");
    check(("user_id", Arc::new(Int64Array::from(vec![i64::MIN]))), "20261101 shop -9223372036854775808 e 1 ");
    check(("user_id", Arc::new(BinaryArray::from_vec(vec![b"b"]))), "20261101 shop b e 1 ");
    let wide = Decimal128Array::from(vec![u64::MAX as i128]).with_precision_and_scale(20, 0).unwrap();
    check(("user_id", Arc::new(wide)), "20261101 shop 18446744073709551615 e 1 ");
    check(("vip", Arc::new(BooleanArray::from(vec![true]))), "20261101 shop u e 1 vip=true");
    check(("born", Arc::new(Date32Array::from(vec![20_758]))), "20261101 shop u e 1 born=2026-11-01");
    check(("page", Arc::new(StringArray::from(vec![None::<&str>]))), "20261101 shop u e 1 ");
    check(("m_amount", Arc::new(Int64Array::from(vec![None]))), "20261101 shop u e 1 ");
    check(("m_amount", Arc::new(Int64Array::from(vec![-5]))), "20261101 shop u e 1 m_amount=-5");
}

#[test]
fn bad_rows_are_told_by_their_number() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "ds",
            Arc::new(Int32Array::from(vec![
                Some(20261101),
                None,
                Some(20261131),
                Some(20261101),
                Some(20261101),
            ])),
        ),
        ("app_id", text(["shop"; 5])),
        ("user_id", Arc::new(BinaryArray::from_vec(vec![b"a", b"b", b"c", b"\xff", b"e"]))),
        ("event", text(["e"; 5])),
        ("pv", Arc::new(UInt64Array::from(vec![1, 1, 1, 1, 1 << 63]))),
    ];
    let read = read_parquet(Kind::Behavior, columns);
    assert_eq!(read.lines, [1]);
    assert_eq!(
        read.bad(),
        [
            (2, "ds", "empty"),
            (3, "ds", "not a day of the calendar written YYYYMMDD"),
            (4, "user_id", "not UTF-8"),
            (5, "pv", "outside the range of a signed 64-bit integer"),
        ]
    );
}

#[test]
fn a_column_that_text_cannot_hold_exactly_is_named() {
    let check = |column: (&str, ArrayRef), code: &str| {
        let name = column.0;
        let err = read(Kind::Behavior, Format::Parquet, &behavior_with(column)).unwrap_err();
        assert_eq!(err.code(), code, "{err}");
        assert!(err.to_string().contains(&format!("`{name}`")), "{err}");
    };
    check(("user_id", Arc::new(Float64Array::from(vec![1.0]))), "invalid_column");
    check(("price", Arc::new(Float64Array::from(vec![1.0]))), "invalid_column");
    let field = Arc::new(Field::new("inner", DataType::Utf8, true));
    check(("nested", Arc::new(StructArray::from(vec![(field, text(["x"]))]))), "invalid_column");
    check(("m_\n", text([1])), "invalid_column");
}
