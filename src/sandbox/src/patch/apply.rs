//! Server-side apply: one says what it wants, and owns that; what it no longer says, it gives up.

use serde_json::{Value, json};

use crate::{
    api::Call,
    breakage::Breakage,
    clock, object,
    patch::{
        conflict::{self, Conflict},
        fields::FieldSet,
        last_applied,
        ownership::{self, Owner},
        reset, typed,
    },
    refusal::{Refusal, Result},
    schema::Node,
};

/// Who had these fields before the first apply is not known.
const BEFORE: &str = "before-first-apply";

/// The object after somebody applied what it wants, with the owners of its fields.
pub(crate) fn apply(call: &Call, live: Option<&Value>, wanted: &Value) -> Result<Value> {
    let mut owners = match live {
        None => Vec::new(),
        Some(live) => ownership::parse(&live["metadata"]["managedFields"])
            .ok_or_else(|| Refusal::new(500, "", "failed to decode managed fields"))?,
    };
    let mut before = live.cloned().unwrap_or_else(|| json!({}));
    object::metadata(&mut before).remove("managedFields");
    if owners.is_empty() && live.is_some() {
        ownership::record(call, BEFORE, (None, &before), &mut owners)?;
    }
    owners.retain(|it| ownership::is_served(call, it));

    let mut settled = settle(call, &before, wanted, owners)?;
    let open = settled.open(call, live)?;
    if !open.is_empty() {
        return Err(conflict::refusal(open));
    }
    if !call.is_broken(Breakage::SharedForce) {
        settled.take();
    }
    let Settled { mut object, mut owners, mut mine, .. } = settled;
    if object != before && ownership::is_timed(call) {
        mine.time = Some(clock::seconds(call.now));
    }
    ownership::strip(&mut mine.fields);
    owners.push(mine);
    owners.retain(|it| !it.fields.is_empty());
    last_applied::keep_up(call, wanted, &mut object);
    ownership::write(&mut object, owners);
    Ok(object)
}

/// An apply that is done, if nobody has anything against it.
struct Settled {
    object: Value,
    /// All but the one who applies.
    owners: Vec<Owner>,
    mine: Owner,
    changed: FieldSet,
    removed: FieldSet,
}

fn settle(call: &Call, live: &Value, wanted: &Value, mut owners: Vec<Owner>) -> Result<Settled> {
    let node = call.target.version()?.schema.root();
    let mut mine = Owner::applier(call);
    let last = owners.iter().position(|it| it.is_same(&mine)).map(|it| owners.remove(it));
    mine.fields = typed::field_set(wanted, Some(node));
    reset::cut(&call.target, &mut [&mut mine.fields])?;

    let mut object = typed::merge(live, wanted, Some(node));
    if let Some(last) = last
        && !call.is_broken(Breakage::KeptFields)
    {
        let mut claimed = mine.fields.clone();
        for owner in &owners {
            claimed.add(&owner.fields);
        }
        object = prune(&object, &last.fields, &claimed, node);
        mine.time = last.time;
    }
    let difference = ownership::difference(call, Some(live), &object)?;
    let (changed, removed) = (difference.changed, difference.removed);
    Ok(Settled { object, owners, mine, changed, removed })
}

impl Settled {
    /// The conflicts that stand in the way.
    fn open(&self, call: &Call, live: Option<&Value>) -> Result<Vec<Conflict>> {
        if call.options.force || call.is_broken(Breakage::SilentConflicts) {
            return Ok(Vec::new());
        }
        let with = |it: &Owner| Conflict::with(it, it.fields.shared(&self.changed));
        let mut open: Vec<Conflict> = self.owners.iter().map(with).collect();
        let allowed = last_applied::allowed(call, live)?;
        for conflict in &mut open {
            conflict.fields.subtract(&allowed);
        }
        open.retain(|it| !it.fields.is_empty());
        Ok(open)
    }

    /// Takes from the others what the apply changed.
    fn take(&mut self) {
        for owner in &mut self.owners {
            owner.fields.subtract(&self.changed);
            owner.fields.subtract(&self.removed);
        }
    }
}

/// Takes out what was applied the last time, and is now neither applied nor anybody's.
fn prune(merged: &Value, last: &FieldSet, claimed: &FieldSet, node: &Node) -> Value {
    let node = Some(node);
    let last = last.with_named(node);
    let all = typed::field_set(merged, node).with_named(node);
    let without = typed::remove(merged, &last, node);

    // What others claim comes back, with all that it stands in.
    let mut kept = typed::field_set(&without, node).with_named(node);
    kept.add(&claimed.with_named(node));
    let mut gone = all.clone();
    gone.subtract(&kept);
    let without = typed::remove(merged, &gone, node);

    // So does what nobody claims and the applier never had.
    let mut gone = all;
    gone.subtract(&typed::field_set(&without, node).with_named(node));
    typed::remove(merged, &gone.shared(&last), node)
}
