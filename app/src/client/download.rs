//! Fetches a file of a download, and checks that it is the one that the manifest tells of.

use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWriteExt, BufWriter};

use super::Client;
use crate::failure::Failure;
use crate::show::{bar, text};

/// A file of a delivery, as its manifest tells of it.
pub struct Wanted<'a> {
    pub app: &'a str,
    pub delivery: &'a str,
    pub part: &'a Value,
}

impl Wanted<'_> {
    fn file(&self) -> String {
        text(self.part, "file")
    }
}

/// Its path once it is whole, and not before. Into a folder it goes under its own name.
pub async fn fetch(client: &Client, wanted: &Wanted<'_>, to: &Path, quiet: bool) -> Result<PathBuf, Failure> {
    let path = if to.is_dir() { to.join(wanted.file()) } else { to.to_owned() };
    let mut aside = path.clone().into_os_string();
    aside.push(".part");
    let fetched = write(client, wanted, Path::new(&aside), quiet).await;
    if fetched.is_err() {
        // What has come is of no use; the failure is what matters.
        let _ = tokio::fs::remove_file(&aside).await;
    }
    fetched?;
    tokio::fs::rename(&aside, &path).await?;
    Ok(path)
}

async fn write(client: &Client, wanted: &Wanted<'_>, aside: &Path, quiet: bool) -> Result<(), Failure> {
    let Wanted { app, delivery, part } = wanted;
    let name = wanted.file();
    let request = client.request(Method::GET, &["apps", app, "deliveries", delivery, "files", &name])?;
    let mut body = client.send(request).await?.bytes_stream();
    let mut file = BufWriter::new(tokio::fs::File::create(aside).await?);
    let bytes = part.get("bytes").and_then(Value::as_u64).unwrap_or_default();
    let bar = bar::bytes(bytes, format!("fetching {name}"), quiet);
    let mut sha = Sha256::new();
    while let Some(chunk) = body.try_next().await.map_err(|err| client.broken(err))? {
        sha.update(&chunk);
        file.write_all(&chunk).await?;
        bar.inc(chunk.len() as u64);
    }
    file.flush().await?;
    bar.finish_and_clear();
    let came: String = sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if came != text(part, "sha256") {
        return Err(anyhow::anyhow!("{name} came damaged: its SHA-256 is {came}").into());
    }
    Ok(())
}
