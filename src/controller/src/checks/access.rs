//! With what is a source asked? Its credentials and its certificates, as its Secrets have them.

use ger_core::names::ClusterName;
use ger_core::plan::{AuthKind, CaSource, Source, SourceAuth, SourceTls};
use ger_git::github_app::{App, Origin, Values as AppValues, Wanted};
use ger_git::{Auth, CaBundle, HostKeys, RepoUri, Secret, SshKey, Tls};

use super::credentials::{Place, Values};
use super::error::{Error, Purpose};
use super::{Inner, Lasting};

/// A source, and where its Secrets are.
#[derive(Clone, Copy)]
pub struct Placed<'a> {
    pub cluster: &'a ClusterName,
    pub client: &'a kube::Client,
    /// The trigger's: its Secrets are there unless the source names another.
    pub namespace: &'a str,
    pub source: &'a Source,
}

impl std::fmt::Debug for Placed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Placed").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// What a remote is shown, and what it must show.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) auth: Auth,
    pub(super) tls: Tls,
}

/// What was read for an access, to be read again if it is refused.
pub(super) type Read = Vec<(Place, Values)>;

impl Inner {
    /// What the source's Secrets make of us. `read` tells what was read, also where that is no good.
    pub(super) async fn access(
        &self,
        placed: Placed<'_>,
        uri: &RepoUri,
        lasting: &Lasting,
        read: &mut Read,
    ) -> Result<Access, Error> {
        let tls = match &placed.source.tls {
            SourceTls::Verify => Tls::Verify,
            SourceTls::SkipVerify => Tls::SkipVerify,
            SourceTls::VerifyWith(ca) => {
                Tls::VerifyWith(self.certificates(placed, ca, read).await?)
            }
        };
        let Some(auth) = &placed.source.auth else { return Ok(Access { auth: Auth::None, tls }) };
        let place = place(placed, auth.namespace.as_deref(), &auth.secret);
        let values = self.values(placed, place, Purpose::Credentials, read).await?;
        let held = Held { values: &values, auth };
        let auth = match auth.kind {
            AuthKind::Basic => {
                Auth::Basic { username: held.value("username")?, password: held.value("password")? }
            }
            AuthKind::Token => Auth::Token(held.value("token")?),
            AuthKind::Ssh => Auth::Ssh(held.ssh_key()?),
            AuthKind::GithubApp => {
                let app = held.app(uri)?;
                self.token(placed.source, (app, tls.clone()), uri, lasting).await?
            }
        };
        Ok(Access { auth, tls })
    }

    async fn values(
        &self,
        placed: Placed<'_>,
        place: Place,
        purpose: Purpose,
        read: &mut Read,
    ) -> Result<Values, Error> {
        let values = self.secrets.values(placed.client, &place, purpose).await?;
        read.push((place, std::sync::Arc::clone(&values)));
        Ok(values)
    }

    async fn certificates(
        &self,
        placed: Placed<'_>,
        ca: &CaSource,
        read: &mut Read,
    ) -> Result<CaBundle, Error> {
        let place = place(placed, ca.namespace.as_deref(), &ca.secret);
        let purpose = Purpose::Certificates;
        let values = self.values(placed, place, purpose, read).await?;
        let (secret, key) = (ca.secret.clone(), ca.key.clone());
        let Some(pem) = values.get(&key) else {
            return Err(Error::NoKey { purpose, secret, key });
        };
        CaBundle::parse(pem.expose()).map_err(|source| Error::Certificates { secret, key, source })
    }

    /// A token of the App's installation, as the repository's host takes it.
    async fn token(
        &self,
        source: &Source,
        (app, tls): (App, Tls),
        uri: &RepoUri,
        lasting: &Lasting,
    ) -> Result<Auth, Error> {
        let wanted = Wanted {
            now: self.clock.now(),
            lasting: lasting.time,
            timeout: source.timeout,
            refused: lasting.refused.clone(),
        };
        let answer = self.remotes.installation_token(app, tls, wanted).await;
        let result = match &answer {
            Ok(token) if token.origin == Origin::Kept => None,
            Ok(_) => Some("minted"),
            Err(_) => Some("error"),
        };
        if let Some(result) = result {
            let host = self.hosts.label(uri.host());
            self.metrics.github_app_tokens_total.with_label_values(&[host, result]).inc();
        }
        let secret = || source.auth.as_ref().map(|it| it.secret.clone()).unwrap_or_default();
        let token = answer.map_err(|source| Error::App { secret: secret(), source })?;
        Ok(token.auth())
    }
}

/// Where a Secret is: in the trigger's namespace, unless the source names another.
fn place(placed: Placed<'_>, namespace: Option<&str>, name: &str) -> Place {
    Place {
        cluster: placed.cluster.clone(),
        namespace: namespace.unwrap_or(placed.namespace).to_owned(),
        name: name.to_owned(),
    }
}

/// A credentials Secret, and what the source makes of its keys.
struct Held<'a> {
    values: &'a Values,
    auth: &'a SourceAuth,
}

impl Held<'_> {
    /// What is under the key that the source gives `file`.
    fn value(&self, file: &str) -> Result<Secret, Error> {
        self.optional(file).ok_or_else(|| {
            let key = self.auth.key(file).unwrap_or(file).to_owned();
            let (purpose, secret) = (Purpose::Credentials, self.auth.secret.clone());
            Error::NoKey { purpose, secret, key }
        })
    }

    fn optional(&self, file: &str) -> Option<Secret> {
        self.values.get(self.auth.key(file).unwrap_or(file)).cloned()
    }

    fn ssh_key(&self) -> Result<SshKey, Error> {
        Ok(SshKey {
            private_key: self.value("ssh-privatekey")?,
            passphrase: self.optional("passphrase").filter(|it| !it.expose().is_empty()),
            // An empty file names no host, and then none is believed.
            host_keys: self.optional("known_hosts").map_or(HostKeys::Pinned, HostKeys::Known),
        })
    }

    fn app(&self, uri: &RepoUri) -> Result<App, Error> {
        let values = AppValues {
            app_id: self.value("appId")?,
            installation_id: self.value("installationId")?,
            private_key: self.value("appPrivateKey")?,
            api_url: self.optional("apiUrl").filter(|it| !it.expose().is_empty()),
        };
        let secret = self.auth.secret.clone();
        App::new(&values, uri).map_err(|source| Error::App { secret, source: source.into() })
    }
}
