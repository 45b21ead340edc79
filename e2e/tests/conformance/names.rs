//! What may an object be called, and what may its metadata say?

use serde_json::{Value, json};

use crate::{
    answers::{causes, core, grouped, said},
    ground::{Answer, Ground},
};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

async fn create(ground: &Ground, metadata: Value) -> Answer {
    ground.post(&core(ground, "configmaps"), &json!({ "metadata": metadata })).await
}

/// Most names are DNS subdomains; another gets 422 `Invalid` that names the field, the value and the rule.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>
#[tokio::test]
async fn a_name_is_a_subdomain() {
    let ground = Ground::new().await;

    for name in ["Upper", "under_score", "-dash", "dot.", "sp ace", "a..b", "slash/ed"] {
        let refused = create(&ground, json!({ "name": name })).await;

        let (code, reason, message) = said(&refused);
        assert_eq!((code, reason.as_str()), (422, "Invalid"), "{name}");
        let cause = format!("Invalid value: {name:?}: {SUBDOMAIN}");
        assert_eq!(message, format!("ConfigMap {name:?} is invalid: metadata.name: {cause}"));
        assert_eq!(causes(&refused), [("metadata.name".to_owned(), cause)]);
        assert_eq!(refused.json()["details"]["kind"], "ConfigMap");
    }
    for name in ["a", "0", "a-b.c-d", "1.2.3"] {
        assert_eq!(create(&ground, json!({ "name": name })).await.code, 201, "{name}");
    }
}

/// A name has at most 253 characters.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>
#[tokio::test]
async fn a_name_has_a_longest_length() {
    let ground = Ground::new().await;

    let longest = create(&ground, json!({ "name": "a".repeat(253) })).await;
    let longer = create(&ground, json!({ "name": "a".repeat(254) })).await;

    assert_eq!(longest.code, 201, "{}", longest.text);
    assert_eq!(longer.code, 422);
    assert!(causes(&longer)[0].1.ends_with("must be no more than 253 characters"));
}

/// Namespaces and Services are named by DNS labels: shorter, and without dots.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>
#[tokio::test]
async fn some_names_are_labels() {
    let ground = Ground::new().await;
    let body = |name: &str| json!({ "metadata": { "name": name } });

    let dotted = ground.post("/api/v1/namespaces", &body("a.b")).await;
    let long = ground.post("/api/v1/namespaces", &body(&"a".repeat(64))).await;
    let mut service = body("a.b");
    service["spec"] = json!({ "ports": [{ "port": 80 }] });
    let service = ground.post(&core(&ground, "services"), &service).await;

    assert_eq!(causes(&dotted)[0].1, r#"Invalid value: "a.b": must not contain dots"#);
    assert!(causes(&long)[0].1.ends_with("must be no more than 63 characters"), "{}", long.text);
    assert_eq!(causes(&service)[0].1, r#"Invalid value: "a.b": must not contain dots"#);
}

/// Names of roles are any that fit between the slashes of a path.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#path-segment-names>
#[tokio::test]
async fn some_names_are_segments_of_a_path() {
    let ground = Ground::new().await;
    let roles = grouped(&ground, "rbac.authorization.k8s.io/v1", "roles");
    let create = async |name: &str| {
        let body = json!({ "metadata": { "name": name }, "rules": [] });
        ground.post(&roles, &body).await
    };

    assert_eq!(create("system:Any_thing").await.code, 201);
    assert_eq!(causes(&create("a/b").await)[0].1, r#"Invalid value: "a/b": may not contain '/'"#);
    assert_eq!(causes(&create("a%b").await)[0].1, r#"Invalid value: "a%b": may not contain '%'"#);
    assert_eq!(causes(&create(".").await)[0].1, r#"Invalid value: ".": may not be '.'"#);
}

/// An object has a name, or something to make one of.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
#[tokio::test]
async fn an_object_without_a_name_is_refused() {
    let ground = Ground::new().await;

    let refused = create(&ground, json!({})).await;

    let cause = "Required value: name or generateName is required";
    assert_eq!(
        said(&refused),
        (422, "Invalid".to_owned(), format!(r#"ConfigMap "" is invalid: metadata.name: {cause}"#))
    );
    assert_eq!(causes(&refused), [("metadata.name".to_owned(), cause.to_owned())]);
}

/// `generateName` is a prefix to which the server appends five characters of its own.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#generated-values>
#[tokio::test]
async fn a_name_is_made_of_its_prefix() {
    let ground = Ground::new().await;

    let one = create(&ground, json!({ "generateName": "made-" })).await.json();
    let two = create(&ground, json!({ "generateName": "made-" })).await.json();

    let name = |it: &Value| it["metadata"]["name"].as_str().unwrap().to_owned();
    assert_ne!(name(&one), name(&two));
    for made in [&one, &two] {
        let suffix = name(made).strip_prefix("made-").unwrap().to_owned();
        assert_eq!(suffix.len(), 5, "{suffix}");
        assert!(suffix.chars().all(|it| "bcdfghjklmnpqrstvwxz2456789".contains(it)), "{suffix}");
        assert_eq!(made["metadata"]["generateName"], "made-");
    }
}

/// A prefix that leaves no room for the suffix is cut, so that the name has 63 characters.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#generated-values>
#[tokio::test]
async fn a_long_prefix_is_cut() {
    let ground = Ground::new().await;

    let made = create(&ground, json!({ "generateName": "p".repeat(70) })).await.json();

    let name = made["metadata"]["name"].as_str().unwrap();
    assert_eq!(name.len(), 63);
    assert!(name.starts_with(&"p".repeat(58)));
    assert_eq!(made["metadata"]["generateName"], "p".repeat(70));
}

/// A name that is given wins over one that would be made.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#generated-values>
#[tokio::test]
async fn a_given_name_wins() {
    let ground = Ground::new().await;

    let made = create(&ground, json!({ "name": "given", "generateName": "made-" })).await.json();

    assert_eq!(made["metadata"]["name"], "given");
    assert_eq!(made["metadata"]["generateName"], "made-");
}

/// A prefix is judged like a name, and so is what was made of it.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#generated-values>
#[tokio::test]
async fn a_prefix_is_judged_like_a_name() {
    let ground = Ground::new().await;

    let refused = create(&ground, json!({ "generateName": "Bad_" })).await;

    let fields: Vec<String> = causes(&refused).into_iter().map(|(field, _)| field).collect();
    assert_eq!(refused.code, 422);
    assert_eq!(fields, ["metadata.generateName", "metadata.name"]);
}

/// Keys of labels are qualified names; values are short words.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
#[tokio::test]
async fn labels_have_a_syntax() {
    let ground = Ground::new().await;
    let labelled = async |key: &str, value: &str| {
        let metadata = json!({ "name": "labelled", "labels": { key: value } });
        causes(&create(&ground, metadata).await)
    };

    assert!(labelled("bad key", "v").await[0].1.starts_with(
        "Invalid value: \"bad key\": name part must consist of alphanumeric characters"
    ));
    assert!(labelled("k", "bad value").await[0].1.starts_with(
        "Invalid value: \"bad value\": a valid label must be an empty string or consist of"
    ));
    let long = "x".repeat(64);
    assert!(labelled("k", &long).await[0].1.ends_with("must be no more than 63 bytes"));
    assert!(labelled(&long, "v").await[0].1.ends_with("name part must be no more than 63 bytes"));
    assert!(labelled("/k", "v").await[0].1.ends_with("prefix part must be non-empty"));
    assert!(
        labelled("a/b/c", "v").await[0]
            .1
            .starts_with("Invalid value: \"a/b/c\": a valid label key must consist of")
    );
    assert_eq!(labelled("example.com/Key_1", "Value.2").await, []);
}

/// Keys of annotations are like those of labels; their values are free, up to 256 KiB in all.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set>
#[tokio::test]
async fn annotations_have_a_size() {
    let ground = Ground::new().await;

    let odd = create(&ground, json!({ "name": "a", "annotations": { "bad key": "v" } })).await;
    let big = json!({ "name": "a", "annotations": { "k": "v".repeat(256 * 1024) } });
    let big = create(&ground, big).await;
    let free = create(&ground, json!({ "name": "a", "annotations": { "K/k": "{\n}" } })).await;

    assert_eq!(causes(&odd)[0].0, "metadata.annotations");
    assert_eq!(causes(&big)[0].1, "Too long: may not be more than 262144 bytes");
    assert_eq!(free.code, 201, "{}", free.text);
}

/// A finalizer is named with a domain, but for the few that Kubernetes knows itself.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn finalizers_are_qualified() {
    let ground = Ground::new().await;

    let bare = create(&ground, json!({ "name": "a", "finalizers": ["bare"] })).await;
    let both = json!({ "name": "a", "finalizers": ["orphan", "foregroundDeletion"] });
    let both = create(&ground, both).await;

    let cause = "Invalid value: \"bare\": name is neither a standard finalizer name nor is it fully \
                 qualified";
    assert_eq!(causes(&bare), [("metadata.finalizers[0]".to_owned(), cause.to_owned())]);
    assert!(
        causes(&both)[0].1.ends_with("finalizer orphan and foregroundDeletion cannot be both set")
    );
}

/// An owner is named in full, may not be an Event, and only one of several is the controller.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/>
#[tokio::test]
async fn owners_are_named_in_full() {
    let ground = Ground::new().await;
    let owned = async |owners: Value| {
        causes(&create(&ground, json!({ "name": "a", "ownerReferences": owners })).await)
    };
    let owner = |kind: &str, name: &str| json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": name, "controller": true });

    let fields: Vec<String> = owned(json!([{}])).await.into_iter().map(|it| it.0).collect();
    let event = owned(json!([owner("Event", "e")])).await;
    let two = owned(json!([owner("Pod", "x"), owner("Pod", "y")])).await;

    let path = "metadata.ownerReferences";
    assert_eq!(fields, ["apiVersion", "kind", "name", "uid"].map(|it| format!("{path}.{it}")));
    assert!(event[0].1.ends_with("/v1, Kind=Event is disallowed from being an owner"));
    assert!(two[0].1.ends_with(
        "Only one reference can have Controller set to true. Found \"true\" in references for Pod/x \
         and Pod/y"
    ));
}

/// Keys of a ConfigMap are names of files.
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-object>
#[tokio::test]
async fn keys_of_data_are_names_of_files() {
    let ground = Ground::new().await;
    let body = json!({ "metadata": { "name": "a" }, "data": { "not a file": "" } });

    let refused = ground.post(&core(&ground, "configmaps"), &body).await;

    assert_eq!(refused.code, 422);
    assert_eq!(causes(&refused)[0].0, "data[not a file]");
}
