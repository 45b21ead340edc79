//! Which objects do many cases write?

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use crate::ground::from;

/// With one key, `k`.
pub(crate) fn config_map(name: &str, value: &str) -> ConfigMap {
    from(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name },
        "data": { "k": value },
    }))
}
