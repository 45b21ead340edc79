//! Can this source be asked, with which credentials, and what should its user know?

use std::time::Duration;

use ger_api::GitRepoSpec;
use ger_api::git_repo::{AuthConfig, AuthKind as ApiAuthKind, CaCert, SecretRef};
use ger_api::schedule_trigger::SourceKind;

use super::uri::{self, Scheme};
use super::{Reason, WrongConfig, cut, source_kind};
use crate::names::is_subdomain;

/// A check that takes longer holds a slot that others wait for.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);
/// Less is no time for a handshake.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// A source, judged and found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub kind: SourceKind,
    pub name: String,
    pub uri: String,
    /// None: asked anonymously.
    pub auth: Option<SourceAuth>,
    pub tls: SourceTls,
    /// One check or fetch.
    pub timeout: Duration,
    /// What a user should know although nothing stops.
    pub cautions: Vec<Caution>,
}

/// Where the credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceAuth {
    pub kind: AuthKind,
    pub secret: String,
    /// None: the namespace of the trigger. Only a `ClusterGitRepo` may name another.
    pub namespace: Option<String>,
    /// Each needed key of the Secret, and the file of the cloner's contract that it becomes.
    pub keys: Vec<CredentialKey>,
    /// Keys that the Secret may be without.
    pub optional_keys: Vec<CredentialKey>,
}

/// One key of a credentials Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialKey {
    /// The name that the source gives it.
    pub key: String,
    /// The name that the cloner knows it by; for a GitHub App, whose key no cloner gets to see, the
    /// name of the field.
    pub file: &'static str,
}

/// How a source is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// `username`, `password`.
    Basic,
    /// `token`.
    Token,
    /// `ssh-privatekey`, and perhaps `passphrase` and `known_hosts`.
    Ssh,
    /// `appId`, `installationId`, `appPrivateKey`, and perhaps `apiUrl`.
    GithubApp,
}

/// Whether the server's certificate is verified, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceTls {
    /// By the system's certificates.
    Verify,
    /// By these, beside the system's.
    VerifyWith(CaSource),
    SkipVerify,
}

/// Where certificates that are trusted are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaSource {
    pub secret: String,
    /// None: the namespace of the trigger. Only a `ClusterGitRepo` may name another.
    pub namespace: Option<String>,
    /// The key of the Secret; the cloner's file is `ca.crt`.
    pub key: String,
}

/// What a user should know about a source that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caution {
    /// A `GitRepo` names a Secret's namespace in this field, and the trigger's counts.
    NamespaceIgnored { field: &'static str },
    /// Whoever is between us and the server can change what runs.
    TlsNotVerified,
}

impl SourceAuth {
    /// The key of the Secret that holds what the cloner calls `file`.
    pub fn key(&self, file: &str) -> Option<&str> {
        let mut all = self.keys.iter().chain(&self.optional_keys);
        all.find(|it| it.file == file).map(|it| it.key.as_str())
    }
}

impl Source {
    /// Judges the spec of a `GitRepo`, or of a `ClusterGitRepo` (which has the same fields).
    pub fn of(kind: SourceKind, name: &str, spec: &GitRepoSpec) -> Result<Self, WrongConfig> {
        let mut judge = Judge { kind, name, cautions: Vec::new() };
        let scheme = uri::judge(&spec.repo_uri).or_else(|it| judge.invalid(it))?;
        let auth = judge.auth(scheme, spec.auth_config.as_ref())?;
        let tls = judge.tls(scheme, spec)?;
        let timeout = judge.timeout(&spec.timeout)?;
        let (name, uri) = (name.to_owned(), spec.repo_uri.clone());
        Ok(Self { kind, name, uri, auth, tls, timeout, cautions: judge.cautions })
    }
}

struct Judge<'a> {
    kind: SourceKind,
    name: &'a str,
    cautions: Vec<Caution>,
}

impl Judge<'_> {
    fn auth(
        &mut self,
        scheme: Scheme,
        auth: Option<&AuthConfig>,
    ) -> Result<Option<SourceAuth>, WrongConfig> {
        let Some(auth) = auth else {
            return match scheme {
                Scheme::Ssh => self.invalid(
                    "an ssh repoUri needs authConfig of type ssh, with a Secret that holds a \
                     private key",
                ),
                Scheme::Https | Scheme::Http | Scheme::Git => Ok(None),
            };
        };
        self.fits(scheme, auth.kind)?;
        let (kind, keys, optional_keys) = wanted(auth);
        let mut named = Vec::new();
        for (field, key, file) in keys.iter().chain(&optional_keys) {
            if key.is_empty() {
                let field = format!("authConfig.keys.{field}");
                return self.invalid(&format!("{field} is empty: name a key of the Secret"));
            }
            named.push(CredentialKey { key: (*key).clone(), file });
        }
        let optional_keys = named.split_off(keys.len());
        let (secret, namespace) = self.secret(
            &auth.secret_ref,
            "authConfig.secretRef.name",
            "authConfig.secretRef.namespace",
        )?;
        Ok(Some(SourceAuth { kind, secret, namespace, keys: named, optional_keys }))
    }

    fn fits(&self, scheme: Scheme, kind: ApiAuthKind) -> Result<(), WrongConfig> {
        match (scheme, kind) {
            (Scheme::Https | Scheme::Http, ApiAuthKind::Ssh) => self.invalid(
                "authConfig.type ssh needs a repoUri ssh://user@host/path or user@host:path: \
                 change repoUri, or use basic, token or githubApp",
            ),
            (Scheme::Ssh, ApiAuthKind::Basic | ApiAuthKind::Token | ApiAuthKind::GithubApp) => self
                .invalid(
                    "authConfig.type must be ssh for an ssh repoUri: change it, or use https://",
                ),
            (Scheme::Git, _) => self.invalid(
                "git:// knows no authentication: remove authConfig, or use https:// or ssh://",
            ),
            (Scheme::Ssh, ApiAuthKind::Ssh) | (Scheme::Https | Scheme::Http, _) => Ok(()),
        }
    }

    /// The original accepted the settings with other schemes and ignored them there.
    fn tls(&mut self, scheme: Scheme, spec: &GitRepoSpec) -> Result<SourceTls, WrongConfig> {
        let Some(tls) = spec.tls_config.as_ref().filter(|_| scheme == Scheme::Https) else {
            return Ok(SourceTls::Verify);
        };
        if tls.no_verify_ssl {
            self.cautions.push(Caution::TlsNotVerified);
            return Ok(SourceTls::SkipVerify);
        }
        let Some(CaCert { secret_ref, key }) = &tls.ca_cert else { return Ok(SourceTls::Verify) };
        if key.is_empty() {
            return self.invalid("tlsConfig.caCert.key is empty: name a key of the Secret");
        }
        let (secret, namespace) = self.secret(
            secret_ref,
            "tlsConfig.caCert.secretRef.name",
            "tlsConfig.caCert.secretRef.namespace",
        )?;
        Ok(SourceTls::VerifyWith(CaSource { secret, namespace, key: key.clone() }))
    }

    fn timeout(&self, text: &str) -> Result<Duration, WrongConfig> {
        let timeout = humantime::parse_duration(text)
            .or_else(|it| self.invalid(&format!("timeout {:?}: {it}", cut(text))))?;
        if (SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&timeout) {
            return Ok(timeout);
        }
        self.invalid(&format!("timeout {:?} is not between 1s and 10m", cut(text)))
    }

    fn secret(
        &mut self,
        secret: &SecretRef,
        name_field: &str,
        namespace_field: &'static str,
    ) -> Result<(String, Option<String>), WrongConfig> {
        if !is_subdomain(&secret.name) {
            let name = cut(&secret.name);
            return self.invalid(&format!("{name_field} {name:?} is not the name of a Secret"));
        }
        let namespace = match self.kind {
            SourceKind::ClusterGitRepo => secret.namespace.clone(),
            // The schema of the original has the field for both kinds; for this one it never counted.
            SourceKind::GitRepo => {
                if secret.namespace.is_some() {
                    self.cautions.push(Caution::NamespaceIgnored { field: namespace_field });
                }
                None
            }
        };
        Ok((secret.name.clone(), namespace))
    }

    fn invalid<T>(&self, what: &str) -> Result<T, WrongConfig> {
        let told = format!("{} {:?}: {what}", source_kind(self.kind), self.name);
        Err(WrongConfig::new(Reason::InvalidSource, told))
    }
}

/// A key's field in `authConfig.keys`, its value, and what it is called from here on.
type Wanted<'a> = (&'static str, &'a String, &'static str);

/// The keys that must be there, and those that may.
fn wanted(auth: &AuthConfig) -> (AuthKind, Vec<Wanted<'_>>, Vec<Wanted<'_>>) {
    let keys = &auth.keys;
    match auth.kind {
        ApiAuthKind::Basic => (
            AuthKind::Basic,
            vec![
                ("username", &keys.username, "username"),
                ("password", &keys.password, "password"),
            ],
            vec![],
        ),
        ApiAuthKind::Token => (AuthKind::Token, vec![("token", &keys.token, "token")], vec![]),
        ApiAuthKind::Ssh => (
            AuthKind::Ssh,
            vec![("privateKey", &keys.private_key, "ssh-privatekey")],
            vec![
                ("passphrase", &keys.passphrase, "passphrase"),
                ("knownHosts", &keys.known_hosts, "known_hosts"),
            ],
        ),
        ApiAuthKind::GithubApp => (
            AuthKind::GithubApp,
            vec![
                ("appId", &keys.app_id, "appId"),
                ("installationId", &keys.installation_id, "installationId"),
                ("appPrivateKey", &keys.app_private_key, "appPrivateKey"),
            ],
            vec![("apiUrl", &keys.api_url, "apiUrl")],
        ),
    }
}
