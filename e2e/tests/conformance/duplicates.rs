//! Bodies that say the same field twice: the last counts, and who is strict is refused.

use http::Request;
use serde_json::json;

use crate::answers::{core, said};
use crate::ground::Ground;

const TWICE: &str = r#"{"metadata": {"name": "one"}, "data": {"a": "1", "a": "2"}}"#;

fn post(path: &str, media: &str) -> http::request::Builder {
    Request::post(path).header("content-type", media)
}

/// Most writers are warned, and the last of two counts.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_field_that_comes_twice_is_warned_of() {
    let ground = Ground::new().await;

    let made = ground.ask(post(&core(&ground, "configmaps"), "application/json"), TWICE).await;

    let warning = made.headers.get("warning").map(|it| it.to_str().unwrap());
    assert_eq!(warning, Some(r#"299 - "duplicate field \"data.a\"""#));
    assert_eq!((made.code, &made.json()["data"]), (201, &json!({ "a": "2" })));
}

/// A strict writer is refused; one that wants to hear nothing hears nothing.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_strict_writer_says_nothing_twice() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let strict = format!("{maps}?fieldValidation=Strict");
    let ignored = format!("{maps}?fieldValidation=Ignore");

    let refused = ground.ask(post(&strict, "application/json"), TWICE).await;
    let body = "metadata:\n  name: two\ndata:\n  a: '1'\n  a: '2'\n";
    let of_yaml = ground.ask(post(&strict, "application/yaml"), body).await;
    let made = ground.ask(post(&ignored, "application/json"), TWICE).await;

    let message = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding \
        error: duplicate field \"data.a\"";
    assert_eq!(said(&refused), (400, "BadRequest".to_owned(), message.to_owned()));
    assert_eq!(of_yaml.code, 400, "{}", of_yaml.text);
    let message = said(&of_yaml).2;
    let why = "line 5: key \"a\" already set in map";
    assert!(message.contains("strict decoding error: ") && message.ends_with(why), "{message}");
    assert_eq!((made.code, made.headers.get("warning")), (201, None));
}

/// Patches say nothing twice either.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_strict_patch_says_nothing_twice() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &json!({ "metadata": { "name": "one" } })).await;
    let ask = async |kind: &str, query: &str, body: &str| {
        let path = format!("{maps}/one?fieldManager=m&fieldValidation=Strict{query}");
        ground.ask(Request::patch(path).header("content-type", kind), body).await
    };
    let data = r#"{"data": {"a": "1", "a": "2"}}"#;
    let operations = r#"[{"op": "add", "op": "add", "path": "/data", "value": {}}]"#;
    let body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  a: x\n  a: z\n";

    let merged = ask("application/merge-patch+json", "", data).await;
    let strategic = ask("application/strategic-merge-patch+json", "", data).await;
    let by_json = ask("application/json-patch+json", "", operations).await;
    let applied = ask("application/apply-patch+yaml", "&force=true", body).await;

    for refused in [&merged, &strategic] {
        assert_eq!(refused.code, 422, "{}", refused.text);
        let message = said(refused).2;
        assert!(
            message.ends_with("strict decoding error: duplicate field \"data.a\""),
            "{message}"
        );
    }
    let message = said(&by_json).2;
    assert!(message.ends_with("json patch duplicate field \"[0].op\""), "{message}");
    let message = said(&applied).2;
    assert_eq!(applied.code, 400, "{message}");
    assert!(message.starts_with("error strict decoding YAML: "), "{message}");
    assert!(message.ends_with("line 6: key \"a\" already set in map"), "{message}");
}
