//! What is in a repository, and whom does it answer?

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use ger_core::names::Commit;
use ger_core::plan::patterns_digest;
use ger_git::{
    Auth, Error, Hashing, HostKey, HostKeys, KnownHosts, PathHash, Reference, Remote, Resolved,
    Scheme, Verdict,
};
use git_events_runner::checks::Files;

use super::HOST;

/// How a repository fails to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is heard of it.
    Silent,
    /// It answers with this status, and may ask to be left alone.
    Status(u16, Option<Duration>),
    /// It has more files than anybody looks at.
    TooLarge,
}

/// A server's key, for ssh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyOf {
    /// As in `known_hosts`, behind the host.
    pub line: String,
    key: HostKey,
}

impl HostKeyOf {
    /// Keys of different seeds are different.
    pub fn seeded(seed: u8) -> Self {
        let kind = b"ssh-ed25519";
        let mut blob = vec![0, 0, 0, 11];
        blob.extend(kind);
        blob.extend([0, 0, 0, 32]);
        blob.extend([seed; 32]);
        let key = HostKey::from_bytes(&blob).expect("it is a key");
        let encoded = data_encoding::BASE64.encode(&blob);
        Self { line: format!("ssh-ed25519 {encoded}"), key }
    }

    pub fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }

    /// What `known_hosts` says of a host with this key.
    pub fn known_hosts(&self) -> String {
        format!("{HOST} {}\n", self.line)
    }
}

/// Paths, and what is in the files.
pub(super) type Tree = BTreeMap<String, String>;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) branches: BTreeMap<String, Commit>,
    /// The commit, and the object of an annotated one.
    pub(super) tags: BTreeMap<String, (Commit, Option<Commit>)>,
    pub(super) trees: BTreeMap<Commit, Tree>,
    pub(super) failure: Option<Failure>,
    pub(super) slow_once: Option<Duration>,
    pub(super) token: Option<String>,
    pub(super) host_key: Option<HostKeyOf>,
    pub(super) requests: u64,
    pub(super) looks: u64,
}

impl State {
    pub(super) fn answer(
        &mut self,
        remote: &Remote,
        reference: &Reference,
    ) -> Result<Resolved, Error> {
        self.requests += 1;
        if self.failure != Some(Failure::TooLarge) {
            self.fails(remote)?;
        }
        self.admits(remote)?;
        let not_found = || Error::RefNotFound { reference: reference.clone() };
        match reference {
            Reference::Commit(commit) => Ok(commit.clone().into()),
            Reference::Tag(name) => self.tags.get(name).map(of_tag).ok_or_else(not_found),
            Reference::Branch(name) => {
                let commit = self.branches.get(name).map(of_core);
                commit.map(Resolved::from).ok_or_else(not_found)
            }
            Reference::Semver(range) => {
                let name = self.highest(range.as_str()).ok_or_else(not_found)?;
                Ok(Resolved { tag: Some(name.clone()), ..of_tag(&self.tags[name]) })
            }
        }
    }

    /// Ranges like `1.x` alone: the others are tested where they are read.
    fn highest(&self, range: &str) -> Option<&String> {
        let major: u64 = range.strip_suffix(".x")?.parse().ok()?;
        let version = |tag: &str| {
            let mut parts = tag.trim_start_matches('v').split('.').map(str::parse::<u64>);
            let mut part = || parts.next()?.ok();
            Some((part()?, part()?, part()?))
        };
        let of_range = |it: &&String| version(it).is_some_and(|it| it.0 == major);
        self.tags.keys().filter(of_range).max_by_key(|it| version(it))
    }

    pub(super) fn hash(&mut self, remote: &Remote, files: &Files) -> Result<PathHash, Error> {
        self.looks += 1;
        self.fails(remote)?;
        self.admits(remote)?;
        let commit = files.want.commit.clone().ok_or(Error::Nothing)?;
        let tree = Commit::parse(commit.as_str()).ok().and_then(|it| self.trees.get(&it));
        let is_watched = |path: &String| files.patterns.selects(path.as_bytes());
        let matching: Tree = tree
            .into_iter()
            .flatten()
            .filter(|(path, _)| is_watched(path))
            .map(|(path, content)| (path.clone(), content.clone()))
            .collect();
        let mut hasher = DefaultHasher::new();
        matching.hash(&mut hasher);
        let digest = format!("{:016x}", hasher.finish()).repeat(4);
        let hash = match files.hashing {
            Hashing::Ours => format!("t1-{}-{digest}", patterns_digest(files.patterns.lines())),
            Hashing::Original => digest,
        };
        let matched = u64::try_from(matching.len()).unwrap_or(u64::MAX);
        Ok(PathHash { hash, matched, commit })
    }

    fn fails(&self, remote: &Remote) -> Result<(), Error> {
        let host = HOST.to_owned();
        match self.failure {
            None => Ok(()),
            Some(Failure::Silent) => Err(Error::Slow { host, limit: remote.timeout }),
            Some(Failure::Status(status, retry_after)) => {
                Err(Error::Status { host, status, retry_after })
            }
            Some(Failure::TooLarge) => Err(Error::Large { what: "entries", most: 200_000 }),
        }
    }

    fn admits(&self, remote: &Remote) -> Result<(), Error> {
        if remote.uri.scheme() == Scheme::Ssh {
            return self.proves_itself(remote);
        }
        let shown = match &remote.auth {
            Auth::Token(token) => Some(token.expose()),
            Auth::Basic { password, .. } => Some(password.expose()),
            Auth::None | Auth::Ssh(_) => None,
        };
        if self.token.as_ref().is_none_or(|it| shown == Some(it.as_bytes())) {
            return Ok(());
        }
        Err(Error::Status { host: HOST.to_owned(), status: 401, retry_after: None })
    }

    /// As ssh has it: the server shows its key first.
    fn proves_itself(&self, remote: &Remote) -> Result<(), Error> {
        let host = HOST.to_owned();
        let Auth::Ssh(key) = &remote.auth else { return Err(Error::NoKey { host }) };
        let Some(shown) = &self.host_key else { return Ok(()) };
        let known = match &key.host_keys {
            HostKeys::Pinned => KnownHosts::well_known(),
            HostKeys::Known(text) => KnownHosts::parse(text.expose()).unwrap_or_default(),
            HostKeys::FirstUse => return Ok(()),
        };
        let fingerprint = shown.fingerprint();
        match known.judge(HOST, 22, &shown.key) {
            Verdict::Trusted => Ok(()),
            Verdict::Changed(known) => {
                Err(Error::HostKeyChanged { host, known: known.join(", "), presented: fingerprint })
            }
            Verdict::Revoked => Err(Error::HostKeyRevoked { host, fingerprint }),
            Verdict::Unknown => Err(Error::HostKeyUnknown { host, fingerprint }),
            Verdict::Authority => Err(Error::HostKeyAuthority { host, fingerprint }),
        }
    }
}

fn of_core(commit: &Commit) -> ger_git::Commit {
    ger_git::Commit::parse(commit.as_str()).expect("a commit is one in both crates")
}

fn of_tag((commit, object): &(Commit, Option<Commit>)) -> Resolved {
    let tag_object = object.as_ref().map(of_core);
    Resolved { tag_object, ..Resolved::from(of_core(commit)) }
}
