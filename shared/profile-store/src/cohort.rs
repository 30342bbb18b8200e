//! Cohort files: the members of a cohort as a bitmap per bucket. Written once, never changed.
//!
//! They lie in the app's `cohorts` folder, which belongs to whoever makes cohorts; publications leave
//! it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use muster_bitmaps::{BitmapView, encode};
use muster_days::Ds;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::directory::Directory;
use crate::document::sync_folder;
use crate::error::{AtPath, Result, StoreError};
use crate::sealed::{Kind, Sealed, Writer};
use crate::shelf::Shelf;

/// The folder of cohorts in an app's folder.
const COHORTS: &str = "cohorts";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CohortMeta {
    pub id: String,
    /// The day the cohort was made for.
    pub ds: Ds,
    pub buckets: u32,
    pub size: u64,
}

pub struct CohortFile {
    file: Sealed,
    meta: CohortMeta,
    /// Buckets with users that were erased since the file was written, without them.
    masked: BTreeMap<u32, Vec<u8>>,
}

impl CohortFile {
    pub(crate) fn open(shelf: &Shelf, id: &str) -> Result<Option<CohortFile>> {
        let Some(file) = cohort_file(id) else { return Ok(None) };
        let file = match shelf.open(&file) {
            Err(error) if error.is_missing() => return Ok(None),
            opened => opened?,
        };
        let meta: CohortMeta = file.meta()?;
        if meta.id != id {
            return Err(StoreError::damaged(file.path(), format!("it holds cohort `{}`", meta.id)));
        }
        Ok(Some(CohortFile { meta, file, masked: BTreeMap::new() }))
    }

    pub(crate) fn without_erased(mut self, directory: &Directory) -> Result<CohortFile> {
        for bucket in 0..directory.buckets() {
            let Some(erased) = directory.erased_in(bucket) else { continue };
            let Some(members) = self.members(bucket)? else { continue };
            let damaged = |error| StoreError::damaged(self.file.path(), format!("members: {error}"));
            let erased = erased.to_roaring().map_err(damaged)?;
            if erased.iter().any(|user| members.contains(user)) {
                let kept = members.to_roaring().map_err(damaged)? - erased;
                self.masked.insert(bucket, encode(&kept));
            }
        }
        Ok(self)
    }

    /// How many members it has, without those that were erased since it was written.
    pub fn size(&self) -> Result<u64> {
        if self.masked.is_empty() {
            return Ok(self.meta.size);
        }
        let sizes =
            (0..self.meta.buckets).map(|bucket| Ok(self.members(bucket)?.map_or(0, |members| members.len())));
        sizes.sum()
    }

    /// Whether it has users that were erased since it was written.
    pub fn is_masked(&self) -> bool {
        !self.masked.is_empty()
    }

    /// As the file was written.
    pub fn meta(&self) -> &CohortMeta {
        &self.meta
    }

    /// Members in the bucket; None when there are none.
    pub fn members(&self, bucket: u32) -> Result<Option<BitmapView<'_>>> {
        let masked = self.masked.get(&bucket).map(Vec::as_slice);
        let Some(bytes) = masked.or_else(|| self.file.section(Kind::Members, bucket, 0)) else {
            return Ok(None);
        };
        let damaged = |error| StoreError::damaged(self.file.path(), format!("members: {error}"));
        BitmapView::parse_trusted(bytes).map(Some).map_err(damaged)
    }

    /// Writes the cohort durably; `buckets[b]` holds the members' ordinals in bucket b. Writing the same
    /// cohort again replaces the file with an equal one.
    pub(crate) fn write(shelf: &Shelf, id: &str, ds: Ds, buckets: &[RoaringBitmap]) -> Result<()> {
        let file = cohort_file(id).ok_or_else(|| StoreError::Full(format!("`{id}` can't name a cohort")))?;
        let cohorts = shelf.folder().join(COHORTS);
        if !cohorts.is_dir() {
            fs::create_dir_all(&cohorts).at(&cohorts)?;
            sync_folder(shelf.folder())?;
        }
        let mut writer = Writer::create(&shelf.folder().join(&file))?;
        let size = buckets.iter().map(RoaringBitmap::len).sum();
        let meta = CohortMeta { id: id.into(), ds, buckets: buckets.len() as u32, size };
        let json = serde_json::to_vec(&meta).map_err(|error| StoreError::Full(error.to_string()))?;
        writer.section(Kind::Meta, 0, 0, &json)?;
        for (bucket, members) in buckets.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
            writer.section(Kind::Members, bucket as u32, 0, &encode(members))?;
        }
        writer.seal()?;
        shelf.keep(&[file])?;
        sync_folder(&cohorts)
    }

    /// With its report, if it has one.
    pub(crate) fn remove(shelf: &Shelf, id: &str) -> Result<()> {
        cohort_file(id).map_or(Ok(()), |file| shelf.remove(&file))?;
        report_file(id).map_or(Ok(()), |file| shelf.remove(&file))
    }

    /// What is left aside of a writer that died.
    pub(crate) fn remove_aside(shelf: &Shelf, id: &str) -> Result<()> {
        for file in [cohort_file(id), report_file(id)].into_iter().flatten() {
            shelf.remove(&format!("{file}.tmp"))?;
        }
        Ok(())
    }
}

/// What is to be said of how a cohort came about, as text in a file beside it. Written before the cohort is.
pub(crate) fn write_report(shelf: &Shelf, id: &str, text: &[u8]) -> Result<()> {
    let file = report_file(id).ok_or_else(|| StoreError::Full(format!("`{id}` can't name a cohort")))?;
    fs::create_dir_all(shelf.folder().join(COHORTS)).at(shelf.folder())?;
    let mut writer = Writer::create(&shelf.folder().join(&file))?;
    writer.section(Kind::Report, 0, 0, text)?;
    writer.seal()?;
    shelf.keep(&[file])
}

/// None when there is none.
pub(crate) fn report(shelf: &Shelf, id: &str) -> Result<Option<Vec<u8>>> {
    let Some(file) = report_file(id) else { return Ok(None) };
    match shelf.open(&file) {
        Err(error) if error.is_missing() => Ok(None),
        opened => Ok(Some(opened?.need(Kind::Report, 0, 0)?.to_vec())),
    }
}

/// The cohorts whose files, or reports, were written an hour ago or earlier.
pub(crate) fn old(shelf: &Shelf) -> Result<BTreeSet<String>> {
    let names = shelf.old_files(COHORTS)?;
    let id = |name: &String| {
        // What a writer that died has left aside belongs to its cohort.
        let name = name.split(".mst").next()?;
        let id = name.strip_suffix("-report").unwrap_or(name);
        cohort_file(id).map(|_| id.to_owned())
    };
    Ok(names.iter().filter_map(id).collect())
}

/// None when the id is none of ours: it comes from outside and must not reach into other folders.
fn cohort_file(id: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = (1..=100).contains(&id.len()) && id.bytes().all(plain);
    fits.then(|| format!("{COHORTS}/{id}.mst"))
}

/// Never the name of a cohort: these have no `-`.
fn report_file(id: &str) -> Option<String> {
    cohort_file(id).map(|_| format!("{COHORTS}/{id}-report.mst"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_goes_with_its_cohort() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path(), "shop".into(), None, Default::default());
        write_report(&shelf, "coh_1", b"line,reason\n").unwrap();
        CohortFile::write(&shelf, "coh_1", Ds::from_number(20261101).unwrap(), &[]).unwrap();
        assert_eq!(report(&shelf, "coh_1").unwrap().unwrap(), b"line,reason\n");
        assert!(report(&shelf, "coh_2").unwrap().is_none() && report(&shelf, "../x").unwrap().is_none());
        assert!(old(&shelf).unwrap().is_empty());
        let path = shelf.folder().join(COHORTS).join("coh_1-report.mst");
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3_700);
        fs::File::options().append(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(old(&shelf).unwrap(), ["coh_1".to_owned()].into());
        CohortFile::remove(&shelf, "coh_1").unwrap();
        assert_eq!(fs::read_dir(shelf.folder().join(COHORTS)).unwrap().count(), 0);
    }

    #[test]
    fn a_file_of_another_cohort_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path(), "shop".into(), None, Default::default());
        let ds = Ds::from_number(20261101).unwrap();
        for id in ["coh_1", "coh_2"] {
            CohortFile::write(&shelf, id, ds, &[RoaringBitmap::from([7])]).unwrap();
        }
        assert_eq!(CohortFile::open(&shelf, "coh_1").unwrap().unwrap().meta().size, 1);
        let path = |id| shelf.folder().join(COHORTS).join(format!("{id}.mst"));
        fs::rename(path("coh_2"), path("coh_1")).unwrap();
        let error = CohortFile::open(&shelf, "coh_1").err().unwrap().to_string();
        assert!(error.contains("coh_1.mst") && error.contains("coh_2"), "{error}");
        assert!(CohortFile::open(&shelf, "coh_2").unwrap().is_none());
    }
}
