//! How Jobs look and how many run: the `action` part of the original's `runtimeConfig`.

use std::time::Duration;

use ger_core::job;
use serde::{Deserialize, Serialize};

/// Defaults for what an Action leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Action {
    /// Jobs of one cluster that run at once; 0 starts nothing.
    pub max_running_jobs: u32,
    pub job_waiting_timeout_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_service_account: Option<String>,
    pub active_deadline_seconds: i64,
    pub ttl_seconds_after_finished: i32,
    pub workdir: Workdir,
    pub containers: Containers,
    /// What Actions may ask for in their security contexts and volumes.
    #[serde(skip_serializing_if = "PodSecurity::is_default")]
    pub pod_security: PodSecurity,
}

/// The levels of the Pod Security Standards that an Action may go up to. Its namespace may be stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PodSecurity {
    #[default]
    Baseline,
    Privileged,
}

impl PodSecurity {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where the clone is, for both containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Workdir {
    pub mount_path: String,
    pub volume_name: String,
}

/// The two containers of a Job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Containers {
    pub cloner: Cloner,
    pub worker: Worker,
}

/// The init container, which clones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Cloner {
    pub name: String,
    pub image: String,
}

/// The container that works in the clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Worker {
    pub name: String,
    pub image: String,
    pub variables_prefix: String,
}

impl Action {
    /// The same, as those want it who build Jobs.
    pub fn jobs(&self) -> job::JobSettings {
        let Containers { cloner, worker } = self.containers.clone();
        let account = self.default_service_account.clone();
        job::JobSettings {
            waiting_timeout: Duration::from_secs(u64::from(self.job_waiting_timeout_seconds)),
            default_service_account: account.filter(|it| !it.is_empty()),
            active_deadline_seconds: self.active_deadline_seconds,
            ttl_seconds_after_finished: self.ttl_seconds_after_finished,
            workdir: self.workdir.mount_path.clone(),
            workdir_volume: self.workdir.volume_name.clone(),
            cloner_name: cloner.name,
            cloner_image: cloner.image,
            worker_name: worker.name,
            worker_image: worker.image,
            variables_prefix: worker.variables_prefix,
            pod_security: match self.pod_security {
                PodSecurity::Baseline => job::PodSecurity::Baseline,
                PodSecurity::Privileged => job::PodSecurity::Privileged,
            },
        }
    }
}

impl Default for Action {
    fn default() -> Self {
        Self {
            max_running_jobs: 16,
            job_waiting_timeout_seconds: 300,
            default_service_account: None,
            active_deadline_seconds: 3600,
            ttl_seconds_after_finished: 7200,
            workdir: Workdir::default(),
            containers: Containers::default(),
            pod_security: PodSecurity::default(),
        }
    }
}

impl Default for Workdir {
    fn default() -> Self {
        Self { mount_path: "/action_workdir".to_owned(), volume_name: "action-workdir".to_owned() }
    }
}

impl Default for Cloner {
    fn default() -> Self {
        Self { name: "action-cloner".to_owned(), image: image("gitrepo-cloner") }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            name: "action-worker".to_owned(),
            image: image("action-worker"),
            variables_prefix: "ACTION_JOB_".to_owned(),
        }
    }
}

/// An image of the same release as the controller.
fn image(name: &str) -> String {
    format!("git-events-runner/{name}:v{}", env!("CARGO_PKG_VERSION"))
}
