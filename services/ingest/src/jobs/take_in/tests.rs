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
    db: Db,
    jobs: Jobs,
    store: Arc<Store>,
    settings: Settings,
}

impl Place {
    async fn new(folder: &Path) -> Place {
        let db = Db::open(&folder.join("muster.db")).await.unwrap();
        let queue = QueueAt::File(folder.join("queue.db"));
        let jobs = Jobs::new(db.clone(), &queue, muster_jobs::Settings::default()).await.unwrap();
        let store = Arc::new(Store::open(&folder.join("store")).unwrap());
        let settings = Settings { start_disabled: true, ..Settings::new(folder.join("imports")) };
        fs::create_dir_all(&settings.folder).unwrap();
        Place { db, jobs, store, settings }
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
        aside::keep(&self.settings, "shop", import, chrono::Utc::now(), &payload(), &body).unwrap();
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

fn told(taken: Taken) -> Value {
    json!([taken.files, taken.rows])
}

type Step = Box<dyn FnOnce(TakeIn) -> Result<Value, Failure> + Send>;

/// A job of which a test does one step; what comes after it is done as ever.
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
        let step = self.step.lock().unwrap().take();
        let step = step.unwrap_or_else(|| Box::new(|take_in| take_in.work("shop")));
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

impl Place {
    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        crate::handlers(self.store.clone(), self.db.clone(), self.jobs.clone(), self.settings.clone())
    }

    /// Only stored: it has not begun.
    async fn import(&self, tag: &str) -> Job {
        let id = format!("job_{}", ulid::Ulid::generate());
        let folder = ImportFolder::of(&self.settings.folder, &id).unwrap();
        folder.create().unwrap();
        fs::write(folder.body(), rows(tag)).unwrap();
        let (app_id, owner) = (Some("shop".to_owned()), "local".to_owned());
        let payload = serde_json::to_value(payload()).unwrap();
        let (kind, priority) = (crate::jobs::IMPORT, Priority::Interactive);
        let job = NewJob { id: Some(id), app_id, owner, kind, payload, priority };
        self.jobs.enqueue(job).await.unwrap()
    }

    async fn take_in_jobs(&self) -> Vec<Job> {
        let filter = muster_jobs::Filter { kind: Some(TAKE_IN.into()), ..muster_jobs::Filter::default() };
        self.jobs.list(&filter, None, 10).await.unwrap().items
    }

    /// What the tag is called: by the file that was published last.
    fn published(&self) -> String {
        let snapshot = self.store.snapshot("shop").unwrap().unwrap();
        snapshot.manifest().labels[&1].tags[&1].clone()
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
    let job = place.step(|take_in| take_in.take_all("shop").map(told)).await;
    assert_eq!((job.state, job.result), (State::Done, Some(json!([0, 0]))));
    assert_eq!(place.kept(), [rows("red"), rows("blue")]);

    place.enable(2, true);
    let job = place.step(|take_in| take_in.take_all("shop").map(told)).await;
    assert_eq!(job.result, Some(json!([2, 2])));
    assert!(place.kept().is_empty());
    assert_eq!(place.published(), "blue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_file_waits_behind_those_that_are_not_taken_in() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path()).await;
    place.keep("job_0", "red");
    place.enable(1, true);
    let import = place.import("blue").await;
    let import = place.run(place.handlers().drain(..1).collect(), &import.id).await;
    let result = import.result.unwrap();
    assert_eq!((&result["rows_published"], &result["rows_set_aside"]), (&json!(0), &json!(1)), "{result}");
    assert_eq!(place.kept(), [rows("red"), rows("blue")]);
    let [job] = &place.take_in_jobs().await[..] else { panic!("one job takes them in") };
    let job = place.run(place.handlers(), &job.id).await;
    assert_eq!(job.result.unwrap()["files"], 2);
    assert_eq!(place.published(), "blue");

    // Nothing waits any more.
    let import = place.import("green").await;
    let import = place.run(place.handlers(), &import.id).await;
    assert_eq!(import.result.unwrap()["rows_published"], 1);
    assert_eq!(place.published(), "green");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_when_a_job_is_just_ending_is_another_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path()).await;
    place.keep("job_0", "red");
    place.enable(1, true);
    let import = place.import("blue").await;
    let importer = Place {
        db: place.db.clone(),
        jobs: place.jobs.clone(),
        store: place.store.clone(),
        settings: place.settings.clone(),
    };
    let runtime = tokio::runtime::Handle::current();
    let first = place.step(move |_| {
        // It has listed what there is, and the import finds the older file still there.
        let import = runtime.block_on(importer.run(importer.handlers().drain(..1).collect(), &import.id));
        Ok(import.result.unwrap())
    });
    let first = first.await;
    assert_eq!(first.result.unwrap()["rows_set_aside"], 1);
    let jobs = place.take_in_jobs().await;
    let other = jobs.iter().find(|job| job.id != first.id).expect("another job was made");
    place.run(place.handlers(), &other.id).await;
    assert_eq!((place.kept().len(), place.published()), (0, "blue".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_app_one_job_takes_in_files_and_one_that_cannot_be_taken_in_holds_up_none() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path()).await;
    place.enable(1, true);
    place.keep("job_2", "blue");
    let body = place.settings.folder.join("body");
    fs::write(&body, "no,columns,of,labels\n").unwrap();
    let now = chrono::Utc::now();
    aside::keep(&place.settings, "shop", "job_1", now, &payload(), &body).unwrap();
    let other = aside::lock(&place.settings, "shop").unwrap().unwrap();
    let settings = place.settings.clone();
    let held = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        let kept = aside::of(&settings, "shop").unwrap().len();
        drop(other);
        kept
    });
    let job = place.step(|take_in| take_in.work("shop")).await;
    assert_eq!(held.join().unwrap(), 2);
    let error = job.error.unwrap();
    assert_eq!((job.state, error.code.as_str()), (State::Failed, "unknown_column"));
    assert!(error.detail.starts_with("a.csv: "), "{}", error.detail);
    assert_eq!(job.result.unwrap()["files"], 1);
    assert_eq!((place.kept().len(), place.published()), (0, "blue".to_owned()));
}
