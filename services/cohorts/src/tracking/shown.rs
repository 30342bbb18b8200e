//! A day as the API shows it: under the app's privacy floor, with everybody else worked out.

use std::collections::BTreeMap;

use muster_catalogue::Floor;

use super::answers::{CrowdDay, EventDay, SeriesDay};
use super::store::{CrowdFigures, DayRow, EventFigures, Figures};
use crate::error::Error;
use crate::operations::day as day_of;

/// `first_users` are those of the first day's cohort.
pub fn day(row: &DayRow, first_users: u64, floor: Floor) -> Result<SeriesDay, Error> {
    let Figures { cohort, app, retained } = serde_json::from_str(&row.figures)?;
    let rest = app.less(&cohort);
    let view = View { floor, of_cohort: &cohort, of_rest: &rest };
    // A cohort whose size may not be shown shows nothing.
    let open = floor.shown(cohort.users, app.users).is_some();
    let retained = retained.and_then(|retained| floor.shown(retained, first_users)).filter(|_| open);
    // Of the first cohort itself they are those who are active; beside today's, and all who are active, the difference
    // is told as well.
    let retained = retained.filter(|retained| {
        let told = [(cohort.users, first_users), (cohort.active, *retained), (app.active, *retained)];
        view.may(|crowd| crowd.active) && !told.into_iter().any(|(a, b)| floor.is_few(a.abs_diff(b)))
    });
    Ok(SeriesDay {
        ds: day_of(row.ds)?,
        cohort_id: row.cohort_id.clone(),
        cohort: if open { view.crowd(&cohort) } else { CrowdDay::default() },
        rest: if open { view.crowd(&rest) } else { CrowdDay::default() },
        // By itself it tells nothing of the cohort.
        app: View { floor, of_cohort: &app, of_rest: &CrowdFigures::default() }.crowd(&app),
        retained,
        retention: retained.filter(|_| first_users > 0).map(|users| users as f64 / first_users as f64),
    })
}

/// What may be told of a cohort and everybody else, who together are the app: each by the other, so either both or
/// neither.
struct View<'f> {
    floor: Floor,
    of_cohort: &'f CrowdFigures,
    of_rest: &'f CrowdFigures,
}

impl View<'_> {
    fn may(&self, of: impl Fn(&CrowdFigures) -> u64) -> bool {
        [self.of_cohort, self.of_rest]
            .into_iter()
            .all(|crowd| self.floor.shown(of(crowd), crowd.users).is_some())
    }

    /// Whether two numbers may stand beside each other: those who are in the one and not in the other are told, too.
    fn beside(&self, a: impl Fn(&CrowdFigures) -> u64, b: impl Fn(&CrowdFigures) -> u64) -> bool {
        [self.of_cohort, self.of_rest]
            .into_iter()
            .all(|crowd| !self.floor.is_few(a(crowd).abs_diff(b(crowd))))
    }

    fn crowd(&self, figures: &CrowdFigures) -> CrowdDay {
        let active = self.may(|crowd| crowd.active);
        let trades = self.may(|crowd| crowd.trades);
        let trades = trades && (!active || self.beside(|crowd| crowd.active, |crowd| crowd.trades));
        let may_event = |name: &String| {
            let users = |crowd: &CrowdFigures| crowd.events.get(name).map_or(0, |event| event.users);
            let counts = |of: fn(&EventFigures) -> bool| figures.events.get(name).is_some_and(of);
            self.may(users)
                && (!active || !counts(|event| event.active) || self.beside(|crowd| crowd.active, users))
                && (!trades || !counts(|event| event.trade) || self.beside(|crowd| crowd.trades, users))
        };
        let hidden = |counts: fn(&EventFigures) -> bool| {
            figures.events.iter().any(|(name, event)| counts(event) && !may_event(name))
        };
        // A sum over events tells the one that is hidden by the others.
        let sum = |counts: fn(&EventFigures) -> bool| {
            let all = figures.events.values().filter(|event| counts(event)).map(|event| event.pv);
            all.sum::<Option<i64>>().filter(|_| !hidden(counts))
        };
        CrowdDay {
            users: Some(figures.users),
            active: active.then_some(figures.active),
            pv: sum(|event| event.active).filter(|_| active),
            trades: trades.then_some(figures.trades),
            trade_pv: sum(|event| event.trade).filter(|_| trades),
            events: figures
                .events
                .iter()
                .map(|(name, event)| (name.clone(), event.told(may_event(name))))
                .collect(),
        }
    }
}

impl EventFigures {
    fn told(&self, may: bool) -> EventDay {
        let measures = self.measures.iter().map(|(name, sum)| (name.clone(), sum.filter(|_| may)));
        EventDay {
            users: may.then_some(self.users),
            pv: self.pv.filter(|_| may),
            measures: measures.collect(),
        }
    }
}

impl CrowdFigures {
    /// Everybody but those: they are some of these.
    fn less(&self, some: &CrowdFigures) -> CrowdFigures {
        let none = EventFigures::default();
        let number = |all: Option<i64>, some: Option<i64>| Some(all?.saturating_sub(some?));
        let event = |(name, all): (&String, &EventFigures)| {
            let some = some.events.get(name).unwrap_or(&none);
            let measure = |(measure, sum): (&String, &Option<i64>)| {
                (measure.clone(), number(*sum, some.measures.get(measure).copied().unwrap_or(Some(0))))
            };
            let measures: BTreeMap<String, Option<i64>> = all.measures.iter().map(measure).collect();
            let (users, pv) = (all.users.saturating_sub(some.users), number(all.pv, some.pv.or(Some(0))));
            (name.clone(), EventFigures { users, pv, measures, active: all.active, trade: all.trade })
        };
        CrowdFigures {
            users: self.users.saturating_sub(some.users),
            active: self.active.saturating_sub(some.active),
            trades: self.trades.saturating_sub(some.trades),
            events: self.events.iter().map(event).collect(),
        }
    }
}
