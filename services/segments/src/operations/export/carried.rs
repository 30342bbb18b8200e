//! What the members of a cohort carry of some labels, block by block.

use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block, Container};
use muster_days::Ds;
use muster_profile_store::{LabelPart, Snapshot};

use crate::error::Error;
use crate::operations::profile::{Asked, tag_name};

/// A label of an export.
pub struct Column {
    pub id: i64,
    pub name: String,
    part: Option<Arc<LabelPart>>,
    /// Code and name of each tag of the part; the code for a name where it has none.
    tags: Vec<(i64, String)>,
}

impl Column {
    pub fn new(snapshot: &Snapshot, label: Asked) -> Column {
        let codes = label.part.iter().flat_map(|part| part.meta().tags.keys().copied());
        let name = |code: i64| match tag_name(snapshot, label.id, code) {
            name if name.is_empty() => (code, code.to_string()),
            name => (code, name),
        };
        Column { id: label.id, tags: codes.map(name).collect(), name: label.name, part: label.part }
    }

    pub fn ds(&self) -> Option<Ds> {
        self.part.as_ref().map(|part| part.meta().ds)
    }
}

/// The columns in one bucket.
pub struct Carried<'c> {
    columns: Vec<Opened<'c>>,
    block: Box<Block>,
    /// Of the position asked for last, by column.
    tags: Vec<Vec<&'c str>>,
}

struct Opened<'c> {
    tags: Vec<(&'c str, BitmapView<'c>)>,
    /// Of the block: position and place in `tags`, ascending.
    pairs: Vec<(u16, usize)>,
    /// The first of the pairs that no position was asked for yet.
    next: usize,
}

impl<'c> Carried<'c> {
    pub fn open(columns: &'c [Column], bucket: u32) -> Result<Carried<'c>, Error> {
        let open = |column: &'c Column| -> Result<Opened<'c>, Error> {
            let mut tags = Vec::new();
            for (code, name) in &column.tags {
                let view = column.part.as_ref().map(|part| part.tag(bucket, *code)).transpose()?.flatten();
                tags.extend(view.map(|view| (name.as_str(), view)));
            }
            Ok(Opened { tags, pairs: Vec::new(), next: 0 })
        };
        let opened: Vec<Opened<'c>> = columns.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Carried { tags: vec![Vec::new(); opened.len()], columns: opened, block: Block::boxed() })
    }

    /// Goes on to a block of which these are members.
    pub fn block(&mut self, key: u16, members: &Container<'_>) {
        for column in &mut self.columns {
            column.pairs.clear();
            column.next = 0;
            for (place, (_, view)) in column.tags.iter().enumerate() {
                let Some(container) = view.container(key) else { continue };
                self.block.set_container(members);
                self.block.and_container(&container);
                column.pairs.extend(self.block.iter().map(|position| (position, place)));
            }
            column.pairs.sort_unstable();
        }
    }

    /// The names of the tags of a member, by column; members are asked for in their order.
    pub fn of(&mut self, position: u16) -> &[Vec<&'c str>] {
        for (column, tags) in self.columns.iter_mut().zip(&mut self.tags) {
            tags.clear();
            while let Some((of, place)) = column.pairs.get(column.next)
                && *of == position
            {
                tags.push(column.tags[*place].0);
                column.next += 1;
            }
        }
        &self.tags
    }
}
