//! An answer that was given before, asked for again and again: of the server, through its gateway, and of a
//! bare one that sends the same bytes.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use reqwest::Method;

use super::bare::Bare;
use super::sender::{Answer, Sender};
use crate::builds::process::processor_seconds_of;
use crate::tiers::server::Server;
use crate::times::median;

/// The path of a read, as the bare server has it.
pub const ROUTE: &str = "/v1/apps/{app}/insights/labels/{label}";
const CROWD: &str = "active_7d";
const WARM_UP: Duration = Duration::from_secs(1);

/// How it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub connections: usize,
    pub time: Duration,
    pub rounds: usize,
}

/// Two servers that give the same answer.
pub struct Pair {
    senders: [(Sender, u32); 2],
    answers: [Answer; 2],
}

/// Medians of the rounds; of the server first, then of the bare one.
#[derive(Debug)]
pub struct Measured {
    pub rates: [f64; 2],
    /// Seconds of each server's processor time per answer.
    pub used: [f64; 2],
    /// Of the rates, round by round.
    pub ratio: f64,
    pub bytes: [usize; 2],
    pub body: usize,
}

/// Has the profile of an app worked out.
pub async fn work_out(server: &Server, app: &str) -> anyhow::Result<()> {
    let path = format!("/v1/apps/{app}/insights/refresh");
    let sent = server.target.request(Method::POST, &path).send().await?;
    server.target.follow(&sent.error_for_status()?.json().await?).await
}

/// The path that is read.
pub fn path(app: &str, label: &str) -> String {
    format!("/v1/apps/{app}/insights/labels/{label}?crowd={CROWD}")
}

impl Pair {
    /// Takes the first answer of one server, process `id` at `address`, for that of a bare one, which
    /// `program` with `arguments` becomes.
    pub async fn new(
        (address, id): (SocketAddr, u32),
        path: &str,
        (program, arguments): (&Path, &[&str]),
    ) -> anyhow::Result<(Pair, Bare)> {
        let sender = Sender::new(address, path);
        let answer = sender.once().await?;
        let bare = Bare::start(program, arguments, &answer)?;
        let bare_sender = Sender::new(bare.address, path);
        let bare_answer = bare_sender.once().await?;
        ensure!(answer.body == bare_answer.body, "the servers answer differently");
        for name in ["content-type", "etag", "cache-control"] {
            ensure!(answer.header(name) == bare_answer.header(name), "they send another `{name}`");
        }
        let senders = [(sender, id), (bare_sender, bare.id())];
        Ok((Pair { senders, answers: [answer, bare_answer] }, bare))
    }

    /// Both in turn, the one that begins changing from round to round.
    pub async fn measure(&self, load: Load) -> anyhow::Result<Measured> {
        for (sender, _) in &self.senders {
            sender.keep_asking(load.connections, WARM_UP.min(load.time)).await?;
        }
        let (mut rates, mut used, mut ratios) = ([vec![], vec![]], [vec![], vec![]], vec![]);
        for round in 0..load.rounds.max(1) {
            for turn in 0..2 {
                let which = (round + turn) % 2;
                let (sender, id) = &self.senders[which];
                let before = processor_seconds_of(*id)?;
                let (answers, rate) = sender.keep_asking(load.connections, load.time).await?;
                used[which].push((processor_seconds_of(*id)? - before) / answers as f64);
                rates[which].push(rate);
            }
            ratios.push(rates[0][round] / rates[1][round]);
        }
        Ok(Measured {
            rates: rates.map(median),
            used: used.map(median),
            ratio: median(ratios),
            bytes: [self.answers[0].bytes, self.answers[1].bytes],
            body: self.answers[0].body.len(),
        })
    }
}

impl Measured {
    pub fn print(&self, users: u32, label: &str, load: Load) {
        println!(
            "{users} users, {label} in {CROWD}: a body of {} bytes, {} connections, {} rounds of {} s\n",
            self.body,
            load.connections,
            load.rounds,
            load.time.as_secs_f64(),
        );
        println!(
            "| read | answers a second | of the bare server's | processor time an answer | bytes an answer |"
        );
        println!("| :--- | ---: | ---: | ---: | ---: |");
        for (which, name) in ["`muster serve`", "a bare actix handler"].into_iter().enumerate() {
            println!(
                "| {name} | {:.0} | {:.2} | {:.1} µs | {} |",
                self.rates[which],
                self.rates[which] / self.rates[1],
                self.used[which] * 1e6,
                self.bytes[which],
            );
        }
        println!("\nMedian of the ratios round by round: {:.2}\n", self.ratio);
    }
}
