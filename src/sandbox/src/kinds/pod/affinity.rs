//! Which nodes and neighbours a Pod may ask for.

use crate::kinds::check::{Faults, Field, requirement};

/// Rules that must hold, and rules that only should.
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate(affinity: &Field<'_>, faults: &mut Faults) {
    let node = affinity.at("nodeAffinity");
    let required = node.at(REQUIRED);
    if required.is_set() {
        let terms = required.at("nodeSelectorTerms");
        if terms.is_empty_list() {
            faults.push(terms.required("must have at least one node selector term"));
        }
        terms.items().for_each(|it| node_term(&it, faults));
    }
    for preferred in node.each(PREFERRED) {
        weight(&preferred, faults);
        node_term(&preferred.at("preference"), faults);
    }
    for kind in ["podAffinity", "podAntiAffinity"].map(|it| affinity.at(it)) {
        kind.each(REQUIRED).for_each(|it| pod_term(&it, faults));
        for preferred in kind.each(PREFERRED) {
            weight(&preferred, faults);
            pod_term(&preferred.at("podAffinityTerm"), faults);
        }
    }
}

fn weight(preferred: &Field<'_>, faults: &mut Faults) {
    let weight = preferred.at("weight");
    if !weight.value.as_i64().is_some_and(|it| (1..=100).contains(&it)) {
        faults.push(weight.invalid("must be in the range 1-100"));
    }
}

fn node_term(term: &Field<'_>, faults: &mut Faults) {
    for expression in term.each("matchExpressions") {
        requirement(&expression, &["Gt", "Lt"], faults);
    }
}

fn pod_term(term: &Field<'_>, faults: &mut Faults) {
    term.at("labelSelector").selector(faults);
    term.at("namespaceSelector").selector(faults);
    let key = term.at("topologyKey");
    if key.text().is_empty() {
        faults.push(key.required("can not be empty"));
    }
    key.qualified(faults);
}
