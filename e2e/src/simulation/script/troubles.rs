//! What goes wrong? Storms, in which much does at once, and calms, in which only single clusters suffer: there
//! the others must not notice.

use std::ops::Range;
use std::time::Duration;

use jiff::SignedDuration;

use super::people::FROM;
use super::{Act, BRANCHES, Call, Ending, Moment, Process, Remote, Script, Side, Trouble};
use crate::simulation::chance::Chance;
use crate::simulation::sizes::Sizes;
use crate::simulation::timeline::At;

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const HUB: usize = 0;

pub(super) fn befall(script: &mut Script, chance: &mut Chance, sizes: &Sizes) {
    let until = sizes.life.saturating_sub(sizes.calm());
    let mut at = FROM + chance.between(secs(0)..secs(120));
    while at < until {
        let end = (at + chance.between(secs(120)..secs(480))).min(until);
        storm(script, chance, (at..end, sizes));
        at = end + chance.between(secs(300)..secs(700));
    }
    for cluster in 1..script.clusters.len() {
        suffer(script, chance, (cluster, until));
    }
    // The calm in which a life ends is one for those who reach each cluster.
    if script.clusters.len() > 1 && sizes.replicas > 1 && chance.percent(50) {
        let cluster = 1 + chance.below(script.clusters.len() - 1);
        script.add(until, Act::CutOff { cluster, slot: chance.below(sizes.replicas) });
    }
}

/// Everything may happen to everybody.
fn storm(script: &mut Script, chance: &mut Chance, (span, sizes): (Range<At>, &Sizes)) {
    let mut at = span.start;
    while at < span.end {
        let slot = chance.below(sizes.replicas);
        let end = (at + chance.between(secs(5)..secs(150))).min(span.end);
        match chance.below(10) {
            0..=2 => script.add(at, Act::Replica { slot, what: crash(chance) }),
            3 | 4 => script.add(at, Act::Replica { slot, what: freeze(chance) }),
            5 => script.add(at, Act::Replica { slot, what: other(chance) }),
            // The hub, for one or for all.
            6 | 7 => break_one(script, chance, (HUB, at..end, sizes.replicas)),
            _ => {
                let cluster = chance.below(script.clusters.len());
                break_one(script, chance, (cluster, at..end, sizes.replicas));
            }
        }
        at += chance.between(secs(2)..secs(60));
    }
    let within = |chance: &mut Chance| chance.between(span.clone());
    if chance.percent(60) {
        let at = within(chance);
        outage(script, chance, at..span.end);
    }
    if chance.percent(75) {
        let at = within(chance);
        ambush(script, chance, at);
    }
}

/// Nobody reaches the hub for longer than a Lease is good for, and for little more than that: whoever believes
/// that the others' Leases ran out meanwhile is wrong, and is among the first who can act on it.
fn outage(script: &mut Script, chance: &mut Chance, span: Range<At>) {
    let number = script.acts.len();
    let trouble =
        *chance.pick(&[Trouble::Partition, Trouble::Unavailable(503), Trouble::RefuseConnections]);
    let end = (span.start + chance.between(secs(17)..secs(60))).min(span.end);
    script.add(span.start, Act::Break { number, cluster: HUB, slot: None, trouble });
    script.add(end, Act::Mend { number });
}

/// Who sees a push first freezes before it is recorded, while the next push comes and somebody else sees to it:
/// then it wakes with an answer, a version and a belief that are all old.
fn ambush(script: &mut Script, chance: &mut Chance, at: At) {
    let repo = chance.below(script.repos.len());
    let push = Act::Remote { repo, what: Remote::Push(BRANCHES[0]) };
    let length = chance.between(secs(60)..secs(240));
    let at_record = Moment { call: Call::Record, skip: 0, side: Side::Before };
    script.add(at, Act::Ambush { at: at_record, length });
    script.add(at, push.clone());
    script.add(at + chance.between(secs(15)..secs(90)), push);
}

fn crash(chance: &mut Chance) -> Process {
    Process::Crash { at: moment(chance), rest: chance.between(secs(0)..secs(60)) }
}

fn freeze(chance: &mut Chance) -> Process {
    let length = if chance.percent(30) { secs(5)..secs(40) } else { secs(40)..secs(240) };
    // Just before a run is recorded is where it matters most.
    let at = if chance.percent(60) {
        Moment { call: Call::Record, skip: 0, side: Side::Before }
    } else {
        moment(chance)
    };
    Process::Freeze { at, length: chance.between(length) }
}

fn other(chance: &mut Chance) -> Process {
    if chance.percent(60) {
        return Process::Stop { rest: chance.between(secs(0)..secs(30)) };
    }
    Process::Clock(jump(chance))
}

fn moment(chance: &mut Chance) -> Moment {
    let call = *chance.pick(&Call::ALL);
    let most = match call {
        Call::Any => 200,
        Call::Lease => 20,
        Call::Record | Call::Status | Call::Create | Call::Start => 3,
    };
    let side = if chance.percent(50) { Side::Before } else { Side::After };
    Moment { call, skip: chance.below(most), side }
}

/// Up to two minutes and a half, so that two clocks never differ by much more than five.
fn jump(chance: &mut Chance) -> SignedDuration {
    let millis = i64::try_from(chance.below(150_000)).unwrap_or_default();
    SignedDuration::from_millis(if chance.percent(50) { millis } else { -millis })
}

/// Something goes wrong between a cluster and one replica, or all of them.
fn break_one(
    script: &mut Script,
    chance: &mut Chance,
    (cluster, span, replicas): (usize, Range<At>, usize),
) {
    let slot = (!chance.percent(40)).then(|| chance.below(replicas));
    if chance.percent(20) {
        let how = *chance.pick(&[Ending::Dropped, Ending::Expired, Ending::Compacted]);
        return script.add(span.start, Act::Watches { cluster, slot, how });
    }
    let number = script.acts.len();
    let trouble = trouble(chance);
    script.add(span.start, Act::Break { number, cluster, slot, trouble });
    script.add(span.end, Act::Mend { number });
}

fn trouble(chance: &mut Chance) -> Trouble {
    let often = *chance.pick(&[5, 20, 60]);
    match chance.below(12) {
        0 | 1 => Trouble::Partition,
        2 => Trouble::Latency(chance.between(secs(1)..secs(12))),
        3 => Trouble::Tail(chance.between(Duration::from_millis(20)..secs(1))),
        4 => Trouble::Unavailable(*chance.pick(&[500, 503, 429])),
        5 => Trouble::Sometimes(*chance.pick(&[429, 500, 503, 504]), often),
        6 => Trouble::DoneButRefused(often),
        7 => Trouble::DoneButUnheard(often),
        8 => Trouble::Unconnected(often),
        9 => Trouble::StallWatches,
        10 => Trouble::RefuseConnections,
        _ => Trouble::Conflicts,
    }
}

/// A spoke has its own bad times, whatever the weather.
fn suffer(script: &mut Script, chance: &mut Chance, (cluster, until): (usize, At)) {
    let mut at = FROM + chance.between(secs(60)..secs(1500));
    while at < until {
        let end = (at + chance.between(secs(20)..secs(400))).min(until);
        match chance.below(6) {
            0 => {
                script.add(at, Act::Unregister { cluster });
                script.add(end, Act::Register { cluster });
            }
            1 => script.add(at, Act::Clock { cluster, by: jump(chance) }),
            _ => {
                let number = script.acts.len();
                let trouble = trouble(chance);
                script.add(at, Act::Break { number, cluster, slot: None, trouble });
                script.add(end, Act::Mend { number });
            }
        }
        at = end + chance.between(secs(300)..secs(1800));
    }
}
