//! Answers that stay the same until their data are published anew: sent with an entity tag, and not sent
//! again to somebody who has them.

use actix_web::dev::RequestHead;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use muster_http::{Caller, Known, Problem, Role};
use muster_profile_store::Snapshot;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::Metrics;
use crate::cache::Answer;
use crate::error::Error;

/// Kept by whoever asked, but asked for again before it is used: a day may be published anew at any time.
const KEPT: &str = "private, no-cache";

/// What `make` answers, or what it answered before if nothing has changed since. The caller may read the app:
/// that has to be settled before.
pub async fn answer<T: Serialize>(
    metrics: &Metrics,
    (app, snapshot): (&str, &Snapshot),
    request: &HttpRequest,
    make: impl Future<Output = Result<T, Error>>,
) -> Result<HttpResponse, Problem> {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let stamp = metrics.answers.stamp(&metrics.db, app, snapshot).await?;
    if let Some(known) = metrics.answers.get(app, path, stamp) {
        return Ok(send(request.headers(), known.tag, known.body));
    }
    let (tag, body) = tagged(&make.await?)?;
    let route = request.match_pattern().unwrap_or_default().into();
    let answer = Answer { stamp, route, tag, body };
    metrics.answers.keep(app, path, answer.clone());
    Ok(send(request.headers(), answer.tag, answer.body))
}

/// What the request was answered before, if that is known to hold without asking the database or opening files.
pub fn known(metrics: &Metrics, caller: &Caller, app: &str, request: &RequestHead) -> Option<Known> {
    caller.require(app, Role::Read).ok()?;
    let snapshot = metrics.profiles.opened(app)?;
    let stamp = metrics.answers.known_stamp(app, &snapshot)?;
    let answer = metrics.answers.get(app, request.uri.path_and_query()?.as_str(), stamp)?;
    let response = send(&request.headers, answer.tag, answer.body);
    Some(Known { route: answer.route, response })
}

/// The tag is of the answer's bytes, and weak: they may be sent compressed.
fn tagged(answer: &impl Serialize) -> Result<(HeaderValue, Bytes), Problem> {
    let body = serde_json::to_vec(answer).map_err(Problem::internal)?;
    let tag = HeaderValue::try_from(format!("W/\"{:032x}\"", xxh3_128(&body))).map_err(Problem::internal)?;
    Ok((tag, body.into()))
}

fn send(headers: &HeaderMap, tag: HeaderValue, body: Bytes) -> HttpResponse {
    let has = tag.to_str().is_ok_and(|tag| has(headers, tag));
    let mut answer = if has { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((ETAG, tag)).insert_header((CACHE_CONTROL, KEPT));
    match has {
        true => answer.finish(),
        false => answer.content_type("application/json").body(body),
    }
}

/// Whether the request names the tag, strong or weak, among those it has.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let given = headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    given.flat_map(|list| list.split(',')).any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn what_somebody_has_is_not_sent_again() {
        let ask = |given: Option<&str>, body: &str| {
            let request = TestRequest::default();
            let request = match given {
                Some(given) => request.insert_header((IF_NONE_MATCH, given)),
                None => request,
            };
            let (tag, body) = tagged(&body).unwrap();
            let answer = send(request.to_http_request().headers(), tag, body);
            (answer.status(), answer.headers().get(ETAG).unwrap().to_str().unwrap().to_owned())
        };
        let (status, tag) = ask(None, "one");
        assert_eq!(status, StatusCode::OK);
        let strong = tag.trim_start_matches("W/").to_owned();
        for given in [&tag, &strong, &format!("\"x\", {tag}"), &"*".to_owned()] {
            assert_eq!(ask(Some(given), "one"), (StatusCode::NOT_MODIFIED, tag.clone()), "{given}");
        }
        assert_eq!(ask(Some(&tag), "two").0, StatusCode::OK);
        assert_eq!(ask(Some("\"x\""), "one").0, StatusCode::OK);
    }
}
