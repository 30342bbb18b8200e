//! The HTTP client that every client command goes through: where the server is, who calls, how a
//! refusal becomes a failure. Answers stay JSON values: the command line knows no other service's types.

pub mod download;
pub mod follow;
pub mod job;
pub mod refusal;
pub mod rule;
pub mod upload;

use std::time::Duration;

use clap::Args;
use rand::Rng;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::failure::Failure;
use refusal::Refusal;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that is asked too much says when to come back; so often it is taken at its word.
const PATIENCE: usize = 20;

/// Options of every command that talks to a server.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// Address of the server
    #[arg(
        long,
        global = true,
        env = "MUSTER_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub server: String,
    /// API key
    #[arg(long, global = true, env = "MUSTER_KEY", hide_env_values = true, value_name = "KEY")]
    pub key: Option<String>,
    /// Print the API's JSON, and nothing else
    #[arg(long, global = true)]
    pub json: bool,
}

impl ClientArgs {
    /// # Errors
    /// [`Failure::Usage`] when the address or the key can't be what it is given as.
    pub fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.server, self.key.as_deref())
    }
}

/// A server to ask, and the key to ask with.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    pub fn new(server: &str, key: Option<&str>) -> Result<Client, Failure> {
        let base = Url::parse(server).ok().filter(|url| !url.cannot_be_a_base());
        let Some(base) = base.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return Err(Failure::usage(format!("`{server}` is no server address: write http://HOST:PORT")));
        };
        let mut headers = reqwest::header::HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| Failure::usage("the key holds characters that no key has"))?;
            value.set_sensitive(true);
            headers.insert(reqwest::header::AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .default_headers(headers)
            .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(anyhow::Error::from)?;
        Ok(Client { http, base })
    }

    /// The server's address without a slash at its end.
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A request of `/v1/` and these path segments, whatever characters they hold.
    pub fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        if let Some(dots) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            return Err(Failure::usage(format!("`{dots}` can't be part of an address")));
        }
        let mut url = self.base.clone();
        url.path_segments_mut().expect("an http address has a path").pop_if_empty().push("v1").extend(path);
        Ok(self.http.request(method, url))
    }

    /// A GET of a path that the server itself has named (`rejects_url`), or of a full address at it.
    pub fn linked(&self, link: &str) -> Result<RequestBuilder, Failure> {
        let url = self
            .base
            .join(link)
            .map_err(|err| anyhow::anyhow!("the server named the link `{link}`: {err}"))?;
        if url.origin() != self.base.origin() {
            // The key is for this server only.
            return Err(anyhow::anyhow!("the server named a link to another server: {url}").into());
        }
        Ok(self.http.get(url))
    }

    /// Sends once. A refusal is a failure; the body of a good answer is still to be read.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|err| self.broken(err))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Failure::Refused(Box::new(Refusal::read(response).await)))
    }

    /// Sends, and reads the answer's JSON; `null` when the answer has no body.
    pub async fn json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let bytes = self.send(request).await?.bytes().await.map_err(|err| self.broken(err))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|err| {
            Failure::Other(anyhow::anyhow!(
                "{} answered with something that is not JSON: {err}",
                self.server()
            ))
        })
    }

    /// Like [`json`](Self::json), but when the server asks for time (429, 503), waits and asks again.
    /// For work that goes on in the background; the request must have a body that can be sent twice.
    pub async fn json_patiently(&self, request: RequestBuilder) -> Result<Value, Failure> {
        for _ in 0..PATIENCE {
            let Some(again) = request.try_clone() else { break };
            match self.json(again).await {
                Err(Failure::Refused(refusal)) if refusal.retry_after.is_some() => {
                    tokio::time::sleep(refusal.retry_after.unwrap_or_default()).await;
                }
                answer => return answer,
            }
        }
        self.json(request).await
    }

    /// Every page of a list, as one: `{"items": […], "next": null}`.
    pub async fn list(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut request = self.request(Method::GET, path)?.query(query).query(&[("limit", "1000")]);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let mut page = self.json_patiently(request).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(serde_json::json!({ "items": items, "next": null })),
            }
        }
    }

    /// A request that never came to an answer.
    pub fn broken(&self, err: reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = &err;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Failure::Unreachable { server: self.server().to_owned(), cause: cause.to_string() }
    }
}

/// The header that makes a repeated write the same write, with a fresh key.
pub fn idempotency() -> (HeaderName, String) {
    (HeaderName::from_static("idempotency-key"), format!("cli-{:032x}", rand::rng().random::<u128>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_built_from_parts() {
        let client = Client::new("http://localhost:8080/", None).unwrap();
        let url =
            |path: &[&str]| client.request(Method::GET, path).unwrap().build().unwrap().url().to_string();
        assert_eq!(url(&["apps", "a b", "cohorts"]), "http://localhost:8080/v1/apps/a%20b/cohorts");
        assert_eq!(url(&["x", "a/../b?c#d%"]), "http://localhost:8080/v1/x/a%2F..%2Fb%3Fc%23d%25");
        assert!(matches!(client.request(Method::GET, &["x", ".."]), Err(Failure::Usage(_))));
        let below = Client::new("http://host/muster", None).unwrap();
        assert_eq!(below.server(), "http://host/muster");
        let built = below.request(Method::GET, &["jobs"]).unwrap().build().unwrap();
        assert_eq!(built.url().as_str(), "http://host/muster/v1/jobs");
    }

    #[test]
    fn the_key_goes_to_this_server_only() {
        let client = Client::new("http://localhost:8080", Some("mk_1")).unwrap();
        assert!(client.linked("/v1/imports/job_1/rejects").is_ok());
        assert!(client.linked("http://elsewhere:8080/v1/imports/job_1/rejects").is_err());
    }

    #[test]
    fn what_is_no_address_is_used_wrongly() {
        for server in ["", "localhost", "localhost:8080", "ftp://host", "mailto:a@b"] {
            assert!(matches!(Client::new(server, None), Err(Failure::Usage(_))), "{server}");
        }
    }
}
