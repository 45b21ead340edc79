//! How does a spoke go? The hub forgets it first; then its account and rights go, and nothing that users made.

use super::error::Error;
use super::registration::Registrations;
use super::{Remove, Say, spoke};
use crate::rights::Reach;

pub(super) async fn remove(asked: &Remove, say: Say<'_>) -> Result<(), Error> {
    let (name, namespace) = (asked.name.as_str(), asked.hub.namespace.as_str());
    let hub = asked.hub.open().await?;
    let registrations = Registrations::new(&hub.client, namespace);
    let known = registrations.find(name).await?;
    let mut account = asked.there.account(&asked.hub, Reach::All, Reach::All);
    if let Some((namespace, name)) = known.as_ref().and_then(super::registration::account) {
        (account.namespace, account.name) = (namespace, name);
    }
    // Opened before anything goes: a context that is wrong must not leave half of it.
    let spoke = match &asked.context {
        Some(context) => Some(asked.there.open(context).await?),
        None => None,
    };
    if registrations.delete(name).await? {
        say(&format!("{name}: the hub has forgotten it; its Jobs run on, its triggers rest"));
    } else {
        say(&format!("{name}: the hub did not have it"));
    }
    let Some(spoke) = spoke else {
        say(&format!(
            "in the spoke, {} is left with its rights and tokens: --context takes them away",
            account.user()
        ));
        return Ok(());
    };
    spoke::clear(&spoke.client, &account).await?;
    say(&format!("{}: gone from {:?} with its rights and tokens", account.user(), spoke.context));
    say("left there: our definitions, and all triggers, sources, Actions and Jobs");
    Ok(())
}
