//! Files with rows of apps that are disabled, kept until the app is enabled or they are too old.
//!
//! ```text
//! <folder>/.aside/<hash of the app>/<import>.body    the file as it was sent, linked from the import's folder
//!                                  /<import>.json    how to read it; what is not there yet is not kept
//!                                  /lock             held while they are taken in
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::jobs::ImportPayload;
use crate::settings::Settings;

const LOCK: &str = "lock";

/// A file that is kept aside for one app.
pub struct Aside {
    pub body: PathBuf,
    pub payload: ImportPayload,
    /// When it came. None: of a version that did not write this down.
    pub began: Option<DateTime<Utc>>,
    note: PathBuf,
}

/// What stands in a `.json`.
#[derive(Serialize, Deserialize)]
struct Note {
    app: String,
    payload: ImportPayload,
    /// Milliseconds since the epoch.
    #[serde(default)]
    began: Option<i64>,
}

fn folder_of(settings: &Settings, app: &str) -> PathBuf {
    // With a dot: no import has such a folder.
    settings.folder.join(".aside").join(format!("{:032x}", xxh3_128(app.as_bytes())))
}

/// Keeps the import's file for the app. Durable once this returns; doing it twice keeps one.
pub fn keep(
    settings: &Settings,
    app: &str,
    import: &str,
    began: DateTime<Utc>,
    payload: &ImportPayload,
    body: &Path,
) -> io::Result<()> {
    let folder = folder_of(settings, app);
    fs::create_dir_all(&folder)?;
    let kept = folder.join(format!("{import}.body"));
    match fs::hard_link(body, &kept) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // What was refused was refused when the file came.
    let payload = ImportPayload { reject_limit: 1.0, ..payload.clone() };
    let content = Note { app: app.to_owned(), payload, began: Some(began.timestamp_millis()) };
    let (note, fresh) = (folder.join(format!("{import}.json")), folder.join(format!("{import}.new")));
    fs::write(&fresh, serde_json::to_vec(&content)?)?;
    File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, &note)?;
    File::open(&folder)?.sync_all()
}

/// What is kept for the app, in the order of the imports, whose ids go up with time.
pub fn of(settings: &Settings, app: &str) -> io::Result<Vec<Aside>> {
    let mut kept = Vec::new();
    for note in files(&folder_of(settings, app))? {
        let body = note.with_extension("body");
        // A note alone is what an expiry has left that did not end.
        if is_note(&note)
            && body.exists()
            && let Some(Note { payload, began, .. }) = read(&note)?
        {
            let began = began.and_then(DateTime::from_timestamp_millis);
            kept.push(Aside { body, payload, began, note });
        }
    }
    Ok(kept)
}

/// The apps that something is kept for.
pub fn apps(settings: &Settings) -> io::Result<BTreeSet<String>> {
    let mut apps = BTreeSet::new();
    for folder in files(&settings.folder.join(".aside"))? {
        for note in files(&folder)?.iter().filter(|path| is_note(path)) {
            apps.extend(read(note)?.map(|note| note.app));
        }
    }
    Ok(apps)
}

/// Whether a file is kept for the app.
pub fn waits(settings: &Settings, app: &str) -> io::Result<bool> {
    let files = files(&folder_of(settings, app))?;
    Ok(files.iter().any(|note| is_note(note) && note.with_extension("body").exists()))
}

/// Held by whoever takes in the app's files; None while another one does. Of two that do so at once, one that
/// lags would show an older file over a newer one.
pub fn lock(settings: &Settings, app: &str) -> io::Result<Option<File>> {
    let folder = folder_of(settings, app);
    fs::create_dir_all(&folder)?;
    let lock = File::options().create(true).append(true).open(folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_note(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "json")
}

/// None for a note that another process has removed since it was listed.
fn read(note: &Path) -> io::Result<Option<Note>> {
    gone(fs::read(note))?.map(|bytes| Ok(serde_json::from_slice(&bytes)?)).transpose()
}

/// None where the file is no longer there: several processes take in and expire what lies here.
pub fn gone<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

/// What is in a folder, by name; nothing where there is none.
fn files(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let Some(entries) = gone(fs::read_dir(folder))? else { return Ok(BTreeSet::new()) };
    entries.map(|entry| Ok(entry?.path())).collect()
}

impl Aside {
    /// It is taken in.
    pub fn done(self) -> io::Result<()> {
        gone(fs::remove_file(&self.note))?;
        gone(fs::remove_file(&self.body))?;
        Ok(())
    }
}

/// Removes what was kept longer than it should be.
pub fn expire(settings: &Settings, now: SystemTime) -> io::Result<()> {
    let longest = Duration::from_secs(u64::from(settings.aside_days) * 24 * 3600);
    for app in files(&settings.folder.join(".aside"))? {
        for file in files(&app)?.into_iter().filter(|file| !file.ends_with(LOCK)) {
            let Some(metadata) = gone(fs::metadata(&file))? else { continue };
            let age = now.duration_since(metadata.modified()?).unwrap_or_default();
            if age > longest {
                gone(fs::remove_file(&file))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_once_by_app_and_go_with_time() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().to_path_buf());
        let payload = ImportPayload {
            kind: "labels".into(),
            format: "csv".into(),
            gzip: false,
            file: "a.csv".into(),
            reject_limit: 0.01,
            apps: None,
        };
        let body = folder.path().join("body");
        fs::write(&body, "rows").unwrap();
        for import in ["job_2", "job_1", "job_2"] {
            keep(&settings, "shop/1", import, DateTime::UNIX_EPOCH, &payload, &body).unwrap();
        }
        keep(&settings, "other", "job_1", DateTime::UNIX_EPOCH, &payload, &body).unwrap();
        let kept = of(&settings, "shop/1").unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[0].began, Some(DateTime::UNIX_EPOCH));
        assert_eq!(apps(&settings).unwrap(), BTreeSet::from(["other".into(), "shop/1".into()]));
        assert!(kept[0].body.ends_with("job_1.body") && fs::read(&kept[0].body).unwrap() == b"rows");
        kept.into_iter().next().unwrap().done().unwrap();
        assert_eq!(of(&settings, "shop/1").unwrap().len(), 1);

        let days = |days: u64| SystemTime::now() + Duration::from_secs(days * 24 * 3600);
        expire(&settings, days(29)).unwrap();
        assert_eq!((of(&settings, "shop/1").unwrap().len(), of(&settings, "other").unwrap().len()), (1, 1));
        expire(&settings, days(31)).unwrap();
        assert_eq!((of(&settings, "shop/1").unwrap().len(), of(&settings, "other").unwrap().len()), (0, 0));
        assert!(of(&settings, "nobody").unwrap().is_empty());
    }

    #[test]
    fn what_another_process_has_removed_is_gone_and_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().to_path_buf());
        let payload = ImportPayload {
            kind: "labels".into(),
            format: "csv".into(),
            gzip: false,
            file: "a.csv".into(),
            reject_limit: 0.01,
            apps: None,
        };
        let body = folder.path().join("body");
        fs::write(&body, "rows").unwrap();
        for import in ["job_1", "job_2"] {
            keep(&settings, "shop", import, DateTime::UNIX_EPOCH, &payload, &body).unwrap();
        }
        let mut kept = of(&settings, "shop").unwrap();
        // Listed, and not there when it is looked at.
        let lost = folder_of(&settings, "shop").join("job_0.body");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &lost).unwrap();
        expire(&settings, SystemTime::now() + Duration::from_secs(31 * 24 * 3600)).unwrap();
        assert!(of(&settings, "shop").unwrap().is_empty());
        kept.pop().unwrap().done().unwrap();
        assert!(read(&kept[0].note).unwrap().is_none());
    }
}
