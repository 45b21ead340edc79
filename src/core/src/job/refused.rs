//! What may an Action not ask for? Nothing that is ours, and nothing that would give its author more than
//! a Pod: who may write an Action need not be somebody who may have the node.

use k8s_openapi::api::core::v1::{AppArmorProfile, SELinuxOptions, SeccompProfile, Volume};

use super::credentials::VOLUME;
use super::security::{PodSecurity, added};
use super::{JobInput, env, name_of};
use crate::plan::{Reason, WrongConfig, cut};

/// What Pod security `baseline` lets a container add.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// The sysctls that are the Pod's own.
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
];
/// The types that a container may have for SELinux.
const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
/// The annotation of old by which a profile of AppArmor is chosen.
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Judges what an Action asks for beside what it must have.
pub(super) fn check(input: &JobInput<'_>) -> Result<(), WrongConfig> {
    check_ours(input)?;
    match input.settings.pod_security {
        PodSecurity::Baseline => check_baseline(input),
        PodSecurity::Privileged => Ok(()),
    }
}

fn invalid(message: String) -> Result<(), WrongConfig> {
    Err(WrongConfig::new(Reason::InvalidAction, message))
}

/// Names that are ours.
fn check_ours(input: &JobInput<'_>) -> Result<(), WrongConfig> {
    let (job, settings) = (input.action.job, input.settings);
    let is_ours = |it: &str| it == settings.workdir_volume || it == VOLUME;
    let volumes = job.volumes.iter().flatten();
    let mounts = job.volume_mounts.iter().flatten();
    let named = volumes.clone().map(|it| &it.name).chain(mounts.clone().map(|it| &it.name));
    if let Some(name) = named.into_iter().find(|it| is_ours(it)) {
        return invalid(format!("the volume {name} is the controller's own: choose another name"));
    }
    for mount in mounts {
        if !volumes.clone().any(|it| it.name == mount.name) {
            let name = cut(&mount.name);
            return invalid(format!("volumeMounts names {name:?}, which is not in volumes"));
        }
    }
    let prefix = &settings.variables_prefix;
    let mut variables = job.env.iter().flatten().map(|it| &it.name);
    if let Some(name) = variables.find(|it| env::is_ours(prefix, it)) {
        return invalid(format!(
            "the variable {name} is the controller's own: choose another name"
        ));
    }
    // The credentials' copy has the name of its Job, and is for the cloner alone.
    let own = name_of(&input.plan.key.name, &input.run.id);
    if secrets(input).any(|it| it == own) {
        return invalid(format!("the Secret {own} is the cloner's own: an action cannot have it"));
    }
    Ok(())
}

/// Every Secret that the worker is to see.
fn secrets<'a>(input: &JobInput<'a>) -> impl Iterator<Item = &'a str> {
    let job = input.action.job;
    let of_env = job
        .env
        .iter()
        .flatten()
        .filter_map(|it| Some(it.value_from.as_ref()?.secret_key_ref.as_ref()?.name.as_str()));
    let of_env_from =
        job.env_from.iter().flatten().filter_map(|it| Some(it.secret_ref.as_ref()?.name.as_str()));
    of_env.chain(of_env_from).chain(job.volumes.iter().flatten().flat_map(of_volume))
}

fn of_volume(volume: &Volume) -> Vec<&str> {
    let plain = volume.secret.as_ref().and_then(|it| it.secret_name.as_deref());
    let projected = volume.projected.as_ref().and_then(|it| it.sources.as_ref());
    let projected = projected.into_iter().flatten();
    let projected = projected.filter_map(|it| Some(it.secret.as_ref()?.name.as_str()));
    plain.into_iter().chain(projected).collect()
}

/// What the Pod Security Standard `baseline` forbids, whatever the namespace enforces.
fn check_baseline(input: &JobInput<'_>) -> Result<(), WrongConfig> {
    let Some(what) = beyond_baseline(input) else { return Ok(()) };
    invalid(format!("{what} is more than Pod security baseline admits: an action cannot have it"))
}

fn beyond_baseline(input: &JobInput<'_>) -> Option<String> {
    let job = input.action.job;
    let mut volumes = job.volumes.iter().flatten();
    if let Some(volume) = volumes.find(|it| it.host_path.is_some()) {
        return Some(format!("the hostPath of volume {}", volume.name));
    }
    let mut annotations = job.annotations.iter().flatten();
    if let Some((key, _)) =
        annotations.find(|(key, value)| key.starts_with(APPARMOR) && *value == "unconfined")
    {
        return Some(format!("the annotation {key}"));
    }
    if let Some(pod) = &job.pod_security_context {
        let is_hostile = |it: &str| !SYSCTLS.contains(&it);
        let windows = pod.windows_options.as_ref().and_then(|it| it.host_process);
        let sysctl = pod.sysctls.iter().flatten().find(|it| is_hostile(&it.name));
        let found = sysctl.map(|it| format!("sysctl {}", cut(&it.name)));
        let profiles =
            (&pod.se_linux_options, &pod.seccomp_profile, &pod.app_armor_profile, windows);
        let found = found.or_else(|| beyond_profiles(profiles));
        if let Some(found) = found {
            return Some(format!("podSecurityContext: {found}"));
        }
    }
    let worker = job.security_context.as_ref()?;
    let windows = worker.windows_options.as_ref().and_then(|it| it.host_process);
    let mut capabilities = added(worker).map(|it| it.strip_prefix("CAP_").unwrap_or(it));
    let found = if worker.privileged == Some(true) {
        Some("privileged".to_owned())
    } else if let Some(it) = capabilities.find(|it| !CAPABILITIES.contains(it)) {
        Some(format!("capability {}", cut(it)))
    } else if worker.proc_mount.as_deref().is_some_and(|it| it != "Default") {
        Some("procMount".to_owned())
    } else {
        let profiles =
            (&worker.se_linux_options, &worker.seccomp_profile, &worker.app_armor_profile, windows);
        beyond_profiles(profiles)
    };
    found.map(|it| format!("securityContext: {it}"))
}

type Profiles<'a> = (
    &'a Option<SELinuxOptions>,
    &'a Option<SeccompProfile>,
    &'a Option<AppArmorProfile>,
    Option<bool>,
);

fn beyond_profiles((selinux, seccomp, apparmor, windows): Profiles<'_>) -> Option<String> {
    let is_set = |it: &Option<String>| it.as_deref().is_some_and(|it| !it.is_empty());
    let bad_selinux = selinux.as_ref().is_some_and(|it| {
        let kind = it.type_.as_deref().unwrap_or_default();
        !SELINUX_TYPES.contains(&kind) || is_set(&it.user) || is_set(&it.role)
    });
    if bad_selinux {
        return Some("seLinuxOptions".to_owned());
    }
    if seccomp.as_ref().is_some_and(|it| it.type_ == "Unconfined") {
        return Some("seccompProfile Unconfined".to_owned());
    }
    if apparmor.as_ref().is_some_and(|it| it.type_ == "Unconfined") {
        return Some("appArmorProfile Unconfined".to_owned());
    }
    (windows == Some(true)).then(|| "windowsOptions.hostProcess".to_owned())
}
