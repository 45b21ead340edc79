//! Would kind take its configurations, and do they fit together? By the fields that kind documents.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::tools::{read, run, tool, top};

/// What kind reads of a file, as far as its documentation goes; another field is refused by kind too.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Cluster {
    kind: String,
    api_version: String,
    name: String,
    networking: Networking,
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Networking {
    api_server_address: String,
    pod_subnet: String,
    service_subnet: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Node {
    role: String,
    #[serde(default)]
    extra_port_mappings: Vec<Mapping>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mapping {
    container_port: u16,
    host_port: u16,
    listen_address: String,
    protocol: String,
}

const CLUSTERS: [&str; 3] = ["hub", "spoke-1", "spoke-2"];

fn cluster(name: &str) -> Cluster {
    serde_saphyr::from_str(&read(&format!("kind-configs/{name}.yaml"))).unwrap()
}

fn values(name: &str) -> Value {
    serde_saphyr::from_str(&read(&format!("kind-configs/{name}.yaml"))).unwrap()
}

#[test]
fn the_configurations_are_what_kind_reads() {
    let mut subnets = BTreeSet::new();
    for name in CLUSTERS {
        let cluster = cluster(name);

        assert_eq!(cluster.kind, "Cluster");
        assert_eq!(cluster.api_version, "kind.x-k8s.io/v1alpha4");
        assert_eq!(cluster.name, format!("ger-{name}"), "hack/kind calls it so");
        assert_eq!(cluster.networking.api_server_address, "127.0.0.1");
        let roles: Vec<_> = cluster.nodes.iter().map(|it| it.role.as_str()).collect();
        assert_eq!(roles[0], "control-plane");
        assert!(roles[1..].iter().all(|it| *it == "worker"), "{roles:?}");
        for subnet in [cluster.networking.pod_subnet, cluster.networking.service_subnet] {
            let (address, bits) = subnet.split_once('/').unwrap();
            assert!(address.parse::<std::net::Ipv4Addr>().is_ok() && bits == "16", "{subnet}");
            assert!(subnets.insert(subnet.clone()), "{subnet} is there twice");
        }
    }
}

#[test]
fn the_ingress_listens_where_the_hub_leads_to() {
    let hub = cluster("hub");
    let mappings: Vec<_> = hub.nodes.iter().flat_map(|it| &it.extra_port_mappings).collect();

    let [mapping] = mappings.as_slice() else { panic!("one port leads to the hub: {mappings:?}") };
    assert_eq!(values("ingress")["ports"]["web"]["nodePort"], mapping.container_port);
    assert_eq!(mapping.protocol, "TCP");
    assert_eq!(mapping.listen_address, "127.0.0.1", "nobody else calls webhooks");
    assert!(mapping.host_port > 1024, "a port for everybody");
    let class = &values("values")["ingress"]["className"];
    assert_eq!(class, &values("ingress")["ingressClass"]["name"]);
}

/// The chart takes the values with which `hack/kind` installs it.
#[test]
fn the_chart_renders_with_the_values_of_kind() {
    let (chart, values) = (top().join("charts/git-events-runner"), "kind-configs/values.yaml");
    let mut helm = tool("helm");
    helm.arg("template").arg("git-events-runner").arg(chart).args(["--values", values]);
    let rendered = run(helm.args(["--namespace", "git-events-runner"]));

    assert!(rendered.contains("ingressClassName: traefik"), "{rendered}");
    let image = format!("git-events-runner/git-events-runner:v{}", env!("CARGO_PKG_VERSION"));
    assert!(rendered.contains(&image), "what hack/images builds is what is asked for");
    assert!(rendered.contains("imagePullPolicy: IfNotPresent"), "what was loaded is used");
}
