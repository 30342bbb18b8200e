//! A sender that costs little, so that it isn't what is measured: one request that is the same every time,
//! over connections that stay open, sent again as soon as it is answered.

use std::net::SocketAddr;
use std::str;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Room for a head and for most bodies.
const BUFFER: usize = 64 << 10;
/// What ends a head.
const BLANK: &[u8] = b"\r\n\r\n";

/// An answer of status 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Of the whole answer.
    pub bytes: usize,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Asks a server for a path, again and again.
#[derive(Clone)]
pub struct Sender {
    at: SocketAddr,
    request: Arc<[u8]>,
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Sender {
    pub fn new(at: SocketAddr, path: &str) -> Sender {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\n\r\n");
        Sender { at, request: request.into_bytes().into() }
    }

    pub async fn once(&self) -> anyhow::Result<Answer> {
        let mut connection = Connection::open(self.at).await?;
        let head = connection.ask(&self.request).await?;
        let text = str::from_utf8(&connection.buffer[..head])?;
        let headers = text.lines().filter_map(|line| line.split_once(": "));
        Ok(Answer {
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
            body: connection.buffer[head..].to_vec(),
            bytes: connection.buffer.len(),
        })
    }

    /// Answers over so many connections within the time, and a second.
    pub async fn keep_asking(&self, connections: usize, time: Duration) -> anyhow::Result<(u64, f64)> {
        let open = (0..connections).map(|_| Connection::open(self.at));
        let open = try_join_all(open).await?;
        let began = Instant::now();
        let tasks = open.into_iter().map(|mut connection| {
            let request = self.request.clone();
            let asking = async move {
                let mut answers = 0;
                while began.elapsed() < time {
                    connection.ask(&request).await?;
                    answers += 1;
                }
                anyhow::Ok(answers)
            };
            async { tokio::spawn(asking).await? }
        });
        let answers = try_join_all(tasks).await?.into_iter().sum();
        Ok((answers, answers as f64 / began.elapsed().as_secs_f64()))
    }
}

impl Connection {
    async fn open(at: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Leaves the answer in the buffer and says how long its head is.
    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<usize> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the server hung up");
            let Some(head) = self.buffer.windows(BLANK.len()).position(|bytes| bytes == BLANK) else {
                continue;
            };
            let head = head + BLANK.len();
            let body = body_length(&self.buffer[..head])?;
            if self.buffer.len() >= head + body {
                return Ok(head);
            }
        }
    }
}

/// Of an answer of status 200.
fn body_length(head: &[u8]) -> anyhow::Result<usize> {
    ensure!(head.starts_with(b"HTTP/1.1 200 "), "another answer: {}", String::from_utf8_lossy(head));
    let mut lines = str::from_utf8(head)?.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Ok(length.context("no length")?.1.parse()?)
}
