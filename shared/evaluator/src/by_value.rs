//! What the users of crowds did by the values of one dimension of an event, over a range of days.

use std::cmp::Reverse;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use muster_bitmaps::{Block, SlicesView};
use muster_days::Ds;
use muster_profile_store::{Dictionary, EventPart, Postings, Snapshot, StoreError, TupleRows};
use muster_rules::Universe;

use crate::behaviour::published;
use crate::operators::event_parts;
use crate::run::{Control, EvaluationError, each_bucket};
use crate::scratch::{Pool, Scratch};
use crate::universe::BoundUniverse;

/// Crowds and a dimension bound to the parts of one snapshot that they read.
pub struct ByValue {
    snapshot: Arc<Snapshot>,
    crowds: Vec<BoundUniverse>,
    dimension: String,
    /// None: no row ever had the dimension.
    dictionary: Option<Arc<Dictionary>>,
    parts: Vec<Arc<EventPart>>,
}

/// Exact numbers; crowds in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByValueCounts {
    /// The values that the first crowd has rows of, the greatest first: by its users, then by its pv, then
    /// by value. At most as many as were asked for. Other crowds beside it are seen by the same values.
    pub values: Vec<ValueCounts>,
    pub crowds: Vec<CrowdValues>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueCounts {
    pub value: String,
    /// By crowd.
    pub crowds: Vec<UsersAndPv>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrowdValues {
    /// How many values the crowd has rows of.
    pub values: u64,
    /// pv of the crowd's rows of the values that are not among [`ByValueCounts::values`]. Their users can't
    /// be added up: one of several values would be counted for each.
    pub rest_pv: i128,
    /// The crowd's rows that lack the dimension.
    pub absent: UsersAndPv,
}

/// The rows of a crowd's users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsersAndPv {
    /// Users with any of the rows, each counted once, whatever the pv.
    pub users: u64,
    pub pv: i128,
}

/// By crowd.
type Counted = Vec<UsersAndPv>;

/// The sums of all buckets. Each bucket adds to them value by value: a list of values per bucket would take
/// as much memory again for each.
struct Sums {
    /// By the value's number in the dictionary, then by crowd.
    values: Vec<UsersAndPv>,
    absent: Counted,
}

/// What one thread works with: a bit per user of a bucket, for each crowd and for who was seen.
#[derive(Default)]
struct Worker {
    crowds: Vec<Vec<Box<Block>>>,
    seen: Seen,
    scratch: Scratch,
    pool: Pool,
}

/// Users who are counted already, by block; whether a block has any is beside it.
#[derive(Default)]
struct Seen(Vec<(bool, Box<Block>)>);

/// The views of one bucket.
#[derive(Default)]
struct Bucket<'a> {
    /// Of days with the dimension.
    postings: Vec<Postings<'a>>,
    /// Tuples by their value; None has those without one. With their place in `postings`.
    tuples: Vec<(Option<u32>, usize, TupleRows)>,
    /// pv of days on which all rows lack the dimension.
    lacking: Vec<SlicesView<'a>>,
}

impl ByValue {
    /// `days` are the first and the last day of the range; those that the event is not published for are
    /// passed over. An event that nobody knows has no rows; a dimension that nobody knows has no values.
    ///
    /// # Errors
    /// Those of opening the parts.
    pub fn new(
        crowds: &[Universe],
        (event, dimension): (&str, &str),
        days: &RangeInclusive<Ds>,
        snapshot: Arc<Snapshot>,
    ) -> Result<ByValue, StoreError> {
        let crowds = crowds.iter().map(|crowd| BoundUniverse::bind(crowd, &snapshot));
        Ok(ByValue {
            crowds: crowds.collect::<Result<_, _>>()?,
            dimension: dimension.to_owned(),
            dictionary: snapshot.dictionary(event, dimension)?,
            parts: event_parts(&snapshot, event, &published(&snapshot, event, days))?,
            snapshot,
        })
    }

    /// At most `top` values. Memory: 32 bytes per value of the dictionary and crowd; per thread a bit per
    /// user of one bucket and crowd, and 24 bytes per tuple of one bucket and day.
    ///
    /// # Errors
    /// Those of reading the parts, and [`EvaluationError::Stopped`].
    pub fn counts(&self, top: usize, control: &Control<'_>) -> Result<ByValueCounts, EvaluationError> {
        let values = self.dictionary.as_ref().map_or(0, |dictionary| dictionary.len() as usize);
        let none = vec![UsersAndPv::default(); self.crowds.len()];
        let sums = Mutex::new(Sums { values: none.repeat(values), absent: none });
        each_bucket(&self.snapshot, control, Worker::default, |bucket, worker| {
            self.count_bucket(bucket, control, worker, &sums)
        })?;
        Ok(self.greatest(top, sums.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    fn count_bucket(
        &self,
        bucket: u32,
        control: &Control<'_>,
        worker: &mut Worker,
        sums: &Mutex<Sums>,
    ) -> Result<(), EvaluationError> {
        let opened = self.open(bucket)?;
        self.fill(bucket, control, worker)?;
        let Worker { crowds, seen, pool, .. } = worker;
        let lock = || sums.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = pool.take();
        let absent = count_lacking(&opened.lacking, crowds, seen, &mut fresh);
        pool.put(fresh);
        add(&mut lock().absent, &absent);
        for tuples in opened.tuples.chunk_by(|a, b| a.0 == b.0) {
            if (control.stopped)() {
                return Err(EvaluationError::Stopped);
            }
            let value = tuples[0].0;
            // Tuples without a value come first: who was seen before lacks one, too.
            if value.is_some() {
                seen.clear();
            }
            let counted = count_tuples(&opened.postings, tuples, crowds, seen)?;
            let mut sums = lock();
            let Some(value) = value else {
                add(&mut sums.absent, &counted);
                continue;
            };
            let first = value as usize * counted.len();
            // A number that the dictionary lacks is in no file whose contents are right.
            if let Some(of_value) = sums.values.get_mut(first..first + counted.len()) {
                add(of_value, &counted);
            }
        }
        Ok(())
    }

    fn open(&self, bucket: u32) -> Result<Bucket<'_>, StoreError> {
        let mut opened = Bucket::default();
        for part in &self.parts {
            let Some(number) = part.meta().dimensions.iter().position(|name| *name == self.dimension) else {
                opened.lacking.extend(part.pv(bucket)?);
                continue;
            };
            let Some(postings) = part.postings(bucket)? else { continue };
            let place = opened.postings.len();
            let tuples =
                postings.tuples().map(|(tuple, rows)| (part.tuple_value(tuple, number), place, rows));
            opened.tuples.extend(tuples);
            opened.postings.push(postings);
        }
        // Without a value first.
        opened.tuples.sort_by_key(|(value, ..)| *value);
        Ok(opened)
    }

    /// The bucket's users of each crowd; nobody is seen.
    fn fill(&self, bucket: u32, control: &Control<'_>, worker: &mut Worker) -> Result<(), EvaluationError> {
        let Worker { crowds, seen, scratch, pool } = worker;
        let directory = self.snapshot.directory();
        let blocks = directory.ordinals_in(bucket).div_ceil(Block::BITS) as usize;
        seen.clear();
        seen.0.resize_with(blocks, || (false, Block::boxed()));
        crowds.resize_with(self.crowds.len(), Vec::new);
        for (crowd, filled) in self.crowds.iter().zip(crowds) {
            let opened = crowd.open(bucket, directory)?;
            filled.resize_with(blocks, Block::boxed);
            for (key, block) in filled.iter_mut().enumerate() {
                if (control.stopped)() {
                    return Err(EvaluationError::Stopped);
                }
                opened.block(key as u16, (&mut *scratch, &mut *pool), block);
            }
        }
        Ok(())
    }

    fn greatest(&self, top: usize, sums: Sums) -> ByValueCounts {
        let by_crowd = self.crowds.len();
        let mut crowds: Vec<CrowdValues> =
            sums.absent.into_iter().map(|absent| CrowdValues { absent, ..CrowdValues::default() }).collect();
        let mut ranked: Vec<(&str, &[UsersAndPv])> = Vec::new();
        let values = self.dictionary.iter().flat_map(|dictionary| dictionary.values());
        for (value, counted) in values.zip(sums.values.chunks(by_crowd.max(1))) {
            for (crowd, counted) in crowds.iter_mut().zip(counted) {
                crowd.values += u64::from(counted.users > 0);
                crowd.rest_pv += counted.pv;
            }
            if counted[0].users > 0 {
                ranked.push((value, counted));
            }
        }
        ranked.sort_unstable_by_key(|(value, counted)| (Reverse((counted[0].users, counted[0].pv)), *value));
        ranked.truncate(top);
        let values = ranked.into_iter().map(|(value, counted)| {
            crowds.iter_mut().zip(counted).for_each(|(crowd, counted)| crowd.rest_pv -= counted.pv);
            ValueCounts { value: value.to_owned(), crowds: counted.to_vec() }
        });
        ByValueCounts { values: values.collect(), crowds }
    }
}

impl Seen {
    fn clear(&mut self) {
        for (any, block) in &mut self.0 {
            if std::mem::take(any) {
                block.clear();
            }
        }
    }

    /// None: no user has a place there, whatever a file says.
    fn block(&mut self, key: u16) -> Option<&mut Block> {
        let (any, block) = self.0.get_mut(usize::from(key))?;
        *any = true;
        Some(block)
    }
}

fn add(sums: &mut [UsersAndPv], counted: &[UsersAndPv]) {
    for (sum, more) in sums.iter_mut().zip(counted) {
        sum.users += more.users;
        sum.pv += more.pv;
    }
}

/// All rows of some days, by their day sums. `fresh` is scratch.
fn count_lacking(
    days: &[SlicesView<'_>],
    crowds: &[Vec<Box<Block>>],
    seen: &mut Seen,
    fresh: &mut Block,
) -> Counted {
    let mut counted = vec![UsersAndPv::default(); crowds.len()];
    for day in days {
        for (key, active) in day.exists().containers() {
            let Some(seen) = seen.block(key) else { continue };
            fresh.set_container(&active);
            fresh.and_not(seen);
            seen.or(fresh);
            for (counted, crowd) in counted.iter_mut().zip(crowds) {
                let users = &crowd[usize::from(key)];
                counted.users += u64::from(users.and_count(fresh));
                counted.pv += day.sum(key, Some(users));
            }
        }
    }
    counted
}

/// The rows of some tuples; users who are seen already are not counted.
fn count_tuples(
    postings: &[Postings<'_>],
    tuples: &[(Option<u32>, usize, TupleRows)],
    crowds: &[Vec<Box<Block>>],
    seen: &mut Seen,
) -> Result<Counted, StoreError> {
    let mut counted = vec![UsersAndPv::default(); crowds.len()];
    for (_, place, rows) in tuples {
        let postings = &postings[*place];
        postings.groups(*rows, |group| {
            let Some(seen) = seen.block(group.block) else { return };
            postings.for_each(&group, 0, |place, pv| {
                let fresh = !seen.contains(place);
                seen.insert(place);
                for (counted, crowd) in counted.iter_mut().zip(crowds) {
                    if crowd[usize::from(group.block)].contains(place) {
                        counted.users += u64::from(fresh);
                        counted.pv += i128::from(pv);
                    }
                }
            });
        })?;
    }
    Ok(counted)
}
