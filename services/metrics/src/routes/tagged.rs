//! Answers that stay the same until their data are published anew: sent with an entity tag, and not sent
//! again to somebody who has them.

use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse};
use muster_http::Problem;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

/// Kept by whoever asked, but asked for again before it is used: a day may be published anew at any time.
const KEPT: &str = "private, no-cache";

/// The tag is of the answer's bytes, and weak: they may be sent compressed.
pub fn answer(request: &HttpRequest, body: &impl Serialize) -> Result<HttpResponse, Problem> {
    let body = serde_json::to_vec(body).map_err(Problem::internal)?;
    let tag = format!("W/\"{:032x}\"", xxh3_128(&body));
    let mut answer = match has(request, &tag) {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    answer.insert_header((ETAG, tag.clone())).insert_header((CACHE_CONTROL, KEPT));
    if has(request, &tag) {
        return Ok(answer.finish());
    }
    Ok(answer.content_type("application/json").body(body))
}

/// Whether the request names the tag, strong or weak, among those it has.
fn has(request: &HttpRequest, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let given = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
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
            let answer = answer(&request.to_http_request(), &body).unwrap();
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
