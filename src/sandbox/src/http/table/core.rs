//! The columns of the core's kinds, Pods aside.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    http::table::{
        Cell, Columns, NAME,
        text::{NONE, age, balancers, first_three, labels, or, or_none},
    },
    object,
};

pub(super) fn columns(table: &str) -> Option<Columns> {
    Some(match table {
        "configmaps" => (
            const { &[Cell::text("Data", |it, _| (size(&it["data"]) + size(&it["binaryData"])).into())] },
            &[],
        ),
        "secrets" => (
            const {
                &[
                    Cell::text("Type", |it, _| it["type"].clone()),
                    Cell::text("Data", |it, _| size(&it["data"]).into()),
                ]
            },
            &[],
        ),
        "namespaces" => {
            (const { &[Cell::text("Status", |it, _| it["status"]["phase"].clone())] }, &[])
        }
        "serviceaccounts" => (&[], &[]),
        "services" => (SERVICES, SERVICES_WIDE),
        "endpoints" => (const { &[Cell::text("Endpoints", |it, _| endpoints(it).into())] }, &[]),
        "nodes" => (NODES, NODES_WIDE),
        "resourcequotas" => (
            const {
                &[
                    Cell::text("Request", |it, _| quota(it, Quota::Requests).into()),
                    Cell::text("Limit", |it, _| quota(it, Quota::Limits).into()),
                ]
            },
            &[],
        ),
        _ => return None,
    })
}

fn size(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

const SERVICES: &[Cell] = &[
    Cell::text("Type", |it, _| it["spec"]["type"].clone()),
    Cell::text("Cluster-IP", |it, _| or_none(it, "/spec/clusterIP")),
    Cell::text("External-IP", |it, _| external(it).into()),
    Cell::text("Port(s)", |it, _| {
        let ports: Vec<String> = object::items(it, "/spec/ports").map(port).collect();
        if ports.is_empty() { NONE.into() } else { ports.join(",").into() }
    }),
];

const SERVICES_WIDE: &[Cell] =
    &[Cell::wide("Selector", |it, _| labels(&it["spec"]["selector"]).into())];

fn port(port: &Value) -> String {
    let protocol = object::text(port, "/protocol");
    match port["nodePort"].as_i64().unwrap_or_default() {
        0 => format!("{}/{protocol}", port["port"]),
        on_node => format!("{}:{on_node}/{protocol}", port["port"]),
    }
}

fn external(service: &Value) -> String {
    let mut all = object::strings(&service["spec"]["externalIPs"]);
    match object::text(service, "/spec/type") {
        "ExternalName" => return object::text(service, "/spec/externalName").to_owned(),
        "LoadBalancer" => {
            let mut balancers = balancers(service);
            balancers.append(&mut all);
            all = balancers;
            if all.is_empty() {
                return "<pending>".to_owned();
            }
        }
        _ => {}
    }
    if all.is_empty() { NONE.to_owned() } else { all.join(",") }
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in object::items(object, "/subsets") {
        let addresses = || object::items(subset, "/addresses").map(|it| object::text(it, "/ip"));
        let ports: Vec<&Value> = object::items(subset, "/ports").collect();
        if ports.is_empty() {
            all.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            all.extend(addresses().map(|ip| at(ip, &port["port"])));
        }
    }
    if all.is_empty() { NONE.to_owned() } else { first_three(&all) }
}

fn at(ip: &str, port: &Value) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

const NODES: &[Cell] = &[
    Cell::text("Status", |it, _| {
        let ready = object::items(it, "/status/conditions").find(|it| it["type"] == "Ready");
        let word = match ready {
            None => "Unknown",
            Some(it) if it["status"] == "True" => "Ready",
            Some(_) => "NotReady",
        };
        if it["spec"]["unschedulable"] == true {
            format!("{word},SchedulingDisabled").into()
        } else {
            word.into()
        }
    }),
    Cell::text("Roles", |it, _| {
        let mut roles: Vec<&str> = it["metadata"]["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None if key == "kubernetes.io/role" => value.as_str(),
                None => None,
            })
            .filter(|it| !it.is_empty())
            .collect();
        roles.sort_unstable();
        if roles.is_empty() { NONE.into() } else { roles.join(",").into() }
    }),
];

const NODES_WIDE: &[Cell] = &[
    Cell::text("Version", |it, _| {
        it.pointer("/status/nodeInfo/kubeletVersion").cloned().unwrap_or_else(|| "".into())
    }),
    Cell::wide("Internal-IP", |it, _| address(it, "InternalIP")),
    Cell::wide("External-IP", |it, _| address(it, "ExternalIP")),
    Cell::wide("OS-Image", |it, _| or(it, "/status/nodeInfo/osImage", "<unknown>")),
    Cell::wide("Kernel-Version", |it, _| or(it, "/status/nodeInfo/kernelVersion", "<unknown>")),
    Cell::wide("Container-Runtime", |it, _| {
        or(it, "/status/nodeInfo/containerRuntimeVersion", "<unknown>")
    }),
];

fn address(node: &Value, kind: &str) -> Value {
    object::items(node, "/status/addresses")
        .find(|it| it["type"] == kind)
        .map_or_else(|| NONE.into(), |it| it["address"].clone())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quota {
    Requests,
    Limits,
}

fn quota(object: &Value, which: Quota) -> String {
    let hard = object["status"]["hard"].as_object();
    let lines: Vec<String> = hard
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.starts_with("limits.") == (which == Quota::Limits))
        .map(|(name, hard)| {
            let used = object["status"]["used"][name].as_str().unwrap_or("0");
            format!("{name}: {used}/{}", hard.as_str().unwrap_or_default())
        })
        .collect();
    lines.join(", ")
}

/// Events put their name last.
pub(super) fn events() -> Vec<Cell> {
    vec![
        Cell::text("Last Seen", |it, now| {
            let series = object::text(it, "/series/lastObservedTime");
            match (series, object::text(it, "/lastTimestamp")) {
                ("", "") => first_seen(it, now),
                ("", last) => age(last, now),
                (series, _) => age(series, now),
            }
        }),
        Cell::text("Type", |it, _| it["type"].clone()),
        Cell::text("Reason", |it, _| it["reason"].clone()),
        Cell::text("Object", |it, _| {
            let kind = object::text(it, "/involvedObject/kind").to_lowercase();
            match object::text(it, "/involvedObject/name") {
                "" => kind.into(),
                name => format!("{kind}/{name}").into(),
            }
        }),
        Cell::wide("Subobject", |it, _| or(it, "/involvedObject/fieldPath", "")),
        Cell::wide("Source", |it, _| {
            let either = |one, other| match object::text(it, one) {
                "" => object::text(it, other),
                text => text,
            };
            let component = either("/source/component", "/reportingComponent");
            match either("/source/host", "/reportingInstance") {
                "" => component.into(),
                host => format!("{component}, {host}").into(),
            }
        }),
        Cell::text("Message", |it, _| object::text(it, "/message").trim().into()),
        Cell::wide("First Seen", first_seen),
        Cell::wide("Count", |it, _| {
            let count = it["count"].as_i64().filter(|it| *it != 0).unwrap_or(1);
            it["series"]["count"].as_i64().unwrap_or(count).into()
        }),
        Cell { priority: 1, ..NAME },
    ]
}

fn first_seen(event: &Value, now: Timestamp) -> Value {
    match object::text(event, "/firstTimestamp") {
        "" => age(object::text(event, "/eventTime"), now),
        first => age(first, now),
    }
}
