//! Every list comes whole, in order and without repeats, whatever the page size.

use serde_json::Value;

use crate::shop::{EventRow, LabelRow, Shop};

/// 25 labels, 25 tags, 25 events and 25 values.
fn many() -> Shop {
    let shop = Shop::empty();
    let names: Vec<String> = (0..25).map(|n| format!("名 {n:02}&=/")).collect();
    let tags: Vec<LabelRow> =
        names.iter().zip(0..).map(|(name, n)| ("u1", n - 12, name.as_str(), None)).collect();
    let values: Vec<[Option<&str>; 1]> = names.iter().map(|name| [Some(name.as_str())]).collect();
    let rows: Vec<EventRow> = values.iter().map(|value| ("u1", 1, &value[..], 0)).collect();
    let mut import = shop.import("shop");
    for (name, id) in names.iter().zip(-12..) {
        import = import.label(id, name, 20261101, &tags).event(name, 20261101, &["page"], &rows);
    }
    import.show();
    for name in &names {
        shop.import(name).label(1, "gender", 20261101, &[("u1", 1, "male", None)]).show();
    }
    shop
}

async fn check(shop: &Shop, uri: &str, field: &str, expected: usize) {
    let whole = shop.walk(uri, 1000, field).await;
    assert_eq!(whole.len(), expected, "{uri}");
    for limit in [1, 5, 24, 25] {
        assert_eq!(shop.walk(uri, limit, field).await, whole, "{uri} by {limit}");
    }
}

#[actix_web::test]
async fn lists_come_whole() {
    let shop = many();
    check(&shop, "/v1/apps?", "app_id", 26).await;
    check(&shop, "/v1/apps/shop/labels?", "id", 25).await;
    check(&shop, "/v1/apps/shop/labels/-3/tags?", "id", 25).await;
    check(&shop, "/v1/apps/shop/base-crowds?", "name", 8).await;
    check(&shop, "/v1/apps/shop/events?", "name", 25).await;
    let event = "/v1/apps/shop/events/%E5%90%8D%2007&=%2F";
    check(&shop, &format!("{event}/dimensions/page?"), "id", 25).await;
}

#[actix_web::test]
async fn matches_come_whole_and_ranked() {
    let shop = many();
    // Looking for `名 12&=/`: it is one of the 25, and the others are one or two letters of seven away.
    let tags = "/v1/apps/shop/labels/-3/tags?match=%E5%90%8D%2012%26%3D%2F&";
    check(&shop, tags, "name", 25).await;
    let best = shop.walk(tags, 4, "name").await;
    assert_eq!(best[..3], ["名 12&=/", "名 02&=/", "名 10&=/"]);
    assert_eq!(best[24], "名 24&=/");
    let event = "/v1/apps/shop/events/%E5%90%8D%2007&=%2F";
    check(&shop, &format!("{event}/dimensions/page?match=2&"), "id", 7).await;
}

#[actix_web::test]
async fn what_is_published_between_two_pages_shifts_nothing() {
    let shop = many();
    let first = shop.ok("/v1/apps/shop/labels?limit=20").await;
    shop.import("shop").label(-100, "early", 20261101, &[("u1", 1, "a", None)]).show();
    let cursor = first["next"].as_str().unwrap();
    let second = shop.ok(&format!("/v1/apps/shop/labels?limit=20&cursor={cursor}")).await;
    let ids = |page: &Value| -> Vec<i64> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
    };
    assert_eq!([ids(&first), ids(&second)].concat(), (-12..13).collect::<Vec<i64>>());
}
