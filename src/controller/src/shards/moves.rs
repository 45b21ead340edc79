//! Why did a shard become this member's, and how long had nobody had it? For people and metrics alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ger_core::membership::Mono;
use ger_core::names::{MemberId, ShardCount, ShardId};

/// Who joined so lately gets his share; later moves have other reasons.
const NEW_FOR: Duration = Duration::from_secs(30);

/// What moved a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// This member came, or was the first.
    Join,
    /// The holder went in order.
    Leave,
    /// The holder let its Lease run out.
    Crash,
    /// The holder is there, and others came or went.
    Rebalance,
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Crash => "crash",
            Self::Rebalance => "rebalance",
        }
    }
}

/// A shard that became this member's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) reason: Reason,
    /// For how long it was nobody's, where that was seen.
    pub(super) unowned: Option<Duration>,
}

type Place = (ShardCount, ShardId);

/// What was seen of the shards' holders.
#[derive(Debug)]
pub(super) struct Moves {
    me: MemberId,
    /// How long a Lease is good for.
    duration: Duration,
    held: BTreeMap<Place, Held>,
    joined: Option<Mono>,
    pub(super) made: Vec<Move>,
}

/// The last holder of a shard.
#[derive(Debug)]
struct Held {
    holder: MemberId,
    /// Since when it is nobody's: released, or the end of its Lease.
    free_at: Mono,
    is_released: bool,
}

impl Moves {
    pub(super) fn new(me: MemberId, duration: Duration) -> Self {
        Self { me, duration, held: BTreeMap::new(), joined: None, made: Vec::new() }
    }

    /// The own Lease is there.
    pub(super) fn on_joined(&mut self, now: Mono) {
        self.joined.get_or_insert(now);
    }

    /// A shard's Lease was seen to change. The own claims are told by their answers.
    pub(super) fn on_seen(&mut self, place: Place, holder: Option<MemberId>, now: Mono) {
        match (holder, self.held.get_mut(&place)) {
            (Some(holder), _) if holder == self.me => {}
            (Some(holder), _) => {
                let free_at = now + self.duration;
                self.held.insert(place, Held { holder, free_at, is_released: false });
            }
            (None, Some(held)) if !held.is_released => {
                held.is_released = true;
                held.free_at = now;
            }
            (None, _) => {}
        }
    }

    /// This member has claimed a shard; what was seen of it is from before.
    pub(super) fn on_claimed(&mut self, place: Place, alive: &BTreeSet<MemberId>, now: Mono) {
        let is_new = self.joined.is_none_or(|at| now < at + NEW_FOR);
        let before = self.held.get(&place);
        let reason = match before {
            None => Reason::Join,
            Some(it) if !it.is_released => Reason::Crash,
            Some(it) if !alive.contains(&it.holder) => Reason::Leave,
            Some(_) if is_new => Reason::Join,
            Some(_) => Reason::Rebalance,
        };
        let unowned = before.map(|it| now.saturating_sub(it.free_at));
        self.made.push(Move { reason, unowned });
        let (holder, free_at) = (self.me.clone(), now + self.duration);
        self.held.insert(place, Held { holder, free_at, is_released: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn place() -> Place {
        (ShardCount::new(64).unwrap(), ShardId(7))
    }

    /// A shard that `you` held and, at `released`, let go; claimed by `me` at `claimed`.
    fn moved(alive: &[&str], released: Option<u64>, claimed: u64) -> Move {
        let mut moves = Moves::new(MemberId::new("me"), LEASE);
        moves.on_joined(secs(0));
        moves.on_seen(place(), Some(MemberId::new("you")), secs(100));
        if let Some(at) = released {
            moves.on_seen(place(), None, secs(at));
        }
        let alive = alive.iter().map(|it| MemberId::new(*it)).collect();
        moves.on_claimed(place(), &alive, secs(claimed));
        moves.made.remove(0)
    }

    #[test]
    fn a_move_has_its_reason_and_the_time_that_nobody_had_the_shard() {
        let expected = |reason, seconds| Move { reason, unowned: Some(secs(seconds)) };

        assert_eq!(moved(&["me"], Some(104), 105), expected(Reason::Leave, 1));
        assert_eq!(moved(&["me", "you"], Some(104), 106), expected(Reason::Rebalance, 2));
        assert_eq!(moved(&["me"], None, 118), expected(Reason::Crash, 3));
    }

    #[test]
    fn what_a_newcomer_gets_is_its_share() {
        let mut moves = Moves::new(MemberId::new("me"), LEASE);
        let alive = ["me", "you"].map(MemberId::new).into();
        moves.on_claimed(place(), &alive, secs(1));
        moves.on_seen(place(), Some(MemberId::new("you")), secs(2));
        moves.on_seen(place(), None, secs(3));
        moves.on_claimed(place(), &alive, secs(4));

        let reasons: Vec<_> = moves.made.iter().map(|it| it.reason).collect();
        assert_eq!(reasons, [Reason::Join, Reason::Join]);
        assert_eq!(moves.made[0].unowned, None);
    }
}
