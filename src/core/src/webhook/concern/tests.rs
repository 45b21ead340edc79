//! Which pushes may change what is watched.

use ger_api::WebhookTrigger;
use serde_json::{Value, json};

use super::*;
use crate::names::ClusterName;

const COMMIT: &str = "95790bf891e76fee5e1747ab589903a6a1f80f22";

fn plan(change: impl FnOnce(&mut Value)) -> Plan {
    let mut object = json!({
        "apiVersion": "git-events-runner.rs/v1alpha1",
        "kind": "WebhookTrigger",
        "metadata": { "namespace": "team", "name": "deploy", "uid": "u-1", "generation": 3 },
        "spec": {
            "sources": { "names": ["app"], "watchOn": { "reference": { "branch": "main" } } },
            "webhook": { "matchReference": true },
            "action": { "name": "build" },
        },
    });
    change(&mut object["spec"]);
    let trigger: WebhookTrigger = serde_json::from_value(object).unwrap();
    Plan::of_webhook(&ClusterName::hub(), &trigger).unwrap()
}

fn watching(reference: Value) -> Plan {
    plan(|it| it["sources"]["watchOn"]["reference"] = reference)
}

fn push(refs: Vec<RefChange>) -> Delivery {
    let event = Some(Event::of("push"));
    Delivery { forge: None, event, refs, is_cut: false, id: None }
}

fn moved(name: RefName) -> RefChange {
    RefChange { name, after: Commit::parse(COMMIT).ok(), fate: Fate::Moved }
}

fn deleted(name: RefName) -> RefChange {
    RefChange { name, after: None, fate: Fate::Deleted }
}

fn branch(name: &str) -> RefName {
    RefName::Branch(name.to_owned())
}

fn tag(name: &str) -> RefName {
    RefName::Tag(name.to_owned())
}

fn judge(plan: &Plan, delivery: &Delivery) -> Concern {
    let in_range = |range: &str, tag: &str| range == "1.x" && tag.starts_with("v1.");
    concerns(plan, plan.hook.as_ref().unwrap(), delivery, in_range)
}

fn is_looked_at(plan: &Plan, change: RefChange) -> bool {
    matches!(judge(plan, &push(vec![change])), Concern::Look { .. })
}

#[test]
fn a_push_concerns_who_watches_its_reference() {
    let main = watching(json!({ "branch": "main" }));
    let v1 = watching(json!({ "tag": "v1" }));
    let range = watching(json!({ "semver": "1.x" }));
    let commit = watching(json!({ "commit": COMMIT }));

    assert!(is_looked_at(&main, moved(branch("main"))));
    assert!(is_looked_at(&main, moved(RefName::Either("main".to_owned()))));
    assert!(!is_looked_at(&main, moved(branch("evil-main"))));
    assert!(!is_looked_at(&main, moved(branch("main/x"))));
    assert!(!is_looked_at(&main, moved(tag("main"))));
    assert!(!is_looked_at(&main, deleted(branch("main"))), "there is nothing to run");
    assert!(is_looked_at(&v1, moved(tag("v1"))));
    assert!(!is_looked_at(&v1, moved(branch("v1"))));
    assert!(is_looked_at(&range, moved(tag("v1.5"))));
    assert!(is_looked_at(&range, deleted(tag("v1.5"))), "another one is the highest");
    assert!(!is_looked_at(&range, moved(tag("v2.0"))));
    assert!(!is_looked_at(&range, moved(branch("v1.5"))));
    assert!(is_looked_at(&commit, moved(branch("any"))), "any push may bring it");
    assert!(!is_looked_at(&main, moved(RefName::Other("refs/notes/main".to_owned()))));
}

#[test]
fn one_of_many_references_is_enough_and_what_is_not_told_may_be_it() {
    let main = plan(|_| {});
    let many = vec![moved(branch("x")), moved(branch("main"))];
    let cut = Delivery { is_cut: true, ..push(vec![moved(branch("x"))]) };

    assert!(matches!(judge(&main, &push(many)), Concern::Look { hint: Some(_) }));
    assert_eq!(judge(&main, &cut), Concern::Look { hint: None });
    assert_eq!(judge(&main, &push(vec![])), Concern::Look { hint: None });
}

#[test]
fn who_does_not_match_references_looks_at_every_push() {
    let plan = plan(|it| it["webhook"] = json!({ "matchReference": false }));
    assert!(is_looked_at(&plan, moved(branch("other"))));
}

#[test]
fn references_are_matched_for_forges_unless_it_is_said_otherwise() {
    let of = |webhook: Value| plan(|it| it["webhook"] = webhook).hook.unwrap().match_reference;
    let auth = |kind: &str| json!({ "type": kind, "secretRef": { "name": "s" }, "key": "k" });

    assert!(!of(json!({})));
    assert!(!of(json!({ "authConfig": auth("header") })));
    assert!(of(json!({ "authConfig": auth("github") })));
    assert!(!of(json!({ "authConfig": auth("github"), "matchReference": false })));
}

#[test]
fn the_hint_is_of_the_reference_that_is_watched() {
    let hint = |plan: &Plan, name: RefName| match judge(plan, &push(vec![moved(name)])) {
        Concern::Look { hint } => hint,
        Concern::Ping | Concern::Ignored { .. } => panic!("it concerns the trigger"),
    };

    assert!(hint(&plan(|_| {}), branch("main")).is_some());
    assert_eq!(hint(&watching(json!({ "semver": "1.x" })), tag("v1.2")), None);
    assert_eq!(hint(&watching(json!({ "commit": "a".repeat(40) })), branch("main")), None);
}

#[test]
fn events_that_were_not_asked_for_are_named_in_the_answer() {
    let plan = plan(|it| it["webhook"] = json!({ "events": ["Push", "Merge Request Hook"] }));
    let event = |told: &str| {
        let delivery = Delivery { event: Some(Event::of(told)), ..push(vec![]) };
        judge(&plan, &delivery)
    };

    assert_eq!(event("ping"), Concern::Ping);
    assert_eq!(event("diagnostics:ping"), Concern::Ping);
    assert!(matches!(event("Push Hook"), Concern::Look { .. }));
    assert!(matches!(event("repo:push"), Concern::Look { .. }));
    assert!(matches!(event("Merge Request Hook"), Concern::Look { .. }));
    let Concern::Ignored { why } = event("Issue Hook") else { panic!("it was not asked for") };
    assert!(why.contains("issue hook") && why.contains("push"), "{why}");
}

#[test]
fn what_is_told_back_is_short() {
    let plan = plan(|_| {});
    let Concern::Ignored { why } = judge(&plan, &push(vec![moved(branch(&"x".repeat(100_000)))]))
    else {
        panic!("it is another branch")
    };
    assert!(why.len() < 300, "{}", why.len());
}

/// GitLab calls it `Tag Push Hook` in a header, and `tag_push` in its payloads and its API.
#[test]
fn gitlab_s_own_words_for_an_event_count() {
    let wants = |word: &str| plan(|it| it["webhook"] = json!({ "events": [word] }));
    let happened = |told: &str| Delivery { event: Some(Event::of(told)), ..push(vec![]) };
    let counts = |word: &str, told: &str| {
        matches!(judge(&wants(word), &happened(told)), Concern::Look { .. })
    };

    assert!(counts("tag_push", "Tag Push Hook"));
    assert!(counts("Tag Push Hook", "Tag Push Hook"));
    assert!(counts("push", "Tag Push Hook"), "a push of branches and tags");
    assert!(!counts("tag_push", "Push Hook"), "a branch's");
    assert!(counts("merge_request", "Merge Request Hook"));
}
