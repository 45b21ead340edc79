//! What a server says about itself: groups, resources, versions, health.

use std::collections::BTreeSet;

use http::Request;
use serde_json::{Value, json};

use crate::ground::{Answer, Ground};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/api` lists the versions of the core, and `/apis` all other groups with the version each prefers.
/// <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#unaggregated-discovery>
#[tokio::test]
async fn groups_are_listed_with_their_versions() {
    let ground = Ground::new().await;

    let core = ground.get("/api").await.json();
    let all = ground.get("/apis").await.json();
    let batch = ground.get("/apis/batch").await.json();

    assert_eq!((&core["kind"], &core["versions"]), (&json!("APIVersions"), &json!(["v1"])));
    assert_eq!(all["kind"], "APIGroupList");
    let version = json!({ "groupVersion": "batch/v1", "version": "v1" });
    let listed = find(&all["groups"], "name", "batch");
    assert_eq!(listed["versions"], json!([version]));
    assert_eq!(listed["preferredVersion"], version);
    assert_eq!((&batch["kind"], &batch["name"]), (&json!("APIGroup"), &json!("batch")));
    assert_eq!(batch["preferredVersion"], version);
}

/// A resource says its singular, its short names, its categories and what can be done with it.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn a_resource_says_what_it_is_called_and_takes() {
    let ground = Ground::new().await;

    let apps = ground.get("/apis/apps/v1").await.json();

    assert_eq!(
        (&apps["kind"], &apps["groupVersion"]),
        (&json!("APIResourceList"), &json!("apps/v1"))
    );
    let deployments = find(&apps["resources"], "name", "deployments");
    assert_eq!(deployments["singularName"], "deployment");
    assert_eq!(deployments["kind"], "Deployment");
    assert_eq!(deployments["namespaced"], true);
    assert_eq!(deployments["shortNames"], json!(["deploy"]));
    assert_eq!(deployments["categories"], json!(["all"]));
    let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    assert_eq!(deployments["verbs"], json!(verbs));
    let status = find(&apps["resources"], "name", "deployments/status");
    assert_eq!(status["verbs"], json!(["get", "patch", "update"]));
    assert_eq!((&status["singularName"], &status["kind"]), (&json!(""), &json!("Deployment")));
}

/// Namespaces cannot be deleted together, and end through a subresource of their own.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/>
#[tokio::test]
async fn namespaces_are_deleted_one_by_one() {
    let ground = Ground::new().await;

    let core = ground.get("/api/v1").await.json();

    let namespaces = find(&core["resources"], "name", "namespaces");
    let verbs = ["create", "delete", "get", "list", "patch", "update", "watch"];
    assert_eq!((&namespaces["verbs"], &namespaces["namespaced"]), (&json!(verbs), &json!(false)));
    assert_eq!(find(&core["resources"], "name", "namespaces/finalize")["verbs"], json!(["update"]));
}

/// A subresource names the kind it speaks of where that is not its owner's: evictions are of `policy/v1`.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>
#[tokio::test]
async fn a_subresource_names_its_own_kind() {
    let ground = Ground::new().await;

    let core = ground.get("/api/v1").await.json();

    let eviction = find(&core["resources"], "name", "pods/eviction");
    assert_eq!((&eviction["group"], &eviction["version"]), (&json!("policy"), &json!("v1")));
    assert_eq!((&eviction["kind"], &eviction["verbs"]), (&json!("Eviction"), &json!(["create"])));
    let log = find(&core["resources"], "name", "pods/log");
    assert_eq!((&log["kind"], &log["verbs"]), (&json!("Pod"), &json!(["get"])));
}

/// One document holds all groups with all their resources, for who asks for it.
/// <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery>
#[tokio::test]
async fn discovery_comes_in_one_piece() {
    let ground = Ground::new().await;

    let answer = asking(&ground, "/apis", &format!("{AGGREGATED},application/json")).await;

    assert_eq!(answer.headers["content-type"], AGGREGATED);
    let list = answer.json();
    assert_eq!(list["kind"], "APIGroupDiscoveryList");
    assert_eq!(list["apiVersion"], "apidiscovery.k8s.io/v2");
    let items = list["items"].as_array().unwrap();
    let apps = items.iter().find(|it| it["metadata"]["name"] == "apps").unwrap();
    let version = &apps["versions"][0];
    assert_eq!((&version["version"], &version["freshness"]), (&json!("v1"), &json!("Current")));
    let deployments = find(&version["resources"], "resource", "deployments");
    assert_eq!(deployments["responseKind"]["kind"], "Deployment");
    assert_eq!(deployments["scope"], "Namespaced");
    assert_eq!(deployments["singularResource"], "deployment");
    assert_eq!(deployments["shortNames"], json!(["deploy"]));
    let status = find(&deployments["subresources"], "subresource", "status");
    assert_eq!(status["verbs"], json!(["get", "patch", "update"]));
}

/// Both forms of discovery name the same resources and verbs.
/// <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>
#[tokio::test]
async fn both_forms_of_discovery_agree() {
    let ground = Ground::new().await;

    let whole = asking(&ground, "/apis", AGGREGATED).await.json();
    let core = asking(&ground, "/api", AGGREGATED).await.json();

    for (group, document) in [("", &core), ("apps", &whole), ("batch", &whole)] {
        let items = document["items"].as_array().unwrap();
        let name = if group.is_empty() { Value::Null } else { group.into() };
        let item = items.iter().find(|it| it["metadata"]["name"] == name).unwrap();
        let mut together = BTreeSet::new();
        for it in item["versions"][0]["resources"].as_array().unwrap() {
            together.insert((text(&it["resource"]), it["verbs"].to_string()));
            let parts = it["subresources"].as_array().into_iter().flatten();
            let name =
                |part: &Value| format!("{}/{}", text(&it["resource"]), text(&part["subresource"]));
            together.extend(parts.map(|part| (name(part), part["verbs"].to_string())));
        }
        let path =
            if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
        let apart = ground.get(&path).await.json();
        let apart = apart["resources"].as_array().unwrap();
        let apart: BTreeSet<_> =
            apart.iter().map(|it| (text(&it["name"]), it["verbs"].to_string())).collect();
        assert_eq!(together, apart, "{group:?}");
    }
}

/// Who has the document already is told by its tag alone: 304.
/// <https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/3352-aggregated-discovery>
#[tokio::test]
async fn discovery_that_is_known_is_not_sent_again() {
    let ground = Ground::new().await;
    let first = asking(&ground, "/api", AGGREGATED).await;
    let tag = first.headers["etag"].clone();

    let request = Request::get("/api").header("accept", AGGREGATED).header("if-none-match", &tag);
    let again = ground.ask(request, "").await;

    assert_eq!((again.code, again.text.as_str()), (304, ""));
    assert_eq!(again.headers["etag"], tag);
    assert_eq!(first.headers["cache-control"], "public");
}

/// A version of the form that is not served gets 406, unless the plain form is taken as well.
/// <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery>
#[tokio::test]
async fn discovery_has_no_forms_but_its_own() {
    let ground = Ground::new().await;
    let unknown = "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList";

    let refused = asking(&ground, "/api", unknown).await;
    let plain = asking(&ground, "/api", &format!("{unknown},application/json")).await;

    assert_eq!((refused.code, text(&refused.json()["reason"])), (406, "NotAcceptable".to_owned()));
    assert_eq!((plain.code, text(&plain.json()["kind"])), (200, "APIVersions".to_owned()));
}

/// `/version` says which Kubernetes this is.
/// <https://kubernetes.io/docs/reference/using-api/health-checks/>
#[tokio::test]
async fn the_version_is_1_36() {
    let ground = Ground::new().await;

    let version = ground.get("/version").await.json();

    assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("36")));
    assert!(text(&version["gitVersion"]).starts_with("v1.36."), "{version}");
    assert_eq!(version["platform"], "linux/amd64");
}

/// Health, liveness and readiness are answered in plain text; one by one, and in detail.
/// <https://kubernetes.io/docs/reference/using-api/health-checks/>
#[tokio::test]
async fn probes_are_answered_in_plain_text() {
    let ground = Ground::new().await;

    for path in ["/healthz", "/livez", "/readyz", "/livez/ping", "/livez/etcd", "/healthz/log"] {
        let answer = ground.get(path).await;
        assert_eq!((answer.code, answer.text.as_str()), (200, "ok"), "{path}");
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8", "{path}");
    }
    let detail = ground.get("/livez?verbose").await.text;
    assert!(detail.starts_with("[+]ping ok\n[+]log ok\n"), "{detail}");
    assert!(detail.ends_with("\nlivez check passed\n"), "{detail}");
    let detail = ground.get("/readyz?verbose&exclude=ping&exclude=nothing").await.text;
    assert!(detail.contains("[+]ping excluded: ok\n"), "{detail}");
    let warning = "warn: some health checks cannot be excluded: no matches for \"nothing\"\n";
    assert!(detail.ends_with(&format!("{warning}readyz check passed\n")), "{detail}");
}

/// Beside the API there is nothing: 404 in plain text. Inside of it a `Status` says so.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/>
#[tokio::test]
async fn what_is_not_served_is_not_found() {
    let ground = Ground::new().await;

    for path in ["/nothing", "/apis/nothing", "/healthz/nothing"] {
        let answer = ground.get(path).await;
        assert_eq!((answer.code, answer.text.as_str()), (404, "404 page not found\n"), "{path}");
    }
    let deep = "/api/v1/namespaces/default/pods/one/status/more";
    for path in ["/api/v2", "/apis/batch/v9", "/api/v1/nothings", "/apis/batch/v1/nothings", deep] {
        let status = ground.get(path).await.json();
        assert_eq!(
            (&status["code"], &status["reason"]),
            (&json!(404), &json!("NotFound")),
            "{path}"
        );
        assert_eq!(status["message"], "the server could not find the requested resource", "{path}");
    }
}

/// What is only read refuses to be written: 405.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/>
#[tokio::test]
async fn what_is_only_read_cannot_be_written() {
    let ground = Ground::new().await;

    for path in ["/api/v1", "/apis/batch/v1", "/version"] {
        let refused = ground.post(path, &json!({})).await;
        let status = refused.json();
        assert_eq!((refused.code, text(&status["reason"])), (405, "MethodNotAllowed".to_owned()));
    }
}

/// A custom kind is discovered with all that its definition says of its names.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>
#[tokio::test]
async fn a_custom_kind_is_discovered() {
    let ground = Ground::new().await;
    let group = crate::tables::define(&ground, "found", json!({})).await;

    let path = format!("/apis/{group}/v1");
    let is_listed =
        async || Some(ground.get(&path).await.json()).filter(|it| it["kind"] == "APIResourceList");
    let list = ground.eventually("the resources of the group", is_listed).await;
    let in_whole = async || {
        let whole = asking(&ground, "/apis", AGGREGATED).await.json();
        let items = whole["items"].as_array()?;
        items.iter().find(|it| it["metadata"]["name"] == group.as_str()).cloned()
    };
    let whole = ground.eventually("the group in the whole", in_whole).await;

    let shown = find(&list["resources"], "name", "shows");
    assert_eq!((&shown["singularName"], &shown["kind"]), (&json!("show"), &json!("Show")));
    assert_eq!((&shown["shortNames"], &shown["categories"]), (&json!(["sh"]), &json!(["shown"])));
    let verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
    assert_eq!(shown["verbs"], json!(verbs));
    find(&list["resources"], "name", "shows/status");
    let resource = find(&whole["versions"][0]["resources"], "resource", "shows");
    let kind = json!({ "group": group, "version": "v1", "kind": "Show" });
    assert_eq!(resource["responseKind"], kind);
    let status = find(&resource["subresources"], "subresource", "status");
    assert_eq!(status["responseKind"], kind);
}

/// The entry of a list whose field has a value.
pub(crate) fn find(list: &Value, field: &str, value: &str) -> Value {
    let found = list.as_array().into_iter().flatten().find(|it| it[field] == value);
    found.cloned().unwrap_or_else(|| panic!("no {field} is {value} in {list}"))
}

pub(crate) async fn asking(ground: &Ground, path: &str, accept: &str) -> Answer {
    ground.ask(Request::get(path).header("accept", accept), "").await
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
