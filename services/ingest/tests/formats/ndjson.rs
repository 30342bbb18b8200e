//! NDJSON: events folded into days, ids and numbers exact, everything else refused by row.

use muster_ingest::formats::{Format, Kind};

use crate::collect::{Collected, gzip, read};

fn events(lines: &[&str]) -> Collected {
    read(Kind::Events, Format::Ndjson, lines.join("\n").as_bytes()).unwrap()
}

fn row(json: &str) -> String {
    let read = events(&[json]);
    assert_eq!(read.bad, [], "{json}");
    read.rows[0].clone()
}

fn refused(json: &str, column: &str, reason: &str) {
    let good = r#"{"time":0,"app_id":"shop","user_id":"u","event":"e"}"#;
    let read = events(&[good, json, good]);
    assert_eq!(read.bad(), [(2, column, reason)], "{json}");
    assert_eq!(read.lines, [1, 3], "{json}");
}

fn with(field: &str, value: &str) -> String {
    let mut fields = [
        ("time", "0"),
        ("app_id", "\"shop\""),
        ("user_id", "\"u\""),
        ("event", "\"e\""),
        ("properties", "{}"),
    ];
    fields.iter_mut().filter(|(name, _)| *name == field).for_each(|(_, has)| *has = value);
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", fields.join(", "))
}

#[test]
fn an_event_is_a_behaviour_row_of_its_apps_day() {
    let check = |time: &str, app: &str, day: u32| {
        let json = with("time", time).replace("shop", app);
        assert_eq!(row(&json), format!("{day} {app} u e 1 "), "{json}");
    };
    check("\"2026-11-02T07:30:00Z\"", "la", 20261101);
    check("\"2026-11-02T07:30:00Z\"", "shop", 20261102);
    check("\"2026-11-01T23:30:00-08:00\"", "shop", 20261102);
    check("\"2026-11-01T23:30:00.123456+05:30\"", "shop", 20261101);
    check("1793604600000", "la", 20261101);
    check("0", "shop", 19700101);
}

#[test]
fn properties_are_dimensions_and_measures() {
    let json = with(
        "properties",
        r#"{"page": "/a\n\u00e9", "vip": true, "price": 1.50, "n": 12345678901234567890123, "none": null,
            "empty": "", "m_amount": -9223372036854775808, "m_none": null, "pv": 7, "k\u0065y": "v"}"#,
    )
    .replace('\n', " ");
    assert_eq!(
        row(&json),
        "19700101 shop u e 1 key=v m_amount=-9223372036854775808 n=12345678901234567890123 page=/a\n\u{e9} \
         price=1.50 pv=7 vip=true"
    );
    assert_eq!(row(&with("properties", "null")), "19700101 shop u e 1 ");
    let later = events(&[&with("properties", r#"{"a":"1"}"#), &with("properties", r#"{"b":"2","a":"3"}"#)]);
    assert_eq!(later.rows, ["19700101 shop u e 1 a=1", "19700101 shop u e 1 a=3 b=2"]);
}

#[test]
fn user_ids_are_text_or_integers_of_64_bits_and_exact() {
    for id in ["9007199254740993", "9223372036854775808", "18446744073709551615", "-9223372036854775808", "0"]
    {
        assert_eq!(row(&with("user_id", id)), format!("19700101 shop {id} e 1 "));
        assert_eq!(row(&with("user_id", &format!("\"{id}\""))), format!("19700101 shop {id} e 1 "));
    }
    assert_eq!(row(&with("user_id", "-0")), "19700101 shop 0 e 1 ");
    let fraction = "a number with a fraction or an exponent";
    for id in ["1.0", "1e3", "9007199254740993.0"] {
        refused(&with("user_id", id), "user_id", fraction);
    }
    refused(&with("user_id", "18446744073709551616"), "user_id", "a number of more than 64 bits");
    refused(&with("user_id", "-9223372036854775809"), "user_id", "a number of more than 64 bits");
    refused(&with("user_id", "true"), "user_id", "a boolean");
    refused(&with("user_id", "null"), "user_id", "empty");
    refused(&with("user_id", "[1]"), "user_id", "an array where a single value is expected");
    refused(&with("user_id", "\"a\\u0000b\""), "user_id", "holds a control character");
    assert!(row(&with("user_id", &format!("\"{}\"", "x".repeat(128)))).len() > 128);
    let long = format!("\"{}\"", "x".repeat(129));
    refused(&with("user_id", &long), "user_id", "129 bytes long, at most 128 are accepted");
}

#[test]
fn a_bad_event_is_refused_by_itself() {
    let time = "neither RFC 3339 with an offset nor an integer of milliseconds since 1970";
    for bad in ["\"2026-11-01\"", "\"2026-11-01T10:00:00\"", "1.5", "true", "{}", "99999999999999999999"] {
        refused(&with("time", bad), "time", time);
    }
    for bad in
        ["-86400000", "253402300800000", "8210266876799999", "-8334601228800000", "\"0001-01-01T00:00:00Z\""]
    {
        refused(&with("time", bad), "time", "not between the years 1970 and 9999");
    }
    let seconds = "looks like seconds since 1970: write milliseconds, or RFC 3339 with an offset";
    refused(&with("time", "1772964000"), "time", seconds);
    refused(&with("time", "null"), "time", "empty");
    let ahead = "too far ahead: the last day that the app takes is 20261103";
    refused(&with("time", "\"2026-11-04T00:00:00Z\"").replace("shop", "early"), "time", ahead);
    refused(&with("app_id", "\"forbidden\""), "app_id", "not an app that this import may write to");
    refused(&with("event", "\"\""), "event", "empty");
    let padded = "begins or ends with white space";
    refused(&with("app_id", "\"shop \""), "app_id", padded);
    let page = r#"{"time":0,"app_id":"shop","user_id":"u","event":"e","properties":{"page ":"x"}}"#;
    refused(page, "properties.page ", padded);
    refused(r#"{"app_id":"shop"}"#, "time", "empty");
    refused(r#"{"time":0,"user_id":"u","event":"e"}"#, "app_id", "empty");
    refused(r#"{"time":0,"app_id":"shop","user_id":"u","event":"e","x":1}"#, "x", "not a field of an event");
    refused(r#"{"time":0,"time":0,"app_id":"shop"}"#, "time", "appears twice in the object");
    refused(r#"{"app_id":"a","app_id":"b"}"#, "app_id", "appears twice in the object");
    refused("[]", "", "not a JSON object");
    refused("{\"time\":", "", "not valid JSON at character 8 of the line");
    refused(&"[".repeat(100_000), "", "not a JSON object");

    let properties =
        |json: &str, column: &str, reason: &str| refused(&with("properties", json), column, reason);
    properties("[]", "properties", "not a JSON object");
    properties(r#"{"a":{"b":1}}"#, "properties.a", "an object where a single value is expected");
    properties(r#"{"a":[]}"#, "properties.a", "an array where a single value is expected");
    properties(r#"{"a":1,"a":2}"#, "properties.a", "appears twice in the object");
    properties(r#"{"a":"\ud800"}"#, "properties.a", "not a valid string");
    properties(r#"{"m_x":1.5}"#, "properties.m_x", "a number with a fraction or an exponent");
    properties(r#"{"m_x":9223372036854775808}"#, "m_x", "outside the range of a signed 64-bit integer");
    properties(r#"{"":1}"#, "properties.", "empty");
    let long = format!(r#"{{"{}":1}}"#, "k".repeat(129));
    properties(&long, &format!("properties.{}", "k".repeat(89)), "129 bytes long, at most 128 are accepted");
}

#[test]
fn lines_are_counted_and_capped() {
    let good = with("event", "\"e\"");
    let long = with("event", &format!("\"{}\"", "x".repeat(2 << 20)));
    let content = format!("\u{feff}{good}\r\n\n{long}\n{good}");
    let read_plain = read(Kind::Events, Format::Ndjson, content.as_bytes()).unwrap();
    assert_eq!(read_plain.lines, [1, 4]);
    assert_eq!(read_plain.bad(), [(3, "", "longer than 1048576 bytes")]);
    assert_eq!(read(Kind::Events, Format::Ndjson, &gzip(content.as_bytes())).unwrap(), read_plain);
}

#[test]
fn property_names_are_capped_in_number() {
    let json = |from: usize, to: usize| {
        let fields: Vec<String> = (from..to).map(|n| format!("\"p{n}\":1")).collect();
        with("properties", &format!("{{{}}}", fields.join(",")))
    };
    let read = events(&[&json(0, 1019), &json(1000, 1020), &json(0, 10)]);
    assert_eq!(read.bad(), [(2, "properties.p1019", "more than 1024 different names in one file")]);
    assert_eq!(read.lines, [1, 3]);
}

#[test]
fn labels_and_behaviour_may_come_as_flat_objects() {
    let labels = r#"{"ds":20261101,"app_id":"shop","label_id":1,"label_name":"g","user_id":18446744073709551615,"tag_id":"2","tag_name":"m","tag_value":null}
{"ds":"20261101","app_id":"shop","label_id":1,"label_name":"g","user_id":"u","tag_id":2,"tag_name":"m","tag_value":7}
{"ds":20261101,"app_id":"shop","label_id":1.5}
{"ds":20261101,"city":1}"#;
    let read_labels = read(Kind::Labels, Format::Ndjson, labels.as_bytes()).unwrap();
    assert_eq!(
        read_labels.rows,
        ["20261101 shop 1=g 18446744073709551615 2=m None", "20261101 shop 1=g u 2=m Some(7)"]
    );
    let fraction = "a number with a fraction or an exponent";
    assert_eq!(read_labels.bad(), [(3, "label_id", fraction), (4, "city", "not a field of a label row")]);

    let behavior = r#"{"ds":20261101,"app_id":"shop","user_id":"u","event":"e","pv":3,"page":"/","m_a":5}"#;
    let read_behavior = read(Kind::Behavior, Format::Ndjson, behavior.as_bytes()).unwrap();
    assert_eq!(read_behavior.rows, ["20261101 shop u e 3 m_a=5 page=/"]);
}
