//! How does a commit get into a directory? Shallow, judged before a file is written, and without
//! running anything that the repository names: no hooks, no filters, no configuration.
//!
//! ```text
//! pack.rs: receive ──▶ tree.rs: judge every path, link and size ──▶ checkout.rs: write
//! ```

mod checkout;
mod destination;
mod links;
mod pack;
mod tree;

use std::{
    fmt,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use crate::{Commit, Error, Reference, Remote, Said, Traffic, transport::http::Session};

/// What to fetch. The commit where it is named, else what the reference points at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Want {
    /// Exactly this commit.
    pub commit: Option<Commit>,
    /// The way to it: asked for when the server gives no commit by its id.
    pub reference: Option<Reference>,
}

/// What becomes of `.git`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GitFolder {
    /// The files alone remain.
    #[default]
    Remove,
    /// A shallow repository with a detached `HEAD` remains.
    Keep,
}

/// What one source may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the server may send.
    pub received: u64,
    /// Bytes of all files together.
    pub written: u64,
    /// Bytes of one object, which is held in memory.
    pub object: u64,
    /// Files and directories.
    pub entries: u64,
}

impl Default for Limits {
    /// A working copy of the Linux kernel is 1.5 GB in 95,000 files: twice that, and one Job's
    /// `emptyDir` still holds it. The large hosts take no object of more than 100 MB.
    fn default() -> Self {
        Self { received: 1 << 30, written: 3 << 30, object: 256 << 20, entries: 200_000 }
    }
}

/// How far a fetch has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This is asked for: a commit's id, or a ref.
    Asking {
        /// What is asked for.
        what: String,
    },
    /// The server refuses to give a commit by its id; its reference is asked for instead.
    NotById,
    /// The commit is here.
    Received {
        /// Its id.
        commit: Commit,
    },
    /// Nothing in it is refused.
    Judged {
        /// Files and directories.
        entries: u64,
        /// Bytes of all files.
        bytes: u64,
    },
    /// The files are written.
    Written,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking { what } => write!(f, "asking for {what}"),
            Self::NotById => f.write_str("the server gives no commit by its id"),
            Self::Received { commit } => write!(f, "received {commit}"),
            Self::Judged { entries, bytes } => write!(f, "{entries} entries, {bytes} bytes"),
            Self::Written => f.write_str("checked out"),
        }
    }
}

/// How to fetch.
#[derive(Clone, Copy)]
pub struct FetchOptions<'a> {
    /// What becomes of `.git`.
    pub git_folder: GitFolder,
    /// What the source may take.
    pub limits: Limits,
    /// Told at each step.
    pub on_step: &'a dyn Fn(&Step),
}

impl Default for FetchOptions<'_> {
    fn default() -> Self {
        Self { git_folder: GitFolder::Remove, limits: Limits::default(), on_step: &|_| {} }
    }
}

impl fmt::Debug for FetchOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FetchOptions");
        shown.field("git_folder", &self.git_folder).field("limits", &self.limits);
        shown.finish_non_exhaustive()
    }
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The commit that is checked out.
    pub commit: Commit,
    /// Submodules that the commit names; their directories are left empty.
    pub submodules: u64,
}

/// Fetches one commit into `destination`, an empty or absent directory. Blocks.
///
/// On an error the directory is as it was before. Takes no longer than the remote's timeout.
pub fn fetch(
    remote: &Remote,
    want: &Want,
    destination: &Path,
    options: &FetchOptions<'_>,
) -> Result<Fetched, Error> {
    let session = Session::open(remote, options.limits.received, Traffic::default())?;
    let interrupt = AtomicBool::new(false);
    let directory = destination::Destination::prepare(destination)?;

    let fetched = within(session.remaining(), &interrupt, || {
        let job = Job { remote, session: &session, interrupt: &interrupt, options };
        job.run(want, directory.path())
    });

    // gix takes an interruption for an end: whatever it says, the files may not all be there.
    if interrupt.load(Ordering::Relaxed) {
        return Err(session.slow());
    }
    let fetched = fetched?;
    directory.keep();
    Ok(fetched)
}

/// Does `work`, and raises `interrupt` once the time is over.
fn within<T>(time: Duration, interrupt: &AtomicBool, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::sync_channel::<()>(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.store(true, Ordering::Relaxed);
            }
        });
        let outcome = work();
        drop(done);
        outcome
    })
}

/// One fetch under way.
#[derive(Debug)]
struct Job<'a> {
    remote: &'a Remote,
    session: &'a Session,
    interrupt: &'a AtomicBool,
    options: &'a FetchOptions<'a>,
}

impl Job<'_> {
    fn run(&self, want: &Want, directory: &Path) -> Result<Fetched, Error> {
        let repository = pack::create(directory, &self.options.limits)?;
        let commit = self.receive(&repository, want)?;
        self.tell(&Step::Received { commit: commit.name.clone() });

        let found = tree::judge(&repository, commit.tree, &self.options.limits, self.interrupt)?;
        self.tell(&Step::Judged { entries: found.entries, bytes: found.bytes });

        checkout::write(&repository, commit.tree, self.interrupt)?;
        match self.options.git_folder {
            GitFolder::Keep => checkout::detach_head(&repository, &commit.name)?,
            GitFolder::Remove => checkout::remove_git_folder(&repository)?,
        }
        self.tell(&Step::Written);
        Ok(Fetched { commit: commit.name, submodules: found.submodules })
    }

    fn receive(&self, repository: &gix::Repository, want: &Want) -> Result<pack::Found, Error> {
        let reference = want.reference.as_ref();
        let by_id = want.commit.as_ref().or(match reference {
            Some(Reference::Commit(commit)) => Some(commit),
            _ => None,
        });
        let by_name = reference.and_then(|it| it.full_name().map(|name| (it, name)));
        let refused = match by_id {
            Some(commit) => match self.ask(repository, commit.as_str()) {
                Err(error) if by_name.is_some() && may_be_asked_by_name(&error) => Some(error),
                answer => return answer,
            },
            None => None,
        };
        let Some((reference, name)) = by_name else { return Err(Error::Nothing) };
        if refused.is_some() {
            self.tell(&Step::NotById);
        }
        let found = self.ask(repository, &name).map_err(|error| match error {
            Error::Nothing => Error::RefNotFound { reference: reference.clone() },
            error => error,
        })?;
        match by_id {
            Some(commit) if *commit != found.name => Err(Error::Moved {
                host: self.remote.uri.host().to_owned(),
                reference: reference.clone(),
                commit: commit.clone(),
            }),
            _ => Ok(found),
        }
    }

    fn ask(&self, repository: &gix::Repository, what: &str) -> Result<pack::Found, Error> {
        self.tell(&Step::Asking { what: what.to_owned() });
        pack::receive(repository, self.session, what, self.interrupt).map_err(|failed| {
            self.session.take_verdict().unwrap_or_else(|| match failed {
                pack::Failed::Nothing => Error::Nothing,
                pack::Failed::Gix(source) => Error::Fetch {
                    host: self.remote.uri.host().to_owned(),
                    source: Said::by(&source, &self.remote.uri),
                },
            })
        })
    }

    fn tell(&self, step: &Step) {
        (self.options.on_step)(step);
    }
}

/// A server that knows a commit but does not give it says so in git's protocol; anything else
/// would go wrong again.
fn may_be_asked_by_name(error: &Error) -> bool {
    matches!(error, Error::Fetch { .. } | Error::Nothing)
}
