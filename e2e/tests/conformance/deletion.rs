//! How does an object end, and what does the one who ends it hear?

use serde_json::{Value, json};

use crate::{
    answers::{causes, core, grouped, names, said, version},
    ground::{Answer, Ground},
};

async fn make(ground: &Ground, metadata: Value) -> (String, Answer) {
    let maps = core(ground, "configmaps");
    let name = metadata["name"].as_str().unwrap().to_owned();
    let made = ground.post(&maps, &json!({ "metadata": metadata })).await;
    assert_eq!(made.code, 201, "{}", made.text);
    (format!("{maps}/{name}"), made)
}

/// What is gone at once is answered with a `Status` that says which object it was.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#deleting-resources>
#[tokio::test]
async fn an_end_is_answered_with_a_status() {
    let ground = Ground::new().await;
    let (one, made) = make(&ground, json!({ "name": "one" })).await;

    let ended = ground.delete(&one, &Value::Null).await;
    let again = ground.delete(&one, &Value::Null).await;

    let uid = &made.json()["metadata"]["uid"];
    let status = ended.json();
    assert_eq!((&status["kind"], &status["status"]), (&"Status".into(), &"Success".into()));
    assert_eq!(status["details"], json!({ "name": "one", "kind": "configmaps", "uid": uid }));
    assert_eq!((ended.code, again.code), (200, 404));
}

/// Some kinds are answered with the object that was.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/service-account-v1/>
#[tokio::test]
async fn some_ends_are_answered_with_the_object() {
    let ground = Ground::new().await;
    let accounts = core(&ground, "serviceaccounts");
    let made = ground.post(&accounts, &json!({ "metadata": { "name": "one" } })).await;

    let ended = ground.delete(&format!("{accounts}/one"), &Value::Null).await;

    assert_eq!((ended.code, &ended.json()["kind"]), (200, &"ServiceAccount".into()));
    assert!(version(&ended).parse::<u64>().unwrap() > version(&made).parse().unwrap());
}

/// An object with finalizers is only marked: it stays until the last of them is taken away.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn finalizers_hold_an_object() {
    let ground = Ground::new().await;
    let finalizers = json!(["example.com/a", "example.com/b"]);
    let (one, _) = make(&ground, json!({ "name": "one", "finalizers": finalizers })).await;

    let marked = ground.delete(&one, &Value::Null).await;
    let left = json!({ "metadata": { "finalizers": ["example.com/b"] } });
    let held = ground.patch(&one, "merge", &left).await;
    let freed = ground.patch(&one, "merge", &json!({ "metadata": { "finalizers": null } })).await;

    assert_eq!((marked.code, &marked.json()["kind"]), (200, &"ConfigMap".into()));
    let metadata = &marked.json()["metadata"];
    assert!(metadata["deletionTimestamp"].is_string());
    assert_eq!(metadata["deletionGracePeriodSeconds"], 0);
    assert_eq!((held.code, freed.code), (200, 200));
    assert_eq!(freed.json()["metadata"].get("finalizers"), None);
    assert_eq!(ground.get(&one).await.code, 404);
}

/// A second deletion changes nothing of what is marked.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn a_second_deletion_changes_nothing() {
    let ground = Ground::new().await;
    let (one, _) = make(&ground, json!({ "name": "one", "finalizers": ["example.com/a"] })).await;

    let first = ground.delete(&one, &Value::Null).await;
    let second = ground.delete(&one, &Value::Null).await;

    assert_eq!(first.json(), second.json());
}

/// What is to end takes no more finalizers: 422.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn what_ends_takes_no_more_finalizers() {
    let ground = Ground::new().await;
    let (one, _) = make(&ground, json!({ "name": "one", "finalizers": ["example.com/a"] })).await;
    ground.delete(&one, &Value::Null).await;

    let more = json!({ "metadata": { "finalizers": ["example.com/a", "example.com/b"] } });
    let refused = ground.patch(&one, "merge", &more).await;

    assert_eq!(
        said(&refused),
        (
            422,
            "Invalid".to_owned(),
            "ConfigMap \"one\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be \
             added if the object is being deleted, found new finalizers \
             []string{\"example.com/b\"}"
                .to_owned()
        )
    );
}

/// A deletion cannot be taken back, but what is to end can still change.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn a_deletion_is_not_taken_back() {
    let ground = Ground::new().await;
    let (one, _) = make(&ground, json!({ "name": "one", "finalizers": ["example.com/a"] })).await;
    let marked = ground.delete(&one, &Value::Null).await.json();

    let back = json!({
        "metadata": { "deletionTimestamp": null, "labels": { "a": "b" } }, "data": { "k": "v" },
    });
    let changed = ground.patch(&one, "merge", &back).await.json();

    assert_eq!(changed["data"], json!({ "k": "v" }));
    assert_eq!(changed["metadata"]["labels"], json!({ "a": "b" }));
    assert_eq!(changed["metadata"]["deletionTimestamp"], marked["metadata"]["deletionTimestamp"]);
}

/// The name of what is to end is taken until it has ended, and the refusal says so.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn what_ends_keeps_its_name() {
    let ground = Ground::new().await;
    let (one, _) = make(&ground, json!({ "name": "one", "finalizers": ["example.com/a"] })).await;
    ground.delete(&one, &Value::Null).await;

    let body = json!({ "metadata": { "name": "one" } });
    let refused = ground.post(&core(&ground, "configmaps"), &body).await;

    let message = "object is being deleted: configmaps \"one\" already exists";
    assert_eq!(said(&refused), (409, "AlreadyExists".to_owned(), message.to_owned()));
}

/// A deletion may be for one version alone: another gets 409 `Conflict`.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/delete-options/>
#[tokio::test]
async fn a_deletion_may_be_for_one_version_alone() {
    let ground = Ground::new().await;
    let (one, made) = make(&ground, json!({ "name": "one" })).await;
    let delete = async |version: &str| {
        ground.delete(&one, &json!({ "preconditions": { "resourceVersion": version } })).await
    };

    let other = delete("1").await;
    let own = delete(&version(&made)).await;

    let message = format!(
        "Operation cannot be fulfilled on ConfigMap \"one\": the ResourceVersion in the precondition \
         (1) does not match the ResourceVersion in record ({}). The object might have been modified",
        version(&made)
    );
    assert_eq!(said(&other), (409, "Conflict".to_owned(), message));
    assert_eq!(own.code, 200);
}

/// How dependents are treated has three names; another gets 422.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#cascading-deletion>
#[tokio::test]
async fn dependents_are_treated_in_three_ways() {
    let ground = Ground::new().await;
    let (one, _) = make(&ground, json!({ "name": "one" })).await;

    let odd = ground.delete(&one, &json!({ "propagationPolicy": "Odd" })).await;
    let both = json!({ "propagationPolicy": "Orphan", "orphanDependents": true });
    let both = ground.delete(&one, &both).await;
    let by_query = ground.delete(&format!("{one}?propagationPolicy=Odd"), &Value::Null).await;

    let cause = "Unsupported value: \"Odd\": supported values: \"Foreground\", \"Background\", \
                 \"Orphan\", \"nil\"";
    for answer in [odd, by_query] {
        assert_eq!(causes(&answer), [("propagationPolicy".to_owned(), cause.to_owned())]);
        assert_eq!(
            (answer.code, &answer.json()["details"]["kind"]),
            (422, &"DeleteOptions".into())
        );
    }
    assert!(said(&both).2.ends_with("orphanDependents and deletionPropagation cannot be both set"));
    assert_eq!(ground.get(&one).await.code, 200);
}

/// A foreground deletion holds the object with a finalizer of its own, an orphaning one with another.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion>
#[tokio::test]
async fn who_waits_for_dependents_is_held() {
    let ground = Ground::new().await;

    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        let name = policy.to_lowercase();
        let (one, _) = make(&ground, json!({ "name": name })).await;

        let path = format!("{one}?propagationPolicy={policy}");
        let marked = ground.delete(&path, &Value::Null).await.json();

        assert_eq!(marked["metadata"]["finalizers"], json!([finalizer]));
        assert!(marked["metadata"]["deletionTimestamp"].is_string());
    }
}

/// A deletion can be rehearsed, by its query or by its body.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
#[tokio::test]
async fn a_deletion_can_be_rehearsed() {
    let ground = Ground::new().await;
    let (one, _) = make(&ground, json!({ "name": "one" })).await;

    let by_query = ground.delete(&format!("{one}?dryRun=All"), &Value::Null).await;
    let by_body = ground.delete(&one, &json!({ "dryRun": ["All"] })).await;
    let odd = ground.delete(&one, &json!({ "dryRun": ["Some"] })).await;

    for answer in [by_query, by_body] {
        assert_eq!((answer.code, &answer.json()["status"]), (200, &"Success".into()));
    }
    assert_eq!((odd.code, causes(&odd)[0].0.as_str()), (422, "dryRun"));
    assert_eq!(ground.get(&one).await.code, 200);
}

/// All that a selector takes can be deleted at once; the answer is the list of it.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#api-verbs>
#[tokio::test]
async fn a_selection_can_be_deleted() {
    let ground = Ground::new().await;
    for (name, color) in [("a", "red"), ("b", "red"), ("c", "blue")] {
        make(&ground, json!({ "name": name, "labels": { "color": color } })).await;
    }
    let maps = core(&ground, "configmaps");

    let red = ground.delete(&format!("{maps}?labelSelector=color%3Dred"), &Value::Null).await;
    let left = ground.get(&format!("{maps}?labelSelector=color")).await;
    let one = ground.delete(&format!("{maps}?fieldSelector=metadata.name%3Dc"), &Value::Null).await;

    assert_eq!(
        (red.json()["kind"].as_str(), names(&red)),
        (Some("ConfigMapList"), vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(names(&left), ["c"]);
    assert_eq!(names(&one), ["c"]);
    assert_eq!(names(&ground.get(&format!("{maps}?labelSelector=color")).await), [""; 0]);
}

/// The deletion of many can be rehearsed, and refused for how it is asked.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
#[tokio::test]
async fn a_deletion_of_many_is_asked_for_in_the_right_words() {
    let ground = Ground::new().await;
    make(&ground, json!({ "name": "a", "labels": { "mine": "yes" } })).await;
    let mine = format!("{}?labelSelector=mine", core(&ground, "configmaps"));

    let dry = ground.delete(&format!("{mine}&dryRun=All"), &Value::Null).await;
    let policy = ground.delete(&format!("{mine}&propagationPolicy=Odd"), &Value::Null).await;
    let uid = ground.delete(&mine, &json!({ "preconditions": { "uid": "other" } })).await;
    let field = format!("{}?fieldSelector=data%3Dx", core(&ground, "configmaps"));
    let field = ground.delete(&field, &Value::Null).await;

    assert_eq!((names(&dry), policy.code), (vec!["a".to_owned()], 422));
    assert_eq!((uid.code, field.code), (409, 400));
    assert_eq!(names(&ground.get(&mine).await), ["a"]);
}

/// What finalizers hold is marked when many are deleted, and stays.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn a_deletion_of_many_waits_for_finalizers() {
    let ground = Ground::new().await;
    let labels = json!({ "mine": "yes" });
    make(&ground, json!({ "name": "a", "labels": labels })).await;
    let held = json!({ "name": "b", "labels": labels, "finalizers": ["example.com/a"] });
    let (b, _) = make(&ground, held).await;
    let mine = format!("{}?labelSelector=mine", core(&ground, "configmaps"));

    let ended = ground.delete(&mine, &Value::Null).await;

    assert_eq!(names(&ended), ["a", "b"]);
    assert_eq!(names(&ground.get(&mine).await), ["b"]);
    assert!(ground.get(&b).await.json()["metadata"]["deletionTimestamp"].is_string());
    ground.patch(&b, "merge", &json!({ "metadata": { "finalizers": null } })).await;
}

/// A deletion raises the generation of what has one, for the object is now wanted otherwise.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>
#[tokio::test]
async fn a_deletion_raises_the_generation() {
    let ground = Ground::new().await;
    let jobs = grouped(&ground, "batch/v1", "jobs");
    let template = json!({ "spec": {
        "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }],
    } });
    let body = json!({
        "metadata": { "name": "one", "finalizers": ["example.com/a"] },
        "spec": { "suspend": true, "template": template },
    });
    assert_eq!(ground.post(&jobs, &body).await.json()["metadata"]["generation"], 1);

    let path = format!("{jobs}/one?propagationPolicy=Background");
    let marked = ground.delete(&path, &Value::Null).await.json();

    assert_eq!(marked["metadata"]["generation"], 2);
    let freed = json!({ "metadata": { "finalizers": null } });
    ground.patch(&format!("{jobs}/one"), "merge", &freed).await;
}

/// A Pod that runs on no node ends at once; one on a node gets the time it asked for.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>
#[tokio::test]
async fn a_pod_on_a_node_gets_time() {
    let ground = Ground::new().await;
    let pods = core(&ground, "pods");
    let make = async |name: &str, node: Value| {
        let spec = json!({ "nodeName": node, "containers": [{ "name": "c", "image": "i" }] });
        let made = ground.post(&pods, &json!({ "metadata": { "name": name }, "spec": spec })).await;
        assert_eq!(made.code, 201, "{}", made.text);
    };
    make("free", Value::Null).await;
    make("bound", json!("nowhere")).await;
    let bound = format!("{pods}/bound");

    let free = ground.delete(&format!("{pods}/free"), &Value::Null).await;
    let long = ground.delete(&bound, &Value::Null).await.json();
    let short = ground.delete(&bound, &json!({ "gracePeriodSeconds": 5 })).await.json();
    let longer = ground.delete(&bound, &json!({ "gracePeriodSeconds": 50 })).await.json();
    let now = ground.delete(&bound, &json!({ "gracePeriodSeconds": 0 })).await;

    assert_eq!(free.json()["metadata"]["deletionGracePeriodSeconds"], 0);
    let grace = |it: &Value| it["metadata"]["deletionGracePeriodSeconds"].clone();
    assert_eq!([grace(&long), grace(&short), grace(&longer)], [30, 5, 5]);
    assert_eq!(now.code, 200);
    for name in ["free", "bound"] {
        assert_eq!(ground.get(&format!("{pods}/{name}")).await.code, 404, "{name}");
    }
}

/// A deletion of a Job warns of the Pods it leaves, unless it says what is to become of them.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup>
#[tokio::test]
async fn a_job_warns_of_the_pods_it_leaves() {
    let ground = Ground::new().await;
    let jobs = grouped(&ground, "batch/v1", "jobs");
    let template = json!({ "spec": {
        "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }],
    } });
    let body = json!({
        "metadata": { "name": "one" }, "spec": { "suspend": true, "template": template },
    });
    ground.post(&jobs, &body).await;
    let one = format!("{jobs}/one");

    let unsaid = ground.delete(&format!("{one}?dryRun=All"), &Value::Null).await;
    let said = format!("{one}?dryRun=All&propagationPolicy=Background");
    let said = ground.delete(&said, &Value::Null).await;

    assert_eq!(
        unsaid.headers["warning"],
        "299 - \"child pods are preserved by default when jobs are deleted; set \
         propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this \
         warning\""
    );
    assert_eq!(said.headers.get("warning"), None);
}
