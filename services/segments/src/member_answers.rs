//! Many users × many cohorts, as the API takes and answers it.

use muster_days::Ds;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whom and what to look for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MembershipsBody {
    /// Up to 1000 ids: texts, or whole numbers.
    #[schema(max_items = 1000, value_type = Vec<String>)]
    pub users: Vec<UserId>,
    /// Up to 100 ids of cohorts; of a segment or a list it is the newest cohort.
    #[schema(max_items = 100)]
    pub cohorts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum UserId {
    Text(String),
    Number(i64),
    Large(u64),
}

impl UserId {
    pub fn into_text(self) -> String {
        match self {
            UserId::Text(text) => text,
            UserId::Number(number) => number.to_string(),
            UserId::Large(number) => number.to_string(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Memberships {
    /// In the order asked for.
    pub users: Vec<UserMemberships>,
    pub cohorts: Vec<AskedCohort>,
    /// Milliseconds from the request to the answer, inside the server.
    pub took_ms: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UserMemberships {
    pub user_id: String,
    /// False when no label and no event of the app has ever named the user.
    pub known: bool,
    /// Those of the ids asked for whose users this one is among.
    pub cohorts: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AskedCohort {
    pub asked: String,
    /// The cohort that was looked in.
    pub id: String,
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
}
