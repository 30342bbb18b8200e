//! A real MariaDB: tables are made once, whoever comes, and whatever died half way.

use muster_real_servers::Maria;
use muster_sql::{Db, Server, SqlError, is_unique_violation, keep_days, migrate, on};

async fn server(maria: &Maria, name: &str) -> Server {
    Server::new(&maria.database(name).await, 4).unwrap()
}

async fn scalar(db: &Db, query: &'static str) -> i64 {
    on!(db, pool => sqlx::query_scalar(query).fetch_one(pool).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_processes_migrate_at_once_and_one_does_it() {
    let maria = Maria::start();
    let server = server(&maria, "eight").await;
    let Err(SqlError::NotMigrated { applied: 0, .. }) = Db::connect(&server).await else {
        panic!("a database without tables was opened");
    };
    let migrating: Vec<_> = (0..8)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move { migrate(&server).await.unwrap().len() })
        })
        .collect();
    let mut applied = Vec::new();
    for done in migrating {
        applied.push(done.await.unwrap());
    }
    applied.sort_unstable();
    assert_eq!(applied[..7], [0; 7], "the others found it done");
    assert!(applied[7] >= 3);
    Db::connect(&server).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_died_half_way_is_done_again() {
    let maria = Maria::start();
    let server = server(&maria, "half").await;
    let all = migrate(&server).await.unwrap();
    let db = Db::connect(&server).await.unwrap();
    // As if the newest one had died after its first statement.
    let torn = "UPDATE _sqlx_migrations SET success = FALSE ORDER BY version DESC LIMIT 1";
    on!(&db, pool => sqlx::query(torn).execute(pool).await.map(drop).unwrap());
    let Err(SqlError::NotMigrated { .. }) = Db::connect(&server).await else {
        panic!("half a migration was taken for a whole one");
    };
    assert_eq!(migrate(&server).await.unwrap(), all[all.len() - 1..]);
    Db::connect(&server).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_newer_program_are_fine() {
    let maria = Maria::start();
    let server = server(&maria, "newer").await;
    migrate(&server).await.unwrap();
    let db = Db::connect(&server).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of tomorrow', TRUE, 'x', 1)";
    on!(&db, pool => sqlx::query(newer).execute(pool).await.map(drop).unwrap());
    Db::connect(&server).await.unwrap();
    assert!(migrate(&server).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_apart() {
    let mut maria = Maria::start();
    let server = server(&maria, "errors").await;
    migrate(&server).await.unwrap();
    let db = Db::connect(&server).await.unwrap();
    let insert = "INSERT INTO segment_version (segment_id, version, rule, created_by, created_at)
                  VALUES ('seg_1', 1, '{}', 'local', 0)";
    let run = async || on!(&db, pool => sqlx::query(insert).execute(pool).await.map(drop));
    run().await.unwrap();
    let taken = run().await.unwrap_err();
    assert!(is_unique_violation(&taken) && !muster_sql::is_away(&taken));
    assert_eq!(scalar(&db, "SELECT COUNT(*) FROM segment_version").await, 1);

    maria.kill();
    for _ in 0..5 {
        let away = run().await.unwrap_err();
        assert!(muster_sql::is_away(&away), "{away:?}");
    }
    maria.restart();
    db.ping().await.unwrap();
    assert_eq!(scalar(&db, "SELECT COUNT(*) FROM segment_version").await, 1);
}

#[test]
fn an_address_that_can_t_be_meant_is_refused_without_repeating_it() {
    for url in
        ["", "mysql://", "mysql://root:secret@host:3306", "mysql://root:secret@host:x/db", "redis://h/1"]
    {
        let refused = Server::new(url, 1).unwrap_err().to_string();
        assert!(refused.contains("mysql://user:password@host"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
    let shown = format!("{:?}", Server::new("mysql://root:secret@host:3306/muster", 1).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_partitions_and_old_ones_are_dropped() {
    let maria = Maria::start();
    let server = server(&maria, "days").await;
    migrate(&server).await.unwrap();
    let db = Db::connect(&server).await.unwrap();
    for ds in [20261030, 20261031, 20261101, 20261102, 20261109] {
        let insert = "INSERT INTO app_usage (ds, app_id, class, calls, units, refused) VALUES (?, 'a', 'read', 1, 1, 0)";
        on!(&db, pool => sqlx::query(insert).bind(ds).execute(pool).await.map(drop).unwrap());
    }
    let partitions = "SELECT CAST(COUNT(*) AS SIGNED) FROM information_schema.PARTITIONS
                      WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'app_usage'";
    let rows = "SELECT COUNT(*) FROM app_usage";
    let coming = [20261031, 20261101, 20261102];
    let all_at_once = (0..4).map(|_| keep_days(&db, "app_usage", &coming, 20261001));
    for kept in futures::future::join_all(all_at_once).await {
        kept.unwrap();
    }
    assert_eq!((scalar(&db, partitions).await, scalar(&db, rows).await), (4, 5), "three days and the rest");
    keep_days(&db, "app_usage", &coming, 20261102).await.unwrap();
    assert_eq!(
        (scalar(&db, partitions).await, scalar(&db, rows).await),
        (2, 2),
        "the 2nd and the 9th are left"
    );
    keep_days(&db, "app_usage", &[20261103], 20261102).await.unwrap();
    assert_eq!((scalar(&db, partitions).await, scalar(&db, rows).await), (3, 2));

    // An old day that comes late lies in the first partition, and goes all the same.
    let late = "INSERT INTO app_usage (ds, app_id, class, calls, units, refused) VALUES (20261001, 'a', 'read', 1, 1, 0)";
    on!(&db, pool => sqlx::query(late).execute(pool).await.map(drop).unwrap());
    keep_days(&db, "app_usage", &[20261103], 20261102).await.unwrap();
    assert_eq!((scalar(&db, partitions).await, scalar(&db, rows).await), (3, 2));
}
