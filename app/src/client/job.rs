//! A job as the API shows it.

use serde_json::Value;

/// A job's JSON, kept whole: what this program does not know of it is still printed.
#[derive(Debug, Clone)]
pub struct Job {
    pub raw: Value,
}

impl Job {
    pub fn text(&self, key: &str) -> &str {
        self.raw.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn id(&self) -> &str {
        self.text("id")
    }

    pub fn state(&self) -> &str {
        self.text("state")
    }

    /// From 0 to 1.
    pub fn progress(&self) -> f64 {
        self.raw.get("progress").and_then(Value::as_f64).unwrap_or_default()
    }

    /// Jobs before this one, while it is queued.
    pub fn position(&self) -> Option<u64> {
        self.raw.get("position")?.as_u64()
    }

    pub fn ended(&self) -> bool {
        matches!(self.state(), "done" | "failed" | "cancelled")
    }

    pub fn done(&self) -> bool {
        self.state() == "done"
    }

    /// A member of the result.
    pub fn result(&self, key: &str) -> Option<&Value> {
        self.raw.get("result")?.get(key)
    }

    /// A member that the result has or, when the job failed, its error.
    pub fn outcome(&self, key: &str) -> Option<&Value> {
        let error = self.raw.get("error");
        self.result(key).or_else(|| error?.get(key)).or_else(|| error?.get("extra")?.get(key))
    }

    /// How the job ended, in a sentence with its cause.
    pub fn ending(&self) -> String {
        let mut text = format!("{} {}", self.id(), self.state());
        let error = self.raw.get("error").filter(|error| !error.is_null());
        if let Some(error) = error {
            let detail = error.get("detail").or(error.get("message")).unwrap_or(error);
            text += &format!(": {}", detail.as_str().map_or_else(|| detail.to_string(), str::to_owned));
            if let Some(code) = error.get("code").and_then(Value::as_str) {
                text += &format!(" ({code})");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_tells_how_it_ended() {
        let raw = json!({"id": "job_1", "state": "failed",
            "error": {"code": "reject_limit", "detail": "830 of 10000 rows were rejected", "rejects_url": "/r"}});
        let job = Job { raw };
        assert!(job.ended() && !job.done());
        assert_eq!(job.ending(), "job_1 failed: 830 of 10000 rows were rejected (reject_limit)");
        assert_eq!(job.outcome("rejects_url"), Some(&json!("/r")));
        let cancelled = Job { raw: json!({"id": "job_2", "state": "cancelled", "error": null}) };
        assert_eq!(cancelled.ending(), "job_2 cancelled");
    }
}
