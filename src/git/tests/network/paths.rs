//! Watched files: what changes their hash, what does not, and what it costs to know.

use ger_git::{
    Client, Commit, Error, HashOptions, Hashing, PathHash, Patterns, Traffic, Want,
    backend::{Server, Versions},
};
use sha2::{Digest as _, Sha256};

use crate::support::{
    Site,
    fetching::{blob, by_commit, commit_of_main, commit_tree, hash, hash_with, main_branch},
};

const WATCHED: [&str; 2] = ["src/", "!src/generated/"];

/// A tree of these lines in `src`, beside a file `other`.
async fn commit_src(server: &Server, lines: &str, other: &str) -> Commit {
    let src = server.git_in("app", &["mktree", "--missing"], lines.as_bytes()).await.unwrap();
    let other = blob(server, "app", other).await;
    let lines = format!("040000 tree {src}\tsrc\n100644 blob {other}\tother\n");
    commit_tree(server, "app", &lines).await
}

#[tokio::test]
async fn what_counts_changes_the_hash_and_nothing_else_does() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("x", "1")]).await.unwrap();
    let (one, two) = (blob(&site.server, "app", "1").await, blob(&site.server, "app", "2").await);
    let generated = format!("100644 blob {two}\ta\n");
    let generated = site.server.git_in("app", &["mktree"], generated.as_bytes()).await.unwrap();
    let base = format!("100644 blob {one}\ta\n");
    let now = async |lines: &str, other: &str| -> PathHash {
        commit_src(&site.server, lines, other).await;
        hash(site.remote("app"), &WATCHED).await.unwrap()
    };

    let before = now(&base, "x").await;
    assert_eq!(before.matched, 1);
    let elsewhere = now(&base, "changed").await;
    assert_eq!((elsewhere.hash, elsewhere.matched), (before.hash.clone(), 1));
    let excluded = now(&format!("{base}040000 tree {generated}\tgenerated\n"), "x").await;
    assert_eq!(excluded.hash, before.hash);

    let mut seen = vec![before.hash];
    for (change, lines) in [
        ("content", format!("100644 blob {two}\ta\n")),
        ("rename", format!("100644 blob {one}\tb\n")),
        ("mode", format!("100755 blob {one}\ta\n")),
        ("link", format!("120000 blob {one}\ta\n")),
        ("addition", format!("{base}100644 blob {one}\tb\n")),
        ("submodule", format!("{base}160000 commit {commit}\tlib\n")),
        ("depth", format!("040000 tree {generated}\tsub\n")),
        ("removal", String::new()),
    ] {
        let hash = now(&lines, "x").await.hash;
        assert!(!seen.contains(&hash), "{change}");
        seen.push(hash);
    }
}

#[tokio::test]
async fn a_hash_says_by_which_patterns_it_was_made() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "1"), ("b", "2")]).await.unwrap();

    let a = hash(site.remote("app"), &["a"]).await.unwrap();
    let all = hash(site.remote("app"), &["*"]).await.unwrap();
    let none = hash(site.remote("app"), &["!a"]).await.unwrap();

    let parts = a.hash.split('-').map(str::len).collect::<Vec<_>>();
    assert!(a.hash.starts_with("t1-"), "{}", a.hash);
    assert_eq!((parts, a.matched, a.commit), (vec![2, 16, 64], 1, commit));
    assert_eq!((all.matched, none.matched), (2, 0));
    assert_ne!(a.hash, all.hash);
}

#[tokio::test]
async fn an_older_commit_is_looked_at_where_it_is_wanted() {
    for versions in [Versions::All, Versions::Oldest] {
        let site = Site::start_speaking(versions).await;
        let first = site.server.create_repo("app", &[("a", "1")]).await.unwrap();
        let options = HashOptions::default;
        let by_name = hash_with(site.remote("app"), main_branch(), &["a"], options()).await;
        site.server.commit("app", "a", "2", "change").await.unwrap();

        let by_id = hash_with(site.remote("app"), commit_of_main(&first), &["a"], options()).await;

        assert_eq!(by_id.unwrap(), by_name.unwrap());
    }
}

/// Half a megabyte that no compression makes smaller.
fn noise() -> String {
    let mut text = String::new();
    for n in 0..8192_u32 {
        text.push_str(&hex::encode(Sha256::digest(n.to_be_bytes())));
    }
    text
}

#[tokio::test]
async fn contents_are_left_where_they_are() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", &noise()), ("b/c", "1")]).await.unwrap();
    let received = async |hashing| {
        let traffic = Traffic::default();
        let options = HashOptions { hashing, traffic: traffic.clone(), ..HashOptions::default() };
        let hash = hash_with(site.remote("app"), main_branch(), &["**"], options).await.unwrap();
        assert_eq!(hash.matched, 2);
        (hash.hash, traffic.by_host().into_values().next().unwrap().received)
    };

    let (without_filter, all) = received(Hashing::Ours).await;
    let allow = ["config", "uploadpack.allowFilter", "true"];
    site.server.git_in("app", &allow, b"").await.unwrap();
    let (with_filter, few) = received(Hashing::Ours).await;
    let (_, contents) = received(Hashing::Original).await;

    assert_eq!(without_filter, with_filter);
    assert!(few < 10_000, "{few}");
    assert!(all > 200_000 && contents > 200_000, "{all} {contents}");
}

/// The original's own words: the digest of the contents' digests, directories in their place.
#[tokio::test]
async fn the_originals_hash_is_told_as_it_was() {
    let site = Site::start().await;
    // Git sorts `a.b` before the directory `a`; a walk over files does not.
    let files = [("a/x", "1"), ("a.b", "2"), ("src/y", "3"), ("z.md", "4")];
    site.server.create_repo("app", &files).await.unwrap();
    let original = async |patterns: &[&str]| {
        let options = HashOptions { hashing: Hashing::Original, ..HashOptions::default() };
        hash_with(site.remote("app"), main_branch(), patterns, options).await.unwrap()
    };
    let digest = |contents: &[&str]| {
        let digests = contents.iter().map(|it| Sha256::digest(it).to_vec());
        hex::encode(Sha256::digest(digests.collect::<Vec<_>>().concat()))
    };

    assert_eq!(original(&["**"]).await.hash, digest(&["1", "2", "3", "4"]));
    assert_eq!(original(&["*"]).await.hash, digest(&["2", "4"]));
    assert_eq!(original(&["**", "!a"]).await.hash, digest(&["2", "3", "4"]));
    assert_eq!(original(&["src/"]).await.hash, digest(&[]));
    assert_eq!(original(&["!z.md"]).await.hash, digest(&[]));
}

#[tokio::test]
async fn a_client_counts_what_a_hash_costs() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let client = Client::new().unwrap();
    let patterns = Patterns::parse(&["a".to_owned()]).unwrap();
    let remote = site.remote("app");

    let want = by_commit(&commit);
    let hashed = client.path_hash(&remote, &want, &patterns, Hashing::Ours).await.unwrap();

    assert_eq!(hashed.commit, commit);
    let counted = client.traffic().by_host()[remote.uri.host()];
    assert_eq!(counted.requests, 2);
    assert!(counted.received > 100);
    let nothing = client.path_hash(&remote, &Want::default(), &patterns, Hashing::Ours).await;
    assert!(matches!(nothing, Err(Error::Nothing)), "{nothing:?}");
}

/// What is not read costs nothing: the directory is beyond all limits.
#[tokio::test]
async fn directories_that_cannot_match_are_not_read() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let one = blob(&site.server, "app", "1").await;
    let lines = (0..1000).map(|n| format!("100644 blob {one}\t{n}\n")).collect::<Vec<_>>().concat();
    let many = site.server.git_in("app", &["mktree"], lines.as_bytes()).await.unwrap();
    let lines =
        format!("040000 tree {many}\tmany\n040000 tree {many}\tmore\n100644 blob {one}\ta\n");
    commit_tree(&site.server, "app", &lines).await;
    let limited = async |patterns: &[&str]| {
        let mut options = HashOptions::default();
        options.limits.entries = 1100;
        hash_with(site.remote("app"), main_branch(), patterns, options).await
    };

    assert_eq!(limited(&["/a"]).await.unwrap().matched, 1);
    assert_eq!(limited(&["/many/"]).await.unwrap().matched, 1000);
    let refused = limited(&["**"]).await.unwrap_err();
    assert!(matches!(refused, Error::Large { what: "files", most: 1100 }), "{refused:?}");
}
