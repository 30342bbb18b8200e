//! What apps took: counted here, added to the table now and then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Datelike, Days, Utc};
use muster_sql::Db;

use crate::class::QuotaKind;
use crate::error::GatewayError;
use crate::store::usage::{self as store, UsageRow};

/// Older days are forgotten.
pub const KEPT_DAYS: u32 = 90;

const DAY_MS: i64 = 86_400_000;

#[derive(Default)]
pub struct Usage {
    fresh: Mutex<HashMap<(u32, String, QuotaKind), Counts>>,
    /// Held while counts are on their way into the table, so that nobody looks while they are in neither.
    moving: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    calls: i64,
    units: i64,
    refused: i64,
}

impl Usage {
    /// A call of an app was answered; `units` is what it took, 0 when it was refused.
    pub fn count(&self, app: &str, kind: QuotaKind, units: u64, refused: bool, now: i64) {
        let mut fresh = self.fresh();
        let counts = fresh.entry((day(now, 0), app.to_owned(), kind)).or_default();
        counts.calls += 1;
        counts.units += i64::try_from(units).unwrap_or(i64::MAX);
        counts.refused += i64::from(refused);
    }

    /// Adds what was counted to the table. What can't be added is kept for the next time.
    pub async fn flush(&self, db: &Db) -> Result<(), GatewayError> {
        let _alone = self.moving.lock().await;
        let mut taken: Vec<UsageRow> = self.fresh().drain().map(row).collect();
        while let Some(row) = taken.pop() {
            if let Err(error) = store::add(db, &row).await {
                self.put_back(row);
                taken.into_iter().for_each(|row| self.put_back(row));
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn put_back(&self, row: UsageRow) {
        let Some(kind) = QuotaKind::from_name(&row.class) else { return };
        let mut fresh = self.fresh();
        let counts = fresh.entry((row.ds, row.app_id, kind)).or_default();
        counts.calls += row.calls;
        counts.units += row.units;
        counts.refused += row.refused;
    }

    /// An app's last days, newest first: what every gateway has added, and what this one has not yet.
    pub async fn of(&self, db: &Db, app: &str, days: u32, now: i64) -> Result<Vec<UsageRow>, GatewayError> {
        let from = day(now, days.saturating_sub(1));
        let _alone = self.moving.lock().await;
        let mut rows = store::since(db, app, from).await?;
        let fresh: Vec<UsageRow> = {
            let fresh = self.fresh();
            let own = fresh.iter().filter(|((ds, of, _), _)| of == app && *ds >= from);
            own.map(|(key, counts)| row((key.clone(), *counts))).collect()
        };
        for new in fresh {
            match rows.iter_mut().find(|row| (row.ds, &row.class) == (new.ds, &new.class)) {
                Some(row) => {
                    row.calls += new.calls;
                    row.units += new.units;
                    row.refused += new.refused;
                }
                None => rows.push(new),
            }
        }
        rows.sort_by(|a, b| b.ds.cmp(&a.ds).then_with(|| a.class.cmp(&b.class)));
        Ok(rows)
    }

    /// Forgets days that are older than what is kept.
    pub async fn sweep(&self, db: &Db, now: i64) -> Result<(), GatewayError> {
        let coming = [0, 1, 2].map(|days| day(now + days * DAY_MS, 0));
        Ok(store::keep_days(db, &coming, day(now, KEPT_DAYS)).await?)
    }

    fn fresh(&self) -> MutexGuard<'_, HashMap<(u32, String, QuotaKind), Counts>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row(((ds, app_id, kind), counts): ((u32, String, QuotaKind), Counts)) -> UsageRow {
    let Counts { calls, units, refused } = counts;
    UsageRow { ds, app_id, class: kind.name().to_owned(), calls, units, refused }
}

/// The UTC day of an instant, less so many, as YYYYMMDD.
fn day(now_ms: i64, before: u32) -> u32 {
    let today = DateTime::<Utc>::from_timestamp_millis(now_ms).unwrap_or_default().date_naive();
    let day = today.checked_sub_days(Days::new(before.into())).unwrap_or(today);
    day.year().unsigned_abs() * 10_000 + day.month() * 100 + day.day()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_790_251_200_000; // 2026-09-24 12:00 UTC

    #[tokio::test]
    async fn two_gateways_add_up_and_nothing_is_counted_twice() {
        let folder = tempfile::tempdir().unwrap();
        let db = muster_real_servers::database(folder.path()).await;
        let (one, two) = (Usage::default(), Usage::default());
        for usage in [&one, &two] {
            usage.count("a", QuotaKind::Estimate, 7, false, NOON);
            usage.count("a", QuotaKind::Estimate, 0, true, NOON);
            usage.count("b", QuotaKind::Read, 1, false, NOON);
        }
        one.flush(&db).await.unwrap();
        one.flush(&db).await.unwrap();
        let seen_by = async |usage: &Usage| {
            let rows = usage.of(&db, "a", 7, NOON).await.unwrap();
            assert_eq!(rows.len(), 1);
            (rows[0].ds, rows[0].calls, rows[0].units, rows[0].refused)
        };
        assert_eq!(seen_by(&one).await, (20260924, 2, 7, 1));
        assert_eq!(seen_by(&two).await, (20260924, 4, 14, 2), "its own share, though not written yet");
        two.flush(&db).await.unwrap();
        assert_eq!(seen_by(&one).await, (20260924, 4, 14, 2));
        one.sweep(&db, NOON).await.unwrap();
        one.sweep(&db, NOON + 2 * DAY_MS).await.unwrap();
        assert_eq!(seen_by(&one).await, (20260924, 4, 14, 2), "kept, wherever it lies now");
        one.sweep(&db, NOON + 91 * DAY_MS).await.unwrap();
        assert!(one.of(&db, "a", 7, NOON).await.unwrap().is_empty(), "too old");
        one.count("a", QuotaKind::Estimate, 1, false, NOON);
        one.flush(&db).await.unwrap();
        db.close().await;
        one.count("a", QuotaKind::Estimate, 5, false, NOON);
        assert!(one.flush(&db).await.is_err());
        assert_eq!(one.fresh().values().map(|counts| counts.units).sum::<i64>(), 5, "kept for the next time");
    }

    #[test]
    fn days_are_utc() {
        assert_eq!((day(NOON, 0), day(NOON, 24), day(0, 0)), (20260924, 20260831, 19700101));
    }
}
