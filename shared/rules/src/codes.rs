//! The stable codes of problems and warnings; `docs/rule-language.md` explains each one.

macro_rules! codes {
    ($list:ident: $($name:ident = $text:literal),+ $(,)?) => {
        $(pub const $name: &str = $text;)+
        /// Every code of this kind, in the order of the reference page.
        pub const $list: &[&str] = &[$($name),+];
    };
}

codes! { PROBLEMS:
    JSON_SYNTAX = "json_syntax",
    TOO_MANY_BYTES = "too_many_bytes",
    JSON_TOO_DEEP = "json_too_deep",
    RULE_TOO_DEEP = "rule_too_deep",
    TOO_MANY_CONDITIONS = "too_many_conditions",
    TOO_MANY_GROUPS = "too_many_groups",
    TOO_MANY_FILTERS = "too_many_filters",
    TOO_MANY_REGEXES = "too_many_regexes",
    REGEX_TOO_LONG = "regex_too_long",
    LIST_TOO_LONG = "list_too_long",
    NAME_TOO_LONG = "name_too_long",
    WINDOW_TOO_LONG = "window_too_long",
    RULE_TOO_COSTLY = "rule_too_costly",
    WRONG_TYPE = "wrong_type",
    UNKNOWN_KEY = "unknown_key",
    MISSING_KEY = "missing_key",
    DUPLICATE_KEY = "duplicate_key",
    CONFLICTING_KEYS = "conflicting_keys",
    EMPTY_LIST = "empty_list",
    EMPTY_NAME = "empty_name",
    UNKNOWN_VERSION = "unknown_version",
    NOT_AN_INTEGER = "not_an_integer",
    NOT_A_DAY = "not_a_day",
    BAD_WINDOW = "bad_window",
    BAD_COMPARISON = "bad_comparison",
    BAD_REGEX = "bad_regex",
    UNKNOWN_UNIVERSE = "unknown_universe",
    UNKNOWN_LABEL = "unknown_label",
    UNKNOWN_TAG = "unknown_tag",
    UNKNOWN_EVENT = "unknown_event",
    UNKNOWN_DIMENSION = "unknown_dimension",
    UNKNOWN_MEASURE = "unknown_measure",
    UNKNOWN_COHORT = "unknown_cohort",
    UNKNOWN_SEGMENT = "unknown_segment",
    SEGMENT_NOT_MADE = "segment_not_made",
    UNKNOWN_LIST = "unknown_list",
    LIST_NOT_FILLED = "list_not_filled",
    SEGMENT_CYCLE = "segment_cycle",
    NO_DATA = "no_data",
    CROWD_IN_CROWD = "crowd_in_crowd",
}

codes! { WARNINGS:
    UNKNOWN_VALUE = "unknown_value",
    NO_MATCHING_VALUE = "no_matching_value",
    NOTHING_PUBLISHED = "nothing_published",
    WINDOW_AFTER_AS_OF = "window_after_as_of",
    COHORT_AFTER_AS_OF = "cohort_after_as_of",
    SEGMENT_BEHIND = "segment_behind",
    UNIVERSE_EMPTY = "universe_empty",
    RETIRED = "retired",
    MORE_WARNINGS = "more_warnings",
}
