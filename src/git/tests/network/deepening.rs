//! A server that gives nothing by its id: the commit is looked for where its branch has been.

use std::{fmt::Write as _, fs, sync::Mutex};

use ger_git::{
    Commit, Error, FetchOptions, GitFolder, Limits, Step,
    backend::{Daemon, Versions},
};

use crate::support::{
    Site,
    fetching::{commit_of_main, commit_tree, fetch, fetch_with, names},
    remote,
};

/// So many commits on `main`, each with the file `n` that says which one it is.
async fn history(site: &Site, count: usize) -> Vec<Commit> {
    site.server.create_repo("app", &[("n", "0")]).await.unwrap();
    let mut stream = String::new();
    for n in 1..count {
        let text = n.to_string();
        let _ = write!(
            stream,
            "commit refs/heads/main\ncommitter Somebody <somebody@example.org> {n} +0000\n\
             data 1\nx\n{from}M 100644 inline n\ndata {length}\n{text}\n",
            from = if n == 1 { "from refs/heads/main^0\n" } else { "" },
            length = text.len(),
        );
    }
    let import = ["fast-import", "--quiet"];
    site.server.git_in("app", &import, stream.as_bytes()).await.unwrap();
    let log = ["rev-list", "--reverse", "--topo-order", "main"];
    let log = site.server.git_in("app", &log, b"").await.unwrap();
    log.lines().map(|it| Commit::parse(it).unwrap()).collect()
}

#[tokio::test]
async fn a_commit_that_its_branch_has_left_behind_is_found() {
    let site = Site::start_speaking(Versions::Oldest).await;
    let commits = history(&site, 40).await;
    let root = site.server.path("app").parent().unwrap().to_owned();
    let daemon = Daemon::start(&root, Versions::Oldest).await.unwrap();

    for remote in [site.remote("app"), remote(&daemon.url("app"))] {
        for n in [39, 38, 30, 0] {
            let out = tempfile::tempdir().unwrap();
            let want = commit_of_main(&commits[n]);
            let fetched = fetch(remote.clone(), want, out.path()).await.unwrap();
            assert_eq!(fetched.commit, commits[n], "{n}");
            assert_eq!(fs::read_to_string(out.path().join("n")).unwrap(), n.to_string());
            assert_eq!(names(out.path()), ["n"]);
        }
    }
}

#[tokio::test]
async fn each_look_is_told() {
    let site = Site::start_speaking(Versions::Oldest).await;
    let commits = history(&site, 10).await;
    let (remote, want) = (site.remote("app"), commit_of_main(&commits[0]));
    let work = move || {
        let out = tempfile::tempdir().unwrap();
        let told = Mutex::new(Vec::new());
        let on_step = |step: &Step| told.lock().unwrap().push(step.clone());
        let options = FetchOptions { on_step: &on_step, ..FetchOptions::default() };
        ger_git::fetch(&remote, &want, out.path(), &options).unwrap();
        told.into_inner().unwrap()
    };

    let told = tokio::task::spawn_blocking(work).await.unwrap();

    let depths = told.iter().filter_map(|it| match it {
        Step::Deepening { depth } => Some(*depth),
        _ => None,
    });
    assert_eq!(depths.collect::<Vec<_>>(), [4, 16]);
    assert!(told.contains(&Step::NotById), "{told:?}");
}

#[tokio::test]
async fn a_commit_too_far_back_or_on_no_branch_is_gone() {
    let site = Site::start_speaking(Versions::Oldest).await;
    let commits = history(&site, 1100).await;
    let out = tempfile::tempdir().unwrap();

    let want = commit_of_main(&commits[150]);
    fetch(site.remote("app"), want, out.path()).await.unwrap();
    let out = tempfile::tempdir().unwrap();
    let refused = fetch(site.remote("app"), commit_of_main(&commits[50]), out.path()).await;

    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, Error::Moved { commit, .. } if *commit == commits[50]),
        "{refused:?}"
    );
    commit_tree(&site.server, "app", "").await;
    let refused = fetch(site.remote("app"), commit_of_main(&commits[1099]), out.path()).await;
    assert!(matches!(refused, Err(Error::Moved { .. })), "{refused:?}");
    assert!(names(out.path()).is_empty());
}

#[tokio::test]
async fn a_deepened_repository_is_one_that_git_likes() {
    let site = Site::start_speaking(Versions::Oldest).await;
    let commits = history(&site, 12).await;
    let out = tempfile::tempdir().unwrap();

    let (want, limits) = (commit_of_main(&commits[5]), Limits::default());
    fetch_with(site.remote("app"), want, out.path(), GitFolder::Keep, limits).await.unwrap();

    let folder = out.path().join(".git");
    let git = ["--git-dir", folder.to_str().unwrap(), "--work-tree", out.path().to_str().unwrap()];
    let ask = async |question: &[&str]| {
        site.server.git_in("app", &[&git[..], question].concat(), b"").await.unwrap()
    };
    assert_eq!(ask(&["fsck", "--no-dangling"]).await, "");
    assert_eq!(ask(&["status", "--porcelain"]).await, "");
    assert_eq!(ask(&["rev-parse", "HEAD"]).await, commits[5].to_string());
}
