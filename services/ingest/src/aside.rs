//! Files with rows of apps that are disabled, kept until the app is enabled or they are too old.
//!
//! ```text
//! <folder>/.aside/<hash of the app>/<import>.body    the file as it was sent, linked from the import's folder
//!                                  /<import>.json    how to read it; what is not there yet is not kept
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::xxh3_128;

use crate::jobs::ImportPayload;
use crate::settings::Settings;

/// A file that is kept aside for one app.
pub struct Aside {
    pub body: PathBuf,
    pub payload: ImportPayload,
    note: PathBuf,
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
    let apps = Some(BTreeSet::from([app.to_owned()]));
    // What was refused was refused when the file came.
    let payload = ImportPayload { apps, reject_limit: 1.0, ..payload.clone() };
    let (note, fresh) = (folder.join(format!("{import}.json")), folder.join(format!("{import}.new")));
    fs::write(&fresh, serde_json::to_vec(&payload)?)?;
    File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, &note)?;
    File::open(&folder)?.sync_all()
}

/// What is kept for the app, oldest first.
pub fn of(settings: &Settings, app: &str) -> io::Result<Vec<Aside>> {
    let mut kept = Vec::new();
    for note in notes(&folder_of(settings, app))? {
        let payload = serde_json::from_slice(&fs::read(&note)?)?;
        kept.push(Aside { body: note.with_extension("body"), payload, note });
    }
    Ok(kept)
}

/// In the order of the imports, whose ids go up with time.
fn notes(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect())
}

impl Aside {
    /// It is taken in.
    pub fn done(self) -> io::Result<()> {
        fs::remove_file(&self.note)?;
        fs::remove_file(&self.body)
    }
}

/// Removes what was kept longer than it should be.
pub fn expire(settings: &Settings, now: SystemTime) -> io::Result<()> {
    let longest = Duration::from_secs(u64::from(settings.aside_days) * 24 * 3600);
    let apps = match fs::read_dir(settings.folder.join(".aside")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        apps => apps?,
    };
    for app in apps {
        for note in notes(&app?.path())? {
            let age = now.duration_since(fs::metadata(&note)?.modified()?).unwrap_or_default();
            if age > longest {
                fs::remove_file(&note)?;
                fs::remove_file(note.with_extension("body"))?;
            }
        }
    }
    Ok(())
}
