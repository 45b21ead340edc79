//! What may be said on the command line? What the original's cloner understood.

use std::{fmt, path::PathBuf};

use clap::{ArgGroup, Parser, ValueEnum};
use ger_git::{Commit, GitFolder, Reference, Want};

/// Clones one source into a directory.
#[derive(Debug, Parser)]
#[command(
    name = "gitrepo-cloner",
    version,
    about,
    after_help = "The repository's address and credentials come by the GER_CLONE_* variables.",
    group = ArgGroup::new("reference").required(true)
)]
pub(crate) struct Arguments {
    /// Kind of the source
    #[arg(short, long)]
    pub(crate) kind: SourceKind,

    /// Name of the source
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

    /// Keep the .git folder
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
