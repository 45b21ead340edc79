//! What may change while replicas run? The original's `runtimeConfig`: read whole, judged whole, and put in
//! the place of the last one at once.

use std::sync::Arc;

use ger_core::job::{JobSettings, Unusable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::Action;

/// The key of the ConfigMap.
pub const KEY: &str = "runtimeConfig";

/// What Helm puts where the chart knows better than the program.
const ACCOUNT: &str = r#"'{{ include "git-events-runner.defaultServiceAccount" . }}'"#;
const TAG: &str = r#"{{ .Values.image.tag | default (printf "v%s" .Chart.AppVersion) }}"#;

/// The dynamic configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Runtime {
    pub action: Action,
    pub trigger: Trigger,
}

/// What holds for triggers that say nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Trigger {
    pub webhook: Webhook,
}

/// What holds for WebhookTriggers that say nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Webhook {
    pub default_auth_header: String,
}

impl Default for Webhook {
    fn default() -> Self {
        Self { default_auth_header: "x-trigger-auth".to_owned() }
    }
}

/// Why a text is no dynamic configuration.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    #[error("it is not YAML: {why}")]
    Parse { why: String },

    #[error("{why}")]
    Understand { why: String },

    #[error("{0}", source)]
    Use { source: Unusable },

    #[error("trigger.webhook.defaultAuthHeader: {name:?} is not the name of a header")]
    Header { name: String },
}

impl Runtime {
    /// Reads a text. What it leaves out is as in `base`; what nobody knows is refused.
    pub fn parse(text: &str, base: &Self) -> Result<Self, Invalid> {
        let read: Option<Value> = serde_saphyr::from_str(text)
            .map_err(|error| Invalid::Parse { why: first_line(&error.to_string()) })?;
        let understand = |error: serde_json::Error| Invalid::Understand { why: error.to_string() };
        let mut whole = serde_json::to_value(base).map_err(understand)?;
        overlay(&mut whole, read.unwrap_or_default());
        let runtime: Self = serde_json::from_value(whole).map_err(understand)?;
        runtime.check()?;
        Ok(runtime)
    }

    /// Refuses what could not be worked with.
    pub fn check(&self) -> Result<(), Invalid> {
        self.action.jobs().check().map_err(|source| Invalid::Use { source })?;
        let name = &self.trigger.webhook.default_auth_header;
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(Invalid::Header { name: name.clone() });
        }
        Ok(())
    }

    /// As the ConfigMap has it.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(self).unwrap_or_default()
    }

    /// The defaults as a chart's values: with Helm's expressions for what depends on the release.
    pub fn helm_template() -> String {
        let mut defaults = Self::default();
        let version = concat!(":v", env!("CARGO_PKG_VERSION"));
        let tagged = |image: &str| format!("{}:{TAG}", image.trim_end_matches(version));
        let containers = &mut defaults.action.containers;
        containers.cloner.image = tagged(&containers.cloner.image);
        containers.worker.image = tagged(&containers.worker.image);
        defaults.action.default_service_account = Some("ACCOUNT".to_owned());
        defaults.to_yaml().replace("ACCOUNT\n", &format!("{ACCOUNT}\n"))
    }
}

/// What is said replaces what was there; what is empty says nothing.
fn overlay(base: &mut Value, over: Value) {
    match (base, over) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                overlay(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The dynamic configuration that is in force, for all who work by it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Live {
    force: Arc<watch::Sender<Arc<InForce>>>,
}

/// One dynamic configuration. Who begins a piece of work by one ends it by the same.
#[derive(Debug, PartialEq, Eq)]
pub struct InForce {
    pub runtime: Runtime,
    pub jobs: JobSettings,
}

impl InForce {
    fn of(runtime: Runtime) -> Arc<Self> {
        Arc::new(Self { jobs: runtime.action.jobs(), runtime })
    }

    /// Jobs of one cluster that run at once; 0 starts nothing.
    pub fn max_running_jobs(&self) -> u32 {
        self.runtime.action.max_running_jobs
    }
}

impl Live {
    pub fn new(runtime: Runtime) -> Self {
        Self { force: Arc::new(watch::Sender::new(InForce::of(runtime))) }
    }

    /// What is in force at this moment.
    pub fn now(&self) -> Arc<InForce> {
        Arc::clone(&self.force.borrow())
    }

    /// Puts another one in force, whole. False if it is the same.
    pub fn put(&self, runtime: Runtime) -> bool {
        let next = InForce::of(runtime);
        self.force.send_if_modified(|it| {
            let is_new = *it != next;
            *it = next;
            is_new
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let text = "action:\n  maxRunningJobs: 2\n  defaultServiceAccount:\n";

        let read = Runtime::parse(text, &Runtime::default()).unwrap();

        assert_eq!(read.action.max_running_jobs, 2);
        assert_eq!(read.action.ttl_seconds_after_finished, 7200);
        assert_eq!(read.trigger.webhook.default_auth_header, "x-trigger-auth");
        assert_eq!(Runtime::parse("", &read).unwrap(), read);
    }

    #[test]
    fn what_is_printed_reads_as_what_it_is() {
        let yaml = Runtime::default().to_yaml();

        assert_eq!(Runtime::parse(&yaml, &Runtime::default()).unwrap(), Runtime::default());
        for line in [
            "  maxRunningJobs: 16",
            "  jobWaitingTimeoutSeconds: 300",
            "    mountPath: /action_workdir",
            "      variablesPrefix: ACTION_JOB_",
            "    defaultAuthHeader: x-trigger-auth",
        ] {
            assert!(yaml.lines().any(|it| it == line), "{line} is not in\n{yaml}");
        }
        assert!(!yaml.contains("defaultServiceAccount"), "{yaml}");
    }

    #[test]
    fn a_chart_s_template_is_yaml_with_expressions_for_what_a_release_knows() {
        let template = Runtime::helm_template();

        let read: Value = serde_saphyr::from_str(&template).unwrap();
        let text =
            |pointer: &str| read.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        assert!(text("/action/defaultServiceAccount").starts_with("{{ include"), "{template}");
        for container in ["cloner", "worker"] {
            let image = text(&format!("/action/containers/{container}/image"));
            assert!(image.ends_with("AppVersion) }}"), "{image}");
            assert!(!image.contains(env!("CARGO_PKG_VERSION")), "{image}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_of_it_is_taken() {
        for (text, named) in [
            ("action: [", "YAML"),
            ("action: 7", "integer `7`"),
            ("actions: {}", "actions"),
            ("action: {maxRunningJob: 2}", "maxRunningJob"),
            ("action: {maxRunningJobs: -1}", "-1"),
            ("action: {maxRunningJobs: many}", "many"),
            ("action: {ttlSecondsAfterFinished: -5}", "ttlSecondsAfterFinished"),
            ("action: {workdir: {mountPath: work}}", "workdir.mountPath"),
            ("action: {containers: {worker: {image: ''}}}", "containers.worker.image"),
            ("action: {podSecurity: all}", "all"),
            ("trigger: {webhook: {defaultAuthHeader: 'a b'}}", "a b"),
            ("just text", "text"),
        ] {
            let error = Runtime::parse(text, &Runtime::default()).unwrap_err().to_string();

            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn who_has_one_keeps_it_whole() {
        let live = Live::new(Runtime::default());
        let held = live.now();

        let mut next = Runtime::default();
        next.action.max_running_jobs = 1;

        assert!(live.put(next.clone()));
        assert!(!live.put(next));
        assert_eq!((held.max_running_jobs(), live.now().max_running_jobs()), (16, 1));
    }
}
