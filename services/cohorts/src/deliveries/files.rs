//! Deliveries as files, in a folder or in S3-compatible storage. A file shows once it is whole, its name follows from
//! what is in it, and the manifest comes last: delivered again, the same files are written over.

use std::sync::Arc;

use muster_jobs::{Failure, Run};
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::answers::{Manifest, Part, What};
use super::destination::{At, open_files};
use super::load::Who;
use super::store::DeliveryRow;
use crate::audiences::Exported;
use crate::error::Error;

pub struct Files {
    store: Arc<dyn ObjectStore>,
    /// Of these users; of a download, of this attempt.
    folder: Key,
    is_download: bool,
}

/// Beneath which each attempt at a download has a folder.
pub fn of_download(at: &At, row: &DeliveryRow) -> Result<(Arc<dyn ObjectStore>, Key), Error> {
    let (store, prefix) = open_files(at)?;
    Ok((store, prefix.join(&*row.app_id).join(&*row.id)))
}

impl Files {
    pub fn open(at: &At, row: &DeliveryRow, who: &Who, attempt: &str) -> Result<Files, Error> {
        if row.is_download() {
            let (store, folder) = of_download(at, row)?;
            return Ok(Files { store, folder: folder.join(attempt), is_download: true });
        }
        let (store, prefix) = open_files(at)?;
        let folder = prefix.join(&*row.app_id).join(&*row.subject).join(format!("{}-{}", who.ds, who.name));
        Ok(Files { store, folder, is_download: false })
    }

    pub fn name(&self, what: What, since: Option<&str>, extension: &str) -> String {
        match (what, since) {
            (What::Full, _) | (_, None) => format!("users.{extension}"),
            (what, Some(since)) => format!("{}-since-{since}.{extension}", what.name()),
        }
    }

    /// Passing: the storage may be back soon.
    pub async fn write(
        &self,
        what: What,
        name: &str,
        (mut from, users): (Exported, u64),
        run: &Run,
    ) -> Result<Part, Failure> {
        let key = self.folder.clone().join(name);
        let (bytes, sha256) = put(&self.store, &key, &mut from, || run.stopped()).await?;
        let file = Some(if self.is_download { name.to_owned() } else { key.to_string() });
        Ok(Part { what, users, file, bytes, sha256: Some(sha256), batches: None })
    }

    /// Of a download it is in the row.
    pub async fn write_manifest(&self, manifest: &Manifest) -> Result<(), Failure> {
        if self.is_download {
            return Ok(());
        }
        let name = match &manifest.since {
            Some(since) => format!("manifest-since-{since}.json"),
            None => "manifest.json".to_owned(),
        };
        let text = serde_json::to_vec_pretty(manifest).map_err(Failure::internal)?;
        self.store.put(&self.folder.clone().join(&*name), text.into()).await.map(drop).map_err(away)
    }
}

/// Bytes, and their hash in hex. The file shows at its end.
async fn put(
    store: &Arc<dyn ObjectStore>,
    key: &Key,
    from: &mut Exported,
    stopped: impl Fn() -> bool,
) -> Result<(u64, String), Failure> {
    let mut writer = BufWriter::new(store.clone(), key.clone());
    let copied = copy(from, &mut writer, stopped).await;
    if copied.is_err() {
        // What is there of it must not stay where nobody sees it. Not once it is being shut down: it aborts by itself
        // then, and panics when it is asked to.
        _ = writer.abort().await;
        return copied;
    }
    writer.shutdown().await.map_err(away)?;
    copied
}

async fn copy(
    from: &mut Exported,
    writer: &mut BufWriter,
    stopped: impl Fn() -> bool,
) -> Result<(u64, String), Failure> {
    let (mut sha, mut bytes) = (Sha256::new(), 0);
    while let Some(chunk) = from.chunks.recv().await {
        let chunk = chunk.map_err(away)?;
        if stopped() {
            return Err(Failure::stopped());
        }
        sha.update(&chunk);
        bytes += chunk.len() as u64;
        writer.write_all(&chunk).await.map_err(away)?;
    }
    Ok((bytes, sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// What it says may name addresses: it is for the log.
fn away(error: impl std::fmt::Display) -> Failure {
    tracing::warn!(%error, "a delivery broke off");
    Failure::passing("destination_away", "the destination could not be written to")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use object_store::local::LocalFileSystem;

    use super::*;

    /// However much there is of it: little is written at the end, much in parts.
    #[tokio::test]
    async fn storage_that_fails_may_be_back_soon() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("shop"), "no folder").unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap());
        for chunks in [1, 40] {
            let (to, chunks_of) = tokio::sync::mpsc::channel(chunks);
            for _ in 0..chunks {
                to.send(Ok(Bytes::from(vec![b'x'; 1 << 20]))).await.unwrap();
            }
            drop(to);
            let mut from = Exported { chunks: chunks_of, extension: "csv", label_days: Vec::new() };
            let failed = put(&store, &Key::from("shop/users.csv"), &mut from, || false).await.unwrap_err();
            assert_eq!((&*failed.code, failed.retry), ("destination_away", true));
        }
    }
}
