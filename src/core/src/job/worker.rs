//! What works on the source? The container with the user's image and command; never a credential.

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::{JobInput, env, restricted};

pub(super) fn container(input: &JobInput<'_>, workdir: &str) -> Container {
    let settings = input.settings;
    let job = input.action.job;
    Container {
        name: settings.worker_name.clone(),
        image: Some(job.action_image.clone().unwrap_or_else(|| settings.worker_image.clone())),
        command: job.command.clone(),
        args: job.args.clone(),
        working_dir: Some(workdir.to_owned()),
        env: Some(env::of_worker(input, workdir)),
        volume_mounts: Some(vec![VolumeMount {
            name: settings.workdir_volume.clone(),
            mount_path: workdir.to_owned(),
            ..VolumeMount::default()
        }]),
        security_context: Some(restricted(None)),
        ..Container::default()
    }
}
