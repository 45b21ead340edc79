//! Does what the fuzz targets promise hold for their seeds, and for what becomes of these by chance?
//!
//! The targets under `e2e/fuzz` look further: they need a nightly compiler and as long as they get.

use std::{fmt, fs, path::Path, time::Duration};

use ger_git::{
    Patterns,
    fuzz::{TARGETS, Target},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use tokio::time::Instant;

/// Bytes that mean something to one of the parsers.
const WORDS: [&[u8]; 24] = [
    b"0000",
    b"0001",
    b"0002",
    b"0003",
    b"0004",
    b"ffff",
    b"\n",
    b"\n\n",
    b"\0",
    b" ",
    b"-",
    b"!",
    b"*",
    b"**/",
    b"[",
    b"@",
    b":",
    b"://",
    b"/../",
    b"^{}",
    b" peeled:",
    b"ERR ",
    b"|1|",
    b"\xff",
];
/// A seed is a page at most; what takes longer does not end in good time for a long input either.
const LONGEST: Duration = Duration::from_secs(2);

/// What a failure shows, so that it can become a seed.
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// One thing that happens to an input.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

#[test]
fn promises_hold_for_every_seed() {
    for (name, target) in TARGETS {
        for seed in seeds(name) {
            in_good_time(target, &seed);
        }
    }
}

#[test]
fn promises_hold_for_what_becomes_of_the_seeds() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        let inputs = (any::<Index>(), vec(change(), 1..6)).prop_map(|(seed, changes)| {
            Input(changes.iter().fold(seed.get(&seeds).clone(), |input, it| it.apply(input)))
        });

        let held = runner().run(&inputs, |input| {
            in_good_time(target, &input.0);
            Ok(())
        });

        assert!(held.is_ok(), "{name}: {}", held.unwrap_err());
    }
}

#[test]
fn promises_hold_for_anything() {
    for (name, target) in TARGETS {
        let held = runner().run(&vec(any::<u8>(), 0..200).prop_map(Input), |input| {
            in_good_time(target, &input.0);
            Ok(())
        });

        assert!(held.is_ok(), "{name}: {}", held.unwrap_err());
    }
}

/// Matching is linear in the path, whatever the pattern asks for.
#[test]
fn c6_no_pattern_takes_for_ever() {
    let path = "a".repeat(4000);
    for pattern in ["*a".repeat(300) + "b", "**/".repeat(300) + "b", "{a*,a*a}".repeat(60) + "b"] {
        let began = Instant::now();

        let selected = Patterns::parse(&[pattern]).map(|it| it.selects(path.as_bytes()));

        assert_ne!(selected, Ok(true));
        assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    }
}

/// A name is the whole name, and a path the whole path.
#[test]
fn c6_a_pattern_matches_no_more_than_it_says() {
    let patterns = Patterns::parse(&["main.rs".to_owned(), "/docs/*.md".to_owned()]).unwrap();

    for path in ["main.rs", "src/main.rs", "docs/a.md"] {
        assert!(patterns.selects(path.as_bytes()), "{path}");
    }
    for path in ["evil-main.rs", "main.rs.txt", "mainxrs", "docs/a/b.md", "x/docs/a.md"] {
        assert!(!patterns.selects(path.as_bytes()), "{path}");
    }
}

/// A failure prints its input: it is fixed, or becomes a seed.
fn runner() -> TestRunner {
    TestRunner::new(Config { failure_persistence: None, ..Config::default() })
}

fn in_good_time(target: Target, input: &[u8]) {
    let began = Instant::now();
    target(input);
    let took = began.elapsed();
    assert!(took < LONGEST, "{took:?} for {}", input.escape_ascii());
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/fuzz/corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|it| panic!("{}: {it}", folder.display()));
    let mut paths: Vec<_> = files.map(|it| it.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|it| fs::read(it).unwrap()).collect();
    assert!(!seeds.is_empty(), "{} has no seeds", folder.display());
    seeds
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop_oneof![
        proptest::sample::select(&WORDS[..]).prop_map(<[u8]>::to_vec),
        vec(any::<u8>(), 1..8),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, it)| Change::Flip(at, it)),
        (any::<Index>(), word).prop_map(|(at, it)| Change::Insert(at, it)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, it)| Change::Remove(at, it)),
        (any::<Index>(), 1..60_usize).prop_map(|(at, it)| Change::Repeat(at, it)),
        any::<Index>().prop_map(Change::Cut),
    ]
}

impl Change {
    fn apply(&self, mut input: Vec<u8>) -> Vec<u8> {
        let place = |at: &Index| at.index(input.len() + 1);
        match self {
            Self::Flip(at, it) => {
                let at = place(at);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= it;
                }
            }
            Self::Insert(at, it) => {
                let at = place(at);
                input.splice(at..at, it.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = place(at);
                input.drain(at..(at + count).min(input.len()));
            }
            Self::Repeat(at, count) => {
                let at = place(at);
                let part = input[at..(at + 8).min(input.len())].repeat(*count);
                input.splice(at..at, part);
            }
            Self::Cut(at) => input.truncate(place(at)),
        }
        input
    }
}
