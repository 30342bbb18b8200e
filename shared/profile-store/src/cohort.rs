//! Cohort files: the members of a cohort as a bitmap per bucket. Written once, never changed.
//!
//! They lie in the app's `cohorts` folder, which belongs to whoever makes cohorts; publications leave
//! it alone.

use std::fs;

use muster_bitmaps::{PortableView, encode};
use muster_days::Ds;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::error::{AtPath, Result, StoreError};
use crate::manifest::sync_folder;
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
}

impl CohortFile {
    pub(crate) fn open(shelf: &Shelf, id: &str) -> Result<Option<CohortFile>> {
        let Some(file) = cohort_file(id) else { return Ok(None) };
        match shelf.open(&file) {
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

    pub(crate) fn remove(shelf: &Shelf, id: &str) -> Result<()> {
        cohort_file(id).map_or(Ok(()), |file| shelf.remove(&file))
    }
}

/// None when the id is none of ours: it comes from outside and must not reach into other folders.
fn cohort_file(id: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = (1..=100).contains(&id.len()) && id.bytes().all(plain);
    fits.then(|| format!("{COHORTS}/{id}.mst"))
}
