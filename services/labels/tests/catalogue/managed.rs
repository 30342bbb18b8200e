//! What a team says of its data: kept version by version, shown in lists, checked, and taken back.

use actix_web::http::header::{CONTENT_TYPE, IF_MATCH};
use actix_web::test::{self, TestRequest};
use muster_http::Role;
use serde_json::{Value, json};

use crate::shop::{Shop, key};

fn put(uri: &str, body: Value) -> TestRequest {
    TestRequest::put().uri(uri).set_payload(body.to_string())
}

fn post(uri: &str, body: Value) -> TestRequest {
    TestRequest::post().uri(uri).set_payload(body.to_string())
}

fn sheet(uri: &str, text: &str) -> TestRequest {
    TestRequest::post().uri(uri).insert_header((CONTENT_TYPE, "text/csv")).set_payload(text.to_owned())
}

const GENDER: &str = "/v1/apps/shop/labels/gender";

#[actix_web::test]
async fn a_label_is_described_shown_and_retired() {
    let shop = Shop::open();
    let card = json!({
        "display_names": {"en": "Gender", "zh-CN": "性别"}, "group": "demographics", "owner": "crm@example.org",
        "description": "As the user said it.", "tags": {"1": {"display_names": {"zh-CN": "男"}}, "9": {"name": "other"}}
    });
    let changed = shop.send(put(GENDER, card.clone())).await;
    let expected = json!({"version": 1, "dry_run": false, "changed": [{"kind": "label", "name": "10001"}]});
    assert_eq!(changed, expected);
    assert_eq!(shop.ok(GENDER).await, card);
    let label = shop.ok("/v1/apps/shop/labels").await["items"][0].clone();
    assert_eq!(
        (&label["name"], &label["tags"], &label["group"]),
        (&json!("gender"), &json!(3), &json!("demographics"))
    );
    assert_eq!(label["display_names"]["zh-CN"], "性别");
    let tags = shop.ok("/v1/apps/shop/labels/gender/tags").await;
    assert_eq!(tags["items"][0]["display_names"], json!({"zh-CN": "男"}));

    // The same again is no change.
    assert_eq!(shop.send(put(GENDER, card)).await["version"], 1);
    shop.send(put(GENDER, json!({"retired": true}))).await;
    assert_eq!(shop.ok("/v1/apps/shop/labels").await["items"].as_array().unwrap().len(), 1);
    let all = shop.ok("/v1/apps/shop/labels?retired=true").await;
    assert_eq!(all["items"][0]["retired"], true);
}

#[actix_web::test]
async fn an_app_is_described_before_anything_is_imported() {
    let shop = Shop::empty();
    shop.send(put("/v1/apps/new/settings", json!({"buckets": 4, "time_zone": "Asia/Kolkata"}))).await;
    shop.send(put("/v1/apps/new/labels/7", json!({"name": "tier", "tags": {"1": {"name": "gold"}}}))).await;
    let gold = json!({"universe": "all", "where": {"label": "tier", "in": ["gold"]}});
    shop.send(put("/v1/apps/new/base-crowds/gold", json!({"rule": gold}))).await;
    assert_eq!(shop.ok("/v1/apps/new/labels").await["items"][0]["name"], "tier");
    assert_eq!(shop.ok("/v1/apps/new").await["buckets"], 4);
    let (status, code, _) = shop.refused("/v1/apps/new/labels/tier/tags").await;
    assert_eq!((status, code.as_str()), (404, "ds_not_published"));

    // The first import settles the buckets; a name that comes with it counts from then on.
    shop.import("new").label(7, "level", 20261101, &[("u", 1, "gold", None)]).show();
    assert_eq!(shop.ok("/v1/apps/new").await["buckets"], 4);
    assert_eq!(shop.ok("/v1/apps/new/labels").await["items"][0]["name"], "level");
    let (status, _, problem) = shop.fails(put("/v1/apps/new/settings", json!({"buckets": 8}))).await;
    assert_eq!((status, &problem["errors"][0]["code"]), (422, &json!("buckets_settled")));
    assert_eq!(problem["errors"][0]["pointer"], "/buckets");
}

#[actix_web::test]
async fn events_count_as_what_the_app_says() {
    let shop = Shop::open();
    let events = |crowds: &Value, name: &str| {
        let of = crowds["items"].as_array().unwrap().iter().find(|crowd| crowd["name"] == name);
        of.unwrap()["events"].clone()
    };
    let before = shop.ok("/v1/apps/shop/base-crowds").await;
    assert_eq!(events(&before, "active_7d"), json!(["order", "visit"]));
    shop.send(put("/v1/apps/shop/events/order", json!({"active": false}))).await;
    shop.send(put("/v1/apps/shop/events/visit", json!({"trade": true}))).await;
    let after = shop.ok("/v1/apps/shop/base-crowds").await;
    assert_eq!(events(&after, "active_7d"), json!(["visit"]));
    assert_eq!(events(&after, "trade_1d"), json!(["order", "visit"]));
    let listed = shop.ok("/v1/apps/shop/events").await;
    assert_eq!((&listed["items"][0]["active"], &listed["items"][1]["trade"]), (&json!(false), &json!(true)));
}

#[actix_web::test]
async fn base_crowds_are_checked_like_rules() {
    let shop = Shop::open();
    let uri = "/v1/apps/shop/base-crowds/women";
    let rule = json!({"universe": "active_30d", "where": {"label": "gender", "in": ["female"]}});
    shop.send(put(uri, json!({"rule": rule, "description": "Women who came."}))).await;
    let kept = shop.ok(uri).await;
    assert_eq!(
        kept["rule"],
        json!({"version": 1, "universe": "active_30d", "where": {"label": "gender", "in": ["female"]}})
    );
    let crowds = shop.ok("/v1/apps/shop/base-crowds").await;
    let last = crowds["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["name"], &last["description"]), (&json!("women"), &json!("Women who came.")));

    let fault = async |code: &str, rule: Value| {
        let uri = format!("/v1/apps/shop/base-crowds/{code}");
        let (status, problem_code, problem) = shop.fails(put(&uri, json!({"rule": rule}))).await;
        assert_eq!((status, problem_code.as_str()), (422, "invalid_catalogue"), "{problem}");
        let first = problem["errors"][0].clone();
        (first["code"].as_str().unwrap().to_owned(), first["pointer"].as_str().unwrap().to_owned(), first)
    };
    let everyone = json!({"where": {"all": []}});
    let (code, pointer, first) = fault("x", json!({"where": {"label": "gendre"}})).await;
    assert_eq!((code.as_str(), pointer.as_str()), ("missing_key", "/rule/where"), "{first}");
    let (code, pointer, first) = fault("x", json!({"where": {"label": "gendre", "set": true}})).await;
    assert_eq!((code.as_str(), pointer.as_str()), ("unknown_label", "/rule/where/label"));
    assert_eq!(first["nearest"], "gender");
    let nested = json!({"universe": "women", "where": {"all": []}});
    assert_eq!(fault("x", nested.clone()).await.0, "crowd_in_crowd");
    assert_eq!(fault("women", nested).await.0, "crowd_in_crowd");
    assert_eq!(fault("x", json!({"as_of": 20261101, "where": {"all": []}})).await.0, "crowd_as_of");
    assert_eq!(fault("active_7d", everyone.clone()).await.0, "predefined_crowd");
    assert_eq!(fault("Women", everyone).await.0, "invalid_code");
    assert_eq!(shop.ok("/v1/apps/shop/catalogue").await["version"], 1);
}

#[actix_web::test]
async fn a_catalogue_is_loaded_whole_or_not_at_all() {
    let shop = Shop::open();
    let uri = "/v1/apps/shop/catalogue";
    let text = "label_id,label_name,group,retired,tag_id,tag_name,tag_name:zh,label_name:zh\n\
                10001,gender,demographics,,1,male,男,性别\n\
                10001,,,,2,female,女,\n\
                20000,tier,,true,,,,\n";
    let dry = shop.send(sheet(&format!("{uri}?dry_run=true"), text)).await;
    assert_eq!((&dry["version"], dry["changed"].as_array().unwrap().len()), (&json!(0), 2));
    assert_eq!(shop.send(sheet(uri, text)).await["version"], 1);
    let document = shop.ok(uri).await;
    assert_eq!(document["labels"]["10001"]["tags"]["2"]["display_names"], json!({"zh": "女"}));
    assert_eq!(document["labels"]["20000"], json!({"name": "tier", "retired": true}));
    // What is empty stays.
    shop.send(sheet(uri, "label_id,owner\n10001,crm\n")).await;
    let document = shop.ok(uri).await;
    assert_eq!(document["labels"]["10001"]["group"], "demographics");
    assert_eq!(document["labels"]["10001"]["owner"], "crm");

    let (status, _, problem) = shop.fails(sheet(uri, "label_id,tag_id,tag_name\n1,1,a\nx,1,a\n3,,b\n")).await;
    assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 2), "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], "line 3, label_id");
    assert_eq!(problem["errors"][1]["pointer"], "line 4, tag_id");
    let (_, _, problem) = shop.fails(sheet(uri, "label_id,tag_nam\n1,a\n")).await;
    assert_eq!(problem["errors"][0]["nearest"], "tag_name");

    // A document that was read can be sent back, to another app too.
    let copied = shop.send(post("/v1/apps/copy/catalogue", document.clone())).await;
    assert_eq!(copied["version"], 1);
    assert_eq!(shop.ok("/v1/apps/copy/catalogue").await["labels"], document["labels"]);
    let faulty =
        json!({"labels": {"1": {"name": "a"}, "2": {"nam": "b"}}, "events": {"visit": {"active": 1}}});
    let (_, _, problem) = shop.fails(post(uri, faulty)).await;
    let pointers: Vec<&Value> = problem["errors"].as_array().unwrap().iter().map(|e| &e["pointer"]).collect();
    assert_eq!(pointers, ["/events/visit", "/labels/2"]);
    let (_, _, problem) = shop.fails(post(uri, json!({"lables": {}}))).await;
    assert_eq!(problem["errors"][0]["nearest"], "labels");
    assert_eq!(shop.ok(uri).await, document);
}

/// Texts that a table has to quote, a card that says nothing, languages that only some have.
#[actix_web::test]
async fn a_catalogue_can_be_read_as_the_table_that_it_is_loaded_from() {
    let shop = Shop::open();
    let uri = "/v1/apps/shop/catalogue";
    let labels = json!({
        "-5": {},
        "1": {"name": "a \"b\", c", "description": "one\ntwo", "group": "g", "owner": "o", "retired": true,
              "display_names": {"zh-CN": "甲"}, "tags": {"-1": {"retired": true}, "2": {"name": " x "}}},
        "2": {"display_names": {"en": "Two"}, "tags": {"7": {"display_names": {"en": "=1+1"}}}}
    });
    shop.send(post(uri, json!({"labels": labels, "events": {"visit": {"trade": true}}}))).await;
    let response = shop.answer(TestRequest::get().uri(&format!("{uri}?format=csv"))).await;
    let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!((header("etag"), header("content-type")), ("W/\"1\"", "text/csv; charset=utf-8"));
    let text = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
    let first = "label_id,label_name,group,owner,description,retired,tag_id,tag_name,tag_retired,\
                 label_name:en,label_name:zh-CN,tag_name:en\n-5,,,,,false,,,,,,\n";
    assert!(text.starts_with(first), "{text}");
    assert_eq!(shop.send(sheet(uri, &text)).await["changed"], json!([]));
    shop.send(sheet("/v1/apps/copy/catalogue", &text)).await;
    assert_eq!(shop.ok("/v1/apps/copy/catalogue").await["labels"], labels);

    let (status, code, problem) = shop.refused(&format!("{uri}?format=xml")).await;
    assert_eq!((status, code.as_str()), (400, "unknown_format"), "{problem}");
}

#[actix_web::test]
async fn every_change_is_kept_and_can_be_taken_back() {
    let shop = Shop::open();
    shop.send(put(GENDER, json!({"owner": "a"}))).await;
    shop.send(put(GENDER, json!({"owner": "b"}))).await;
    shop.send(put("/v1/apps/shop/events/visit", json!({"trade": true}))).await;
    let changes = "/v1/apps/shop/catalogue/changes";
    assert_eq!(shop.walk(&format!("{changes}?"), 2, "version").await, [json!(3), json!(2), json!(1)]);
    let second = shop.ok(&format!("{changes}/2")).await;
    assert_eq!((&second["changed_by"], &second["what"]), (&json!("local"), &json!("label 10001")));
    let entry = json!({"kind": "label", "name": "10001", "before": {"owner": "a"}, "after": {"owner": "b"}});
    assert_eq!(second["entries"], json!([entry]));
    assert_eq!(shop.refused(&format!("{changes}/9")).await.1, "version_not_found");

    let back = "/v1/apps/shop/catalogue/rollback";
    let rolled = shop.send(post(back, json!({"version": 1}))).await;
    assert_eq!((&rolled["version"], rolled["changed"].as_array().unwrap().len()), (&json!(4), 2));
    let document = shop.ok("/v1/apps/shop/catalogue").await;
    assert_eq!(document["labels"], json!({"10001": {"owner": "a"}}));
    assert_eq!(document["events"], json!({}));
    // Taken back as well.
    shop.send(post(back, json!({"version": 3}))).await;
    assert_eq!(shop.ok("/v1/apps/shop/catalogue").await["labels"]["10001"]["owner"], "b");
    shop.send(post(back, json!({"version": 0}))).await;
    assert_eq!(shop.ok("/v1/apps/shop/catalogue").await["labels"], json!({}));
    assert_eq!(shop.fails(post(back, json!({"version": 99}))).await.1, "version_not_found");
}

#[actix_web::test]
async fn two_who_change_the_same_are_told() {
    let shop = Shop::open();
    shop.send(put(GENDER, json!({"owner": "a"}))).await;
    let stale = put(GENDER, json!({"owner": "b"})).insert_header((IF_MATCH, "W/\"0\""));
    let (status, code, problem) = shop.fails(stale).await;
    assert_eq!((status, code.as_str(), &problem["version"]), (409, "version_conflict", &json!(1)));
    shop.send(put(GENDER, json!({"owner": "b"})).insert_header((IF_MATCH, "W/\"1\""))).await;
    // Without it the changes come one after the other, whatever their number.
    let owners = (0..8).map(|n| shop.send(put(&format!("/v1/apps/shop/labels/{n}"), json!({"owner": "x"}))));
    futures::future::join_all(owners).await;
    let document = shop.ok("/v1/apps/shop/catalogue").await;
    assert_eq!((&document["version"], document["labels"].as_object().unwrap().len()), (&json!(10), 9));
}

/// A process that ends between keeping and showing a change.
#[actix_web::test]
async fn what_was_kept_but_not_shown_is_shown_later() {
    let shop = Shop::open();
    shop.send(put(GENDER, json!({"owner": "a"}))).await;
    let shown = std::fs::read(shop.file("shop/catalogue")).unwrap();
    shop.send(put(GENDER, json!({"owner": "b"}))).await;
    let labels = shop.labels().await;
    for again in 0..3 {
        std::fs::write(shop.file("shop/catalogue"), &shown).unwrap();
        match again {
            0 => muster_labels::show_pending(&labels).await.unwrap(),
            1 => _ = shop.ok("/v1/apps/shop/catalogue").await,
            _ => _ = shop.send(put(GENDER, json!({"owner": "b"}))).await,
        }
        let snapshot = shop.store.snapshot("shop").unwrap().unwrap();
        assert_eq!(snapshot.catalogue().labels[&10001].owner.as_deref(), Some("b"), "{again}");
    }
}

#[actix_web::test]
async fn only_administrators_of_the_app_change_it() {
    let shop = Shop::open();
    let everyone = json!({"rule": {"where": {"all": []}}});
    for (uri, body) in [
        ("/settings", json!({})),
        ("/labels/1", json!({})),
        ("/events/visit", json!({})),
        ("/base-crowds/x", everyone),
    ] {
        let request = || put(&format!("/v1/apps/shop{uri}"), body.clone());
        let (status, _) = shop.call(key(&["shop"], Role::Import), request()).await;
        assert_eq!(status, 403, "{uri}");
        let (status, problem) = shop.call(key(&["店铺/2"], Role::Admin), request()).await;
        assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("app_not_found")), "{uri}");
        let (status, _) = shop.call(key(&["shop"], Role::Admin), request()).await;
        assert_eq!(status, 200, "{uri}");
    }
    for (uri, body) in [("", json!({})), ("/rollback", json!({"version": 0}))] {
        let request = || post(&format!("/v1/apps/shop/catalogue{uri}"), body.clone());
        let (status, _) = shop.call(key(&["shop"], Role::Segment), request()).await;
        assert_eq!(status, 403, "{uri}");
    }
}
