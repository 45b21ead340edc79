//! Services: an address each, from a pool that is never routed, and ports by number and name.

mod rules;

use serde_json::{Value, json};

use crate::{
    kinds::{PLAIN, Rules, Trait},
    object::{self, fill},
    store::State,
    validate,
};

/// Addresses and ports are given out of these.
const NETWORK: &str = "10.96";
const PORTS: std::ops::Range<u64> = 30000..32768;

pub(super) const RULES: Rules = Rules {
    traits: &[Trait::CreatedByUpdate, Trait::AnswersDeleted],
    fill_in,
    create: |state, object| allocate(state, object),
    update: |old, object| keep(old, object),
    settle: |state, object| {
        if object["spec"]["type"] != "ExternalName" {
            give(state, &mut object["spec"]);
        }
    },
    validate: rules::validate,
    name: validate::label_fault,
    ..PLAIN
};

fn fill_in(object: &mut Value) {
    object::section(object, "spec");
    let spec = &mut object["spec"];
    fill(spec, "type", "ClusterIP".into());
    fill(spec, "sessionAffinity", "None".into());
    if spec["sessionAffinity"] == "ClientIP" {
        fill(spec, "sessionAffinityConfig", json!({"clientIP": {}}));
        fill(&mut spec["sessionAffinityConfig"]["clientIP"], "timeoutSeconds", 10800.into());
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if kind != "ExternalName" {
        fill(spec, "internalTrafficPolicy", "Cluster".into());
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        fill(spec, "externalTrafficPolicy", "Cluster".into());
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true.into());
    }
    for port in object::items_mut(spec, "/ports") {
        fill(port, "protocol", "TCP".into());
        if port["targetPort"] == 0 || port["targetPort"] == "" {
            port["targetPort"] = Value::Null;
        }
        let target = port["port"].as_i64().unwrap_or_default();
        fill(port, "targetPort", target.into());
    }
    if object["status"].is_null() {
        object["status"] = json!({"loadBalancer": {}});
    }
}

/// Gives a Service what it has not asked for by name.
fn allocate(state: &mut State, object: &mut Value) {
    object["status"] = json!({"loadBalancer": {}});
    let spec = &mut object["spec"];
    if spec["type"] == "ExternalName" {
        return;
    }
    give(state, spec);
}

/// Gives an address and ports to a Service that lacks them.
fn give(state: &mut State, spec: &mut Value) {
    let is_headless = spec["clusterIP"] == "None" || spec["clusterIPs"] == json!(["None"]);
    let is_selecting = spec["selector"].as_object().is_some_and(|it| !it.is_empty());
    if is_headless && !is_selecting {
        fill(spec, "ipFamilyPolicy", "RequireDualStack".into());
        fill(spec, "ipFamilies", json!(["IPv4", "IPv6"]));
    }
    fill(spec, "ipFamilyPolicy", "SingleStack".into());
    fill(spec, "ipFamilies", json!(["IPv4"]));
    if spec["clusterIP"].is_null() || spec["clusterIP"] == "" {
        let stated = spec["clusterIPs"].get(0).cloned();
        let random = state.random.next();
        spec["clusterIP"] = stated.unwrap_or_else(|| free_address(state, random));
    }
    let address = spec["clusterIP"].clone();
    fill(spec, "clusterIPs", json!([address]));
    allocate_ports(state, spec);
}

fn allocate_ports(state: &mut State, spec: &mut Value) {
    let exposes = match spec["type"].as_str() {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    };
    for port in object::items_mut(spec, "/ports").filter(|_| exposes) {
        if port["nodePort"].as_i64().unwrap_or_default() == 0 {
            port["nodePort"] = free_port(state).into();
        }
    }
}

fn used<'a>(state: &'a State, wanted: &'a dyn Fn(&Value) -> bool) -> bool {
    let table = state.tables.get("services");
    table.is_some_and(|it| it.objects.values().any(|it| wanted(&it.value)))
}

fn free_address(state: &State, random: u64) -> Value {
    let mut number = random;
    loop {
        let address =
            Value::from(format!("{NETWORK}.{}.{}", number % 256, 1 + (number >> 8) % 254));
        if !used(state, &|it| it["spec"]["clusterIP"] == address) {
            return address;
        }
        number = number.wrapping_add(257);
    }
}

fn free_port(state: &mut State) -> u64 {
    let span = PORTS.end - PORTS.start;
    loop {
        let port = PORTS.start + state.random.next() % span;
        let is_taken =
            |it: &Value| object::items(it, "/spec/ports").any(|it| it["nodePort"] == port);
        if !used(state, &is_taken) {
            return port;
        }
    }
}

/// Keeps what was given, as long as the type still has a use for it.
fn keep(old: &Value, object: &mut Value) {
    let (before, spec) = (&old["spec"], &mut object["spec"]);
    if spec["type"] == "ExternalName" {
        if before["type"] != "ExternalName" {
            let unused = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];
            object::fields(spec).retain(|key, _| {
                !unused.contains(&key.as_str())
                    && !matches!(key.as_str(), "internalTrafficPolicy" | "externalTrafficPolicy")
            });
        }
        return;
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let kept = before[field].clone();
        if spec[field] == "" {
            spec[field] = Value::Null;
        }
        if !kept.is_null() {
            fill(spec, field, kept);
        }
        object::fields(spec).retain(|_, value| !value.is_null());
    }
    // Whoever changes the one of a pair means both.
    if spec["clusterIP"] != before["clusterIP"] && spec["clusterIPs"] == before["clusterIPs"] {
        spec["clusterIPs"] = json!([spec["clusterIP"]]);
    }
    let exposes = |it: &Value| matches!(it["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    if exposes(before) && !exposes(spec) {
        for field in
            ["externalTrafficPolicy", "allocateLoadBalancerNodePorts", "healthCheckNodePort"]
        {
            if spec[field] == before[field] {
                object::fields(spec).remove(field);
            }
        }
    }
    let (was_exposed, is_exposed) = (exposes(before), exposes(spec));
    for port in object::items_mut(spec, "/ports") {
        let same = object::items(before, "/ports")
            .find(|it| it["port"] == port["port"] && it["protocol"] == port["protocol"]);
        let given = same.map(|it| it["nodePort"].clone()).unwrap_or_default();
        if is_exposed && !given.is_null() {
            fill(port, "nodePort", given);
        } else if was_exposed && !is_exposed && port["nodePort"] == given {
            object::fields(port).remove("nodePort");
        }
    }
}
