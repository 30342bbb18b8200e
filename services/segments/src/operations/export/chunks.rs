//! Bytes on their way to whoever reads an export.

use std::io::{self, ErrorKind, Write};

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

/// Bytes sent at once.
const CHUNK: usize = 256 * 1024;

/// Fails when nobody reads any more.
pub struct Chunks {
    /// To be added to; what is in it is sent by [`Chunks::send_full`].
    pub out: Vec<u8>,
    to: Sender<io::Result<Bytes>>,
}

impl Chunks {
    pub fn new(to: Sender<io::Result<Bytes>>) -> Chunks {
        Chunks { out: Vec::with_capacity(CHUNK + 1024), to }
    }

    pub fn send_full(&mut self) -> io::Result<()> {
        if self.out.len() < CHUNK { Ok(()) } else { self.flush() }
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        self.send_full()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.out, Vec::with_capacity(CHUNK + 1024));
        self.to.blocking_send(Ok(chunk.into())).map_err(|_| ErrorKind::BrokenPipe.into())
    }
}
