//! Does the tree keep the house's rules? Headers, orphans, sizes, import direction, what core depends on.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const MAX_LINES: usize = 500;
const MAX_HEADER: usize = 6;

/// Folders of the controller from left to right: each may import only from those before it.
const ORDER: [&str; 14] = [
    "clock", "metrics", "config", "clusters", "shards", "checks", "runs", "schedule", "webhooks",
    "utility", "commands", "replica", "dev", "cli",
];

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

/// Files that cargo compiles on its own: lib, bins, and each file or `main.rs` under tests, benches, examples.
fn crate_roots(files: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let is_root = |path: &&PathBuf| {
        let parts: Vec<&str> = path.iter().filter_map(|it| it.to_str()).collect();
        match parts.as_slice() {
            [.., "src", "lib.rs" | "main.rs"]
            | [.., "tests" | "benches" | "examples", _]
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

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}
