//! `muster key`: API keys, made and ended in the database itself. It needs no server, so the first key
//! of a server that will not start without one can be made.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use muster_gateway::keys::{self, Key, NewKey};
use muster_http::{Apps, Role};
use muster_sql::Db;
use serde_json::json;

use crate::config::Config;
use crate::failure::Failure;
use crate::show;
use crate::show::table::Table;
use crate::wiring::open_database;

const PAGE: u32 = 1000;
const ROLES: [Role; 5] = [Role::Read, Role::Segment, Role::Import, Role::Export, Role::Admin];

#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// Data folder of the server
    #[arg(long, global = true, env = "MUSTER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file of the server; it may name a database server
    #[arg(long, global = true, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON, and nothing else
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Make a key; its secret is shown once, now
    Create {
        /// Apps of the key, or * for all
        #[arg(long, value_name = "APP,…", value_parser = apps)]
        apps: Apps,
        /// What it may do: read, segment, import, export, admin
        #[arg(long, value_name = "ROLE,…", value_delimiter = ',', required = true, value_parser = role)]
        roles: Vec<Role>,
        /// A name, for people
        #[arg(long, default_value = "unnamed")]
        name: String,
    },
    /// All keys, revoked ones too
    List,
    /// End a key; a running server refuses it within seconds
    Revoke {
        /// Id of the key
        id: String,
    },
}

fn apps(text: &str) -> Result<Apps, String> {
    match text {
        "*" => Ok(Apps::All),
        list => Ok(Apps::Some(list.split(',').map(str::to_owned).collect())),
    }
}

fn role(text: &str) -> Result<Role, String> {
    let names = ROLES.map(Role::name).join(", ");
    ROLES.into_iter().find(|role| role.name() == text).ok_or_else(|| format!("the roles are {names}"))
}

pub async fn run(args: KeyArgs) -> Result<(), Failure> {
    let config = Config::of(args.data.clone(), args.config.clone())?;
    let db = open(&config, matches!(args.action, Action::Create { .. })).await?;
    let done = act(&db, &args).await;
    db.close().await;
    done
}

/// Only making a key may make the folder: a mistyped one would otherwise list no keys, and be there.
async fn open(config: &Config, make: bool) -> Result<Db, Failure> {
    let data = &config.data;
    if config.server()?.is_none() && make {
        std::fs::create_dir_all(data)?;
    } else if config.server()?.is_none() && !data.join("muster.db").exists() {
        return Err(Failure::usage(format!("there is no data folder at {}", data.display())));
    }
    Ok(open_database(config).await?)
}

async fn act(db: &Db, args: &KeyArgs) -> Result<(), Failure> {
    match &args.action {
        Action::Create { apps, roles, name } => {
            let new =
                NewKey { name: name.clone(), apps: apps.clone(), roles: roles.iter().copied().collect() };
            let made = keys::create(db, new, now()).await.map_err(anyhow::Error::from)?;
            let told = format!(
                "{}\n  secret: {}\n  It is shown this once. Use it: export MUSTER_KEY=…, or `Authorization: Bearer …`.",
                line(&made.key),
                made.secret,
            );
            show::print(if args.json { json!(made).to_string() } else { told });
        }
        Action::List => {
            let keys = all(db).await?;
            show::print(if args.json {
                json!({ "items": keys, "next": null }).to_string()
            } else {
                listed(&keys)
            });
        }
        Action::Revoke { id } => {
            keys::revoke(db, id, now()).await.map_err(anyhow::Error::from)?;
            show::print(if args.json {
                json!({ "revoked": id }).to_string()
            } else {
                format!("{id} revoked")
            });
        }
    }
    Ok(())
}

async fn all(db: &Db) -> Result<Vec<Key>, Failure> {
    let mut keys = Vec::new();
    let mut cursor = None;
    loop {
        let page = keys::list(db, PAGE, cursor.as_deref()).await.map_err(anyhow::Error::from)?;
        keys.extend(page.items);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(keys),
        }
    }
}

fn line(key: &Key) -> String {
    format!("{}  {}  apps {}  roles {}", key.id, key.name, apps_of(key), roles_of(key))
}

fn apps_of(key: &Key) -> String {
    match &key.apps {
        Apps::All => "*".to_owned(),
        Apps::Some(apps) => apps.iter().cloned().collect::<Vec<_>>().join(","),
    }
}

fn roles_of(key: &Key) -> String {
    key.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(",")
}

fn listed(keys: &[Key]) -> String {
    let mut table = Table::new(&["ID", "NAME", "APPS", "ROLES", "CREATED", "LAST USED", "REVOKED"]);
    for key in keys {
        let or_empty = |time: &Option<String>| time.clone().unwrap_or_default();
        table.row(vec![
            key.id.clone(),
            key.name.clone(),
            apps_of(key),
            roles_of(key),
            key.created_at.clone(),
            or_empty(&key.last_used),
            or_empty(&key.revoked_at),
        ]);
    }
    table.to_text()
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_millis() as i64).unwrap_or_default()
}
