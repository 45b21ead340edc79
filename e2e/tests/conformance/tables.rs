//! Objects as rows, as metadata alone, as YAML: the forms that clients ask for.

use http::Request;
use serde_json::{Value, json};

use crate::discovery::{asking, text};
use crate::ground::Ground;

const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";

/// A list as a Table has a row for each object, with its metadata beside the cells.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>
#[tokio::test]
async fn a_list_comes_as_a_table() {
    let ground = Ground::new().await;
    make(&ground, "configmaps", json!({ "metadata": { "name": "one" }, "data": { "a": "1" } }))
        .await;
    let list = path(&ground, "configmaps");

    let table = asking(&ground, &format!("{list}?fieldSelector=metadata.name=one"), TABLE).await;

    assert_eq!(table.headers["content-type"], "application/json");
    let table = table.json();
    assert_eq!(
        (text(&table["kind"]), text(&table["apiVersion"])),
        ("Table".into(), "meta.k8s.io/v1".into())
    );
    assert!(!text(&table["metadata"]["resourceVersion"]).is_empty(), "{table}");
    assert_eq!(columns(&table), ["Name", "Data", "Age"]);
    assert_eq!(table["columnDefinitions"][0]["format"], "name");
    let row = &table["rows"][0];
    assert_eq!((&row["cells"][0], &row["cells"][1]), (&json!("one"), &json!(1)));
    assert!(text(&row["cells"][2]).ends_with('s'), "{row}");
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(row["object"]["metadata"]["name"], "one");
}

/// A row carries no object, its metadata, or all of it, as asked.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>
#[tokio::test]
async fn a_row_carries_as_much_as_is_asked() {
    let ground = Ground::new().await;
    make(&ground, "configmaps", json!({ "metadata": { "name": "one" }, "data": { "a": "1" } }))
        .await;
    let one = format!("{}/one", path(&ground, "configmaps"));

    let nothing = asking(&ground, &format!("{one}?includeObject=None"), TABLE).await.json();
    let whole = asking(&ground, &format!("{one}?includeObject=Object"), TABLE).await.json();
    let refused = asking(&ground, &format!("{one}?includeObject=Some"), TABLE).await;

    assert_eq!(nothing["rows"][0]["object"], Value::Null);
    assert_eq!(whole["rows"][0]["object"]["data"], json!({ "a": "1" }));
    assert_eq!(whole["rows"][0]["object"]["kind"], "ConfigMap");
    assert_eq!((refused.code, text(&refused.json()["reason"])), (400, "BadRequest".into()));
    let why =
        "includeObject: Invalid value: \"Some\": must be 'Metadata', 'Object', 'None', or empty";
    assert_eq!(
        refused.json()["message"],
        format!("Unable to convert to Table as requested: {why}")
    );
}

/// In a watch of Tables only the first one names the columns.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>
#[tokio::test]
async fn a_watch_comes_as_tables() {
    let ground = Ground::new().await;
    for name in ["one", "two"] {
        let labels = json!({ "app": "watched" });
        make(&ground, "secrets", json!({ "metadata": { "name": name, "labels": labels } })).await;
    }
    let watch = format!(
        "{}?watch=1&timeoutSeconds=1&labelSelector=app%3Dwatched",
        path(&ground, "secrets")
    );

    let events = asking(&ground, &watch, TABLE).await.text;

    let events: Vec<Value> = events.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(columns(&events[0]["object"]), ["Name", "Type", "Data", "Age"]);
    assert_eq!(events[1]["object"]["columnDefinitions"], Value::Null);
    assert_eq!(
        (&events[1]["type"], &events[1]["object"]["kind"]),
        (&json!("ADDED"), &json!("Table"))
    );
    assert_eq!(events[1]["object"]["rows"][0]["cells"][0], "two");
}

/// What is written comes back as a Table too, for who asks so.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>
#[tokio::test]
async fn a_write_is_answered_with_a_table() {
    let ground = Ground::new().await;
    let request = Request::post(path(&ground, "configmaps"))
        .header("accept", TABLE)
        .header("content-type", "application/json");

    let answer = ground.ask(request, r#"{"metadata":{"name":"one"}}"#).await;

    assert_eq!((answer.code, text(&answer.json()["kind"])), (201, "Table".into()));
    assert_eq!(answer.json()["rows"][0]["cells"][0], "one");
}

/// Clients that need no more get metadata alone, of one object and of many.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>
#[tokio::test]
async fn metadata_comes_alone() {
    let ground = Ground::new().await;
    make(&ground, "configmaps", json!({ "metadata": { "name": "one" }, "data": { "a": "1" } }))
        .await;
    let list = path(&ground, "configmaps");
    let form = |it: &str| format!("application/json;as={it};g=meta.k8s.io;v=v1");

    let one = asking(&ground, &format!("{list}/one"), &form("PartialObjectMetadata")).await.json();
    let many = asking(&ground, &list, &form("PartialObjectMetadataList")).await.json();
    let wrong = asking(&ground, &list, &form("PartialObjectMetadata")).await;

    assert_eq!(
        (text(&one["kind"]), text(&one["metadata"]["name"])),
        ("PartialObjectMetadata".into(), "one".into())
    );
    assert_eq!(one["data"], Value::Null);
    assert_eq!(many["kind"], "PartialObjectMetadataList");
    assert!(many["items"].as_array().unwrap().iter().any(|it| it == &one), "{many}");
    assert_eq!((wrong.code, text(&wrong.json()["reason"])), (406, "NotAcceptable".into()));
    let why = "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)";
    assert_eq!(wrong.json()["message"], why);
}

/// Who asks for YAML gets YAML, refusals too.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>
#[tokio::test]
async fn answers_come_in_yaml() {
    let ground = Ground::new().await;
    make(&ground, "configmaps", json!({ "metadata": { "name": "one" }, "data": { "a": "b" } }))
        .await;
    let list = path(&ground, "configmaps");

    let one = asking(&ground, &format!("{list}/one"), "application/yaml").await;
    let none = asking(&ground, &format!("{list}/none"), "application/yaml").await;
    let better = "application/json;q=0.5,application/yaml;q=0.9";
    let better = asking(&ground, &format!("{list}/one"), better).await;

    assert_eq!(
        (one.code, &one.headers["content-type"]),
        (200, &"application/yaml".parse().unwrap())
    );
    assert!(
        one.text.contains("\nkind: ConfigMap\n") && one.text.contains("\n  a: b\n"),
        "{}",
        one.text
    );
    assert_eq!(
        (none.code, &none.headers["content-type"]),
        (404, &"application/yaml".parse().unwrap())
    );
    assert!(none.text.contains("\nreason: NotFound\n"), "{}", none.text);
    assert_eq!(better.headers["content-type"], "application/yaml");
}

/// A form that nobody has gets 406 with those that there are.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>
#[tokio::test]
async fn a_form_that_is_not_there_is_refused() {
    let ground = Ground::new().await;
    let list = path(&ground, "configmaps");
    let known = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

    let media = asking(&ground, &format!("{list}/one"), "text/plain").await;
    let form = asking(&ground, &list, "application/json;as=Drawing;g=meta.k8s.io;v=v1").await;
    let other =
        asking(&ground, &list, "application/json;as=Drawing;g=meta.k8s.io;v=v1,application/json")
            .await;

    assert_eq!((media.code, text(&media.json()["reason"])), (406, "NotAcceptable".into()));
    let why = format!("406: Not Acceptable\n\nAvailable representations: {known}");
    assert_eq!(media.json()["message"], why);
    assert_eq!(form.code, 406);
    assert_eq!(
        form.json()["message"],
        format!("only the following media types are accepted: {known}")
    );
    assert_eq!((other.code, text(&other.json()["kind"])), (200, "ConfigMapList".into()));
}

/// Each type of a printer column shows its values; those that are not of the type show nothing.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#additional-printer-columns>
#[tokio::test]
async fn printer_columns_show_what_they_are_told() {
    let ground = Ground::new().await;
    let columns = json!({ "additionalPrinterColumns": [
        { "name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How large" },
        { "name": "Colour", "type": "string", "jsonPath": ".spec.colour", "priority": 1 },
        { "name": "Ready", "type": "string", "jsonPath": ".spec.list[?(@.type==\"Ready\")].status" },
        { "name": "Odd", "type": "boolean", "jsonPath": ".spec.odd" },
        { "name": "Share", "type": "number", "jsonPath": ".spec.share" },
        { "name": "Since", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
        { "name": "Mixed", "type": "integer", "jsonPath": ".spec.colour" },
    ] });
    let group = define(&ground, "shown", columns).await;
    let list = format!("/apis/{group}/v1/namespaces/{}/shows", ground.namespace());
    let spec = json!({
        "size": 3, "colour": "red", "odd": true, "share": 0.5,
        "list": [{ "type": "Other", "status": "No" }, { "type": "Ready", "status": "Yes" }],
    });
    let api = format!("{group}/v1");
    for (name, spec) in [("full", spec), ("none", json!({}))] {
        let body = json!({ "apiVersion": api, "kind": "Show", "metadata": { "name": name }, "spec": spec });
        assert_eq!(ground.post(&list, &body).await.code, 201);
    }

    let table = asking(&ground, &list, TABLE).await.json();

    assert_eq!(
        self::columns(&table),
        ["Name", "Size", "Colour", "Ready", "Odd", "Share", "Since", "Mixed"]
    );
    let size = &table["columnDefinitions"][1];
    assert_eq!((&size["type"], &size["description"]), (&json!("integer"), &json!("How large")));
    assert_eq!(table["columnDefinitions"][2]["priority"], 1);
    let full = &table["rows"][0]["cells"];
    assert_eq!(full[0], "full");
    assert_eq!((&full[1], &full[2], &full[3]), (&json!(3), &json!("red"), &json!("Yes")));
    assert_eq!((&full[4], &full[5]), (&json!(true), &json!(0.5)));
    assert!(text(&full[6]).ends_with('s'), "{full}");
    assert_eq!(full[7], Value::Null);
    let none = &table["rows"][1]["cells"];
    assert_eq!(
        (&none[1], &none[2], &none[3], &none[4]),
        (&Value::Null, &Value::Null, &Value::Null, &Value::Null)
    );
}

/// A custom kind without columns shows its name and its age.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#additional-printer-columns>
#[tokio::test]
async fn a_custom_kind_shows_its_age() {
    let ground = Ground::new().await;
    let group = define(&ground, "aged", json!({})).await;
    let list = format!("/apis/{group}/v1/namespaces/{}/shows", ground.namespace());

    let table = asking(&ground, &list, TABLE).await.json();

    assert_eq!(columns(&table), ["Name", "Age"]);
    assert_eq!(table["columnDefinitions"][1]["type"], "date");
}

/// The names of a Table's columns.
pub(crate) fn columns(table: &Value) -> Vec<String> {
    let columns = table["columnDefinitions"].as_array().into_iter().flatten();
    columns.map(|it| text(&it["name"])).collect()
}

/// Defines the kind `Show` in a group of its own, and waits until it is served.
pub(crate) async fn define(ground: &Ground, stem: &str, more: Value) -> String {
    let group = format!("{}.example.com", ground.unique(stem));
    let spec = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let schema = json!({ "type": "object", "properties": { "spec": spec, "status": spec } });
    let mut version = json!({
        "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema },
        "subresources": { "status": {} },
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        version[field] = value.clone();
    }
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("shows.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced", "versions": [version],
            "names": {
                "plural": "shows", "singular": "show", "kind": "Show", "shortNames": ["sh"],
                "categories": ["shown"],
            },
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let made = ground.post(definitions, &definition).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let shows = format!("/apis/{group}/v1/namespaces/{}/shows", ground.namespace());
    let is_served = async || (ground.get(&shows).await.code == 200).then_some(());
    ground.eventually("an answer for the kind", is_served).await;
    group
}

fn path(ground: &Ground, plural: &str) -> String {
    format!("/api/v1/namespaces/{}/{plural}", ground.namespace())
}

async fn make(ground: &Ground, plural: &str, body: Value) {
    let made = ground.post(&path(ground, plural), &body).await;
    assert_eq!(made.code, 201, "{}", made.text);
}
