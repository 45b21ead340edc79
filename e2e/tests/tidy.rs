//! Does the tree keep the house's rules? Headers, orphans, sizes, import direction, what core depends on.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const MAX_LINES: usize = 500;
const MAX_HEADER: usize = 6;

/// How many rules a sandbox can break at least, each noticed by the suite.
const LEAST_BREAKAGES: usize = 25;

/// How many rules of Kubernetes the conformance suite holds a cluster to.
const LEAST_CASES: usize = 150;

/// Folders of the controller from left to right: each may import only from those before it.
const ORDER: [&str; 16] = [
    "clock", "metrics", "traces", "rights", "config", "clusters", "shards", "checks", "runs",
    "schedule", "webhooks", "utility", "commands", "replica", "dev", "cli",
];

/// What the tests attack, by the code that begins the name of a test which does it.
const ATTACKED: &[(&str, &str)] = &[
    ("a1", "a body or headers without end, or slow, or many connections that say nothing"),
    ("a2", "a payload that its forge does not send"),
    ("a3", "a payload that is deep, long, repeated, packed or no text"),
    ("a4", "a signature that is nearly right, and a secret that is empty"),
    ("a5", "a captured delivery, sent again and again"),
    ("a6", "a delivery that nobody signed, with another's id"),
    ("a7", "a repository's address in a payload, as a pattern or another spelling"),
    ("a8", "an address in a payload that somebody might fetch"),
    ("a9", "the secret or the delivery of another trigger or repository"),
    ("a10", "another namespace's trigger, and guesses at what is there"),
    ("b1", "a repository URI that is an option, runs a program or is a file"),
    ("b2", "a reference that is an option, a path or has control characters"),
    ("b3", "a tree that leads out of its directory or into .git"),
    ("b4", "a server that sends without end, slowly, or a bomb"),
    ("b5", "a redirect to another host, to another scheme or down to http"),
    ("b6", "an SSH host key that is unknown or changed"),
    ("b7", "credentials in errors, events, statuses, logs and labels"),
    ("b8", "history that is rewritten, deleted or goes back"),
    ("b9", "pushes and webhooks during a check, and webhooks before the commit"),
    ("c1", "an object among many that cannot be understood"),
    ("c2", "a schedule that never ends, never fires or fires all the time"),
    ("c3", "names as long as they may be, and alike"),
    ("c4", "an Action that asks for the node or for what is ours"),
    ("c5", "what is in another namespace"),
    ("c6", "a pattern that takes for ever or matches more than it says"),
    ("d1", "a kubeconfig that runs a program, reads our files or is not verified"),
    ("d2", "a registration that is taken away, emptied, pointed elsewhere or doubled"),
    ("d3", "credentials that expire, are rotated or are refused without end"),
    ("d4", "a spoke that never answers, answers slowly, refuses, or has no CRDs or old ones"),
    ("d5", "a spoke that goes while its Jobs wait, and RBAC that is taken away"),
    ("d6", "a spoke that is too large, or says that it is another"),
    ("e1", "a replica that freezes past its Leases, at each step"),
    ("e2", "clocks that are wrong, or run too fast"),
    ("e3", "a hub that is cut off from one replica, loses every race, or is slow"),
    ("e4", "a fleet that is scaled and killed while triggers fire"),
    ("e5", "what is refused to one replica and not to many"),
    ("e6", "a crash at every step, and in the middle of a handover"),
    ("e7", "a host that asks to be left alone by many triggers at once"),
    ("e8", "credentials that are rotated under many checks"),
];

/// What they do not attack yet, and the part that brings the test with it.
const NOT_YET_ATTACKED: &[(&str, &str)] = &[];

#[test]
fn every_file_opens_with_a_short_header() {
    let bad: Vec<String> = sources()
        .into_iter()
        .filter_map(|(path, text)| {
            let header = header(&text);
            (header == 0 || header > MAX_HEADER)
                .then(|| format!("{}: {header} lines", path.display()))
        })
        .collect();
    none(&bad, "open each file with 1 to 6 lines of //! that say which question it answers");
}

#[test]
fn no_file_is_longer_than_the_limit() {
    let bad: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(path, text)| format!("{}: {} lines", path.display(), text.lines().count()))
        .collect();
    none(&bad, "split the file: would two rooms be clearer?");
}

#[test]
fn every_file_is_reachable_from_its_crate() {
    let files: BTreeSet<PathBuf> = sources().into_keys().collect();
    let mut reached = BTreeSet::new();
    for root in crate_roots(&files) {
        reach(&root, &files, &mut reached);
    }
    let orphans: Vec<String> =
        files.difference(&reached).map(|it| it.display().to_string()).collect();
    none(&orphans, "a file that no `mod` names is never compiled");
}

#[test]
fn no_module_file_is_called_mod_rs() {
    let bad: Vec<String> = sources()
        .into_keys()
        .filter(|it| it.ends_with("mod.rs"))
        .map(|it| it.display().to_string())
        .collect();
    none(&bad, "name it after its module: foo.rs beside foo/");
}

#[test]
fn errors_are_named_after_the_operation_that_failed() {
    let attribute = concat!("#[", "from]");
    let bad: Vec<String> = lines_with(|line| line.contains(attribute));
    none(&bad, "one source type means many things: name the operation, attach the source by hand");
}

#[test]
fn nothing_is_ignored_or_left_to_do() {
    let marks = [concat!("#[", "ignore"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let bad: Vec<String> = lines_with(|line| marks.iter().any(|it| line.contains(it)));
    none(&bad, "a test that does not run and code that is not there tell nobody anything");
}

#[test]
fn the_controller_imports_only_from_left_to_right() {
    let root = top().join("src/controller/src");
    let mut bad = Vec::new();
    for (path, text) in sources() {
        let Ok(inside) = path.strip_prefix(&root) else { continue };
        let Some(from) = place(inside) else { continue };
        for (number, line) in text.lines().enumerate() {
            let wrong = imports(line).filter(|it| place_of(it).is_some_and(|to| to > from));
            bad.extend(wrong.map(|it| format!("{}:{}: {it}", inside.display(), number + 1)));
        }
    }
    none(&bad, "a folder of the controller imports only from those to its left");
}

#[test]
fn crates_depend_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("ger-api", &[][..]),
        ("ger-core", &["ger-api"][..]),
        ("ger-git", &[][..]),
        ("kube-sandbox", &[][..]),
        ("gitrepo-cloner", &["ger-git"][..]),
        (
            "git-events-runner",
            &["ger-api", "ger-core", "ger-git", "gitrepo-cloner", "kube-sandbox"][..],
        ),
    ]);
    let metadata = metadata();
    let ours: BTreeSet<&str> = allowed.keys().copied().collect();
    let mut bad = Vec::new();
    for package in packages(&metadata) {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may) = allowed.get(name) else { continue };
        let normal = package["dependencies"].as_array().into_iter().flatten();
        for dependency in normal.filter(|it| it["kind"].is_null()) {
            let to = dependency["name"].as_str().unwrap_or_default();
            if ours.contains(to) && !may.contains(&to) {
                bad.push(format!("{name} -> {to}"));
            }
        }
    }
    none(&bad, "api <- core <- controller; git <- controller, cloner; sandbox knows none of them");
}

#[test]
fn core_depends_on_nothing_that_does_io() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "ger-core", "-e", "normal", "--prefix", "none", "--offline"])
        .current_dir(top())
        .output()
        .expect("cargo runs: it runs this test");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(tree.contains("ger-core"), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));

    let forbidden = ["tokio", "kube-client", "kube-runtime", "reqwest", "hyper", "axum", "gix"];
    let bad: Vec<String> = tree
        .lines()
        .filter(|line| forbidden.iter().any(|it| line.split(' ').next() == Some(it)))
        .map(ToOwned::to_owned)
        .collect();
    none(&bad, "core is pure because it can be nothing else");
}

/// `cargo deny` says the same at more length; this needs no more than cargo.
#[test]
fn the_tree_holds_what_deny_toml_allows() {
    let rules = fs::read_to_string(top().join("deny.toml")).expect("deny.toml is there");
    let (banned, skipped) = (listed(&rules, "deny = ["), listed(&rules, "skip = ["));
    assert!(!banned.is_empty() && !skipped.is_empty(), "deny.toml is read line by line");
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version) in dependencies() {
        versions.entry(name).or_default().insert(version);
    }

    let is_skip = |skip: &str, name: &str, version: &str| {
        let rest = skip.strip_prefix(name).and_then(|it| it.strip_prefix('@'));
        let rest = rest.and_then(|it| version.strip_prefix(it));
        rest.is_some_and(|it| it.is_empty() || it.starts_with('.'))
    };
    let is_skipped =
        |name: &str, version: &str| skipped.iter().any(|it| is_skip(it, name, version));
    let mut bad: Vec<String> = banned
        .iter()
        .filter(|it| versions.contains_key(*it))
        .map(|it| format!("{it} is there"))
        .collect();
    for (name, found) in &versions {
        let unskipped = found.iter().filter(|it| !is_skipped(name, it)).count();
        if unskipped > 1 {
            bad.push(format!("{name} in the versions {found:?}"));
        }
    }
    let is_idle = |skip: &&String| {
        let mut all = versions.iter().filter(|(_, found)| found.len() > 1);
        !all.any(|(name, found)| found.iter().any(|it| is_skip(skip, name, it)))
    };
    bad.extend(skipped.iter().filter(is_idle).map(|it| format!("{it} is skipped for nothing")));
    none(&bad, "one version of each, unless deny.toml says why not");
}

/// A part that is there is attacked; what is attacked is not told to come later.
#[test]
fn every_attack_has_a_test_that_is_named_after_it() {
    let sources = sources();
    let is_named = |code: &str| {
        let begin = format!("fn {code}_");
        sources.values().any(|it| it.contains(&begin))
    };
    let missing = ATTACKED.iter().filter(|(code, _)| !is_named(code));
    let missing: Vec<String> = missing.map(|(code, what)| format!("{code}_…: {what}")).collect();
    let here = NOT_YET_ATTACKED.iter().filter(|(code, _)| is_named(code));
    let here: Vec<String> = here.map(|(code, part)| format!("{code}_…: {part}")).collect();

    none(&missing, "there is no test whose name begins with");
    none(&here, "there is a test by now: move the row up");
}

#[test]
fn every_fuzz_target_is_built_and_has_seeds() {
    let fuzz = top().join("e2e/fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("the manifest is text");
    let targets = names_in(&fuzz.join("fuzz_targets"));
    let corpora: BTreeSet<String> = names_in(&fuzz.join("corpus")).into_iter().collect();
    let mut bad = Vec::new();
    for target in targets.iter().filter_map(|it| it.strip_suffix(".rs")) {
        if !manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")) {
            bad.push(format!("{target}: not in Cargo.toml"));
        }
        if !corpora.contains(target) || names_in(&fuzz.join("corpus").join(target)).is_empty() {
            bad.push(format!("{target}: no seeds in corpus/{target}"));
        }
    }
    assert!(targets.len() > 3, "the targets were not found");
    none(&bad, "a fuzz target is a file, an entry in the manifest, and seeds to begin with");
}

#[test]
fn every_case_of_conformance_names_its_rule_and_where_it_is_written() {
    let sources = sources();
    let of_the_suite = |path: &&PathBuf| path.starts_with(top().join("e2e/tests/conformance"));
    let mut cases = 0;
    let mut bad = Vec::new();
    for path in sources.keys().filter(of_the_suite) {
        let lines: Vec<&str> = sources[path].lines().collect();
        for (at, _) in lines.iter().enumerate().filter(|(_, it)| it.starts_with("#[tokio::test")) {
            cases += 1;
            let above = lines[..at].iter().rev().skip_while(|it| it.starts_with("#["));
            let docs: Vec<&&str> = above.take_while(|it| it.starts_with("///")).collect();
            let is_linked = docs.first().is_some_and(|it| it.starts_with("/// <https://"));
            if docs.len() < 2 || !is_linked {
                bad.push(format!("{}:{}", path.display(), at + 1));
            }
        }
    }
    none(
        &bad,
        "a case states its rule, and then on a line of its own where Kubernetes documents it",
    );
    assert!(cases >= LEAST_CASES, "{cases} cases, of at least {LEAST_CASES}");
}

#[test]
fn every_breakage_of_the_sandbox_has_a_case_that_bites() {
    let sources = sources();
    let source =
        |path: &str| sources.get(&top().join(path)).map(String::as_str).unwrap_or_default();
    let table = source("e2e/tests/conformance/bites.rs");
    let lines = source("src/sandbox/src/breakage.rs").lines();
    let breakages: Vec<&str> = lines
        .filter(|it| it.ends_with("\","))
        .filter_map(|it| it.split_once(" = \"").map(|(name, _)| name.trim()))
        .collect();
    let rows: Vec<&str> = table.split("(Breakage::").skip(1).collect();
    let has_row = |name: &str| rows.iter().any(|it| it.split(',').next() == Some(name));
    let mut bad: Vec<String> =
        breakages.iter().filter(|it| !has_row(it)).map(|it| format!("{it}: no row")).collect();
    for row in &rows {
        let case = row.split('"').nth(1).unwrap_or_default();
        let (module, name) = case.split_once("::").unwrap_or_default();
        let file = source(&format!("e2e/tests/conformance/{module}.rs"));
        if name.is_empty() || !file.contains(&format!("async fn {name}() {{")) {
            bad.push(format!("{case}: no such case"));
        }
    }

    none(&bad, "each breakage of the sandbox has a row in bites.rs with a case that notices it");
    let count = breakages.len();
    assert!(count >= LEAST_BREAKAGES, "{count} breakages, of at least {LEAST_BREAKAGES}");
}

/// How many lines the header has; a drawing in it does not count.
fn header(text: &str) -> usize {
    let mut is_drawing = false;
    let is_prose = |line: &&str| {
        let is_fence = line.contains("```");
        is_drawing ^= is_fence;
        !(is_fence || is_drawing)
    };
    text.lines().take_while(|it| it.starts_with("//!")).filter(is_prose).count()
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e is in the workspace").to_owned()
}

/// Every Rust file of the tree with its text.
fn sources() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for folder in ["src", "e2e"] {
        collect(&top().join(folder), &mut found);
    }
    assert!(found.len() > 10, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is text");
            found.insert(path, text);
        }
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder can be read").flatten();
    entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect()
}

fn lines_with(matches: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if matches(line) {
                found.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    found
}

/// Files that cargo compiles on its own: lib, bins, and each file or `main.rs` under tests, benches, examples,
/// and each fuzz target.
fn crate_roots(files: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let is_root = |path: &&PathBuf| {
        let parts: Vec<&str> = path.iter().filter_map(|it| it.to_str()).collect();
        match parts.as_slice() {
            [.., "src", "lib.rs" | "main.rs"]
            | [.., "src", "bin", _]
            | [.., "tests" | "benches" | "examples" | "fuzz_targets", _]
            | [.., "tests" | "benches" | "examples", _, "main.rs"] => true,
            _ => path.ends_with("build.rs"),
        }
    };
    files.iter().filter(is_root).cloned().collect()
}

fn reach(file: &Path, files: &BTreeSet<PathBuf>, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(file.to_owned()) {
        return;
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let stem = file.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
    let parent = file.parent().unwrap_or(file);
    let is_root = matches!(stem, "lib" | "main") || crate_roots(files).iter().any(|it| it == file);
    let folder = if is_root { parent.to_owned() } else { parent.join(stem) };
    for line in text.lines() {
        let line = line.trim();
        let named = line.strip_suffix(';').and_then(|it| it.rsplit_once("mod ")).map(|it| it.1);
        let Some(name) = named.filter(|_| !line.starts_with("//")) else { continue };
        for candidate in [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")] {
            if files.contains(&candidate) {
                reach(&candidate, files, reached);
            }
        }
    }
}

/// The folders of the same crate that a line names.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    let end = |it: &str| it.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    line.split("crate::").skip(1).map(move |it| &it[..end(it).unwrap_or(it.len())])
}

fn place_of(name: &str) -> Option<usize> {
    ORDER.iter().position(|it| *it == name)
}

/// Where a file of the controller stands in [`ORDER`]; `lib.rs` and `main.rs` stand outside.
fn place(inside: &Path) -> Option<usize> {
    let first = inside.iter().next()?.to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    place_of(name)
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(top())
        .output()
        .expect("cargo runs: it runs this test");
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// What the lines of a list in deny.toml name, up to the list's end.
fn listed(rules: &str, list: &str) -> Vec<String> {
    let lines = rules.lines().skip_while(|it| !it.starts_with(list)).take_while(|it| *it != "]");
    let named = lines.filter_map(|it| it.trim().strip_prefix("{ crate = \"")?.split('"').next());
    named.map(str::to_owned).collect()
}

/// Name and version of everything that is built for Linux.
fn dependencies() -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--prefix", "none", "--offline", "--locked"])
        .args(["--target", "x86_64-unknown-linux-gnu", "-e", "normal,build,dev"])
        .current_dir(top())
        .output()
        .expect("cargo runs: it runs this test");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(tree.contains("ger-core"), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let crates = tree.lines().filter_map(|it| it.split_once(" v"));
    let version = |it: &str| it.split([' ', '(']).next().unwrap_or_default().to_owned();
    crates.map(|(name, rest)| (name.to_owned(), version(rest))).collect()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}
