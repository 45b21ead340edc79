//! What do timers, the ring and the assignment cost with many triggers?

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use ger_api::schedule_trigger::Schedule as Text;
use ger_core::assignment::assign;
use ger_core::names::{ClusterName, MemberId, ShardCount, TriggerKey, TriggerKind};
use ger_core::ring::Ring;
use ger_core::schedule::Schedule;
use git_events_runner::schedule::Queue;
use jiff::Timestamp;
use tokio::time::Instant;

/// How many triggers one replica holds.
pub(crate) const TRIGGERS: [usize; 2] = [10_000, 100_000];
/// How many shards there are, and how many members share them.
pub(crate) const FLEETS: [(u16, usize); 3] = [(64, 3), (64, 10), (256, 10)];
/// How many shards the ring is built for.
pub(crate) const SHARDS: [u16; 2] = [64, 256];

const INTERVAL: Duration = Duration::from_mins(1);
/// Later than any timer here.
const LATER: Duration = Duration::from_hours(24);

pub(crate) fn bench(criterion: &mut Criterion) {
    queue(criterion);
    ring(criterion);
    times(criterion);
}

fn queue(criterion: &mut Criterion) {
    let start = Instant::now();
    let mut group = criterion.benchmark_group("queue");
    group.sample_size(20);
    for count in TRIGGERS {
        let keys = keys(count);
        group.bench_function(BenchmarkId::new("fill", count), |bencher| {
            bencher.iter_with_large_drop(|| filled(&keys, start));
        });

        let mut queue = settled(&keys, start);
        let mut now = start;
        group.bench_function(BenchmarkId::new("fire", count), |bencher| {
            bencher.iter(|| {
                now += INTERVAL;
                let (key, memory, at) = queue.take(now + LATER).expect("all of them wait");
                queue.done(&key, memory, Some(at + INTERVAL), now);
            });
        });

        let mut queue = settled(&keys, start);
        let mut woken = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("event", count), |bencher| {
            bencher.iter(|| {
                queue.wake(woken.next().expect("it is a cycle"), start);
                let (key, memory, _) = queue.take(start).expect("it was woken");
                queue.done(&key, memory, Some(start + INTERVAL), start);
            });
        });
    }
    group.finish();
}

fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    let keys = keys(TRIGGERS[0]);
    for shards in SHARDS {
        let count = shard_count(shards);
        group.bench_function(BenchmarkId::new("build", shards), |bencher| {
            bencher.iter(|| Ring::new(black_box(count)));
        });
        let ring = Ring::new(count);
        let mut asked = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("look-up", shards), |bencher| {
            bencher.iter(|| ring.shard_of(asked.next().expect("it is a cycle")));
        });
    }
    for (shards, members) in FLEETS {
        let name = |i| MemberId::new(format!("git-events-runner-7f9c6d5b8-{i:05x}-3f2a91c0"));
        let fleet: BTreeSet<MemberId> = (0..members).map(name).collect();
        group.bench_function(
            BenchmarkId::new("assign", format!("{shards}-{members}")),
            |bencher| {
                bencher.iter(|| assign(shard_count(shards), black_box(&fleet)));
            },
        );
    }
    group.finish();
}

fn times(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("times");
    let now = Timestamp::from_second(1_800_000_000).expect("it is a time");
    for (name, text, zone) in [
        ("interval", Text::Interval("1m".to_owned()), None),
        ("cron", Text::Cron("30 2 * * 1-5".to_owned()), Some("Europe/Berlin")),
    ] {
        let schedule = Schedule::parse(&text, zone).expect("it is valid");
        group.bench_function(name, |bencher| bencher.iter(|| schedule.next(black_box(now))));
    }
    group.finish();
}

/// As much as the scheduler remembers of a trigger with one source.
#[derive(Clone, Default)]
struct Remembered {
    _schedule: Option<Schedule>,
    _times: [Option<Timestamp>; 2],
    _sources: BTreeMap<String, Source>,
    _pending: BTreeMap<String, Instant>,
    _failures: u32,
}

type Source = (u32, Option<String>, [Option<Instant>; 2]);

fn filled(keys: &[TriggerKey], now: Instant) -> Queue<Remembered> {
    let mut queue = Queue::default();
    for key in keys {
        queue.wake(key, now);
    }
    queue
}

/// Every trigger was worked once, and waits for its own time within the interval.
fn settled(keys: &[TriggerKey], start: Instant) -> Queue<Remembered> {
    let mut queue = filled(keys, start);
    let schedule = Schedule::parse(&Text::Interval("1m".to_owned()), None).expect("it is valid");
    let step = INTERVAL / u32::try_from(keys.len()).expect("not that many");
    let mut at = start + INTERVAL;
    while let Some((key, _, _)) = queue.take(start) {
        let memory = Remembered {
            _schedule: Some(schedule.clone()),
            _times: [Some(Timestamp::UNIX_EPOCH); 2],
            _sources: [("app".to_owned(), (0, None, [None; 2]))].into(),
            ..Remembered::default()
        };
        at += step;
        queue.done(&key, memory, Some(at), start);
    }
    queue
}

fn keys(count: usize) -> Vec<TriggerKey> {
    let key = |i: usize| TriggerKey {
        cluster: ClusterName::parse_spoke(&format!("edge-{}", i % 10)).expect("it is a name"),
        kind: TriggerKind::Schedule,
        namespace: format!("team-{}", i % 50),
        name: format!("deploy-app-{i}"),
    };
    (0..count).map(key).collect()
}

fn shard_count(shards: u16) -> ShardCount {
    ShardCount::new(shards).expect("it is within bounds")
}
