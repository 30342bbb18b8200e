//! A server's no: problem+json read leniently, so that an answer of something in between (a proxy, say)
//! is shown too, and printed with the place of every fault.

use std::fmt;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

/// Characters of a foreign error page that are worth showing.
const MOST_TEXT: usize = 400;

/// An error answer.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    /// The problem's JSON object, as it was sent.
    pub body: Value,
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub async fn read(response: Response) -> Refusal {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let retry_after = header(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok());
        let request_id = header("x-request-id");
        let text = response.text().await.unwrap_or_default();
        let body = body(status, &text, request_id);
        Refusal { status, body, retry_after: retry_after.map(Duration::from_secs) }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.body.get(key)?.as_str()
    }
}

fn body(status: u16, text: &str, request_id: Option<String>) -> Value {
    let mut body = match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        _ => {
            let detail: String = text.trim().chars().take(MOST_TEXT).collect();
            let stood_in = json!({ "status": status, "code": "unexpected_answer", "detail": detail });
            stood_in.as_object().cloned().unwrap_or_default()
        }
    };
    if let Some(id) = request_id {
        body.entry("request_id").or_insert(id.into());
    }
    Value::Object(body)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.text("detail").or(self.text("title")).unwrap_or("no reason was given");
        write!(f, "{detail}")?;
        for error in self.body.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| error.get(key).and_then(Value::as_str);
            let pointer = match text("pointer") {
                None | Some("") => "(the whole body)",
                Some(pointer) => pointer,
            };
            let said = text("detail").or(text("code")).unwrap_or("refused");
            write!(f, "\n  {pointer}: {said}")?;
            // Some services ask it in their sentence already; one that lists all names has not asked.
            let asked = |nearest: &&str| said.contains(&format!("id you mean `{nearest}`"));
            if let Some(nearest) = text("nearest").filter(|nearest| !asked(nearest)) {
                write!(f, "\n    did you mean `{nearest}`?")?;
            }
        }
        // Who is in the way, for instance: `segments`, `experiments`.
        for (name, value) in self.body.as_object().into_iter().flatten() {
            let ids: Option<Vec<&str>> =
                value.as_array().and_then(|all| all.iter().map(Value::as_str).collect());
            if let Some(ids) = ids.filter(|ids| !ids.is_empty()) {
                write!(f, "\n  {name}: {}", ids.join(", "))?;
            }
        }
        if let Some(wait) = self.retry_after {
            write!(f, "\n  try again in {} s", wait.as_secs())?;
        }
        write!(f, "\n  status {}", self.status)?;
        for (name, key) in [("code", "code"), ("request", "request_id")] {
            if let Some(value) = self.text(key) {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, sent: &str, wait: Option<u64>, shown: &str) {
        let body = body(status, sent, Some("01J".into()));
        let refusal = Refusal { status, body, retry_after: wait.map(Duration::from_secs) };
        assert_eq!(refusal.to_string(), shown);
    }

    #[test]
    fn every_fault_is_shown_with_its_place() {
        let sent = json!({
            "type": "urn:muster:problem:invalid_rule", "status": 422, "code": "invalid_rule",
            "detail": "The rule can't be used.",
            "errors": [
                {"pointer": "/where/all/0/label", "code": "unknown_label",
                 "detail": "the app has no label `gendr`", "nearest": "gender"},
                {"pointer": "/lables", "code": "unknown_key", "detail": "a catalogue has `labels` and `events`",
                 "nearest": "labels"},
                {"pointer": "/where", "code": "unknown_event", "detail": "no such event; did you mean `visit`?",
                 "nearest": "visit"},
                {"pointer": "", "code": "rule_too_costly", "detail": "the rule costs too much"},
            ]
        });
        let shown = "The rule can't be used.
  /where/all/0/label: the app has no label `gendr`
    did you mean `gender`?
  /lables: a catalogue has `labels` and `events`
    did you mean `labels`?
  /where: no such event; did you mean `visit`?
  (the whole body): the rule costs too much
  status 422, code invalid_rule, request 01J";
        check(422, &sent.to_string(), None, shown);
    }

    #[test]
    fn a_wait_is_named() {
        let sent = r#"{"code": "quota_spent", "detail": "Too many.", "request_id": "own"}"#;
        check(
            429,
            sent,
            Some(3),
            "Too many.\n  try again in 3 s\n  status 429, code quota_spent, request own",
        );
    }

    #[test]
    fn who_is_in_the_way_is_named() {
        let sent = r#"{"code": "segment_in_use", "detail": "In use.", "experiments": ["exp_1", "exp_2"]}"#;
        let shown = "In use.\n  experiments: exp_1, exp_2\n  status 409, code segment_in_use, request 01J";
        check(409, sent, None, shown);
    }

    #[test]
    fn a_page_of_something_in_between_is_shown_too() {
        let shown = "<h1>Bad gateway</h1>\n  status 502, code unexpected_answer, request 01J";
        check(502, "<h1>Bad gateway</h1>\n", None, shown);
    }
}
