//! Dictionaries: the values of one dimension of one event, numbered in order of first appearance.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Result, StoreError};
use crate::manifest::DictionaryEntry;
use crate::sealed::{Kind, Sealed, Writer, u32_at, u32_bytes};

pub struct Dictionary {
    file: Arc<Sealed>,
    values: u32,
}

impl Dictionary {
    pub(crate) fn new(file: Arc<Sealed>, entry: &DictionaryEntry) -> Result<Dictionary> {
        let dictionary = Dictionary { file, values: entry.values };
        let damaged = |what: &str| StoreError::damaged(dictionary.file.path(), what);
        let offsets = dictionary.file.need(Kind::ValueOffsets, 0, 0)?;
        if offsets.len() != (entry.values as usize + 1) * 4 {
            return Err(damaged("dictionary has another number of values than the manifest says"));
        }
        let bytes = dictionary.file.need(Kind::ValueBytes, 0, 0)?;
        let whole = std::str::from_utf8(bytes).map_err(|_| damaged("dictionary values are not UTF-8"))?;
        let fits = |id| whole.is_char_boundary(u32_at(offsets, id) as usize);
        let order = dictionary.file.need(Kind::ValueOrder, 0, 0)?;
        let numbered = |id| u32_at(order, id) < entry.values;
        if !(0..=entry.values as usize).all(fits) || order.len() != entry.values as usize * 4 {
            return Err(damaged("dictionary offsets"));
        }
        if !(0..entry.values as usize).all(numbered) {
            return Err(damaged("dictionary order"));
        }
        Ok(dictionary)
    }

    pub fn len(&self) -> u32 {
        self.values
    }

    pub fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// The value with this id; ids run from 0 to `len() - 1`.
    pub fn value(&self, id: u32) -> Option<&str> {
        if id >= self.values {
            return None;
        }
        let offsets = self.file.section(Kind::ValueOffsets, 0, 0)?;
        let (start, end) = (u32_at(offsets, id as usize), u32_at(offsets, id as usize + 1));
        let bytes = self.file.section(Kind::ValueBytes, 0, 0)?.get(start as usize..end as usize)?;
        std::str::from_utf8(bytes).ok()
    }

    /// The id of a value; None when no row ever had it.
    pub fn id(&self, value: &str) -> Option<u32> {
        let order = self.file.section(Kind::ValueOrder, 0, 0)?;
        let (mut low, mut high) = (0, self.values as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            let id = u32_at(order, middle);
            match self.value(id)?.cmp(value) {
                Ordering::Equal => return Some(id),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Every value in the order of its id.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        (0..self.values).map(|id| self.value(id).unwrap_or_default())
    }
}

/// Write side: the values there are and the new ones.
#[derive(Default)]
pub(crate) struct Interner {
    ids: HashMap<Box<str>, u32>,
    known: u32,
}

impl Interner {
    pub fn from(dictionary: &Dictionary) -> Interner {
        let ids = dictionary.values().zip(0..).map(|(value, id)| (value.into(), id)).collect();
        Interner { ids, known: dictionary.len() }
    }

    pub fn id(&mut self, value: &str) -> u32 {
        if let Some(&id) = self.ids.get(value) {
            return id;
        }
        let id = self.ids.len() as u32;
        self.ids.insert(value.into(), id);
        id
    }

    /// The values in the order of their ids.
    pub fn into_values(self) -> Vec<Box<str>> {
        let mut values: Vec<(Box<str>, u32)> = self.ids.into_iter().collect();
        values.sort_unstable_by_key(|&(_, id)| id);
        values.into_iter().map(|(value, _)| value).collect()
    }

    pub fn has_new(&self) -> bool {
        self.ids.len() as u32 > self.known
    }

    pub fn write(&self, folder: &Path, name: &str) -> Result<DictionaryEntry> {
        let mut values: Vec<(&str, u32)> = self.ids.iter().map(|(value, &id)| (&**value, id)).collect();
        values.sort_unstable_by_key(|&(_, id)| id);
        let bytes: String = values.iter().map(|(value, _)| *value).collect();
        u32::try_from(bytes.len())
            .map_err(|_| StoreError::Full("the values of a dimension take more than 4 GiB".into()))?;
        let mut end = 0;
        let ends = values.iter().map(|(value, _)| {
            end += value.len() as u32;
            end
        });
        let mut writer = Writer::create(&folder.join(name))?;
        writer.section(Kind::ValueOffsets, 0, 0, &u32_bytes(std::iter::once(0).chain(ends)))?;
        writer.section(Kind::ValueBytes, 0, 0, bytes.as_bytes())?;
        values.sort_unstable_by_key(|&(value, _)| value);
        writer.section(Kind::ValueOrder, 0, 0, &u32_bytes(values.iter().map(|&(_, id)| id)))?;
        writer.seal()?;
        Ok(DictionaryEntry { file: name.into(), values: values.len() as u32 })
    }
}
