//! Ranges as people write them, and laws that hold for all of them.

use proptest::prelude::*;

use super::*;
use crate::{
    RemoteRef,
    ls_refs::{Best, Keep as _},
};

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn range(text: &str) -> SemverRange {
    SemverRange::parse(text).unwrap_or_else(|it| panic!("{text}: {it}"))
}

fn highest(range: &SemverRange, tags: &[impl AsRef<str>]) -> Option<String> {
    let mut best = Best::of(range);
    for tag in tags {
        let name = format!("refs/tags/{}", tag.as_ref());
        if best.wants(name.as_bytes()) {
            let oid = crate::Commit::parse(ID).unwrap();
            best.keep(RemoteRef { name, oid, peeled: None, symref_target: None }).unwrap();
        }
    }
    best.found().map(|(_, tag)| tag)
}

/// Each as Masterminds/semver judges it.
#[test]
fn ranges_take_what_people_expect() {
    for (text, takes, refuses) in [
        (">=1.2 <2", "1.2.0 1.99.1", "1.1.9 2.0.0 1.3.0-rc.1"),
        (">= 1.2, < 2", "1.2.0 1.99.1", "1.1.9 2.0.0"),
        (">=1.2,<2", "1.2.0 1.99.1", "1.1.9 2.0.0"),
        ("=> 1.2 =< 1.4", "1.2.0 1.4.9", "1.5.0"),
        ("1.x", "1.0.0 1.9.9", "0.9.0 2.0.0 1.1.0-a"),
        ("1.2.X", "1.2.0 1.2.9", "1.3.0"),
        ("1", "1.0.0 1.9.9", "2.0.0"),
        ("v1.2", "1.2.0 1.2.7", "1.3.0"),
        ("*", "0.0.0 9.9.9", "1.0.0-a"),
        ("1.2.3", "1.2.3 1.2.3+build", "1.2.4 1.2.3-a"),
        ("=v1.2.3", "1.2.3", "1.2.4"),
        ("!=1.2.3", "1.2.4", "1.2.3"),
        ("!=1.2", "1.3.0", "1.2.3"),
        (">1", "2.0.0", "1.9.9"),
        (">1.2", "1.3.0", "1.2.9"),
        (">1.2.3", "1.2.4", "1.2.3"),
        ("<1.2", "1.1.9", "1.2.0"),
        ("<=1.2", "1.2.9", "1.3.0"),
        ("<=2", "2.9.9", "3.0.0"),
        ("<=1.2.3", "1.2.3", "1.2.4"),
        ("~1.4", "1.4.0 1.4.9", "1.3.9 1.5.0"),
        ("~1", "1.0.0 1.9.9", "2.0.0"),
        ("~> 1.4.2", "1.4.2 1.4.9", "1.4.1 1.5.0"),
        ("^1.2", "1.2.0 1.9.9", "1.1.0 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4 0.1.0"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.0 0.9.0", "1.0.0"),
        ("^*", "0.0.0 7.0.0", "1.0.0-a"),
        ("1.2 - 2", "1.2.0 2.9.9", "1.1.9 3.0.0"),
        ("1.2.3 - 2.3.4 !=2.0.0", "1.2.3 2.3.4", "2.3.5 2.0.0"),
        ("1.x || >=3.1 <4", "1.5.0 3.1.0", "2.0.0 3.0.0 4.0.0"),
        ("^1.2||^3", "1.2.0 3.9.9", "2.0.0"),
        (">=1.0.0-0", "1.0.0-alpha 1.0.0 2.0.0-rc.1", "0.9.9 1.0.0-"),
        (">=1.0.0-0 <2", "1.5.0-beta", "2.0.0"),
        (">=1.2-0", "1.2.0-0 1.3.0-x", "1.1.0"),
        ("^1.2.0-rc.2", "1.2.0-rc.2 1.2.0-rc.10 1.2.0 1.3.0-a", "1.2.0-rc.1 2.0.0"),
        ("1.x || >=2.0.0-0 <3", "1.5.0 2.1.0-a", "1.5.0-a"),
    ] {
        let range = range(text);
        let is_in = |it: &str| version_of(it).is_some_and(|it| range.takes(&it));
        for version in takes.split(' ') {
            assert!(is_in(version), "{text} takes {version}");
        }
        for version in refuses.split(' ') {
            assert!(!is_in(version), "{text} refuses {version}");
        }
    }
}

#[test]
fn what_is_no_range_is_refused() {
    for (text, reason) in [
        ("", BadRange::Length),
        ("   ", BadRange::Length),
        (&"1".repeat(257), BadRange::Length),
        ("||", BadRange::Empty),
        ("1.x ||", BadRange::Empty),
        ("|| 1.x", BadRange::Empty),
        ("1 || || 2", BadRange::Empty),
        ("main", BadRange::Comparator),
        (">=", BadRange::Comparator),
        (">=1.2<2", BadRange::Comparator),
        (">=1.2,", BadRange::Comparator),
        (",1.2", BadRange::Comparator),
        (">=1.2,,<2", BadRange::Comparator),
        ("1.2.3.4", BadRange::Comparator),
        ("1..2", BadRange::Comparator),
        ("1.2.", BadRange::Comparator),
        ("1.2.3-", BadRange::Comparator),
        ("1.2.3-01", BadRange::Comparator),
        ("1.2 -2", BadRange::Comparator),
        ("1 - ", BadRange::Comparator),
        (">1 - 2", BadRange::Comparator),
        ("99999999999999999999", BadRange::Comparator),
        ("1.2\n", BadRange::Comparator),
        ("ⅰ.2", BadRange::Comparator),
        ("v", BadRange::Comparator),
        ("=>>1", BadRange::Comparator),
    ] {
        assert_eq!(SemverRange::parse(text), Err(reason), "{text:?}");
    }
}

#[test]
fn tags_that_are_versions_are_told_from_others() {
    for (tag, version) in [
        ("1.2.3", "1.2.3"),
        ("v1.2.3", "1.2.3"),
        ("v1", "1.0.0"),
        ("v1.2", "1.2.0"),
        ("1.2-rc.1", "1.2.0-rc.1"),
        ("2026.01.05", "2026.1.5"),
        ("v1.2.3-rc.1+build.5", "1.2.3-rc.1+build.5"),
        ("1.0.0+b-c", "1.0.0+b-c"),
    ] {
        assert_eq!(version_of(tag).map(|it| it.to_string()).as_deref(), Some(version), "{tag}");
    }
    let long = format!("1.0.0-{}", "a".repeat(300));
    for tag in [
        "",
        "v",
        "vv1",
        "V1",
        "latest",
        "release-1.2.3",
        "1.2.3.4",
        "1.",
        ".1",
        "1..2",
        "1.2.3-",
        "1.2.3+",
        "1.2.3-+b",
        "1.2.3-01",
        "1.2.3_4",
        "+1",
        "-1",
        "1.-1",
        "18446744073709551616",
        "1.2.3\n",
        "1.2.3^{}",
        &long,
    ] {
        assert_eq!(version_of(tag), None, "{tag:?}");
    }
}

#[test]
fn the_highest_tag_wins_whatever_the_order() {
    let tags = ["v1.9.0", "v1.10.0", "v2.0.0", "v1.10.1-rc.1", "nightly", "1.2"];

    for (text, expected) in [
        ("1.x", Some("v1.10.0")),
        ("1.x-0", Some("v1.10.1-rc.1")),
        ("*", Some("v2.0.0")),
        ("<=1.2", Some("1.2")),
        (">2", None),
    ] {
        assert_eq!(highest(&range(text), &tags).as_deref(), expected, "{text}");
    }
}

/// A name that git would not take cannot be asked for: whoever made it up means harm.
#[test]
fn a_tag_that_git_would_not_take_never_wins() {
    let tags = ["v1.0.0", "v9.9.9-a.lock"];

    assert_eq!(highest(&range(">=0-0"), &tags).as_deref(), Some("v1.0.0"));
}

fn any_version() -> impl Strategy<Value = String> {
    ("v?", 0_u64..4, 0_u64..4, 0_u64..4, "(-(a|b|rc\\.[0-9]|0))?(\\+[a-c])?")
        .prop_map(|(v, major, minor, patch, rest)| format!("{v}{major}.{minor}.{patch}{rest}"))
}

fn any_comparator() -> impl Strategy<Value = String> {
    let operator = prop::sample::select(vec!["", "=", "!=", ">", "<", ">=", "<=", "~", "^"]);
    (operator, "[0-3x](\\.[0-3x*](\\.[0-3])?)?(-0|-rc\\.1)?")
        .prop_map(|(it, rest)| it.to_owned() + &rest)
}

proptest! {
    #[test]
    fn nothing_makes_the_parsers_panic(text in "\\PC{0,40}") {
        let _ = (SemverRange::parse(&text), version_of(&text));
    }

    #[test]
    fn what_looks_like_a_range_does_not_make_them_panic(text in "[-0-9xX*v.,<>=~^!| +a]{0,24}") {
        let _ = (SemverRange::parse(&text), version_of(&text));
    }

    /// In whatever order a server tells its tags, the same one is chosen.
    #[test]
    fn the_order_of_tags_does_not_matter(
        (mut tags, shuffled) in prop::collection::vec(any_version(), 0..12)
            .prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
        text in any_comparator(),
    ) {
        let range = range(&text);

        prop_assert_eq!(highest(&range, &tags), highest(&range, &shuffled));

        // And nothing that is taken stands above it.
        let best = highest(&range, &tags).and_then(|it| version_of(&it));
        tags.retain(|it| version_of(it).is_some_and(|it| range.takes(&it)));
        prop_assert_eq!(best.is_some(), !tags.is_empty());
        for tag in tags {
            prop_assert!(version_of(&tag).unwrap().cmp_precedence(best.as_ref().unwrap()).is_le());
        }
    }

    #[test]
    fn alternatives_take_what_one_of_them_takes(
        one in any_comparator(), other in any_comparator(), version in any_version(),
    ) {
        let version = version_of(&version).unwrap();
        let both = range(&format!("{one} || {other}"));

        let expected = range(&one).takes(&version) || range(&other).takes(&version);
        prop_assert_eq!(both.takes(&version), expected);
    }

    /// Of versions without pre-releases: those need the whole alternative to be looked at.
    #[test]
    fn comparators_take_what_all_of_them_take(
        one in any_comparator(), other in any_comparator(), version in any_version(),
        between in prop::sample::select(vec![" ", ",", ", ", " , "]),
    ) {
        let version = Version { pre: Prerelease::EMPTY, ..version_of(&version).unwrap() };
        let both = range(&format!("{one}{between}{other}"));

        let expected = range(&one).takes(&version) && range(&other).takes(&version);
        prop_assert_eq!(both.takes(&version), expected);
    }

    /// The crate that Cargo uses means the same by its operators, where both know them.
    #[test]
    fn our_operators_are_cargos(
        operator in prop::sample::select(vec!["=", ">", "<", ">=", "<=", "~", "^"]),
        parts in "[0-3](\\.[0-3](\\.[0-3])?)?",
        version in any_version(),
    ) {
        let version = Version { pre: Prerelease::EMPTY, ..version_of(&version).unwrap() };
        let text = format!("{operator}{parts}");
        let cargos = semver::VersionReq::parse(&text).unwrap();

        prop_assert_eq!(range(&text).takes(&version), cargos.matches(&version), "{}", text);
    }
}
