//! Which clusters does a hub have, and how are they? By what its replicas say, and by asking each.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use ger_api::{ScheduleTrigger, WebhookTrigger};
use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{
    ResourceRule, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::error::{Error, cannot};
use super::registration::{self, Registrations};
use super::said::{Said, Words};
use super::{List, Say};
use crate::clock::Clock;
use crate::clusters::{self, Connect as _, Policy, TlsConnect};
use crate::rights::{Area, Place, rules};

/// A cluster that does not answer holds up the list no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many are asked at once.
const AT_ONCE: usize = 8;
/// Which Leases are those of members.
const MEMBERS: &str = "git-events-runner.rs/lease=member";
/// A namespace in which nothing is granted: what holds in it holds in all.
const NOWHERE: &str = "git-events-runner-nowhere";

const HEADS: [&str; 7] =
    ["NAME", "STATE", "VERSION", "TRIGGERS", "LAST CONTACT", "TOKEN ENDS", "MISSING"];

pub(super) async fn list(asked: &List, say: Say<'_>) -> Result<(), Error> {
    let hub = asked.hub.open().await?;
    let namespace = asked.hub.namespace.as_str();
    let secrets = Registrations::new(&hub.client, namespace).list().await?;
    let words = Words::new(&hub.client, namespace);
    let now = Clock::system().now();
    let alive = last_renewal(&hub.client, namespace).await?;
    let mut rows = vec![HEADS.map(str::to_owned).to_vec()];
    rows.push(of_hub(&hub.client, ago(alive, now)).await);
    let spokes = futures::stream::iter(secrets.iter().map(|secret| async {
        let said = words.of(&secret.name_any()).await?.pop();
        Ok::<_, Error>(of_spoke(secret, said, (alive, now)).await)
    }));
    let spokes: Vec<Result<Vec<String>, Error>> = spokes.buffered(AT_ONCE).collect().await;
    for row in spokes {
        rows.push(row?);
    }
    for line in aligned(&rows) {
        say(&line);
    }
    Ok(())
}

/// When a member of the fleet was last heard of.
async fn last_renewal(hub: &Client, namespace: &str) -> Result<Option<Timestamp>, Error> {
    let leases: Api<Lease> = Api::namespaced(hub.clone(), namespace);
    let listed = leases.list(&ListParams::default().labels(MEMBERS)).await;
    let listed = listed.map_err(cannot("list the Leases of the hub"))?;
    let renewed = listed.items.into_iter().filter_map(|it| it.spec?.renew_time);
    Ok(renewed.map(|it| it.0).max())
}

async fn of_hub(hub: &Client, contact: String) -> Vec<String> {
    let seen = look(hub, None).await;
    let state = if contact == UNKNOWN { "NoReplicas" } else { "Ready" };
    let [version, triggers, _] = seen.unwrap_or_else(unreachable);
    vec![
        "hub".to_owned(),
        state.to_owned(),
        version,
        triggers,
        contact,
        String::new(),
        String::new(),
    ]
}

async fn of_spoke(
    secret: &Secret,
    said: Option<Said>,
    (alive, now): (Option<Timestamp>, Timestamp),
) -> Vec<String> {
    // Who works with it hears from it all the time; who does not has said since when.
    let contact = match &said {
        Some(said) if said.works() => ago(alive, now),
        Some(said) => ago(said.at, now),
        None => UNKNOWN.to_owned(),
    };
    let state = said.map_or_else(|| "Unknown".to_owned(), |it| it.reason);
    let seen = match client(secret).await {
        Ok(client) => look(&client, Some(Place::Spoke)).await,
        Err(why) => Err(why),
    };
    let [version, triggers, missing] = seen.unwrap_or_else(unreachable);
    let ends =
        registration::expires(secret).map_or_else(|| "never".to_owned(), |it| it.to_string());
    vec![secret.name_any(), state, version, triggers, contact, ends, missing]
}

const UNKNOWN: &str = "unknown";

fn unreachable(why: String) -> [String; 3] {
    [UNKNOWN.to_owned(), UNKNOWN.to_owned(), why]
}

/// The hub's own way to a spoke, from here.
async fn client(secret: &Secret) -> Result<Client, String> {
    let held = registration::held(secret).ok_or("the Secret has no kubeconfig")?;
    let settings = clusters::Settings {
        allow_loopback: Policy::Allow,
        insecure_tls: Policy::Allow,
        ..clusters::Settings::new("")
    };
    let target = clusters::parse_kubeconfig(&held, &settings).map_err(|it| it.to_string())?;
    let name = super::name(&secret.name_any())?;
    let clients = TlsConnect::new(&settings).connect(&name, &target).await;
    Ok(clients.map_err(|it| it.to_string())?.requests)
}

/// Version, triggers and missing rights; or why it could not be asked from here.
async fn look(client: &Client, place: Option<Place>) -> Result<[String; 3], String> {
    let asking = async {
        let version = client.apiserver_version().await.map_err(|it| plain(&it))?;
        let triggers =
            match (count::<ScheduleTrigger>(client).await, count::<WebhookTrigger>(client).await) {
                (Ok(schedules), Ok(webhooks)) => (schedules + webhooks).to_string(),
                _ => UNKNOWN.to_owned(),
            };
        let missing = match place {
            Some(place) => missing(client, place).await.map_err(|it| plain(&it))?,
            None => String::new(),
        };
        Ok([version.git_version, triggers, missing])
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    answer.unwrap_or_else(|_| Err(format!("no answer from here within {PATIENCE:?}")))
}

/// What somebody should know of a failed request, in a column.
fn plain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(answer) => format!("HTTP {}", answer.code),
        _ => "not reached from here".to_owned(),
    }
}

async fn count<K>(client: &Client) -> kube::Result<i64>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let first =
        Api::<K>::all(client.clone()).list_metadata(&ListParams::default().limit(1)).await?;
    let here = i64::try_from(first.items.len()).unwrap_or(i64::MAX);
    Ok(here + first.metadata.remaining_item_count.unwrap_or(0))
}

/// The verbs that are needed in the whole cluster and not granted.
async fn missing(client: &Client, place: Place) -> kube::Result<String> {
    let reviews: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let asked = SelfSubjectRulesReview {
        metadata: ObjectMeta::default(),
        spec: SelfSubjectRulesReviewSpec { namespace: Some(NOWHERE.to_owned()) },
        status: None,
    };
    let answer = reviews.create(&PostParams::default(), &asked).await?;
    let granted = answer.status.map(|it| it.resource_rules).unwrap_or_default();
    let mut lacks = BTreeSet::new();
    for rule in rules(place, Area::Everywhere) {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let lacking = rule
                    .verbs
                    .iter()
                    .filter(|verb| !granted.iter().any(|it| grants(it, (group, resource, verb))));
                lacks.extend(lacking.map(|verb| format!("{verb} {resource}")));
            }
        }
    }
    Ok(lacks.into_iter().collect::<Vec<_>>().join(", "))
}

fn grants(rule: &ResourceRule, (group, resource, verb): (&str, &str, &str)) -> bool {
    let has = |list: Option<&[String]>, it: &str| {
        list.is_some_and(|list| list.iter().any(|entry| entry == "*" || entry == it))
    };
    has(Some(&rule.verbs), verb)
        && has(rule.api_groups.as_deref(), group)
        && has(rule.resources.as_deref(), resource)
}

fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return UNKNOWN.to_owned() };
    let seconds = u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0);
    format!("{} ago", humantime::format_duration(Duration::from_secs(seconds)))
}

/// Rows as lines, each column as wide as its widest cell.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|it| it[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let row = |name: &str| {
            let mut row = HEADS.map(|_| "x".to_owned()).to_vec();
            name.clone_into(&mut row[0]);
            row
        };

        let lines = aligned(&[row("a"), row("longer")]);

        assert_eq!(lines[0].find('x'), lines[1].find('x'));
        assert!(lines[0].starts_with("a       x  x"), "{lines:?}");
    }

    #[test]
    fn time_is_told_in_words() {
        let now = Timestamp::from_second(100_000).unwrap();

        assert_eq!(ago(Timestamp::from_second(99_995).ok(), now), "5s ago");
        assert_eq!(ago(Timestamp::from_second(100_005).ok(), now), "0s ago", "another clock");
        assert_eq!(ago(None, now), UNKNOWN);
    }
}
