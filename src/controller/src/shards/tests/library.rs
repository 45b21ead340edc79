//! What was measured of a Lease library, row by row, tried on ours; and what our own Leases cost.

use ger_core::names::{ClusterName, MemberId};
use k8s_openapi::api::coordination::v1::Lease;
use kube_sandbox::FaultKind;
use tokio::time::Instant;

use super::super::leases::Leases;
use super::super::{Settings, listing};
use super::fixture::{Hub, ms, secs};

/// There: the receiver still says `true` 19 s after a 6 s Lease has expired.
#[tokio::test(start_paused = true)]
async fn a_holder_whose_api_fails_knows_it_before_its_lease_has_run_out() {
    for fault in [FaultKind::Unavailable(500), FaultKind::Partition, FaultKind::Unavailable(503)] {
        let hub = Hub::settled(["a", "b"]).await;
        hub.fault("a", fault.clone());
        let cut = Instant::now();

        hub.until("a is sure of nothing", secs(15), |hub| hub.sure("a") == 0).await;

        assert!(cut.elapsed() < secs(14) + ms(100), "{fault:?}: {:?}", cut.elapsed());
    }
}

/// There: with one slow write both replicas are holders for 6.9 s. Here each step is looked at, that none
/// has two.
#[tokio::test(start_paused = true)]
async fn a_contender_whose_writes_are_slow_is_never_a_second_holder() {
    let mut hub = Hub::settled(["a", "b"]).await;
    hub.fault("b", FaultKind::Latency(ms(1500)));
    hub.crash("a");
    hub.until("b holds all", secs(120), |hub| hub.sure("b") == 64).await;
    hub.join("a2");

    hub.until("both hold shards", secs(60), |hub| hub.is_settled(2)).await;
}

/// There: a live holder whose clock is ten seconds behind is robbed within 0.2 s.
#[tokio::test(start_paused = true)]
async fn e2_a_holder_whose_clock_is_an_hour_off_is_not_robbed() {
    for wall in ["1969-12-31T23:00:00Z", "1970-01-01T01:00:00Z"] {
        let mut hub = Hub::new();
        hub.join_with_clock("a", wall.parse().unwrap());
        hub.join("b");
        hub.until("both hold shards", secs(60), |hub| hub.is_settled(2)).await;
        let before = hub.holders();

        hub.watch_for(secs(60)).await;

        assert_eq!(hub.holders(), before, "{wall}");
    }
}

/// There: a waiting replica takes a released 15 s Lease after 13 s.
#[tokio::test(start_paused = true)]
async fn a_shard_that_is_released_is_taken_at_once() {
    let mut hub = Hub::settled(["a", "b"]).await;
    hub.stop("a");

    hub.until("b holds all", ms(500), |hub| hub.sure("b") == 64).await;
}

/// There: a deleted Lease is never made again, and its holder goes on.
#[tokio::test(start_paused = true)]
async fn a_holder_whose_lease_is_deleted_hears_of_it_and_makes_it_again() {
    let hub = Hub::settled(["a", "b"]).await;
    let of_a = *hub.member("a").handle.snapshot().mine.first().unwrap();
    let name = format!("shard-64-{of_a}");
    let mut changes = hub.member("a").handle.changes();
    changes.mark_unchanged();

    hub.delete(&name).await;

    tokio::time::timeout(secs(1), changes.changed()).await.unwrap().unwrap();
    hub.until("it is there again", secs(5), |hub| hub.is_settled(2)).await;
    assert_eq!(hub.holder(&name).await.as_deref(), Some("a"));
}

/// There: every manager contends for every Lease.
#[tokio::test(start_paused = true)]
async fn nobody_writes_a_lease_that_is_another_s() {
    let hub = Hub::settled(["a", "b", "c"]).await;
    hub.watch_for(secs(30)).await;
    let holders = hub.holders();
    let before = hub.sandbox.audit().len();

    hub.pass(secs(60)).await;

    for entry in &hub.sandbox.audit()[before..] {
        let Some(id) = entry.name.strip_prefix("ger-shard-64-") else { continue };
        let shard = holders.iter().find(|(it, _)| it.0.to_string() == id).unwrap();
        assert_eq!(shard.1.as_ref().map(MemberId::as_str), Some(entry.client.as_str()), "{id}");
    }
}

/// There: a late retried renewal lands whatever was written meanwhile.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_arrives_late_overwrites_nothing() {
    let hub = Hub::settled(["a"]).await;
    let client = kube::Client::new(hub.sandbox.client_router("late"), "default");
    let settings = Settings::new("default", "ger", MemberId::new("a"));
    let leases = Leases::new(client, &settings);
    let old: Lease = hub.lease("shard-64-7").await;
    hub.pass(secs(10)).await;

    let error = leases.write(&old).await.unwrap_err();

    assert!(error.is_refusal(), "{error}");
}

/// E3: a hub that loses every race for a while, and one that takes five seconds for everything.
#[tokio::test(start_paused = true)]
async fn e3_conflicts_and_slowness_of_the_hub_move_no_shards() {
    let hub = Hub::settled(["a", "b", "c"]).await;
    let before = hub.holders();
    hub.fault_all(FaultKind::Conflict { resource: "leases".to_owned(), times: 30 });
    hub.watch_for(secs(30)).await;
    assert_eq!(hub.holders(), before);

    hub.fault_all(FaultKind::Latency(secs(5)));
    hub.watch_for(secs(60)).await;
    hub.heal();

    hub.until("all hold their shards again", secs(20), |hub| hub.is_settled(3)).await;
    assert_eq!(hub.holders(), before);
}

/// E6: who dies while it hands over leaves what it had to those who live.
#[tokio::test(start_paused = true)]
async fn e6_a_crash_in_the_middle_of_a_handover_leaves_no_shard_unowned() {
    for after in [0, 1, 5, 20, 60] {
        let mut hub = Hub::settled(["a", "b", "c"]).await;
        hub.fault("b", FaultKind::Latency(ms(30)));
        hub.stop("b");
        hub.watch_for(ms(after)).await;
        hub.crash("b");

        hub.until("the others hold all", secs(20), |hub| hub.is_settled(2)).await;
    }
}

/// What a member cannot reach is in its Lease within seconds, and others work it meanwhile.
#[tokio::test(start_paused = true)]
async fn keys_of_a_cluster_that_the_holder_cannot_reach_are_another_s() {
    let hub = Hub::settled(["a", "b", "c"]).await;
    let east = ClusterName::parse_spoke("east").unwrap();
    let keys: Vec<_> = (0..200).map(|it| Hub::key_in(&east, it)).collect();
    let workers =
        |hub: &Hub, name: &str| keys.iter().filter(|it| hub.member(name).handle.owns(it)).count();
    assert!(workers(&hub, "a") > 0);
    let of_hub = hub.owned("a");

    hub.member("a").unreachable.send_replace([east.clone()].into());
    hub.until("a works nothing there", secs(3), |hub| workers(hub, "a") == 0).await;

    hub.watch_for(secs(1)).await;
    assert_eq!(workers(&hub, "b") + workers(&hub, "c"), 200, "each key by one");
    assert!(workers(&hub, "b") > 0 && workers(&hub, "c") > 0);
    assert_eq!(hub.owned("a"), of_hub, "other clusters' keys stay");
    let admits = |hub: &Hub, name: &str| hub.member(name).handle.owns_admission(&east);
    let admitting: Vec<_> = ["a", "b", "c"].into_iter().filter(|it| admits(&hub, it)).collect();
    assert!(admitting.len() == 1 && admitting[0] != "a", "{admitting:?}");
    let work = keys.iter().find_map(|it| hub.member("b").handle.begin(it)).unwrap();
    assert!(work.still_mine());

    hub.member("a").unreachable.send_replace([].into());
    hub.until("a is back", secs(3), |hub| workers(hub, "a") > 0).await;
    let all = ["a", "b", "c"].map(|it| workers(&hub, it));
    assert_eq!(all.iter().sum::<usize>(), 200, "{all:?}");
}

/// What nobody reaches stays with its holder, and is not passed round.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_nobody_reaches_moves_nowhere() {
    let hub = Hub::settled(["a", "b"]).await;
    let east = ClusterName::parse_spoke("east").unwrap();
    let works = |hub: &Hub, name: &str| -> Vec<bool> {
        let keys = (0..100).map(|it| Hub::key_in(&east, it));
        keys.map(|it| hub.member(name).handle.owns(&it)).collect()
    };
    let before = works(&hub, "a");

    for name in ["a", "b"] {
        hub.member(name).unreachable.send_replace([east.clone()].into());
    }
    hub.watch_for(secs(10)).await;

    assert_eq!(works(&hub, "a"), before);
}

/// Why a shard moved, and for how long it was nobody's.
#[tokio::test(start_paused = true)]
async fn moves_are_counted_with_their_reason_and_their_time() {
    let mut hub = Hub::settled(["a", "b"]).await;
    let moved = |hub: &Hub, reason: &str| {
        hub.member("a").metrics.shard_moves_total.with_label_values(&[reason]).get()
    };
    assert!(moved(&hub, "join") > 0);
    let (mine, of_b) = (hub.sure("a"), hub.sure("b"));
    hub.crash("b");
    hub.until("a holds all", secs(20), |hub| hub.sure("a") == 64).await;
    assert_eq!(moved(&hub, "crash"), u64::try_from(of_b).unwrap());
    let unowned = &hub.member("a").metrics.shard_unowned_seconds;
    let mean = unowned.get_sample_sum() / float(of_b);
    assert!(
        unowned.get_sample_count() >= u64::try_from(of_b).unwrap() && mean < 5.0,
        "{mean} s of {mine}"
    );

    hub.join("c");
    hub.until("c has its share", secs(40), |hub| hub.is_settled(2)).await;
    let of_c = hub.sure("c");
    hub.stop("c");
    hub.until("a holds all", secs(2), |hub| hub.sure("a") == 64).await;
    assert_eq!(moved(&hub, "leave"), u64::try_from(of_c).unwrap());

    let listed = hub.listing().await;
    let moves: usize = listed.shards.values().map(|it| it.claims.len()).sum();
    assert!(moves >= 64 + of_b + 2 * of_c, "{moves}");
    let expected: Vec<&str> = listed.members.keys().map(MemberId::as_str).collect();
    assert_eq!(expected, ["a", "b"], "b's Lease has run out, and is not swept yet");
    let renewals = &hub.member("a").metrics.lease_renewals_total;
    assert!(renewals.with_label_values(&["shard", "ok"]).get() > 100);
}

/// The budget, as `docs/shards.md` has it: one write a renewal for each shard and each member, spread.
#[tokio::test(start_paused = true)]
async fn what_the_leases_cost_is_what_the_documentation_says() {
    let docs = include_str!("../../../../../docs/shards.md");
    for (shards, members) in [(16_u16, 1_usize), (16, 3), (64, 3), (64, 10), (256, 3)] {
        let mut hub = Hub::new();
        hub.shards = shards;
        for number in 0..members {
            hub.join(&format!("m{number}"));
        }
        hub.until("all hold shards", secs(60), |hub| hub.is_settled(members)).await;
        hub.pass(secs(5)).await;
        assert!(hub.is_settled(members), "{shards} shards, {members} members");
        let before = hub.sandbox.audit().len();
        let mut peak = 0;
        for _ in 0..30 {
            let at = hub.sandbox.audit().len();
            hub.pass(secs(1)).await;
            peak = peak.max(hub.sandbox.audit().len() - at);
        }

        let writes = hub.sandbox.audit().len() - before;
        let rate = float(writes) / 30.0;
        let expected = (f64::from(shards) + float(members)) / 5.0;
        assert!((expected * 0.95..expected * 1.05 + 0.3).contains(&rate), "{rate} of {expected}");
        assert!(float(peak) <= 2.0 * expected + 8.0, "{peak} in one second of {expected}");
        if (shards, members) == (64, 3) {
            assert!(rate < 15.0, "{rate}");
        }
        let row = format!("| {shards} | {members} | {expected:.1} |");
        assert!(docs.contains(&row), "docs/shards.md lacks the row {row}");
    }
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

impl Hub {
    async fn lease(&self, name: &str) -> Lease {
        let client = kube::Client::new(self.sandbox.client_router("test"), "default");
        let leases: kube::Api<Lease> = kube::Api::default_namespaced(client);
        leases.get(&format!("ger-{name}")).await.unwrap()
    }

    async fn listing(&self) -> listing::Listing {
        let client = kube::Client::new(self.sandbox.client_router("test"), "default");
        let settings = Settings::new("default", "ger", MemberId::new("reader"));
        let clock = crate::clock::Clock::virtual_from(jiff::Timestamp::UNIX_EPOCH);
        listing::list(client, &settings, clock.now()).await.unwrap()
    }
}
