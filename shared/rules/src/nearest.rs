//! The known name that a misspelt one most likely meant.

/// Longer names are typed by programs, not by people, and would make the search slow.
const LONGEST: usize = 64;

/// What an error's text ends in when there is a name that was most likely meant.
pub fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" Did you mean `{name}`?")).unwrap_or_default()
}

/// The name closest to `given`, if it is close enough to be a slip: the same but for case, or at most a
/// third of the letters edited. The first one wins a tie, so the answer depends only on the order given.
pub fn nearest<I>(given: &str, names: I) -> Option<String>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let given: String = given.to_lowercase();
    let length = given.chars().count();
    if length == 0 || length > LONGEST {
        return None;
    }
    let allowed = (length / 3).max(1);
    let mut best: Option<(usize, String)> = None;
    for name in names {
        let name = name.as_ref();
        // Fewer bytes than letters can't be: an early way out for long names.
        if name.len() > LONGEST * 4 || name.chars().count().abs_diff(length) > allowed {
            continue;
        }
        let distance = strsim::osa_distance(&given, &name.to_lowercase());
        if distance <= allowed && best.as_ref().is_none_or(|(least, _)| distance < *least) {
            best = Some((distance, name.to_owned()));
        }
    }
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: Option<&str>) {
        let names = ["gender", "province", "city_tier", "性别"];
        assert_eq!(nearest(given, names).as_deref(), expected, "{given}");
    }

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        check("gendr", Some("gender"));
        check("Gender", Some("gender"));
        check("gedner", Some("gender"));
        check("city-tier", Some("city_tier"));
        check("性别 ", Some("性别"));
        check("weather", None);
        check("", None);
        check(&"g".repeat(1000), None);
    }
}
