//! What `make insights` does, over little.

use std::process::Command;
use std::time::Duration;

use muster_load_tests::insights::bare::Bare;
use muster_load_tests::insights::reads::{Load, Pair};
use muster_load_tests::insights::sender::Answer;

const PROGRAM: &str = env!("CARGO_BIN_EXE_insights");

#[test]
fn a_day_is_counted_and_written() {
    let sizes = ["--users", "3000", "--runs", "1", "--labels", "3", "--committed", "5"];
    let run = Command::new(PROGRAM).args(["--parts", "matrix,writes", "--embedded"]).args(sizes).output();
    let run = run.unwrap();
    let (told, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{errors}");
    for begins in
        ["| all | 3000 |", "| trade_30d | ", "| 3000 | 45 | 160 | 8 | 1280 | 2 | ", "| SQLite | 528 | "]
    {
        assert!(told.contains(begins), "{begins}\n{told}");
    }
    assert!(!told.contains("_30d | 0 |"), "orders are trade: {told}");
}

#[tokio::test]
async fn equal_answers_are_asked_for_in_turn() {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![header("content-type", "application/json"), header("etag", "W/\"1\"")];
    let answer = Answer { headers, body: b"{\"tags\":[]}".repeat(20_000), bytes: 0 };
    // One bare server stands for the other one.
    let first = Bare::start(PROGRAM.as_ref(), &["--bare"], &answer).unwrap();
    let path = "/v1/apps/a/insights/labels/l?crowd=active_7d";
    let at = (first.address, first.id());
    let (pair, _second) = Pair::new(at, path, (PROGRAM.as_ref(), &["--bare"])).await.unwrap();
    let load = Load { connections: 3, time: Duration::from_millis(50), rounds: 2 };
    let measured = pair.measure(load).await.unwrap();
    assert_eq!(measured.body, answer.body.len());
    assert!(measured.rates.iter().all(|rate| *rate > 0.0), "{measured:?}");
    let unknown = Pair::new(at, "/v1/apps", (PROGRAM.as_ref(), &["--bare"])).await;
    assert!(unknown.is_err_and(|error| error.to_string().contains("404")));
}
