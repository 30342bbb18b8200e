//! Experiments and their results, in words and tables.

use serde_json::Value;

use super::table::Table;
use super::{number, text};

fn items<'a>(answer: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn float(of: &Value, key: &str) -> Option<f64> {
    of.get(key).and_then(Value::as_f64)
}

/// Four digits that count; nothing where there is none.
fn figure(value: Option<f64>) -> String {
    let Some(value) = value else { return String::new() };
    let whole = value.abs().log10().floor().max(0.0) as usize;
    match value {
        0.0 => "0".to_owned(),
        value if value.abs() < 1e-4 => format!("{value:.2e}"),
        value => format!("{value:.*}", 4usize.saturating_sub(whole)),
    }
}

fn percent(value: Option<f64>) -> String {
    value.map(|share| format!("{:+.2} %", share * 100.0)).unwrap_or_default()
}

pub fn list(answer: &Value) -> String {
    let mut table = Table::new(&["ID", "NAME", "STATE", "LAYER", "FROM", "TO", "USERS"]);
    for experiment in items(answer, "items") {
        let [id, name, state, layer, from, to] =
            ["id", "name", "state", "layer", "from", "to"].map(|key| text(experiment, key));
        let users: Option<u64> = items(experiment, "members").map(|group| group.get("users")?.as_u64()).sum();
        let users = users.filter(|users| *users > 0).map(number::grouped).unwrap_or_default();
        table.row(vec![id, name, state, layer, from, to, users]);
    }
    table.to_text()
}

pub fn experiment(answer: &Value) -> String {
    let mut lines =
        vec![format!("{} {} is {}", text(answer, "id"), text(answer, "name"), told_state(answer))];
    if let Some(failure) = answer.get("failure").filter(|failure| failure.is_object()) {
        lines.push(format!("its last start failed: {}", text(failure, "detail")));
    }
    let mut table = Table::new(&["GROUP", "SHARE", "USERS", "EVER", "COHORT"]);
    for (place, group) in items(answer, "groups").enumerate() {
        let members =
            answer.get("members").and_then(|members| members.get(place)).cloned().unwrap_or_default();
        let name = text(group, "name");
        table.row(vec![
            if place == 0 { format!("{name} (control)") } else { name },
            text(group, "share"),
            number::count(members.get("users")),
            number::count(members.get("ever_users")),
            text(&members, "cohort_id"),
        ]);
    }
    lines.push(table.to_text());
    lines.join("\n")
}

fn told_state(answer: &Value) -> String {
    let state = text(answer, "state");
    match (text(answer, "from"), text(answer, "to")) {
        (from, _) if from.is_empty() => state,
        (from, to) if to.is_empty() => format!("{state}, from {from}"),
        (from, to) => format!("{state}, {from} to {to}"),
    }
}

pub fn check(answer: &Value) -> String {
    let balanced = match answer.get("balanced").and_then(Value::as_bool) {
        Some(true) => "the groups do not differ",
        Some(false) => "the groups differ",
        None => "there was nothing to compare",
    };
    let (from, to) = (text(answer, "from"), text(answer, "to"));
    let salts = number::count(answer.get("salts"));
    let mut lines = vec![format!("{balanced} from {from} to {to}; salt {} of {salts}", text(answer, "salt"))];
    lines.extend(ratio(answer));
    lines.push(metrics(answer));
    lines.join("\n")
}

pub fn results(answer: &Value) -> String {
    let mut lines = vec![format!("{} to {}", text(answer, "from"), text(answer, "to"))];
    let missing: Vec<&str> = items(answer, "missing_days").filter_map(Value::as_str).collect();
    if !missing.is_empty() {
        lines.push(format!("without data: {}", missing.join(", ")));
    }
    lines.extend(ratio(answer));
    if answer.get("cuped").and_then(Value::as_bool) == Some(true) {
        lines.push(
            "differences are without what the days before explain (CUPED); means are as they are".to_owned(),
        );
    }
    lines.push(String::new());
    lines.push(metrics(answer));
    for tag in items(answer, "by_tag") {
        lines.push(format!("\n{}", text(tag, "name")));
        lines.push(metrics(tag));
    }
    lines.join("\n")
}

fn ratio(answer: &Value) -> Option<String> {
    let ratio = answer.get("sample_ratio").filter(|ratio| ratio.is_object())?;
    let p_value = figure(float(ratio, "p_value"));
    Some(match ratio.get("mismatch").and_then(Value::as_bool) {
        Some(true) => format!("SAMPLE RATIO MISMATCH (p {p_value}): do not believe what follows"),
        _ => format!("groups are as large as they should be (p {p_value})"),
    })
}

fn metrics(answer: &Value) -> String {
    let headings = ["METRIC", "GROUP", "USERS", "MEAN", "DIFFERENCE", "INTERVAL", "LIFT", "P", "Q"];
    let mut table = Table::new(&headings);
    for metric in items(answer, "metrics") {
        for group in items(metric, "groups") {
            let told = group.get("against_control").cloned().unwrap_or_default();
            let interval = match float(&told, "low") {
                Some(low) => format!("{} … {}", figure(Some(low)), figure(float(&told, "high"))),
                None => String::new(),
            };
            table.row(vec![
                text(metric, "metric"),
                text(group, "group"),
                number::count(group.get("users")),
                figure(float(group, "mean")),
                figure(float(&told, "difference")),
                interval,
                percent(float(&told, "lift")),
                figure(float(&told, "p_value")),
                figure(float(&told, "q")),
            ]);
        }
    }
    table.to_text()
}

pub fn place(answer: &Value) -> String {
    let user = text(answer, "user_id");
    match (text(answer, "group"), text(answer, "why")) {
        (group, _) if !group.is_empty() => format!("{user} is in {group}"),
        (_, why) => format!("{user} is in no group: {}", why.replace('_', " ")),
    }
}

pub fn holdout(answer: &Value) -> String {
    let share = float(answer, "share").unwrap_or_default();
    format!("{} % of the users are held out of experiments that begin from now on", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_count() {
        let check = |value, text: &str| assert_eq!(figure(Some(value)), text);
        check(0.0, "0");
        check(1234.5678, "1234.6");
        check(-0.012345, "-0.0123");
        check(0.00001234, "1.23e-5");
        check(123456.0, "123456");
    }
}
