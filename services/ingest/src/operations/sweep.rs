//! Clears import folders: uploads that broke off, bodies that are no longer needed, old reports.

use std::fs;
use std::time::{Duration, SystemTime};

use muster_jobs::{Jobs, JobsError};

use crate::folder::ImportFolder;
use crate::settings::Settings;

/// An upload without a job is left alone for this long: it may still be coming in.
const ARRIVING_FOR: Duration = Duration::from_secs(24 * 3600);

/// Goes through all folders once. Reject reports stay as long as their jobs.
pub async fn sweep_folders(settings: &Settings, jobs: &Jobs, now: SystemTime) -> Result<(), JobsError> {
    let Ok(entries) = fs::read_dir(&settings.folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(folder) = name.to_str().and_then(|name| ImportFolder::of(&settings.folder, name)) else {
            continue;
        };
        let modified = entry.metadata().and_then(|meta| meta.modified());
        let old = modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > ARRIVING_FOR));
        match jobs.get(&name.to_string_lossy()).await? {
            Some(job) if job.state.is_final() => folder.drop_body(),
            None if old => folder.remove(),
            _ => {}
        }
    }
    Ok(())
}
