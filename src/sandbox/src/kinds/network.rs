//! Ingresses, network policies and endpoints: what leads where.

mod ingress;

use serde_json::{Value, json};

pub(super) use self::ingress::{INGRESS, INGRESS_CLASS};
use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field},
    },
    object::{self, fill},
};

const CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

pub(super) const POLICY: Rules = Rules {
    traits: &[Trait::Generation],
    fill_in: fill_in_policy,
    validate: |object, _| validate_policy(object),
    ..PLAIN
};

pub(super) const ENDPOINTS: Rules = Rules {
    traits: &[Trait::CreatedByUpdate],
    fill_in: |object| {
        for subset in object::items_mut(object, "/subsets") {
            object::items_mut(subset, "/ports").for_each(|it| fill(it, "protocol", "TCP".into()));
        }
    },
    validate: |object, _| validate_endpoints(object),
    warn: |_| {
        vec!["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".into()]
    },
    ..PLAIN
};

pub(super) const ENDPOINT_SLICE: Rules = Rules {
    traits: &[Trait::Generation],
    fill_in: |object| {
        fill(object, "endpoints", Value::Null);
        fill(object, "ports", Value::Null);
        for endpoint in object::items_mut(object, "/endpoints") {
            fill(endpoint, "conditions", json!({}));
        }
        for port in object::items_mut(object, "/ports") {
            fill(port, "name", "".into());
            fill(port, "protocol", "TCP".into());
        }
    },
    validate: validate_slice,
    ..PLAIN
};

fn fill_in_policy(object: &mut Value) {
    object::section(object, "spec");
    let spec = &mut object["spec"];
    fill(spec, "podSelector", json!({}));
    for list in ["/ingress", "/egress"] {
        for rule in object::items_mut(spec, list) {
            object::items_mut(rule, "/ports").for_each(|it| fill(it, "protocol", "TCP".into()));
        }
    }
    let leaves = object::items(spec, "/egress").next().is_some();
    let types = if leaves { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    if object::items(spec, "/policyTypes").next().is_none() {
        spec["policyTypes"] = types;
    }
}

fn validate_policy(object: &Value) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    spec.at("podSelector").selector(&mut faults);
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.each(list) {
            rule.each("ports").for_each(|it| policy_port(&it, &mut faults));
            rule.each(peers).for_each(|it| peer(&it, &mut faults));
        }
    }
    let types = spec.at("policyTypes");
    if types.value.as_array().is_some_and(|it| it.len() > 2) {
        faults.push(types.invalid("may not specify more than two policyTypes"));
        return faults;
    }
    types.items().for_each(|it| it.one_of(&["Ingress", "Egress"], &mut faults));
    faults
}

fn policy_port(port: &Field<'_>, faults: &mut Faults) {
    let (protocol, number, end) = (port.at("protocol"), port.at("port"), port.at("endPort"));
    protocol.maybe_one_of(&["TCP", "UDP", "SCTP"], faults);
    if !number.is_set() {
        if end.is_set() {
            faults.push(end.invalid("may not be specified when `port` is not specified"));
        }
        return;
    }
    number.port_or_name(faults);
    if !end.is_set() {
        return;
    }
    match number.value.as_i64() {
        None => faults.push(end.invalid("may not be specified when `port` is non-numeric")),
        Some(first) if end.value.as_i64().is_some_and(|it| it < first) => {
            let at = Field { value: number.value, path: end.path };
            faults.push(at.invalid("must be greater than or equal to `port`"));
        }
        Some(_) => end.port(faults),
    }
}

fn peer(peer: &Field<'_>, faults: &mut Faults) {
    let (pods, namespaces, block) =
        (peer.at("podSelector"), peer.at("namespaceSelector"), peer.at("ipBlock"));
    pods.selector(faults);
    namespaces.selector(faults);
    let by_labels = pods.is_set() || namespaces.is_set();
    if !by_labels && !block.is_set() {
        faults.push(peer.required("must specify a peer"));
    } else if by_labels && block.is_set() {
        faults.push(peer.forbidden("may not specify both ipBlock and another peer"));
    } else if block.is_set() {
        let cidr = block.at("cidr");
        if cidr.text().is_empty() {
            faults.push(cidr.required(""));
            return;
        }
        let Some(whole) = network(cidr.text()) else {
            faults.push(cidr.invalid(CIDR));
            return;
        };
        for part in block.each("except") {
            match network(part.text()) {
                None => faults.push(part.invalid(CIDR)),
                Some(part_of) if !is_inside(part_of, whole) => {
                    faults.push(part.invalid("must be a strict subset of `cidr`"));
                }
                Some(_) => {}
            }
        }
    }
}

/// An address as a number of 128 bits, and how many of them count.
type Network = (u128, u32);

fn network(text: &str) -> Option<Network> {
    let (address, bits) = text.split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    match address.parse::<std::net::IpAddr>().ok()? {
        std::net::IpAddr::V4(it) if bits <= 32 => Some((it.to_ipv6_mapped().to_bits(), bits + 96)),
        std::net::IpAddr::V6(it) if bits <= 128 => Some((it.to_bits(), bits)),
        _ => None,
    }
}

fn is_inside((part, part_bits): Network, (whole, whole_bits): Network) -> bool {
    let shift = 128 - whole_bits;
    let head = |it: u128| it.checked_shr(shift).unwrap_or_default();
    part_bits > whole_bits && head(part) == head(whole)
}

fn validate_endpoints(object: &Value) -> Faults {
    let mut faults = Vec::new();
    for subset in Field::of(object, "subsets").items() {
        let lists = ["addresses", "notReadyAddresses"].map(|it| subset.at(it));
        if lists.iter().all(Field::is_empty_list) {
            let detail = "must specify `addresses` or `notReadyAddresses`";
            faults.push(subset.required(detail));
        }
        for address in lists.iter().flat_map(Field::items) {
            let field = address.at("ip");
            field.address(&mut faults);
            match field.text().parse::<std::net::IpAddr>() {
                Err(_) => faults.push(field.invalid_text("must be a valid IP address")),
                Ok(it) if it.is_loopback() => {
                    let detail = "may not be in the loopback range (127.0.0.0/8, ::1/128)";
                    faults.push(field.invalid(detail));
                }
                Ok(_) => {}
            }
        }
        let many = subset.value["ports"].as_array().is_some_and(|it| it.len() > 1);
        for port in subset.each("ports") {
            if many {
                port.at("name").needed(&mut faults);
            }
            port.at("name").label(&mut faults);
            port.at("port").port(&mut faults);
            port.at("protocol").one_of(&["TCP", "UDP", "SCTP"], &mut faults);
        }
    }
    faults
}

fn validate_slice(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let kind = Field::of(object, "addressType");
    if kind.text().is_empty() {
        faults.push(kind.required(""));
    } else {
        kind.one_of(&["FQDN", "IPv4", "IPv6"], &mut faults);
    }
    for port in Field::of(object, "ports").items() {
        port.at("name").label(&mut faults);
        port.at("protocol").one_of(&["SCTP", "TCP", "UDP"], &mut faults);
    }
    for endpoint in Field::of(object, "endpoints").items() {
        let list = endpoint.at("addresses");
        if list.is_empty_list() {
            faults.push(list.required("must contain at least 1 address"));
        }
        for address in list.items() {
            match kind.text() {
                "IPv4" | "IPv6" => address.address(&mut faults),
                "FQDN" => address.subdomain(&mut faults),
                _ => {}
            }
        }
        endpoint.at("hostname").label(&mut faults);
    }
    if old.is_some_and(|it| it["addressType"] != object["addressType"]) {
        faults.push(kind.invalid("field is immutable"));
    }
    faults
}
