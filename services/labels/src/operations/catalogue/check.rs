//! What an entry must be to be kept.

use muster_catalogue::{AppCatalogue, AppSettings, BaseCrowdCard, DisplayNames, Entry, Kind};
use muster_days::{Tz, time_of_day};
use muster_evaluator::SnapshotCatalogue;
use muster_http::{FieldError, is_padded};
use muster_profile_store::Snapshot;
use muster_rules::crowds::PREDEFINED;
use muster_rules::{Caps, Problem, codes};

use crate::Labels;
use crate::error::{Error, Result};

const LONGEST_NAME: usize = 256;
const LONGEST_TEXT: usize = 4096;
const MOST_BUCKETS: u32 = 1 << 16;

/// Puts the entries into `next`, each in its canonical form, or says everything that is wrong with them.
pub async fn check(
    labels: &Labels,
    app: &str,
    next: &mut AppCatalogue,
    entries: &mut [Entry],
    place: impl Fn(&Entry) -> String,
) -> Result<()> {
    let mut faults = Faults::default();
    for entry in entries.iter_mut() {
        let at = place(entry);
        if let Err(error) = next.set(entry) {
            faults.add(&at, "invalid_entry", error.to_string());
            continue;
        }
        check_name(entry, &at, &mut faults);
    }
    faults.clone().refuse()?;
    // Rules may name labels that the same change declares: so they are checked against what will be.
    let (name, then) = (app.to_owned(), next.clone());
    let snapshot = labels.blocking(move |store| Ok(store.snapshot_as(&name, then)?)).await?;
    for entry in entries.iter_mut().filter(|entry| entry.body.is_some()) {
        let at = place(entry);
        match entry.kind {
            Kind::Settings => check_settings(&next.settings, &snapshot, &at, &mut faults),
            Kind::BaseCrowd => {
                if let Some(card) = next.base_crowds.get_mut(&entry.name) {
                    check_crowd(card, &snapshot, &at, &mut faults);
                }
            }
            Kind::Label => {
                let label = entry.name.parse().ok().and_then(|id: i64| next.labels.get(&id));
                let Some(card) = label else { continue };
                let texts = [("name", &card.name), ("group", &card.group), ("owner", &card.owner)];
                faults.texts(&at, &texts, &card.description, &card.display_names);
                for (code, tag) in &card.tags {
                    let at = format!("{at}/tags/{code}");
                    faults.texts(&at, &[("name", &tag.name)], &None, &tag.display_names);
                }
            }
            Kind::Event => {
                let Some(card) = next.events.get(&entry.name) else { continue };
                faults.texts(&at, &[("owner", &card.owner)], &card.description, &card.display_names);
            }
        }
    }
    faults.refuse()?;
    // As they will be read: keys in one order, nothing that goes without saying.
    let mut canonical = next.entries();
    for entry in entries.iter_mut() {
        entry.body = canonical.remove(&(entry.kind, entry.name.clone()));
    }
    Ok(())
}

fn check_name(entry: &Entry, at: &str, faults: &mut Faults) {
    let name = &entry.name;
    match entry.kind {
        Kind::BaseCrowd => {
            let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            let starts = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
            if !letters || !starts || name.len() > 64 {
                let detail =
                    "the code of a base crowd is 1 to 64 of a-z, 0-9 and _, and begins with a letter";
                faults.add(at, "invalid_code", detail.to_owned());
            }
            if name == "all" || PREDEFINED.iter().any(|(known, _)| known == name) {
                faults.add(at, "predefined_crowd", format!("`{name}` is predefined: choose another code"));
            }
        }
        Kind::Event if name.is_empty() || name.len() > LONGEST_NAME => {
            faults.add(at, "invalid_name", format!("the name of an event has 1 to {LONGEST_NAME} bytes"));
        }
        Kind::Event if is_padded(name) => {
            let detail = "the name of an event neither begins nor ends with white space";
            faults.add(at, "invalid_name", detail.to_owned());
        }
        _ => {}
    }
}

fn check_settings(settings: &AppSettings, snapshot: &Snapshot, at: &str, faults: &mut Faults) {
    if let Some(zone) = &settings.time_zone
        && zone.parse::<Tz>().is_err()
    {
        let detail = format!("`{zone}` is no time zone: write an IANA name such as Asia/Shanghai");
        faults.add(&format!("{at}/time_zone"), "unknown_time_zone", detail);
    }
    if let Some(time) = &settings.routine_at
        && time_of_day(time).is_none()
    {
        let detail = format!("`{time}` is no time of day: write 06:30");
        faults.add(&format!("{at}/routine_at"), "invalid_time", detail);
    }
    let Some(buckets) = settings.buckets else { return };
    let manifest = snapshot.manifest();
    let at = format!("{at}/buckets");
    if !(1..=MOST_BUCKETS).contains(&buckets) {
        faults.add(&at, "out_of_range", format!("an app has 1 to {MOST_BUCKETS} buckets"));
    } else if manifest.generation > 0 && manifest.buckets != buckets {
        let detail = format!("the app has {} buckets since its first import", manifest.buckets);
        faults.add(&at, "buckets_settled", detail);
    }
}

fn check_crowd(card: &mut BaseCrowdCard, snapshot: &Snapshot, at: &str, faults: &mut Faults) {
    faults.texts(at, &[("owner", &card.owner)], &card.description, &card.display_names);
    let caps = Caps::default();
    let under = |problems: Vec<Problem>| -> Vec<Problem> {
        problems.into_iter().map(|problem| problem.under(&format!("{at}/rule"))).collect()
    };
    let rule = match muster_rules::from_value(&card.rule, &caps) {
        Ok(rule) => rule,
        Err(problems) => return faults.rule(under(problems)),
    };
    if rule.as_of.is_some() {
        let detail = "a base crowd is looked at from the day of the rule that names it: leave `as_of` out";
        faults.add(&format!("{at}/rule/as_of"), "crowd_as_of", detail.to_owned());
    }
    if snapshot.catalogue().base_crowds.contains_key(&rule.universe) {
        let detail = "a base crowd lies in `all` or a predefined one".to_owned();
        faults.add(&format!("{at}/rule/universe"), codes::CROWD_IN_CROWD, detail);
        return;
    }
    if let Err(problems) = muster_rules::check(&rule, &SnapshotCatalogue::new(snapshot), &caps) {
        // Before the first import there is no day to look from.
        let known = problems.into_iter().filter(|problem| problem.code != codes::NO_DATA).collect();
        faults.rule(under(known));
    }
    card.rule = serde_json::to_value(&rule).expect("text keys and plain values always serialise");
}

/// Everything that is wrong, by place.
#[derive(Clone, Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, pointer: &str, code: &str, detail: String) {
        let (pointer, code) = (pointer.to_owned(), code.to_owned());
        self.0.push(FieldError { pointer, code, detail, nearest: None });
    }

    fn rule(&mut self, problems: Vec<Problem>) {
        self.0.extend(problems.into_iter().map(|problem| FieldError {
            pointer: problem.pointer,
            code: problem.code.to_owned(),
            detail: problem.detail,
            nearest: problem.nearest,
        }));
    }

    fn texts(
        &mut self,
        at: &str,
        names: &[(&str, &Option<String>)],
        description: &Option<String>,
        display_names: &DisplayNames,
    ) {
        for (key, text) in names.iter().copied().chain([("description", description)]) {
            let most = if key == "description" { LONGEST_TEXT } else { LONGEST_NAME };
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > most) {
                self.add(&format!("{at}/{key}"), "invalid_text", format!("1 to {most} bytes, or left out"));
            }
        }
        for (language, name) in display_names {
            let at = format!("{at}/display_names/{language}");
            let mut parts = language.split('-');
            let first = parts.next().unwrap_or_default();
            let letters = |part: &str, most: usize| {
                (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
            };
            if !(2..=8).contains(&first.len()) || !letters(first, 8) || !parts.all(|part| letters(part, 8)) {
                self.add(&at, "invalid_language", "a language tag such as `en` or `zh-CN`".to_owned());
            }
            if name.is_empty() || name.len() > LONGEST_NAME {
                self.add(&at, "invalid_text", format!("1 to {LONGEST_NAME} bytes"));
            }
        }
    }

    fn refuse(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Refused(self.0)) }
    }
}
