//! Who works the keys of a cluster, when the holder of their shard cannot reach it?

use std::collections::{BTreeMap, BTreeSet};

use crate::assignment::score;
use crate::broken::{self, Law};
use crate::names::{ClusterName, MemberId, ShardId};

/// The clusters that each member says it cannot reach.
pub type CutOff = BTreeMap<MemberId, BTreeSet<ClusterName>>;

/// The member that works the keys of `cluster` in a shard: its holder, unless that one cannot reach the
/// cluster and another can. A function of what all members see alike.
pub fn worker<'a>(
    (shard, holder): (ShardId, &'a MemberId),
    cluster: &ClusterName,
    members: &'a BTreeSet<MemberId>,
    cut_off: &CutOff,
) -> &'a MemberId {
    let reaches = |it: &MemberId| !cut_off.get(it).is_some_and(|them| them.contains(cluster));
    if reaches(holder) || broken::is_off(Law::Reach) {
        return holder;
    }
    let able = members.iter().filter(|it| reaches(it));
    able.max_by_key(|it| (score(shard, it), *it)).unwrap_or(holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> MemberId {
        MemberId::new(name)
    }

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse_spoke(name).unwrap()
    }

    fn cut_off<const N: usize>(all: [(&str, &str); N]) -> CutOff {
        let mut them = CutOff::new();
        for (who, from) in all {
            them.entry(member(who)).or_default().insert(cluster(from));
        }
        them
    }

    fn works(shard: u16, from: &str, them: &CutOff) -> String {
        let members = ["a", "b", "c"].map(member).into();
        let holder = member("a");
        worker((ShardId(shard), &holder), &cluster(from), &members, them).to_string()
    }

    #[test]
    fn a_holder_that_reaches_the_cluster_works_in_it() {
        assert_eq!(works(0, "east", &CutOff::new()), "a");
        assert_eq!(works(0, "east", &cut_off([("a", "west"), ("b", "east")])), "a");
    }

    #[test]
    fn the_keys_of_a_cluster_that_the_holder_cannot_reach_go_to_those_who_can() {
        let them = cut_off([("a", "east")]);
        let workers: BTreeSet<String> = (0..64).map(|it| works(it, "east", &them)).collect();
        assert_eq!(workers, ["b", "c"].map(str::to_owned).into(), "not all to the same");

        let them = cut_off([("a", "east"), ("b", "east")]);
        assert!((0..64).all(|it| works(it, "east", &them) == "c"));
    }

    #[test]
    fn what_nobody_reaches_stays_where_it_is() {
        let them = cut_off([("a", "east"), ("b", "east"), ("c", "east")]);
        assert_eq!(works(3, "east", &them), "a");
    }
}
