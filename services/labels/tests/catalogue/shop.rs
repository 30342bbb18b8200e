//! A store with two small apps, and the service mounted over it.

use std::sync::Arc;

use actix_web::dev::{Service as _, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use actix_web::{App, HttpMessage, test};
use muster_catalogue::Kind;
use muster_days::Ds;
use muster_http::{Apps, Caller, Role, extractors};
use muster_jobs::{Jobs, QueueAt};
use muster_labels::Labels;
use muster_profile_store::{EventShape, Publication, Store, bucket_of};
use serde_json::Value;
use tempfile::TempDir;

/// (user, tag, tag name, weight)
pub type LabelRow<'a> = (&'a str, i64, &'a str, Option<i64>);
/// (user, pv, value of each dimension, amount)
pub type EventRow<'a> = (&'a str, i64, &'a [Option<&'a str>], i64);

pub struct Shop {
    pub store: Arc<Store>,
    folder: TempDir,
}

pub fn ds(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

/// What an import of one file does: parts, then everything shown at once.
pub struct Import(Publication);

impl Import {
    pub fn label(mut self, id: i64, name: &str, day: i64, rows: &[LabelRow]) -> Import {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| bucket_of(row.0.as_bytes(), self.0.buckets()));
        self.0.start_label(id, name, ds(day)).unwrap();
        for (user, tag, tag_name, weight) in rows {
            self.0.label_row(user.as_bytes(), tag, tag_name, weight).unwrap();
        }
        self.0.finish_part(1_700_000_000_000 + day).unwrap();
        self
    }

    pub fn event(mut self, event: &str, day: i64, dimensions: &[&str], rows: &[EventRow]) -> Import {
        let dimensions: Vec<String> = dimensions.iter().map(|name| name.to_string()).collect();
        let measures = ["m_amount".to_owned()];
        let shape = EventShape { event, ds: ds(day), dimensions: &dimensions, measures: &measures };
        self.0.start_event(&shape).unwrap();
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| bucket_of(row.0.as_bytes(), self.0.buckets()));
        for (user, pv, values, amount) in rows {
            self.0.event_row(user.as_bytes(), pv, values, &[amount]).unwrap();
        }
        self.0.finish_part(1_700_000_000_000 + day).unwrap();
        self
    }

    pub fn show(self) {
        self.0.commit(1_700_000_000_000).unwrap();
    }
}

impl Shop {
    pub fn empty() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        Shop { store, folder }
    }

    /// A file of the store, below the folder of the apps.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("apps").join(name)
    }

    /// Bytes of the app's data files on the disk whose names begin like this.
    pub fn bytes(&self, app: &str, kind: &str) -> u64 {
        let files = std::fs::read_dir(self.file(app)).unwrap().map(|entry| entry.unwrap());
        let named = |name: &str| name.starts_with(kind) && name.ends_with(".mst");
        files
            .filter(|entry| named(&entry.file_name().to_string_lossy()))
            .map(|entry| entry.metadata().unwrap().len())
            .sum()
    }

    /// The service as a process of its own would have it.
    pub async fn labels(&self) -> Labels {
        let folder = self.folder.path();
        let db = muster_real_servers::database(folder).await;
        let queue = match muster_real_servers::redis(folder) {
            Some((url, prefix)) => QueueAt::redis(&url, &prefix).unwrap(),
            None => QueueAt::File(folder.join("queue.db")),
        };
        let jobs = Jobs::new(db.clone(), &queue, muster_jobs::Settings::default()).await.unwrap();
        Labels { db, jobs, profiles: self.store.clone(), follow_up: vec![(Kind::BaseCrowd, "metrics")] }
    }

    pub fn import(&self, app: &str) -> Import {
        Import(self.store.publish(app).unwrap())
    }

    /// Three users in `shop`, one of them also in `店铺/2`.
    pub fn open() -> Shop {
        let shop = Shop::empty();
        let both = [Some("/sale"), Some("app")];
        shop.import("shop")
            .label(10001, "gender", 20261030, &[("u1", 1, "male", None)])
            .label(
                10001,
                "gender",
                20261101,
                &[("u1", 1, "male", None), ("u2", 2, "female", None), ("u3", 2, "female", None)],
            )
            .label(
                10002,
                "省份/省 100%",
                20261101,
                &[("u1", 44, "广东", Some(7)), ("u1", 43, "湖南", Some(1)), ("u2", 44, "广东", None)],
            )
            .event("order", 20261101, &[], &[("u1", 1, &[], 250)])
            .event("visit", 20261031, &["page", "channel"], &[("u2", 3, &both, 0)])
            .event(
                "visit",
                20261101,
                &["page", "channel"],
                &[("u1", 2, &both, 0), ("u2", 4, &[Some("/促销 a+b"), None], 0)],
            )
            .show();
        shop.import("店铺/2").label(7, "gender", 20261015, &[("u1", 1, "m", None)]).show();
        shop
    }

    /// Status and body of a GET by `caller`.
    pub async fn get(&self, caller: Option<Caller>, uri: &str) -> (StatusCode, Value) {
        self.call(caller, TestRequest::get().uri(uri)).await
    }

    /// Status and body of any request.
    pub async fn call(&self, caller: Option<Caller>, request: TestRequest) -> (StatusCode, Value) {
        let response = self.answer_to(caller, request).await;
        let status = response.status();
        (status, test::read_body_json(response).await)
    }

    /// The answer to the local administrator, as it comes.
    pub async fn answer(&self, request: TestRequest) -> ServiceResponse {
        self.answer_to(Some(Caller::local()), request).await
    }

    async fn answer_to(&self, caller: Option<Caller>, request: TestRequest) -> ServiceResponse {
        let service = muster_labels::service(self.labels().await);
        let app = test::init_service(
            App::new()
                .configure(extractors)
                .configure(|config| muster_http::mount(config, std::slice::from_ref(&service), |_| {})),
        )
        .await;
        let request = request.to_request();
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        app.call(request).await.unwrap()
    }

    /// The body of a request that succeeds, by the local administrator.
    pub async fn send(&self, request: TestRequest) -> Value {
        let (status, body) = self.call(Some(Caller::local()), request).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// Status and code of a request that fails, and the whole problem.
    pub async fn fails(&self, request: TestRequest) -> (u16, String, Value) {
        let (status, body) = self.call(Some(Caller::local()), request).await;
        (status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned(), body)
    }

    /// The body of a GET that succeeds, by the local administrator.
    pub async fn ok(&self, uri: &str) -> Value {
        let (status, body) = self.get(Some(Caller::local()), uri).await;
        assert_eq!(status, StatusCode::OK, "{uri}: {body}");
        body
    }

    /// Status and code of a GET that fails, by the local administrator; and the whole problem.
    pub async fn refused(&self, uri: &str) -> (u16, String, Value) {
        self.fails(TestRequest::get().uri(uri)).await
    }

    /// `field` of every item of the list, page by page.
    pub async fn walk(&self, uri: &str, limit: usize, field: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        for _ in 0..1000 {
            let body = self.ok(&format!("{uri}limit={limit}{cursor}")).await;
            let items = body["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            found.extend(items.iter().map(|item| item[field].clone()));
            let Some(next) = body["next"].as_str() else { return found };
            assert_eq!(items.len(), limit, "only the last page may be short");
            cursor = format!("&cursor={next}");
        }
        panic!("{uri} never ends");
    }
}

/// A key for some apps.
pub fn key(apps: &[&str], role: Role) -> Option<Caller> {
    let apps = Apps::Some(apps.iter().map(|app| app.to_string()).collect());
    Some(Caller { id: "key_1".into(), roles: [role].into(), apps })
}
