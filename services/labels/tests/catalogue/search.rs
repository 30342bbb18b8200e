//! Labels and tags found by what people call them.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::shop::Shop;

const LABELS: &str = "/v1/apps/shop/labels";

/// Three published labels with names in two languages, one that is declared alone, and one that is retired.
async fn described() -> Shop {
    let shop = Shop::open();
    shop.import("shop").label(10010, "gender_guess", 20261101, &[("u1", 1, "a maid", None)]).show();
    let labels = json!({
        "10001": {"display_names": {"en": "Sex", "zh": "性别"},
                  "tags": {"1": {"display_names": {"zh": "男"}}, "2": {"display_names": {"zh": "女性"}}}},
        "10002": {"display_names": {"en": "Province"}},
        "20000": {"name": "tier", "tags": {"1": {"name": "Gold"}, "2": {"name": "gone", "retired": true}}},
        "20001": {"name": "old_tier", "retired": true}
    });
    let load = TestRequest::post().uri("/v1/apps/shop/catalogue").set_json(json!({ "labels": labels }));
    shop.send(load).await;
    shop
}

/// Id, way and text of what is found, the best first.
async fn found(shop: &Shop, query: &str) -> Vec<Value> {
    let body = shop.ok(&format!("{LABELS}?{query}")).await;
    let row = |label: &Value| json!([label["id"], label["match"], label["matched"]["text"]]);
    body["items"].as_array().unwrap().iter().map(row).collect()
}

#[actix_web::test]
async fn labels_are_found_by_id_and_by_any_name() {
    let shop = described().await;
    let check = async |query: &str, expected: Value| {
        assert_eq!(Value::from(found(&shop, query).await), expected, "{query}");
    };
    check("match=GENDER", json!([[10001, "exact", "gender"], [10010, "prefix", "gender_guess"]])).await;
    check("match=gendr", json!([[10001, "similar", "gender"]])).await;
    check("match=10002", json!([[10002, "exact", "10002"]])).await;
    let of_prefix =
        json!([[10001, "prefix", "10001"], [10002, "prefix", "10002"], [10010, "prefix", "10010"]]);
    check("match=100", of_prefix).await;
    check("match=0001", json!([])).await;
    // Display names, whatever the language.
    check("match=%E6%80%A7%E5%88%AB", json!([[10001, "exact", "性别"]])).await;
    check("match=provinse", json!([[10002, "similar", "Province"]])).await;
    // Names of tags: as imported, as declared, as shown.
    check("match=female", json!([[10001, "exact", "female"]])).await;
    check("match=gold", json!([[20000, "exact", "Gold"]])).await;
    check("match=%E5%A5%B3", json!([[10001, "prefix", "女性"]])).await;
    // A label's own name goes before a tag's that matches as well.
    check("match=ma", json!([[10001, "prefix", "male"], [10010, "substring", "a maid"]])).await;
    check(
        "match=g",
        json!([[10001, "prefix", "gender"], [10010, "prefix", "gender_guess"], [20000, "prefix", "Gold"]]),
    )
    .await;
    check("match=tier", json!([[20000, "exact", "tier"]])).await;
    check("match=tier&retired=true", json!([[20000, "exact", "tier"], [20001, "substring", "old_tier"]]))
        .await;
    check("match=gone", json!([])).await;
    check("match=gone&retired=true", json!([[20000, "exact", "gone"]])).await;
    check("match=weather", json!([])).await;

    let body = shop.ok(&format!("{LABELS}?match=femal")).await;
    assert_eq!(body["items"][0]["matched"], json!({"text": "female", "tag": 2}));
    assert_eq!(body["items"][0]["published"]["last"], 20261101);
    let all = shop.ok(&format!("{LABELS}?match=")).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 4);
    assert_eq!((&all["items"][0]["match"], &all["items"][0]["matched"]), (&Value::Null, &Value::Null));
}

#[actix_web::test]
async fn tags_are_found_by_code_and_by_any_name() {
    let shop = described().await;
    let found = async |text: &str| {
        let body = shop.ok(&format!("{LABELS}/gender/tags?match={text}")).await;
        let row = |tag: &Value| json!([tag["id"], tag["match"]]);
        Value::from(body["items"].as_array().unwrap().iter().map(row).collect::<Vec<Value>>())
    };
    assert_eq!(found("male").await, json!([[1, "exact"], [2, "substring"]]));
    assert_eq!(found("%E7%94%B7").await, json!([[1, "exact"]]));
    assert_eq!(found("%E6%80%A7").await, json!([[2, "substring"]]));
    assert_eq!(found("2").await, json!([[2, "exact"]]));
    assert_eq!(found("femlae").await, json!([[2, "similar"]]));
}

#[actix_web::test]
async fn pages_of_what_is_found_go_on_where_the_last_one_ended() {
    let shop = described().await;
    let ids = [json!(10001), json!(10010), json!(20000)];
    for limit in 1..4 {
        assert_eq!(shop.walk(&format!("{LABELS}?match=g&"), limit, "id").await, ids, "{limit}");
    }
    let tags = shop.walk(&format!("{LABELS}/gender/tags?match=male&"), 1, "id").await;
    assert_eq!(tags, [json!(1), json!(2)]);
    for uri in [format!("{LABELS}?match=gold&cursor=10002"), format!("{LABELS}?match=gold&cursor=7")] {
        assert_eq!(shop.refused(&uri).await.1, "invalid_cursor", "{uri}");
    }
    let long = format!("{LABELS}?match={}", "x".repeat(4097));
    assert_eq!(shop.refused(&long).await.1, "invalid_match");
}
