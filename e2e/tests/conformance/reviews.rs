//! What somebody may do, asked and not tried.

use serde_json::{Value, json};

use crate::ground::Ground;
use crate::people::{Person, rule, said};

const ACCESS: &str = "/apis/authorization.k8s.io/v1";
const WHO: &str = "/apis/authentication.k8s.io/v1";

fn about(namespace: &str, verb: &str, resource: &str) -> Value {
    json!({ "namespace": namespace, "verb": verb, "resource": resource })
}

/// A SelfSubjectAccessReview answers 201 with whether the one who asks may, and by which binding.
/// <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>
#[tokio::test]
async fn somebody_asks_for_themselves() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &json!([rule("", &["configmaps"], &["get"])])).await;
    let path = format!("{ACCESS}/selfsubjectaccessreviews");
    let ask = |verb| json!({ "spec": { "resourceAttributes": about(ground.namespace(), verb, "configmaps") } });

    let may = jane.post(&path, &ask("get")).await;
    let may_not = jane.post(&path, &ask("list")).await.json();

    assert_eq!(may.code, 201, "{}", may.text);
    let may = may.json();
    assert_eq!(
        (&may["kind"], &may["apiVersion"]),
        (&json!("SelfSubjectAccessReview"), &json!("authorization.k8s.io/v1"))
    );
    assert_eq!(may["spec"], ask("get")["spec"]);
    let reason = format!(
        "RBAC: allowed by RoleBinding \"{0}/{1}\" of Role \"{0}\" to User \"{0}\"",
        jane.name,
        ground.namespace()
    );
    assert_eq!(may["status"], json!({ "allowed": true, "reason": reason }));
    assert_eq!(may_not["status"], json!({ "allowed": false }));
}

/// Administrators are told that they may, without a reason.
/// <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>
#[tokio::test]
async fn an_administrator_may_do_everything() {
    let ground = Ground::new().await;
    let spec =
        json!({ "resourceAttributes": { "verb": "fly", "group": "none", "resource": "kites" } });

    let path = format!("{ACCESS}/selfsubjectaccessreviews");
    let answer = ground.post(&path, &json!({ "spec": spec })).await.json();

    assert_eq!(answer["status"], json!({ "allowed": true }));
}

/// A SubjectAccessReview asks for somebody else, by user or by group; groups are taken as they are given.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/>
#[tokio::test]
async fn one_asks_for_another() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &json!([rule("apps", &["*/scale"], &["*"])])).await;
    let path = format!("{ACCESS}/subjectaccessreviews");
    let asked = async |user: &str, groups: &[&str], subresource: &str| {
        let about = json!({
            "namespace": ground.namespace(), "verb": "patch", "group": "apps",
            "resource": "deployments", "subresource": subresource, "name": "x",
        });
        let spec = json!({ "user": user, "groups": groups, "resourceAttributes": about });
        let answer = ground.post(&path, &json!({ "spec": spec })).await;
        assert_eq!(answer.code, 201, "{}", answer.text);
        answer.json()["status"]["allowed"].clone()
    };

    assert_eq!(asked(&jane.name, &[], "scale").await, true);
    assert_eq!(asked(&jane.name, &[], "status").await, false);
    assert_eq!(asked(&jane.name, &[], "").await, false);
    assert_eq!(asked("joe", &[], "scale").await, false);
    assert_eq!(asked("joe", &["system:masters"], "").await, true);
}

/// Paths are asked about like resources; known users may look at the API's health.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-access-review-v1/>
#[tokio::test]
async fn one_asks_about_paths() {
    let ground = Ground::new().await;
    let jane = Person::new(&ground).await;
    let path = format!("{ACCESS}/selfsubjectaccessreviews");
    let ask = |path: &str| json!({ "spec": { "nonResourceAttributes": { "path": path, "verb": "get" } } });

    let health = jane.post(&path, &ask("/healthz")).await.json();
    let metrics = jane.post(&path, &ask("/metrics")).await.json();

    assert_eq!(health["status"]["allowed"], true);
    let reason = health["status"]["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("RBAC: allowed by ClusterRoleBinding \"system:"), "{reason}");
    assert_eq!(metrics["status"], json!({ "allowed": false }));
}

/// A LocalSubjectAccessReview asks within its own namespace alone.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/local-subject-access-review-v1/>
#[tokio::test]
async fn one_asks_within_a_namespace() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &json!([rule("", &["configmaps"], &["get"])])).await;
    let path = format!("{ACCESS}/namespaces/{}/localsubjectaccessreviews", ground.namespace());
    let ask = |namespace: &str| json!({ "spec": { "user": jane.name, "resourceAttributes": about(namespace, "get", "configmaps") } });

    let here = ground.post(&path, &ask(ground.namespace())).await;
    let there = said(&ground.post(&path, &ask("default")).await);

    assert_eq!((here.code, &here.json()["status"]["allowed"]), (201, &json!(true)));
    assert_eq!(here.json()["metadata"]["namespace"], ground.namespace());
    let expected = ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: Invalid \
        value: \"default\": must match metadata.namespace";
    assert_eq!(there, (422, expected.to_owned()));
}

/// A review is about a resource or a path, and a review of somebody names them.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/>
#[tokio::test]
async fn a_review_must_say_who_and_what() {
    let ground = Ground::new().await;
    let own = format!("{ACCESS}/selfsubjectaccessreviews");
    let others = format!("{ACCESS}/subjectaccessreviews");
    let resource = about("default", "get", "pods");

    let nothing = said(&ground.post(&own, &json!({ "spec": {} })).await);
    let both = json!({ "resourceAttributes": resource, "nonResourceAttributes": { "path": "/x" } });
    let both = said(&ground.post(&own, &json!({ "spec": both })).await);
    let nobody = json!({ "spec": { "resourceAttributes": resource } });
    let nobody = said(&ground.post(&others, &nobody).await);

    let invalid = |what: &str| (422, format!(".authorization.k8s.io \"\" is invalid: {what}"));
    assert_eq!(
        nothing,
        invalid(
            "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
    );
    assert_eq!(
        both,
        invalid(
            "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"\"}: cannot be specified in combination with resourceAttributes"
        )
    );
    assert_eq!(
        nobody,
        invalid("spec.user: Invalid value: \"\": at least one of user or group must be specified")
    );
}

/// A SelfSubjectRulesReview lists what the one who asks may do in a namespace.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-rules-review-v1/>
#[tokio::test]
async fn somebody_lists_their_rules() {
    let ground = Ground::new().await;
    let mut held = rule("", &["configmaps"], &["get", "list"]);
    held["resourceNames"] = json!(["one"]);
    let jane = Person::with(&ground, &json!([held])).await;
    let path = format!("{ACCESS}/selfsubjectrulesreviews");

    let here = jane.post(&path, &json!({ "spec": { "namespace": ground.namespace() } })).await;
    let there = jane.post(&path, &json!({ "spec": { "namespace": "default" } })).await.json();
    let nowhere = said(&jane.post(&path, &json!({ "spec": {} })).await);

    assert_eq!(here.code, 201, "{}", here.text);
    let status = here.json()["status"].clone();
    let own = json!({ "verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"] });
    let rules = |status: &Value| status["resourceRules"].as_array().cloned().unwrap_or_default();
    assert_eq!(status["incomplete"], false);
    assert!(rules(&status).contains(&held) && rules(&status).contains(&own), "{status}");
    assert!(!rules(&there["status"]).contains(&held), "{there}");
    assert_eq!(nowhere, (400, "no namespace on request".to_owned()));
}

/// Everybody may ask for themselves; for others only who may create such reviews.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#discovery-roles>
#[tokio::test]
async fn not_everybody_may_ask_for_others() {
    let ground = Ground::new().await;
    let jane = Person::new(&ground).await;
    let spec =
        json!({ "spec": { "user": "joe", "resourceAttributes": about("default", "get", "pods") } });

    let own = jane.post(&format!("{WHO}/selfsubjectreviews"), &json!({})).await;
    let access = said(&jane.post(&format!("{ACCESS}/subjectaccessreviews"), &spec).await);
    let token = said(
        &jane.post(&format!("{WHO}/tokenreviews"), &json!({ "spec": { "token": "x" } })).await,
    );

    assert_eq!(own.code, 201, "{}", own.text);
    let denied = |what: &str, group: &str| {
        let message = format!(
            "{what}.{group} is forbidden: User {:?} cannot create resource {what:?} in API group \
             {group:?} at the cluster scope",
            jane.name
        );
        (403, message)
    };
    assert_eq!(access, denied("subjectaccessreviews", "authorization.k8s.io"));
    assert_eq!(token, denied("tokenreviews", "authentication.k8s.io"));
}

/// Reviews are created and nothing else: 405 for other methods, 404 for what would be one of them.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn reviews_are_not_kept() {
    let ground = Ground::new().await;
    let path = format!("{ACCESS}/selfsubjectaccessreviews");

    let codes = [
        ground.get(&path).await.code,
        ground.delete(&path, &Value::Null).await.code,
        ground.get(&format!("{path}/x")).await.code,
        ground.put(&format!("{path}/x"), &json!({})).await.code,
    ];

    assert_eq!(codes, [405, 405, 404, 404]);
    let reason = ground.get(&path).await.json()["reason"].clone();
    assert_eq!(reason, "MethodNotAllowed");
}

/// Discovery shows reviews with the verb `create` alone.
/// <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>
#[tokio::test]
async fn reviews_are_discovered() {
    let ground = Ground::new().await;

    let access = ground.get(ACCESS).await.json();
    let who = ground.get(WHO).await.json();

    let names = |list: &Value| -> Vec<String> {
        let list = list["resources"].as_array().unwrap();
        assert!(list.iter().all(|it| it["verbs"] == json!(["create"])), "{list:?}");
        list.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    let expected = [
        "localsubjectaccessreviews",
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
        "subjectaccessreviews",
    ];
    assert_eq!(names(&access), expected);
    assert_eq!(names(&who), ["selfsubjectreviews", "tokenreviews"]);
}
