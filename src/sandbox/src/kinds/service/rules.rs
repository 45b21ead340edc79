//! What a Service must say, and what goes with which type.

use serde_json::{Value, json};

use crate::{
    kinds::check::{Faults, Field},
    refusal::Cause,
};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    let kind = spec.at("type");
    if let Some(old) = old {
        unchanged(&spec, &old["spec"], &mut faults);
    }
    let list = spec.at("ports");
    if list.is_empty_list() && !is_headless(&spec) && kind.text() != "ExternalName" {
        faults.push(list.required(""));
    }
    by_type(&spec, &mut faults);
    ports(&spec, &mut faults);
    spec.at("selector").labels(&mut faults);
    spec.at("sessionAffinity").one_of(&["ClientIP", "None"], &mut faults);
    addresses(&spec, &mut faults);
    for address in spec.each("externalIPs") {
        address.address(&mut faults);
    }
    kind.one_of(&TYPES, &mut faults);
    traffic(&spec, &mut faults);
    families(&spec, &mut faults);
    faults
}

/// Whether it has no address of its own.
fn is_headless(spec: &Field<'_>) -> bool {
    spec.value["clusterIP"] == "None"
}

/// An address stays for as long as there is one at all.
fn unchanged(spec: &Field<'_>, old: &Value, faults: &mut Faults) {
    let (before, after) = (&old["clusterIPs"], &spec.value["clusterIPs"]);
    let is_plain = |it: &Value| it["type"] != "ExternalName";
    if is_plain(old) && is_plain(spec.value) && before.is_array() && before[0] != after[0] {
        let path = format!("{}.clusterIPs[0]", spec.path);
        faults.push(Cause::invalid(path, after, "may not change once set"));
    }
}

fn by_type(spec: &Field<'_>, faults: &mut Faults) {
    match spec.value["type"].as_str().unwrap_or_default() {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(spec) => {
            let path = format!("{}.clusterIPs[0]", spec.path);
            let detail = format!("may not be set to 'None' for {kind} services");
            faults.push(Cause::invalid(path, &"None".into(), &detail));
        }
        "ExternalName" => {
            let name = spec.at("externalName");
            if !spec.at("clusterIPs").is_empty_list()
                || !matches!(spec.value["clusterIP"].as_str(), None | Some(""))
            {
                let list = spec.at("clusterIPs");
                faults.push(list.forbidden("may not be set for ExternalName services"));
            }
            name.needed(faults);
            name.subdomain(faults);
        }
        _ => {}
    }
}

fn ports(spec: &Field<'_>, faults: &mut Faults) {
    let many = spec.value["ports"].as_array().is_some_and(|it| it.len() > 1);
    let mut names = Vec::new();
    let mut taken = Vec::new();
    for port in spec.each("ports") {
        let name = port.at("name");
        if name.text().is_empty() {
            if many {
                faults.push(name.required(""));
            }
        } else {
            name.label(faults);
            if names.contains(&name.text()) {
                faults.push(name.duplicate());
            }
            names.push(name.text());
        }
        port.at("port").port(faults);
        port.at("protocol").one_of(&["SCTP", "TCP", "UDP"], faults);
        port.at("targetPort").port_or_name(faults);
        let protocol = port.at("appProtocol");
        if protocol.is_set() {
            protocol.qualified(faults);
        }
        if is_headless(spec) {
            continue;
        }
        let of_cluster = spec.value["type"] == "ClusterIP";
        let node = port.at("nodePort");
        if of_cluster && node.value.as_i64().is_some_and(|it| it != 0) {
            faults.push(node.forbidden("may not be used when `type` is 'ClusterIP'"));
        }
    }
    for port in spec.each("ports") {
        let key = (&port.value["protocol"], &port.value["port"]);
        if taken.contains(&key) {
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\
                 \"NodePort\":0}}",
                key.0, key.1
            );
            let message = format!("Duplicate value: {shown}");
            faults.push(Cause::new("FieldValueDuplicate", port.path.as_str(), message));
        }
        taken.push(key);
    }
}

fn addresses(spec: &Field<'_>, faults: &mut Faults) {
    for (index, address) in spec.each("clusterIPs").enumerate() {
        let text = address.text();
        if text != "None" && text.parse::<std::net::IpAddr>().is_err() {
            let path = format!("{}.clusterIPs[{index}]", spec.path);
            faults.push(Cause::invalid(path, address.value, ADDRESS));
        }
    }
}

fn traffic(spec: &Field<'_>, faults: &mut Faults) {
    let kind = spec.value["type"].as_str().unwrap_or_default();
    let is_balanced = kind == "LoadBalancer";
    let only = "may only be used when `type` is 'LoadBalancer'";
    let class = spec.at("loadBalancerClass");
    if class.is_set() && !is_balanced {
        faults.push(class.forbidden(only));
    }
    let ranges = Field {
        value: &spec.value["loadBalancerSourceRanges"],
        path: format!("{}.LoadBalancerSourceRanges", spec.path),
    };
    if !ranges.is_empty_list() && !is_balanced {
        faults.push(ranges.forbidden(only));
    }
    let external = spec.at("externalTrafficPolicy");
    let is_exposed = is_balanced || kind == "NodePort" || !spec.at("externalIPs").is_empty_list();
    if external.is_set() && !is_exposed {
        let detail = "may only be set for externally-accessible services";
        faults.push(external.invalid(detail));
    } else {
        external.maybe_one_of(&["Cluster", "Local"], faults);
    }
    spec.at("internalTrafficPolicy").maybe_one_of(&["Cluster", "Local"], faults);
}

/// There is one family of addresses here.
fn families(spec: &Field<'_>, faults: &mut Faults) {
    let selects = spec.value["selector"].as_object().is_some_and(|it| !it.is_empty());
    if is_headless(spec) && !selects {
        return;
    }
    for family in spec.each("ipFamilies") {
        if *family.value != json!("IPv4") {
            faults.push(family.invalid("not configured on this cluster"));
        }
    }
    let policy = spec.at("ipFamilyPolicy");
    if policy.text() == "RequireDualStack" {
        let detail = "this cluster is not configured for dual-stack services";
        faults.push(policy.invalid(detail));
    }
}
