//! What does each part of a replica begin with?

use tokio::net::TcpListener;

use super::Parts;
use crate::{checks, shards, webhooks};

pub(super) fn of_webhooks(parts: &Parts, listener: Option<TcpListener>) -> webhooks::Parts {
    webhooks::Parts {
        settings: parts.settings.webhooks.clone(),
        listener,
        certificates: webhooks::Certificates {
            hub: parts.hub.requests.clone(),
            namespace: parts.namespace.clone(),
        },
        secrets_cache_time: parts.settings.secrets_cache_time,
        nonce: parts.member.as_str().to_owned(),
    }
}

pub(super) fn of_checks(parts: &Parts) -> checks::Settings {
    let clusters = parts.settings.clusters.clone();
    checks::Settings {
        parallelism: parts.settings.schedule_parallelism,
        weights: checks::Weights::new(move |it| clusters.weight_of(it.as_str())),
        secrets_cache_time: parts.settings.secrets_cache_time,
    }
}

pub(super) fn of_shards(parts: &Parts) -> shards::Settings {
    let settings = &parts.settings;
    shards::Settings {
        namespace: parts.namespace.clone(),
        prefix: settings.lease_prefix.clone(),
        member: parts.member.clone(),
        shards: settings.shards,
        duration: settings.lease_duration,
        renew: settings.lease_renew,
        announce_after: parts.pace.announce_after,
        owner: parts.pod.clone(),
        takeover: parts.takeover,
    }
}
