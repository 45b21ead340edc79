//! Who may create what is not there yet, when it is written by a PUT or by an apply?

use http::Request;
use serde_json::{Value, json};

use crate::ground::{Answer, Ground, ask};
use crate::people::{Person, rule, said};

const GROUP: &str = "coordination.k8s.io";

fn lease(name: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": name },
    })
}

async fn apply(person: &Person, path: &str, body: &Value) -> Answer {
    let path = format!("{path}?fieldManager=m");
    let request = Request::patch(path).header("content-type", "application/apply-patch+yaml");
    ask(&person.client, request, &body.to_string()).await
}

/// To write what is not there is to create it, and has to be allowed as that too.
/// <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb>
#[tokio::test]
async fn who_may_not_create_creates_by_no_verb() {
    let ground = Ground::new().await;
    let rules = json!([rule(GROUP, &["leases"], &["update", "patch"])]);
    let jane = Person::with(&ground, &rules).await;
    let leases = ground.path("coordination.k8s.io/v1", "leases");
    let known = ground.post(&leases, &lease("there")).await.json();
    let (one, there) = (format!("{leases}/one"), format!("{leases}/there"));

    let put = jane.put(&one, &lease("one")).await;
    let applied = apply(&jane, &one, &lease("one")).await;
    let body = json!({ "metadata": { "name": "one", "labels": { "a b": "" } } });
    let wrong = jane.put(&one, &body).await;
    let known = [jane.put(&there, &known).await, apply(&jane, &there, &lease("there")).await];

    let message = format!(
        "leases.coordination.k8s.io \"one\" is forbidden: User {:?} cannot create resource \"leases\" in \
         API group \"coordination.k8s.io\" in the namespace {:?}",
        jane.name,
        ground.namespace()
    );
    assert_eq!(said(&put), (403, message.clone()));
    assert_eq!(said(&applied), (403, message));
    assert_eq!(wrong.code, 422, "{}", wrong.text);
    assert_eq!(known.map(|it| it.code), [200, 200]);
    assert_eq!(ground.get(&one).await.code, 404);
}

/// Here the name is known: a rule may be for it alone.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources>
#[tokio::test]
async fn a_name_may_be_created_by_a_put() {
    let ground = Ground::new().await;
    let mut by_name = rule(GROUP, &["leases"], &["create"]);
    by_name["resourceNames"] = json!(["one", "two"]);
    let rules = json!([by_name, rule(GROUP, &["leases"], &["update", "patch"])]);
    let jane = Person::with(&ground, &rules).await;
    jane.holds(&ground, &rules[1]).await;
    let leases = ground.path("coordination.k8s.io/v1", "leases");

    let put = jane.put(&format!("{leases}/one"), &lease("one")).await;
    let applied = apply(&jane, &format!("{leases}/two"), &lease("two")).await;
    let other = jane.put(&format!("{leases}/three"), &lease("three")).await;

    assert_eq!((put.code, applied.code, other.code), (201, 201, 403), "{}", other.text);
}
