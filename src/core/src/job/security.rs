//! As whom do the containers run, and what may they do? What Pod security `restricted` wants, unless the
//! Action says otherwise of its worker; the cloner stays so whatever it says.

use k8s_openapi::api::core::v1::{
    Capabilities, PodSecurityContext, SeccompProfile, SecurityContext,
};

/// A user that no image gives a meaning to but "not root"; in Ubuntu's images it is `ubuntu`. The
/// group owns the working directory, so that the worker may write what the cloner wrote.
const USER: i64 = 1000;
const ROOT: i64 = 0;

/// What Actions may ask for: the levels of the Pod Security Standards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodSecurity {
    /// Nothing that leads out of a container: who may write an Action is not given the node.
    #[default]
    Baseline,
    /// Whatever the namespace admits.
    Privileged,
}

/// Of the Pod: what the Action leaves out is ours.
pub(super) fn of_pod(theirs: Option<&PodSecurityContext>) -> PodSecurityContext {
    let theirs = theirs.cloned().unwrap_or_default();
    PodSecurityContext {
        run_as_non_root: non_root(theirs.run_as_non_root, theirs.run_as_user).or(Some(true)),
        run_as_user: theirs.run_as_user.or(Some(USER)),
        run_as_group: theirs.run_as_group.or(Some(USER)),
        fs_group: theirs.fs_group.or(Some(USER)),
        seccomp_profile: theirs.seccomp_profile.clone().or_else(|| Some(runtime_default())),
        ..theirs
    }
}

/// Of the worker: what the Action leaves out is ours.
pub(super) fn of_worker(theirs: Option<&SecurityContext>) -> SecurityContext {
    let ours = restricted();
    let Some(theirs) = theirs.cloned() else { return ours };
    // An API server takes no `privileged` beside a forbidden escalation, which privileges imply.
    let escalates = theirs.privileged == Some(true)
        || added(&theirs).any(|it| it == "SYS_ADMIN" || it == "CAP_SYS_ADMIN");
    let escalation = ours.allow_privilege_escalation.filter(|_| !escalates);
    let capabilities = theirs.capabilities.clone().map_or(ours.capabilities, |it| {
        let drop = it.drop.or_else(|| Some(vec!["ALL".to_owned()]));
        Some(Capabilities { add: it.add, drop })
    });
    SecurityContext {
        allow_privilege_escalation: theirs.allow_privilege_escalation.or(escalation),
        capabilities,
        run_as_non_root: non_root(theirs.run_as_non_root, theirs.run_as_user),
        ..theirs
    }
}

/// Of the cloner, which has the credentials: never more than `restricted`, whatever its Pod is.
pub(super) fn of_cloner(of_pod: Option<&PodSecurityContext>) -> SecurityContext {
    let ours = SecurityContext { read_only_root_filesystem: Some(true), ..restricted() };
    let Some(theirs) = of_pod else { return ours };
    let ordinary = |it: Option<i64>| Some(it.filter(|it| *it != ROOT).unwrap_or(USER));
    SecurityContext {
        run_as_non_root: Some(true),
        run_as_user: ordinary(theirs.run_as_user),
        run_as_group: ordinary(theirs.run_as_group),
        seccomp_profile: Some(runtime_default()),
        ..ours
    }
}

/// The capabilities that a container asks for beyond the usual ones.
pub(super) fn added(context: &SecurityContext) -> impl Iterator<Item = &str> {
    let added = context.capabilities.as_ref().and_then(|it| it.add.as_ref());
    added.into_iter().flatten().map(String::as_str)
}

/// Who asks for root and nothing else has thought of it.
fn non_root(said: Option<bool>, user: Option<i64>) -> Option<bool> {
    said.or_else(|| (user == Some(ROOT)).then_some(false))
}

/// What Pod security `restricted` asks of each container.
fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
        ..SecurityContext::default()
    }
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }
}
