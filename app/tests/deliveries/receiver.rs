//! A webhook's other side: takes requests over HTTP/1.1, and turns some away for now.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Request {
    headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// It was answered 200.
    pub taken: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        &self.headers[name]
    }
}

pub struct Receiver {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    refuses: Arc<AtomicBool>,
}

impl Receiver {
    /// Each answer takes so long, and every `refused`th is 503. What is sent to `/gone` is 410.
    pub fn start(refused: usize, takes: Duration) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let refuses: Arc<AtomicBool> = Arc::default();
        let (kept, gone) = (requests.clone(), refuses.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (kept, gone) = (kept.clone(), gone.clone());
                std::thread::spawn(move || serve(connection.unwrap(), (&kept, &gone), (refused, takes)));
            }
        });
        Receiver { url, requests, refuses }
    }

    /// Whether every request is answered 410 from now on.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Requests of one connection, until it is closed.
fn serve(
    connection: TcpStream,
    (kept, gone): (&Mutex<Vec<Request>>, &AtomicBool),
    (refused, takes): (usize, Duration),
) {
    let mut reader = BufReader::new(connection);
    loop {
        let mut first = String::new();
        if !reader.read_line(&mut first).is_ok_and(|read| read > 0) {
            return;
        }
        let mut headers = BTreeMap::new();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
            let (name, value) = line.split_once(':').unwrap();
            headers.insert(name.to_lowercase(), value.trim().to_owned());
            line.clear();
        }
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        std::thread::sleep(takes);
        let mut kept = kept.lock().unwrap();
        let answer = match (
            first.contains("/gone") || gone.load(Ordering::Relaxed),
            (kept.len() + 1).is_multiple_of(refused),
        ) {
            (true, _) => "410 Gone",
            (_, true) => "503 Service Unavailable",
            _ => "200 OK",
        };
        kept.push(Request { headers, body, taken: answer == "200 OK" });
        drop(kept);
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
