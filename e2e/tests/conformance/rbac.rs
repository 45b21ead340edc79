//! Who may do what.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::{Value, json};

use crate::ground::{Ground, refusal};
use crate::people::{Person, bind, grant, rule, said};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Who is bound to no role gets 403 `Forbidden`, and the message says who, what and where.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>
#[tokio::test]
async fn who_is_bound_to_nothing_may_do_nothing() {
    let ground = Ground::new().await;
    let mallory = ground.client_with(|it| it.impersonate = Some("mallory".to_owned())).await;
    let api = Api::<ConfigMap>::namespaced(mallory, ground.namespace());

    let (code, reason, message) = refusal(api.get("one").await);

    assert_eq!((code, reason.as_str()), (403, "Forbidden"));
    let expected = format!(
        "configmaps \"one\" is forbidden: User \"mallory\" cannot get resource \"configmaps\" in \
         API group \"\" in the namespace \"{}\"",
        ground.namespace()
    );
    assert_eq!(message, expected);
}

/// A role gives the verbs it lists, and every other verb is refused by its own name.
/// <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb>
#[tokio::test]
async fn each_verb_is_given_by_itself() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &json!([rule("", &["configmaps"], &["list"])])).await;
    let home = format!("/api/v1/namespaces/{}/configmaps", ground.namespace());

    let listed = jane.get(&home).await;
    let refused = [
        ("watch", jane.get(&format!("{home}?watch=true")).await),
        ("get", jane.get(&format!("{home}/one")).await),
        ("create", jane.post(&home, &json!({ "metadata": { "name": "one" } })).await),
        ("update", jane.put(&format!("{home}/one"), &json!({})).await),
        ("patch", jane.patch(&format!("{home}/one"), &json!({})).await),
        ("delete", jane.delete(&format!("{home}/one")).await),
        ("deletecollection", jane.delete(&home).await),
    ];

    assert_eq!(listed.code, 200, "{}", listed.text);
    for (verb, answer) in refused {
        let (code, message) = said(&answer);
        assert_eq!(code, 403, "{verb}");
        let part = format!("User {:?} cannot {verb} resource \"configmaps\"", jane.name);
        assert!(message.contains(&part), "{message}");
    }
}

/// A refusal names what it is about in its details: the kind, its group, and the name if there is one.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>
#[tokio::test]
async fn a_refusal_has_details() {
    let ground = Ground::new().await;
    let jane = Person::new(&ground).await;
    let home = format!("/apis/apps/v1/namespaces/{}/deployments", ground.namespace());

    let one = jane.get(&format!("{home}/one/scale")).await.json();
    let all = jane.get(&home).await.json();

    let details = json!({ "name": "one", "group": "apps", "kind": "deployments" });
    assert_eq!(one["details"], details);
    let message = one["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("deployments.apps \"one\" is forbidden: "), "{message}");
    assert!(message.contains("resource \"deployments/scale\" in API group \"apps\""), "{message}");
    assert_eq!(all["details"], json!({ "group": "apps", "kind": "deployments" }));
    let message = all["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("deployments.apps is forbidden: "), "{message}");
}

/// What has no namespace is refused at the cluster scope.
/// <https://kubernetes.io/docs/reference/access-authn-authz/authorization/>
#[tokio::test]
async fn the_cluster_scope_is_named() {
    let ground = Ground::new().await;
    let jane = Person::new(&ground).await;

    let nodes = said(&jane.get("/api/v1/nodes").await);
    let pods = said(&jane.get("/api/v1/pods").await);

    let expected = |what: &str| {
        let message = format!(
            "{what} is forbidden: User {:?} cannot list resource {what:?} in API group \"\" at the \
             cluster scope",
            jane.name
        );
        (403, message)
    };
    assert_eq!(nodes, expected("nodes"));
    assert_eq!(pods, expected("pods"));
}

/// A role of a namespace reaches the namespace's own object, which is within itself.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#role-and-clusterrole>
#[tokio::test]
async fn a_namespace_is_within_itself() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &json!([rule("", &["namespaces"], &["get"])])).await;

    let own = jane.get(&format!("/api/v1/namespaces/{}", ground.namespace())).await;
    let other = said(&jane.get("/api/v1/namespaces/default").await);

    assert_eq!(own.code, 200, "{}", own.text);
    let expected = format!(
        "namespaces \"default\" is forbidden: User {:?} cannot get resource \"namespaces\" in API \
         group \"\" in the namespace \"default\"",
        jane.name
    );
    assert_eq!(other, (403, expected));
}

/// A rule for a resource gives nothing of its subresources, nor theirs anything of it.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources>
#[tokio::test]
async fn subresources_are_given_by_themselves() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &json!([rule("", &["pods"], &["get"])])).await;
    let joe = Person::with(&ground, &json!([rule("", &["pods/log"], &["get"])])).await;
    let pod = format!("/api/v1/namespaces/{}/pods/none", ground.namespace());
    let log = format!("{pod}/log");

    let codes = [
        jane.get(&pod).await.code,
        joe.get(&log).await.code,
        jane.get(&log).await.code,
        joe.get(&pod).await.code,
    ];

    assert_eq!(codes, [404, 404, 403, 403]);
    let (_, message) = said(&jane.get(&log).await);
    assert!(message.contains("cannot get resource \"pods/log\" in API group \"\""), "{message}");
}

/// Names in a rule limit it to these objects, and a list or watch to a field selector for one of them.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources>
#[tokio::test]
async fn a_rule_may_be_for_names() {
    let ground = Ground::new().await;
    let rules = json!([{
        "verbs": ["get", "list", "delete"], "apiGroups": [""], "resources": ["configmaps"],
        "resourceNames": ["one"],
    }]);
    let jane = Person::with(&ground, &rules).await;
    let home = format!("/api/v1/namespaces/{}/configmaps", ground.namespace());
    ground.post(&home, &json!({ "metadata": { "name": "one" } })).await;

    let codes = [
        jane.get(&format!("{home}/one")).await.code,
        jane.get(&format!("{home}/two")).await.code,
        jane.get(&home).await.code,
        jane.get(&format!("{home}?fieldSelector=metadata.name%3Done")).await.code,
        jane.get(&format!("{home}?fieldSelector=metadata.name%3Dtwo")).await.code,
        jane.delete(&home).await.code,
        jane.delete(&format!("{home}/one")).await.code,
    ];

    assert_eq!(codes, [200, 403, 403, 200, 403, 403, 200]);
    let two = said(&jane.get(&format!("{home}?fieldSelector=metadata.name%3Dtwo")).await);
    assert!(two.1.starts_with("configmaps \"two\" is forbidden: "), "{}", two.1);
}

/// The name of a new object is not known when a creation is authorized: names in a rule never allow it.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources>
#[tokio::test]
async fn creation_knows_no_names() {
    let ground = Ground::new().await;
    let rules = json!([{
        "verbs": ["create"], "apiGroups": [""], "resources": ["configmaps"],
        "resourceNames": ["one"],
    }]);
    let jane = Person::with(&ground, &rules).await;
    let home = format!("/api/v1/namespaces/{}/configmaps", ground.namespace());

    let refused = jane.post(&home, &json!({ "metadata": { "name": "one" } })).await;

    assert_eq!(refused.code, 403, "{}", refused.text);
    assert_eq!(refused.json()["details"], json!({ "kind": "configmaps" }));
}

/// A RoleBinding gives a ClusterRole in its own namespace alone, a ClusterRoleBinding in all of them.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#rolebinding-and-clusterrolebinding>
#[tokio::test]
async fn a_cluster_role_reaches_as_far_as_its_binding() {
    let ground = Ground::new().await;
    let rules = json!([rule("", &["configmaps"], &["get"])]);
    let role = ground.unique("reader");
    let body = json!({ "metadata": { "name": role }, "rules": rules });
    assert_eq!(ground.post(&format!("{RBAC}/clusterroles"), &body).await.code, 201);
    let (near, far) = (Person::new(&ground).await, Person::new(&ground).await);
    let subject = |person: &Person| json!({ "kind": "User", "name": person.name });
    bind(&ground, "near", ("ClusterRole", &role, &subject(&near))).await;
    let everywhere = crate::people::binding(&role, ("ClusterRole", &role, &subject(&far)));
    assert_eq!(ground.post(&format!("{RBAC}/clusterrolebindings"), &everywhere).await.code, 201);
    near.holds(&ground, &rules[0]).await;
    far.holds(&ground, &rules[0]).await;
    let here = format!("/api/v1/namespaces/{}/configmaps/none", ground.namespace());
    let there = "/api/v1/namespaces/default/configmaps/none";

    let codes = [
        near.get(&here).await.code,
        near.get(there).await.code,
        far.get(&here).await.code,
        far.get(there).await.code,
    ];

    assert_eq!(codes, [404, 403, 404, 404]);
    ground.delete(&format!("{RBAC}/clusterrolebindings/{role}"), &Value::Null).await;
    ground.delete(&format!("{RBAC}/clusterroles/{role}"), &Value::Null).await;
}

/// A binding to a group gives to whoever is in it.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-subjects>
#[tokio::test]
async fn groups_are_given_rules() {
    let ground = Ground::new().await;
    let group = ground.unique("readers");
    let rules = json!([rule("", &["configmaps"], &["get"])]);
    let jane = Person::in_groups(&ground, "jane", &[&group]).await;
    let joe = Person::named(&ground, "jane").await;
    grant(&ground, "group", (&rules, &json!({ "kind": "Group", "name": group }))).await;
    jane.holds(&ground, &rules[0]).await;
    let path = format!("/api/v1/namespaces/{}/configmaps/none", ground.namespace());

    let codes = (jane.get(&path).await.code, joe.get(&path).await.code);

    assert_eq!(codes, (404, 403));
}

/// A service account is a subject by name and namespace, and a user by `system:serviceaccount:`.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-subjects>
#[tokio::test]
async fn service_accounts_are_given_rules() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let rules = json!([rule("", &["configmaps"], &["get"])]);
    let subject = json!({ "kind": "ServiceAccount", "name": "robot", "namespace": namespace });
    let user = |name: &str| format!("system:serviceaccount:{namespace}:{name}");
    let robot = Person::named(&ground, &user("robot")).await;
    let other = Person::named(&ground, &user("other")).await;
    grant(&ground, "account", (&rules, &subject)).await;
    robot.holds(&ground, &rules[0]).await;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/none");

    let (allowed, refused) = (robot.get(&path).await.code, said(&other.get(&path).await));

    assert_eq!((allowed, refused.0), (404, 403));
    let part = format!("User \"system:serviceaccount:{namespace}:other\" cannot get");
    assert!(refused.1.contains(&part), "{}", refused.1);
}

/// All service accounts of a namespace are in a group of its name.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#service-account-permissions>
#[tokio::test]
async fn accounts_of_a_namespace_are_a_group() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let rules = json!([rule("", &["configmaps"], &["get"])]);
    let group = format!("system:serviceaccounts:{namespace}");
    let robot = format!("system:serviceaccount:{namespace}:robot");
    let robot = Person::named(&ground, &robot).await;
    let stranger = Person::named(&ground, "system:serviceaccount:elsewhere:robot").await;
    grant(&ground, "accounts", (&rules, &json!({ "kind": "Group", "name": group }))).await;
    robot.holds(&ground, &rules[0]).await;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/none");

    let codes = (robot.get(&path).await.code, stranger.get(&path).await.code);

    assert_eq!(codes, (404, 403));
}

/// Paths that are no resources are given by URL, where a star at the end stands for the rest.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources>
#[tokio::test]
async fn paths_are_given_by_url() {
    let ground = Ground::new().await;
    let name = ground.unique("paths");
    let rules = json!([{ "verbs": ["get"], "nonResourceURLs": ["/metrics/*", "/none"] }]);
    let role = json!({ "metadata": { "name": name }, "rules": rules });
    let (jane, joe) = (Person::new(&ground).await, Person::new(&ground).await);
    let subject = json!({ "kind": "User", "name": jane.name });
    let binding = crate::people::binding(&name, ("ClusterRole", &name, &subject));
    assert_eq!(ground.post(&format!("{RBAC}/clusterroles"), &role).await.code, 201);
    assert_eq!(ground.post(&format!("{RBAC}/clusterrolebindings"), &binding).await.code, 201);
    jane.holds(&ground, &rules[0]).await;

    let allowed = (jane.get("/metrics/x/y").await.code, jane.get("/none").await.code);
    let refused = said(&jane.get("/metrics").await);
    let posted = said(&joe.post("/none", &json!({})).await);

    assert_ne!((allowed.0, allowed.1), (403, 403));
    assert!(allowed.0 != 403 && allowed.1 != 403, "{allowed:?}");
    let denied = |name: &str, what: &str| format!("forbidden: User {name:?} cannot {what}");
    assert_eq!(refused, (403, denied(&jane.name, "get path \"/metrics\"")));
    assert_eq!(posted, (403, denied(&joe.name, "post path \"/none\"")));
    ground.delete(&format!("{RBAC}/clusterrolebindings/{name}"), &Value::Null).await;
    ground.delete(&format!("{RBAC}/clusterroles/{name}"), &Value::Null).await;
}

/// Whoever is known may discover what the API serves, and look at its health and version.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#discovery-roles>
#[tokio::test]
async fn everybody_may_discover() {
    let ground = Ground::new().await;
    let jane = Person::new(&ground).await;

    for path in ["/api", "/api/v1", "/apis", "/apis/apps/v1", "/version", "/healthz", "/openapi/v3"]
    {
        assert_eq!(jane.get(path).await.code, 200, "{path}");
    }
    assert_eq!(jane.get("/").await.code, 403);
}

/// What is not served is forbidden all the same to whom it would be: only others hear that it is not there.
/// <https://kubernetes.io/docs/reference/access-authn-authz/authorization/>
#[tokio::test]
async fn authorization_comes_before_everything_else() {
    let ground = Ground::new().await;
    let jane = Person::new(&ground).await;
    let unknown = "/apis/example.com/v1/nothings";
    let home = format!("/api/v1/namespaces/{}/configmaps", ground.namespace());

    let hidden = said(&jane.get(unknown).await);
    let missing = ground.get(unknown).await;
    let request = http::Request::post(&home).header("content-type", "application/json");
    let broken = crate::ground::ask(&jane.client, request, "{").await;

    assert_eq!(hidden.0, 403);
    assert!(hidden.1.starts_with("nothings.example.com is forbidden: "), "{}", hidden.1);
    assert_eq!((missing.code, broken.code), (404, 403));
}

/// A binding may name a role that is not there yet; a refusal tells of it, and the role takes effect when it comes.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#rolebinding-and-clusterrolebinding>
#[tokio::test]
async fn a_binding_may_come_before_its_role() {
    let ground = Ground::new().await;
    let jane = Person::new(&ground).await;
    let subject = json!({ "kind": "User", "name": jane.name });
    bind(&ground, "early", ("Role", "late", &subject)).await;
    let path = format!("/api/v1/namespaces/{}/configmaps/none", ground.namespace());

    let told = async || {
        let (code, message) = said(&jane.get(&path).await);
        let end = ": RBAC: role.rbac.authorization.k8s.io \"late\" not found";
        (code == 403 && message.ends_with(end)).then_some(())
    };
    ground.eventually("a refusal that tells of the missing role", told).await;
    let rules = json!([rule("", &["configmaps"], &["get"])]);
    let role = json!({ "metadata": { "name": "late" }, "rules": rules });
    let home = format!("{RBAC}/namespaces/{}", ground.namespace());
    ground.post(&format!("{home}/roles"), &role).await;
    jane.holds(&ground, &rules[0]).await;

    assert_eq!(jane.get(&path).await.code, 404);
}

/// What was given ends with its binding.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>
#[tokio::test]
async fn what_was_given_is_taken_back() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &json!([rule("", &["configmaps"], &["get"])])).await;
    let path = format!("/api/v1/namespaces/{}/configmaps/none", ground.namespace());
    assert_eq!(jane.get(&path).await.code, 404);

    let home = format!("{RBAC}/namespaces/{}", ground.namespace());
    ground.delete(&format!("{home}/rolebindings/{}", jane.name), &Value::Null).await;

    let is_refused = async || (jane.get(&path).await.code == 403).then_some(());
    ground.eventually("a refusal", is_refused).await;
}

/// A cluster begins with roles that are marked as its own, and administrators bound to one of them.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings>
#[tokio::test]
async fn a_cluster_begins_with_roles() {
    let ground = Ground::new().await;

    let admin = ground.get(&format!("{RBAC}/clusterroles/cluster-admin")).await.json();
    let bound = ground.get(&format!("{RBAC}/clusterrolebindings/cluster-admin")).await.json();

    assert_eq!(admin["metadata"]["labels"]["kubernetes.io/bootstrapping"], "rbac-defaults");
    let everything = json!([
        { "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] },
        { "verbs": ["*"], "nonResourceURLs": ["*"] },
    ]);
    assert_eq!(admin["rules"], everything);
    assert_eq!(bound["subjects"][0]["name"], "system:masters");
    for role in ["admin", "edit", "view", "system:basic-user", "system:discovery"] {
        assert_eq!(ground.get(&format!("{RBAC}/clusterroles/{role}")).await.code, 200, "{role}");
    }
}
