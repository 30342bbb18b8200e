//! Which class of call a request is: the class decides quota, concurrency, body and time limits.

use actix_web::http::Method;

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuotaKind {
    Read,
    Estimate,
    Job,
    Import,
}

impl QuotaKind {
    pub const ALL: [QuotaKind; 4] = [QuotaKind::Read, QuotaKind::Estimate, QuotaKind::Job, QuotaKind::Import];

    /// As in rows and in the API.
    pub fn name(self) -> &'static str {
        match self {
            QuotaKind::Read => "read",
            QuotaKind::Estimate => "estimate",
            QuotaKind::Job => "job",
            QuotaKind::Import => "import",
        }
    }

    pub fn from_name(name: &str) -> Option<QuotaKind> {
        QuotaKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What is bounded in number, size and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Read,
    /// Runs or saves a rule: costs what the rule costs.
    Estimate,
    /// Any other write.
    Job,
    /// A file that streams in.
    Import,
    /// A list that streams out.
    Export,
    /// Job events, for as long as the client listens.
    Follow,
}

/// Whether a POST to this path changes nothing: it may be asked again, and is not written down.
pub fn is_question(path: &str) -> bool {
    path.ends_with("/segments/estimate") || path.ends_with("/cohorts/membership")
}

impl Class {
    pub const ALL: [Class; 6] =
        [Class::Read, Class::Estimate, Class::Job, Class::Import, Class::Export, Class::Follow];

    /// The class of a request by its method and path.
    pub fn of(method: &Method, path: &str) -> Class {
        let mut parts = path.trim_start_matches("/v1/").splitn(6, '/');
        let parts: [Option<&str>; 6] = std::array::from_fn(|_| parts.next());
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        match parts.map(Option::unwrap_or_default) {
            ["imports", "", ..] if !reads => Class::Import,
            ["apps", _, "lists", _, "users", ""] if !reads => Class::Import,
            _ if !reads && is_question(path) => Class::Estimate,
            ["apps", _, "segments", "", "", ""] if !reads => Class::Estimate,
            ["apps", _, "cohorts", _, "verify", ""] if !reads => Class::Estimate,
            ["apps", _, "segments", _, "", ""] if *method == Method::PUT => Class::Estimate,
            _ if !reads => Class::Job,
            ["apps", _, "cohorts", _, "users", ""] => Class::Export,
            ["apps", _, "deliveries", _, "files", _] => Class::Export,
            ["apps", _, "lists", _, "versions", rest] if rest.ends_with("/report") => Class::Export,
            ["imports", part, ..] if !part.is_empty() => Class::Export,
            ["jobs", _, "events", ..] => Class::Follow,
            _ => Class::Read,
        }
    }

    pub fn kind(self) -> QuotaKind {
        match self {
            Class::Read | Class::Export | Class::Follow => QuotaKind::Read,
            Class::Estimate => QuotaKind::Estimate,
            Class::Job => QuotaKind::Job,
            Class::Import => QuotaKind::Import,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Estimate => "estimate",
            Class::Job => "job",
            Class::Import => "import",
            Class::Export => "export",
            Class::Follow => "follow",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_of_each_call() {
        let check = |method: Method, path: &str, expected: Class| {
            assert_eq!(Class::of(&method, path), expected, "{method} {path}");
        };
        check(Method::POST, "/v1/imports", Class::Import);
        check(Method::POST, "/v1/apps/a/lists/l/users", Class::Import);
        check(Method::POST, "/v1/apps/a/lists", Class::Job);
        check(Method::POST, "/v1/apps/a/cohorts/membership", Class::Estimate);
        check(Method::GET, "/v1/apps/a/cohorts/overlap", Class::Read);
        check(Method::GET, "/v1/apps/a/lists/l/versions/3/report", Class::Export);
        check(Method::GET, "/v1/apps/a/lists/l/versions", Class::Read);
        check(Method::GET, "/v1/imports/imp_1/rejects", Class::Export);
        check(Method::POST, "/v1/apps/a/segments/estimate", Class::Estimate);
        check(Method::POST, "/v1/apps/a/segments", Class::Estimate);
        check(Method::PUT, "/v1/apps/a/segments/s", Class::Estimate);
        check(Method::POST, "/v1/apps/a/cohorts/c/verify", Class::Estimate);
        check(Method::DELETE, "/v1/apps/a/segments/s", Class::Job);
        check(Method::POST, "/v1/apps/a/segments/s/run", Class::Job);
        check(Method::GET, "/v1/apps/a/segments", Class::Read);
        check(Method::GET, "/v1/apps/a/cohorts/c/users", Class::Export);
        check(Method::GET, "/v1/apps/a/deliveries/d/files/users.csv", Class::Export);
        check(Method::GET, "/v1/apps/a/deliveries/d", Class::Read);
        check(Method::GET, "/v1/apps/a/cohorts/c/users/u", Class::Read);
        check(Method::GET, "/v1/jobs/j/events", Class::Follow);
        check(Method::POST, "/v1/jobs/j/cancel", Class::Job);
        check(Method::GET, "/v1/jobs", Class::Read);
    }
}
