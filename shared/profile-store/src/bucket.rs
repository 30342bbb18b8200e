//! S3-compatible storage, through `object_store`: the one file that knows it.
//!
//! The rest of the store is synchronous and is called from any thread, so requests run on a small runtime
//! of their own, and callers wait for them over a channel.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig, UpdateVersion, WriteMultipart,
};
use tokio::runtime::Runtime;
use ulid::Ulid;

use crate::document::Document;
use crate::error::{AtPath, Result, StoreError};
use crate::shelf::DataFile;

/// A document that was read is taken for the newest for so long: an estimate pays no round trip.
const DOCUMENT_KNOWN: Duration = Duration::from_secs(1);
/// What no manifest names is removed once it is older than this: until then its publication may still end.
pub const STRAY_AFTER: Duration = Duration::from_secs(3600);
/// A file of this size or more goes over in parts.
const PART_BYTES: usize = 8 << 20;
const AT_ONCE: usize = 8;
/// A request that fails is repeated for so long.
const PATIENCE: Duration = Duration::from_secs(6);

/// Where the bucket is. Credentials come from the usual AWS variables of the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketAt {
    /// `s3://bucket/prefix`.
    pub url: String,
    /// Of a server that is not AWS's own; empty: AWS.
    pub endpoint: String,
    pub region: String,
}

impl fmt::Debug for BucketAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketAt").field("url", &self.url).finish_non_exhaustive()
    }
}

pub(crate) struct Bucket {
    store: Arc<AmazonS3>,
    prefix: String,
    runtime: Runtime,
    /// By app.
    documents: Mutex<HashMap<(String, Document), Known>>,
}

/// A document as it was read a moment ago; None when there was none.
#[derive(Clone)]
struct Known {
    at: Instant,
    content: Option<Versioned>,
}

/// The bytes of a document and the version to replace it by.
#[derive(Clone)]
pub(crate) struct Versioned {
    pub bytes: Arc<[u8]>,
    pub etag: Option<String>,
}

impl Bucket {
    pub fn open(at: &BucketAt) -> Result<Bucket> {
        let named = at.url.strip_prefix("s3://").filter(|rest| !rest.is_empty());
        let Some(rest) = named else {
            return Err(StoreError::Full(format!("`{}` is no bucket: write s3://bucket/prefix", at.url)));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let retry = RetryConfig {
            backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
            max_retries: 5,
            retry_timeout: PATIENCE,
        };
        let client = ClientOptions::new().with_connect_timeout(Duration::from_secs(2)).with_allow_http(true);
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_region(&at.region)
            .with_retry(retry)
            .with_client_options(client);
        if !at.endpoint.is_empty() {
            builder = builder.with_endpoint(&at.endpoint).with_allow_http(at.endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|error| away(Path::new(&at.url), &error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
            .at(Path::new(&at.url))?;
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Bucket { store: Arc::new(store), prefix, runtime, documents: Mutex::default() })
    }

    fn key(&self, app: &str, file: &str) -> Key {
        Key::from_iter(
            self.prefix
                .split('/')
                .filter(|part| !part.is_empty())
                .chain(["apps", app])
                .chain(file.split('/')),
        )
    }

    /// Runs a request and waits for it, whatever kind of thread this is.
    fn wait<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> object_store::Result<T> {
        let (tell, told) = mpsc::sync_channel(1);
        self.runtime.spawn(async move { tell.send(request.await) });
        told.recv().unwrap_or_else(|_| {
            let source = io::Error::other("the request was given up").into();
            Err(object_store::Error::Generic { store: "S3", source })
        })
    }

    /// A document of the app, as it was at most a second ago, or as it is when `now` is asked for.
    pub fn document(&self, app: &str, document: Document, now: bool) -> Result<Option<Versioned>> {
        let known = self.known().get(&(app.to_owned(), document)).cloned();
        if let Some(known) = known.as_ref().filter(|known| !now && known.at.elapsed() < DOCUMENT_KNOWN) {
            return Ok(known.content.clone());
        }
        let key = self.key(app, document.name());
        let etag = known.as_ref().and_then(|known| known.content.as_ref()?.etag.clone());
        let (store, wanted) = (self.store.clone(), key.clone());
        let got = self.wait(async move {
            let options = GetOptions { if_none_match: etag, ..GetOptions::default() };
            let got = store.get_opts(&wanted, options).await?;
            let etag = got.meta.e_tag.clone();
            Ok((got.bytes().await?, etag))
        });
        let content = match got {
            Ok((bytes, etag)) => Some(Versioned { bytes: bytes.as_ref().into(), etag }),
            Err(object_store::Error::NotModified { .. }) => known.and_then(|known| known.content),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(away(Path::new(key.as_ref()), &error)),
        };
        self.remember(app, document, content.clone());
        Ok(content)
    }

    /// Replaces the document that was read as `before`; [`StoreError::Conflict`] when another writer was
    /// faster.
    pub fn replace(
        &self,
        app: &str,
        document: Document,
        bytes: Vec<u8>,
        before: Option<&Versioned>,
    ) -> Result<Versioned> {
        let key = self.key(app, document.name());
        let mode = match before {
            Some(before) => PutMode::Update(UpdateVersion { e_tag: before.etag.clone(), version: None }),
            None => PutMode::Create,
        };
        let (store, wanted, payload) = (self.store.clone(), key.clone(), PutPayload::from(bytes.clone()));
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.wait(async move { store.put_opts(&wanted, payload, options).await }) {
            Ok(put) => {
                let content = Versioned { bytes: bytes.into(), etag: put.e_tag };
                self.remember(app, document, Some(content.clone()));
                Ok(content)
            }
            Err(object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. }) => {
                self.known().remove(&(app.to_owned(), document));
                Err(StoreError::Conflict { path: PathBuf::from(key.as_ref()) })
            }
            Err(error) => Err(away(Path::new(key.as_ref()), &error)),
        }
    }

    /// Copies files to the bucket; they are there to stay when this returns.
    pub fn put(&self, app: &str, folder: &Path, files: &[String]) -> Result<()> {
        let tasks: Vec<_> = files.iter().map(|file| (self.key(app, file), folder.join(file))).collect();
        let store = self.store.clone();
        let copied = self.wait(async move {
            let copies = tasks.into_iter().map(|(key, path)| put_one(store.clone(), key, path));
            futures::stream::iter(copies).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await
        });
        copied.map(drop).map_err(|error| away(folder, &error))
    }

    /// Copies a file from the bucket into the folder: whole or not at all. False when it is not there.
    pub fn fetch(&self, app: &str, folder: &Path, file: &str) -> Result<bool> {
        let (key, store) = (self.key(app, file), self.store.clone());
        let path = folder.join(file);
        let aside = folder.join(format!("{file}.{}.tmp", Ulid::generate()));
        if let Some(parent) = aside.parent() {
            fs::create_dir_all(parent).at(parent)?;
        }
        let (wanted, into) = (key.clone(), aside.clone());
        let fetched = self.wait(async move {
            let mut chunks = store.get(&wanted).await?.into_stream();
            let broken =
                |source: io::Error| object_store::Error::Generic { store: "disk", source: source.into() };
            let mut out = fs::File::create(&into).map_err(broken)?;
            while let Some(chunk) = chunks.next().await {
                out.write_all(&chunk?).map_err(broken)?;
            }
            Ok(())
        });
        match fetched {
            Ok(()) => fs::rename(&aside, &path).at(&path).map(|()| true),
            Err(error) => {
                let _ = fs::remove_file(&aside);
                match error {
                    object_store::Error::NotFound { .. } => Ok(false),
                    error => Err(away(Path::new(key.as_ref()), &error)),
                }
            }
        }
    }

    /// One that is not there is no error.
    pub fn remove(&self, app: &str, file: &str) -> Result<()> {
        let (key, store) = (self.key(app, file), self.store.clone());
        let wanted = key.clone();
        match self.wait(async move { store.delete(&wanted).await }) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(away(Path::new(key.as_ref()), &error)),
        }
    }

    /// The files of an app that lie in a folder of it; those that are old enough may be strays. Its data files lie
    /// in none, and cohorts in one of their own.
    pub fn files(&self, app: &str, folder: &str) -> Result<Vec<DataFile>> {
        let (key, store) = (self.key(app, folder), self.store.clone());
        let wanted = key.clone();
        let listed = self.wait(async move { store.list_with_delimiter(Some(&wanted)).await });
        let listed = listed.map_err(|error| away(Path::new(key.as_ref()), &error))?;
        let old = chrono::Utc::now() - STRAY_AFTER;
        let files = listed.objects.into_iter().filter_map(|object| {
            let name = object.location.filename()?.to_owned();
            let (bytes, may_go) = (object.size, object.last_modified < old);
            name.ends_with(".mst").then_some(DataFile { name, bytes, may_go })
        });
        Ok(files.collect())
    }

    /// The folder names of all apps.
    pub fn apps(&self) -> Result<Vec<String>> {
        let prefix = Key::from_iter(self.prefix.split('/').filter(|part| !part.is_empty()).chain(["apps"]));
        let (store, wanted) = (self.store.clone(), prefix.clone());
        let listed = self.wait(async move { store.list_with_delimiter(Some(&wanted)).await });
        let listed = listed.map_err(|error| away(Path::new(prefix.as_ref()), &error))?;
        let name = |key: &Key| key.filename().map(str::to_owned);
        Ok(listed.common_prefixes.iter().filter_map(name).collect())
    }

    fn remember(&self, app: &str, document: Document, content: Option<Versioned>) {
        self.known().insert((app.to_owned(), document), Known { at: Instant::now(), content });
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Document), Known>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn put_one(store: Arc<AmazonS3>, key: Key, path: PathBuf) -> object_store::Result<()> {
    let broken = |source: io::Error| object_store::Error::Generic { store: "disk", source: source.into() };
    let mut file = fs::File::open(&path).map_err(broken)?;
    let length = file.metadata().map_err(broken)?.len();
    if length < PART_BYTES as u64 {
        let bytes = fs::read(&path).map_err(broken)?;
        return store.put(&key, bytes.into()).await.map(drop);
    }
    let mut upload = WriteMultipart::new_with_chunk_size(store.put_multipart(&key).await?, PART_BYTES);
    let mut part = vec![0; PART_BYTES];
    loop {
        let read = io::Read::read(&mut file, &mut part).map_err(broken)?;
        if read == 0 {
            return upload.finish().await.map(drop);
        }
        upload.wait_for_capacity(AT_ONCE).await?;
        upload.write(&part[..read]);
    }
}

/// Its text is for the log; it names no credentials.
fn away(path: &Path, error: &object_store::Error) -> StoreError {
    StoreError::Away { path: path.to_path_buf(), why: error.to_string() }
}
