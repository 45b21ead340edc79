//! How often may it be called? Token buckets, of this replica alone, and bounded: for what exists, and
//! for so many addresses. A call that one of them refuses uses up nothing of the others.

mod buckets;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use self::buckets::{Buckets, Ticks, Token};
use crate::config::WebhookLimits;

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
    global: Option<Buckets<()>>,
    caller: Option<Buckets<IpAddr>>,
    trigger: Option<Buckets<String>>,
    source: Option<Buckets<String>>,
}

impl Limits {
    pub(super) fn new(limits: &WebhookLimits) -> Self {
        let ticks = Ticks::begin();
        Self {
            global: limits.global.map(|it| Buckets::new(it, &ticks)),
            caller: limits.caller.map(|it| Buckets::new(it, &ticks)),
            trigger: limits.trigger.map(|it| Buckets::new(it, &ticks)),
            source: limits.source.map(|it| Buckets::new(it, &ticks)),
        }
    }

    /// Counts a call before anything is known of it: the tighter of the two limits, or the one that is
    /// exceeded.
    pub(super) fn arrive(&self, caller: Option<IpAddr>) -> Result<Option<Seen>, Seen> {
        let of_caller = self.caller.as_ref().zip(caller);
        let of_caller = of_caller.map(|(it, caller)| it.take(network(caller))).transpose()?;
        let of_all = self.global.as_ref().map(|it| it.take(())).transpose()?;
        Ok(tighter(of_caller.map(Token::keep), of_all.map(Token::keep)))
    }

    /// Counts a call that its trigger has let in, towards each of its sources and the trigger, or none.
    ///
    /// One that is refused has not arrived, as far as others are concerned: who calls one trigger too
    /// often keeps nobody from the others. It counts towards what its caller may send.
    pub(super) fn enter(&self, trigger: &str, sources: &[String]) -> Result<Option<Seen>, Seen> {
        self.count(trigger, sources).inspect_err(|_| {
            if let Some(global) = &self.global {
                global.give_back(());
            }
        })
    }

    fn count(&self, trigger: &str, sources: &[String]) -> Result<Option<Seen>, Seen> {
        let of_source = |it: &String| Some(self.source.as_ref()?.take(format!("{trigger}/{it}")));
        let of_sources: Result<Vec<_>, Seen> = sources.iter().filter_map(of_source).collect();
        let of_sources = of_sources?;
        let of_trigger = self.trigger.as_ref().map(|it| it.take(trigger.to_owned()));
        let of_trigger = of_trigger.transpose()?;
        let all = of_sources.into_iter().chain(of_trigger);
        Ok(all.map(|it| Some(it.keep())).fold(None, tighter))
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ger_core::webhook::Rate;

    use super::buckets::{MOST, TIDY_EVERY};
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
    async fn a_call_that_one_limit_refuses_uses_up_nothing_of_the_others() {
        let limits = limits(|it| {
            it.trigger = rate("1/1");
            it.source = rate("2/3600");
        });
        let sources = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let enter = |all: &[&str]| limits.enter("hub/team/deploy", &sources(all));

        assert!(enter(&["app"]).is_ok());
        for _ in 0..5 {
            assert_eq!(enter(&["app"]).unwrap_err().burst, 1, "the trigger's");
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(enter(&["app"]).is_ok(), "the source has one left");
        for _ in 0..5 {
            assert_eq!(enter(&["lib", "app"]).unwrap_err().burst, 2, "a source's");
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        let left = enter(&["lib"]).unwrap().unwrap();
        assert_eq!(left.remaining, 0, "the trigger's one was left too");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(enter(&["lib"]).is_ok(), "the other source has both");
    }

    #[tokio::test(start_paused = true)]
    async fn who_calls_one_trigger_too_often_keeps_nobody_from_another() {
        let limits = limits(|it| {
            it.global = rate("2/3600");
            it.trigger = rate("1/3600");
        });
        let call = |trigger: &str| limits.arrive(None).and_then(|_| limits.enter(trigger, &[]));

        assert!(call("hub/team/deploy").is_ok());
        for _ in 0..5 {
            assert_eq!(call("hub/team/deploy").unwrap_err().burst, 1, "the trigger's");
        }
        assert!(call("hub/team/other").is_ok());
        assert_eq!(call("hub/team/third").unwrap_err().burst, 2, "that of all");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_has_what_it_had_when_too_much_comes_from_all() {
        let limits = limits(|it| {
            it.global = rate("1/1");
            it.caller = rate("2/3600");
        });
        let caller = Some("192.0.2.1".parse().unwrap());

        assert!(limits.arrive(caller).is_ok());
        for _ in 0..5 {
            assert_eq!(limits.arrive(caller).unwrap_err().burst, 1, "that of all");
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(limits.arrive(caller).is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limits.arrive(caller).unwrap_err().burst, 2, "the caller's");
    }

    #[tokio::test(start_paused = true)]
    async fn millions_of_callers_take_a_bounded_place() {
        let limits = limits(|it| it.caller = rate("1/3600"));
        let address = |it: u32| Some(IpAddr::V4(Ipv4Addr::from_bits(it)));

        for number in 0..200_000 {
            let _: Result<_, _> = limits.arrive(address(number));
        }

        // One more, which all others share.
        assert_eq!(limits.caller.as_ref().unwrap().len(), MOST + 1);
        tokio::time::advance(Duration::from_hours(2)).await;
        for _ in 0..TIDY_EVERY {
            let _: Result<_, _> = limits.arrive(address(7));
        }
        assert_eq!(limits.caller.as_ref().unwrap().len(), 1, "what is full again is dropped");
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
