//! The custom resources of git-events-runner, group `git-events-runner.rs/v1alpha1`.
//!
//! Types, schemas and CEL rules only: no IO, no async, no client. Manifests written for the original
//! git-events-runner are accepted and mean the same.

#![warn(missing_docs)]
#![expect(
    clippy::module_name_repetitions,
    reason = "a kind names its module, its spec and its job"
)]

pub mod action;
mod bounds;
pub mod crd;
pub mod git_repo;
mod nullable;
mod rules;
pub mod schedule_trigger;
pub mod status;
pub mod webhook_trigger;

pub use action::{Action, ActionSpec, ClusterAction, ClusterActionSpec};
pub use git_repo::{ClusterGitRepo, ClusterGitRepoSpec, GitRepo, GitRepoSpec};
pub use schedule_trigger::{ScheduleTrigger, ScheduleTriggerSpec};
pub use status::TriggerStatus;
pub use webhook_trigger::{WebhookTrigger, WebhookTriggerSpec};

/// The API group of every kind.
pub const GROUP: &str = "git-events-runner.rs";

/// The one version that is served and stored.
pub const VERSION: &str = "v1alpha1";
