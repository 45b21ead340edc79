//! Does the controller do with its rights what the charts grant, all of it and nothing else?

use std::collections::{BTreeMap, BTreeSet};

use e2e::objects::APPS;
use e2e::{Cluster, Fleet, Step, Work, mins, rights, secs, story, trigger};
use ger_api::status::RunPhase;
use git_events_runner::rights::{Area, Place, rules};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube_sandbox::{Access, Scope};
use serde_json::json;

use crate::admission::of_app;

/// One verb on one resource, where a chart grants it.
type Grant = (Area, String, String, String);

/// Neither a verb too few nor one too many: a life that has everything in it, on the hub and in a spoke.
#[test]
fn the_charts_grant_what_is_used_and_nothing_else() {
    let used = rights::used_in(a_life_with_everything_in_it);

    for place in [Place::Hub, Place::Spoke] {
        let used: Vec<&Access> = used
            .iter()
            .filter(|(at, it)| *at == place && !is_everybodys(it))
            .map(|(_, it)| it)
            .collect();
        let granted = granted(place);
        let allows = |(area, group, resource, verb): &Grant, it: &Access| {
            *group == it.group && *resource == named(it) && *verb == it.verb && is_in(*area, it)
        };
        let missing: Vec<_> =
            used.iter().filter(|it| !granted.iter().any(|grant| allows(grant, it))).collect();
        assert!(missing.is_empty(), "{place:?}: add to the chart's rbac/*.yaml: {missing:#?}");
        let idle: Vec<_> =
            granted.iter().filter(|grant| !used.iter().any(|it| allows(grant, it))).collect();
        assert!(
            idle.is_empty(),
            "{place:?}: nothing uses what the chart's rbac/*.yaml grants: take it away, or let \
             `a_life_with_everything_in_it` use it: {idle:#?}"
        );
    }
}

/// A verb without a reason is one that nobody has thought about.
#[test]
fn each_verb_has_its_reason_in_the_table_of_the_docs() {
    let told = told();

    let granted: BTreeSet<Grant> =
        [Place::Hub, Place::Spoke].into_iter().flat_map(granted).collect();
    for grant in &granted {
        let why =
            told.get(grant).unwrap_or_else(|| panic!("docs/permissions.md: no row for {grant:?}"));
        assert!(why.len() > 20, "docs/permissions.md: {grant:?} has no reason: {why:?}");
    }
    let stale: Vec<&Grant> = told.keys().filter(|it| !granted.contains(it)).collect();
    assert!(stale.is_empty(), "docs/permissions.md has rows for what no chart grants: {stale:?}");
}

/// A controller that is limited to namespaces says elsewhere that it may not, and harms nobody.
#[test]
fn where_the_controller_may_start_nothing_a_run_waits_and_says_why() {
    story!(Virtual, async {
        let fleet = Fleet::builder().spokes(["edge"]).limited_to([APPS]).start().await;
        for cluster in [fleet.hub(), fleet.spoke("edge")] {
            let name = cluster.name().to_owned();
            cluster.create_namespace("closed").await;
            let (open, closed) =
                (fleet.repo(&format!("{name}-open")), fleet.repo(&format!("{name}-closed")));
            let (here, there) = (open.push(), closed.push());

            let kept = trigger("deploy").within("closed").watching(&closed);
            let kept = cluster.apply(&kept).await;
            cluster.apply(&trigger("deploy").watching(&open)).await;

            cluster.done_for(&here, secs(30)).await;
            let said = cluster.until_condition(&kept, ("Ready", "False", "Forbidden")).await;
            assert!(said.message.contains("cannot create resource"), "{}", said.message);
            assert_eq!(cluster.jobs_for(&there).await.len(), 0);

            rights::widen(&cluster.admin(), &name).await;
            cluster.done_for(&there, mins(2)).await;
        }
    });
}

fn a_life_with_everything_in_it() {
    story!(Virtual, async {
        let builder = Fleet::builder().spokes(["edge"]);
        let fleet = builder.max_running(1).waiting(mins(600)).start().await;
        let clusters = [fleet.hub(), fleet.spoke("edge")];
        for cluster in &clusters {
            one_runs_and_one_waits(&fleet, cluster).await;
        }
        fleet.pass(mins(70)).await;
        for cluster in &clusters {
            what_waits_is_taken_back_or_renewed(&fleet, cluster).await;
            what_somebody_deletes_is_asked_about(&fleet, cluster).await;
            what_the_original_left_is_taken_over(cluster).await;
        }
        fleet.stop(&replica(&fleet)).await;
    });
}

fn replica(fleet: &Fleet) -> String {
    fleet.holdings().remove(0).0
}

async fn one_runs_and_one_waits(fleet: &Fleet, cluster: &Cluster) {
    cluster.work(Work::Lasts);
    let busy = fleet.repo(&format!("{}-busy", cluster.name()));
    let first = busy.push();
    // Whether the Job is the run's is read from it, when nobody knows whether it was created.
    fleet.lose_answer(&replica(fleet), Step::JobCreated);
    cluster.apply(&trigger("busy").every("1h").watching(&busy)).await;
    cluster.job_for(&first, secs(60)).await;
    // The token of an App is copied for its Job, and so is what is in another namespace.
    let app = fleet.repo(&format!("{}-app", cluster.name()));
    let waiting = app.push();
    of_app(cluster, &app).await;
    let deploy = trigger("deploy").every("1h").named(app.name()).alone();
    let deploy = cluster.apply(&deploy).await;
    cluster.until_run(&deploy, &waiting, RunPhase::Queued).await;
}

async fn what_waits_is_taken_back_or_renewed(fleet: &Fleet, cluster: &Cluster) {
    let unwanted = fleet.repo(&format!("{}-unwanted", cluster.name()));
    let never = unwanted.push();
    let gone = cluster.apply(&trigger("unwanted").watching(&unwanted)).await;
    cluster.until_run(&gone, &never, RunPhase::Queued).await;
    cluster.delete_trigger(&gone).await;
    let is_gone = async || cluster.jobs_for(&never).await[0].is_gone.then_some(());
    cluster.until(mins(2), "the Job of a trigger that is gone goes", is_gone).await;

    cluster.work(Work::Succeeds(secs(1)));
    let app = fleet.repo(&format!("{}-app", cluster.name()));
    cluster.done_for(&app.head("main").unwrap(), mins(2)).await;
}

/// What was said of a Job may tell how it ended that somebody deletes while it runs.
async fn what_somebody_deletes_is_asked_about(fleet: &Fleet, cluster: &Cluster) {
    cluster.work(Work::Lasts);
    let lost = fleet.repo(&format!("{}-lost", cluster.name()));
    let commit = lost.push();
    let deploy = cluster.apply(&trigger("lost").watching(&lost)).await;
    let run = cluster.until_run(&deploy, &commit, RunPhase::Running).await;
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": run.job, "namespace": APPS },
    });
    cluster.delete(&job).await;
    cluster.until_run(&deploy, &commit, RunPhase::Deleted).await;
}

async fn what_the_original_left_is_taken_over(cluster: &Cluster) {
    let deploy = cluster.apply(&trigger("left").named("nothing").alone()).await;
    let finalizer = "scheduletriggers.git-events-runner.rs";
    cluster.edit(&deploy, &json!({ "metadata": { "finalizers": [finalizer] } })).await;
    cluster.put(&hook()).await;

    let is_free = async || cluster.finalizers(&deploy).await.is_empty().then_some(());
    cluster.until(mins(2), "the original's finalizer is removed", is_free).await;
    let is_judged = async || cluster.webhook_condition("hook", "Ready").await;
    cluster.until(mins(2), "the webhook trigger is judged", is_judged).await;
}

/// A webhook trigger whose source is not there.
fn hook() -> serde_json::Value {
    json!({
        "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "WebhookTrigger",
        "metadata": { "name": "hook", "namespace": APPS },
        "spec": {
            "sources": { "kind": "GitRepo", "names": ["nothing"] },
            "action": { "kind": "Action", "name": "run" },
            "webhook": {},
        },
    })
}

/// All that a chart grants, a verb at a time.
fn granted(place: Place) -> BTreeSet<Grant> {
    let of = |area: Area| rules(place, area).into_iter().flat_map(move |it| each(area, &it));
    Area::ALL.into_iter().flat_map(of).collect()
}

fn each(area: Area, rule: &PolicyRule) -> Vec<Grant> {
    let mut all = Vec::new();
    let resources = rule.resources.iter().flatten();
    for resource in resources {
        for group in rule.api_groups.iter().flatten() {
            let grant = |verb: &String| (area, group.clone(), resource.clone(), verb.clone());
            all.extend(rule.verbs.iter().map(grant));
        }
    }
    all
}

/// What Kubernetes lets everybody ask about himself: `system:basic-user`.
fn is_everybodys(it: &Access) -> bool {
    it.verb == "create" && it.resource.starts_with("selfsubject")
}

fn named(it: &Access) -> String {
    match it.subresource.as_str() {
        "" => it.resource.clone(),
        part => format!("{}/{part}", it.resource),
    }
}

/// Whether the rules of an area are needed for this: what is listed in one namespace needs no rule for all.
fn is_in(area: Area, it: &Access) -> bool {
    match (area, it.verb.as_str()) {
        (Area::Everywhere, "list" | "watch") => it.scope == Scope::Cluster,
        (Area::Everywhere, _) => true,
        (Area::Home | Area::Jobs | Area::Secrets, _) => it.scope == Scope::Namespace,
    }
}

/// The table of reasons, a verb at a time.
fn told() -> BTreeMap<Grant, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/permissions.md");
    let text = std::fs::read_to_string(path).unwrap();
    let area = |name: &str| Area::ALL.into_iter().find(|it| it.name() == name);
    let words = |cell: &str| -> Vec<String> {
        let bare = cell.split(',').map(|it| it.trim().trim_matches('`'));
        bare.map(|it| if it == "core" { String::new() } else { it.to_owned() }).collect()
    };
    let mut told = BTreeMap::new();
    for line in text.lines().skip_while(|it| *it != "## Rules") {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [first, group, resources, verbs, why] = cells.as_slice() else { continue };
        let Some(area) = area(first) else { continue };
        for resource in words(resources) {
            for verb in words(verbs) {
                let grant = (area, words(group).remove(0), resource.clone(), verb);
                let again = told.insert(grant.clone(), (*why).to_owned());
                assert!(again.is_none(), "docs/permissions.md tells {grant:?} twice");
            }
        }
    }
    assert!(told.len() > 20, "the table was not found");
    told
}
