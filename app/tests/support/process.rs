//! One process of the program under test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;

const PATIENCE: Duration = Duration::from_secs(120);

pub struct Process {
    pub name: String,
    data: PathBuf,
    port: u16,
    args: Vec<String>,
    child: Option<Child>,
}

impl Process {
    /// `muster serve` on `data`, its configuration and its log beside the folder.
    pub fn start(name: &str, data: &Path, port: u16, args: &[&str], config: &str) -> Process {
        std::fs::write(data.with_extension(format!("{name}.toml")), config).unwrap();
        let args = args.iter().map(|arg| arg.to_string()).collect();
        let mut process = Process { name: name.to_owned(), data: data.to_owned(), port, args, child: None };
        process.start_again();
        process
    }

    /// Starts it when it does not run, on the same port.
    pub fn start_again(&mut self) {
        let beside = |extension: &str| self.data.with_extension(format!("{}.{extension}", self.name));
        let log = std::fs::File::options().create(true).append(true).open(beside("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.arg("serve").arg("--data").arg(&self.data).arg("--config").arg(beside("toml"));
        // Of the S3 server that tests may start; it takes any.
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("MUSTER_TEST_SECRET", "a secret of the tests");
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]).args(&self.args);
        self.child.get_or_insert_with(|| command.stdin(Stdio::null()).stderr(log).spawn().unwrap());
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub async fn until_ready(&mut self, http: &reqwest::Client) {
        let until = Instant::now() + PATIENCE;
        loop {
            // Without this another server that has its port would pass for it.
            if let Some(ended) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("{} ended, {ended}: {}", self.name, self.log());
            }
            match http.get(format!("{}/readyz", self.url())).send().await {
                Ok(answer) if answer.status() == StatusCode::OK => return,
                _ if Instant::now() > until => panic!("{} did not get ready: {}", self.name, self.log()),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let id = self.child.as_ref().expect("it runs").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.with_extension(format!("{}.log", self.name))).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
