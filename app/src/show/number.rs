//! Numbers as people read them.

use std::time::Duration;

use serde_json::Value;

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A JSON count; a dash when there is none.
pub fn count(value: Option<&Value>) -> String {
    value.and_then(Value::as_u64).map_or_else(|| "–".to_owned(), grouped)
}

/// The share in percent, with enough digits to tell small ones apart: `12.3 %`, `0.042 %`, `0 %`.
pub fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        p if part == whole => format!("{p:.0} %"),
        p if p >= 10.0 => format!("{p:.1} %"),
        p if p >= 1.0 => format!("{p:.2} %"),
        p if p >= 0.001 => format!("{p:.3} %"),
        _ => "under 0.001 %".to_owned(),
    }
}

/// `340 ms`, `1.2 s`, `2 min 5 s`.
pub fn took(time: Duration) -> String {
    match time.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// How many in a second, rounded to what can be known.
pub fn rate(count: u64, time: Duration) -> String {
    let per_second = count as f64 / time.as_secs_f64().max(1e-9);
    grouped(per_second.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_three() {
        let check = |number, text: &str| assert_eq!(grouped(number), text);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(1_234_567, "1,234,567");
        check(u64::MAX, "18,446,744,073,709,551,615");
    }

    #[test]
    fn shares() {
        let check = |part, whole, text: &str| assert_eq!(share(part, whole), text);
        check(0, 10, "0 %");
        check(0, 0, "0 %");
        check(10, 10, "100 %");
        check(1, 3, "33.3 %");
        check(99_999, 100_000, "100.0 %");
        check(1, 80, "1.25 %");
        check(42, 100_000, "0.042 %");
        check(1, 1_000_000, "under 0.001 %");
    }

    #[test]
    fn times() {
        let check = |ms, text: &str| assert_eq!(took(Duration::from_millis(ms)), text);
        check(0, "0 ms");
        check(999, "999 ms");
        check(1200, "1.2 s");
        check(125_000, "2 min 5 s");
    }
}
