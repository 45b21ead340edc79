//! What works on the source? The container with the user's image and command; never a credential.

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::{JobInput, env, security};

pub(super) fn container(input: &JobInput<'_>, workdir: &str) -> Container {
    let settings = input.settings;
    let job = input.action.job;
    let mut mounts = vec![VolumeMount {
        name: settings.workdir_volume.clone(),
        mount_path: workdir.to_owned(),
        ..VolumeMount::default()
    }];
    mounts.extend(job.volume_mounts.clone().unwrap_or_default());
    Container {
        name: settings.worker_name.clone(),
        image: Some(job.action_image.clone().unwrap_or_else(|| settings.worker_image.clone())),
        command: job.command.clone(),
        args: job.args.clone(),
        working_dir: Some(workdir.to_owned()),
        env: Some(env::of_worker(input, workdir)),
        env_from: job.env_from.clone(),
        resources: job.resources.clone(),
        volume_mounts: Some(mounts),
        image_pull_policy: job.image_pull_policy.map(|it| it.as_str().to_owned()),
        security_context: Some(security::of_worker(job.security_context.as_ref())),
        ..Container::default()
    }
}
