//! Exported ids as a Parquet file, written as it goes out: a row group for so many users.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::chunks::Chunks;
use crate::error::Error;

/// Users of a row group, which is in memory until it is full.
const ROWS: usize = 128 * 1024;

pub struct Table {
    writer: ArrowWriter<Chunks>,
    schema: Arc<Schema>,
    users: StringBuilder,
    groups: Option<StringBuilder>,
    labels: Vec<ListBuilder<StringBuilder>>,
    rows: usize,
}

impl Table {
    pub fn begin((grouped, labels): (bool, &[&str]), out: Chunks) -> Result<Table, Error> {
        let list = || DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        let mut fields = vec![Field::new("user_id", DataType::Utf8, false)];
        fields.extend(grouped.then(|| Field::new("group", DataType::Utf8, false)));
        fields.extend(labels.iter().map(|label| Field::new(*label, list(), false)));
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(inside)?;
        let lists = labels.iter().map(|_| ListBuilder::new(StringBuilder::new()));
        let groups = grouped.then(StringBuilder::new);
        Ok(Table { writer, schema, users: StringBuilder::new(), groups, labels: lists.collect(), rows: 0 })
    }

    pub fn row(&mut self, user: &[u8], group: Option<&str>, tags: &[Vec<&str>]) -> Result<(), Error> {
        self.users.append_value(String::from_utf8_lossy(user));
        if let Some(groups) = &mut self.groups {
            groups.append_value(group.unwrap_or_default());
        }
        for (list, tags) in self.labels.iter_mut().zip(tags) {
            tags.iter().for_each(|tag| list.values().append_value(tag));
            list.append(true);
        }
        self.rows += 1;
        if self.rows < ROWS { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), Error> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.users.finish())];
        columns.extend(self.groups.iter_mut().map(|groups| Arc::new(groups.finish()) as ArrayRef));
        columns.extend(self.labels.iter_mut().map(|list| Arc::new(list.finish()) as ArrayRef));
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(inside)?;
        self.rows = 0;
        self.writer.write(&batch).map_err(inside)?;
        self.writer.flush().map_err(inside)
    }

    pub fn end(mut self) -> Result<(), Error> {
        if self.rows > 0 {
            self.write()?;
        }
        let mut out = self.writer.into_inner().map_err(inside)?;
        std::io::Write::flush(&mut out).map_err(inside)
    }
}

fn inside(error: impl std::fmt::Display) -> Error {
    Error::Inside(error.to_string())
}
