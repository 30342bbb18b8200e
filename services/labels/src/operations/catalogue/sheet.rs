//! A catalogue of labels as a table: CSV with a line for each label or tag.
//!
//! Columns: `label_id`, and any of `label_name`, `group`, `owner`, `description`, `retired`, `tag_id`,
//! `tag_name`, `tag_retired`, `label_name:<language>`, `tag_name:<language>`. What is empty is left as it was.

use std::collections::{BTreeMap, BTreeSet};

use muster_catalogue::{AppCatalogue, DisplayNames, LabelCard};
use muster_http::FieldError;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

const COLUMNS: [&str; 9] = [
    "label_id",
    "label_name",
    "group",
    "owner",
    "description",
    "retired",
    "tag_id",
    "tag_name",
    "tag_retired",
];
/// Beyond so many faults the rest of the file tells nobody anything.
const MOST_FAULTS: usize = 100;

/// The labels of the table as a document, on top of what `now` says of them.
pub fn read(text: &[u8], now: &AppCatalogue) -> Result<Map<String, Value>> {
    let mut reader = csv::Reader::from_reader(text);
    let headers = reader.headers().map_err(|error| Error::sheet(1, "", error))?.clone();
    check_headers(&headers)?;
    let mut cards: BTreeMap<i64, LabelCard> = BTreeMap::new();
    let mut faults = Vec::new();
    for record in reader.records() {
        let record = record
            .map_err(|error| Error::sheet(error.position().map_or(1, |at| line_of(text, at)), "", error))?;
        let fields = headers.iter().zip(&record).filter(|(_, value)| !value.is_empty());
        if let Err((column, detail)) = take(&mut cards, now, fields.collect()) {
            let line = record.position().map_or(1, |at| line_of(text, at));
            let (pointer, code) = (format!("line {line}, {column}"), "invalid_value".to_owned());
            faults.push(FieldError { pointer, code, detail, nearest: None });
        }
        if faults.len() >= MOST_FAULTS {
            break;
        }
    }
    if !faults.is_empty() {
        return Err(Error::Refused(faults));
    }
    let value = |card| serde_json::to_value(card).map_err(Error::inside);
    let labels = cards.into_iter().map(|(id, card)| Ok((id.to_string(), value(card)?)));
    let labels = labels.collect::<Result<Map<String, Value>>>()?;
    Ok(Map::from_iter([("labels".to_owned(), Value::Object(labels))]))
}

/// The labels and tags of a document as a table that says the same when it is loaded: a line for each label,
/// then one for each of its tags.
pub fn write(document: &AppCatalogue) -> Result<Vec<u8>> {
    let cards = || document.labels.values();
    let languages = |names: &mut dyn Iterator<Item = &DisplayNames>| -> BTreeSet<String> {
        names.flat_map(|names| names.keys().cloned()).collect()
    };
    let of_labels = languages(&mut cards().map(|card| &card.display_names));
    let of_tags = languages(&mut cards().flat_map(|card| card.tags.values()).map(|tag| &tag.display_names));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let headers = COLUMNS.iter().map(|name| (*name).to_owned());
    let headers = headers.chain(of_labels.iter().map(|language| format!("label_name:{language}")));
    let headers = headers.chain(of_tags.iter().map(|language| format!("tag_name:{language}")));
    writer.write_record(headers).map_err(Error::inside)?;
    for (id, card) in &document.labels {
        let id = id.to_string();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let named = |languages: &BTreeSet<String>, names: Option<&DisplayNames>| -> Vec<String> {
            let name = |language| names.and_then(|names| names.get(language)).cloned().unwrap_or_default();
            languages.iter().map(name).collect()
        };
        let [name, group, owner, description] =
            [&card.name, &card.group, &card.owner, &card.description].map(text);
        let own = [id.clone(), name, group, owner, description, card.retired.to_string()];
        let no_tag = [const { String::new() }; 3];
        let names = [named(&of_labels, Some(&card.display_names)), named(&of_tags, None)].concat();
        writer.write_record(own.iter().chain(&no_tag).chain(&names)).map_err(Error::inside)?;
        for (code, tag) in &card.tags {
            let no_label = [const { String::new() }; 5];
            let own = [code.to_string(), text(&tag.name), tag.retired.to_string()];
            let names = [named(&of_labels, None), named(&of_tags, Some(&tag.display_names))].concat();
            let line = std::iter::once(&id).chain(&no_label).chain(&own).chain(&names);
            writer.write_record(line).map_err(Error::inside)?;
        }
    }
    writer.into_inner().map_err(Error::inside)
}

/// The line, from 1, on which a record begins. Line ends and blank lines before it are the record's own to
/// the reader.
fn line_of(text: &[u8], at: &csv::Position) -> usize {
    let begin = usize::try_from(at.byte()).unwrap_or(text.len()).min(text.len());
    let blank = text[begin..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    text[..begin + blank].iter().filter(|&&byte| byte == b'\n').count() + 1
}

fn check_headers(headers: &csv::StringRecord) -> Result<()> {
    for name in headers {
        let language = name.split_once(':').is_some_and(|(of, _)| ["label_name", "tag_name"].contains(&of));
        if !language && !COLUMNS.contains(&name) {
            let nearest = muster_rules::nearest(name, COLUMNS);
            return Err(Error::UnknownColumn { given: name.to_owned(), nearest });
        }
    }
    if !headers.iter().any(|name| name == "label_id") {
        return Err(Error::sheet(1, "label_id", "the column is missing"));
    }
    Ok(())
}

/// One line. An error is the column and what is wrong with it.
fn take(
    cards: &mut BTreeMap<i64, LabelCard>,
    now: &AppCatalogue,
    fields: BTreeMap<&str, &str>,
) -> std::result::Result<(), (String, String)> {
    let number = |column: &str| -> std::result::Result<Option<i64>, (String, String)> {
        let Some(text) = fields.get(column) else { return Ok(None) };
        let wrong = |_| (column.to_owned(), format!("`{text}` is no whole number"));
        text.parse().map(Some).map_err(wrong)
    };
    let flag = |column: &str| match fields.get(column).copied() {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(text) => Err((column.to_owned(), format!("`{text}` is neither true nor false"))),
    };
    let missing = || ("label_id".to_owned(), "it is missing".to_owned());
    let (id, tag_id) = (number("label_id")?.ok_or_else(missing)?, number("tag_id")?);
    let (retired, tag_retired) = (flag("retired")?, flag("tag_retired")?);
    let card = cards.entry(id).or_insert_with(|| now.labels.get(&id).cloned().unwrap_or_default());
    let text = |column: &str, into: &mut Option<String>| {
        if let Some(text) = fields.get(column) {
            *into = Some((*text).to_owned());
        }
    };
    text("label_name", &mut card.name);
    text("group", &mut card.group);
    text("owner", &mut card.owner);
    text("description", &mut card.description);
    card.retired = retired.unwrap_or(card.retired);
    let mut tag = match tag_id {
        Some(tag) => Some(card.tags.entry(tag).or_default()),
        None if fields.keys().any(|column| column.starts_with("tag_")) => {
            return Err(("tag_id".to_owned(), "it is missing".to_owned()));
        }
        None => None,
    };
    if let Some(tag) = &mut tag {
        text("tag_name", &mut tag.name);
        tag.retired = tag_retired.unwrap_or(tag.retired);
    }
    for (column, name) in &fields {
        match (column.split_once(':'), &mut tag) {
            (Some(("label_name", language)), _) => {
                card.display_names.insert(language.to_owned(), (*name).to_owned());
            }
            (Some(("tag_name", language)), Some(tag)) => {
                tag.display_names.insert(language.to_owned(), (*name).to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of each fault.
    fn check(text: &str, places: &[&str]) {
        match read(text.as_bytes(), &AppCatalogue::default()) {
            Ok(_) => assert!(places.is_empty(), "{text}"),
            Err(Error::Refused(faults)) => {
                assert_eq!(
                    faults.iter().map(|fault| &fault.pointer[..]).collect::<Vec<_>>(),
                    places,
                    "{text}"
                );
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn lines_are_those_of_the_file() {
        check("label_id,retired\n1,true\n", &[]);
        check("label_id,retired\n1,maybe\n2,true\nx,\n", &["line 2, retired", "line 4, label_id"]);
        check("label_id,description\n1,\"a\nb\n\"\nx,\n", &["line 5, label_id"]);
        check("label_id,description\r\n1,\"a\r\nb\"\r\nx,\r\ny,", &["line 4, label_id", "line 5, label_id"]);
        check("label_id,retired\n\n\r\n1,maybe\n", &["line 4, retired"]);
        check("label_id,description\n1,\"a\nb\"\n2\n", &["line 4"]);
    }
}
