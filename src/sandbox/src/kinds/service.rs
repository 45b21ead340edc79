//! Services: an address each, from a pool that is never routed.

use serde_json::{Value, json};

use crate::{
    object::{self, fill},
    store::State,
};

pub(super) fn fill_in(object: &mut Value) {
    object::section(object, "spec");
    let spec = &mut object["spec"];
    fill(spec, "type", "ClusterIP".into());
    fill(spec, "sessionAffinity", "None".into());
    if spec["type"] != "ExternalName" {
        fill(spec, "internalTrafficPolicy", "Cluster".into());
        fill(spec, "ipFamilies", json!(["IPv4"]));
        fill(spec, "ipFamilyPolicy", "SingleStack".into());
    }
    for port in object::items_mut(spec, "/ports") {
        fill(port, "protocol", "TCP".into());
        let target = port["port"].clone();
        fill(port, "targetPort", target);
    }
}

pub(super) fn prepare_create(state: &mut State, object: &mut Value) {
    object["status"] = json!({"loadBalancer": {}});
    let spec = &mut object["spec"];
    if spec["type"] == "ExternalName" {
        return;
    }
    let number = state.random.next();
    let address = format!("10.96.{}.{}", number % 256, 1 + (number >> 8) % 254);
    fill(spec, "clusterIP", address.into());
    let address = spec["clusterIP"].clone();
    fill(spec, "clusterIPs", json!([address]));
}

pub(super) fn prepare_update(old: &Value, object: &mut Value) {
    for field in ["clusterIP", "clusterIPs"] {
        let kept = old["spec"][field].clone();
        if !kept.is_null() {
            fill(&mut object["spec"], field, kept);
        }
    }
}
