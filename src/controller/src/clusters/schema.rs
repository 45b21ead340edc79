//! Do the CRDs of a cluster hold what we record? Asked of its OpenAPI, before anything is recorded there.
//!
//! An API server drops fields that a schema does not know without a word: a ledger in such a status would
//! forget its runs, and run everything again.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use ger_api::crd;
use http::Request;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::cluster::Cluster;
use super::error::{Fault, shorten};
use super::state::{Condition, Reason, SCHEMA, Trouble};
use super::streak::Streak;
use super::{Settings, Shared};

/// Where an API server says what our kinds are like there. Whoever is known may read it.
const PATH: &str = "/openapi/v3/apis/git-events-runner.rs/v1alpha1";
/// The kinds whose status is a ledger.
const KINDS: [&str; 2] = ["ScheduleTrigger", "WebhookTrigger"];
/// CRDs that are good are looked at again after this, or when somebody doubts them.
const AGAIN: Duration = Duration::from_hours(1);
/// After CRDs were changed, the document follows within seconds.
const SETTLES: Duration = Duration::from_secs(10);
/// How many fields are named that are missing.
const NAMED: usize = 3;

/// Looks at the CRDs until the session ends.
pub(super) async fn watch(cluster: &Cluster, settings: &Settings, shared: &Shared) {
    let mut streak = Streak::new(SCHEMA);
    loop {
        let wait = match look(cluster, settings).await {
            Ok(()) => {
                streak.is_over();
                cluster.report(SCHEMA, Condition::Working, shared).await;
                AGAIN
            }
            Err(fault) => streak.failed(cluster, fault, (settings, shared)).await,
        };
        tokio::select! {
            biased;
            () = sleep(wait) => {}
            // Not at once: what was just changed is in the document a moment later.
            () = cluster.doubted() => sleep(SETTLES).await,
        }
    }
}

async fn look(cluster: &Cluster, settings: &Settings) -> Result<(), Fault> {
    let what = "get the OpenAPI of our kinds";
    let request = Request::get(PATH).body(Vec::new());
    let request = request.map_err(|_| Fault::nonsense("the OpenAPI cannot be asked for"))?;
    let asking = cluster.client().request::<Value>(request);
    let answer = timeout(settings.request_timeout, asking).await;
    match answer.map_err(|_| Fault::timed_out(what, settings.request_timeout))? {
        Ok(document) => judge(&document),
        // Nothing is there, or nothing is shown: the streams say the one, and each record is tried first.
        Err(kube::Error::Api(answer)) if matches!(answer.code, 403 | 404 | 406) => Ok(()),
        Err(error) => Err(Fault::from_kube(what, &error)),
    }
}

/// Whether the document knows every field of a ledger.
fn judge(document: &Value) -> Result<(), Fault> {
    for kind in KINDS {
        let (Some(ours), Some(theirs)) = (OURS.get(kind), theirs(document, kind)) else { continue };
        let mut missing = Vec::new();
        compare(ours, theirs, "status", &mut missing);
        if missing.is_empty() {
            continue;
        }
        let more = if missing.len() > NAMED { " and more" } else { "" };
        missing.truncate(NAMED);
        let text = shorten(&format!("CRDs are too old: {kind} lacks {}{more}", missing.join(", ")));
        let trouble = Trouble { reason: Reason::CrdsTooOld, text };
        return Err(Fault { trouble, relist: false, retry_after: None, weight: 1 });
    }
    Ok(())
}

/// The schemas of the ledgers, as this release has them.
static OURS: LazyLock<BTreeMap<&str, Value>> =
    LazyLock::new(|| KINDS.iter().filter_map(|it| Some((*it, ours(it)?))).collect());

fn ours(kind: &str) -> Option<Value> {
    let crd = crd::all().into_iter().find(|it| it.spec.names.kind == kind)?;
    let version = crd.spec.versions.into_iter().find(|it| it.name == "v1alpha1")?;
    let schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
    schema.pointer("/properties/status").cloned()
}

/// The same, as the cluster has it. A schema that keeps everything knows everything.
fn theirs<'a>(document: &'a Value, kind: &str) -> Option<&'a Value> {
    let schemas = document.pointer("/components/schemas")?.as_object()?;
    let is_kind = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        let is = |it: &Value| it["kind"] == kind && it["version"] == "v1alpha1";
        kinds.is_some_and(|it| it.iter().any(is))
    };
    let schema = schemas.values().find(is_kind)?;
    if keeps_all(schema) {
        return None;
    }
    Some(schema.pointer("/properties/status").unwrap_or(&Value::Null))
}

fn keeps_all(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

/// Collects the paths that `ours` has and `theirs` would drop.
fn compare(ours: &Value, theirs: &Value, path: &str, missing: &mut Vec<String>) {
    if keeps_all(theirs) {
        return;
    }
    if theirs.is_null() {
        missing.push(path.to_owned());
        return;
    }
    for (name, field) in ours["properties"].as_object().into_iter().flatten() {
        compare(field, &theirs["properties"][name], &format!("{path}.{name}"), missing);
    }
    if ours["items"].is_object() {
        compare(&ours["items"], &theirs["items"], &format!("{path}[]"), missing);
    }
    if ours["additionalProperties"].is_object() {
        let (mine, theirs) = (&ours["additionalProperties"], &theirs["additionalProperties"]);
        if *theirs != true {
            compare(mine, theirs, &format!("{path}.*"), missing);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(change: impl Fn(&mut Value)) -> Value {
        let mut status = ours("ScheduleTrigger").unwrap();
        change(&mut status);
        let kinds = json!([{ "group": "git-events-runner.rs", "kind": "ScheduleTrigger", "version": "v1alpha1" }]);
        let schema =
            json!({ "x-kubernetes-group-version-kind": kinds, "properties": { "status": status } });
        json!({ "components": { "schemas": { "rs.git-events-runner.v1alpha1.ScheduleTrigger": schema } } })
    }

    fn said(change: impl Fn(&mut Value)) -> Option<String> {
        judge(&document(change)).err().map(|it| it.trouble.text)
    }

    fn remove(schema: &mut Value, pointer: &str, field: &str) {
        schema.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
    }

    #[test]
    fn crds_of_this_release_and_of_later_ones_hold_a_ledger() {
        assert_eq!(said(|_| {}), None);
        assert_eq!(said(|it| it["properties"]["later"] = json!({ "type": "string" })), None);
    }

    #[test]
    fn a_field_that_would_be_dropped_is_named_with_its_path() {
        let said = said(|it| {
            remove(it, "/properties/runs/items/properties", "jobUid");
            remove(it, "/properties", "sequence");
        });

        let expected =
            "CRDs are too old: ScheduleTrigger lacks status.runs[].jobUid, status.sequence";
        assert_eq!(said.as_deref(), Some(expected));
    }

    /// As the original's CRDs are: a status that knows nothing of runs.
    #[test]
    fn a_status_without_a_ledger_is_too_old() {
        let said = said(|it| {
            let fields = it["properties"].as_object_mut().unwrap();
            fields
                .retain(|name, _| ["state", "lastRun", "checkedSources"].contains(&name.as_str()));
        });

        assert!(said.unwrap().ends_with(" and more"));
    }

    #[test]
    fn a_schema_that_keeps_unknown_fields_drops_none() {
        let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        assert_eq!(said(|it| *it = open.clone()), None);
    }
}
