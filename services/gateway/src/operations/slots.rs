//! Bounds how many requests of each class are in flight. Nobody waits in line: over capacity the answer
//! is 503 at once, and the client chooses when to come back.

use std::collections::HashMap;
use std::sync::Arc;

use muster_http::{Kind, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::class::Class;
use crate::instruments;
use crate::settings::InFlight;

pub struct Slots(HashMap<Class, Arc<Semaphore>>);

impl Slots {
    pub fn new(limits: &InFlight) -> Self {
        let slots = |class| Arc::new(Semaphore::new(limits.of(class).min(Semaphore::MAX_PERMITS)));
        Slots(Class::ALL.map(|class| (class, slots(class))).into())
    }

    /// A slot until the answer is dropped, or 503 `overloaded`.
    pub fn take(&self, class: Class) -> Result<OwnedSemaphorePermit, Problem> {
        self.0[&class].clone().try_acquire_owned().map_err(|_| {
            instruments::refused(class.name(), "overloaded");
            let detail = format!("Too many `{}` requests are running. Try again shortly.", class.name());
            Problem::new(Kind::Unavailable, "overloaded", detail).retry_after(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_class_refuses_and_leaves_the_others_alone() {
        let slots = Slots::new(&InFlight { estimate: 1, ..InFlight::default() });
        let held = slots.take(Class::Estimate).unwrap();
        let refused = slots.take(Class::Estimate).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.retry_after), ("overloaded", Some(1)));
        assert!(slots.take(Class::Read).is_ok());
        drop(held);
        assert!(slots.take(Class::Estimate).is_ok());
    }
}
