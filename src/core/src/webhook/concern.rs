//! Does a call concern a trigger? By its event, and by the references that were pushed.

use ger_api::schedule_trigger::Reference;

use super::payload::{Delivery, Event, Fate, RefChange, RefName};
use crate::names::Commit;
use crate::plan::{Hook, Plan};

#[cfg(test)]
mod tests;

/// How much of a stranger's text is told back to it.
const SHOWN: usize = 80;

/// Whether to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Yes; and this commit was said to be there.
    Look { hint: Option<Commit> },
    /// The forge tries whether somebody answers.
    Ping,
    /// Nothing that is watched can have changed: why, for the caller.
    Ignored { why: String },
}

/// Judges a delivery. `in_range` says whether a tag is a version in a range.
pub fn concerns(
    plan: &Plan,
    hook: &Hook,
    delivery: &Delivery,
    in_range: impl Fn(&str, &str) -> bool,
) -> Concern {
    if let Some(event) = &delivery.event {
        let is_wanted = hook.events.iter().any(|it| event.is_called(it));
        if event.is_ping() && !is_wanted {
            return Concern::Ping;
        }
        if !is_wanted {
            return Concern::Ignored {
                why: format!(
                    "the event {:?} is not one of the trigger's events: {}",
                    shown(&event.told),
                    hook.events.join(", ")
                ),
            };
        }
    }
    let is_push = delivery.event.as_ref().is_none_or(Event::is_push);
    let reference = &plan.reference;
    let touches = |it: &RefChange| touches(reference, it, &in_range);
    let touching = delivery.refs.iter().find(|it| touches(it));
    // What does not say which references were pushed may be about any of them.
    let is_told = is_push && !delivery.refs.is_empty() && !delivery.is_cut;
    if hook.match_reference && is_told && touching.is_none() {
        return Concern::Ignored { why: elsewhere(reference, &delivery.refs) };
    }
    // Of a range, another tag may be the highest; of a commit there is nothing to wait for.
    let has_hint = matches!(reference, Reference::Branch(_) | Reference::Tag(_));
    let hint = touching.filter(|_| has_hint && is_push).and_then(|it| it.after.clone());
    Concern::Look { hint }
}

/// Whether what is watched may be another commit because of this.
fn touches(
    reference: &Reference,
    change: &RefChange,
    in_range: &impl Fn(&str, &str) -> bool,
) -> bool {
    let is_there = change.fate == Fate::Moved;
    match (reference, &change.name) {
        (Reference::Branch(watched), RefName::Branch(name) | RefName::Either(name))
        | (Reference::Tag(watched), RefName::Tag(name) | RefName::Either(name)) => {
            is_there && watched == name
        }
        // The highest tag may also be the one that is gone.
        (Reference::Semver(range), RefName::Tag(name) | RefName::Either(name)) => {
            in_range(range, name)
        }
        // Any push may bring it.
        (Reference::Commit(_), _) => is_there,
        (Reference::Branch(_), RefName::Tag(_) | RefName::Other(_))
        | (Reference::Tag(_) | Reference::Semver(_), RefName::Branch(_) | RefName::Other(_)) => {
            false
        }
    }
}

fn elsewhere(reference: &Reference, refs: &[RefChange]) -> String {
    let (kind, watched) = crate::plan::reference_parts(reference);
    let first = refs.first();
    let pushed = first.map_or_else(String::new, |it| shown(it.name.text()));
    let others = match refs.len().saturating_sub(1) {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let done = match first.map(|it| it.fate) {
        Some(Fate::Deleted) => "deletes",
        Some(Fate::Moved) | None => "is to",
    };
    format!("the push {done} {pushed:?}{others}, and the trigger watches the {kind} {watched:?}")
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
