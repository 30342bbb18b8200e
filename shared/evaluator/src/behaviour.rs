//! What the users of crowds did: users, pv and sums of measures by event, over a range of days and on each
//! of its days, for several crowds side by side. A block of a crowd is worked out once, whatever the number
//! of events, and the files of a day are opened once, whatever the number of crowds.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block, SlicesView};
use muster_days::Ds;
use muster_profile_store::{EventPart, Snapshot, StoreError};
use muster_rules::Universe;

use crate::operators::event_parts;
use crate::run::{Control, EvaluationError, each_bucket};
use crate::scratch::{Pool, Scratch};
use crate::universe::{self, BoundUniverse};

/// Crowds and events bound to the parts of one snapshot that they read.
pub struct Behaviour {
    snapshot: Arc<Snapshot>,
    crowds: Vec<BoundUniverse>,
    events: Vec<Event>,
}

struct Event {
    measures: Vec<String>,
    parts: Vec<Arc<EventPart>>,
}

/// Exact numbers; crowds and events in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BehaviourCounts {
    /// Users of each crowd, whatever they did.
    pub crowds: Vec<u64>,
    pub events: Vec<EventCounts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventCounts {
    /// The days of the range that the event is published for, ascending.
    pub days: Vec<Ds>,
    /// The measures that any of these days has, by name.
    pub measures: Vec<String>,
    /// By crowd.
    pub crowds: Vec<CrowdEvent>,
}

/// What a crowd did of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrowdEvent {
    /// Over the whole range: a user of several days is counted once.
    pub range: Did,
    /// By place in [`EventCounts::days`].
    pub days: Vec<Did>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Did {
    /// Users with any row of the event, whatever its pv.
    pub users: u64,
    pub pv: i128,
    /// By place in [`EventCounts::measures`]; 0 on a day that lacks the measure.
    pub sums: Vec<i128>,
}

/// What one thread works with.
struct Worker {
    crowds: Vec<Box<Block>>,
    union: Box<Block>,
    scratch: Scratch,
    pool: Pool,
}

/// The views of one bucket.
struct Bucket<'a> {
    ordinals: u32,
    crowds: Vec<universe::Opened<'a>>,
    events: Vec<OpenedEvent<'a>>,
}

#[derive(Default)]
struct OpenedEvent<'a> {
    /// Who has a row, by day, of the days that the bucket has rows of.
    active: Vec<BitmapView<'a>>,
    days: Vec<OpenedDay<'a>>,
}

struct OpenedDay<'a> {
    /// Its place in [`EventCounts::days`].
    place: usize,
    pv: SlicesView<'a>,
    /// With their places in [`EventCounts::measures`].
    sums: Vec<(usize, SlicesView<'a>)>,
}

impl Behaviour {
    /// `days` are the first and the last day of the range; those that an event is not published for are
    /// passed over, and an event that nobody knows has none.
    ///
    /// # Errors
    /// Those of opening the parts.
    pub fn new(
        crowds: &[Universe],
        events: &[&str],
        days: &RangeInclusive<Ds>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Behaviour, StoreError> {
        let crowds = crowds.iter().map(|crowd| BoundUniverse::bind(crowd, &snapshot));
        let crowds = crowds.collect::<Result<_, _>>()?;
        let events = events.iter().map(|event| Event::bind(&snapshot, event, days));
        Ok(Behaviour { crowds, events: events.collect::<Result<_, _>>()?, snapshot })
    }

    /// # Errors
    /// Those of reading the parts, and [`EvaluationError::Stopped`].
    pub fn counts(&self, control: &Control<'_>) -> Result<BehaviourCounts, EvaluationError> {
        let worker = || Worker {
            crowds: self.crowds.iter().map(|_| Block::boxed()).collect(),
            union: Block::boxed(),
            scratch: Scratch::default(),
            pool: Pool::default(),
        };
        let buckets = each_bucket(&self.snapshot, control, worker, |bucket, worker| {
            let bucket = self.open(bucket)?;
            let mut counts = self.none();
            for key in 0..bucket.ordinals.div_ceil(Block::BITS) {
                if (control.stopped)() {
                    return Err(EvaluationError::Stopped);
                }
                self.count_block(&bucket, key as u16, worker, &mut counts);
            }
            Ok(counts)
        })?;
        let mut counts = buckets.iter().fold(self.none(), |mut sum, counts| {
            sum.add(counts);
            sum
        });
        counts.events.iter_mut().flat_map(|event| &mut event.crowds).for_each(CrowdEvent::add_up_days);
        Ok(counts)
    }

    fn none(&self) -> BehaviourCounts {
        let event = |event: &Event| {
            let did = Did { sums: vec![0; event.measures.len()], ..Did::default() };
            let crowd = CrowdEvent { days: vec![did.clone(); event.parts.len()], range: did };
            EventCounts {
                days: event.parts.iter().map(|part| part.meta().ds).collect(),
                measures: event.measures.clone(),
                crowds: vec![crowd; self.crowds.len()],
            }
        };
        let events = self.events.iter().map(event);
        BehaviourCounts { crowds: vec![0; self.crowds.len()], events: events.collect() }
    }

    fn open(&self, bucket: u32) -> Result<Bucket<'_>, StoreError> {
        let directory = self.snapshot.directory();
        let ordinals = directory.ordinals_in(bucket);
        let crowds = self.crowds.iter().map(|crowd| crowd.open(bucket, directory));
        let crowds = crowds.collect::<Result<_, _>>()?;
        let events = self.events.iter().map(|event| event.open(bucket));
        Ok(Bucket { ordinals, crowds, events: events.collect::<Result<_, _>>()? })
    }

    fn count_block(&self, bucket: &Bucket<'_>, key: u16, worker: &mut Worker, counts: &mut BehaviourCounts) {
        let Worker { crowds, union, scratch, pool } = worker;
        let mut there: Vec<(usize, Option<&Block>)> = Vec::with_capacity(crowds.len());
        for (number, (crowd, block)) in bucket.crowds.iter().zip(crowds).enumerate() {
            crowd.block(key, (&mut *scratch, &mut *pool), block);
            let size = block.count();
            counts.crowds[number] += u64::from(size);
            if size > 0 {
                // Of every user the files' own counts are enough.
                let everyone = matches!(self.crowds[number], BoundUniverse::All);
                there.push((number, (!everyone).then_some(&**block)));
            }
        }
        for (event, counts) in bucket.events.iter().zip(&mut counts.events) {
            event.count_block(key, (&there, union), &mut counts.crowds);
        }
    }
}

impl Event {
    fn bind(snapshot: &Snapshot, event: &str, days: &RangeInclusive<Ds>) -> Result<Event, StoreError> {
        let parts = event_parts(snapshot, event, &published(snapshot, event, days))?;
        let measures: BTreeSet<&String> = parts.iter().flat_map(|part| &part.meta().measures).collect();
        Ok(Event { measures: measures.into_iter().cloned().collect(), parts })
    }

    fn open(&self, bucket: u32) -> Result<OpenedEvent<'_>, StoreError> {
        let mut opened = OpenedEvent::default();
        for (place, part) in self.parts.iter().enumerate() {
            let Some(pv) = part.pv(bucket)? else { continue };
            let mut sums = Vec::new();
            for (place, name) in self.measures.iter().enumerate() {
                sums.extend(part.measure(bucket, name)?.map(|column| (place, column)));
            }
            opened.active.push(pv.exists());
            opened.days.push(OpenedDay { place, pv, sums });
        }
        Ok(opened)
    }
}

impl OpenedEvent<'_> {
    /// `there`: the crowds that have users in the block, with these; None: everybody. `union` is scratch.
    fn count_block(
        &self,
        key: u16,
        (there, union): (&[(usize, Option<&Block>)], &mut Block),
        counts: &mut [CrowdEvent],
    ) {
        if there.is_empty() {
            return;
        }
        union.set_union(&self.active, key);
        for (crowd, users) in there {
            let counts = &mut counts[*crowd];
            let any = users.map_or_else(|| union.count(), |users| users.and_count(union));
            counts.range.users += u64::from(any);
            if any > 0 {
                self.days.iter().for_each(|day| day.count_block(key, *users, &mut counts.days[day.place]));
            }
        }
    }
}

impl OpenedDay<'_> {
    fn count_block(&self, key: u16, users: Option<&Block>, did: &mut Did) {
        let active = self.pv.count(key, users);
        if active == 0 {
            return;
        }
        did.users += u64::from(active);
        did.pv += self.pv.sum(key, users);
        self.sums.iter().for_each(|(place, column)| did.sums[*place] += column.sum(key, users));
    }
}

impl BehaviourCounts {
    fn add(&mut self, other: &BehaviourCounts) {
        self.crowds.iter_mut().zip(&other.crowds).for_each(|(sum, more)| *sum += more);
        let crowds = other.events.iter().flat_map(|event| &event.crowds);
        for (sum, more) in self.events.iter_mut().flat_map(|event| &mut event.crowds).zip(crowds) {
            sum.range.add(&more.range);
            sum.days.iter_mut().zip(&more.days).for_each(|(sum, more)| sum.add(more));
        }
    }
}

impl CrowdEvent {
    /// pv and sums of the range are those of its days; users are not.
    fn add_up_days(&mut self) {
        let users = self.range.users;
        self.days.iter().for_each(|day| self.range.add(day));
        self.range.users = users;
    }
}

impl Did {
    fn add(&mut self, other: &Did) {
        self.users += other.users;
        self.pv += other.pv;
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, more)| *sum += more);
    }
}

/// The days of the range that the event is published for, ascending.
pub(crate) fn published(snapshot: &Snapshot, event: &str, days: &RangeInclusive<Ds>) -> Vec<Ds> {
    let event = snapshot.manifest().events.get(event);
    let published = event.into_iter().flat_map(|event| event.days.keys());
    published.filter(|ds| days.contains(ds)).copied().collect()
}
