//! Who does what one replica does for all?
//!
//! `kube-lease-manager` decides: it may err for seconds when the API fails, so it is asked only about
//! what is harmless when done twice, and never about a run.

use std::sync::Arc;

use kube_lease_manager::LeaseManagerBuilder;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Settings;
use super::error::Error;
use super::leases::{PATIENCE, pause};
use super::view::{Shared, Stewardship};

/// How long before its end the Lease is renewed.
const GRACE_SECONDS: u64 = 5;

/// Contends until `stop`, then releases.
pub(super) async fn contend(
    settings: Settings,
    hub: kube::Client,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        if let Err(error) = hold(&settings, &hub, &shared, &stop).await {
            debug!(error = format!("{error:#}"), "the steward's lease is out of reach");
        }
        // Its library is silent about a lost API once it held the Lease, so each error ends that
        // term, and the next begins from nothing.
        shared.set_stewardship(Stewardship::NotHeld);
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = pause() => {}
        }
    }
}

async fn hold(
    settings: &Settings,
    hub: &kube::Client,
    shared: &Shared,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let failed = |source| Error::Steward { source };
    let manager = LeaseManagerBuilder::new(hub.clone(), format!("{}-steward", settings.prefix))
        .with_namespace(&settings.namespace)
        .with_identity(settings.member.as_str())
        .with_duration(settings.duration.as_secs().max(GRACE_SECONDS + 1))
        .with_grace(GRACE_SECONDS)
        .build();
    let manager = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        manager = manager => manager.map_err(failed)?,
    };
    loop {
        let is_held = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            changed = manager.changed() => changed.map_err(failed)?,
        };
        let stewardship = if is_held { Stewardship::Held } else { Stewardship::NotHeld };
        info!(?stewardship, "the steward's lease has changed hands");
        shared.set_stewardship(stewardship);
    }
    match timeout(PATIENCE, manager.release()).await {
        Ok(released) => released.map_err(failed),
        Err(_) => Err(Error::Silence(PATIENCE)),
    }
}
