//! A Redis server with a port of its own. It keeps nothing: one that comes back is empty.

use crate::process::{Guarded, free_port, until_listening};

pub struct Redis {
    port: u16,
    process: Guarded,
}

impl Redis {
    pub fn start() -> Redis {
        let port = free_port();
        Redis { port, process: serve(port) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        url(self.port)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// On the same port, empty.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = serve(self.port);
    }
}

pub(crate) fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/0")
}

fn serve(port: u16) -> Guarded {
    let port_text = port.to_string();
    let args = ["--port", &port_text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let process = Guarded::start("redis-server", args);
    until_listening(port, "redis-server");
    process
}
