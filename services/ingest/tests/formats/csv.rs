//! CSV: headers, quotes, lines, gzip.

use muster_ingest::formats::{Format, Kind, ReadError};

use crate::collect::{gzip, read, read_csv};

const HEADER: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";

fn refused(kind: Kind, content: &str) -> ReadError {
    read(kind, Format::Csv, content.as_bytes()).unwrap_err()
}

#[test]
fn column_order_bom_line_ends_and_gzip_make_no_difference() {
    let plain = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n\
                 20261101,shop,10001,gender,u1,1,male,\n20261101,shop,10001,gender,u2,2,\"fe\"\"male\",-5\n";
    let moved = "\u{feff}tag_value,tag_name,tag_id,user_id,label_name,label_id,app_id,ds\r\n\r\n\
                 ,male,1,u1,gender,10001,shop,20261101\r\n-5,\"fe\"\"male\",2,u2,gender,10001,shop,20261101\r";
    let expected =
        ["20261101 shop 10001=gender u1 1=male None", "20261101 shop 10001=gender u2 2=fe\"male Some(-5)"];
    let first = read_csv(Kind::Labels, plain);
    assert_eq!(first.rows, expected);
    assert_eq!(first.lines, [2, 3]);
    let second = read_csv(Kind::Labels, moved);
    assert_eq!(second.rows, expected);
    assert_eq!(second.lines, [3, 4], "a blank line is a line but not a row");
    let zipped = read(Kind::Labels, Format::Csv, &gzip(plain.as_bytes())).unwrap();
    assert_eq!(zipped, first);
    let two_members = [gzip(&plain.as_bytes()[..90]), gzip(&plain.as_bytes()[90..])].concat();
    assert_eq!(read(Kind::Labels, Format::Csv, &two_members).unwrap(), first);
}

#[test]
fn a_header_error_names_the_column() {
    let check = |kind: Kind, content: &str, code: &str, column: &str| {
        let err = refused(kind, content);
        assert_eq!(err.code(), code, "{err}");
        assert!(err.to_string().contains(column), "{err}");
    };
    check(Kind::Labels, "", "corrupt_file", "empty");
    check(Kind::Labels, "\n\n", "corrupt_file", "empty");
    check(Kind::Labels, "ds;app_id\n", "unknown_column", "`ds;app_id`");
    check(Kind::Labels, "ds,app_id,label_id,label_name,user_id,tag_id\n", "missing_column", "`tag_name`");
    check(Kind::Labels, &HEADER.replace('\n', ",city\n"), "unknown_column", "`city`");
    check(Kind::Labels, &HEADER.replace('\n', ",ds\n"), "duplicate_column", "`ds`");
    check(Kind::Labels, &HEADER.replace("ds", "\"ds"), "corrupt_file", "never closed");
    check(Kind::Behavior, "ds,app_id,user_id,event\n", "missing_column", "`pv`");
    check(Kind::Behavior, "ds,app_id,user_id,event,pv,page,page\n", "duplicate_column", "`page`");
    check(Kind::Behavior, "ds,app_id,user_id,event,pv,\n", "invalid_column", "empty");
    check(
        Kind::Behavior,
        &format!("ds,app_id,user_id,event,pv,{}\n", "x".repeat(129)),
        "invalid_column",
        "129",
    );
    let many: String = (0..1020).map(|n| format!(",d{n}")).collect();
    check(Kind::Behavior, &format!("ds,app_id,user_id,event,pv{many}\n"), "invalid_column", "1025 columns");
    check(Kind::Events, HEADER, "unsupported_format", "ndjson");
}

#[test]
fn absent_dimensions_and_measures_are_not_handed_on() {
    let read = read_csv(
        Kind::Behavior,
        "pv,page,ds,m_amount,app_id,user_id,event,channel\n\
         3,/sale,20261101,-250,shop,9007199254740993,visit,\n\
         0,,20261101,,shop,18446744073709551615,visit,\"a\nb\"\n",
    );
    assert_eq!(
        read.rows,
        [
            "20261101 shop 9007199254740993 visit 3 m_amount=-250 page=/sale",
            "20261101 shop 18446744073709551615 visit 0 channel=a\nb",
        ]
    );
}

#[test]
fn quoted_line_ends_keep_the_line_numbers_right() {
    let read = read_csv(
        Kind::Behavior,
        "ds,app_id,user_id,event,pv,page\n\
         20261101,shop,u1,visit,1,\"two\nlines\"\n\
         20261101,shop,u2,visit,x,\"three\r\nmore\nlines\"\n\
         20261101,shop,u3,visit,1,\n\
         20261101,shop,u4,visit,1\n\
         20261101,shop,u5,visit,1,\"\"\n",
    );
    assert_eq!(read.lines, [2, 7, 9]);
    assert_eq!(read.bad(), [(4, "pv", "not an integer"), (8, "", "5 fields where the header has 6")]);
}

#[test]
fn a_broken_quote_costs_its_own_line_only() {
    let check = |line: &str, reason: &str| {
        let content = format!(
            "ds,app_id,user_id,event,pv,page\n20261101,shop,u1,visit,1,\n{line}\n\
             20261101,shop,u2,visit,1,\"/a\"\n20261101,shop,u3,visit,1,/b\n"
        );
        let read = read_csv(Kind::Behavior, &content);
        assert_eq!(read.lines, [2, 4, 5], "{line}");
        assert_eq!(read.bad(), [(3, "", reason)], "{line}");
    };
    check("20261101,shop,\"u,visit,1,/x", "a quote is opened and never closed");
    check("20261101,shop,u,visit,1,\"/x,", "a quote is opened and never closed");
    check("20261101,shop,\"u\"x,visit,1,/x", "text after a closing quote");
    check("20261101,shop,u,visit,1,5\" screen", "a quote inside a field that is not quoted");
    check("20261101,shop,u,visit,1,\"\"\"5\"\" by 6\"\"\" \"", "text after a closing quote");
    let two = "ds,app_id,user_id,event,pv,page\n20261101,shop,\"u,visit,1,/x\n20261101,shop,\"v,visit,1,/y\n\
               20261101,shop,w,visit,1,/z\n";
    let read = read_csv(Kind::Behavior, two);
    assert_eq!((read.bad.len(), read.lines), (2, vec![4]));
    let last = "ds,app_id,user_id,event,pv,page\n20261101,shop,u,visit,1,\"/x\n20261101,shop,v,visit,1,/y";
    let read = read_csv(Kind::Behavior, last);
    assert_eq!(read.bad(), [(2, "", "a quote is opened and never closed")]);
    assert_eq!(read.lines, [3]);
}

#[test]
fn an_endless_line_or_quote_is_refused_in_flat_memory() {
    let good = "20261101,shop,u,visit,1,/x\n";
    let long = "y".repeat(3 << 20);
    let content = format!("ds,app_id,user_id,event,pv,page\n{good}{long}\n{good}");
    let read = read_csv(Kind::Behavior, &content);
    assert_eq!(
        (read.lines, read.bad),
        (vec![2, 4], vec![(3, String::new(), "longer than 1048576 bytes".into())])
    );

    let content = format!("ds,app_id,user_id,event,pv,page\n\"{}", good.repeat(100_000));
    let read = read_csv(Kind::Behavior, &content);
    assert_eq!(read.bad(), [(2, "", "a quote is opened and never closed")]);
    assert_eq!(read.lines.len(), 99_999);
}

/// What a well-behaved writer writes is read back, whatever is in the fields and wherever reads end.
#[test]
fn agrees_with_another_csv_writer() {
    use rand::{Rng, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(7);
    let pieces = ["a", "é", ",", "\"", "\n", "\r\n", " ", "性别", "0", "'"];
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["page", "ds", "app_id", "user_id", "event", "pv", "site"]).unwrap();
    let mut expected = Vec::new();
    for user in 0..60_000 {
        let mut text =
            || (0..rng.random_range(0..6)).map(|_| pieces[rng.random_range(0..10)]).collect::<String>();
        let (page, site) = (text(), text());
        writer.write_record([&page, "20261101", "shop", &user.to_string(), "visit", "1", &site]).unwrap();
        let columns: Vec<String> = [("page", page), ("site", site)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        expected.push(format!("20261101 shop {user} visit 1 {}", columns.join(" ")));
    }
    let read = read(Kind::Behavior, Format::Csv, &writer.into_inner().unwrap()).unwrap();
    assert_eq!(read.bad, []);
    assert_eq!(read.rows, expected);
}

/// The file is read in pieces: where they begin must make no difference, whatever is written there.
#[test]
fn pieces_begin_anywhere() {
    use rand::{Rng, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(8);
    let texts = [
        "/a",
        "",
        "\"/b\"",
        "\"two\nlines\"",
        "\"a\r\n\r\n\"\"b\"\"\n\"",
        "\"open",
        "5\" wide",
        "\"c\"x\ny\"",
        "\"d\n",
    ];
    let mut body = String::new();
    for _ in 0..70_000 {
        let pv = ["1", "1", "1", "x"][rng.random_range(0..4)];
        let text = texts[rng.random_range(0..texts.len())];
        let end = ["\n", "\n", "\r\n", "\n\n"][rng.random_range(0..4)];
        body += &format!("20261101,shop,u{},visit,{pv},{text}{end}", body.len());
        if rng.random_bool(0.000_03) {
            body += &"z".repeat(rng.random_range(1 << 20..3 << 20));
            body += "\n";
        }
    }
    let header = "ds,app_id,user_id,event,pv,page\n";
    let expected = read_csv(Kind::Behavior, &format!("{header}{body}"));
    assert!(expected.rows.len() > 10_000 && expected.bad.len() > 10_000);
    for blank in [1, 2, 1000, 300_000, 524_288, 1_000_001] {
        let read = read_csv(Kind::Behavior, &format!("{header}{}{body}", "\n".repeat(blank)));
        let moved = |line: &u64| line + blank as u64;
        assert!(read.rows == expected.rows && read.values == expected.values);
        assert!(read.lines.iter().copied().eq(expected.lines.iter().map(moved)));
        assert!(read.bad.iter().map(|bad| bad.0).eq(expected.bad.iter().map(|bad| moved(&bad.0))));
        assert!(read.bad.iter().zip(&expected.bad).all(|(a, b)| (&a.1, &a.2) == (&b.1, &b.2)));
    }
}
