//! What cohorts are made up of, in words and tables.

use serde_json::Value;

use super::table::Table;
use super::{number, text};

fn items<'a>(answer: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A share as percent; nothing where it is hidden.
fn percent(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_f64).map(|share| format!("{:.1} %", share * 100.0)).unwrap_or_default()
}

fn decimal(of: &Value, key: &str, digits: usize) -> String {
    of.get(key).and_then(Value::as_f64).map(|value| format!("{value:.digits$}")).unwrap_or_default()
}

pub fn profile(answer: &Value) -> String {
    let mut table = Table::new(&["LABEL", "TAG", "USERS", "SHARE", "INDEX", "95 %", "SURPRISE", "Q"]);
    for tag in items(answer, "tags") {
        let interval = tag.get("index_interval").cloned().unwrap_or_default();
        let interval = match interval.is_object() {
            true => format!("{} – {}", decimal(&interval, "low", 2), decimal(&interval, "high", 2)),
            false => String::new(),
        };
        table.row(vec![
            text(tag, "label"),
            text(tag, "name"),
            number::count(tag.get("users")),
            percent(tag, "share"),
            decimal(tag, "index", 2),
            interval,
            decimal(tag, "surprise", 1),
            decimal(tag, "q", 4),
        ]);
    }
    let count = |key: &str| number::count(answer.get(key));
    format!(
        "{} of {} users, labels of {}; {} of {} tags differ from the rest of the app (q ≤ 0.05)\n\n{}",
        count("users"),
        count("app_users"),
        text(answer, "ds"),
        count("discoveries"),
        count("tested"),
        table.to_text()
    )
}

pub fn difference(answer: &Value) -> String {
    let mut table = Table::new(&["LABEL", "TAG", "BEFORE", "AFTER", "CHANGE", "ENTERED", "LEFT"]);
    for tag in items(answer, "tags") {
        let change = tag.get("change").and_then(Value::as_f64);
        table.row(vec![
            text(tag, "label"),
            text(tag, "name"),
            percent(tag, "share_before"),
            percent(tag, "share_after"),
            change.map(|change| format!("{:+.2}", change * 100.0)).unwrap_or_default(),
            number::count(tag.get("entered")),
            number::count(tag.get("left")),
        ]);
    }
    let count = |key: &str| number::count(answer.get(key));
    format!(
        "{} users then, {} now: {} entered, {} left, {} stayed\n\n{}",
        count("before"),
        count("after"),
        count("entered"),
        count("left"),
        count("stayed"),
        table.to_text()
    )
}

pub fn overlap(answer: &Value) -> String {
    let mut table = Table::new(&["IN EXACTLY", "USERS"]);
    for region in items(answer, "regions") {
        let within: Vec<&str> = items(region, "cohorts").filter_map(Value::as_str).collect();
        table.row(vec![within.join(" + "), number::count(region.get("users"))]);
    }
    format!("{} users in any of them\n\n{}", number::count(answer.get("any")), table.to_text())
}

/// A line per event, and one per measure of it.
pub fn behaviour(answer: &Value) -> String {
    let mut table = Table::new(&["EVENT", "USERS", "PV", "APP USERS", "APP PV", "INDEX"]);
    for event in items(answer, "events") {
        let count = |key: &str| number::count(event.get(key));
        let counts = ["users", "pv", "app_users", "app_pv"].map(count);
        let mut row = vec![text(event, "event")];
        row.extend(counts);
        row.push(decimal(event, "index", 2));
        table.row(row);
        for (measure, sum) in event.get("sums").and_then(Value::as_object).into_iter().flatten() {
            let of_app = event.get("app_sums").and_then(|sums| sums.get(measure));
            let of_app = of_app.map(Value::to_string).unwrap_or_default();
            let empty = String::new;
            table.row(vec![format!("  {measure}"), empty(), sum.to_string(), empty(), of_app, empty()]);
        }
    }
    format!(
        "{} of {} users, {} to {}\n\n{}",
        number::count(answer.get("users")),
        number::count(answer.get("app_users")),
        text(answer, "from"),
        text(answer, "to"),
        table.to_text()
    )
}

pub fn spread(answer: &Value) -> String {
    let mut table = Table::new(&["", "COHORT", "APP"]);
    let side = |side: &str| answer.get(side).cloned().unwrap_or_default();
    let (cohort, app) = (side("cohort"), side("app"));
    table.row(vec!["users".into(), number::count(cohort.get("users")), number::count(app.get("users"))]);
    table.row(vec!["sum".into(), text(&cohort, "sum"), text(&app, "sum")]);
    table.row(vec!["mean".into(), decimal(&cohort, "mean", 3), decimal(&app, "mean", 3)]);
    for (of_cohort, of_app) in items(&cohort, "quantiles").zip(items(&app, "quantiles")) {
        let share = format!("q {}", text(of_cohort, "q"));
        table.row(vec![share, text(of_cohort, "value"), text(of_app, "value")]);
    }
    table.to_text()
}
