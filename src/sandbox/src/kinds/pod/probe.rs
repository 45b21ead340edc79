//! Probes and hooks: exactly one way to ask, and how often.

use crate::{
    kinds::check::{Faults, Field},
    refusal::Cause,
};

const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
const HOOKS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "sleep"];

pub(super) fn validate_all(container: &Field<'_>, faults: &mut Faults) {
    let lifecycle = container.at("lifecycle");
    for hook in ["postStart", "preStop"].map(|it| lifecycle.at(it)) {
        if hook.is_set() {
            handler(&hook, &HOOKS, faults);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.at(name);
        if !probe.is_set() {
            continue;
        }
        handler(&probe, &HANDLERS, faults);
        for field in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            probe.at(field).not_negative(faults);
        }
        let successes = probe.at("successThreshold");
        if name != "readinessProbe" && *successes.value != 1 {
            faults.push(successes.invalid("must be 1"));
        }
    }
}

fn handler(asked: &Field<'_>, known: &[&str], faults: &mut Faults) {
    let mut count = 0;
    for name in known {
        let field = asked.at(name);
        if !field.is_set() {
            continue;
        }
        count += 1;
        if count > 1 {
            faults.push(field.forbidden("may not specify more than 1 handler type"));
            continue;
        }
        match *name {
            "exec" if field.at("command").is_empty_list() => {
                faults.push(field.at("command").required(""));
            }
            "httpGet" => {
                field.at("path").needed(faults);
                field.at("port").port_or_name(faults);
                field.at("scheme").one_of(&["HTTP", "HTTPS"], faults);
            }
            "tcpSocket" => field.at("port").port_or_name(faults),
            "grpc" => field.at("port").port(faults),
            _ => {}
        }
    }
    if count == 0 {
        let detail = "must specify a handler type";
        faults.push(Cause::required(asked.path.as_str(), detail));
    }
}
