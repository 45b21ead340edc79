//! How do clusters come to a hub, and go? `cluster add`, `list`, `rotate` and `remove`.
//!
//! ```text
//! add:  kubeconfig ─▶ spoke: CRDs, account, rights, token ─▶ hub: Secret ─▶ replicas say Ready
//! ```

mod access;
mod add;
mod error;
mod list;
mod registration;
mod remove;
mod said;
mod spoke;
mod token;

use std::path::PathBuf;
use std::time::Duration;

use ger_core::names::ClusterName;

use self::access::Access;
pub use self::error::Error;
use super::Say;
use crate::rights::{Account, Place, Reach};

/// Who writes, in `managedFields`.
const MANAGER: &str = "git-events-runner-cluster";
/// On all that is made in a spoke: for which account.
const ACCOUNT: &str = "git-events-runner.rs/account";
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "git-events-runner");

/// What is to be done with clusters.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a cluster a spoke of the hub: definitions, an account with its rights and a token there, and a
    /// kubeconfig with it on the hub. May be repeated: what is there already is left or mended.
    Add(Add),
    /// List the hub's clusters, how they are, and what is missing.
    List(List),
    /// Give a spoke a new token, and revoke the old one once the hub works with the new.
    Rotate(Rotate),
    /// Take a spoke from the hub, and with --context its account and rights from the spoke.
    Remove(Remove),
}

/// Where the hub is.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_field_names, reason = "the flags' names, beside those of the spoke")]
pub struct Hub {
    /// Context of the hub; the current one if not given.
    #[arg(long, value_name = "CONTEXT")]
    hub_context: Option<String>,
    /// Kubeconfig of the hub; kubectl's own if not given.
    #[arg(long, value_name = "FILE")]
    hub_kubeconfig: Option<PathBuf>,
    /// The controller's namespace on the hub.
    #[arg(short, long, default_value = "git-events-runner")]
    namespace: String,
}

/// As whom the hub acts in a spoke.
#[derive(Clone, Debug, clap::Args)]
pub struct There {
    /// Kubeconfig of the spoke; kubectl's own if not given.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Namespace of the account in the spoke; of the same name as the controller's if not given.
    #[arg(long, value_name = "NAMESPACE")]
    spoke_namespace: Option<String>,
    /// Name of the account in the spoke.
    #[arg(long, value_name = "NAME", default_value = "git-events-runner-spoke")]
    account: String,
}

/// A new token, and how long somebody waits for the hub.
#[derive(Clone, Debug, clap::Args)]
pub struct Minting {
    /// Mint a token that ends after this, such as `720h`; without it, one that does not end.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    token_duration: Option<Duration>,
    /// How long to wait for the hub's replicas.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// What is added.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// Name of the cluster on the hub.
    #[arg(value_parser = name)]
    name: ClusterName,
    /// Context of the spoke: an administrator's.
    #[arg(long)]
    context: String,
    #[command(flatten)]
    there: There,
    #[command(flatten)]
    hub: Hub,
    #[command(flatten)]
    minting: Minting,
    /// Address of the spoke's API server as the hub's replicas reach it, where it is not the context's.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A namespace in which Jobs may run; repeat it for more. All, if not given.
    #[arg(long, value_name = "NAMESPACE")]
    jobs_namespace: Vec<String>,
    /// A namespace whose Secrets may be read; repeat it for more. All, if not given.
    #[arg(long, value_name = "NAMESPACE")]
    secrets_namespace: Vec<String>,
    /// Print what would be applied, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What is listed.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    hub: Hub,
}

/// What is given a new token.
#[derive(Debug, clap::Args)]
pub struct Rotate {
    /// Name of the cluster on the hub.
    #[arg(value_parser = name)]
    name: ClusterName,
    /// Context of the spoke: an administrator's.
    #[arg(long)]
    context: String,
    #[command(flatten)]
    there: There,
    #[command(flatten)]
    hub: Hub,
    #[command(flatten)]
    minting: Minting,
}

/// What is removed.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Name of the cluster on the hub.
    #[arg(value_parser = name)]
    name: ClusterName,
    /// Context of the spoke: an administrator's. Without it, only the hub forgets the spoke.
    #[arg(long)]
    context: Option<String>,
    #[command(flatten)]
    there: There,
    #[command(flatten)]
    hub: Hub,
}

fn name(text: &str) -> Result<ClusterName, String> {
    ClusterName::parse_spoke(text).map_err(|invalid| invalid.to_string())
}

impl Hub {
    async fn open(&self) -> Result<Access, Error> {
        access::open(self.hub_kubeconfig.as_deref(), self.hub_context.as_deref()).await
    }
}

impl There {
    async fn open(&self, context: &str) -> Result<Access, Error> {
        access::open(self.kubeconfig.as_deref(), Some(context)).await
    }

    fn account(&self, hub: &Hub, jobs: Reach, secrets: Reach) -> Account {
        let namespace = self.spoke_namespace.clone().unwrap_or_else(|| hub.namespace.clone());
        Account { place: Place::Spoke, namespace, name: self.account.clone(), jobs, secrets }
    }
}

/// All namespaces, unless some are named.
fn reach(names: &[String]) -> Reach {
    if names.is_empty() { Reach::All } else { Reach::Namespaces(names.to_vec()) }
}

/// Does it, and tells how it goes.
pub async fn run(command: &Command, say: Say<'_>) -> Result<(), Error> {
    match command {
        Command::Add(it) => add::add(it, say).await,
        Command::List(it) => list::list(it, say).await,
        Command::Rotate(it) => add::rotate(it, say).await,
        Command::Remove(it) => remove::remove(it, say).await,
    }
}
