use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use muster_catalogue::{AppCatalogue, AppSettings};
use muster_jobs::{Job, NewJob, Priority, QueueAt, State};
use muster_sql::Db;

use super::*;
use crate::jobs::ImportPayload;

/// A store, jobs, and settings by which nothing is built unless the app says so.
struct Place {
    jobs: Jobs,
    store: Arc<Store>,
    settings: Settings,
}

impl Place {
    async fn new(folder: &Path) -> Place {
        let db = Db::open(&folder.join("muster.db")).await.unwrap();
        let queue = QueueAt::File(folder.join("queue.db"));
        let jobs = Jobs::new(db, &queue, muster_jobs::Settings::default()).await.unwrap();
        let store = Arc::new(Store::open(&folder.join("store")).unwrap());
        let settings = Settings { start_disabled: true, ..Settings::new(folder.join("imports")) };
        fs::create_dir_all(&settings.folder).unwrap();
        Place { jobs, store, settings }
    }

    fn enable(&self, version: u32, enabled: bool) {
        let settings = AppSettings { enabled: Some(enabled), ..AppSettings::default() };
        self.store
            .show_catalogue("shop", &AppCatalogue { version, settings, ..AppCatalogue::default() })
            .unwrap();
    }

    /// One user carries the tag on the one day that these tests know.
    fn keep(&self, import: &str, tag: &str) {
        let body = self.settings.folder.join("body");
        fs::write(&body, rows(tag)).unwrap();
        aside::keep(&self.settings, "shop", import, &payload(), &body).unwrap();
        fs::remove_file(body).unwrap();
    }

    /// The files that are kept, by what they say.
    fn kept(&self) -> Vec<String> {
        let kept = aside::of(&self.settings, "shop").unwrap();
        kept.iter().map(|aside| fs::read_to_string(&aside.body).unwrap()).collect()
    }

    async fn enqueue(&self, kind: &'static str) -> Job {
        let (app_id, owner) = (Some("shop".to_owned()), "local".to_owned());
        let (payload, priority) = (json!({}), Priority::Routine);
        self.jobs.enqueue(NewJob { id: None, app_id, owner, kind, payload, priority }).await.unwrap()
    }

    /// Works until the job has ended.
    async fn run(&self, handlers: Vec<Arc<dyn Handler>>, id: &str) -> Job {
        let ended = async {
            while !self.jobs.get(id).await.unwrap().unwrap().state.is_final() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        self.jobs.run_workers(handlers, ended).await.unwrap();
        self.jobs.get(id).await.unwrap().unwrap()
    }
}

fn payload() -> ImportPayload {
    ImportPayload {
        kind: "labels".into(),
        format: "csv".into(),
        gzip: false,
        file: "a.csv".into(),
        reject_limit: 0.01,
        apps: None,
    }
}

fn rows(tag: &str) -> String {
    format!("ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n20261101,shop,1,colour,u1,1,{tag}\n")
}

type Step = Box<dyn FnOnce(TakeIn) -> Result<Value, Failure> + Send>;

/// A job of which a test does one step.
struct Stepped {
    step: Mutex<Option<Step>>,
    store: Arc<Store>,
    jobs: Jobs,
    settings: Settings,
}

#[async_trait]
impl Handler for Stepped {
    fn kind(&self) -> &'static str {
        TAKE_IN
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let step = self.step.lock().unwrap().take().unwrap();
        let take_in = TakeIn {
            store: self.store.clone(),
            jobs: self.jobs.clone(),
            settings: self.settings.clone(),
            run: run.clone(),
            folder: ImportFolder::of(&self.settings.folder, &run.job.id).unwrap(),
        };
        tokio::task::spawn_blocking(move || step(take_in)).await.unwrap()
    }
}

impl Place {
    async fn step(&self, step: impl FnOnce(TakeIn) -> Result<Value, Failure> + Send + 'static) -> Job {
        let (store, jobs, settings) = (self.store.clone(), self.jobs.clone(), self.settings.clone());
        let step: Step = Box::new(step);
        let handler = Stepped { step: Mutex::new(Some(step)), store, jobs, settings };
        let job = self.enqueue(TAKE_IN).await;
        self.run(vec![Arc::new(handler)], &job.id).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_an_app_that_is_disabled_meanwhile_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path()).await;
    for (import, tag) in [("job_1", "red"), ("job_2", "blue")] {
        place.keep(import, tag);
    }
    // As when the job had begun before.
    place.enable(1, false);
    let job = place.step(|take_in| take_in.take_all("shop").map(|taken| json!(taken))).await;
    assert_eq!((job.state, job.result), (State::Done, Some(json!([0, 0]))));
    assert_eq!(place.kept(), [rows("red"), rows("blue")]);

    place.enable(2, true);
    let job = place.step(|take_in| take_in.take_all("shop").map(|taken| json!(taken))).await;
    assert_eq!(job.result, Some(json!([2, 2])));
    assert!(place.kept().is_empty());
    let snapshot = place.store.snapshot("shop").unwrap().unwrap();
    assert_eq!(snapshot.manifest().labels[&1].tags[&1], "blue");
}
