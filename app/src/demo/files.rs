//! Writes the shop's data as the files that would arrive every night: `labels.csv` and one
//! `behavior-YYYYMMDD.csv` per day. User by user, so that memory stays flat; the same options give the
//! same bytes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use muster_days::Ds;

use super::days::{Act, DAYS, acts};
use super::shop::{
    AGE_BAND, APP, CATEGORY, CITY_TIER, DEVICE, GENDER, PROVINCE, SIGNUP_CHANNEL, Shopper, Tag,
};

const LABELS_HEADER: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n";
const BEHAVIOR_HEADER: &str = "ds,app_id,user_id,event,pv,page,channel,category,m_amount\n";

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub users: u64,
    pub seed: u64,
    /// The last day of the data.
    pub until: Ds,
}

/// What has been made.
#[derive(Debug)]
pub struct Made {
    pub labels: PathBuf,
    /// Oldest day first.
    pub behavior: Vec<PathBuf>,
    pub label_rows: u64,
    pub behavior_rows: u64,
}

impl Recipe {
    fn day(&self, index: usize) -> Ds {
        self.until.plus(index as i64 - (DAYS as i64 - 1))
    }
}

/// Writes the files into `dir`, which exists, over those of an earlier run. `progress` gets the number of
/// users done.
pub fn write(recipe: &Recipe, dir: &Path, progress: impl Fn(u64)) -> io::Result<Made> {
    let mut labels = Rows::create(dir.join("labels.csv"), LABELS_HEADER)?;
    let mut days = (0..DAYS)
        .map(|day| Rows::create(dir.join(format!("behavior-{}.csv", recipe.day(day))), BEHAVIOR_HEADER))
        .collect::<io::Result<Vec<_>>>()?;
    let ds: Vec<String> = (0..DAYS).map(|day| recipe.day(day).to_string()).collect();
    let monday = Ds::from_number(19_700_105).expect("a day of the calendar");
    let weekday = |day: usize| recipe.day(day).days_since(monday) as u64 % 7;
    let mut done = Vec::new();
    for number in 0..recipe.users {
        let (shopper, mut dice) = Shopper::draw(recipe.seed, number);
        write_labels(&mut labels, &ds, &shopper)?;
        done.clear();
        acts(&shopper, &mut dice, weekday, &mut done);
        for act in &done {
            write_act(&mut days[act.day], &ds[act.day], number, act)?;
        }
        if number % 1024 == 0 {
            progress(number);
        }
    }
    progress(recipe.users);
    let label_rows = labels.rows;
    let behavior_rows = days.iter().map(|day| day.rows).sum();
    let behavior = days.into_iter().map(Rows::finish).collect::<io::Result<_>>()?;
    Ok(Made { labels: labels.finish()?, behavior, label_rows, behavior_rows })
}

fn write_labels(out: &mut Rows, ds: &[String], shopper: &Shopper) -> io::Result<()> {
    let user = shopper.number;
    let (today, yesterday) = (&ds[DAYS - 1], &ds[DAYS - 2]);
    let mut label = |label: &str, (code, name): Tag| {
        out.rows += 1;
        writeln!(out.file, "{today},{APP},{label},u{user:07},{code},{name},")
    };
    if let Some(gender) = shopper.gender {
        label("10001,gender", GENDER[gender])?;
    }
    label("10002,age_band", AGE_BAND[shopper.age])?;
    label("10003,province", PROVINCE[shopper.province].0)?;
    label("10004,city_tier", CITY_TIER[shopper.tier])?;
    label("10005,device", DEVICE[shopper.device])?;
    label("10006,member_level", shopper.member_level())?;
    for interest in &shopper.interests {
        label("10007,interests", CATEGORY[*interest])?;
    }
    label("10009,signup_channel", SIGNUP_CHANNEL[shopper.channel])?;
    // The one label with a weight, in yuan; it arrives a day late, as such labels do.
    let (code, name) = shopper.spend_band();
    out.rows += 1;
    writeln!(out.file, "{yesterday},{APP},10008,lifetime_spend,u{user:07},{code},{name},{}", shopper.spend)
}

fn write_act(out: &mut Rows, ds: &str, user: u64, act: &Act) -> io::Result<()> {
    let Act { event, pv, page, channel, category, .. } = act;
    out.rows += 1;
    write!(out.file, "{ds},{APP},u{user:07},{event},{pv},{page},{channel},{category},")?;
    match act.amount {
        Some(amount) => writeln!(out.file, "{amount}"),
        None => out.file.write_all(b"\n"),
    }
}

/// A file being written, and how many rows it has below its header.
struct Rows {
    path: PathBuf,
    file: BufWriter<File>,
    rows: u64,
}

impl Rows {
    fn create(path: PathBuf, header: &str) -> io::Result<Rows> {
        let mut file = BufWriter::with_capacity(1 << 16, File::create(&path)?);
        file.write_all(header.as_bytes())?;
        Ok(Rows { path, file, rows: 0 })
    }

    fn finish(mut self) -> io::Result<PathBuf> {
        self.file.flush()?;
        Ok(self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sha2::{Digest, Sha256};

    use super::*;

    fn recipe(users: u64, seed: u64) -> Recipe {
        Recipe { users, seed, until: Ds::from_number(20_261_101).unwrap() }
    }

    /// One hash over all files, in order of their names.
    fn fingerprint(recipe: &Recipe) -> String {
        let folder = tempfile::tempdir().unwrap();
        let made = write(recipe, folder.path(), |_| {}).unwrap();
        let mut hasher = Sha256::new();
        for path in made.behavior.iter().chain([&made.labels]) {
            hasher.update(path.file_name().unwrap().as_encoded_bytes());
            hasher.update(std::fs::read(path).unwrap());
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_same_options_give_the_same_bytes_for_ever() {
        let golden = "e18eee89ae9010e40cfb685810a57bf486d57d5585dad117430120555655a7f4";
        assert_eq!(fingerprint(&recipe(500, 7)), golden);
        assert_ne!(fingerprint(&recipe(500, 8)), golden);
        assert_ne!(fingerprint(&recipe(501, 7)), golden);
    }

    /// The rows of a file, each a map of its columns.
    fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
        csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
    }

    #[test]
    fn rows_are_counted_and_no_row_comes_twice() {
        let folder = tempfile::tempdir().unwrap();
        let made = write(&recipe(2000, 1), folder.path(), |_| {}).unwrap();
        let labels = rows(&made.labels);
        assert_eq!(labels.len() as u64, made.label_rows);
        let users: BTreeSet<&String> = labels.iter().map(|row| &row["user_id"]).collect();
        assert_eq!(users.len(), 2000);
        let pairs: BTreeSet<_> =
            labels.iter().map(|row| (&row["label_id"], &row["user_id"], &row["tag_id"])).collect();
        assert_eq!(pairs.len(), labels.len());

        assert_eq!(made.behavior.len(), DAYS);
        let mut total = 0;
        for path in &made.behavior {
            let rows = rows(path);
            total += rows.len() as u64;
            let ds: BTreeSet<&String> = rows.iter().map(|row| &row["ds"]).collect();
            assert_eq!(ds.len(), 1, "{}", path.display());
            assert!(path.to_string_lossy().contains(ds.first().unwrap().as_str()));
            let keys: BTreeSet<_> = rows
                .iter()
                .map(|row| (&row["user_id"], &row["event"], &row["page"], &row["category"]))
                .collect();
            assert_eq!(keys.len(), rows.len(), "{}", path.display());
        }
        assert_eq!(total, made.behavior_rows);
    }

    /// What makes a rule over this shop tell something.
    #[test]
    fn traits_lean_on_each_other() {
        let shoppers: Vec<Shopper> = (0..5000).map(|number| Shopper::draw(7, number).0).collect();
        let share = |among: &dyn Fn(&Shopper) -> bool, has: &dyn Fn(&Shopper) -> bool| {
            let among: Vec<&Shopper> = shoppers.iter().filter(|one| among(one)).collect();
            among.iter().filter(|one| has(one)).count() as f64 / among.len() as f64
        };
        let beauty = |one: &Shopper| one.interests.contains(&0);
        assert!(
            share(&|one| one.gender == Some(1), &beauty) > 3.0 * share(&|one| one.gender == Some(0), &beauty)
        );
        let ios = |one: &Shopper| one.device == 0;
        assert!(share(&|one| one.tier == 0, &ios) > 1.5 * share(&|one| one.tier >= 4, &ios));
        let known = share(&|_| true, &|one| one.gender.is_some());
        assert!((0.95..1.0).contains(&known), "{known}");
    }
}
