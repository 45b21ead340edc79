//! Who holds which shard? The members, their shards, the ages of their Leases, and what moved lately.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ger_core::names::{ClusterName, MemberId, ShardCount, ShardId};
use jiff::Timestamp;

use crate::shards::listing::{Listing, Member, Shard};

const HEAD: [&str; 8] =
    ["MEMBER", "STATE", "AGE", "RENEWED", "SHARDS", "MOVED 1H", "VERSION", "CANNOT REACH"];

/// A table of the members, and below it what each holds by Leases of which age.
pub fn table(listing: &Listing, now: Timestamp) -> String {
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    for (name, member) in &listing.members {
        rows.push(row(listing, (name, member), now));
    }
    let mut text = aligned(&rows);
    for (count, shards) in by_count(listing) {
        let line = |name: &str, who: Option<&MemberId>, what: &str| {
            let its = || shards.iter().filter(|it| it.1.holder.as_ref() == who);
            let numbers = ranges(its().map(|it| it.0.0).collect());
            let written = its().filter_map(|it| it.1.renewed);
            let between = (written.clone().max(), written.min());
            format!("  {name}: {numbers}; {what} {}\n", ages(between, now))
        };
        let mut holders: Vec<&MemberId> =
            shards.values().filter_map(|it| it.holder.as_ref()).collect();
        holders.sort_unstable();
        holders.dedup();
        let _ = writeln!(text, "\nThe {} shards:", count.get());
        for holder in holders {
            text.push_str(&line(holder.as_str(), Some(holder), "renewed"));
        }
        if shards.values().any(|it| it.holder.is_none()) {
            text.push_str(&line("free", None, "released"));
        }
    }
    let moves: usize = listing.shards.values().map(|it| it.claims.len()).sum();
    let _ = writeln!(text, "\nMoves in the last hour: {moves}");
    text
}

fn by_count(listing: &Listing) -> BTreeMap<ShardCount, BTreeMap<ShardId, &Shard>> {
    let mut all: BTreeMap<ShardCount, BTreeMap<ShardId, &Shard>> = BTreeMap::new();
    for ((count, id), shard) in &listing.shards {
        all.entry(*count).or_default().insert(*id, shard);
    }
    all
}

fn row(listing: &Listing, (name, member): (&MemberId, &Member), now: Timestamp) -> Vec<String> {
    let held: Vec<&Shard> =
        listing.shards.values().filter(|it| it.holder.as_ref() == Some(name)).collect();
    let is_late = member.renewed.is_none_or(|at| now.duration_since(at) > member.duration);
    let claims: usize = held.iter().map(|it| it.claims.len()).sum();
    let unreachable: Vec<&str> = member.unreachable.iter().map(ClusterName::as_str).collect();
    vec![
        name.to_string(),
        if is_late { "stale" } else { "alive" }.to_owned(),
        ago(member.created, now),
        ago(member.renewed, now),
        held.len().to_string(),
        claims.to_string(),
        member.release.clone().unwrap_or_else(|| "-".to_owned()),
        if unreachable.is_empty() { "-".to_owned() } else { unreachable.join(",") },
    ]
}

/// How long ago the newest of some Leases was written, and the oldest.
fn ages((newest, oldest): (Option<Timestamp>, Option<Timestamp>), now: Timestamp) -> String {
    let (newest, oldest) = (ago(newest, now), ago(oldest, now));
    if newest == oldest { format!("{newest} ago") } else { format!("{newest} to {oldest} ago") }
}

/// How long ago, in the two largest units that kubectl shows. By this machine's clock: what it says is
/// for reading alone.
fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m{}s", seconds / 60, seconds % 60),
        7200..=172_799 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Numbers in order, runs of them shortened: `0-3,7`.
fn ranges(numbers: Vec<u16>) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let texts = runs.into_iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    });
    texts.collect::<Vec<_>>().join(",")
}

/// Columns as wide as their widest entry, three spaces apart, as kubectl has them.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|it| it.get(column)).map(|it| it.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("   ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn it_says_who_is_there_and_who_holds_what() {
        let count = ShardCount::new(8).unwrap();
        let member = |renewed| Member {
            created: Some(at(0)),
            renewed: Some(at(renewed)),
            duration: SignedDuration::from_secs(15),
            release: Some("1.0.0".to_owned()),
            shards: Some(count),
            unreachable: Vec::new(),
        };
        let mut listing = Listing::default();
        listing.members.insert(MemberId::new("runner-0-3f2a"), member(3597));
        listing.members.insert(MemberId::new("runner-1-77b0"), member(3500));
        for number in 0..8 {
            let holder = match number {
                0..=3 => Some(MemberId::new("runner-0-3f2a")),
                4 | 6 => Some(MemberId::new("runner-1-77b0")),
                _ => None,
            };
            let claims = if number == 2 { vec![at(3000)] } else { Vec::new() };
            let renewed = match number {
                0..=3 => at(3599 - i64::from(number)),
                4 | 6 => at(3500),
                _ => at(3300),
            };
            let shard = Shard { holder, renewed: Some(renewed), transitions: 1, claims };
            listing.shards.insert((count, ShardId(number)), shard);
        }

        let expected = "\
MEMBER          STATE   AGE     RENEWED   SHARDS   MOVED 1H   VERSION   CANNOT REACH
runner-0-3f2a   alive   60m0s   3s        4        1          1.0.0     -
runner-1-77b0   stale   60m0s   100s      2        0          1.0.0     -

The 8 shards:
  runner-0-3f2a: 0-3; renewed 1s to 4s ago
  runner-1-77b0: 4,6; renewed 100s ago
  free: 5,7; released 5m0s ago

Moves in the last hour: 1
";
        assert_eq!(table(&listing, at(3600)), expected);
    }
}
