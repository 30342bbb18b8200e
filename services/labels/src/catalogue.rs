//! The way from a route to the store: who may read what, off the request threads, on one snapshot.

use std::sync::Arc;

use actix_web::web;
use muster_http::{Caller, Problem, Role};
use muster_profile_store::{Snapshot, Store};

use crate::error::{Error, Result};

/// What every route holds. Cheap to clone.
#[derive(Clone)]
pub struct Catalogue {
    store: Arc<Store>,
}

impl Catalogue {
    pub fn new(store: Arc<Store>) -> Self {
        Catalogue { store }
    }

    /// Runs `operation` on what the app has published now, if the caller may read the app.
    pub async fn read<T, F>(&self, caller: &Caller, app: String, operation: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Fn(&Snapshot) -> Result<T> + Send + 'static,
    {
        caller.require(&app, Role::Read)?;
        self.blocking(move |store| on_snapshot(store, &app, &operation)).await
    }

    /// Runs `operation` where waiting for the disk and long loops hold up nobody.
    pub async fn blocking<T, F>(&self, operation: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> Result<T> + Send + 'static,
    {
        let store = self.store.clone();
        let result = web::block(move || operation(&store)).await.map_err(Problem::internal)?;
        result.map_err(Problem::from)
    }
}

/// A file that an old manifest names may be gone by the time it is opened: then the newer manifest is
/// read and the operation starts again, once.
pub fn on_snapshot<T>(store: &Store, app: &str, operation: impl Fn(&Snapshot) -> Result<T>) -> Result<T> {
    let once = || {
        let snapshot = store.snapshot(app)?.ok_or_else(|| Error::UnknownApp(app.to_owned()))?;
        operation(&snapshot)
    };
    match once() {
        Err(Error::Store(error)) if error.is_missing() => once(),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::ErrorKind;

    use muster_profile_store::StoreError;

    use super::*;

    /// How often the operation runs when it fails with `kind` the first `failures` times.
    fn check(kind: ErrorKind, failures: u32, runs: u32, succeeds: bool) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.publish("shop").unwrap().commit(0).unwrap();
        let ran = Cell::new(0);
        let result = on_snapshot(&store, "shop", |_| {
            ran.set(ran.get() + 1);
            let error = StoreError::Io { path: "label.mst".into(), source: kind.into() };
            if ran.get() > failures { Ok(()) } else { Err(error.into()) }
        });
        assert_eq!((ran.get(), result.is_ok()), (runs, succeeds), "{kind}");
    }

    #[test]
    fn a_file_that_is_gone_is_looked_for_once_more() {
        check(ErrorKind::NotFound, 1, 2, true);
        check(ErrorKind::NotFound, 2, 2, false);
        check(ErrorKind::PermissionDenied, 1, 1, false);
    }
}
