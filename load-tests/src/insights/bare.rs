//! The least that a server can do: it sends the same answer to everybody, as a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context;

use super::sender::Answer;

/// What is sent of the other server's headers; length and date come by themselves.
const HEADERS: [HeaderName; 3] = [CONTENT_TYPE, ETAG, CACHE_CONTROL];

/// A running one; stopped when dropped.
pub struct Bare {
    process: Child,
    pub address: SocketAddr,
}

impl Bare {
    /// Starts `program`, whose `main` is to call [`serve`] when it gets the arguments.
    pub fn start(program: &Path, arguments: &[&str], answer: &Answer) -> anyhow::Result<Bare> {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?;
        // Left open: its end tells the process that we are gone.
        let input = process.stdin.as_mut().context("no way to the process")?;
        writeln!(input, "{}", serde_json::to_string(answer)?)?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no way back")?).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("no address: `{line}`"));
        match address {
            Ok(address) => Ok(Bare { process, address }),
            Err(error) => {
                process.kill()?;
                process.wait()?;
                Err(error)
            }
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended by itself; nothing of it is kept either way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Same {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

/// Sends what stands in the first line of standard input, with as many workers as a server has by default,
/// until the input ends.
pub async fn serve(route: &'static str) -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let answer: Answer = serde_json::from_str(&line)?;
    let value = |name: HeaderName| Some((name.clone(), HeaderValue::from_str(answer.header(name.as_str())?)));
    let headers = HEADERS.into_iter().filter_map(value).map(|(name, value)| Ok((name, value?)));
    let headers = headers.collect::<anyhow::Result<_>>()?;
    let same = Data::new(Same { headers, body: answer.body.into() });
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let app = move || App::new().app_data(same.clone()).route(route, web::get().to(send));
    let server = HttpServer::new(app).disable_signals().listen(listener)?.run();
    let handle = server.handle();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        drop(handle.stop(false));
    });
    Ok(server.await?)
}

async fn send(same: Data<Same>) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    same.headers.iter().for_each(|(name, value)| _ = answer.insert_header((name.clone(), value.clone())));
    answer.body(same.body.clone())
}
