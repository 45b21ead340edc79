//! How is the source brought into the working directory? The init container, with the credentials.

use ger_api::schedule_trigger::Reference;
use k8s_openapi::api::core::v1::{Container, KeyToPath, SecretVolumeSource, Volume, VolumeMount};

use super::{JobInput, SecretCopy, env, restricted};
use crate::plan::{SourceAuth, reference_parts, source_kind};

/// Where the cloner finds the credentials' files.
pub const CREDENTIALS: &str = "/etc/git-events-runner/credentials";

const CREDENTIALS_VOLUME: &str = "git-events-runner-credentials";
/// Read by the owner and the group: kubelet gives the files to root and the pod's `fsGroup`.
const READ_BY_GROUP: i32 = 0o440;

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
        volume_mounts: Some(mounts),
        security_context: Some(restricted(Some(true))),
        ..Container::default()
    }
}

/// The volume with the keys that are needed and nothing else; none for an anonymous source.
pub(super) fn credentials(input: &JobInput<'_>, copy: Option<&SecretCopy>) -> Option<Volume> {
    let auth = input.source.auth.as_ref()?;
    let items = match copy {
        // A copy holds the files under the cloner's names already.
        Some(_) => auth.keys.iter().map(|it| item(it.file, it.file)).collect(),
        None => auth.keys.iter().map(|it| item(&it.key, it.file)).collect(),
    };
    let name = copy.map_or(&auth.secret, |it| &it.name);
    Some(Volume {
        name: CREDENTIALS_VOLUME.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name.clone()),
            items: Some(items),
            default_mode: Some(READ_BY_GROUP),
            optional: Some(false),
        }),
        ..Volume::default()
    })
}

/// What to copy, when the credentials are in another namespace than the Job.
pub(super) fn copy(auth: &SourceAuth, namespace: &str, job: &str) -> Option<SecretCopy> {
    let from = auth.namespace.as_ref().filter(|it| *it != namespace)?;
    Some(SecretCopy {
        from_namespace: from.clone(),
        from_name: auth.secret.clone(),
        keys: auth.keys.clone(),
        name: job.to_owned(),
    })
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

fn mount(volume: &Volume, workdir: &str) -> VolumeMount {
    let is_secret = volume.secret.is_some();
    VolumeMount {
        name: volume.name.clone(),
        mount_path: if is_secret { CREDENTIALS.to_owned() } else { workdir.to_owned() },
        read_only: is_secret.then_some(true),
        ..VolumeMount::default()
    }
}

fn item(key: &str, path: &str) -> KeyToPath {
    KeyToPath { key: key.to_owned(), path: path.to_owned(), mode: None }
}
