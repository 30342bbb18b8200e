//! Cohort files: the members of a cohort as a bitmap per bucket. Written once, never changed.
//!
//! They lie in the app's `cohorts` folder, which belongs to whoever makes cohorts; publications leave
//! it alone.

use std::fs;
use std::path::{Path, PathBuf};

use muster_bitmaps::PortableView;
use muster_days::Ds;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::error::{AtPath, Result, StoreError};
use crate::manifest::sync_folder;
use crate::sealed::{Kind, Sealed, Writer, sync_files};

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
}

impl CohortFile {
    pub(crate) fn open(folder: &Path, id: &str) -> Result<Option<CohortFile>> {
        let Some(path) = cohort_path(folder, id) else { return Ok(None) };
        match Sealed::open(&path) {
            Ok(file) => Ok(Some(CohortFile { meta: file.meta()?, file })),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn meta(&self) -> &CohortMeta {
        &self.meta
    }

    /// Members in the bucket; None when there are none.
    pub fn members(&self, bucket: u32) -> Result<Option<PortableView<'_>>> {
        let Some(bytes) = self.file.section(Kind::Members, bucket, 0) else { return Ok(None) };
        let damaged = |error| StoreError::damaged(self.file.path(), format!("members: {error}"));
        PortableView::parse_trusted(bytes).map(Some).map_err(damaged)
    }

    /// Writes the cohort durably; `buckets[b]` holds the members' ordinals in bucket b. Writing the same
    /// cohort again replaces the file with an equal one.
    pub(crate) fn write(folder: &Path, id: &str, ds: Ds, buckets: &[RoaringBitmap]) -> Result<()> {
        let path =
            cohort_path(folder, id).ok_or_else(|| StoreError::Full(format!("`{id}` can't name a cohort")))?;
        let cohorts = path.parent().unwrap_or(folder);
        if !cohorts.is_dir() {
            fs::create_dir_all(cohorts).at(cohorts)?;
            sync_folder(folder)?;
        }
        let mut writer = Writer::create(&path)?;
        let size = buckets.iter().map(RoaringBitmap::len).sum();
        let meta = CohortMeta { id: id.into(), ds, buckets: buckets.len() as u32, size };
        let json = serde_json::to_vec(&meta).map_err(|error| StoreError::Full(error.to_string()))?;
        writer.section(Kind::Meta, 0, 0, &json)?;
        for (bucket, members) in buckets.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
            let mut members = members.clone();
            members.optimize();
            let mut bytes = Vec::with_capacity(members.serialized_size());
            members.serialize_into(&mut bytes).map_err(|error| StoreError::Full(error.to_string()))?;
            writer.section(Kind::Members, bucket as u32, 0, &bytes)?;
        }
        writer.seal()?;
        sync_files(cohorts, &[format!("{id}.mst")])
    }

    pub(crate) fn remove(folder: &Path, id: &str) -> Result<()> {
        let Some(path) = cohort_path(folder, id) else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at(&path),
            _ => Ok(()),
        }
    }
}

/// None when the id is none of ours: it comes from outside and must not reach into other folders.
fn cohort_path(folder: &Path, id: &str) -> Option<PathBuf> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = (1..=100).contains(&id.len()) && id.bytes().all(plain);
    fits.then(|| folder.join("cohorts").join(format!("{id}.mst")))
}
