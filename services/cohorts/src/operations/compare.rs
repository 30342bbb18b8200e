//! Groups beside their control, metric by metric.

use std::ops::RangeInclusive;
use std::sync::Arc;

use muster_catalogue::Floor;
use muster_days::Ds;
use muster_evaluator::{Control, Number, NumberOf as Of, PairSums, moments};
use muster_http::{Kind, Problem};
use muster_profile_store::Snapshot;
use muster_rules::nearest;
use muster_statistics::{
    Mixture, Moments, Paired, Share, Summary, always_valid, cuped, difference_of_means, interval_of_shares,
    lift, q_values, sample_ratio,
};
use roaring::RoaringBitmap;

use crate::answers::{Comparison, GroupResult, Interval, MetricResult, SampleRatio};
use crate::definition::{Definition, Metric, NumberOf};
use crate::error::Error;

/// Below it something else than chance made the groups as large as they are.
const MISMATCH: f64 = 0.001;

/// What is compared, and how.
pub struct How {
    pub days: RangeInclusive<Ds>,
    /// The days before, whose numbers are taken out of those of the days that count.
    pub before: Option<RangeInclusive<Ds>>,
    /// Confidence of the intervals.
    pub level: f64,
    /// Users that each group was meant to have, where intervals are to hold however often somebody looks.
    pub planned: Option<Vec<u64>>,
    pub floor: Floor,
}

/// What a metric comes to in each group.
struct Counted {
    sums: Vec<PairSums>,
    /// Users who did what the metric counts.
    did: Vec<u64>,
}

/// The events and measures that a definition names are known.
pub fn known(snapshot: &Snapshot, definition: &Definition) -> Result<(), Error> {
    let events = &snapshot.manifest().events;
    let event = |pointer: &str, given: &str| match events.get(given) {
        Some(entry) => Ok(entry),
        None => Err(unknown(pointer, "event", given, nearest(given, events.keys()))),
    };
    if let Some(exposure) = &definition.exposure {
        event("/exposure", exposure)?;
    }
    for (number, metric) in definition.metrics.iter().enumerate() {
        let entry = event(&format!("/metrics/{number}/event"), &metric.event)?;
        if let Some(measure) = metric.measure.as_ref().filter(|measure| !entry.measures.contains(measure)) {
            let pointer = format!("/metrics/{number}/measure");
            return Err(unknown(&pointer, "measure", measure, nearest(measure, entry.measures.iter())));
        }
    }
    Ok(())
}

/// The newest day that any event of the definition has data of.
pub fn newest(definition: &Definition, snapshot: &Snapshot) -> Option<Ds> {
    let events = definition.metrics.iter().map(|metric| &metric.event).chain(&definition.exposure);
    let newest = events.filter_map(|event| snapshot.manifest().events.get(event)?.days.keys().next_back());
    newest.max().copied()
}

fn unknown(pointer: &str, what: &str, given: &str, nearest: Option<String>) -> Error {
    let hint = nearest.as_ref().map(|nearest| format!(" Did you mean `{nearest}`?")).unwrap_or_default();
    let problem = Problem::new(Kind::Invalid, "invalid_body", format!("There is no {what} `{given}`.{hint}"));
    problem.with_fault(pointer, &format!("unknown_{what}"), nearest).into()
}

/// Every metric of the groups, whose users these are; `q` is not filled in.
pub fn compare(
    snapshot: &Arc<Snapshot>,
    definition: &Definition,
    groups: &[&[RoaringBitmap]],
    how: &How,
    control: &Control<'_>,
) -> Result<Vec<MetricResult>, Error> {
    let names: Vec<&str> = definition.groups.iter().map(|group| &*group.name).collect();
    let mut results = Vec::new();
    for metric in &definition.metrics {
        let counted = count(snapshot, metric, groups, how, control)?;
        let group = |place: usize| GroupResult {
            group: names[place].to_owned(),
            users: counted.users(place, how.floor),
            mean: counted.told(place, how.floor).and_then(|sums| paired(sums).y.mean()),
            against_control: (place > 0).then(|| counted.against_control(place, metric, how)).flatten(),
        };
        results.push(MetricResult {
            metric: metric.name.clone(),
            groups: (0..groups.len()).map(group).collect(),
        });
    }
    Ok(results)
}

fn count(
    snapshot: &Arc<Snapshot>,
    metric: &Metric,
    groups: &[&[RoaringBitmap]],
    how: &How,
    control: &Control<'_>,
) -> Result<Counted, Error> {
    let of = match (metric.of, &metric.measure) {
        (NumberOf::Users, _) => Of::Users,
        (NumberOf::Pv, _) => Of::Pv,
        (NumberOf::Sum, measure) => Of::Measure(measure.as_deref().unwrap_or_default()),
    };
    let number = |days: &RangeInclusive<Ds>, of| Number { event: &metric.event, days: days.clone(), of };
    let before = how.before.as_ref().map(|before| number(before, of));
    let sums = moments(snapshot, groups, (&number(&how.days, of), before.as_ref()), control)?;
    let did = match of {
        Of::Users => sums.iter().map(|sums| sums.y as u64).collect(),
        _ => {
            let did = moments(snapshot, groups, (&number(&how.days, Of::Users), None), control)?;
            did.iter().map(|sums| sums.y as u64).collect()
        }
    };
    Ok(Counted { sums, did })
}

fn paired(sums: PairSums) -> Paired {
    let PairSums { users, y, yy, x, xx, xy } = sums;
    let moments = |sum, sum_squares| Moments { users, sum, sum_squares };
    Paired { y: moments(y, yy), x: moments(x, xx), sum_products: xy }
}

impl Counted {
    fn users(&self, place: usize, floor: Floor) -> Option<u64> {
        Some(self.sums[place].users).filter(|users| !floor.is_few(*users))
    }

    /// None where what the group comes to would be that of too few users.
    fn told(&self, place: usize, floor: Floor) -> Option<PairSums> {
        let (sums, did) = (self.sums[place], self.did[place]);
        let few =
            [sums.users, did, sums.users.saturating_sub(did)].into_iter().any(|users| floor.is_few(users));
        (!few).then_some(sums)
    }

    fn against_control(&self, place: usize, metric: &Metric, how: &How) -> Option<Comparison> {
        let (treated, control) = (paired(self.told(place, how.floor)?), paired(self.told(0, how.floor)?));
        let adjusted = how.before.as_ref().and_then(|_| cuped(treated, control));
        let (of_treated, of_control) = match &adjusted {
            Some(adjusted) => (adjusted.treatment, adjusted.control),
            None => (treated.y.summary()?, control.y.summary()?),
        };
        let mut told = match &how.planned {
            Some(planned) => {
                let mixture = Mixture::narrowest_at(planned[place], planned[0]);
                sequential(of_treated, of_control, mixture, how.level)?
            }
            None => once(of_treated, of_control, how.level)?,
        };
        if adjusted.is_none() && how.planned.is_none() && metric.of == NumberOf::Users {
            let share = |sums: Paired| Share { some: sums.y.sum as u64, users: sums.y.users };
            let interval = interval_of_shares(share(treated), share(control), how.level)?;
            (told.low, told.high, told.interval) = (interval.low, interval.high, Interval::Newcombe);
        }
        told.variance_removed = adjusted.map(|adjusted| adjusted.removed);
        Some(told)
    }
}

/// For somebody who looks once, at the end.
fn once(treated: Summary, control: Summary, level: f64) -> Option<Comparison> {
    let seen = difference_of_means(treated, control, level)?;
    let relative = lift(treated, control, level);
    Some(Comparison {
        difference: seen.difference,
        low: seen.interval.low,
        high: seen.interval.high,
        lift: relative.map(|lift| lift.lift),
        lift_low: relative.map(|lift| lift.interval.low),
        lift_high: relative.map(|lift| lift.interval.high),
        p_value: seen.p_value,
        q: None,
        interval: Interval::Welch,
        variance_removed: None,
    })
}

/// For somebody who looks again and again.
fn sequential(treated: Summary, control: Summary, mixture: Mixture, level: f64) -> Option<Comparison> {
    let seen = always_valid(treated, control, mixture, level)?;
    Some(Comparison {
        difference: seen.difference,
        low: seen.interval.low,
        high: seen.interval.high,
        lift: lift(treated, control, level).map(|lift| lift.lift),
        lift_low: None,
        lift_high: None,
        p_value: seen.p_value,
        q: None,
        interval: Interval::AlwaysValid,
        variance_removed: None,
    })
}

/// Fills in `q` of all comparisons together; answers the smallest p-value.
pub fn false_discoveries<'r>(results: impl IntoIterator<Item = &'r mut MetricResult>) -> Option<f64> {
    let groups = results.into_iter().flat_map(|metric| &mut metric.groups);
    let mut told: Vec<&mut Comparison> = groups.filter_map(|group| group.against_control.as_mut()).collect();
    let p_values: Vec<f64> = told.iter().map(|told| told.p_value).collect();
    told.iter_mut().zip(q_values(&p_values)).for_each(|(told, q)| told.q = Some(q));
    p_values.into_iter().min_by(f64::total_cmp)
}

/// None where a group is smaller than may be shown.
pub fn ratio(users: &[u64], definition: &Definition, floor: Floor) -> Option<SampleRatio> {
    if users.iter().any(|users| floor.is_few(*users)) {
        return None;
    }
    let shares: Vec<f64> = definition.shares().into_iter().map(f64::from).collect();
    let test = sample_ratio(users, &shares)?;
    let mismatch = test.p_value < MISMATCH;
    Some(SampleRatio { chi_squared: test.statistic, p_value: test.p_value, mismatch })
}
