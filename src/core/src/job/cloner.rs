//! How is the source brought into the working directory? The init container, with the credentials.

use ger_api::schedule_trigger::Reference;
use k8s_openapi::api::core::v1::{Container, ResourceRequirements, Volume, VolumeMount};

use super::{JobInput, env, security};
use crate::plan::{reference_parts, source_kind};

/// Where the cloner finds the credentials' files.
pub const CREDENTIALS: &str = "/etc/git-events-runner/credentials";

/// The init container. Its arguments are the original cloner's, so that a pinned one still works.
pub(super) fn container(input: &JobInput<'_>, workdir: &str, volumes: &[Volume]) -> Container {
    let settings = input.settings;
    let job = input.action.job;
    let mounts = volumes.iter().map(|it| mount(it, workdir)).collect();
    let variables = input.cloner_env.iter().map(|(name, value)| env::variable(name.clone(), value));
    Container {
        name: settings.cloner_name.clone(),
        image: Some(job.cloner_image.clone().unwrap_or_else(|| settings.cloner_image.clone())),
        args: Some(arguments(input, workdir)),
        env: Some(variables.collect::<Vec<_>>()).filter(|it| !it.is_empty()),
        resources: job.resources.as_ref().map(without_claims),
        volume_mounts: Some(mounts),
        image_pull_policy: job.image_pull_policy.map(|it| it.as_str().to_owned()),
        security_context: Some(security::of_cloner(job.pod_security_context.as_ref())),
        // Its last words are why the clone failed; it says nothing that is secret.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn arguments(input: &JobInput<'_>, workdir: &str) -> Vec<String> {
    let job = input.action.job;
    let mut arguments = vec![
        "--kind".to_owned(),
        source_kind(input.source.kind).to_owned(),
        "--source".to_owned(),
        input.source.name.clone(),
        "--destination".to_owned(),
        workdir.to_owned(),
    ];
    let of_run = Reference::Commit(input.run.commit.clone().unwrap_or_default());
    let reference = input.action.source_override.as_ref().map_or(&of_run, |it| &it.reference);
    let (kind, name) = reference_parts(reference);
    arguments.extend([format!("--{kind}"), name.to_owned()]);
    if job.preserve_git_folder {
        arguments.push("--preserve-git-folder".to_owned());
    }
    if job.enable_cloner_debug {
        arguments.push("--debug".to_owned());
    }
    // As in variables, Kubernetes would expand `$(NAME)`.
    arguments.into_iter().map(|it| it.replace("$(", "$$(")).collect()
}

/// A quota on CPU or memory refuses a Pod with a container that names none. Devices are the worker's.
fn without_claims(resources: &ResourceRequirements) -> ResourceRequirements {
    ResourceRequirements { claims: None, ..resources.clone() }
}

fn mount(volume: &Volume, workdir: &str) -> VolumeMount {
    let is_secret = volume.secret.is_some() || volume.projected.is_some();
    VolumeMount {
        name: volume.name.clone(),
        mount_path: if is_secret { CREDENTIALS.to_owned() } else { workdir.to_owned() },
        read_only: is_secret.then_some(true),
        ..VolumeMount::default()
    }
}
