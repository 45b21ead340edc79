//! Ingresses and their classes: hosts, paths, and the one backend of each.

use serde_json::{Value, json};

use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field},
    },
    object::{self, fill},
    validate,
};

const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid \
    DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end \
    with an alphanumeric character (e.g. '*.example.com', regex used for validation is \
    '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// What a path may not lead through.
const DETOURS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const ENDS: [&str; 2] = ["/..", "/."];

pub(in crate::kinds) const INGRESS: Rules = Rules {
    traits: &[Trait::Generation],
    fill_in: |object| {
        object::section(object, "spec");
        fill(object, "status", json!({}));
        fill(&mut object["status"], "loadBalancer", json!({}));
    },
    validate: |object, _| validate_ingress(object),
    ..PLAIN
};

pub(in crate::kinds) const INGRESS_CLASS: Rules = Rules {
    traits: &[Trait::Generation],
    fill_in: |object| {
        object::section(object, "spec");
        if object["spec"]["parameters"].is_object() {
            fill(&mut object["spec"]["parameters"], "scope", "Cluster".into());
        }
    },
    validate: validate_class,
    ..PLAIN
};

fn validate_class(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let controller = Field::of(object, "spec").at("controller");
    controller.needed(&mut faults);
    controller.ruled(domain_path_fault, &mut faults);
    if old.is_some_and(|it| it["spec"]["controller"] != object["spec"]["controller"]) {
        faults.push(controller.invalid("field is immutable"));
    }
    faults
}

fn domain_path_fault(text: &str) -> Option<String> {
    let parts = text.split_once('/').filter(|(_, path)| !path.is_empty());
    match parts {
        None => Some("must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned()),
        Some((domain, _)) => validate::subdomain_fault(domain),
    }
}

fn validate_ingress(object: &Value) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    let (rules, backend) = (spec.at("rules"), spec.at("defaultBackend"));
    if rules.is_empty_list() && !backend.is_set() {
        let nothing = Field { value: &Value::Null, path: spec.path.clone() };
        faults.push(nothing.invalid("either `defaultBackend` or `rules` must be specified"));
    }
    for rule in rules.items() {
        host(&rule.at("host"), &mut faults);
        let http = rule.at("http");
        if !http.is_set() {
            continue;
        }
        if http.at("paths").is_empty_list() {
            faults.push(http.at("paths").required(""));
        }
        for path in http.each("paths") {
            validate_path(&path, &mut faults);
        }
    }
    if backend.is_set() {
        validate_backend(&backend, &mut faults);
    }
    for tls in spec.each("tls") {
        tls.each("hosts").for_each(|it| host(&it, &mut faults));
        tls.at("secretName").subdomain(&mut faults);
    }
    spec.at("ingressClassName").subdomain(&mut faults);
    faults
}

fn host(host: &Field<'_>, faults: &mut Faults) {
    if host.text().parse::<std::net::IpAddr>().is_ok() {
        faults.push(host.invalid("must be a DNS name, not an IP address"));
    } else if host.text().contains('*') {
        let rest = host.text().strip_prefix("*.").unwrap_or_default();
        if !validate::is_subdomain(rest) {
            faults.push(host.invalid(WILDCARD));
        }
    } else {
        host.subdomain(faults);
    }
}

fn validate_path(entry: &Field<'_>, faults: &mut Faults) {
    let (kind, path) = (entry.at("pathType"), entry.at("path"));
    match kind.text() {
        "" => faults.push(kind.required("pathType must be specified")),
        "Exact" | "Prefix" => {
            if path.text().starts_with('/') {
                let found = DETOURS.iter().find(|it| path.text().contains(**it));
                if let Some(found) = found {
                    faults.push(path.invalid(&format!("must not contain '{found}'")));
                }
                if let Some(end) = ENDS.iter().find(|it| path.text().ends_with(**it)) {
                    faults.push(path.invalid(&format!("cannot end with '{end}'")));
                }
            } else {
                faults.push(path.invalid_text("must be an absolute path"));
            }
        }
        "ImplementationSpecific" => {
            if !path.text().is_empty() && !path.text().starts_with('/') {
                faults.push(path.invalid("must be an absolute path"));
            }
        }
        _ => faults.push(kind.unsupported(&["Exact", "ImplementationSpecific", "Prefix"])),
    }
    validate_backend(&entry.at("backend"), faults);
}

fn validate_backend(backend: &Field<'_>, faults: &mut Faults) {
    let (service, resource) = (backend.at("service"), backend.at("resource"));
    match (service.is_set(), resource.is_set()) {
        (true, true) => {
            let detail = "cannot set both resource and service backends";
            faults.push(backend.invalid_blank(detail));
            return;
        }
        (false, false) => {
            faults.push(backend.invalid_blank("resource or service backend is required"));
            return;
        }
        (false, true) => {
            resource.at("kind").needed(faults);
            resource.at("name").needed(faults);
            return;
        }
        (true, false) => {}
    }
    service.at("name").needed(faults);
    service.at("name").label(faults);
    let (name, number) = (service.at("port").at("name"), service.at("port").at("number"));
    let is_numbered = number.value.as_i64().is_some_and(|it| it != 0);
    match (name.text().is_empty(), is_numbered) {
        (true, false) => {
            faults.push(backend.required("port name or number is required"));
        }
        (false, true) => {
            faults.push(backend.invalid_blank("cannot set both port name & port number"));
        }
        (false, false) => name.port_name(faults),
        (true, true) => number.port(faults),
    }
}
