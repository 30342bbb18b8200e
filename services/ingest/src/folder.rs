//! The folder of one import: what was uploaded, what was refused, and rows spilled on the way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct ImportFolder(PathBuf);

impl ImportFolder {
    /// None for an id that is no job's: it comes from outside and must not reach into other folders.
    pub fn of(root: &Path, job: &str) -> Option<ImportFolder> {
        let plain = job.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (plain && (1..=64).contains(&job.len())).then(|| ImportFolder(root.join(job)))
    }

    pub fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.0)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The uploaded file, complete and synced.
    pub fn body(&self) -> PathBuf {
        self.0.join("body")
    }

    /// The upload while it is coming in.
    pub fn arriving(&self) -> PathBuf {
        self.0.join("arriving")
    }

    pub fn rejects(&self) -> PathBuf {
        self.0.join("rejects.csv")
    }

    /// An empty folder for spilled rows; those of an earlier attempt are removed.
    pub fn fresh_spill(&self) -> io::Result<PathBuf> {
        let spill = self.0.join("spill");
        match fs::remove_dir_all(&spill) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&spill)?;
        Ok(spill)
    }

    /// Leaves only the reject report.
    pub fn drop_body(&self) {
        let _ = fs::remove_file(self.body());
        let _ = fs::remove_file(self.arriving());
        let _ = fs::remove_dir_all(self.0.join("spill"));
    }

    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
