//! How often may it be called? Token buckets, of this replica alone, and bounded: for what exists, and
//! for so many addresses.

use std::collections::hash_map::RandomState;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ger_core::webhook::Rate;
use governor::clock::Clock;
use governor::middleware::{NoOpMiddleware, StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::config::WebhookLimits;

/// Buckets of one kind. A trigger's or a source's is there only if it is; addresses are strangers'.
const MOST: usize = 65_536;
/// Buckets that are full again are dropped after this many questions.
const TIDY_EVERY: u64 = 16_384;

type Informed = StateInformationMiddleware;
type Direct = RateLimiter<NotKeyed, InMemoryState, Ticks, Informed>;
type Keyed<K> = RateLimiter<K, HashMapStateStore<K, RandomState>, Ticks, Informed>;

type Uninformed<K> =
    RateLimiter<K, HashMapStateStore<K, RandomState>, Ticks, NoOpMiddleware<Duration>>;

/// Tokio's clock: it stands still where a test's time does.
#[derive(Clone, Debug)]
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A limit, after a call was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) burst: u32,
    pub(super) remaining: u32,
    /// Until one more is allowed; zero while some are left.
    pub(super) next: Duration,
    /// Until all are allowed again.
    pub(super) reset: Duration,
}

/// All limits of the replica.
pub(super) struct Limits {
    global: Option<(Rate, Direct)>,
    caller: Option<Buckets<IpAddr>>,
    trigger: Option<Buckets<String>>,
    source: Option<Buckets<String>>,
    ticks: Ticks,
}

struct Buckets<K: Hash + Eq + Clone> {
    rate: Rate,
    limiter: Keyed<K>,
    /// What finds no room shares one.
    overflow: Direct,
    asked: AtomicU64,
}

impl Limits {
    pub(super) fn new(limits: &WebhookLimits) -> Self {
        let ticks = Ticks(Instant::now());
        Self {
            global: limits.global.map(|it| (it, direct(it, &ticks))),
            caller: limits.caller.map(|it| Buckets::new(it, &ticks)),
            trigger: limits.trigger.map(|it| Buckets::new(it, &ticks)),
            source: limits.source.map(|it| Buckets::new(it, &ticks)),
            ticks,
        }
    }

    /// Counts a call before anything is known of it: the tighter of the two limits, or the one that is
    /// exceeded.
    pub(super) fn arrive(&self, caller: Option<IpAddr>) -> Result<Option<Seen>, Seen> {
        let of_caller = self.caller.as_ref().zip(caller);
        let of_caller = of_caller.map(|(it, caller)| it.count(&network(caller), &self.ticks));
        let of_all = |(rate, it): &(Rate, Direct)| self.ticks.count(*rate, it);
        let of_caller = of_caller.transpose()?;
        Ok(tighter(of_caller, self.global.as_ref().map(of_all).transpose()?))
    }

    /// Counts a call that its trigger has let in, towards each of its sources.
    pub(super) fn enter(&self, trigger: &str, sources: &[String]) -> Result<Option<Seen>, Seen> {
        let mut seen = None;
        if let Some(buckets) = &self.source {
            for source in sources {
                let key = format!("{trigger}/{source}");
                seen = tighter(seen, Some(buckets.count(&key, &self.ticks)?));
            }
        }
        let of_trigger = self.trigger.as_ref();
        let of_trigger = of_trigger.map(|it| it.count(&trigger.to_owned(), &self.ticks));
        Ok(tighter(seen, of_trigger.transpose()?))
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

/// The limit that is nearer to its end; the first, where they are equally near.
pub(super) fn tighter(one: Option<Seen>, other: Option<Seen>) -> Option<Seen> {
    one.into_iter().chain(other).min_by_key(|it| it.remaining)
}

/// A caller has a whole network of IPv6: each of its addresses would have a bucket of its own.
fn network(caller: IpAddr) -> IpAddr {
    match caller.to_canonical() {
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn quota(rate: Rate) -> Quota {
    let quota = Quota::with_period(rate.period());
    quota.unwrap_or_else(|| Quota::per_second(rate.burst)).allow_burst(rate.burst)
}

fn direct(rate: Rate, ticks: &Ticks) -> Direct {
    RateLimiter::direct_with_clock(quota(rate), ticks.clone()).with_middleware()
}

impl Ticks {
    fn count(&self, rate: Rate, limiter: &Direct) -> Result<Seen, Seen> {
        let left = |it: StateSnapshot| left(rate, it.remaining_burst_capacity());
        limiter.check().map(left).map_err(|it| none_left(rate, it.wait_time_from(self.now())))
    }
}

fn left(rate: Rate, remaining: u32) -> Seen {
    let used = rate.burst.get().saturating_sub(remaining);
    let reset = rate.period().saturating_mul(used);
    Seen { burst: rate.burst.get(), remaining, next: Duration::ZERO, reset }
}

fn none_left(rate: Rate, next: Duration) -> Seen {
    let rest = rate.period().saturating_mul(rate.burst.get().saturating_sub(1));
    Seen { burst: rate.burst.get(), remaining: 0, next, reset: next.saturating_add(rest) }
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(rate: Rate, ticks: &Ticks) -> Self {
        let limiter: Uninformed<K> =
            RateLimiter::new(quota(rate), HashMapStateStore::default(), ticks.clone());
        let limiter = limiter.with_middleware();
        Self { rate, limiter, overflow: direct(rate, ticks), asked: AtomicU64::new(0) }
    }

    fn count(&self, key: &K, ticks: &Ticks) -> Result<Seen, Seen> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        if self.limiter.len() >= MOST {
            return ticks.count(self.rate, &self.overflow);
        }
        let counted = self.limiter.check_key(key);
        counted
            .map(|it| left(self.rate, it.remaining_burst_capacity()))
            .map_err(|it| none_left(self.rate, it.wait_time_from(ticks.now())))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn limits(change: impl FnOnce(&mut WebhookLimits)) -> Limits {
        let mut limits = WebhookLimits::default();
        change(&mut limits);
        Limits::new(&limits)
    }

    fn rate(text: &str) -> Option<Rate> {
        let rate = Rate::parse(text);
        assert!(rate.is_ok(), "{text} is no rate");
        rate.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_allowed_and_comes_back_one_by_one() {
        let limits = limits(|it| it.global = rate("2/10"));
        let first = limits.arrive(None).unwrap().unwrap();
        let second = limits.arrive(None).unwrap().unwrap();
        let third = limits.arrive(None).unwrap_err();

        assert_eq!((first.burst, first.remaining, second.remaining), (2, 1, 0));
        assert_eq!((third.remaining, third.next.as_secs(), third.reset.as_secs()), (0, 5, 10));

        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(limits.arrive(None).is_ok(), "one is back");
        assert!(limits.arrive(None).is_err(), "and no other");
    }

    #[tokio::test(start_paused = true)]
    async fn triggers_and_sources_are_counted_apart() {
        let limits = limits(|it| {
            it.trigger = rate("2/60");
            it.source = rate("1/60");
        });
        let sources = |it: &str| vec![it.to_owned()];

        assert!(limits.enter("hub/team/deploy", &sources("app")).is_ok());
        assert!(limits.enter("hub/team/deploy", &sources("app")).is_err(), "the source's");
        assert!(limits.enter("hub/team/deploy", &sources("lib")).is_ok());
        let told = limits.enter("hub/team/deploy", &sources("doc")).unwrap_err();
        assert_eq!(told.burst, 2, "the trigger's");
        assert!(limits.enter("east/team/deploy", &sources("app")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn millions_of_callers_take_a_bounded_place() {
        let limits = limits(|it| it.caller = rate("1/3600"));
        let address = |it: u32| Some(IpAddr::V4(Ipv4Addr::from_bits(it)));

        for number in 0..200_000 {
            let _: Result<_, _> = limits.arrive(address(number));
        }

        assert_eq!(limits.caller.as_ref().unwrap().limiter.len(), MOST);
        tokio::time::advance(Duration::from_hours(2)).await;
        for _ in 0..TIDY_EVERY {
            let _: Result<_, _> = limits.arrive(address(7));
        }
        assert_eq!(
            limits.caller.as_ref().unwrap().limiter.len(),
            1,
            "what is full again is dropped"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_ipv6_is_one_caller() {
        let limits = limits(|it| it.caller = rate("1/60"));
        let address = |it: &str| Some(it.parse().unwrap());

        assert!(limits.arrive(address("2001:db8::1")).is_ok());
        assert!(limits.arrive(address("2001:db8::ffff:2")).is_err());
        assert!(limits.arrive(address("2001:db8:0:1::1")).is_ok());
        assert!(limits.arrive(address("192.0.2.1")).is_ok());
        assert!(limits.arrive(address("::ffff:192.0.2.1")).is_err());
    }
}
