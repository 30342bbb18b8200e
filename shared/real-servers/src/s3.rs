//! A server of the S3 API on a port of its own: moto, from Python's registry, in an environment of its own.
//! It keeps its objects in memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::process::{Guarded, free_port, until_listening};

/// What the server is called with; any credentials do.
pub const BUCKET: &str = "muster-test";

static INSTALLING: Mutex<()> = Mutex::new(());

pub struct S3 {
    port: u16,
    process: Guarded,
}

impl S3 {
    /// With an empty bucket. `tools` is a folder that outlives the test, where moto is installed once.
    pub fn start(tools: &Path) -> S3 {
        let python = install(&tools.join("s3-tools"));
        let port = free_port();
        let process = serve(&python, port);
        let made = Command::new(&python).args(["-c", MAKE_BUCKET, &port.to_string()]).status().unwrap();
        assert!(made.success(), "the bucket could not be made");
        S3 { port, process }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// SIGKILL: every object is gone with it.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

const MAKE_BUCKET: &str = "import sys, urllib.request as r
r.urlopen(r.Request(f'http://127.0.0.1:{sys.argv[1]}/muster-test', method='PUT',
    headers={'Authorization': 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request'}))";

fn serve(python: &Path, port: u16) -> Guarded {
    let server = python.with_file_name("moto_server");
    let port_text = port.to_string();
    let process = Guarded::start(server.to_str().unwrap(), ["-H", "127.0.0.1", "-p", &port_text]);
    until_listening(port, "moto_server");
    process
}

fn install(folder: &Path) -> PathBuf {
    let _alone = INSTALLING.lock().unwrap();
    let python = folder.join("bin/python");
    let there = || {
        Command::new(&python).args(["-c", "import moto, flask"]).output().is_ok_and(|o| o.status.success())
    };
    if there() {
        return python;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "moto[server]==5.1.19"]));
    assert!(there(), "moto was installed and can't be used");
    python
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
