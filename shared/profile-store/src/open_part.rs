//! Rows of a part that come one at a time: kept in memory, bucket by bucket, until the part is built.

use std::collections::HashMap;

use muster_days::Ds;

use crate::directory::User;
use crate::error::{Result, StoreError};
use crate::event_writer::EventRow;
use crate::label_part::LabelRow;
use crate::publication::{EventShape, LabelShape, Publication};

pub(crate) enum OpenPart {
    Label {
        label: i64,
        name: String,
        ds: Ds,
        tag_names: HashMap<i64, String>,
        buckets: Vec<Vec<OwnedLabelRow>>,
    },
    Event {
        event: String,
        ds: Ds,
        dimensions: Vec<String>,
        measures: Vec<String>,
        buckets: Vec<Vec<OwnedEventRow>>,
    },
}

/// User, tag, weight.
type OwnedLabelRow = (Box<[u8]>, i64, Option<i64>);

pub(crate) struct OwnedEventRow {
    user: Box<[u8]>,
    pv: i64,
    values: Vec<Option<String>>,
    measures: Vec<i64>,
}

/// For few rows; many are better handed over in bulk, by [`Publication::label`] and [`Publication::event`].
impl Publication {
    /// Opens the part (label, ds). Its rows follow; then [`Publication::finish_part`].
    pub fn start_label(&mut self, label: i64, name: &str, ds: Ds) -> Result<()> {
        let buckets = vec![Vec::new(); self.buckets() as usize];
        self.part =
            Some(OpenPart::Label { label, name: name.into(), ds, tag_names: HashMap::new(), buckets });
        Ok(())
    }

    pub fn label_row(&mut self, user: &[u8], tag: i64, tag_name: &str, weight: Option<i64>) -> Result<()> {
        let Some(OpenPart::Label { tag_names, buckets, .. }) = &mut self.part else { return Err(no_part()) };
        if tag_names.get(&tag).is_none_or(|name| name != tag_name) {
            tag_names.insert(tag, tag_name.to_owned());
        }
        let bucket = User::new(user).bucket(buckets.len() as u32);
        buckets[bucket as usize].push((user.into(), tag, weight));
        Ok(())
    }

    /// Opens the part (event, ds). Its rows follow; then [`Publication::finish_part`].
    pub fn start_event(&mut self, shape: &EventShape<'_>) -> Result<()> {
        self.part = Some(OpenPart::Event {
            event: shape.event.to_owned(),
            ds: shape.ds,
            dimensions: shape.dimensions.to_vec(),
            measures: shape.measures.to_vec(),
            buckets: (0..self.buckets()).map(|_| Vec::new()).collect(),
        });
        Ok(())
    }

    /// `values`: one per dimension of the shape; `measures`: one per measure.
    pub fn event_row(
        &mut self,
        user: &[u8],
        pv: i64,
        values: &[Option<&str>],
        measures: &[i64],
    ) -> Result<()> {
        let Some(OpenPart::Event { buckets, .. }) = &mut self.part else { return Err(no_part()) };
        let bucket = User::new(user).bucket(buckets.len() as u32);
        buckets[bucket as usize].push(OwnedEventRow {
            user: user.into(),
            pv,
            values: values.iter().map(|value| value.map(str::to_owned)).collect(),
            measures: measures.to_vec(),
        });
        Ok(())
    }

    /// Builds the open part, which takes the place of the one published for its day, if any.
    pub fn finish_part(&mut self, now_ms: i64) -> Result<()> {
        match self.part.take() {
            None => Err(no_part()),
            Some(OpenPart::Label { label, name, ds, tag_names, buckets }) => {
                let shape = LabelShape { label, name: &name, ds, tag_names: &tag_names };
                self.label(&shape, now_ms, |bucket, out| {
                    buckets[bucket as usize].iter().try_for_each(|(user, tag, weight)| {
                        out.add(&[LabelRow { user: User::new(user), tag: *tag, weight: *weight }])
                    })
                })
            }
            Some(OpenPart::Event { event, ds, dimensions, measures, buckets }) => {
                let shape = EventShape { event: &event, ds, dimensions: &dimensions, measures: &measures };
                self.event(&shape, now_ms, |bucket, out| {
                    buckets[bucket as usize].iter().try_for_each(|row| {
                        let values: Vec<Option<&str>> = row.values.iter().map(Option::as_deref).collect();
                        let tuple = out.tuple(&values);
                        let user = User::new(&row.user);
                        out.add(&[EventRow { user, tuple, pv: row.pv, measures: &row.measures }])
                    })
                })
            }
        }
    }
}

fn no_part() -> StoreError {
    StoreError::Full("rows came without a part to go into".into())
}
