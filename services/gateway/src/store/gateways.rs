//! A sorted set in Redis: the gateways that live, each with the time of its last sign of life.

use redis::RedisError;
use redis::aio::ConnectionManager;

/// A gateway that was silent for so long is gone.
const GONE_AFTER_MS: i64 = 5_000;

#[derive(Clone)]
pub struct Gateways {
    connection: ConnectionManager,
    key: String,
}

impl Gateways {
    pub fn new(connection: ConnectionManager, prefix: &str) -> Gateways {
        Gateways { connection, key: format!("{prefix}:gateways") }
    }

    /// Says that `own` lives, and counts those that do.
    pub async fn announce(&self, own: &str, now: i64) -> Result<u32, RedisError> {
        let mut announce = redis::pipe();
        announce
            .atomic()
            .zadd(&self.key, own, now)
            .ignore()
            .zrembyscore(&self.key, 0, now - GONE_AFTER_MS)
            .ignore()
            .zcard(&self.key);
        let (living,): (u32,) = announce.query_async(&mut self.connection.clone()).await?;
        Ok(living.max(1))
    }

    pub async fn leave(&self, own: &str) -> Result<(), RedisError> {
        let mut leave = redis::cmd("ZREM");
        leave.arg(&self.key).arg(own).query_async(&mut self.connection.clone()).await
    }
}
