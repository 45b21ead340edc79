//! Webhook configurations and admission policies. Here they are kept; nobody is called.

use serde_json::{Value, json};

use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field},
    },
    object::{self, fill},
    validate,
};

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

const COUNTED: Rules = Rules { traits: &[Trait::Generation, Trait::StatedVersion], ..PLAIN };

pub(super) const VALIDATING: Rules = Rules {
    fill_in: |object| object::items_mut(object, "/webhooks").for_each(fill_in_webhook),
    validate: |object, _| validate_webhooks(object),
    ..COUNTED
};

pub(super) const MUTATING: Rules = Rules {
    fill_in: |object| {
        for webhook in object::items_mut(object, "/webhooks") {
            fill_in_webhook(webhook);
            fill(webhook, "reinvocationPolicy", "Never".into());
        }
    },
    ..VALIDATING
};

pub(super) const POLICY: Rules = Rules {
    fill_in: |object| {
        object::section(object, "spec");
        let spec = &mut object["spec"];
        fill(spec, "failurePolicy", "Fail".into());
        if spec["matchConstraints"].is_object() {
            fill_in_match(&mut spec["matchConstraints"]);
        }
        object::section(object, "status");
    },
    ..COUNTED
};

pub(super) const BINDING: Rules = Rules {
    fill_in: |object| {
        object::section(object, "spec");
        if object["spec"]["matchResources"].is_object() {
            fill_in_match(&mut object["spec"]["matchResources"]);
        }
    },
    ..COUNTED
};

fn fill_in_match(constraints: &mut Value) {
    fill(constraints, "matchPolicy", "Equivalent".into());
    fill(constraints, "namespaceSelector", json!({}));
    fill(constraints, "objectSelector", json!({}));
    for rule in object::items_mut(constraints, "/resourceRules") {
        fill(rule, "scope", "*".into());
    }
}

fn fill_in_webhook(webhook: &mut Value) {
    fill(webhook, "failurePolicy", "Fail".into());
    fill(webhook, "matchPolicy", "Equivalent".into());
    fill(webhook, "namespaceSelector", json!({}));
    fill(webhook, "objectSelector", json!({}));
    fill(webhook, "timeoutSeconds", 10.into());
    if webhook["clientConfig"]["service"].is_object() {
        fill(&mut webhook["clientConfig"]["service"], "port", 443.into());
    }
    for rule in object::items_mut(webhook, "/rules") {
        fill(rule, "scope", "*".into());
    }
}

fn validate_webhooks(object: &Value) -> Faults {
    let mut faults = Vec::new();
    let mut names = Vec::new();
    for webhook in Field::of(object, "webhooks").items() {
        validate_webhook(&webhook, &mut faults);
        let name = webhook.at("name");
        if names.contains(&name.text()) {
            faults.push(name.duplicate());
        }
        names.push(name.text());
    }
    faults
}

fn validate_webhook(webhook: &Field<'_>, faults: &mut Faults) {
    let versions = webhook.at("admissionReviewVersions");
    if versions.is_empty_list() {
        faults.push(versions.required("must specify one of v1, v1beta1"));
    } else if !object::strings(versions.value).iter().any(|it| REVIEWS.contains(it)) {
        faults.push(versions.invalid("must include at least one of v1, v1beta1"));
    }
    let name = webhook.at("name");
    name.needed(faults);
    if !name.text().is_empty() && name.text().split('.').count() < 3 {
        let detail = "should be a domain with at least three segments separated by dots";
        faults.push(name.invalid(detail));
    }
    name.ruled(validate::subdomain_fault, faults);
    for rule in webhook.each("rules") {
        validate_rule(&rule, faults);
    }
    webhook.at("failurePolicy").one_of(&["Fail", "Ignore"], faults);
    webhook.at("matchPolicy").one_of(&["Equivalent", "Exact"], faults);
    let effects = webhook.at("sideEffects");
    if effects.text().is_empty() {
        faults.push(effects.required("must specify one of None, NoneOnDryRun"));
    } else {
        effects.one_of(&["None", "NoneOnDryRun"], faults);
    }
    let timeout = webhook.at("timeoutSeconds");
    if timeout.value.as_i64().is_some_and(|it| !(1..=30).contains(&it)) {
        faults.push(timeout.invalid("the timeout value must be between 1 and 30 seconds"));
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        webhook.at(selector).selector(faults);
    }
    client(&webhook.at("clientConfig"), faults);
}

fn client(config: &Field<'_>, faults: &mut Faults) {
    let (url, service) = (config.at("url"), config.at("service"));
    if url.is_set() == service.is_set() {
        faults.push(config.required("exactly one of url or service is required"));
        return;
    }
    if service.is_set() {
        for (field, detail) in
            [("name", "service name is required"), ("namespace", "service namespace is required")]
        {
            if service.at(field).text().is_empty() {
                faults.push(service.at(field).required(detail));
            }
        }
        return;
    }
    let (scheme, _) = url.text().split_once("://").unwrap_or(("", ""));
    if scheme != "https" {
        let value = scheme.into();
        let detail = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
        faults.push(Field { value: &value, path: url.path.clone() }.invalid(detail));
    }
}

fn validate_rule(rule: &Field<'_>, faults: &mut Faults) {
    for (field, what) in [
        ("operations", "operations"),
        ("apiGroups", "API groups"),
        ("apiVersions", "API versions"),
        ("resources", ""),
    ] {
        let list = rule.at(field);
        let stated = object::strings(list.value);
        if stated.is_empty() {
            faults.push(list.required(""));
        } else if stated.len() > 1 && stated.contains(&"*") && !what.is_empty() {
            let detail = format!("if '*' is present, must not specify other {what}");
            faults.push(list.invalid(&detail));
        }
        if field == "operations" {
            list.items().for_each(|it| it.one_of(&OPERATIONS, faults));
        }
    }
    rule.at("scope").maybe_one_of(&["*", "Cluster", "Namespaced"], faults);
}
