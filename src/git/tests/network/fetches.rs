//! One commit into a directory: all of it, nothing beside it, and nothing at all on failure.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use ger_git::{
    Auth, Commit, Error, FetchOptions, Fetched, GitFolder, Limits, Meter, Reference, Remote, Want,
    backend::Versions,
};

use crate::support::{
    Site,
    fetching::{
        blob, by_commit, by_name, commit_of_main, commit_tree, fetch, fetch_with, main_branch,
        names,
    },
};

#[tokio::test]
async fn the_commit_is_checked_out_and_git_is_gone() {
    let site = Site::start().await;
    let files = [("README.md", "hello\n"), ("deep/er/file", "x")];
    let commit = site.server.create_repo("app", &files).await.unwrap();
    let directory = tempfile::tempdir().unwrap();

    let fetched = fetch(site.remote("app"), by_commit(&commit), directory.path()).await.unwrap();

    assert_eq!(fetched, Fetched { commit, submodules: 0, lfs_pointers: 0 });
    assert_eq!(names(directory.path()), ["README.md", "deep"]);
    assert_eq!(fs::read_to_string(directory.path().join("deep/er/file")).unwrap(), "x");
}

#[tokio::test]
async fn an_older_commit_is_given_by_a_stock_server() {
    let site = Site::start().await;
    let first = site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    site.server.commit("app", "a", "2", "change").await.unwrap();
    let directory = tempfile::tempdir().unwrap();

    fetch(site.remote("app"), by_commit(&first), directory.path()).await.unwrap();

    assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "1");
}

#[tokio::test]
async fn references_of_every_kind_are_fetched() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    site.server.tag("app", "light").await.unwrap();
    site.server.annotate("app", "heavy", "main").await.unwrap();
    site.server.annotate("app", "nested", "heavy").await.unwrap();
    // A tag of the same name must not be taken for the branch.
    site.server.commit("app", "a", "2", "change").await.unwrap();
    site.server.annotate("app", "main", "light").await.unwrap();

    for name in ["light", "heavy", "nested", "main"] {
        let directory = tempfile::tempdir().unwrap();
        let want = by_name(Reference::tag(name).unwrap());
        let fetched = fetch(site.remote("app"), want, directory.path()).await.unwrap();
        assert_eq!(fetched.commit, commit, "{name}");
        assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "1", "{name}");
    }
    let directory = tempfile::tempdir().unwrap();
    fetch(site.remote("app"), main_branch(), directory.path()).await.unwrap();
    assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "2");
}

#[tokio::test]
async fn a_kept_git_folder_is_a_repository_that_git_likes() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path().join("not/there/yet");

    let keep = GitFolder::Keep;
    let limits = Limits::default();
    fetch_with(site.remote("app"), main_branch(), &work, keep, limits).await.unwrap();

    let git_folder = work.join(".git");
    let git = ["--git-dir", git_folder.to_str().unwrap(), "--work-tree", work.to_str().unwrap()];
    let ask = |question: &'static [&'static str]| {
        let arguments = [&git[..], question].concat();
        let server = &site.server;
        async move { server.git_in("app", &arguments, b"").await.unwrap() }
    };
    assert_eq!(ask(&["log", "--format=%H %s"]).await, format!("{commit} Begin"));
    assert_eq!(ask(&["status", "--porcelain"]).await, "");
    assert_eq!(ask(&["fsck"]).await, "");
}

#[tokio::test]
async fn modes_and_links_within_survive() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let script = blob(&site.server, "app", "#!/bin/sh\n").await;
    let target = blob(&site.server, "app", "run").await;
    let lines = format!("100755 blob {script}\trun\n120000 blob {target}\tlink\n");
    commit_tree(&site.server, "app", &lines).await;
    let directory = tempfile::tempdir().unwrap();

    fetch(site.remote("app"), main_branch(), directory.path()).await.unwrap();

    let mode = fs::metadata(directory.path().join("run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
    assert_eq!(fs::read_link(directory.path().join("link")).unwrap(), Path::new("run"));
}

#[tokio::test]
async fn submodules_are_told_of_and_left_alone() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    commit_tree(&site.server, "app", &format!("160000 commit {commit}\tlib\n")).await;
    let directory = tempfile::tempdir().unwrap();

    let fetched = fetch(site.remote("app"), main_branch(), directory.path()).await.unwrap();

    assert_eq!(fetched.submodules, 1);
    assert!(names(&directory.path().join("lib")).is_empty());
}

/// After a force-push no branch leads to the commit: v2 gives it all the same, v0 does not, and
/// then its branch is asked, which is elsewhere.
#[tokio::test]
async fn a_commit_that_was_pushed_away_is_fetched_or_told_to_be_gone() {
    for versions in [Versions::All, Versions::Oldest] {
        let site = Site::start_speaking(versions).await;
        let first = site.server.create_repo("app", &[("a", "1")]).await.unwrap();
        let second = site.server.commit("app", "a", "2", "change").await.unwrap();
        let fetch = async |commit: &Commit| {
            let want = commit_of_main(commit);
            let directory = tempfile::tempdir().unwrap();
            let fetched = fetch(site.remote("app"), want, directory.path()).await;
            (fetched, names(directory.path()))
        };
        assert_eq!(fetch(&first).await.0.unwrap().commit, first);
        assert_eq!(fetch(&second).await.0.unwrap().commit, second);

        commit_tree(&site.server, "app", "").await;
        let (fetched, files) = fetch(&second).await;

        match versions {
            Versions::All => assert_eq!(fetched.unwrap().commit, second),
            Versions::One | Versions::Oldest => {
                let moved = fetched.unwrap_err();
                assert!(matches!(&moved, Error::Moved { commit, .. } if *commit == second));
                assert!(files.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_by_its_name() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let directory = tempfile::tempdir().unwrap();

    let want = by_name(Reference::branch("none").unwrap());
    let refused = fetch(site.remote("app"), want, directory.path()).await.unwrap_err();
    assert!(matches!(refused, Error::RefNotFound { .. }), "{refused:?}");

    let want = by_commit(&Commit::parse(&"a".repeat(40)).unwrap());
    let refused = fetch(site.remote("app"), want, directory.path()).await.unwrap_err();
    assert!(matches!(refused, Error::Fetch { .. }), "{refused:?}");

    let refused = fetch(site.remote("app"), Want::default(), directory.path()).await.unwrap_err();
    assert!(matches!(refused, Error::Nothing), "{refused:?}");
    assert!(names(directory.path()).is_empty());
}

#[tokio::test]
async fn credentials_are_needed_for_a_fetch_too() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let basic = Auth::Basic { username: "user".into(), password: "secret".into() };
    site.server.guard("app", basic.clone());
    let directory = tempfile::tempdir().unwrap();

    for auth in [Auth::None, Auth::Token("Bearer hunter2".into())] {
        let kept_out = Remote { auth, ..site.remote("app") };
        let refused = fetch(kept_out, main_branch(), directory.path()).await.unwrap_err();
        assert!(refused.is_auth(), "{refused:?}");
        assert!(!format!("{refused:?}").contains("hunter2"));
    }
    let let_in = Remote { auth: basic, ..site.remote("app") };
    fetch(let_in, main_branch(), directory.path()).await.unwrap();
    assert_eq!(names(directory.path()), ["a"]);
}

#[tokio::test]
async fn a_directory_that_is_in_use_is_left_as_it_is() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mine"), "").unwrap();

    let refused = fetch(site.remote("app"), main_branch(), directory.path()).await.unwrap_err();

    assert!(matches!(refused, Error::Destination { .. }), "{refused:?}");
    assert_eq!(names(directory.path()), ["mine"]);
}

#[tokio::test]
async fn more_than_a_source_may_have_is_refused() {
    let site = Site::start().await;
    let big = "0".repeat(300_000);
    site.server.create_repo("app", &[("a", &big), ("b", "1"), ("c", "2")]).await.unwrap();

    for (limits, what) in [
        (Limits { entries: 2, ..Limits::default() }, "files"),
        (Limits { written: 200_000, ..Limits::default() }, "bytes in its files"),
        (Limits { object: 200_000, ..Limits::default() }, "object"),
        (Limits { received: 200, ..Limits::default() }, "bytes to send"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let folder = GitFolder::Remove;
        let fetched =
            fetch_with(site.remote("app"), main_branch(), directory.path(), folder, limits);

        let refused = fetched.await.unwrap_err();

        // One object is held to its limit by gix, while it unpacks.
        let is_told = match &refused {
            Error::Large { what: told, .. } => *told == what,
            Error::Fetch { .. } => what == "object",
            _ => false,
        };
        assert!(is_told, "{what}: {refused:?}");
        assert!(names(directory.path()).is_empty());
    }
}

#[tokio::test]
async fn no_time_is_no_fetch() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let hurried = Remote { timeout: Duration::from_millis(1), ..site.remote("app") };

    let refused = fetch(hurried, main_branch(), directory.path()).await.unwrap_err();

    assert!(matches!(refused, Error::Slow { .. }), "{refused:?}");
    assert!(names(directory.path()).is_empty());
}

#[tokio::test]
async fn lfs_pointers_are_told_of_and_left_as_they_are() {
    let site = Site::start().await;
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
        "a".repeat(64),
    );
    let long = format!("{pointer}{}", "x".repeat(2000));
    let files =
        [("a.bin", &*pointer), ("b/c.bin", &pointer), ("long", &long), ("short", "version")];
    site.server.create_repo("app", &files).await.unwrap();
    let directory = tempfile::tempdir().unwrap();

    let fetched = fetch(site.remote("app"), main_branch(), directory.path()).await.unwrap();

    assert_eq!(fetched.lfs_pointers, 2);
    assert_eq!(fs::read_to_string(directory.path().join("b/c.bin")).unwrap(), pointer);
}

#[tokio::test]
async fn what_comes_is_counted() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "1"), ("b", "2")]).await.unwrap();
    let (remote, meter) = (site.remote("app"), Meter::default());
    let counted = meter.clone();
    let work = move || {
        let directory = tempfile::tempdir().unwrap();
        let options = FetchOptions { meter, ..FetchOptions::default() };
        ger_git::fetch(&remote, &main_branch(), directory.path(), &options).unwrap();
    };
    tokio::task::spawn_blocking(work).await.unwrap();

    assert_eq!(counted.objects(), 4);
    assert!(counted.bytes() > 200);
}
