//! Opening real SQLite files.

use muster_sql::{Db, Pool, is_unique_violation, on};

fn lite(db: &Db) -> &sqlx::SqlitePool {
    match db.pool() {
        Pool::Lite(pool) => pool,
        Pool::My(_) => panic!("a file was opened"),
    }
}

async fn text(db: &Db, query: &'static str) -> String {
    sqlx::query_scalar(query).fetch_one(lite(db)).await.unwrap()
}

#[tokio::test]
async fn a_commit_is_on_the_disk_and_readers_do_not_block_it() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("muster.db")).await.unwrap();
    assert_eq!(text(&db, "PRAGMA journal_mode").await, "wal");
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(lite(&db)).await.unwrap();
    assert_eq!(synchronous, 2, "FULL");
}

#[tokio::test]
async fn one_file_opened_from_all_sides_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("muster.db");
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { Db::open(&path).await.map(drop) })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn transactions_that_read_before_they_write_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("muster.db")).await.unwrap();
    sqlx::query("CREATE TABLE tally (n INTEGER NOT NULL)").execute(lite(&db)).await.unwrap();
    sqlx::query("INSERT INTO tally VALUES (0)").execute(lite(&db)).await.unwrap();
    let counting: Vec<_> = (0..20)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let n: i64 = on!(tx &mut tx, c =>
                    sqlx::query_scalar("SELECT n FROM tally").fetch_one(c).await.unwrap());
                on!(tx &mut tx, c =>
                    sqlx::query("UPDATE tally SET n = ?").bind(n + 1).execute(c).await.map(drop).unwrap());
                tx.commit().await.unwrap();
            })
        })
        .collect();
    for done in counting {
        done.await.unwrap();
    }
    let n: i64 = sqlx::query_scalar("SELECT n FROM tally").fetch_one(lite(&db)).await.unwrap();
    assert_eq!(n, 20);
}

#[tokio::test]
async fn a_key_that_is_taken_is_told_apart_from_other_errors() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("muster.db")).await.unwrap();
    sqlx::query("CREATE TABLE thing (id TEXT PRIMARY KEY)").execute(lite(&db)).await.unwrap();
    let insert = || sqlx::query("INSERT INTO thing VALUES ('a')").execute(lite(&db));
    insert().await.unwrap();
    assert!(is_unique_violation(&insert().await.unwrap_err()));
    let nonsense = sqlx::query("INSERT INTO nothing VALUES (1)").execute(lite(&db)).await.unwrap_err();
    assert!(!is_unique_violation(&nonsense));
}
