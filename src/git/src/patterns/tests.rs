//! What is selected is what gitignore's rules, turned round, say.

use proptest::prelude::*;

use super::*;

fn patterns(lines: &[&str]) -> Patterns {
    Patterns::parse(&lines.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// As a walk would: through the directories above.
fn is_watched(patterns: &Patterns, path: &str) -> bool {
    let above = path.match_indices('/').map(|(at, _)| &path.as_bytes()[..at]);
    above.into_iter().all(|it| patterns.enters(it)) && patterns.selects(path.as_bytes())
}

const FILES: [&str; 9] = [
    "README.md",
    "Makefile",
    "src/main.rs",
    "src/lib/a.rs",
    "src/lib/a.md",
    "docs/src/x.rs",
    "docs/a.md",
    "target/src/out",
    ".hidden/x",
];

fn watched(lines: &[&str]) -> Vec<&'static str> {
    let patterns = patterns(lines);
    FILES.into_iter().filter(|it| is_watched(&patterns, it)).collect()
}

#[test]
fn the_last_pattern_that_matches_wins() {
    assert_eq!(watched(&["*.md"]), ["README.md", "src/lib/a.md", "docs/a.md"]);
    assert_eq!(watched(&["*.md", "!a.md"]), ["README.md"]);
    assert_eq!(watched(&["!a.md", "*.md"]), ["README.md", "src/lib/a.md", "docs/a.md"]);
    assert_eq!(watched(&["*.md", "!a.md", "docs/a.md"]), ["README.md", "docs/a.md"]);
}

#[test]
fn a_directory_is_all_that_is_in_it() {
    let below_src =
        ["src/main.rs", "src/lib/a.rs", "src/lib/a.md", "docs/src/x.rs", "target/src/out"];
    assert_eq!(watched(&["src/"]), below_src);
    assert_eq!(watched(&["src"]), below_src);
    assert_eq!(watched(&["/src"]), below_src[..3]);
    assert_eq!(watched(&["/src/"]), below_src[..3]);
    assert_eq!(watched(&["src/lib/"]), ["src/lib/a.rs", "src/lib/a.md"]);
    assert_eq!(watched(&["Makefile/"]), [""; 0]);
    assert_eq!(watched(&["/src/**"]), below_src[..3]);
    assert_eq!(watched(&["src/*"]), ["src/main.rs"]);
    assert_eq!(watched(&["docs/**/*.rs"]), ["docs/src/x.rs"]);
    assert_eq!(watched(&["{src/lib,docs}/*.md"]), ["src/lib/a.md", "docs/a.md"]);
}

#[test]
fn an_excluded_directory_is_not_entered() {
    assert_eq!(watched(&["/src/", "!lib/"]), ["src/main.rs"]);
    // Nothing below can be selected again, whichever comes last.
    assert_eq!(watched(&["/src/", "!lib/", "a.md"]), ["src/main.rs", "docs/a.md"]);
    assert_eq!(watched(&["**", "!target", "!.*", "!src/"]), ["README.md", "Makefile", "docs/a.md"]);
}

#[test]
fn exclusions_alone_select_nothing() {
    assert_eq!(watched(&["!target/", "!*.md"]), [""; 0]);
    assert_eq!(watched(&[]), [""; 0]);
    assert_eq!(watched(&["# a comment", "", "/"]), [""; 0]);
}

#[test]
fn a_lone_star_is_the_top_level() {
    assert_eq!(watched(&["*"]), ["README.md", "Makefile"]);
    assert_eq!(watched(&["/*"]), ["README.md", "Makefile"]);
    assert_eq!(watched(&["**"]).len(), FILES.len());
}

#[test]
fn only_directories_that_can_match_are_entered() {
    for (lines, directory, is_entered) in [
        (&["/src/lib/*.rs"][..], "src", true),
        (&["/src/lib/*.rs"], "src/lib", true),
        (&["/src/lib/*.rs"], "src/lib/deep", false),
        (&["/src/lib/*.rs"], "docs", false),
        (&["/src/lib/*.rs"], "src/other", false),
        (&["/src/lib/"], "src/lib/deep", true),
        (&["src/**/*.rs"], "src/a/b/c", true),
        (&["*"], "src", false),
        (&["*.rs"], "any/where", true),
        (&["docs/*/*.x"], "docs/a", true),
        (&["docs/*/*.x"], "docs/a/b", false),
        (&["!src"], "docs", false),
    ] {
        let entered = patterns(lines).enters(directory.as_bytes());
        assert_eq!(entered, is_entered, "{lines:?} {directory}");
    }
}

#[test]
fn the_original_takes_a_directory_for_a_file() {
    let src = patterns(&["src/", "*.md"]);

    assert!(!src.original_selects(b"src/main.rs"));
    assert!(src.original_selects(b"src/lib/a.md"));
    assert!(src.original_enters(b"src"));
    assert!(!patterns(&["*.md", "!src"]).original_enters(b"src"));
}

#[test]
fn what_means_nothing_is_refused_by_its_name() {
    let many = vec!["a".to_owned(); MOST + 1];
    for (lines, named) in [
        (vec!["ok".to_owned(), "src/[".to_owned()], "src/["),
        (vec!["a{b".to_owned()], "a{b"),
        (vec!["a\nb".to_owned()], "a"),
        (vec!["x".repeat(LONGEST + 1)], "xxx"),
        (many, "a"),
    ] {
        let refused = Patterns::parse(&lines).unwrap_err();

        assert!(refused.pattern.contains(named), "{refused}");
        assert!(!refused.to_string().contains('\n'), "{refused}");
    }
}

#[test]
fn patterns_are_told_apart() {
    assert_eq!(patterns(&["a", "b"]).digest(), patterns(&["a", "b"]).digest());
    assert_ne!(patterns(&["a", "b"]).digest(), patterns(&["b", "a"]).digest());
    assert_eq!(patterns(&[]).digest().len(), DIGEST_DIGITS);
}

/// Another digest would make every recorded hash a stranger.
#[test]
fn a_digest_is_the_same_in_every_release_and_in_ger_core() {
    assert_eq!(patterns(&["src/**", "!*.md"]).digest(), "3e2bcc57af25b8b2");
}

proptest! {
    /// What a walk leaves out for its speed, it may leave out.
    #[test]
    fn no_directory_is_left_out_that_holds_a_watched_file(
        pattern in "!?/?([a-c*?]|\\*\\*|[a-c]\\*)(/([a-c*]|\\*\\*|a\\?)){0,3}/?",
        file in "[a-c](/[a-c]{1,2}){0,4}",
    ) {
        let patterns = patterns(&[&pattern]);

        if patterns.selects(file.as_bytes()) {
            prop_assert!(is_watched(&patterns, &file), "{} {}", pattern, file);
        }
    }

    #[test]
    fn no_pattern_is_too_odd(lines in prop::collection::vec(".{0,40}", 0..4)) {
        if let Ok(patterns) = Patterns::parse(&lines) {
            for file in FILES {
                patterns.selects(file.as_bytes());
                patterns.enters(file.as_bytes());
            }
        }
    }
}
