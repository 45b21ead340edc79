//! What a container asks for and may take.

use crate::{
    kinds::{
        check::{Faults, Field},
        shares,
    },
    quantity::Quantity,
};

pub(super) fn validate(resources: &Field<'_>, faults: &mut Faults) {
    let (limits, requests) = (resources.at("limits"), resources.at("requests"));
    for (name, amount) in limits.entries() {
        judge(name, &amount, faults);
    }
    for (name, amount) in requests.entries() {
        judge(name, &amount, faults);
        let (Some(request), Some(limit)) =
            (Quantity::of(amount.value), Quantity::of(&limits.value[name]))
        else {
            continue;
        };
        // Only what can be given in parts may be asked for in part.
        let at = Field { value: amount.value, path: requests.path.clone() };
        if name.contains('/') && request != limit {
            faults.push(at.invalid(&format!("must be equal to {name} limit of {limit}")));
        } else if request > limit {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            faults.push(at.invalid(&detail));
        }
    }
}

fn judge(name: &str, amount: &Field<'_>, faults: &mut Faults) {
    shares::container_resource(name, &amount.path, faults);
    let Some(value) = Quantity::of(amount.value) else { return };
    if value < Quantity::default() {
        faults.push(amount.invalid("must be greater than or equal to 0"));
    }
    if name.contains('/') && !value.is_whole() {
        faults.push(amount.invalid("must be an integer"));
    }
}
