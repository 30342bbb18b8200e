//! The way from a route to the store: who may read what, off the request threads, on one snapshot.

use actix_web::web;
use muster_http::{Caller, Problem, Role};
use muster_profile_store::{Snapshot, Store};

use crate::Labels;
use crate::error::{Error, Result};

impl Labels {
    /// Runs `operation` on what the app has published now, if the caller may read the app.
    pub async fn read<T, F>(&self, caller: &Caller, app: String, operation: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Fn(&Snapshot) -> Result<T> + Send + 'static,
    {
        caller.require(&app, Role::Read)?;
        Ok(self.blocking(move |store| on_snapshot(store, &app, &operation)).await?)
    }

    /// Runs `operation` where waiting for the disk and long loops hold up nobody.
    pub async fn blocking<T, F>(&self, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> Result<T> + Send + 'static,
    {
        let store = self.profiles.clone();
        web::block(move || operation(&store)).await.map_err(Error::inside)?
    }
}

/// A file that an old manifest names may be gone by the time it is opened: then the newer manifest is
/// read and the operation starts again, once.
pub fn on_snapshot<T>(store: &Store, app: &str, operation: impl Fn(&Snapshot) -> Result<T>) -> Result<T> {
    let once = || {
        if let Some(snapshot) = store.snapshot(app)? {
            return operation(&snapshot);
        }
        // Nothing is imported yet: there may be what the team has said.
        let catalogue = store.catalogue(app)?;
        if catalogue.version == 0 {
            return Err(Error::UnknownApp(app.to_owned()));
        }
        operation(&store.snapshot_as(app, catalogue)?)
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
