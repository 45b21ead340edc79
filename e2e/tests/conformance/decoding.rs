//! Bodies that are no objects of their kind: what cannot be decoded, and what nobody knows.

use serde_json::json;

use crate::ground::Ground;

/// A number that comes as text cannot be decoded; the message names its field and type.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn text_is_no_number() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "activeDeadlineSeconds": "x"},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal string into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64"
    );
}

/// An object where a list belongs cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn an_object_is_no_list() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"containers": {}}});

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"
    );
}

/// A number where text belongs cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_number_is_no_text() {
    let ground = Ground::new().await;
    let body =
        json!({"metadata": {"name": "one"}, "spec": {"containers": [{"name": "c", "image": 3}]}});

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string"
    );
}

/// Text where a switch belongs cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn text_is_no_switch() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "hostNetwork": "yes"},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"
    );
}

/// Text where a list belongs cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn text_is_no_list_of_texts() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i", "command": "x"}]},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal string into Go struct field Container.spec.containers.command of type []string"
    );
}

/// A number among texts by key cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn values_of_labels_are_text() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "nodeSelector": {"a": 1}},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeSelector of type string"
    );
}

/// A fraction where an integer belongs cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_fraction_is_no_integer() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "activeDeadlineSeconds": 1.5},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64"
    );
}

/// An integer beyond its type cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn an_integer_has_room() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {"name": "c", "image": "i", "ports": [{"containerPort": 99_999_999_999_i64}]},
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal number 99999999999 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"
    );
}

/// An amount that is none cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn an_amount_is_an_amount() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {"name": "c", "image": "i", "resources": {"requests": {"cpu": "abc"}}},
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
}

/// A strict writer is told of all fields that nobody knows.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_strict_writer_is_told_of_unknown_fields() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i", "imag": "x"}], "foo": 1},
    });

    let refused =
        ground.post(&format!("{}?fieldValidation=Strict", ground.path("v1", "pods")), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        r#"strict decoding error: unknown field "spec.containers[0].imag", unknown field "spec.foo""#
    );
}

/// Data of a Secret that is no base64 cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn data_is_base64() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "data": {"a": "%%%"}});

    let refused = ground.post(&ground.path("v1", "secrets"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(why, "illegal base64 data at input byte 0");
}

/// Data of a Secret that is no text cannot be decoded.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn data_is_text() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "data": {"a": 1}});

    let refused = ground.post(&ground.path("v1", "secrets"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"
    );
}

/// Values of a ConfigMap are text.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn values_of_a_config_map_are_text() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "data": {"a": 1}});

    let refused = ground.post(&ground.path("v1", "configmaps"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
    );
}

/// The duration of a Lease is a number.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_duration_is_a_number() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"leaseDurationSeconds": "3"}});

    let refused = ground.post(&ground.path("coordination.k8s.io/v1", "leases"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal string into Go struct field LeaseSpec.spec.leaseDurationSeconds of type int32"
    );
}

/// The duration of a Lease is whole.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_duration_is_whole() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"leaseDurationSeconds": 1.5}});

    let refused = ground.post(&ground.path("coordination.k8s.io/v1", "leases"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal number 1.5 into Go struct field LeaseSpec.spec.leaseDurationSeconds of type int32"
    );
}

/// A time is text.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_time_is_text() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"renewTime": 3}});

    let refused = ground.post(&ground.path("coordination.k8s.io/v1", "leases"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal number into Go struct field LeaseSpec.spec.renewTime of type string"
    );
}

/// A spec is an object.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn a_spec_is_an_object() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": []});

    let refused = ground.post(&ground.path("coordination.k8s.io/v1", "leases"), &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (400, Some("BadRequest")));
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    let (_, why) = message.split_once(": ").unwrap();
    assert_eq!(
        why,
        "json: cannot unmarshal array into Go struct field Lease.spec of type v1.LeaseSpec"
    );
}
