//! What do Jobs look like whose Action does not say? The `action` part of the dynamic configuration, and
//! whether a Job can be made by it.

use std::time::Duration;

use super::credentials::VOLUME;
use super::security::PodSecurity;
use super::workdir_problem;
use crate::names::is_subdomain;

/// What Kubernetes takes as the name of a container or a volume.
const LONGEST_NAME: usize = 63;

/// The `action` part of the dynamic configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSettings {
    pub waiting_timeout: Duration,
    pub default_service_account: Option<String>,
    pub active_deadline_seconds: i64,
    pub ttl_seconds_after_finished: i32,
    pub workdir: String,
    pub workdir_volume: String,
    pub cloner_name: String,
    pub cloner_image: String,
    pub worker_name: String,
    pub worker_image: String,
    pub variables_prefix: String,
    /// What an Action's own security contexts and volumes may ask for.
    pub pod_security: PodSecurity,
}

impl Default for JobSettings {
    fn default() -> Self {
        let image = |name: &str| format!("git-events-runner/{name}:v{}", env!("CARGO_PKG_VERSION"));
        Self {
            waiting_timeout: Duration::from_mins(5),
            default_service_account: None,
            active_deadline_seconds: 3600,
            ttl_seconds_after_finished: 7200,
            workdir: "/action_workdir".to_owned(),
            workdir_volume: "action-workdir".to_owned(),
            cloner_name: "action-cloner".to_owned(),
            cloner_image: image("gitrepo-cloner"),
            worker_name: "action-worker".to_owned(),
            worker_image: image("action-worker"),
            variables_prefix: "ACTION_JOB_".to_owned(),
            pod_security: PodSecurity::Baseline,
        }
    }
}

/// Why no Job can be made by a configuration: the key, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("action.{key}: {why}")]
pub struct Unusable {
    key: &'static str,
    why: String,
}

impl JobSettings {
    /// Refuses what no Job could be made by: one wrong value would fail every run.
    pub fn check(&self) -> Result<(), Unusable> {
        let unusable = |key, why: String| Err(Unusable { key, why });
        for (key, name) in [
            ("workdir.volumeName", &self.workdir_volume),
            ("containers.cloner.name", &self.cloner_name),
            ("containers.worker.name", &self.worker_name),
        ] {
            if name.len() > LONGEST_NAME || name.contains('.') || !is_subdomain(name) {
                return unusable(
                    key,
                    format!("{name:?} is not a name of up to 63 letters, digits and dashes"),
                );
            }
        }
        if self.cloner_name == self.worker_name {
            return unusable("containers", "the two containers have one name".to_owned());
        }
        if self.workdir_volume == VOLUME {
            return unusable("workdir.volumeName", format!("{VOLUME} is another volume's name"));
        }
        if let Some(why) = workdir_problem(&self.workdir) {
            return unusable("workdir.mountPath", why);
        }
        for (key, image) in [
            ("containers.cloner.image", &self.cloner_image),
            ("containers.worker.image", &self.worker_image),
        ] {
            if image.is_empty() || image.contains(char::is_whitespace) {
                return unusable(key, format!("{image:?} is not an image"));
            }
        }
        let account = self.default_service_account.as_deref();
        if let Some(account) = account.filter(|it| !is_subdomain(it)) {
            return unusable("defaultServiceAccount", format!("{account:?} is not a name"));
        }
        let prefix = &self.variables_prefix;
        let is_usual = |it: char| it.is_ascii_alphanumeric() || "_-.".contains(it);
        if prefix.starts_with(|it: char| it.is_ascii_digit()) || !prefix.chars().all(is_usual) {
            return unusable(
                "containers.worker.variablesPrefix",
                format!("{prefix:?} cannot begin a variable's name"),
            );
        }
        for (key, seconds) in [
            ("activeDeadlineSeconds", self.active_deadline_seconds),
            ("ttlSecondsAfterFinished", i64::from(self.ttl_seconds_after_finished)),
        ] {
            if seconds < 0 {
                return unusable(key, format!("{seconds} is under zero"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_the_controller_is_usable() {
        assert_eq!(JobSettings::default().check(), Ok(()));
    }

    #[test]
    fn a_value_by_which_no_job_could_be_made_is_named() {
        let good = JobSettings::default;
        let long = "a".repeat(64);
        for (settings, key) in [
            (JobSettings { cloner_name: "Cloner".to_owned(), ..good() }, "containers.cloner.name"),
            (JobSettings { worker_name: long, ..good() }, "containers.worker.name"),
            (JobSettings { worker_name: "a.b".to_owned(), ..good() }, "containers.worker.name"),
            (JobSettings { worker_name: "action-cloner".to_owned(), ..good() }, "containers"),
            (JobSettings { workdir_volume: String::new(), ..good() }, "workdir.volumeName"),
            (JobSettings { workdir_volume: VOLUME.to_owned(), ..good() }, "workdir.volumeName"),
            (JobSettings { workdir: "work".to_owned(), ..good() }, "workdir.mountPath"),
            (JobSettings { workdir: "/etc".to_owned(), ..good() }, "workdir.mountPath"),
            (JobSettings { cloner_image: String::new(), ..good() }, "containers.cloner.image"),
            (JobSettings { worker_image: "a b".to_owned(), ..good() }, "containers.worker.image"),
            (
                JobSettings { default_service_account: Some("A".to_owned()), ..good() },
                "defaultServiceAccount",
            ),
            (
                JobSettings { variables_prefix: "1A".to_owned(), ..good() },
                "containers.worker.variablesPrefix",
            ),
            (
                JobSettings { variables_prefix: "A=".to_owned(), ..good() },
                "containers.worker.variablesPrefix",
            ),
            (JobSettings { active_deadline_seconds: -1, ..good() }, "activeDeadlineSeconds"),
            (JobSettings { ttl_seconds_after_finished: -1, ..good() }, "ttlSecondsAfterFinished"),
        ] {
            assert_eq!(settings.check().unwrap_err().key, key, "{settings:?}");
        }
    }
}
