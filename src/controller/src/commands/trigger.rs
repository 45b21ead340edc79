//! What can be asked of triggers? A run now, followed to its end, and a list of how they are doing.

mod follow;
mod list;
mod run;
#[cfg(test)]
mod tests;

use std::io::Write;

use kube::Client;

use crate::clock::Clock;

/// What a person may ask of triggers.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Run a trigger now, whatever its schedule.
    Run(Run),
    /// List triggers, and how they are doing.
    List(List),
}

/// Which trigger, and how far it is followed.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Run {
    /// The trigger's name.
    pub name: String,
    /// Its namespace; the context's when absent.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Only this source of it; may be said more than once.
    #[arg(long)]
    pub source: Vec<String>,
    /// The kind, where there is a trigger of each kind under the name: `schedule` or `webhook`.
    #[arg(long)]
    pub kind: Option<Kind>,
    /// The context of the kubeconfig: which cluster the trigger is in.
    #[arg(long)]
    pub context: Option<String>,
    #[command(flatten)]
    pub wishes: Wishes,
    /// Give up waiting after so many seconds.
    #[arg(long, default_value_t = 3600)]
    pub timeout: u64,
}

/// What is done beside asking.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "three flags that do not depend on each other")]
pub struct Wishes {
    /// Run even if nothing changed.
    #[arg(long)]
    pub force: bool,
    /// Wait until the runs have ended. The exit code is the Job's: 0, or the worker's own.
    #[arg(long)]
    pub wait: bool,
    /// Print the workers' logs while they run. Waits, too.
    #[arg(long)]
    pub logs: bool,
}

/// Which triggers.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct List {
    /// Of this namespace; the context's when absent.
    #[arg(short, long, conflicts_with = "all_namespaces")]
    pub namespace: Option<String>,
    /// Of all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// The context of the kubeconfig: which cluster.
    #[arg(long)]
    pub context: Option<String>,
}

/// The kinds of trigger, as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Schedule,
    Webhook,
}

/// Why a command did not do what it was asked for. Names objects, never their contents.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {what}")]
    Read { what: String, source: Box<kube::Error> },

    #[error("there is no trigger {name} in namespace {namespace}")]
    Missing { namespace: String, name: String },

    #[error(
        "there is a ScheduleTrigger and a WebhookTrigger {name} in namespace {namespace}: say --kind schedule or --kind webhook"
    )]
    Ambiguous { namespace: String, name: String },

    #[error("trigger {name} does not watch source {source_name}: it watches {known}")]
    NoSource { name: String, source_name: String, known: String },

    #[error("trigger {name} is suspended: nothing runs until it is resumed")]
    Suspended { name: String },

    #[error("cannot annotate trigger {name}")]
    Ask { name: String, source: Box<kube::Error> },

    #[error("trigger {name} is gone")]
    Gone { name: String },

    #[error(
        "trigger {name} has not answered within {seconds} s: is a controller running, and the trigger in order?"
    )]
    Unanswered { name: String, seconds: u64 },

    #[error(
        "trigger {name} has taken the request, and none of its runs is to be seen: it may be over already"
    )]
    Forgotten { name: String },

    #[error("the runs of trigger {name} have not ended within {seconds} s")]
    Unfinished { name: String, seconds: u64 },

    #[error("cannot print")]
    Print { source: std::io::Error },
}

/// Asks for a run, says what becomes of it, and gives the exit code.
pub async fn run(
    client: &Client,
    clock: &Clock,
    asked: &Run,
    out: &mut (dyn Write + Send),
) -> Result<u8, Error> {
    Box::pin(run::run(client, clock, asked, out)).await
}

/// Says which triggers there are.
pub async fn list(
    client: &Client,
    asked: &List,
    out: &mut (dyn Write + Send),
) -> Result<(), Error> {
    list::list(client, asked, out).await
}

fn say(out: &mut (dyn Write + Send), line: &str) -> Result<(), Error> {
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|source| Error::Print { source })
}
