//! Which counts of a label's tags an app's privacy floor hides.

use crate::Floor;

/// A tag's users in a crowd and in the whole app.
#[derive(Clone, Copy)]
pub struct Counts {
    pub in_crowd: u64,
    pub in_app: u64,
}

/// The sizes of a crowd and of the app; None where they are hidden themselves.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub crowd: Option<u64>,
    pub app: Option<u64>,
}

/// The counts that are told. A tag of the crowd is hidden, too, where hardly anybody else in the app carries it:
/// the two counts would tell these few apart.
pub fn shown(floor: Floor, sizes: Sizes, counts: Counts) -> (Option<u64>, Option<u64>) {
    let Counts { in_crowd, in_app } = counts;
    let of_crowd = sizes.crowd.and_then(|crowd| floor.shown(in_crowd, crowd));
    let of_crowd = of_crowd.filter(|users| *users == 0 || floor.shown(in_crowd, in_app).is_some());
    (of_crowd, sizes.app.and_then(|app| floor.shown(in_app, app)))
}

/// Whether those who carry any tag may be told: not where that, less the tags that are told, leaves one hidden
/// tag, or fewer users than the floor, or all others who carry these tags being fewer. `tags` are users, those in the
/// crowd that this one is a part of, and whether the users are told.
pub fn sum_shown(floor: Floor, tags: impl Iterator<Item = (u64, u64, bool)>) -> bool {
    let (mut hidden, mut sum, mut others) = (0, 0, 0);
    for (users, of, _) in tags.filter(|(users, _, told)| !told && *users > 0) {
        hidden += 1;
        sum += users;
        others += of.saturating_sub(users);
    }
    hidden == 0 || (hidden > 1 && !floor.is_few(sum) && !floor.is_few(others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AppSettings;

    fn floor() -> Floor {
        AppSettings { privacy_floor: Some(5), ..AppSettings::default() }.floor()
    }

    #[test]
    fn few_of_the_crowd_and_few_beside_it() {
        let told = |in_crowd, in_app| {
            let sizes = Sizes { crowd: Some(1000), app: Some(5000) };
            let (of_crowd, of_app) = shown(floor(), sizes, Counts { in_crowd, in_app });
            (of_crowd.is_some(), of_app.is_some())
        };
        assert_eq!(told(100, 300), (true, true));
        assert_eq!(told(3, 300), (false, true));
        assert_eq!(told(100, 102), (false, true), "two of the app are not in the crowd");
        assert_eq!(told(100, 100), (true, true));
        assert_eq!(told(0, 3), (true, false));
        assert_eq!(told(997, 3000), (false, true), "all of the crowd but three");
        let sizes = Sizes { crowd: None, app: Some(5000) };
        assert_eq!(shown(floor(), sizes, Counts { in_crowd: 100, in_app: 300 }), (None, Some(300)));
    }

    #[test]
    fn a_sum_tells_no_tag() {
        let tells =
            |tags: &[(u64, bool)]| sum_shown(floor(), tags.iter().map(|(users, told)| (*users, 900, *told)));
        assert!(tells(&[(100, true), (40, true), (0, false)]));
        assert!(!tells(&[(100, true), (3, false)]));
        assert!(!tells(&[(100, true), (2, false), (2, false)]));
        assert!(tells(&[(100, true), (2, false), (4, false)]));
        assert!(!tells(&[(100, true), (40, false)]), "one alone is what is left");
        let outside = [(100, 101, false), (200, 202, false)];
        assert!(
            !sum_shown(floor(), outside.into_iter()),
            "three of the app carry them and are not in the crowd"
        );
    }
}
