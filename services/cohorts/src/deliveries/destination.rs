//! Where cohorts may be delivered to, as the configuration says.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use muster_http::{Kind, Problem};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use serde::Deserialize;

use crate::error::Error;

/// Users of a batch, where nothing is said.
const BATCH: usize = 1_000;

/// The destination that is always there: files are kept for a while, to be fetched through the API.
pub const DOWNLOAD: &str = "download";

/// By name.
pub type Destinations = BTreeMap<String, Destination>;

#[derive(Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct Destination {
    /// Apps that may deliver there; all when empty.
    apps: Vec<String>,
    pub at: At,
}

#[derive(Clone)]
pub enum At {
    /// A folder of the machine, or one that is mounted.
    Folder { path: PathBuf },
    /// Credentials, and a region that is not given, come from the usual AWS variables of the environment. An empty
    /// endpoint is AWS's own.
    S3 { bucket: String, prefix: String, endpoint: String, region: Option<String> },
    /// Gets the users in batches of at most so many.
    Webhook {
        url: reqwest::Url,
        /// The variable of the environment that holds the secret with which batches are signed.
        secret_env: String,
        batch: usize,
    },
}

/// As it stands in the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    #[serde(default)]
    apps: Vec<String>,
    path: Option<PathBuf>,
    url: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    secret_env: Option<String>,
    batch: Option<usize>,
}

impl TryFrom<Written> for Destination {
    type Error = String;

    fn try_from(written: Written) -> Result<Destination, String> {
        let Written { kind, apps, path, url, endpoint, region, secret_env, batch } = written;
        let at = match (&*kind, path, url, secret_env) {
            ("folder", Some(path), None, None) => At::Folder { path },
            ("s3", None, Some(url), None) => {
                let named =
                    bucket(&url).ok_or_else(|| format!("`{url}` is no bucket: write s3://bucket/prefix"))?;
                let (bucket, prefix) = (named.0.to_owned(), named.1.to_owned());
                At::S3 { bucket, prefix, endpoint: endpoint.unwrap_or_default(), region }
            }
            ("webhook", None, Some(url), Some(secret_env)) => {
                let batch = batch.unwrap_or(BATCH);
                if batch == 0 {
                    return Err("a batch has at least 1 user".to_owned());
                }
                let url: reqwest::Url =
                    url.parse().map_err(|error| format!("`{url}` is no address: {error}"))?;
                if !matches!(url.scheme(), "http" | "https") {
                    return Err(format!("`{url}` is no address of a webhook: it begins with http"));
                }
                At::Webhook { url, secret_env, batch }
            }
            _ => {
                return Err(
                    "a destination is a `folder` with `path`, an `s3` with `url`, or a `webhook` with `url` \
                            and `secret_env`"
                        .to_owned(),
                );
            }
        };
        Ok(Destination { apps, at })
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination").field("kind", &self.kind("")).finish_non_exhaustive()
    }
}

impl Destination {
    /// A folder that is this service's own.
    pub fn folder(path: PathBuf) -> Destination {
        Destination { apps: Vec::new(), at: At::Folder { path } }
    }

    /// A part of a bucket, `s3://bucket/prefix`, that is this service's own; None where that is no bucket.
    pub fn bucket(url: &str, endpoint: &str, region: &str) -> Option<Destination> {
        let (bucket, prefix) = bucket(url)?;
        let region = (!region.is_empty()).then(|| region.to_owned());
        let (bucket, prefix, endpoint) = (bucket.to_owned(), prefix.to_owned(), endpoint.to_owned());
        Some(Destination { apps: Vec::new(), at: At::S3 { bucket, prefix, endpoint, region } })
    }

    /// Of the destination of this name.
    pub fn kind(&self, name: &str) -> &'static str {
        match self.at {
            _ if name == DOWNLOAD => DOWNLOAD,
            At::Folder { .. } => "folder",
            At::S3 { .. } => "s3",
            At::Webhook { .. } => "webhook",
        }
    }

    fn is_for(&self, app: &str) -> bool {
        self.apps.is_empty() || self.apps.iter().any(|of| of == app)
    }
}

/// The one of this name, if the app may deliver there.
pub fn find<'d>(all: &'d Destinations, app: &str, name: &str) -> Result<&'d Destination, Error> {
    let found = all.get(name).filter(|destination| destination.is_for(app));
    found.ok_or_else(|| {
        let names: Vec<&String> = of_app(all, app).map(|(name, _)| name).collect();
        let detail = format!("There is no destination `{name}`. There are {names:?}.");
        let problem = Problem::new(Kind::Invalid, "invalid_body", detail);
        problem.with_fault("/destination", "unknown_destination", None).into()
    })
}

pub fn of_app<'d>(all: &'d Destinations, app: &str) -> impl Iterator<Item = (&'d String, &'d Destination)> {
    all.iter().filter(move |(_, destination)| destination.is_for(app))
}

/// Where files go, and what begins their names there.
pub fn open_files(at: &At) -> Result<(Arc<dyn ObjectStore>, Key), Error> {
    let failed = |error: &dyn fmt::Display| Error::Inside(format!("can't open the destination: {error}"));
    match at {
        At::Folder { path } => {
            std::fs::create_dir_all(path).map_err(|error| failed(&error))?;
            let files = LocalFileSystem::new_with_prefix(path).map_err(|error| failed(&error))?;
            Ok((Arc::new(files), Key::default()))
        }
        At::S3 { bucket, prefix, endpoint, region } => {
            let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
            if let Some(region) = region {
                builder = builder.with_region(region);
            }
            if !endpoint.is_empty() {
                builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
            }
            Ok((Arc::new(builder.build().map_err(|error| failed(&error))?), Key::from(&**prefix)))
        }
        At::Webhook { .. } => Err(Error::Inside("a webhook takes no files".to_owned())),
    }
}

fn bucket(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("s3://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'))?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Destinations {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_destination_is_for_the_apps_that_it_names() {
        let all =
            read("[a]\nkind = 'folder'\npath = '/x'\n[b]\nkind = 's3'\nurl = 's3://b/p'\napps = ['shop']");
        let names = |app| of_app(&all, app).map(|(name, _)| &**name).collect::<Vec<_>>();
        assert_eq!((names("shop"), names("other")), (vec!["a", "b"], vec!["a"]));
        assert!(find(&all, "other", "b").is_err() && find(&all, "shop", "b").is_ok());
    }

    #[test]
    fn what_can_t_be_meant_is_refused() {
        for text in [
            "kind = 's3'\nurl = 'http://b'",
            "kind = 's3'\nurl = 's3://'",
            "kind = 'webhook'\nurl = 'nowhere'\nsecret_env = 'S'",
            "kind = 'webhook'\nurl = 'ftp://host/'\nsecret_env = 'S'",
            "kind = 'webhook'\nurl = 'https://host/'\nsecret_env = 'S'\nbatch = 0",
            "kind = 'webhook'\nurl = 'https://host/'",
            "kind = 'folder'\npath = '/x'\nsecret = 'y'",
            "kind = 'pigeon'",
        ] {
            assert!(toml::from_str::<Destinations>(&format!("[a]\n{text}")).is_err(), "{text}");
        }
    }
}
