//! Is a webhook that two replicas receive one run? Over real sockets, signed, and delivered again.

use std::net::SocketAddr;

use ger_api::WebhookTrigger;
use ger_api::status::{Run, RunPhase};
use kube::Api;
use serde_json::{Value, json};

use super::{Exercise, Outcome};
use crate::dev::world::until_found;
use crate::dev::{caller, manifests, samples};

/// The cluster, the repository and the trigger of this step.
pub(super) const CLUSTER: &str = "edge-1";
const HOOKED: &str = "hooked";
const SECRET: &str = "known to the forge and to us";
const PATH: &str = "/clusters/edge-1/demo/hooked/hooked";
const DELIVERY: &str = "delivery-1";

impl Exercise<'_> {
    pub(super) async fn hooked(&mut self) -> Outcome {
        let commit = self.prepare_hook().await?;
        let addresses: Vec<SocketAddr> =
            self.world.replicas.values().map(|it| it.webhooks).take(2).collect();
        let [one, other] = addresses[..] else {
            return Err("there are not two replicas".to_owned());
        };
        let key = (SECRET, DELIVERY);
        self.all_know_the_hook(&addresses).await?;

        let calls = tokio::join!(
            caller::push(one, PATH, key, &commit),
            caller::push(other, PATH, key, &commit),
        );
        let (one_told, other_told) = (heard(calls.0)?, heard(calls.1)?);
        let mut codes = [one_told.code, other_told.code];
        codes.sort_unstable();
        if codes != [200, 202] || one_told.run != other_told.run {
            return Err(format!("one delivery to two replicas: {one_told:?}, {other_told:?}"));
        }
        self.hooked += 1;
        let ran = self.ended(&one_told.run).await?;
        if ran.phase != RunPhase::Succeeded || ran.commit.as_deref() != Some(commit.as_str()) {
            return Err(format!("the run is {:?} at {:?}", ran.phase, ran.commit));
        }

        let again = heard(caller::push(other, PATH, key, &commit).await)?;
        if again.code != 202 || again.run == one_told.run {
            return Err(format!("the delivery again, after its run: {again:?}"));
        }
        let unchanged = self.ended(&again.run).await?;
        if unchanged.phase != RunPhase::Unchanged {
            return Err(format!("the delivery again ran as {:?}", unchanged.phase));
        }
        self.counts()?;
        Ok("202 and 200 for one delivery, one Job; delivered again, nothing had changed".to_owned())
    }

    /// A repository of its own, whose commits nobody else runs.
    async fn prepare_hook(&self) -> Result<String, String> {
        let made = self.world.git.create_repo(HOOKED, &[(samples::FILE, "hooked\n")]).await;
        made.map_err(|error| format!("cannot make the repository: {error}"))?;
        let head = self.world.git.git_in(HOOKED, &["rev-parse", "main"], b"").await;
        let head = head.map_err(|error| format!("cannot read the commit: {error}"))?;
        let client = self.world.site(CLUSTER).admin();
        for object in objects(&self.world.git.url(HOOKED)) {
            manifests::apply(&client, &object).await.map_err(|error| format!("{error:#}"))?;
        }
        Ok(head.trim().to_owned())
    }

    async fn all_know_the_hook(&self, addresses: &[SocketAddr]) -> Result<(), String> {
        for address in addresses {
            let known = until_found(super::steps::SOON, async || {
                let told = caller::push(*address, PATH, ("a guess", "none"), "").await.ok()?;
                (told.code == 403).then_some(())
            });
            known.await.ok_or_else(|| format!("{address} does not know the trigger"))?;
        }
        Ok(())
    }

    async fn ended(&self, run: &str) -> Result<Run, String> {
        let triggers: Api<WebhookTrigger> =
            Api::namespaced(self.world.site(CLUSTER).admin(), samples::NAMESPACE);
        let ended = until_found(super::steps::SOON, async || {
            let status = triggers.get(HOOKED).await.ok()?.status?;
            status.runs.into_iter().find(|it| it.id == run && it.phase.is_final())
        });
        ended.await.ok_or_else(|| format!("the run {run} did not end in time"))
    }
}

fn heard(told: std::io::Result<caller::Told>) -> Result<caller::Told, String> {
    told.map_err(|error| format!("no answer to a webhook: {error}"))
}

fn objects(uri: &str) -> [Value; 3] {
    let meta = json!({ "name": HOOKED, "namespace": samples::NAMESPACE });
    let api = "git-events-runner.rs/v1alpha1";
    [
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": { "token": SECRET },
        }),
        json!({
            "apiVersion": api, "kind": "GitRepo", "metadata": meta, "spec": { "repoUri": uri },
        }),
        json!({
            "apiVersion": api, "kind": "WebhookTrigger", "metadata": meta,
            "spec": {
                "sources": { "kind": "GitRepo", "names": [HOOKED] },
                "webhook": { "authConfig": {
                    "type": "github", "secretRef": { "name": HOOKED }, "key": "token",
                } },
                "action": { "kind": "Action", "name": "print" },
            },
        }),
    ]
}
