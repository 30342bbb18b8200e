//! The generated set: users, 45 labels, three events over 30 days. Every value is a hash of the user's
//! number and of what is asked, so that the set is the same on every machine and nothing is kept.

use muster_days::Ds;

/// Days of behaviour.
pub const DAYS: usize = 30;
/// Values of the dimension `page`.
pub const PAGES: usize = 200;
const LAST_DAY: i64 = 20_261_120;

/// Labels with several tags, of which a user carries one at most: (tags, share of the users that carry it).
const CHOICES: [(u16, f64); 10] = [
    (3, 0.95),
    (4, 0.9),
    (5, 0.85),
    (6, 0.8),
    (8, 0.9),
    (10, 0.75),
    (12, 0.95),
    (18, 0.8),
    (25, 0.7),
    (34, 0.9),
];
/// Labels with a single tag, carried by 0.5 to 15 percent of the users.
const SINGLES: u16 = 35;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Visit,
    Search,
    Order,
}

impl Event {
    pub const ALL: [Event; 3] = [Event::Visit, Event::Search, Event::Order];

    pub fn name(self) -> &'static str {
        match self {
            Event::Visit => "visit",
            Event::Search => "search",
            Event::Order => "order",
        }
    }

    /// Share of a user's active days on which the event happens.
    fn rate(self) -> f64 {
        match self {
            Event::Visit => 1.0,
            Event::Search => 0.35,
            Event::Order => 0.08,
        }
    }
}

/// One row of behaviour; `page` is 0 for events without the dimension, else 1 to [`PAGES`].
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub page: u16,
    pub pv: u16,
}

/// Where in 32 bits the users' ids lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Ids {
    /// Everywhere, as those of a large app's users among all of a platform's.
    Scattered,
    /// From 0 on without a gap: the best case for bitmaps of ids.
    Dense,
}

impl Ids {
    pub fn of(self, n: u32) -> u32 {
        match self {
            Ids::Scattered => user_id(n),
            Ids::Dense => n,
        }
    }
}

/// The external id of user number `n`: 32 bits that look random, each once.
pub fn user_id(n: u32) -> u32 {
    let mut id = n.wrapping_mul(0x9E37_79B1);
    id ^= id >> 15;
    id = id.wrapping_mul(0x85EB_CA77);
    id ^ id >> 13
}

/// Day `n` of the set, the last one being the newest.
pub fn day(n: usize) -> Ds {
    Ds::from_number(LAST_DAY).expect("a day of the calendar").plus(n as i64 + 1 - DAYS as i64)
}

/// One of the 45 labels.
pub struct Label {
    pub number: u16,
    /// Tag k of the label goes to those whose draw is below `upto[k - 1]`, and no earlier one.
    upto: Vec<f64>,
}

impl Label {
    pub fn all() -> Vec<Label> {
        let choices = CHOICES.iter().map(|&(tags, carried)| {
            // Unequal shares: tag k has a weight of 1 / (k + 2).
            let weights = (1..=tags).map(|k| 1.0 / f64::from(k + 2));
            let total: f64 = weights.clone().sum();
            let sums = weights.scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            });
            sums.map(|sum| sum / total * carried).collect()
        });
        let singles =
            (0..SINGLES).map(|single| vec![0.005 * 30f64.powf(f64::from(single) / f64::from(SINGLES - 1))]);
        let numbered = choices.chain(singles).enumerate();
        numbered.map(|(number, upto)| Label { number: number as u16, upto }).collect()
    }

    /// How many tags it has, numbered from 1.
    pub fn tags(&self) -> u16 {
        self.upto.len() as u16
    }

    /// The tag that the user carries; tags count from 1.
    pub fn tag(&self, user: u32) -> Option<u16> {
        let draw = unit(hash(1 + u64::from(self.number), user));
        let tag = self.upto.partition_point(|upto| *upto <= draw);
        (tag < self.upto.len()).then_some(tag as u16 + 1)
    }
}

/// The user's rows of the event on day `n`, pages ascending.
pub fn rows(user: u32, event: Event, n: usize, out: &mut Vec<Row>) {
    out.clear();
    // Few users are active on most days, most on few: the mean is 0.18.
    let activity = 0.9 * unit(hash(0, user)).powi(4);
    let random = hash(1000 + (n * 4 + event as usize) as u64, user);
    if unit(random) >= activity * event.rate() {
        return;
    }
    let pv = |bits: u64| 1 + (bits & 0xff | 0x100).trailing_ones() as u16;
    if event != Event::Visit {
        return out.push(Row { page: 0, pv: pv(random) });
    }
    let mut more = hash(2000 + n as u64, user);
    for _ in 0..1 + (more & 0xf | 0x10).trailing_ones() / 2 {
        more = mix(more);
        // A few pages get most of the visits.
        let page = 1 + (PAGES as f64 * unit(more).powi(3)) as u16;
        match out.iter_mut().find(|row| row.page == page) {
            Some(row) => row.pv += pv(more),
            None => out.push(Row { page, pv: pv(more) }),
        }
    }
    out.sort_unstable_by_key(|row| row.page);
}

fn hash(stream: u64, user: u32) -> u64 {
    mix(mix(stream) ^ u64::from(user))
}

/// SplitMix64's finaliser.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// The high bits as a number in [0, 1).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
