//! ClickHouse's engine in a process of its own, and the set in the seed's tables: a bitmap of raw ids per
//! tag, and behaviour as rows of (event, day, page, user).

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::json;

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clickhouse/engine.py");
const INSTALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clickhouse/install.sh");

pub struct Peer {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    threads: usize,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Done(Run),
    Failed { error: String },
}

#[derive(Deserialize)]
pub struct Run {
    pub rows: String,
    pub seconds: Vec<f64>,
}

impl Peer {
    /// Starts the engine on the folder `data`; `environment` keeps its Python packages.
    pub fn start(environment: &Path, data: &Path, threads: usize) -> anyhow::Result<Peer> {
        let installed = Command::new(INSTALL).arg(environment).status().context("installing chDB")?;
        if !installed.success() {
            bail!("chDB could not be installed");
        }
        let mut child = Command::new(environment.join("bin/python"))
            .args([Path::new(DRIVER), data])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting ClickHouse's engine")?;
        let ask = child.stdin.take().context("no stdin")?;
        let answers = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut peer = Peer { child, ask, answers, threads };
        peer.run("CREATE DATABASE IF NOT EXISTS muster", 1)?;
        Ok(peer)
    }

    /// Runs one statement so many times; `seconds` are the engine's own.
    pub fn run(&mut self, sql: &str, repeat: usize) -> anyhow::Result<Run> {
        writeln!(self.ask, "{}", json!({ "sql": sql, "repeat": repeat }))?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match serde_json::from_str(&line).with_context(|| format!("ClickHouse ended at: {sql}"))? {
            Answer::Done(run) => Ok(run),
            Answer::Failed { error } => bail!("{error}\nin: {sql}"),
        }
    }

    pub fn make_tables(&mut self) -> anyhow::Result<()> {
        for table in [
            "labels (label UInt16, tag UInt16, users AggregateFunction(groupBitmap, UInt32)) \
             ENGINE = AggregatingMergeTree ORDER BY (label, tag)",
            "behaviour (event UInt8, ds UInt32, page UInt16, user UInt32, pv UInt16) \
             ENGINE = MergeTree ORDER BY (event, ds, page, user)",
        ] {
            self.run(&format!("CREATE TABLE muster.{table}"), 1)?;
        }
        Ok(())
    }

    /// `file` holds (tag UInt16, user UInt32) in RowBinary.
    pub fn load_label(&mut self, label: u16, file: &Path) -> anyhow::Result<()> {
        let from = format!("file('{}', 'RowBinary', 'tag UInt16, user UInt32')", file.display());
        let sql = format!(
            "INSERT INTO muster.labels SELECT {label}, tag, groupBitmapState(user) FROM {from} GROUP BY tag"
        );
        self.run(&sql, 1).map(drop)
    }

    /// `file` holds (event UInt8, ds UInt32, page UInt16, user UInt32, pv UInt16) in RowBinary.
    pub fn load_behaviour(&mut self, file: &Path) -> anyhow::Result<()> {
        let shape = "event UInt8, ds UInt32, page UInt16, user UInt32, pv UInt16";
        let from = format!("file('{}', 'RowBinary', '{shape}')", file.display());
        self.run(&format!("INSERT INTO muster.behaviour SELECT * FROM {from}"), 1).map(drop)
    }

    /// Merges everything into one part per table, the best case for reading.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        for table in ["labels", "behaviour"] {
            self.run(&format!("OPTIMIZE TABLE muster.{table} FINAL"), 1)?;
        }
        Ok(())
    }

    /// The rule's count, and the seconds of each of `repeat` runs.
    pub fn count(&mut self, sql: &str, repeat: usize) -> anyhow::Result<(u64, Vec<f64>)> {
        let sql = sql
            .replace("FROM labels", "FROM muster.labels")
            .replace("FROM behaviour", "FROM muster.behaviour");
        let run = self.run(&format!("{sql} SETTINGS max_threads = {}", self.threads), repeat)?;
        Ok((run.rows.parse().with_context(|| format!("no count: {}", run.rows))?, run.seconds))
    }

    /// Bytes on disk of the two tables.
    pub fn bytes(&mut self) -> anyhow::Result<(u64, u64)> {
        let mut of = |table: &str| -> anyhow::Result<u64> {
            let sql = format!(
                "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'muster' AND table = '{table}'"
            );
            Ok(self.run(&sql, 1)?.rows.parse()?)
        };
        Ok((of("labels")?, of("behaviour")?))
    }

    pub fn version(&mut self) -> anyhow::Result<String> {
        Ok(self.run("SELECT version()", 1)?.rows)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where ClickHouse's packages are kept between runs.
pub fn environment() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clickhouse-env")
}
