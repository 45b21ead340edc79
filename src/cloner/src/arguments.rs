//! What may be said on the command line? What the original's cloner understood.

use std::{fmt, path::PathBuf};

use clap::{ArgGroup, Parser, ValueEnum};
use ger_git::{Commit, GitFolder, Reference, Want};

const AFTER_HELP: &str = "\
One of --branch, --tag and --commit must be given. What else is needed comes by variables:
  GER_CLONE_URI          the repository's address
  GER_CLONE_REFERENCE    the way to the commit, where a server gives none by its id: branch/main, tag/v1
  GER_CLONE_COMMIT       the commit, where none is given here
  GER_CLONE_AUTH         none, basic, token or ssh
  GER_CLONE_TLS          verify, verify-with (ca.crt too) or skip-verify
  GER_CLONE_CREDENTIALS  a directory with the files username, password, token, ssh-privatekey, passphrase,
                         known_hosts and ca.crt, as far as they are needed
  GER_CLONE_TIMEOUT      seconds that the whole clone may take; 120 if absent

It exits with 0 when the clone is there, 1 when it could not be made, 2 when this makes no sense.";

/// Clones one source into a directory.
#[derive(Debug, Parser)]
#[command(
    name = "gitrepo-cloner",
    version,
    about,
    after_help = AFTER_HELP,
    group = ArgGroup::new("reference").required(true)
)]
pub(crate) struct Arguments {
    /// Kind of the source; told with --debug
    #[arg(short, long)]
    pub(crate) kind: SourceKind,

    /// Name of the source; told with --debug
    #[arg(short, long)]
    pub(crate) source: String,

    /// Directory to clone into; empty or absent
    #[arg(short, long)]
    pub(crate) destination: PathBuf,

    /// Branch to check out
    #[arg(short, long, group = "reference", value_parser = Reference::branch)]
    branch: Option<Reference>,

    /// Tag to check out
    #[arg(short, long, group = "reference", value_parser = Reference::tag)]
    tag: Option<Reference>,

    /// Full id of the commit to check out
    #[arg(short, long, group = "reference", value_parser = Commit::parse)]
    commit: Option<Commit>,

    /// Keep the .git folder: a shallow repository with a detached HEAD
    #[arg(short, long)]
    preserve_git_folder: bool,

    /// Tell on stderr whose clone it is too, and each step on a line of its own
    #[arg(long)]
    pub(crate) debug: bool,
}

/// What the source is in Kubernetes. Told in the log, and nothing else depends on it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SourceKind {
    #[value(name = "GitRepo")]
    GitRepo,
    #[value(name = "ClusterGitRepo")]
    ClusterGitRepo,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitRepo => "GitRepo",
            Self::ClusterGitRepo => "ClusterGitRepo",
        })
    }
}

impl Arguments {
    pub(crate) fn git_folder(&self) -> GitFolder {
        if self.preserve_git_folder { GitFolder::Keep } else { GitFolder::Remove }
    }

    pub(crate) fn want(&self) -> Want {
        let reference = self.branch.clone().or_else(|| self.tag.clone());
        Want { commit: self.commit.clone(), reference }
    }
}
