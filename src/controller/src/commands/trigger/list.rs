//! How are the triggers doing? A line for each, with what is to be mended.

use std::io::Write;

use ger_api::schedule_trigger::Schedule;
use ger_api::{ScheduleTrigger, TriggerStatus, WebhookTrigger};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::{Error, List, say};

const HEAD: [&str; 8] =
    ["NAMESPACE", "KIND", "NAME", "STATE", "SCHEDULE", "LAST RUN", "NEXT RUN", "READY"];

/// One trigger, as it is shown.
type Row = [String; 8];

pub(super) async fn list(
    client: &Client,
    asked: &List,
    out: &mut (dyn Write + Send),
) -> Result<(), Error> {
    let mut rows = of_schedules(client, asked).await?;
    rows.extend(of_webhooks(client, asked).await?);
    rows.sort();
    for line in table(&rows) {
        say(out, &line)?;
    }
    Ok(())
}

fn namespace(client: &Client, asked: &List) -> Option<String> {
    let default = || client.default_namespace().to_owned();
    (!asked.all_namespaces).then(|| asked.namespace.clone().unwrap_or_else(default))
}

async fn of_schedules(client: &Client, asked: &List) -> Result<Vec<Row>, Error> {
    let api: Api<ScheduleTrigger> = match namespace(client, asked) {
        Some(namespace) => Api::namespaced(client.clone(), &namespace),
        None => Api::all(client.clone()),
    };
    let listed =
        api.list(&ListParams::default()).await.map_err(|it| cannot("ScheduleTriggers", it))?;
    Ok(listed
        .items
        .into_iter()
        .map(|it| {
            let schedule = match &it.spec.schedule {
                Schedule::Interval(text) | Schedule::Cron(text) => text.clone(),
            };
            let schedule = if it.spec.suspend { "suspended".to_owned() } else { schedule };
            let names = [it.namespace().unwrap_or_default(), it.name_any()];
            row("schedule", names, schedule, it.status)
        })
        .collect())
}

async fn of_webhooks(client: &Client, asked: &List) -> Result<Vec<Row>, Error> {
    let api: Api<WebhookTrigger> = match namespace(client, asked) {
        Some(namespace) => Api::namespaced(client.clone(), &namespace),
        None => Api::all(client.clone()),
    };
    let listed =
        api.list(&ListParams::default()).await.map_err(|it| cannot("WebhookTriggers", it))?;
    Ok(listed
        .items
        .into_iter()
        .map(|it| {
            let names = [it.namespace().unwrap_or_default(), it.name_any()];
            row("webhook", names, "-".to_owned(), it.status)
        })
        .collect())
}

fn cannot(what: &str, source: kube::Error) -> Error {
    Error::Read { what: what.to_owned(), source: Box::new(source) }
}

fn row(
    kind: &str,
    [namespace, name]: [String; 2],
    schedule: String,
    status: Option<TriggerStatus>,
) -> Row {
    let status = status.unwrap_or_default();
    let time =
        |it: Option<jiff::Timestamp>| it.map_or_else(|| "-".to_owned(), |it| format!("{it:.0}"));
    let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
    let ready = ready.map_or_else(
        || "-".to_owned(),
        |it| match it.status.as_str() {
            "True" => "True".to_owned(),
            _ => format!("{}: {}", it.reason, it.message),
        },
    );
    let state = format!("{:?}", status.state);
    let (last, next) = (time(status.last_run), time(status.next_run));
    [namespace, kind.to_owned(), name, state, schedule, last, next, ready]
}

/// Columns as wide as what is in them; the last one takes what is left.
fn table(rows: &[Row]) -> Vec<String> {
    let all: Vec<Row> =
        std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().cloned()).collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| all.iter().map(|it| it[column].chars().count()).max().unwrap_or_default())
        .collect();
    let line = |row: &Row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}
