//! Every kind of bad row, by its line, column and reason, and the same ones each time.

use std::fs;

use muster_ingest::formats::{Format, Kind};
use muster_ingest::rejects::{RejectLimit, RejectReport};
use muster_ingest::rows::BadRow;

use crate::collect::{gzip, read};

/// A bad label row, the column it is refused for, and why.
fn kinds() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let range = "outside the range of a signed 64-bit integer";
    let day = "not a day of the calendar written YYYYMMDD";
    let control = "holds a control character";
    let text = |row: &str, column, reason| (row.as_bytes().to_vec(), column, reason);
    let long = |bytes: usize| "x".repeat(bytes);
    vec![
        text("20260230,shop,1,gender,u,1,male,", "ds", day),
        text("2026-11-01,shop,1,gender,u,1,male,", "ds", day),
        text(",shop,1,gender,u,1,male,", "ds", "empty"),
        text(
            "99991231,early,1,gender,u,1,male,",
            "ds",
            "too far ahead: the last day that the app takes is 20261103",
        ),
        text("20261101,,1,gender,u,1,male,", "app_id", "empty"),
        text("20261101,shop ,1,gender,u,1,male,", "app_id", "begins or ends with white space"),
        text("20261101,forbidden,1,gender,u,1,male,", "app_id", "not an app that this import may write to"),
        text(
            &format!("20261101,{},1,gender,u,1,male,", long(129)),
            "app_id",
            "129 bytes long, at most 128 are accepted",
        ),
        text("20261101,shop,,gender,u,1,male,", "label_id", "empty"),
        text(
            "20261101,strict,1,gender,u,1,male,",
            "label_id",
            "not a label of the app's catalogue that is in use, and the app refuses others",
        ),
        text("20261101,shop,1.0,gender,u,1,male,", "label_id", "not an integer"),
        text("20261101,shop,9223372036854775808,gender,u,1,male,", "label_id", range),
        text("20261101,shop,1,,u,1,male,", "label_name", "empty"),
        text("20261101,shop,1,\"gen\nder\",u,1,male,", "label_name", control),
        text(
            &format!("20261101,shop,1,{},u,1,male,", long(257)),
            "label_name",
            "257 bytes long, at most 256 are accepted",
        ),
        text("20261101,shop,1,gender,,1,male,", "user_id", "empty"),
        text("20261101,shop,1,gender,a\tb,1,male,", "user_id", control),
        text(
            &format!("20261101,shop,1,gender,{},1,male,", long(129)),
            "user_id",
            "129 bytes long, at most 128 are accepted",
        ),
        text("20261101,shop,1,gender,u,+1,male,", "tag_id", "not an integer"),
        text("20261101,shop,1,gender,u,-9223372036854775809,male,", "tag_id", range),
        text("20261101,shop,1,gender,u,1,,", "tag_name", "empty"),
        text("20261101,shop,1,gender,u,1,male,0.5", "tag_value", "not an integer"),
        text("20261101,shop,1,gender,u,1,male", "", "7 fields where the header has 8"),
        text("20261101,shop,1,gender,u,1,male,,", "", "9 fields where the header has 8"),
        text("garbage", "", "1 fields where the header has 8"),
        text("20261101,shop,1,gender,u,1,ma\"le,", "", "a quote inside a field that is not quoted"),
        (b"20261101,shop,1,gender,u,1,m\xffle,".to_vec(), "tag_name", "not UTF-8"),
        (b"20261101,shop,1,gender,u\xc3,1,\"\xa9male\",".to_vec(), "user_id", "not UTF-8"),
    ]
}

/// A file of 10,000 rows, 830 of them bad, and what is expected to be said of these.
fn file() -> (Vec<u8>, Vec<(u64, String, String)>) {
    let kinds = kinds();
    let mut content = b"ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n".to_vec();
    let (mut expected, mut line) = (Vec::new(), 2);
    for row in 0..10_000 {
        if row % 12 != 5 || expected.len() == 830 {
            content.extend(format!("20261101,shop,1,gender,user-{row},{},male,{row}\n", row % 3).bytes());
            line += 1;
            continue;
        }
        let (bad, column, reason) = &kinds[expected.len() % kinds.len()];
        content.extend(bad);
        content.push(b'\n');
        expected.push((line, (*column).to_owned(), (*reason).to_owned()));
        line += 1 + bad.iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
    (content, expected)
}

#[test]
fn exactly_the_830_bad_rows_are_reported_twice_the_same() {
    let (content, expected) = file();
    assert_eq!(expected.len(), 830);
    let first = read(Kind::Labels, Format::Csv, &content).unwrap();
    assert_eq!(first.bad, expected);
    assert_eq!((first.counts.read, first.counts.rejected, first.rows.len()), (10_000, 830, 9_170));
    assert!(RejectLimit::default().exceeded(first.counts.rejected, first.counts.read));
    assert!(!RejectLimit::new(0.1).unwrap().exceeded(first.counts.rejected, first.counts.read));

    let second = read(Kind::Labels, Format::Csv, &content).unwrap();
    assert_eq!(second, first);
    assert_eq!(read(Kind::Labels, Format::Csv, &gzip(&content)).unwrap(), first);

    let dir = tempfile::tempdir().unwrap();
    let reports = [&first, &second].map(|read| {
        let path = dir.path().join("rejects.csv");
        let mut report = RejectReport::create(&path, "labels.csv", false).unwrap();
        for ((line, column, reason), value) in read.bad.iter().zip(&read.values) {
            report.write(&BadRow { line: *line, column, reason, value }).unwrap();
        }
        assert_eq!(report.finish().unwrap(), 830);
        fs::read_to_string(path).unwrap()
    });
    assert_eq!(reports[0], reports[1]);
    let mut reader = csv::Reader::from_reader(reports[0].as_bytes());
    let lines: Vec<u64> = reader.records().map(|record| record.unwrap()[1].parse().unwrap()).collect();
    assert_eq!(lines, expected.iter().map(|(line, ..)| *line).collect::<Vec<_>>());
    assert!(!reports[0].contains("a\tb"), "a user id is never told");
}

#[test]
fn behaviour_rows_are_checked_too() {
    let header = "ds,app_id,user_id,event,pv,page,m_amount\n";
    let check = |row: &str, column: &str, reason: &str| {
        let read = read(Kind::Behavior, Format::Csv, format!("{header}{row}\n").as_bytes()).unwrap();
        assert_eq!(read.bad(), [(2, column, reason)], "{row}");
    };
    let range = "outside the range of a signed 64-bit integer";
    check("20261101,shop,u,visit,-1,,", "pv", "negative");
    check("20261101,shop,u,visit,9223372036854775808,,", "pv", range);
    check("20261101,shop,u,visit,,,", "pv", "empty");
    let ahead = "too far ahead: the last day that the app takes is 20261103";
    check("20261104,early,u,visit,1,,", "ds", ahead);
    check("20261101,shop,u,,1,,", "event", "empty");
    check("20261101,shop,u,visit ,1,,", "event", "begins or ends with white space");
    check("20261101,shop,u,visit,1,/a,1e3", "m_amount", "not an integer");
    check("20261101,shop,u,visit,1,/a,9223372036854775808", "m_amount", range);
    let long = format!("20261101,shop,u,visit,1,{},", "x".repeat(4097));
    check(&long, "page", "4097 bytes long, at most 4096 are accepted");
}

#[test]
fn a_day_that_is_too_far_ahead_is_that_of_its_own_app() {
    let rows = "20261103,early,u,visit,1\n20261104,shop,u,visit,1\n20261104,early,u,visit,1\n20261104,shop,u,visit,1\n";
    let read = read(Kind::Behavior, Format::Csv, format!("ds,app_id,user_id,event,pv\n{rows}").as_bytes());
    let reason = "too far ahead: the last day that the app takes is 20261103";
    assert_eq!(read.unwrap().bad(), [(4, "ds", reason)]);
}

#[test]
fn user_ids_of_up_to_128_bytes() {
    let row = |user: &str| format!("20261101,shop,{user},visit,1\n");
    let (ascii, wide) = ("x".repeat(128), "é".repeat(64));
    let users = [ascii.clone(), wide.clone(), format!("{ascii}x"), format!("{wide}x")]
        .map(|user| row(&user))
        .concat();
    let read =
        read(Kind::Behavior, Format::Csv, format!("ds,app_id,user_id,event,pv\n{users}").as_bytes()).unwrap();
    assert_eq!(
        read.rows,
        [format!("20261101 shop {ascii} visit 1 "), format!("20261101 shop {wide} visit 1 ")]
    );
    let reason = "129 bytes long, at most 128 are accepted";
    assert_eq!(read.bad(), [(4, "user_id", reason), (5, "user_id", reason)]);
}
