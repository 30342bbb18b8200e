//! Which column of a file holds what, by the names in its header.

use super::ReadError;
use super::checks::{self, Reason};
use crate::rows::Names;

/// Most columns, and most different properties, that one file may have.
pub(super) const MAX_COLUMNS: usize = 1024;

/// Column names in the order in which a row's values are checked.
pub(super) const LABEL_COLUMNS: [&str; 8] =
    ["ds", "app_id", "label_id", "label_name", "user_id", "tag_id", "tag_name", "tag_value"];
pub(super) const BEHAVIOR_COLUMNS: [&str; 5] = ["ds", "app_id", "user_id", "event", "pv"];

/// Places of the columns of a labels file.
#[derive(Debug, Default)]
pub(super) struct LabelColumns {
    pub ds: usize,
    pub app: usize,
    pub label_id: usize,
    pub label_name: usize,
    pub user: usize,
    pub tag_id: usize,
    pub tag_name: usize,
    pub weight: Option<usize>,
}

impl LabelColumns {
    pub fn of(header: &[String]) -> Result<LabelColumns, ReadError> {
        check_unique(header)?;
        if let Some(other) = header.iter().find(|name| !LABEL_COLUMNS.contains(&name.as_str())) {
            return Err(ReadError::UnknownColumn(other.clone()));
        }
        Ok(LabelColumns {
            ds: required(header, "ds")?,
            app: required(header, "app_id")?,
            label_id: required(header, "label_id")?,
            label_name: required(header, "label_name")?,
            user: required(header, "user_id")?,
            tag_id: required(header, "tag_id")?,
            tag_name: required(header, "tag_name")?,
            weight: header.iter().position(|name| name == "tag_value"),
        })
    }
}

/// Places of the columns of a behaviour file. The lists run beside those of `names`.
#[derive(Debug, Default)]
pub(super) struct BehaviorColumns {
    pub ds: usize,
    pub app: usize,
    pub user: usize,
    pub event: usize,
    pub pv: usize,
    pub dimensions: Vec<usize>,
    pub measures: Vec<usize>,
    pub names: Names,
    count: usize,
}

impl BehaviorColumns {
    pub fn of(header: &[String]) -> Result<BehaviorColumns, ReadError> {
        check_unique(header)?;
        let mut columns = BehaviorColumns {
            ds: required(header, "ds")?,
            app: required(header, "app_id")?,
            user: required(header, "user_id")?,
            event: required(header, "event")?,
            pv: required(header, "pv")?,
            ..BehaviorColumns::default()
        };
        for (place, name) in header.iter().enumerate() {
            if BEHAVIOR_COLUMNS.contains(&name.as_str()) {
                continue;
            }
            columns.place(place, name).map_err(|reason| ReadError::Column {
                column: name.chars().take(checks::SHOWN).collect(),
                detail: reason.into_owned(),
            })?;
        }
        columns.count = header.len();
        Ok(columns)
    }

    /// One more dimension or measure, and the place of its column.
    pub fn add(&mut self, name: &str) -> Result<usize, Reason> {
        if self.count == MAX_COLUMNS {
            return Err(format!("more than {MAX_COLUMNS} different names in one file").into());
        }
        self.place(self.count, name)?;
        self.count += 1;
        Ok(self.count - 1)
    }

    fn place(&mut self, place: usize, name: &str) -> Result<(), Reason> {
        checks::column_name(name)?;
        let (places, names) = match name.starts_with("m_") {
            true => (&mut self.measures, &mut self.names.measures),
            false => (&mut self.dimensions, &mut self.names.dimensions),
        };
        places.push(place);
        names.push(name.to_owned());
        Ok(())
    }
}

/// Refuses a header of more columns than a file may have.
pub(super) fn check_count(columns: usize) -> Result<(), ReadError> {
    match columns {
        n if n > MAX_COLUMNS => Err(ReadError::Column {
            column: format!("{}", MAX_COLUMNS + 1),
            detail: format!("the file has {n} columns, at most {MAX_COLUMNS} are accepted"),
        }),
        _ => Ok(()),
    }
}

fn required(header: &[String], name: &str) -> Result<usize, ReadError> {
    header.iter().position(|has| has == name).ok_or_else(|| ReadError::MissingColumn(name.to_owned()))
}

fn check_unique(header: &[String]) -> Result<(), ReadError> {
    let mut sorted: Vec<&String> = header.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ReadError::DuplicateColumn(pair[0].chars().take(checks::SHOWN).collect())),
        None => Ok(()),
    }
}
