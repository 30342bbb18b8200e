//! From the text cells of a record to a checked row: the one place where labels and behaviour are
//! validated, whatever format they came in.

use super::checks::{self, Checks, Reason};
use super::columns::{BEHAVIOR_COLUMNS, BehaviorColumns, LABEL_COLUMNS, LabelColumns};
use super::{Counts, Intake, ReadError};
use crate::rows::{BadRow, BehaviorRow, BehaviorSink, LabelRow, LabelSink, Refuse};

/// One record of any format. Cells are numbered as in the header; an absent one is empty.
pub(super) trait Record {
    fn cell(&self, column: usize) -> &str;
}

/// Takes the records of one file: the header first, then record by record.
pub(super) trait Target {
    /// Columns of a format that has no header of its own.
    const COLUMNS: &'static [&'static str];

    fn header(&mut self, names: &[String]) -> Result<(), ReadError>;

    /// A column that shows up after the header; gives its number.
    fn add_column(&mut self, name: &str) -> Result<usize, Reason>;

    /// The app alone, for what has to be known before the rest of a record can be read.
    fn check_app(&mut self, app: &str) -> Result<(), Reason>;

    fn record(&mut self, line: u64, record: &impl Record) -> Result<(), ReadError>;

    /// A record that the format itself refuses.
    fn refuse(&mut self, line: u64, column: &str, reason: Reason, value: &str) -> Result<(), ReadError>;
}

/// The first thing wrong with a record.
struct Bad<'a> {
    column: &'a str,
    reason: Reason,
    value: &'a str,
}

/// Says which column, and what was in it, when a check fails.
fn at<'a>(column: &'a str, value: &'a str) -> impl FnOnce(Reason) -> Bad<'a> {
    move |reason| Bad { column, reason, value }
}

fn refuse<S: Refuse>(sink: &mut S, counts: &mut Counts, line: u64, bad: &Bad<'_>) -> Result<(), ReadError> {
    counts.read += 1;
    counts.rejected += 1;
    let row = BadRow { line, column: bad.column, reason: &bad.reason, value: bad.value };
    sink.refuse(&row).map_err(ReadError::Sink)
}

pub(super) struct LabelTarget<'a, S> {
    sink: &'a mut S,
    checks: Checks<'a>,
    columns: LabelColumns,
    counts: Counts,
}

impl<'a, S: LabelSink> LabelTarget<'a, S> {
    pub fn new(intake: &Intake<'a>, sink: &'a mut S) -> Self {
        let columns = LabelColumns::default();
        LabelTarget { sink, checks: Checks::new(intake), columns, counts: Counts::default() }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }
}

impl<S: LabelSink> Target for LabelTarget<'_, S> {
    const COLUMNS: &'static [&'static str] = &LABEL_COLUMNS;

    fn header(&mut self, names: &[String]) -> Result<(), ReadError> {
        self.columns = LabelColumns::of(names)?;
        Ok(())
    }

    fn add_column(&mut self, _name: &str) -> Result<usize, Reason> {
        Err("not a field of a label row".into())
    }

    fn check_app(&mut self, app: &str) -> Result<(), Reason> {
        self.checks.app(app)
    }

    fn record(&mut self, line: u64, record: &impl Record) -> Result<(), ReadError> {
        match label_row(&mut self.checks, &self.columns, record) {
            Err(bad) => refuse(self.sink, &mut self.counts, line, &bad),
            Ok(row) => {
                self.counts.read += 1;
                self.sink.label(line, &row).map_err(ReadError::Sink)
            }
        }
    }

    fn refuse(&mut self, line: u64, column: &str, reason: Reason, value: &str) -> Result<(), ReadError> {
        refuse(self.sink, &mut self.counts, line, &Bad { column, reason, value })
    }
}

fn label_row<'a>(
    checks: &mut Checks<'_>,
    columns: &LabelColumns,
    record: &'a impl Record,
) -> Result<LabelRow<'a>, Bad<'a>> {
    let ds = record.cell(columns.ds);
    let app = record.cell(columns.app);
    let label_id = record.cell(columns.label_id);
    let label_name = record.cell(columns.label_name);
    let user = record.cell(columns.user);
    let tag_id = record.cell(columns.tag_id);
    let tag_name = record.cell(columns.tag_name);
    let weight = columns.weight.map_or("", |column| record.cell(column));

    let day = checks.ds(ds).map_err(at("ds", ds))?;
    checks.app(app).map_err(at("app_id", app))?;
    checks.ahead(day).map_err(at("ds", ds))?;
    let label_id = checks.label(label_id).map_err(at("label_id", label_id))?;
    checks::name(label_name).map_err(at("label_name", label_name))?;
    checks::user(user).map_err(at("user_id", user))?;
    let tag_id = checks::integer(tag_id).map_err(at("tag_id", tag_id))?;
    checks::name(tag_name).map_err(at("tag_name", tag_name))?;
    let weight = checks::optional_integer(weight).map_err(at("tag_value", weight))?;
    Ok(LabelRow { ds: day, app, label_id, label_name, user, tag_id, tag_name, weight })
}

pub(super) struct BehaviorTarget<'a, S> {
    sink: &'a mut S,
    checks: Checks<'a>,
    columns: BehaviorColumns,
    counts: Counts,
    /// Empty between rows; kept for its memory.
    dimensions: Vec<(usize, &'static str)>,
    measures: Vec<(usize, i64)>,
}

impl<'a, S: BehaviorSink> BehaviorTarget<'a, S> {
    pub fn new(intake: &Intake<'a>, sink: &'a mut S) -> Self {
        BehaviorTarget {
            sink,
            checks: Checks::new(intake),
            columns: BehaviorColumns::default(),
            counts: Counts::default(),
            dimensions: Vec::new(),
            measures: Vec::new(),
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }
}

impl<S: BehaviorSink> Target for BehaviorTarget<'_, S> {
    const COLUMNS: &'static [&'static str] = &BEHAVIOR_COLUMNS;

    fn header(&mut self, names: &[String]) -> Result<(), ReadError> {
        self.columns = BehaviorColumns::of(names)?;
        Ok(())
    }

    fn add_column(&mut self, name: &str) -> Result<usize, Reason> {
        self.columns.add(name)
    }

    fn check_app(&mut self, app: &str) -> Result<(), Reason> {
        self.checks.app(app)
    }

    fn record(&mut self, line: u64, record: &impl Record) -> Result<(), ReadError> {
        let mut dimensions = emptied(std::mem::take(&mut self.dimensions));
        self.measures.clear();
        let read = behavior_row(&mut self.checks, &self.columns, record, &mut dimensions, &mut self.measures);
        let outcome = match read {
            Err(bad) => refuse(self.sink, &mut self.counts, line, &bad),
            Ok(row) => {
                self.counts.read += 1;
                self.sink.behavior(line, &row).map_err(ReadError::Sink)
            }
        };
        self.dimensions = emptied(dimensions);
        outcome
    }

    fn refuse(&mut self, line: u64, column: &str, reason: Reason, value: &str) -> Result<(), ReadError> {
        refuse(self.sink, &mut self.counts, line, &Bad { column, reason, value })
    }
}

fn behavior_row<'a, 'r: 'a>(
    checks: &mut Checks<'_>,
    columns: &'a BehaviorColumns,
    record: &'r impl Record,
    dimensions: &'a mut Vec<(usize, &'r str)>,
    measures: &'a mut Vec<(usize, i64)>,
) -> Result<BehaviorRow<'a>, Bad<'a>> {
    let ds = record.cell(columns.ds);
    let app = record.cell(columns.app);
    let user = record.cell(columns.user);
    let event = record.cell(columns.event);
    let pv = record.cell(columns.pv);

    let day = checks.ds(ds).map_err(at("ds", ds))?;
    checks.app(app).map_err(at("app_id", app))?;
    checks.ahead(day).map_err(at("ds", ds))?;
    checks::user(user).map_err(at("user_id", user))?;
    checks::event(event).map_err(at("event", event))?;
    let pv = checks::pv(pv).map_err(at("pv", pv))?;
    for (index, &column) in columns.dimensions.iter().enumerate() {
        let value = record.cell(column);
        if !value.is_empty() {
            checks::value(value).map_err(at(&columns.names.dimensions[index], value))?;
            dimensions.push((index, value));
        }
    }
    for (index, &column) in columns.measures.iter().enumerate() {
        let text = record.cell(column);
        let measure = checks::optional_integer(text).map_err(at(&columns.names.measures[index], text))?;
        measures.extend(measure.map(|number| (index, number)));
    }
    Ok(BehaviorRow { ds: day, app, user, event, pv, dimensions, measures, names: &columns.names })
}

/// The same memory, for texts of another lifetime: collecting an emptied vector in place keeps it.
fn emptied<'b>(mut list: Vec<(usize, &str)>) -> Vec<(usize, &'b str)> {
    list.clear();
    list.into_iter().map(|(index, _)| (index, "")).collect()
}
