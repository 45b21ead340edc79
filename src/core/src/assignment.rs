//! Which live member holds which shard?

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::names::{MemberId, ShardCount, ShardId};
use crate::ring::stable_hash;

/// Shard → the member that shall hold it. Empty when nobody is alive.
pub type Assignment = BTreeMap<ShardId, MemberId>;

/// The most shards one of `members` may hold: a quarter over its share, so that a shard stays where
/// it is when members come and go, although its neighbours' loads change.
pub fn cap(shards: ShardCount, members: usize) -> usize {
    (usize::from(shards.get()) * 5).div_ceil(4 * members.max(1))
}

/// Gives each shard to a live member: the keenest pairs first, while the member has room.
///
/// A function of the member set alone, so all members that see the same set agree without talking.
/// Taking the pairs by their score, not the shards by their number, keeps a displaced shard from
/// displacing a chain of others: half the moves between survivors, measured.
pub fn assign(shards: ShardCount, members: &BTreeSet<MemberId>) -> Assignment {
    let cap = cap(shards, members.len());
    let mut pairs: Vec<_> = shards
        .ids()
        .flat_map(|shard| members.iter().map(move |member| (score(shard, member), shard, member)))
        .collect();
    pairs.sort_unstable_by_key(|pair| Reverse(*pair));

    let mut room: BTreeMap<&MemberId, usize> = members.iter().map(|it| (it, cap)).collect();
    let mut assignment = Assignment::new();
    for (_, shard, member) in pairs {
        let Some(left) = room.get_mut(member).filter(|left| **left > 0) else { continue };
        assignment.entry(shard).or_insert_with(|| {
            *left -= 1;
            member.clone()
        });
    }
    assignment
}

/// Who may step in when `holder` leaves `shard` unclaimed: the next keenest.
pub fn stand_in(
    shard: ShardId,
    members: &BTreeSet<MemberId>,
    holder: &MemberId,
) -> Option<MemberId> {
    members.iter().filter(|it| *it != holder).max_by_key(|it| (score(shard, it), *it)).cloned()
}

/// How much `member` wants `shard`. A change here moves every shard of every fleet, so a golden
/// test pins it.
pub(crate) fn score(shard: ShardId, member: &MemberId) -> u64 {
    stable_hash("assignment", &[&shard.0.to_be_bytes(), member.as_str().as_bytes()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(n: u16) -> ShardCount {
        ShardCount::new(n).unwrap()
    }

    /// `git-events-runner-0-3f2a`, as a StatefulSet names its pods.
    fn ordinals(n: usize) -> BTreeSet<MemberId> {
        (0..n).map(|i| MemberId::new(format!("git-events-runner-{i}-{:04x}", i * 40503))).collect()
    }

    /// `git-events-runner-7f9c6d5b8-x2k4z`, as a Deployment does.
    fn replicas(seed: u64, n: usize) -> BTreeSet<MemberId> {
        let letters = b"bcdfghjklmnpqrstvwxz2456789";
        let name = |i: usize| {
            let mut bits = stable_hash("test", &[&seed.to_be_bytes(), &i.to_be_bytes()]);
            let suffix: String = (0..5)
                .map(|_| {
                    let letter = letters[usize::try_from(bits % 27).unwrap()];
                    bits /= 27;
                    char::from(letter)
                })
                .collect();
            MemberId::new(format!("git-events-runner-7f9c6d5b8-{suffix}"))
        };
        (0..n).map(name).collect()
    }

    /// How many shards moved although neither the one that left held them, nor the one that came.
    fn moved_between_survivors(before: &Assignment, after: &Assignment) -> usize {
        let (were, are): (BTreeSet<_>, BTreeSet<_>) =
            (before.values().collect(), after.values().collect());
        before
            .iter()
            .filter(|(shard, was)| {
                let is = &after[*shard];
                is != *was && are.contains(was) && were.contains(is)
            })
            .count()
    }

    #[test]
    fn nobody_alive_holds_nothing() {
        assert!(assign(count(64), &BTreeSet::new()).is_empty());
    }

    #[test]
    fn the_assignment_is_the_same_on_every_build() {
        let assignment = assign(count(8), &["a-0", "a-1", "a-2"].map(MemberId::new).into());

        let holders: Vec<_> = assignment.values().map(MemberId::as_str).collect();
        assert_eq!(holders, ["a-0", "a-0", "a-2", "a-1", "a-1", "a-0", "a-1", "a-1"]);
    }

    /// Two of three survivors keep all that is theirs when one of few shards has to move.
    #[test]
    fn few_shards_move_between_survivors() {
        let mut moved = 0;
        let mut shards = 0;
        for (seed, n) in (0..60).map(|it| (it, 2 + usize::try_from(it % 15).unwrap())) {
            for fleet in [replicas(seed, n + 1), ordinals(n + 1)] {
                let mut smaller = fleet.clone();
                let gone = fleet.iter().nth(usize::try_from(seed).unwrap() % fleet.len()).cloned();
                smaller.remove(&gone.unwrap());
                let (before, after) = (assign(count(64), &fleet), assign(count(64), &smaller));

                moved += moved_between_survivors(&before, &after);
                shards += 64;
            }
        }

        assert!(moved * 100 < shards * 5, "{moved} of {shards}");
        assert!(moved * 100 < shards * 2, "worse than measured: {moved} of {shards}");
    }

    /// How many shards are another's without one member: the same, whether he comes or goes.
    fn moved_without(one: &MemberId, fleet: &BTreeSet<MemberId>, larger: &Assignment) -> usize {
        let others = fleet.iter().filter(|it| *it != one).cloned().collect();
        let smaller = assign(count(larger.len().try_into().unwrap()), &others);
        larger.iter().filter(|(shard, who)| smaller[*shard] != **who).count()
    }

    /// What moves when one comes or goes is his share, and little more: between 1 and 10 members.
    #[test]
    fn e4_who_comes_or_goes_moves_his_share_and_three_percent_on_average() {
        let sizes = [2, 3, 4, 6, 10];
        for (shards, n) in [64, 256].into_iter().flat_map(|it| sizes.map(|n| (it, n))) {
            let fleets = (0..7).map(|seed| replicas(seed * 31 + 7, n)).chain([ordinals(n)]);
            let (mut moved, mut all) = (0, 0);
            for fleet in fleets {
                let larger = assign(count(shards), &fleet);
                moved += fleet.iter().map(|it| moved_without(it, &fleet, &larger)).sum::<usize>();
                all += fleet.len() * larger.len();
            }

            let most = all / n + all * 3 / 100;
            assert!(moved <= most, "{shards} shards, {n} members: {moved} of {all}, not {most}");
        }
    }

    proptest! {
        #[test]
        fn every_shard_is_held_and_nobody_is_over_the_cap(
            seed: u64, n in 1_usize..40, shards in 1_u16..300,
        ) {
            let members = replicas(seed, n);
            let assignment = assign(count(shards), &members);

            prop_assert_eq!(assignment.len(), usize::from(shards));
            for member in &members {
                let held = assignment.values().filter(|it| *it == member).count();
                prop_assert!(held <= cap(count(shards), members.len()), "{} holds {}", member, held);
            }
        }

        /// Where the cap binds nobody, what a leaving member did not hold does not move.
        #[test]
        fn without_the_cap_only_the_leavers_shards_move(seed: u64, n in 2_usize..9) {
            let members = replicas(seed, n);
            let gone = members.first().cloned().unwrap();
            let mut left = members.clone();
            left.remove(&gone);
            let shards = count(64);
            let (before, after) = (assign(shards, &members), assign(shards, &left));
            let binds = |assignment: &Assignment, n: usize| {
                members.iter().any(|m| assignment.values().filter(|it| *it == m).count() >= cap(shards, n))
            };
            prop_assume!(!binds(&before, members.len()) && !binds(&after, left.len()));

            for (shard, was) in before.iter().filter(|(_, was)| **was != gone) {
                prop_assert_eq!(&after[shard], was);
            }
        }

        #[test]
        fn the_stand_in_is_another_live_member(seed: u64, n in 1_usize..9, shard in 0_u16..64) {
            let members = replicas(seed, n);
            let holder = assign(count(64), &members)[&ShardId(shard)].clone();
            let next = stand_in(ShardId(shard), &members, &holder);

            prop_assert_eq!(next.is_some(), members.len() > 1);
            prop_assert!(next.is_none_or(|it| it != holder && members.contains(&it)));
        }
    }
}
