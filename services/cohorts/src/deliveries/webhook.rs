//! Deliveries to a webhook: NDJSON in batches, each with a key of its own and signed.
//!
//! `Muster-Signature: t=<seconds since the epoch>,v1=<hex>` is HMAC-SHA-256 with the destination's secret over
//! `<t>.<idempotency key>.<body>`. A batch that is not taken is sent again, for a while; the key says which one it is,
//! and is the same whoever sends it and however often.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use muster_jobs::{Failure, Run};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use sha2::Sha256;

use super::answers::{Part, What};
use super::load::Who;
use super::store::{self, DeliveryRow};
use crate::Cohorts;
use crate::audiences::Exported;
use crate::error::Error;

/// How often a batch is sent at most, before the job leaves it to its next attempt.
const TRIES: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest that a receiver is waited for because it says so.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub struct Webhook<'a> {
    cohorts: &'a Cohorts,
    row: &'a DeliveryRow,
    url: &'a Url,
    secret: String,
    batch: usize,
    client: Client,
    /// What every batch says of the cohort.
    headers: HeaderMap,
    /// Begins the keys of its batches.
    key: String,
    /// Batches that are behind us, of all parts.
    sent: u64,
    /// Of the part that is being sent.
    batches: u64,
}

impl<'a> Webhook<'a> {
    pub fn new(
        cohorts: &'a Cohorts,
        row: &'a DeliveryRow,
        (url, secret, batch): (&'a Url, String, usize),
        who: &Who,
        (since, contents): (Option<&str>, &str),
    ) -> Result<Webhook<'a>, Error> {
        let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build();
        let client = client.map_err(|error| Error::Inside(error.to_string()))?;
        let mut headers = HeaderMap::new();
        let mut say = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        say("muster-app", &row.app_id);
        say("muster-of", &row.subject);
        if let Some(hash) = &who.hash {
            say("muster-cohort", &who.name);
            say("muster-hash", hash);
        }
        say("muster-ds", &who.ds.to_string());
        say("muster-version", &who.version.to_string());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let key = format!("{}-{}-{contents}", who.name, since.unwrap_or("full"));
        Ok(Webhook { cohorts, row, url, secret, batch, client, headers, key, sent: 0, batches: 0 })
    }

    /// All users of a part; batches that an attempt before this one has sent are passed over. A part of nobody is one
    /// empty batch: with `full` it says that nobody is left.
    pub async fn send(
        &mut self,
        what: What,
        (mut from, users): (Exported, u64),
        run: &Run,
    ) -> Result<Part, Failure> {
        self.batches = users.div_ceil(self.batch as u64).max(1);
        let (mut waiting, mut part) = (Vec::new(), Sent::default());
        while let Some(chunk) = from.chunks.recv().await {
            let chunk = chunk.map_err(|error| Failure::internal(error.to_string()))?;
            waiting.extend_from_slice(&chunk);
            while let Some(end) = end_of(&waiting, self.batch) {
                let rest = waiting.split_off(end);
                let batch = std::mem::replace(&mut waiting, rest);
                self.one(what, &mut part, batch, run).await?;
            }
        }
        if !waiting.is_empty() || part.batches == 0 {
            self.one(what, &mut part, waiting, run).await?;
        }
        let Sent { users, bytes, batches } = part;
        Ok(Part { what, users, file: None, bytes, sha256: None, batches: Some(batches) })
    }

    async fn one(&mut self, what: What, part: &mut Sent, body: Vec<u8>, run: &Run) -> Result<(), Failure> {
        let number = part.batches;
        let key = format!("{}-{}-{number}", self.key, what.name());
        part.batches += 1;
        part.users += lines(&body);
        part.bytes += body.len() as u64;
        self.sent += 1;
        if self.sent <= self.row.batches as u64 {
            return Ok(());
        }
        if run.stopped() {
            return Err(Failure::stopped());
        }
        self.post((what, number), &key, body.into(), run).await?;
        Ok(store::put_batches(&self.cohorts.db, &self.row.app_id, &self.row.id, self.sent).await?)
    }

    async fn post(
        &self,
        (what, number): (What, u64),
        key: &str,
        body: Bytes,
        run: &Run,
    ) -> Result<(), Failure> {
        for attempt in 0..TRIES {
            let mut pause = Duration::from_millis(500 << attempt);
            let time = Utc::now().timestamp();
            let signature = format!("t={time},v1={}", sign(&self.secret, time, key, &body));
            let request = self.client.post(self.url.clone()).headers(self.headers.clone());
            let request = request.header("muster-mode", what.name()).header("idempotency-key", key);
            let request = request.header("muster-batch", number).header("muster-batches", self.batches);
            let request = request.header("muster-signature", signature).body(body.clone());
            match request.send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) if may_pass(answer.status()) => {
                    let said =
                        answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                    pause = pause.max(Duration::from_secs(said.unwrap_or(0)).min(LONGEST_PAUSE));
                    tracing::warn!(status = answer.status().as_u16(), key, "a batch was not taken yet");
                }
                Ok(answer) => {
                    let detail = format!("the webhook answered {} to batch {key}", answer.status().as_u16());
                    return Err(Failure::new("webhook_refused", detail));
                }
                // What it says may name the address.
                Err(error) => tracing::warn!(error = %error.without_url(), key, "a batch could not be sent"),
            }
            if attempt + 1 == TRIES {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = run.until_stopped() => return Err(Failure::stopped()),
            }
        }
        Err(Failure::passing("destination_away", "the webhook does not take the users"))
    }
}

#[derive(Default)]
struct Sent {
    users: u64,
    bytes: u64,
    batches: u64,
}

fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Where a batch of so many lines ends; None while there are fewer.
fn end_of(text: &[u8], lines: usize) -> Option<usize> {
    let mut ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.nth(lines - 1).map(|(place, _)| place + 1)
}

/// Hex.
fn sign(secret: &str, time: i64, key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{time}.{key}.").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_end_with_their_last_line() {
        assert_eq!(end_of(b"a\nb\nc\n", 2), Some(4));
        assert_eq!((end_of(b"a\nb", 2), end_of(b"", 1), lines(b"a\nb\n")), (None, None, 2));
    }

    /// `printf '1700000000.coh_1-full-full-0.{"user_id":"u1"}\n' | openssl dgst -sha256 -hmac secret`
    #[test]
    fn signatures_are_those_that_are_documented() {
        let signed = sign("secret", 1_700_000_000, "coh_1-full-full-0", b"{\"user_id\":\"u1\"}\n");
        assert_eq!(signed, "ee390beb24879c979b4a176b8e05dd667e6fa4a67934223617a2d12b46676c9f");
    }
}
