//! Damaged store files: a small store is built once, then one file of it is damaged and everything is read
//! again, case after case. What a case does follows from its number alone.
//!
//! A case leaves checksums as they are, and then every answer must be the right one or an error that names
//! the file; or it makes them right again, so that the readers behind them see hostile bytes, and then
//! nothing may panic, whatever the answers are.

mod bytes;
mod file;
mod json;
mod reading;
mod samples;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use reading::{Item, read};
pub use samples::Size;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The damage lay where nobody reads, or changed nothing.
    Harmless,
    /// At least one answer was refused.
    Refused,
    /// Hostile bytes were read to the end.
    Survived,
}

/// A store in a temporary folder, its files as they were written, and its right answers.
pub struct Bench {
    size: Size,
    folder: TempDir,
    files: Vec<Kept>,
    right: Vec<Item>,
}

/// A file as it was written.
struct Kept {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Bench {
    pub fn build(size: Size) -> anyhow::Result<Bench> {
        let folder = tempfile::tempdir()?;
        let files = samples::write(folder.path(), size)?;
        let files: Result<Vec<Kept>, std::io::Error> =
            files.into_iter().map(|path| Ok(Kept { bytes: fs::read(&path)?, path })).collect();
        let right = read(folder.path(), size);
        let wrong = right.iter().find(|item| item.answer.is_err());
        ensure!(wrong.is_none(), "the undamaged store is refused: {wrong:?}");
        Ok(Bench { size, folder, files: files?, right })
    }

    /// Runs one case; an error says what went wrong in it.
    pub fn run(&self, case: u64) -> anyhow::Result<Verdict> {
        let mut rng = StdRng::seed_from_u64(case);
        let kind = *KINDS.choose(&mut rng).unwrap_or(&KINDS[0]);
        let of_kind: Vec<&Kept> = self.files.iter().filter(|file| kind_of(&file.path) == kind).collect();
        let file = *of_kind.choose(&mut rng).context("every kind of file is there")?;
        let other = self.files.choose(&mut rng).context("there are files")?;
        let hostile = rng.random_bool(0.6);
        let damaged = match hostile {
            true => file::hostile(&mut rng, &file.bytes, &other.bytes),
            false => bytes::torn(&mut rng, &file.bytes, &other.bytes),
        };
        fs::write(&file.path, &damaged)?;
        let published = hostile && rng.random_ratio(1, 64);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let items = read(self.folder.path(), self.size);
            if published {
                // Refused or not, and whatever it writes then.
                _ = samples::publish_more(self.folder.path());
            }
            items
        }));
        match published {
            true => self.restore()?,
            false => fs::write(&file.path, &file.bytes)?,
        }
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let read = outcome.map_err(|panic| anyhow::anyhow!("{name}: a panic: {}", text_of(&*panic)))?;
        match hostile {
            true => Ok(Verdict::Survived),
            false => self.judge(&read, &name),
        }
    }

    /// Every answer is right or an error that names the file.
    fn judge(&self, read: &[Item], name: &str) -> anyhow::Result<Verdict> {
        let mut verdict = Verdict::Harmless;
        for right in &self.right {
            let found = read.iter().find(|item| item.what == right.what);
            // A file that is read before all others refuses everything.
            match found.or_else(|| read.iter().find(|item| item.answer.is_err())).map(|item| &item.answer) {
                Some(Err(error)) if error.contains(name) => verdict = Verdict::Refused,
                Some(found) if *found == right.answer => {}
                found => anyhow::bail!("{name}: {} is {found:?}, not {:?}", right.what, right.answer),
            }
        }
        Ok(verdict)
    }

    /// Puts back what a publication changed.
    fn restore(&self) -> anyhow::Result<()> {
        for folder in self.files.iter().filter_map(|file| file.path.parent()) {
            self.remove_strangers(folder)?;
        }
        for file in &self.files {
            if fs::read(&file.path).ok().as_ref() != Some(&file.bytes) {
                fs::write(&file.path, &file.bytes)?;
            }
        }
        Ok(())
    }

    fn remove_strangers(&self, folder: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() && !self.files.iter().any(|file| file.path == path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The kinds of files, by how their names begin.
const KINDS: [&str; 7] = ["manifest", "users", "label", "event", "week", "values", "coh"];

fn kind_of(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split(['-', '_']).next().unwrap_or_default()
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text").to_owned()
}
