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

/// A process that ends before it has asked for what follows, be it before or after it has shown the change.
#[actix_web::test]
async fn what_follows_a_change_is_done_whoever_ends_before_it() {
    let shop = Shop::open();
    shop.send(put(GENDER, json!({"owner": "a"}))).await;
    let shown = std::fs::read(shop.file("shop/catalogue")).unwrap();
    let everyone = json!({"rule": {"where": {"all": []}}});
    shop.send(put("/v1/apps/shop/base-crowds/everyone", everyone)).await;
    let labels = shop.labels().await;
    // As if the job had never been made; and how many there were.
    let lose = async || {
        let jobs = labels.jobs.list(&Filter::default(), None, 100).await.unwrap().items;
        let waiting: Vec<_> = jobs.iter().filter(|job| !job.state.is_final()).collect();
        for job in &waiting {
            assert_eq!((job.kind.as_str(), job.app_id.as_deref()), ("metrics", Some("shop")));
            labels.jobs.cancel(&job.id).await.unwrap();
        }
        waiting.len()
    };
    assert_eq!(lose().await, 1);
    muster_labels::show_pending(&labels).await.unwrap();
    assert_eq!(lose().await, 1, "it was shown, and nothing had followed");

    std::fs::write(shop.file("shop/catalogue"), &shown).unwrap();
    shop.ok("/v1/apps/shop/catalogue").await;
    assert_eq!(lose().await, 1, "whoever shows it later has done what follows");
    shop.ok("/v1/apps/shop/catalogue").await;
    assert_eq!(lose().await, 0, "a look at what is shown asks for nothing");

    std::fs::write(shop.file("shop/catalogue"), &shown).unwrap();
    muster_labels::show_pending(&labels).await.unwrap();
    assert_eq!(lose().await, 1);
}
