//! How does a cluster become a spoke, and how does a spoke get a new token? The same way, from where it is.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use serde_json::Value;

use super::access::{self, Access, At};
use super::error::Error;
use super::registration::{self, Registrations};
use super::said::Words;
use super::token::{self, Token};
use super::{Add, Minting, Rotate, Say, reach, spoke};
use crate::clusters;
use crate::rights::{Account, Reach};

/// What stands for a token where nothing is written.
const TO_BE_MINTED: &str = "minted-when-it-is-written";

/// One spoke on its way to one hub.
struct Joining<'a> {
    name: &'a str,
    namespace: &'a str,
    hub: Access,
    spoke: Access,
    account: Account,
    /// Which cluster it is.
    uid: String,
    /// Where replicas reach it.
    at: At,
    known: Option<Secret>,
    minting: &'a Minting,
}

pub(super) async fn add(asked: &Add, say: Say<'_>) -> Result<(), Error> {
    let spoke = asked.there.open(&asked.context).await?;
    let hub = asked.hub.open().await?;
    let context = || asked.context.clone();
    let uid = access::uid(&spoke).await?;
    if uid == access::uid(&hub).await? {
        return Err(Error::IsHub { context: context() });
    }
    let (jobs, secrets) = (reach(&asked.jobs_namespace), reach(&asked.secrets_namespace));
    let mut at = spoke.place.clone();
    at.server = asked.server.clone().unwrap_or(at.server);
    let name = asked.name.as_str();
    let registrations = Registrations::new(&hub.client, &asked.hub.namespace);
    let known = registrations.find(name).await?;
    known.iter().try_for_each(|it| registration::is_of(it, &asked.context, &uid))?;
    // A copy from a backup has the same uid, and is elsewhere; replicas ask both for a proof.
    let is_there =
        |it: &&Secret| registration::place(it).is_some_and(|place| place.server == at.server);
    if let Some(it) = registrations.others(name, &uid).await?.iter().find(is_there) {
        return Err(Error::Known { context: context(), name: it.name_any() });
    }
    let joining = Joining {
        known,
        uid,
        name,
        namespace: &asked.hub.namespace,
        account: asked.there.account(&asked.hub, jobs, secrets),
        minting: &asked.minting,
        hub,
        spoke,
        at,
    };
    if asked.dry_run {
        return joining.rehearse(say);
    }
    spoke::prepare(&joining.spoke.client, &joining.account, say).await?;
    let kept = joining.kept().await;
    joining.register(kept, say).await
}

pub(super) async fn rotate(asked: &Rotate, say: Say<'_>) -> Result<(), Error> {
    let hub = asked.hub.open().await?;
    let (name, namespace) = (asked.name.as_str(), asked.hub.namespace.as_str());
    let known = Registrations::new(&hub.client, namespace).find(name).await?;
    let unknown = || Error::Unknown { namespace: namespace.to_owned(), name: name.to_owned() };
    let known = known.ok_or_else(unknown)?;
    let spoke = asked.there.open(&asked.context).await?;
    let uid = access::uid(&spoke).await?;
    registration::is_of(&known, &asked.context, &uid)?;
    let mut account = asked.there.account(&asked.hub, Reach::All, Reach::All);
    if let Some((namespace, name)) = registration::account(&known) {
        (account.namespace, account.name) = (namespace, name);
    }
    let at = registration::place(&known).unwrap_or_else(|| spoke.place.clone());
    let joining = Joining {
        name,
        namespace,
        hub,
        spoke,
        account,
        uid,
        at,
        known: Some(known),
        minting: &asked.minting,
    };
    joining.register(None, say).await
}

impl Joining<'_> {
    /// Prints what would be applied; nothing is written, and no token is shown.
    fn rehearse(&self, say: Say<'_>) -> Result<(), Error> {
        say(&format!(
            "# in the spoke {:?}: our definitions, as `git-events-runner crds` prints them, and",
            self.spoke.context
        ));
        let kubeconfig = registration::kubeconfig(self.name, &self.at, TO_BE_MINTED)?;
        let secret = self.secret(&kubeconfig, None);
        for object in spoke::objects(&self.account) {
            print(&object, say)?;
        }
        say(&format!("# on the hub {:?}:", self.hub.context));
        print(&secret, say)
    }

    fn secret(&self, kubeconfig: &str, token: Option<&Token>) -> Value {
        let expires = token.and_then(|it| it.expires);
        let names = (self.namespace, self.name);
        registration::secret(names, &self.account, &self.uid, kubeconfig, expires)
    }

    /// The token that the hub has, if it is one of the account's, still good, and of the kind that is wanted.
    async fn kept(&self) -> Option<Token> {
        let known = self.known.as_ref()?;
        let (text, expires) = (registration::token(known)?, registration::expires(known));
        if self.minting.token_duration.is_some() != expires.is_some() {
            return None;
        }
        let kubeconfig = registration::kubeconfig(self.name, &self.spoke.place, &text).ok()?;
        let read = kube::config::Kubeconfig::from_yaml(&kubeconfig).ok()?;
        let settings = clusters::Settings::new(self.namespace);
        let client = clusters::trusted_clients(read, &settings).await.ok()?.requests;
        let reviews: Api<SelfSubjectReview> = Api::all(client);
        let asked = SelfSubjectReview::default();
        let answer = reviews.create(&PostParams::default(), &asked).await.ok()?;
        let user = answer.status?.user_info?.username?;
        (user == self.account.user()).then(|| Token { text, secret: String::new(), expires })
    }

    /// Writes the Secret on the hub, waits until replicas work with it, and revokes what came before.
    async fn register(&self, kept: Option<Token>, say: Say<'_>) -> Result<(), Error> {
        let is_kept = kept.is_some();
        let token = if let Some(token) = kept {
            token
        } else {
            let lasting = self.minting.token_duration;
            token::mint(&self.spoke.client, &self.account, lasting).await?
        };
        match (is_kept, token.expires) {
            (true, _) => say("token: the one that the hub has is good"),
            (false, None) => say("token: minted; it does not end"),
            (false, Some(at)) => say(&format!(
                "token: minted; it ends at {at}: run `cluster rotate {}` before",
                self.name
            )),
        }
        let words = Words::new(&self.hub.client, self.namespace);
        let before = words.of(self.name).await?;
        let kubeconfig = registration::kubeconfig(self.name, &self.at, &token.text)?;
        let registrations = Registrations::new(&self.hub.client, self.namespace);
        let secret = self.secret(&kubeconfig, Some(&token));
        let is_changed = registrations.write(&secret, self.known.as_ref()).await?;
        say(&format!("registered: Secret {}/{} of the hub", self.namespace, self.name));
        let works = before.last().is_some_and(super::said::Said::works);
        if !is_changed && works {
            say(&format!("{}: nothing had changed", self.name));
            return Ok(());
        }
        let said = words.until_ready(self.name, &before, self.minting.timeout).await?;
        say(&format!("{}: {}: {}", self.name, said.reason, said.message));
        if !is_kept {
            spoke::revoke(&self.spoke.client, &self.account, Some(&token.secret)).await?;
        }
        Ok(())
    }
}

fn print(object: &Value, say: Say<'_>) -> Result<(), Error> {
    let text = serde_saphyr::to_string(object);
    let text = text.map_err(|source| Error::Write { source: Box::new(source) })?;
    say(&format!("---\n{}", text.trim_end()));
    Ok(())
}
