//! How does a spoke go? The hub forgets it first; then its account and rights go, and nothing that users made.

use kube::ResourceExt as _;

use super::error::Error;
use super::registration::{self, Registrations};
use super::{Remove, Say, access, spoke};
use crate::rights::Reach;

pub(super) async fn remove(asked: &Remove, say: Say<'_>) -> Result<(), Error> {
    let (name, namespace) = (asked.name.as_str(), asked.hub.namespace.as_str());
    let hub = asked.hub.open().await?;
    let registrations = Registrations::new(&hub.client, namespace);
    let known = registrations.find(name).await?;
    let mut account = asked.there.account(&asked.hub, Reach::All, Reach::All);
    if let Some((namespace, name)) = known.as_ref().and_then(registration::account) {
        (account.namespace, account.name) = (namespace, name);
    }
    // Looked at before anything goes: a context that is wrong must not leave half of it.
    let mut spoke = None;
    if let Some(context) = &asked.context {
        let opened = asked.there.open(context).await?;
        let uid = access::uid(&opened).await?;
        known.iter().try_for_each(|it| registration::is_of(it, context, &uid))?;
        let wanted = Some((account.namespace.clone(), account.name.clone()));
        let others = registrations.others(name, &uid).await?.into_iter();
        let mut theirs = others.filter(|it| registration::account(it) == wanted);
        spoke = Some((opened, theirs.next()));
    }
    if registrations.delete(name).await? {
        say(&format!("{name}: the hub has forgotten it; its Jobs run on, its triggers rest"));
    } else {
        say(&format!("{name}: the hub did not have it"));
    }
    let Some((spoke, another)) = spoke else {
        say(&format!(
            "in the spoke, {} is left with its rights and tokens: --context takes them away",
            account.user()
        ));
        return Ok(());
    };
    if let Some(another) = another {
        let theirs = another.name_any();
        say(&format!("{}: stays in {:?}, for it is {theirs}'s too", account.user(), spoke.context));
        return Ok(());
    }
    spoke::clear(&spoke.client, &account).await?;
    say(&format!("{}: gone from {:?} with its rights and tokens", account.user(), spoke.context));
    say("left there: our definitions, and all triggers, sources, Actions and Jobs");
    Ok(())
}
