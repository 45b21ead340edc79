//! What tests of fetches need again and again: a fetch off the runtime, and trees made by hand.

use std::{fs, path::Path};

use ger_git::{
    Commit, Error, FetchOptions, Fetched, GitFolder, HashOptions, Hashing, Limits, PathHash,
    Patterns, Reference, Remote, Want, backend::Server,
};

pub(crate) async fn fetch_with(
    remote: Remote,
    want: Want,
    directory: &Path,
    git_folder: GitFolder,
    limits: Limits,
) -> Result<Fetched, Error> {
    let directory = directory.to_owned();
    let work = move || {
        let options = FetchOptions { git_folder, limits, ..FetchOptions::default() };
        ger_git::fetch(&remote, &want, &directory, &options)
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

pub(crate) async fn fetch(remote: Remote, want: Want, directory: &Path) -> Result<Fetched, Error> {
    fetch_with(remote, want, directory, GitFolder::Remove, Limits::default()).await
}

pub(crate) async fn hash_with(
    remote: Remote,
    want: Want,
    patterns: &[&str],
    options: HashOptions,
) -> Result<PathHash, Error> {
    let lines = patterns.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let patterns = Patterns::parse(&lines).unwrap();
    let work = move || ger_git::path_hash(&remote, &want, &patterns, &options);
    tokio::task::spawn_blocking(work).await.unwrap()
}

pub(crate) async fn hash(remote: Remote, patterns: &[&str]) -> Result<PathHash, Error> {
    let options = HashOptions { hashing: Hashing::Ours, ..HashOptions::default() };
    hash_with(remote, main_branch(), patterns, options).await
}

pub(crate) fn by_commit(commit: &Commit) -> Want {
    Want { commit: Some(commit.clone()), reference: None }
}

pub(crate) fn by_name(reference: Reference) -> Want {
    Want { commit: None, reference: Some(reference) }
}

pub(crate) fn main_branch() -> Want {
    by_name(Reference::branch("main").unwrap())
}

/// The commit, by way of `main` if the server does not give it by its id.
pub(crate) fn commit_of_main(commit: &Commit) -> Want {
    Want { commit: Some(commit.clone()), ..main_branch() }
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names =
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
    names.sort();
    names
}

/// Points `main` at a commit of this tree.
pub(crate) async fn commit_of_tree(server: &Server, repository: &str, tree: &str) -> Commit {
    let commit = ["commit-tree", "-m", "made by hand", tree];
    let commit = server.git_in(repository, &commit, b"").await.unwrap();
    let update = ["update-ref", "refs/heads/main", &commit];
    server.git_in(repository, &update, b"").await.unwrap();
    Commit::parse(&commit).unwrap()
}

/// Points `main` at a commit of the tree that `git mktree` makes of these lines.
pub(crate) async fn commit_tree(server: &Server, repository: &str, lines: &str) -> Commit {
    let tree = server.git_in(repository, &["mktree", "--missing"], lines.as_bytes()).await.unwrap();
    commit_of_tree(server, repository, &tree).await
}

pub(crate) async fn blob(server: &Server, repository: &str, content: &str) -> String {
    let hash = ["hash-object", "-w", "--stdin"];
    server.git_in(repository, &hash, content.as_bytes()).await.unwrap()
}

/// A tree that git itself would not make: these entries, in this order.
pub(crate) async fn literal_tree(
    server: &Server,
    repository: &str,
    entries: &[(&str, &[u8], &str)],
) -> String {
    let mut content = Vec::new();
    for (mode, name, id) in entries {
        content.extend_from_slice(mode.as_bytes());
        content.push(b' ');
        content.extend_from_slice(name);
        content.push(0);
        for at in (0..id.len()).step_by(2) {
            content.push(u8::from_str_radix(&id[at..at + 2], 16).unwrap());
        }
    }
    let hash = ["hash-object", "-t", "tree", "--literally", "-w", "--stdin"];
    server.git_in(repository, &hash, &content).await.unwrap()
}
