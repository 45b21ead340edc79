//! What do people do? They push, and they edit, suspend and delete what they own.

use std::time::Duration;

use super::{Act, BRANCHES, Object, Person, Remote, Script, Urge, begin};
use crate::simulation::chance::Chance;
use crate::simulation::sizes::Sizes;
use crate::simulation::timeline::At;

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Replicas have joined by then.
pub(in crate::simulation) const FROM: At = secs(60);

pub(super) fn act(script: &mut Script, chance: &mut Chance, sizes: &Sizes) {
    for repo in 0..script.repos.len() {
        push(script, chance, (repo, sizes));
    }
    let until = sizes.life.saturating_sub(sizes.calm());
    let edits = edits(sizes);
    let mut at = FROM + chance.between(secs(10)..edits);
    while at < until {
        let trigger = chance.below(script.triggers.len());
        edit(script, chance, (at, trigger, sizes));
        at += chance.between(secs(5)..edits);
    }
    let mut at = FROM + chance.between(secs(60)..secs(600));
    while at < until {
        own(script, chance, (at, until));
        at += chance.between(secs(120)..secs(900));
    }
}

/// Somebody edits something this seldom, in a fleet of that size.
fn edits(sizes: &Sizes) -> Duration {
    secs((4800 / u64::try_from(sizes.triggers.max(1)).unwrap_or(1)).clamp(30, 240))
}

/// A repository's pushes: mostly one after another, sometimes there and back within seconds.
fn push(script: &mut Script, chance: &mut Chance, (repo, sizes): (usize, &Sizes)) {
    // The last push comes early enough in the calm for everybody to see it.
    let until = sizes.life.saturating_sub(sizes.longest + secs(150));
    let often = secs(sizes.life.as_secs() / 6).clamp(secs(90), secs(1500));
    let mut at = FROM + chance.between(secs(0)..often);
    while at < until {
        let branch = if chance.percent(75) { BRANCHES[0] } else { BRANCHES[1] };
        let mut then = at;
        let acts: &[Remote] = match chance.below(20) {
            // A, B, A: each seen or not.
            0 => &[Remote::Push(branch), Remote::Rewind(branch, 1)],
            1 => &[Remote::Push(branch), Remote::Rewind(branch, 1), Remote::Push(branch)],
            2 => &[Remote::Rewind(branch, 1)],
            3 => &[Remote::Rewind(branch, 3), Remote::Push(branch)],
            4 => &[Remote::Delete(branch), Remote::Restore(branch)],
            5 => &[Remote::Delete(branch), Remote::Restore(branch), Remote::Push(branch)],
            6..=11 => &[Remote::Push(branch), Remote::Push(branch), Remote::Push(branch)],
            _ => &[Remote::Push(branch)],
        };
        for what in acts {
            script.add(then, Act::Remote { repo, what: *what });
            let soon = chance.percent(30);
            then += if soon {
                chance.between(secs(1)..secs(8))
            } else {
                chance.between(secs(8)..secs(150))
            };
        }
        at = then + chance.between(secs(20)..often);
    }
    if script.repos[repo].is_guarded {
        rotate(script, chance, (repo, sizes));
    }
    be_slow(script, chance, (repo, sizes));
}

/// Tokens rotate: the server's first, the Secrets some time later.
fn rotate(script: &mut Script, chance: &mut Chance, (repo, sizes): (usize, &Sizes)) {
    let until = sizes.life.saturating_sub(sizes.calm());
    let mut at = FROM + chance.between(secs(120)..secs(2400));
    while at < until {
        script.add(at, Act::Remote { repo, what: Remote::Guard });
        let then = at + chance.between(secs(1)..secs(90));
        script.add(then, Act::Remote { repo, what: Remote::Reveal });
        at = then + chance.between(secs(600)..secs(2400));
    }
}

/// A remote is slow or fails for a while.
fn be_slow(script: &mut Script, chance: &mut Chance, (repo, sizes): (usize, &Sizes)) {
    use super::Failing;

    let until = sizes.life.saturating_sub(sizes.calm());
    let mut at = FROM + chance.between(secs(60)..secs(1800));
    while at < until {
        let (what, over) = match chance.below(6) {
            0 => (Remote::Fail(Failing::Silent), Remote::Recover),
            1 => (Remote::Fail(Failing::Status(503)), Remote::Recover),
            2 => (Remote::Fail(Failing::Busy(secs(20))), Remote::Recover),
            _ => (Remote::Slow(chance.between(secs(2)..secs(25))), Remote::Quick),
        };
        script.add(at, Act::Remote { repo, what });
        at += chance.between(secs(10)..secs(180));
        script.add(at.min(until), Act::Remote { repo, what: over });
        at += chance.between(secs(300)..secs(1800));
    }
}

/// The author of a trigger does something, and perhaps undoes it.
fn edit(script: &mut Script, chance: &mut Chance, (at, trigger, sizes): (At, usize, &Sizes)) {
    let (what, undo) = match chance.below(10) {
        0 | 1 => (Person::Times(begin::times(chance, sizes)), None),
        2 | 3 => (Person::Branch(BRANCHES[chance.below(BRANCHES.len())]), None),
        4 | 5 => (Person::Suspend, Some(Person::Resume)),
        6 => (Person::Delete, Some(Person::Create)),
        7 => (Person::Ask(Urge::Anyway), None),
        _ => (Person::Ask(Urge::IfChanged), None),
    };
    script.add(at, Act::Person { trigger, what });
    if let Some(what) = undo {
        let then = at + chance.between(secs(1)..secs(200));
        script.add(then, Act::Person { trigger, what });
    }
}

/// The owner of an Action or a source does something, and undoes it.
fn own(script: &mut Script, chance: &mut Chance, (at, until): (At, At)) {
    let cluster = chance.below(script.clusters.len());
    let (repo, other) = (chance.below(script.repos.len()), chance.below(script.repos.len()));
    let (what, undo) = match chance.below(4) {
        0 => (Object::DeleteAction, Object::CreateAction),
        1 | 2 => (Object::DeleteSource(repo), Object::CreateSource(repo)),
        _ => (Object::Repoint(repo, other), Object::Repoint(repo, repo)),
    };
    script.add(at, Act::Object { cluster, what });
    let then = (at + chance.between(secs(1)..secs(200))).min(until);
    script.add(then, Act::Object { cluster, what: undo });
}
