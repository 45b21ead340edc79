//! Which object is a trigger's source, and can it be asked? As the cluster's stores have it now.

use ger_api::GitRepoSpec;
use ger_api::schedule_trigger::SourceKind;
use ger_core::names::TriggerKey;
use ger_core::plan::{Plan, Source, source_kind};

use crate::clusters::Stores;

/// A source's object, judged.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) source: Result<Source, Unusable>,
    /// Digest of what is watched: see [`Plan::fingerprint`].
    pub(crate) fingerprint: String,
    /// Changes whenever the object does; empty where there is none.
    pub(crate) version: String,
}

/// Why a source cannot be asked.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Finds and judges a source of a trigger.
pub(crate) fn find(stores: &Stores, key: &TriggerKey, plan: &Plan, name: &str) -> Found {
    let Some((spec, version)) = spec(stores, &key.namespace, plan.source_kind, name) else {
        let kind = source_kind(plan.source_kind);
        let message = match plan.source_kind {
            SourceKind::GitRepo => {
                format!("{kind} {name} is not in namespace {}; create it", key.namespace)
            }
            SourceKind::ClusterGitRepo => format!("{kind} {name} is not in the cluster; create it"),
        };
        return Found {
            source: Err(Unusable { reason: "SourceMissing", message }),
            fingerprint: plan.fingerprint(name, ""),
            version: String::new(),
        };
    };
    let fingerprint = plan.fingerprint(name, &spec.repo_uri);
    let source = Source::of(plan.source_kind, name, &spec)
        .map_err(|it| Unusable { reason: it.reason.as_str(), message: it.message });
    Found { source, fingerprint, version }
}

/// The spec of a source, and its version.
pub(crate) fn spec(
    stores: &Stores,
    namespace: &str,
    kind: SourceKind,
    name: &str,
) -> Option<(GitRepoSpec, String)> {
    let (spec, meta) = match kind {
        SourceKind::GitRepo => {
            let found = stores.git_repos.find(Some(namespace), name)?;
            (found.spec.clone(), found.metadata.clone())
        }
        SourceKind::ClusterGitRepo => {
            let found = stores.cluster_git_repos.find(None, name)?;
            (found.spec.repo.clone(), found.metadata.clone())
        }
    };
    let version = meta.resource_version.or(meta.uid).unwrap_or_else(|| "unknown".to_owned());
    Some((spec, version))
}
