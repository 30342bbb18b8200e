//! Nobody reads an app that is not theirs, on any route.

use actix_web::http::StatusCode;
use muster_http::Role;
use serde_json::Value;

use crate::shop::{Shop, key};

/// Every route below an app.
const ROUTES: [&str; 9] = [
    "",
    "/labels",
    "/labels/gender",
    "/labels/gender/tags",
    "/base-crowds",
    "/events",
    "/events/visit/dimensions/page",
    "/catalogue",
    "/settings",
];

fn of_the_app(app: &str) -> impl Iterator<Item = String> {
    ROUTES.iter().map(move |route| format!("/v1/apps/{app}{route}"))
}

#[actix_web::test]
async fn a_foreign_app_looks_like_none() {
    let shop = Shop::open();
    let other = key(&["店铺/2"], Role::Admin);
    for uri in of_the_app("shop") {
        let (status, mut foreign) = shop.get(other.clone(), &uri).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{uri}");
        let (_, none) = shop.get(other.clone(), &uri.replace("shop", "nope")).await;
        assert_eq!(none["code"], "app_not_found", "{uri}");
        let detail = foreign["detail"].as_str().unwrap().replace("shop", "nope");
        foreign["detail"] = Value::String(detail);
        assert_eq!(foreign, none, "{uri}");
    }
}

#[actix_web::test]
async fn an_app_without_data_looks_like_none() {
    let shop = Shop::open();
    for uri in of_the_app("nope") {
        let (status, code, _) = shop.refused(&uri).await;
        assert_eq!((status, code.as_str()), (404, "app_not_found"), "{uri}");
    }
}

#[actix_web::test]
async fn the_list_holds_the_callers_apps_only() {
    let shop = Shop::open();
    let (_, body) = shop.get(key(&["nope", "店铺/2"], Role::Read), "/v1/apps").await;
    assert_eq!(body["items"].as_array().unwrap().len(), 1);
    assert_eq!(body["items"][0]["app_id"], "店铺/2");
    let (_, body) = shop.get(key(&[], Role::Read), "/v1/apps").await;
    assert_eq!(body["items"].as_array().unwrap().len(), 0);
}

#[actix_web::test]
async fn reading_needs_the_role() {
    let shop = Shop::open();
    for uri in of_the_app("shop").chain(["/v1/apps".to_owned()]) {
        let (status, body) = shop.get(key(&["shop"], Role::Import), &uri).await;
        assert_eq!((status, &body["code"]), (StatusCode::FORBIDDEN, &"forbidden_role".into()), "{uri}");
        let (status, _) = shop.get(key(&["shop"], Role::Read), &uri).await;
        assert_eq!(status, StatusCode::OK, "{uri}");
        let (status, _) = shop.get(None, &uri).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{uri}");
    }
}
