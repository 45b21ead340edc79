//! When was nothing the matter? Each trouble has its place and its time: what is promised is promised of the
//! time in which none touched whoever it is promised to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::timeline::At;

/// So long after a trouble has ended all is as if it had never been: a failing source is asked again after two
/// minutes at the latest, a cluster is connected again within one, and a shard is claimed within 45 s.
pub(super) const RECOVERY: Duration = Duration::from_secs(150);

/// Whom a trouble touches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The hub's API, or a replica: everybody.
    Fleet,
    Cluster(usize),
    Repo(usize),
    Trigger(usize),
    /// A source or an Action of a cluster.
    Objects(usize),
    /// What a replica hears of the hub.
    Ear(usize),
    /// From a cluster to a replica, while others reach it.
    Way(usize, usize),
}

/// All troubles of a life. One that has not ended goes on.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    spans: Mutex<BTreeMap<Place, Vec<Span>>>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    number: Option<usize>,
    from: At,
    to: At,
}

const OPEN: At = At::MAX;

impl Troubles {
    /// Something is the matter from then to then.
    pub(super) fn span(&self, place: Place, from: At, to: At) {
        self.lock().entry(place).or_default().push(Span { number: None, from, to });
    }

    /// Something is the matter until [`Self::end`] is told of the number.
    pub(super) fn begin(&self, place: Place, number: usize, from: At) {
        let span = Span { number: Some(number), from, to: OPEN };
        self.lock().entry(place).or_default().push(span);
    }

    pub(super) fn end(&self, place: &Place, number: usize, to: At) {
        let mut spans = self.lock();
        let open = spans.get_mut(place).into_iter().flatten();
        for span in open.filter(|it| it.number == Some(number) && it.to == OPEN) {
            span.to = to;
        }
    }

    /// What was to last for a time is over already.
    pub(super) fn cut(&self, place: &Place, now: At) {
        let mut spans = self.lock();
        let lasting = spans.get_mut(place).into_iter().flatten();
        for span in lasting.filter(|it| it.number.is_none() && it.to > now) {
            span.to = now;
        }
    }

    /// Whether something is the matter that has no end yet.
    pub(super) fn lasts(&self, place: &Place) -> bool {
        let spans = self.lock();
        spans.get(place).into_iter().flatten().any(|it| it.to == OPEN)
    }

    /// How much of a time a place was in trouble.
    pub(super) fn overlap(&self, place: &Place, from: At, to: At) -> Duration {
        let spans = self.lock();
        let mut troubles: Vec<(At, At)> = spans
            .get(place)
            .into_iter()
            .flatten()
            .map(|it| (it.from.max(from), it.to.min(to)))
            .filter(|(from, to)| from < to)
            .collect();
        troubles.sort_unstable();
        let (mut sum, mut until) = (Duration::ZERO, At::ZERO);
        for (from, to) in troubles {
            sum += to.saturating_sub(from.max(until));
            until = until.max(to);
        }
        sum
    }

    /// When the last trouble of a place before a time had ended: the time itself while there is one.
    pub(super) fn last(&self, place: &Place, now: At) -> At {
        let spans = self.lock();
        let of_place = spans.get(place).into_iter().flatten().filter(|it| it.from <= now);
        of_place.map(|it| it.to.min(now)).max().unwrap_or_default()
    }

    /// The calm parts of a time, for whom all of these places matter: no trouble, and none that has ended
    /// less than [`RECOVERY`] ago.
    pub(super) fn calms(&self, places: &[Place], from: At, to: At) -> Vec<(At, At)> {
        let spans = self.lock();
        let of_places = places.iter().filter_map(|it| spans.get(it)).flatten();
        let mut troubles: Vec<(At, At)> =
            of_places.map(|it| (it.from, it.to.saturating_add(RECOVERY))).collect();
        troubles.sort_unstable();
        let mut calms = Vec::new();
        let mut at = from;
        for (begin, end) in troubles {
            if begin > at && at < to {
                calms.push((at, begin.min(to)));
            }
            at = at.max(end);
        }
        if at < to {
            calms.push((at, to));
        }
        calms
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Vec<Span>>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_calm_lies_between_what_has_recovered_and_what_begins() {
        let troubles = Troubles::default();
        troubles.span(Place::Fleet, secs(100), secs(110));
        troubles.span(Place::Cluster(1), secs(105), secs(200));
        troubles.begin(Place::Repo(0), 7, secs(900));

        let all = [Place::Fleet, Place::Cluster(1), Place::Repo(0)];

        let calm_from = secs(200) + RECOVERY;
        assert_eq!(
            troubles.calms(&all, secs(0), secs(1000)),
            [(secs(0), secs(100)), (calm_from, secs(900))]
        );
        assert_eq!(troubles.calms(&[Place::Cluster(2)], secs(5), secs(9)), [(secs(5), secs(9))]);
        troubles.end(&Place::Repo(0), 7, secs(950));
        assert_eq!(troubles.last(&Place::Repo(0), secs(1000)), secs(950));
    }
}
