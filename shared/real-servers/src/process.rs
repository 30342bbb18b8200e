//! A server process that dies with the process that started it.

use std::ffi::OsStr;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// The shell starts the server and waits for the end of its input, which is ours: it comes when we die, or
/// when this is dropped. Who dies has said nothing before, and the server's folder goes with it: nobody else
/// would remove what belongs to a static.
const GUARD: &str = r#"folder=$1; shift; "$@" >/dev/null 2>&1 </dev/null & server=$!
last_word=$(cat); kill -9 $server; wait $server 2>/dev/null
[ -n "$last_word" ] || [ -z "$folder" ] || rm -rf "$folder""#;

pub struct Guarded {
    shell: Option<Child>,
}

impl Guarded {
    pub fn start<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Guarded {
        Guarded::start_in("", program, args)
    }

    /// The folder is removed when this process ends with the server still running.
    pub fn start_in<S: AsRef<OsStr>>(
        folder: impl AsRef<OsStr>,
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Guarded {
        let shell = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(folder)
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("there is a shell");
        Guarded { shell: Some(shell) }
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            let mut stdin = shell.stdin.take().expect("the shell listens");
            stdin.write_all(b"keep").expect("the shell listens");
            drop(stdin);
            shell.wait().expect("the shell ends");
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports below those that systems give to outgoing connections, so that none of these takes one between
/// now and the server's start.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A port that nothing listens on and that this process has not given out before: two servers started
/// side by side never get the same one.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let ports = u32::from(PORTS.end - PORTS.start);
    // Other processes that test at this time begin elsewhere.
    let first = std::process::id().wrapping_mul(7_919) % ports;
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        assert!(given < ports, "every port was given out");
        let port = PORTS.start + ((first + given) % ports) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something listens on the port.
pub fn until_listening(port: u16, what: &str) {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "{what} does not start: is it installed? `make servers` installs it");
        std::thread::sleep(Duration::from_millis(20));
    }
}
