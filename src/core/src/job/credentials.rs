//! How does what the cloner must know in secret get to it, and to it alone? One volume, filled from the
//! source's Secrets, or from a copy that goes with the Job.

use k8s_openapi::api::core::v1::{
    KeyToPath, ProjectedVolumeSource, SecretProjection, SecretVolumeSource, Volume,
    VolumeProjection,
};

use crate::plan::{AuthKind, CaSource, CredentialKey, Source, SourceTls};

/// The volume with the credentials.
pub(super) const VOLUME: &str = "git-events-runner-credentials";
/// Read by the owner and the group: kubelet gives the files to root and the pod's `fsGroup`.
const READ_BY_GROUP: i32 = 0o440;
/// The file with the certificates that are trusted beside the system's.
const CA_FILE: &str = "ca.crt";
/// The files of [`CopyPart::Minted`].
const MINTED: [&str; 2] = ["username", "password"];

/// A Secret in the Job's namespace with all that the cloner must know in secret, under the names that
/// it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretCopy {
    /// The copy's name: the Job's.
    pub name: String,
    pub parts: Vec<CopyPart>,
}

/// Where some of a copy's values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyPart {
    /// From a Secret: the value of each `key` goes under the name `file`.
    Keys {
        from_namespace: String,
        from_name: String,
        keys: Vec<CredentialKey>,
        /// Those that the Secret may be without.
        optional_keys: Vec<CredentialKey>,
    },
    /// A fresh installation token of the source's GitHub App, never its key: `x-access-token` under the
    /// name `username`, the token under the name `password`.
    Minted,
}

/// What to copy: everything, if some of it is in another namespace than the Job, or must be minted.
pub(super) fn copy(source: &Source, namespace: &str, job: &str) -> Option<SecretCopy> {
    let (auth, ca) = (source.auth.as_ref(), ca(source));
    let named =
        [auth.and_then(|it| it.namespace.as_ref()), ca.and_then(|it| it.namespace.as_ref())];
    let is_elsewhere = named.into_iter().flatten().any(|it| it != namespace);
    let is_minted = auth.is_some_and(|it| it.kind == AuthKind::GithubApp);
    if !is_elsewhere && !is_minted {
        return None;
    }
    let from = |it: Option<&String>| it.map_or(namespace, String::as_str).to_owned();
    let of_auth = auth.map(|auth| match auth.kind {
        AuthKind::GithubApp => CopyPart::Minted,
        AuthKind::Basic | AuthKind::Token | AuthKind::Ssh => CopyPart::Keys {
            from_namespace: from(auth.namespace.as_ref()),
            from_name: auth.secret.clone(),
            keys: auth.keys.clone(),
            optional_keys: auth.optional_keys.clone(),
        },
    });
    let of_ca = ca.map(|ca| CopyPart::Keys {
        from_namespace: from(ca.namespace.as_ref()),
        from_name: ca.secret.clone(),
        keys: vec![ca_key(ca)],
        optional_keys: Vec::new(),
    });
    Some(SecretCopy { name: job.to_owned(), parts: of_auth.into_iter().chain(of_ca).collect() })
}

/// The volume with the keys that are needed and nothing else; none where nothing is secret.
pub(super) fn volume(source: &Source, copy: Option<&SecretCopy>) -> Option<Volume> {
    let mut taken = copy.map_or_else(|| of_source(source), of_copy);
    let volume = Volume { name: VOLUME.to_owned(), ..Volume::default() };
    let is_plain = taken.len() == 1 && taken.first().is_some_and(|it| !it.is_optional);
    if is_plain {
        let Taken { secret, items, .. } = taken.remove(0);
        let secret = SecretVolumeSource {
            secret_name: Some(secret),
            items: Some(items),
            default_mode: Some(READ_BY_GROUP),
            optional: Some(false),
        };
        return Some(Volume { secret: Some(secret), ..volume });
    }
    let sources: Vec<_> = taken.into_iter().map(Taken::projection).collect();
    if sources.is_empty() {
        return None;
    }
    let projected =
        ProjectedVolumeSource { sources: Some(sources), default_mode: Some(READ_BY_GROUP) };
    Some(Volume { projected: Some(projected), ..volume })
}

/// Keys of one Secret that become files.
struct Taken {
    secret: String,
    items: Vec<KeyToPath>,
    is_optional: bool,
}

impl Taken {
    fn projection(self) -> VolumeProjection {
        let secret = SecretProjection {
            name: self.secret,
            items: Some(self.items),
            optional: Some(self.is_optional),
        };
        VolumeProjection { secret: Some(secret), ..VolumeProjection::default() }
    }
}

/// From the source's own Secrets.
fn of_source(source: &Source) -> Vec<Taken> {
    let mut needed: Vec<Taken> = Vec::new();
    let mut optional = Vec::new();
    if let Some(auth) = &source.auth {
        let taken = |keys: &[CredentialKey], is_optional| Taken {
            secret: auth.secret.clone(),
            items: keys.iter().map(|it| item(&it.key, it.file)).collect(),
            is_optional,
        };
        needed.push(taken(&auth.keys, false));
        optional.push(taken(&auth.optional_keys, true));
    }
    if let Some(ca) = ca(source) {
        let file = item(&ca.key, CA_FILE);
        match needed.iter_mut().find(|it| it.secret == ca.secret) {
            Some(same) => same.items.push(file),
            None => needed.push(Taken {
                secret: ca.secret.clone(),
                items: vec![file],
                is_optional: false,
            }),
        }
    }
    needed.into_iter().chain(optional).filter(|it| !it.items.is_empty()).collect()
}

/// From a copy, which holds the files under the cloner's names already.
fn of_copy(copy: &SecretCopy) -> Vec<Taken> {
    let (mut needed, mut optional) = (Vec::new(), Vec::new());
    let file = |it: &CredentialKey| item(it.file, it.file);
    for part in &copy.parts {
        match part {
            CopyPart::Keys { keys, optional_keys, .. } => {
                needed.extend(keys.iter().map(file));
                optional.extend(optional_keys.iter().map(file));
            }
            CopyPart::Minted => needed.extend(MINTED.map(|it| item(it, it))),
        }
    }
    let taken = |items, is_optional| Taken { secret: copy.name.clone(), items, is_optional };
    let all = [taken(needed, false), taken(optional, true)];
    all.into_iter().filter(|it| !it.items.is_empty()).collect()
}

fn ca(source: &Source) -> Option<&CaSource> {
    match &source.tls {
        SourceTls::VerifyWith(ca) => Some(ca),
        SourceTls::Verify | SourceTls::SkipVerify => None,
    }
}

fn ca_key(ca: &CaSource) -> CredentialKey {
    CredentialKey { key: ca.key.clone(), file: CA_FILE }
}

fn item(key: &str, path: &str) -> KeyToPath {
    KeyToPath { key: key.to_owned(), path: path.to_owned(), mode: None }
}
