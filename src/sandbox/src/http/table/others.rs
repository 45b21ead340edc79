//! The columns of the kinds of all other groups.

use serde_json::Value;

use crate::{
    http::table::{
        Cell, Columns,
        text::{NONE, amount, balancers, count, first_three, or_none, selector},
    },
    object,
};

pub(super) fn columns(table: &str) -> Option<Columns> {
    Some(match table {
        "leases.coordination.k8s.io" => (
            const {
                &[Cell::text("Holder", |it, _| {
                    it["spec"]["holderIdentity"].as_str().unwrap_or_default().into()
                })]
            },
            &[],
        ),
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => (
            const {
                &[Cell::text("Role", |it, _| {
                    let role = &it["roleRef"];
                    format!("{}/{}", object::text(role, "/kind"), object::text(role, "/name"))
                        .into()
                })]
            },
            const {
                &[
                    Cell::wide("Users", |it, _| subjects(it, "User")),
                    Cell::wide("Groups", |it, _| subjects(it, "Group")),
                    Cell::wide("ServiceAccounts", |it, _| subjects(it, "ServiceAccount")),
                ]
            },
        ),
        "ingresses.networking.k8s.io" => (INGRESSES, &[]),
        "ingressclasses.networking.k8s.io" => (INGRESS_CLASSES, &[]),
        "networkpolicies.networking.k8s.io" => (
            const { &[Cell::text("Pod-Selector", |it, _| selector(&it["spec"]["podSelector"]))] },
            &[],
        ),
        "poddisruptionbudgets.policy" => (
            const {
                &[
                    Cell::text("Min Available", |it, _| amount(&it["spec"]["minAvailable"], "N/A")),
                    Cell::text("Max Unavailable", |it, _| {
                        amount(&it["spec"]["maxUnavailable"], "N/A")
                    }),
                    Cell::number("Allowed Disruptions", |it, _| {
                        count(it, "/status/disruptionsAllowed")
                    }),
                ]
            },
            &[],
        ),
        "validatingwebhookconfigurations.admissionregistration.k8s.io"
        | "mutatingwebhookconfigurations.admissionregistration.k8s.io" => (
            const { &[Cell::number("Webhooks", |it, _| object::items(it, "/webhooks").count().into())] },
            &[],
        ),
        "endpointslices.discovery.k8s.io" => (SLICES, &[]),
        _ => return None,
    })
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let names: Vec<String> = object::items(binding, "/subjects")
        .filter(|it| it["kind"] == kind)
        .map(|it| match (kind, object::text(it, "/namespace")) {
            ("ServiceAccount", namespace) => format!("{namespace}/{}", object::text(it, "/name")),
            _ => object::text(it, "/name").to_owned(),
        })
        .collect();
    names.join(", ").into()
}

const INGRESSES: &[Cell] = &[
    Cell::text("Class", |it, _| or_none(it, "/spec/ingressClassName")),
    Cell::text("Hosts", |it, _| {
        let hosts = object::items(it, "/spec/rules").map(|it| object::text(it, "/host"));
        let hosts: Vec<String> = hosts.filter(|it| !it.is_empty()).map(str::to_owned).collect();
        if hosts.is_empty() { "*".into() } else { first_three(&hosts).into() }
    }),
    Cell::text("Address", |it, _| balancers(it).join(",").into()),
    Cell::text("Ports", |it, _| {
        let secured = object::items(it, "/spec/tls").next().is_some();
        if secured { "80, 443".into() } else { "80".into() }
    }),
];

const INGRESS_CLASSES: &[Cell] = &[
    Cell::text("Controller", |it, _| it["spec"]["controller"].clone()),
    Cell::text("Parameters", |it, _| {
        let to = &it["spec"]["parameters"];
        if !to.is_object() {
            return NONE.into();
        }
        let kind = object::text(to, "/kind");
        let group = match object::text(to, "/apiGroup") {
            "" => String::new(),
            group => format!(".{group}"),
        };
        format!("{kind}{group}/{}", object::text(to, "/name")).into()
    }),
];

const SLICES: &[Cell] = &[
    Cell::text("AddressType", |it, _| it["addressType"].clone()),
    Cell::text("Ports", |it, _| {
        let ports: Vec<String> = object::items(it, "/ports")
            .map(|it| match &it["port"] {
                Value::Null => "*".to_owned(),
                port => port.to_string(),
            })
            .collect();
        if ports.is_empty() { "<unset>".into() } else { first_three(&ports).into() }
    }),
    Cell::text("Endpoints", |it, _| {
        let all: Vec<String> = object::items(it, "/endpoints")
            .flat_map(|it| object::strings(&it["addresses"]))
            .map(str::to_owned)
            .collect();
        if all.is_empty() { "<unset>".into() } else { first_three(&all).into() }
    }),
];
