//! A MariaDB server with a folder and a port of its own.

use std::process::Command;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use crate::process::{Guarded, free_port, until_listening};

pub struct Maria {
    folder: TempDir,
    port: u16,
    process: Guarded,
}

impl Maria {
    pub fn start() -> Maria {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("mariadb-install-db")
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
            ])
            .arg(format!("--datadir={}", folder.path().join("data").display()))
            // Several servers that begin at once would tread on each other's temporary tables.
            .arg(format!("--tmpdir={}", folder.path().display()))
            .output()
            .expect("MariaDB is not installed: `make servers` installs it");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let process = serve(&folder, port);
        Maria { folder, port, process }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// On the same folder and port.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = serve(&self.folder, self.port);
    }

    /// The address of a database of this name, which is made when it is missing.
    pub async fn database(&self, name: &str) -> String {
        database(self.port, name).await
    }
}

pub(crate) async fn database(port: u16, name: &str) -> String {
    let options = MySqlConnectOptions::new().host("127.0.0.1").port(port).username("root");
    let mut connection = options.connect().await.unwrap();
    let create = format!("CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4");
    sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    format!("mysql://root@127.0.0.1:{port}/{name}")
}

fn serve(folder: &TempDir, port: u16) -> Guarded {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let process = Guarded::start_in(
        folder.path(),
        "mariadbd",
        [
            "--no-defaults".to_owned(),
            "--user=root".to_owned(),
            format!("--datadir={}", path("data")),
            format!("--tmpdir={}", folder.path().display()),
            format!("--socket={}", path("socket")),
            format!("--pid-file={}", path("pid")),
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--max-connections=500".to_owned(),
            "--max-allowed-packet=64M".to_owned(),
            "--innodb-buffer-pool-size=64M".to_owned(),
            "--innodb-log-file-size=32M".to_owned(),
            // What a commit promises here is to survive kill -9, not a power cut.
            "--innodb-flush-log-at-trx-commit=2".to_owned(),
        ],
    );
    until_listening(port, "mariadbd");
    process
}
