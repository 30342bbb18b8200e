//! The catalogue's routes over a real store.

mod followed;
mod managed;
mod openapi;
mod paging;
mod rights;
mod search;
mod shop;

use actix_web::test::TestRequest;
use serde_json::json;
use shop::Shop;

#[actix_web::test]
async fn apps_tell_what_they_hold() {
    let shop = Shop::open();
    let bytes = |kind: &str| shop.bytes("shop", kind);
    let of = json!({
        "labels": bytes("label"), "events": bytes("event"), "weeks": 0, "dictionaries": bytes("values"),
        "directory": bytes("users")
    });
    let expected = json!({
        "app_id": "shop", "users": 3, "labels": 2, "events": 2, "newest_ds": 20261101, "buckets": 16,
        "generation": 1, "bytes": bytes(""), "bytes_of": of
    });
    assert_eq!(shop.ok("/v1/apps/shop").await, expected);
    let list = shop.ok("/v1/apps").await;
    assert_eq!(list["items"][0], expected);
    assert_eq!(list["items"][1]["app_id"], "店铺/2");
    assert_eq!(list["next"], json!(null));
    assert_eq!(shop.ok("/v1/apps/%E5%BA%97%E9%93%BA%2F2").await["users"], 1);
}

/// What is replaced stays on the disk for a while, and is not the app's any more.
#[actix_web::test]
async fn bytes_are_those_of_what_is_published_now() {
    let shop = Shop::open();
    let before = shop.ok("/v1/apps/shop").await;
    let one = shop.bytes("shop", "label");
    shop.import("shop").label(10001, "gender", 20261101, &[("u1", 1, "male", None)]).show();
    let after = shop.ok("/v1/apps/shop").await;
    assert_eq!(after["bytes_of"]["events"], before["bytes_of"]["events"]);
    assert!(after["bytes_of"]["labels"].as_u64().unwrap() < shop.bytes("shop", "label"), "{after}");
    assert!(shop.bytes("shop", "label") > one);
    let parts = after["bytes_of"].as_object().unwrap().values();
    assert_eq!(after["bytes"], parts.map(|part| part.as_u64().unwrap()).sum::<u64>());

    // An app that is described and has no data takes none.
    let put = TestRequest::put().uri("/v1/apps/new/labels/1").set_json(json!({"name": "colour"}));
    shop.send(put).await;
    let new = shop.ok("/v1/apps/new").await;
    assert_eq!((&new["bytes"], &new["bytes_of"]["directory"]), (&json!(0), &json!(0)), "{new}");
}

#[actix_web::test]
async fn an_empty_store_has_no_apps() {
    let shop = Shop::empty();
    assert_eq!(shop.ok("/v1/apps").await, json!({"items": [], "next": null}));
}

#[actix_web::test]
async fn labels_say_what_is_published() {
    let shop = Shop::open();
    let body = shop.ok("/v1/apps/shop/labels").await;
    let published = json!({"first": 20261030, "last": 20261101, "count": 2, "days": [20261101, 20261030]});
    assert_eq!(
        body["items"][0],
        json!({"id": 10001, "name": "gender", "tags": 2, "pairs": 3, "published": published,
               "published_at": 1_700_020_261_101u64})
    );
    assert_eq!(body["items"][1]["name"], "省份/省 100%");
    assert_eq!(body["items"][1]["pairs"], 3);
}

#[actix_web::test]
async fn a_new_day_shows_at_once() {
    let shop = Shop::open();
    shop.ok("/v1/apps/shop/labels").await;
    shop.import("shop").label(10001, "sex", 20261102, &[("u9", 3, "other", None)]).show();
    let body = shop.ok("/v1/apps/shop/labels").await;
    assert_eq!(body["items"][0]["name"], "sex");
    assert_eq!(body["items"][0]["published"]["last"], 20261102);
    assert_eq!(shop.ok("/v1/apps/shop").await["users"], 4);
}

#[actix_web::test]
async fn tags_of_the_newest_day_and_of_an_older_one() {
    let shop = Shop::open();
    let newest = shop.ok("/v1/apps/shop/labels/gender/tags").await;
    assert_eq!(
        newest,
        json!({
            "label": {"id": 10001, "name": "gender"}, "ds": 20261101, "next": null,
            "items": [{"id": 1, "name": "male", "users": 1, "weighted": 0},
                      {"id": 2, "name": "female", "users": 2, "weighted": 0}]
        })
    );
    assert_eq!(shop.ok("/v1/apps/shop/labels/10001/tags").await, newest);
    let older = shop.ok("/v1/apps/shop/labels/gender/tags?ds=20261030").await;
    assert_eq!(older["ds"], 20261030);
    assert_eq!(older["items"], json!([{"id": 1, "name": "male", "users": 1, "weighted": 0}]));
}

#[actix_web::test]
async fn names_may_hold_any_character() {
    let shop = Shop::open();
    let label = "/v1/apps/shop/labels/%E7%9C%81%E4%BB%BD%2F%E7%9C%81%20100%25/tags";
    let body = shop.ok(label).await;
    assert_eq!(
        body["items"],
        json!([{"id": 43, "name": "湖南", "users": 1, "weighted": 1},
               {"id": 44, "name": "广东", "users": 2, "weighted": 1}])
    );
    let found = shop.ok(&format!("{label}?match=%E5%B9%BF")).await;
    assert_eq!(
        found["items"],
        json!([{"id": 44, "name": "广东", "users": 2, "weighted": 1, "match": "prefix"}])
    );
}

#[actix_web::test]
async fn a_name_of_digits_is_looked_for_after_the_ids() {
    let shop = Shop::empty();
    shop.import("shop")
        .label(1, "2", 20261101, &[("u", 1, "a", None)])
        .label(2, "3", 20261101, &[("u", 1, "b", None)])
        .show();
    assert_eq!(shop.ok("/v1/apps/shop/labels/2/tags").await["label"], json!({"id": 2, "name": "3"}));
    assert_eq!(shop.ok("/v1/apps/shop/labels/3/tags").await["label"], json!({"id": 2, "name": "3"}));
}

#[actix_web::test]
async fn base_crowds_name_the_events_that_count_now() {
    let shop = Shop::open();
    let body = shop.ok("/v1/apps/shop/base-crowds").await;
    let crowd = |name: &str| {
        let items = body["items"].as_array().unwrap();
        items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert_eq!(body["items"].as_array().unwrap().len(), 8);
    assert_eq!(body["items"][0]["name"], "all");
    assert_eq!(crowd("all")["days"], json!(null));
    assert_eq!(crowd("active_180d")["days"], 180);
    assert_eq!(crowd("active_180d")["events"], json!(["order", "visit"]));
    assert_eq!(crowd("trade_7d")["events"], json!(["order"]));
    let quiet = shop.ok("/v1/apps/%E5%BA%97%E9%93%BA%2F2/base-crowds").await;
    assert_eq!(quiet["items"][1]["events"], json!([]));
}

#[actix_web::test]
async fn events_say_what_they_count() {
    let shop = Shop::open();
    let body = shop.ok("/v1/apps/shop/events").await;
    assert_eq!(body["items"][0]["name"], "order");
    assert_eq!(body["items"][0]["dimensions"], json!([]));
    let published = json!({"first": 20261031, "last": 20261101, "count": 2, "days": [20261101, 20261031]});
    assert_eq!(
        body["items"][1],
        json!({"name": "visit", "users": 2, "pv": 6, "measures": ["m_amount"], "published": published,
               "active": true, "trade": false,
               "dimensions": [{"name": "channel", "values": 1}, {"name": "page", "values": 2}],
               "published_at": 1_700_020_261_101u64})
    );
}

#[actix_web::test]
async fn values_by_id_and_by_match() {
    let shop = Shop::open();
    let pages = "/v1/apps/shop/events/visit/dimensions/page";
    let all = shop.ok(pages).await;
    assert_eq!(all["items"], json!([{"id": 0, "value": "/sale"}, {"id": 1, "value": "/促销 a+b"}]));
    let ids = async |text: &str| shop.ok(&format!("{pages}?match={text}")).await["items"].clone();
    assert_eq!(ids("SALE").await, json!([{"id": 0, "value": "/sale", "match": "substring"}]));
    assert_eq!(ids("/slae").await, json!([{"id": 0, "value": "/sale", "match": "similar"}]));
    assert_eq!(ids("A%2BB").await, json!([{"id": 1, "value": "/促销 a+b", "match": "substring"}]));
    assert_eq!(ids("weather").await, json!([]));
}

#[actix_web::test]
async fn unknown_names_get_the_nearest_known_one() {
    let shop = Shop::open();
    let check = async |uri: &str, code: &str, nearest: Option<&str>| {
        let (status, found, body) = shop.refused(uri).await;
        assert_eq!((status, found.as_str()), (404, code), "{uri}");
        assert_eq!(body["errors"][0]["nearest"].as_str(), nearest, "{body}");
    };
    check("/v1/apps/shop/labels/gendr/tags", "label_not_found", Some("gender")).await;
    check("/v1/apps/shop/labels/10009/tags", "label_not_found", None).await;
    check("/v1/apps/shop/events/vist/dimensions/page", "event_not_found", Some("visit")).await;
    check("/v1/apps/shop/events/visit/dimensions/pge", "dimension_not_found", Some("page")).await;
    check("/v1/apps/shop/events/order/dimensions/page", "dimension_not_found", None).await;
}

#[actix_web::test]
async fn an_unpublished_day_names_the_published_ones() {
    let shop = Shop::open();
    let (status, code, body) = shop.refused("/v1/apps/shop/labels/gender/tags?ds=20261031").await;
    assert_eq!((status, code.as_str()), (404, "ds_not_published"));
    assert_eq!((&body["first"], &body["last"]), (&json!(20261030), &json!(20261101)));
    assert!(body["detail"].as_str().unwrap().contains("between 20261030 and 20261101"), "{body}");
}

#[actix_web::test]
async fn parameters_that_cannot_be_used() {
    let shop = Shop::open();
    let check = async |uri: &str, code: &str| {
        let (status, found, body) = shop.refused(uri).await;
        assert_eq!((status, found.as_str()), (400, code), "{uri}: {body}");
    };
    check("/v1/apps/shop/labels/gender/tags?ds=2026-11-01", "invalid_ds").await;
    check("/v1/apps/shop/labels/gender/tags?ds=20261131", "invalid_ds").await;
    check("/v1/apps/shop/labels?limit=0", "invalid_limit").await;
    check("/v1/apps/shop/labels?limit=many", "invalid_query").await;
    check("/v1/apps/shop/labels?cursor=gender", "invalid_cursor").await;
    check("/v1/apps/shop/events?cursor=xyz", "invalid_cursor").await;
    check("/v1/apps/shop/base-crowds?cursor=616c", "invalid_cursor").await;
    let long = "x".repeat(4097);
    check(&format!("/v1/apps/shop/labels/gender/tags?match={long}"), "invalid_match").await;
}
