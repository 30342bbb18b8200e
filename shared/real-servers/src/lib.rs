//! For tests only: real MariaDB and Redis servers on private ports, and the choice of the shape a test
//! runs in. `MUSTER_SHAPE=split` puts tables into MariaDB and queues into Redis; otherwise both are SQLite
//! files. The same tests run in both shapes.
//!
//! A server lives no longer than the process that started it, however that ends.

mod maria;
mod process;
mod redis;
mod s3;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::LazyLock;

use muster_sql::{Db, Server};

pub use maria::Maria;
pub use process::free_port;
pub use redis::Redis;
pub use s3::{BUCKET, S3};

/// Tells a child of a test which servers its parent uses: two ports.
const SERVERS: &str = "MUSTER_TEST_SERVERS";

static PARENTS: LazyLock<Option<(u16, u16)>> = LazyLock::new(|| {
    let ports = std::env::var(SERVERS).ok()?;
    let (maria, redis) = ports.split_once(',').expect("two ports");
    Some((maria.parse().unwrap(), redis.parse().unwrap()))
});
static MARIA: LazyLock<Maria> = LazyLock::new(Maria::start);
static REDIS: LazyLock<Redis> = LazyLock::new(Redis::start);

fn maria_port() -> u16 {
    PARENTS.map_or_else(|| MARIA.port(), |(maria, _)| maria)
}

fn redis_port() -> u16 {
    PARENTS.map_or_else(|| REDIS.port(), |(_, redis)| redis)
}

/// The environment in which a child process finds the servers of this one.
pub fn environment() -> Vec<(&'static str, String)> {
    if !split() {
        return Vec::new();
    }
    vec![("MUSTER_SHAPE", "split".to_owned()), (SERVERS, format!("{},{}", maria_port(), redis_port()))]
}

/// Whether tests run on MariaDB and Redis.
pub fn split() -> bool {
    match std::env::var("MUSTER_SHAPE").as_deref() {
        Ok("split") => true,
        Ok("embedded") | Err(_) => false,
        Ok(other) => panic!("MUSTER_SHAPE is `embedded` or `split`, not `{other}`"),
    }
}

/// The database that belongs to a test's folder, with its tables; the same one for the same folder.
pub async fn database(folder: &Path) -> Db {
    if !split() {
        return Db::open(&folder.join("muster.db")).await.unwrap();
    }
    let server = Server::new(&database_url(folder).await, 8).unwrap();
    muster_sql::migrate(&server).await.unwrap();
    Db::connect(&server).await.unwrap()
}

/// The address of the MariaDB database that belongs to a test's folder.
pub async fn database_url(folder: &Path) -> String {
    maria::database(maria_port(), &name_of(folder)).await
}

/// Address and prefix of the Redis that belongs to a test's folder; None where the queue is a file.
pub fn redis(folder: &Path) -> Option<(String, String)> {
    split().then(|| (redis::url(redis_port()), name_of(folder)))
}

fn name_of(folder: &Path) -> String {
    let mut hash = DefaultHasher::new();
    folder.hash(&mut hash);
    format!("test_{:016x}", hash.finish())
}
