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
    Lift, Mixture, Moments, Paired, Share, Summary, always_valid, cuped, difference_of_means,
    interval_of_shares, lift, q_values, sample_ratio,
};
use roaring::RoaringBitmap;

use crate::answers::{Comparison, GroupResult, Interval, MetricResult, SampleRatio};
use crate::audiences::Users;
use crate::definition::{Definition, GroupShare, Metric, NumberOf};
use crate::error::Error;

/// Below it something else than chance made the groups as large as they are.
const MISMATCH: f64 = 0.001;
/// Standard errors that a mean is above 0 before anything is told as a share of it.
const SAFELY: f64 = 5.0;

/// How groups are compared.
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

/// Groups that are compared with each other: those of an experiment, or what carries one tag of them.
pub struct Set {
    pub groups: Vec<Users>,
    /// Users that those of each group are taken from: the others may not be too few either.
    pub within: Vec<u64>,
}

/// What a metric comes to in each group of a set.
struct Counted {
    sums: Vec<PairSums>,
    /// Users who did what the metric counts.
    did: Vec<u64>,
    /// By group: its size, and what it comes to, may be told.
    sized: Vec<bool>,
    told: Vec<bool>,
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

/// Every metric of each set, the first of which is the experiment's and the others those of tags; `q` is not filled in.
pub fn compare(
    snapshot: &Arc<Snapshot>,
    definition: &Definition,
    sets: &[Set],
    how: &How,
    control: &Control<'_>,
) -> Result<Vec<Vec<MetricResult>>, Error> {
    let mut results: Vec<Vec<MetricResult>> = sets.iter().map(|_| Vec::new()).collect();
    for metric in &definition.metrics {
        let mut counted = count(snapshot, metric, sets, how, control)?;
        hide_residuals(&mut counted[1..], how.floor);
        for (counted, results) in counted.iter().zip(&mut results) {
            let group = |(place, group): (usize, &GroupShare)| GroupResult {
                group: group.name.clone(),
                users: counted.sized[place].then_some(counted.sums[place].users),
                mean: counted.told(place).and_then(|sums| paired(sums).y.mean()),
                against_control: (place > 0).then(|| counted.against_control(place, metric, how)).flatten(),
            };
            let groups = definition.groups.iter().enumerate().map(group).collect();
            results.push(MetricResult { metric: metric.name.clone(), groups });
        }
    }
    Ok(results)
}

/// All groups of all sets in one pass.
fn count(
    snapshot: &Arc<Snapshot>,
    metric: &Metric,
    sets: &[Set],
    how: &How,
    control: &Control<'_>,
) -> Result<Vec<Counted>, Error> {
    let of = match (metric.of, &metric.measure) {
        (NumberOf::Users, _) => Of::Users,
        (NumberOf::Pv, _) => Of::Pv,
        (NumberOf::Sum, measure) => Of::Measure(measure.as_deref().unwrap_or_default()),
    };
    let groups: Vec<&[RoaringBitmap]> =
        sets.iter().flat_map(|set| &set.groups).map(|users| &users[..]).collect();
    let number = |days: &RangeInclusive<Ds>, of| Number { event: &metric.event, days: days.clone(), of };
    let before = how.before.as_ref().map(|before| number(before, of));
    let sums = moments(snapshot, &groups, (&number(&how.days, of), before.as_ref()), control)?;
    let did = match of {
        Of::Users => sums.clone(),
        _ => moments(snapshot, &groups, (&number(&how.days, Of::Users), None), control)?,
    };
    let (mut sums, mut did) = (sums.into_iter(), did.into_iter().map(|sums| sums.y as u64));
    let counted = sets.iter().map(|set| {
        let groups = set.groups.len();
        Counted::new(
            sums.by_ref().take(groups).collect(),
            did.by_ref().take(groups).collect(),
            set,
            how.floor,
        )
    });
    Ok(counted.collect())
}

/// Where the tags of a group that are hidden come to too few users together, the rest of the group would tell of them:
/// the next smallest tag is hidden with them.
fn hide_residuals(tags: &mut [Counted], floor: Floor) {
    let groups = tags.first().map_or(0, |tag| tag.sums.len());
    for group in 0..groups {
        loop {
            let hidden = tags.iter().filter(|tag| !tag.told[group]);
            let (users, did) =
                hidden.fold((0, 0), |sum, tag| (sum.0 + tag.sums[group].users, sum.1 + tag.did[group]));
            if !floor.is_few(users) && !floor.is_few(did) {
                break;
            }
            let shown = tags.iter_mut().filter(|tag| tag.told[group] && tag.sums[group].users > 0);
            let Some(next) = shown.min_by_key(|tag| tag.sums[group].users) else { break };
            (next.told[group], next.sized[group]) = (false, false);
        }
    }
}

fn paired(sums: PairSums) -> Paired {
    let PairSums { users, y, yy, x, xx, xy } = sums;
    let moments = |sum, sum_squares| Moments { users, sum, sum_squares };
    Paired { y: moments(y, yy), x: moments(x, xx), sum_products: xy }
}

impl Counted {
    fn new(sums: Vec<PairSums>, did: Vec<u64>, set: &Set, floor: Floor) -> Counted {
        let sized = sums.iter().zip(&set.within).map(|(sums, of)| floor.shown(sums.users, *of).is_some());
        let sized: Vec<bool> = sized.collect();
        let told = sums.iter().zip(&did).zip(&sized);
        let told =
            told.map(|((sums, did), sized)| *sized && floor.shown(*did, sums.users).is_some()).collect();
        Counted { sums, did, sized, told }
    }

    /// None where what the group comes to would be that of too few users.
    fn told(&self, place: usize) -> Option<PairSums> {
        self.told[place].then_some(self.sums[place])
    }

    fn against_control(&self, place: usize, metric: &Metric, how: &How) -> Option<Comparison> {
        let (treated, control) = (paired(self.told(place)?), paired(self.told(0)?));
        let adjusted = how.before.as_ref().and_then(|_| cuped(treated, control));
        // Days before on which nobody differs explain nothing.
        let adjusted = adjusted.filter(|adjusted| adjusted.theta != 0.0);
        let (of_treated, of_control) = match &adjusted {
            Some(adjusted) => (adjusted.treatment, adjusted.control),
            None => (treated.y.summary()?, control.y.summary()?),
        };
        if let Some(planned) = &how.planned {
            let mixture = Mixture::narrowest_at(planned[place], planned[0]);
            let told = sequential(of_treated, of_control, mixture, how.level)?;
            return Some(Comparison { variance_removed: adjusted.map(|adjusted| adjusted.removed), ..told });
        }
        let told = once(of_treated, of_control, how.level);
        if let Some(adjusted) = adjusted {
            return Some(Comparison { variance_removed: Some(adjusted.removed), ..told? });
        }
        match metric.of {
            NumberOf::Users => shares(treated, control, told, how.level),
            NumberOf::Pv | NumberOf::Sum => told,
        }
    }
}

/// Of shares that nothing is taken out of: with an interval that holds for small counts, and where nobody or everybody
/// did it.
fn shares(treated: Paired, control: Paired, told: Option<Comparison>, level: f64) -> Option<Comparison> {
    let share = |of: Paired| Share { some: of.y.sum as u64, users: of.y.users };
    let interval = interval_of_shares(share(treated), share(control), level)?;
    let difference = treated.y.mean()? - control.y.mean()?;
    let without_spread = || Comparison {
        difference,
        low: interval.low,
        high: interval.high,
        lift: None,
        lift_low: None,
        lift_high: None,
        p_value: if difference == 0.0 { 1.0 } else { 0.0 },
        q: None,
        interval: Interval::Newcombe,
        variance_removed: None,
    };
    let told = told.unwrap_or_else(without_spread);
    Some(Comparison { low: interval.low, high: interval.high, interval: Interval::Newcombe, ..told })
}

/// Relative to a mean that is safely above 0.
fn safe_lift(treated: Summary, control: Summary, level: f64) -> Option<Lift> {
    let error = (control.variance / control.users as f64).sqrt();
    (control.mean > SAFELY * error).then(|| lift(treated, control, level)).flatten()
}

/// For somebody who looks once, at the end.
fn once(treated: Summary, control: Summary, level: f64) -> Option<Comparison> {
    let seen = difference_of_means(treated, control, level)?;
    let relative = safe_lift(treated, control, level);
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
        lift: safe_lift(treated, control, level).map(|lift| lift.lift),
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

#[cfg(test)]
mod tests {
    use muster_catalogue::AppSettings;

    use super::*;

    fn floor(users: u64) -> Floor {
        AppSettings { privacy_floor: Some(users), ..AppSettings::default() }.floor()
    }

    /// Of a group of a thousand.
    fn tag(users: u64, did: u64, floor: Floor) -> Counted {
        let sums = PairSums { users, y: did as f64, yy: did as f64, ..PairSums::default() };
        let set = Set { groups: Vec::new(), within: vec![1_000] };
        Counted::new(vec![sums], vec![did], &set, floor)
    }

    #[test]
    fn what_is_hidden_is_not_told_by_the_rest() {
        let check = |tags: &[(u64, u64)], expected: &[bool]| {
            let mut tags: Vec<Counted> =
                tags.iter().map(|(users, did)| tag(*users, *did, floor(10))).collect();
            hide_residuals(&mut tags, floor(10));
            assert_eq!(tags.iter().map(|tag| tag.told[0]).collect::<Vec<_>>(), expected);
        };
        check(&[(500, 100), (400, 100), (100, 50)], &[true, true, true]);
        // Five are a thousand less the others: so the next smallest is hidden with them.
        check(&[(500, 100), (495, 100), (5, 2)], &[true, false, false]);
        check(&[(980, 100), (8, 3), (7, 3), (5, 5)], &[true, false, false, false]);
        // Of the three who are hidden nine did it.
        check(&[(980, 100), (8, 2), (7, 2), (5, 5)], &[false; 4]);
        // Three did it among enough users.
        check(&[(500, 100), (300, 100), (200, 3)], &[true, false, false]);
        check(&[(500, 100), (300, 100), (200, 0)], &[true, true, true]);
    }

    #[test]
    fn nobody_did_it_in_either_group() {
        let none = PairSums { users: 500, ..PairSums::default() };
        let set = Set { groups: Vec::new(), within: vec![500; 2] };
        let counted = Counted::new(vec![none; 2], vec![0; 2], &set, floor(0));
        let metric = Metric { name: "m".into(), event: "e".into(), of: NumberOf::Users, measure: None };
        let day = Ds::from_number(20261101).unwrap();
        let how = How { days: day..=day, before: None, level: 0.95, planned: None, floor: floor(0) };
        let told = counted.against_control(1, &metric, &how).unwrap();
        assert_eq!((told.interval, told.difference, told.p_value), (Interval::Newcombe, 0.0, 1.0));
        assert!(told.low < 0.0 && told.high > 0.0 && told.lift.is_none(), "{told:?}");
    }
}
