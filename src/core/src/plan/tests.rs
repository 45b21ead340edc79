//! Specs that are good, and what is said of those that are not.

use serde_json::{Value, json};

use super::*;

mod sources;

fn trigger(change: impl FnOnce(&mut Value)) -> ScheduleTrigger {
    let mut object = json!({
        "apiVersion": "git-events-runner.rs/v1alpha1",
        "kind": "ScheduleTrigger",
        "metadata": {
            "namespace": "team", "name": "deploy", "uid": "u-1", "generation": 3,
            "annotations": {},
        },
        "spec": {
            "sources": {"names": ["app"]},
            "schedule": {"interval": "10s"},
            "action": {"name": "build"},
        },
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

fn plan(change: impl FnOnce(&mut Value)) -> Result<Plan, WrongConfig> {
    Plan::of_schedule(&ClusterName::hub(), &trigger(change))
}

fn wrong(change: impl FnOnce(&mut Value)) -> (Reason, String) {
    let wrong = plan(change).unwrap_err();
    (wrong.reason, wrong.message)
}

#[test]
fn a_plain_trigger_is_understood_with_its_defaults() {
    let plan = plan(|_| {}).unwrap();

    assert_eq!(plan.key.to_string(), "hub/ScheduleTrigger/team/deploy");
    assert_eq!((plan.uid.as_str(), plan.generation), ("u-1", 3));
    assert_eq!(plan.sources, ["app"]);
    assert_eq!(plan.reference, Reference::Branch("main".to_owned()));
    assert!(plan.on_change_only && !plan.suspend);
    assert_eq!(plan.run_at, None);
}

#[test]
fn names_of_sources_are_few_valid_and_different() {
    let of = |names: Vec<String>| wrong(|it| it["spec"]["sources"]["names"] = json!(names));
    let many: Vec<String> = (0..65).map(|it| format!("app-{it}")).collect();

    for (names, told) in [
        (vec![], "empty"),
        (many, "65 names"),
        (vec!["app".to_owned(), "app".to_owned()], "twice"),
        (vec!["App".to_owned()], "not the name"),
        (vec!["../app".to_owned()], "not the name"),
        (vec![String::new()], "not the name"),
    ] {
        let (reason, message) = of(names);
        assert_eq!(reason, Reason::InvalidSources);
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn references_that_git_would_not_take_are_refused() {
    let of = |kind: &str, name: &str| {
        wrong(|it| it["spec"]["sources"]["watchOn"] = json!({"reference": {kind: name}}))
    };

    for name in
        ["", "-x", "--upload-pack=x", "a..b", "a b", "a.lock", "a//b", "a@{1}", ".a", "a\n", "a."]
    {
        assert_eq!(of("branch", name).0, Reason::InvalidReference, "{name:?}");
        assert_eq!(of("tag", name).0, Reason::InvalidReference, "{name:?}");
    }
    for name in ["main", "a1b2c3", &"A".repeat(40), &"a".repeat(41)] {
        assert_eq!(of("commit", name).0, Reason::InvalidReference, "{name:?}");
    }
    let good = plan(|it| {
        it["spec"]["sources"]["watchOn"] = json!({"reference": {"commit": "a".repeat(64)}});
    });
    assert!(good.is_ok());
}

#[test]
fn schedules_that_cannot_be_followed_are_refused() {
    for schedule in [json!({"interval": "999ms"}), json!({"interval": "10"}), json!({"cron": "x"})]
    {
        assert_eq!(wrong(|it| it["spec"]["schedule"] = schedule).0, Reason::InvalidSchedule);
    }
}

#[test]
fn a_range_of_versions_is_judged_by_its_letters_alone() {
    let of = |range: &str| {
        plan(|it| it["spec"]["sources"]["watchOn"] = json!({"reference": {"semver": range}}))
    };

    for range in [">=1.2 <2", "1.x", "^1.2 || ~2.1.0", "1.2 - 2", "*", ">=1.0.0-rc.1", "=1.2+b"] {
        assert_eq!(of(range).unwrap().reference, Reference::Semver(range.to_owned()));
    }
    for range in ["", " ", "1.x; rm", "$(id)", "ä", "1\n2", "refs/tags/v1", &"1".repeat(257)] {
        assert_eq!(of(range).unwrap_err().reason, Reason::InvalidReference, "{range:?}");
    }
}

#[test]
fn files_are_part_of_a_plan_and_not_of_its_fingerprint() {
    let watching = |files: Value| {
        plan(|it| it["spec"]["sources"]["watchOn"] = json!({"files": files})).unwrap()
    };
    let (some, none) = (watching(json!(["src/**", "!*.md"])), watching(json!([])));

    assert_eq!(some.files.as_deref(), Some(["src/**".to_owned(), "!*.md".to_owned()].as_slice()));
    assert_eq!((none.files.clone(), none.patterns_digest()), (None, None));
    assert_eq!(some.patterns_digest(), some.files.as_deref().map(patterns_digest));
    assert_eq!(some.fingerprint("app", "u"), none.fingerprint("app", "u"));
    let (reason, message) =
        wrong(|it| it["spec"]["sources"]["watchOn"] = json!({"files": ["a", ""]}));
    assert_eq!(reason, Reason::InvalidFiles);
    assert!(message.contains("empty"), "{message}");
}

#[test]
fn a_wish_to_run_now_is_read_from_the_annotations() {
    let run_at =
        |annotations: Value| plan(|it| it["metadata"]["annotations"] = annotations).unwrap().run_at;

    let plain = run_at(json!({RUN_AT: "now"})).unwrap();
    let forced = run_at(json!({RUN_AT: "now", FORCE: "true"})).unwrap();
    let long = run_at(json!({RUN_AT: "x".repeat(10_000)})).unwrap();

    assert_eq!((plain.value.as_str(), plain.forced), ("now", Forced::No));
    assert_eq!(forced.forced, Forced::Yes);
    assert!(long.value.len() <= 64);
    assert_eq!(run_at(json!({FORCE: "true"})), None);
    assert_eq!(run_at(json!({RUN_AT: ""})), None);
}

#[test]
fn a_fingerprint_tells_what_is_watched_apart() {
    let main = plan(|_| {}).unwrap();
    let tag = Plan { reference: Reference::Tag("main".to_owned()), ..main.clone() };
    let range = Plan { reference: Reference::Semver("main".to_owned()), ..main.clone() };
    let print = main.fingerprint("app", "https://git.test/app");

    assert_eq!(print, main.fingerprint("app", "https://git.test/app"));
    for other in [
        main.fingerprint("app", "https://git.test/lib"),
        main.fingerprint("lib", "https://git.test/app"),
        tag.fingerprint("app", "https://git.test/app"),
        range.fingerprint("app", "https://git.test/app"),
    ] {
        assert_ne!(print, other);
    }
}
