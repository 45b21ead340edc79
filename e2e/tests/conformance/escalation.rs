//! Who may give what to whom.

use serde_json::{Value, json};

use crate::ground::Ground;
use crate::people::{Person, binding, rule, said};

fn home(ground: &Ground) -> String {
    format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}", ground.namespace())
}

/// What it takes to write roles and bindings, and to read ConfigMaps.
fn writer() -> Value {
    json!([
        rule("", &["configmaps"], &["get"]),
        rule(
            "rbac.authorization.k8s.io",
            &["roles", "rolebindings"],
            &["create", "update", "patch", "get"]
        ),
    ])
}

fn role(name: &str, rules: &[Value]) -> Value {
    json!({ "metadata": { "name": name }, "rules": rules })
}

/// The refusal of a gift, with the lines that are missing.
fn refused(person: &Person, (what, name): (&str, &str), missing: &[&str]) -> (u16, String) {
    let message = format!(
        "{what}.rbac.authorization.k8s.io {name:?} is forbidden: user {:?} \
         (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently \
         held:\n{}",
        person.name,
        missing.join("\n")
    );
    (403, message)
}

/// Who writes a role must hold all that it gives; the refusal lists what is missing.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#restrictions-on-role-creation-or-update>
#[tokio::test]
async fn nobody_writes_a_role_beyond_their_own() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &writer()).await;
    let roles = format!("{}/roles", home(&ground));

    let own = jane.post(&roles, &role("own", &[rule("", &["configmaps"], &["get"])])).await;
    let more = rule("", &["secrets", "configmaps", "pods"], &["get", "list"]);
    let beyond = said(&jane.post(&roles, &role("more", &[more])).await);
    let all = said(&jane.post(&roles, &role("all", &[rule("*", &["*"], &["*"])])).await);

    assert_eq!(own.code, 201, "{}", own.text);
    let missing = [
        r#"{APIGroups:[""], Resources:["configmaps"], Verbs:["list"]}"#,
        r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#,
        r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}"#,
    ];
    assert_eq!(beyond, refused(&jane, ("roles", "more"), &missing));
    let missing = [r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#];
    assert_eq!(all, refused(&jane, ("roles", "all"), &missing));
}

/// The same holds for every change of a role, by PUT or by PATCH.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#restrictions-on-role-creation-or-update>
#[tokio::test]
async fn nobody_extends_a_role_beyond_their_own() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &writer()).await;
    let roles = format!("{}/roles", home(&ground));
    let path = format!("{roles}/own");
    jane.post(&roles, &role("own", &[rule("", &["configmaps"], &["get"])])).await;
    let more = role("own", &[rule("", &["secrets"], &["get"])]);

    let put = said(&jane.put(&path, &more).await);
    let patched = said(&jane.patch(&path, &json!({ "rules": more["rules"] })).await);
    let labelled = jane.patch(&path, &json!({ "metadata": { "labels": { "a": "b" } } })).await;

    let missing = [r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}"#];
    assert_eq!(put, refused(&jane, ("roles", "own"), &missing));
    assert_eq!(patched, put);
    assert_eq!(labelled.code, 200, "{}", labelled.text);
}

/// Names limit what is held: whoever may read one object cannot give the right to read all.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#restrictions-on-role-creation-or-update>
#[tokio::test]
async fn names_limit_what_can_be_given() {
    let ground = Ground::new().await;
    let named = |name: &str| {
        let mut rule = rule("", &["secrets"], &["get"]);
        rule["resourceNames"] = json!([name]);
        rule
    };
    let mut rules = writer();
    rules.as_array_mut().unwrap().insert(0, named("one"));
    let jane = Person::with(&ground, &rules).await;
    let roles = format!("{}/roles", home(&ground));

    let one = jane.post(&roles, &role("one", &[named("one")])).await;
    let two = said(&jane.post(&roles, &role("two", &[named("two")])).await);
    let all = said(&jane.post(&roles, &role("all", &[rule("", &["secrets"], &["get"])])).await);

    assert_eq!(one.code, 201, "{}", one.text);
    let missing =
        [r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["two"], Verbs:["get"]}"#];
    assert_eq!(two, refused(&jane, ("roles", "two"), &missing));
    let missing = [r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}"#];
    assert_eq!(all, refused(&jane, ("roles", "all"), &missing));
}

/// The verb `escalate` on roles lifts that.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#restrictions-on-role-creation-or-update>
#[tokio::test]
async fn who_may_escalate_writes_any_role() {
    let ground = Ground::new().await;
    let verbs = ["create", "escalate"];
    let rules = json!([rule("rbac.authorization.k8s.io", &["roles"], &verbs)]);
    let jane = Person::with(&ground, &rules).await;

    let all = role("all", &[rule("*", &["*"], &["*"])]);
    let made = jane.post(&format!("{}/roles", home(&ground)), &all).await;

    assert_eq!(made.code, 201, "{}", made.text);
}

/// Who binds to a role must hold all that the role gives.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#restrictions-on-role-binding-creation-or-update>
#[tokio::test]
async fn nobody_binds_beyond_their_own() {
    let ground = Ground::new().await;
    let jane = Person::with(&ground, &writer()).await;
    let bindings = format!("{}/rolebindings", home(&ground));
    let joe = json!({ "kind": "User", "name": "joe" });
    let to = |name: &str, kind: &str, role: &str| binding(name, (kind, role, &joe));

    let own = jane.post(&bindings, &to("own", "Role", &jane.name)).await;
    let admin = said(&jane.post(&bindings, &to("admin", "ClusterRole", "cluster-admin")).await);
    let none = said(&jane.post(&bindings, &to("none", "Role", "missing")).await);

    assert_eq!(own.code, 201, "{}", own.text);
    let missing = [
        r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#,
        r#"{NonResourceURLs:["*"], Verbs:["*"]}"#,
    ];
    assert_eq!(admin, refused(&jane, ("rolebindings", "admin"), &missing));
    let not_found = "rolebindings.rbac.authorization.k8s.io \"missing\" not found".to_owned();
    assert_eq!(none, (404, not_found));
}

/// The verb `bind` on a role lifts that for the roles it names.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#restrictions-on-role-binding-creation-or-update>
#[tokio::test]
async fn who_may_bind_gives_a_role_away() {
    let ground = Ground::new().await;
    let group = "rbac.authorization.k8s.io";
    let mut bind = rule(group, &["clusterroles"], &["bind"]);
    bind["resourceNames"] = json!(["cluster-admin"]);
    let rules = json!([rule(group, &["rolebindings"], &["create"]), bind]);
    let jane = Person::with(&ground, &rules).await;
    let bindings = format!("{}/rolebindings", home(&ground));
    let joe = json!({ "kind": "User", "name": "joe" });

    let named = binding("one", ("ClusterRole", "cluster-admin", &joe));
    let named = jane.post(&bindings, &named).await;
    let other = binding("two", ("ClusterRole", "system:auth-delegator", &joe));
    let other = jane.post(&bindings, &other).await;

    assert_eq!((named.code, other.code), (201, 403), "{} {}", named.text, other.text);
}

/// What a binding refers to never changes; who is bound may.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#clusterrolebinding-example>
#[tokio::test]
async fn a_binding_keeps_its_role() {
    let ground = Ground::new().await;
    let bindings = format!("{}/rolebindings", home(&ground));
    let joe = json!({ "kind": "User", "name": "joe" });
    ground.post(&bindings, &binding("one", ("Role", "first", &joe))).await;
    let path = format!("{bindings}/one");

    let moved = said(&ground.put(&path, &binding("one", ("Role", "second", &joe))).await);
    let group = json!({ "kind": "Group", "name": "all" });
    let others = ground.put(&path, &binding("one", ("Role", "first", &group))).await;

    let expected = "RoleBinding.rbac.authorization.k8s.io \"one\" is invalid: roleRef: Invalid value: \
         {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\"Name\":\"second\"}: cannot \
         change roleRef";
    assert_eq!(moved, (422, expected.to_owned()));
    assert_eq!(others.code, 200, "{}", others.text);
    assert_eq!(others.json()["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
}

/// A rule needs verbs, groups and resources; in a namespace it has no paths.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/role-v1/>
#[tokio::test]
async fn a_rule_must_say_what_it_gives() {
    let ground = Ground::new().await;
    let rules = [
        json!({ "apiGroups": [""], "resources": ["pods"] }),
        json!({ "verbs": ["get"] }),
        json!({ "nonResourceURLs": ["/x"], "verbs": ["get"] }),
    ];

    let refused = ground.post(&format!("{}/roles", home(&ground)), &role("one", &rules)).await;

    assert_eq!(refused.code, 422);
    let causes = refused.json()["details"]["causes"].clone();
    let lines: Vec<String> = causes
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{}: {}", it["field"].as_str().unwrap(), it["message"].as_str().unwrap()))
        .collect();
    let expected = [
        "rules[0].verbs: Required value: verbs must contain at least one value",
        "rules[1].apiGroups: Required value: resource rules must supply at least one api group",
        "rules[1].resources: Required value: resource rules must supply at least one resource",
        "rules[2].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to \
         non-resource URLs",
    ];
    assert_eq!(lines, expected);
}

/// A rule is for resources or for paths, never for both.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/cluster-role-v1/>
#[tokio::test]
async fn a_rule_is_for_resources_or_for_paths() {
    let ground = Ground::new().await;
    let name = ground.unique("both");
    let mut both = rule("", &["pods"], &["get"]);
    both["nonResourceURLs"] = json!(["/x"]);
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

    let refused = said(&ground.post(path, &role(&name, &[both])).await);

    let expected = format!(
        "ClusterRole.rbac.authorization.k8s.io {name:?} is invalid: rules[0].nonResourceURLs: \
         Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs"
    );
    assert_eq!(refused, (422, expected));
}

/// A binding names a role of a kind that it can give, and subjects of kinds that there are.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/role-binding-v1/>
#[tokio::test]
async fn a_binding_must_say_who_and_what() {
    let ground = Ground::new().await;
    let bindings = format!("{}/rolebindings", home(&ground));
    let body = json!({
        "metadata": { "name": "one" },
        "roleRef": { "apiGroup": "x", "kind": "Foo", "name": "" },
        "subjects": [
            { "kind": "User" }, { "kind": "Bar", "name": "x" },
            { "kind": "User", "apiGroup": "z", "name": "q" },
        ],
    });

    let refused = said(&ground.post(&bindings, &body).await);

    let expected = "RoleBinding.rbac.authorization.k8s.io \"one\" is invalid: [roleRef.apiGroup: \
        Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\", roleRef.kind: \
        Unsupported value: \"Foo\": supported values: \"Role\", \"ClusterRole\", roleRef.name: \
        Required value, subjects[0].name: Required value, subjects[1].kind: Unsupported value: \
        \"Bar\": supported values: \"ServiceAccount\", \"User\", \"Group\", subjects[2].apiGroup: \
        Unsupported value: \"z\": supported values: \"rbac.authorization.k8s.io\"]";
    assert_eq!(refused, (422, expected.to_owned()));
}

/// A ClusterRoleBinding gives cluster roles alone, and its service accounts have namespaces.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/cluster-role-binding-v1/>
#[tokio::test]
async fn a_cluster_binding_gives_cluster_roles() {
    let ground = Ground::new().await;
    let name = ground.unique("cluster");
    let robot = json!({ "kind": "ServiceAccount", "name": "robot" });
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

    let refused = ground.post(path, &binding(&name, ("Role", "x", &robot))).await;

    let expected = format!(
        "ClusterRoleBinding.rbac.authorization.k8s.io {name:?} is invalid: [roleRef.kind: \
         Unsupported value: \"Role\": supported values: \"ClusterRole\", subjects[0].namespace: \
         Required value]"
    );
    assert_eq!(said(&refused), (422, expected));
}
