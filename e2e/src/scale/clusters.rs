//! Where are the triggers? In sandboxes in a process of their own, reached over TLS like any other cluster.

use git_events_runner::clock::Clock;
use kube::Client;
use kube_sandbox::Sandbox;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::seeds::{self, Seeds};
use crate::measure::{Peer, say};

/// The clusters, as long as they are held.
#[derive(Debug)]
pub(super) struct Clusters {
    _peer: Peer,
    hub: String,
}

impl Clusters {
    /// A hub and these spokes, filled and registered. The hub is the one that is called so, else empty.
    pub(super) fn start(seeds: &[Seeds]) -> anyhow::Result<Self> {
        let mut peer = Peer::start("clusters", &[&serde_json::to_string(seeds)?])?;
        let hub = peer.hear()?.as_str().unwrap_or_default().to_owned();
        Ok(Self { _peer: peer, hub })
    }

    /// The hub's kubeconfig.
    pub(super) fn hub(&self) -> &str {
        &self.hub
    }
}

/// Serves until the input ends.
pub(super) async fn serve(order: &str) -> anyhow::Result<()> {
    let mut all: Vec<Seeds> = serde_json::from_str(order)?;
    if all.iter().all(|it| it.cluster != "hub") {
        let cluster = "hub".to_owned();
        all.insert(0, Seeds { cluster, triggers: 0, sharing: 1, interval: 60 });
    }
    let now = Clock::system().now();
    let mut served = Vec::new();
    for seeds in &all {
        let sandbox = Sandbox::new(&seeds.cluster);
        let client = Client::new(sandbox.client_router("people"), "default");
        seeds::fill(&client, seeds, now).await?;
        served.push((client, sandbox.serve(([127, 0, 0, 1], 0).into()).await?));
    }
    for (seeds, (_, server)) in all.iter().zip(&served).filter(|it| it.0.cluster != "hub") {
        seeds::register(&served[0].0, &seeds.cluster, &server.kubeconfig()).await?;
    }
    say(&json!(served[0].1.kubeconfig()))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {}
    Ok(())
}
