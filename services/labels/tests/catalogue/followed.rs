//! What follows a change of the catalogue, whoever ends in between; and what stays as it is.

use actix_web::test::TestRequest;
use muster_jobs::Filter;
use serde_json::{Value, json};

use crate::shop::{Shop, ds};

fn put(uri: &str, body: Value) -> TestRequest {
    TestRequest::put().uri(uri).set_payload(body.to_string())
}

fn post(uri: &str, body: Value) -> TestRequest {
    TestRequest::post().uri(uri).set_payload(body.to_string())
}

const GENDER: &str = "/v1/apps/shop/labels/gender";

/// A crowd of a cohort that is gone by now is no reason to refuse what leaves the crowd alone.
#[actix_web::test]
async fn what_stays_as_it_is_is_not_checked_again() {
    let shop = Shop::open();
    shop.store.write_cohort("shop", "coh_1", ds(20261101), &vec![Default::default(); 16]).unwrap();
    let rule = json!({"universe": "all", "where": {"cohort": "coh_1"}});
    shop.send(put("/v1/apps/shop/base-crowds/called", json!({"rule": rule}))).await;
    shop.send(put(GENDER, json!({"owner": "a"}))).await;
    shop.send(put(GENDER, json!({"owner": "b"}))).await;
    shop.store.remove_cohort("shop", "coh_1").unwrap();

    let back = "/v1/apps/shop/catalogue/rollback";
    let rolled = shop.send(post(back, json!({"version": 2}))).await;
    let label = json!([{"kind": "label", "name": "10001"}]);
    assert_eq!((&rolled["version"], &rolled["changed"]), (&json!(4), &label));
    let mut document = shop.ok("/v1/apps/shop/catalogue").await;
    document["labels"]["10001"]["owner"] = json!("c");
    assert_eq!(shop.send(post("/v1/apps/shop/catalogue", document)).await["changed"], label);
    // What differs is checked as before.
    shop.send(post(back, json!({"version": 0}))).await;
    assert_eq!(shop.fails(post(back, json!({"version": 1}))).await.1, "invalid_catalogue");
}
