//! What happens to one call? In this order: may it come in, whom does it call, does it know the secret,
//! does it concern the trigger, may it be recorded.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Method, Request};
use axum::response::Response;
use ger_core::ledger::{Call, Taken};
use ger_core::names::TriggerKey;
use ger_core::plan::{Hook, HookAuth, Plan};
use ger_core::webhook::{self, Concern, Delivery, Headers, Presented, Target, Verifier};
use ger_git::SemverRange;
use tokio::time::Instant;

use super::answer::Answer;
use super::bodies::{Arrived, Bodies, Keep};
use super::heads;
use super::known::{Found, Known, Triggers};
use super::limits::{Limits, Seen};
use super::recorder::{self, Outcome};
use super::secrets::{self, Secrets};
use super::seldom::Seldom;
use super::{caller, counted};
use crate::checks::{Place, Values};
use crate::clusters::Cluster;
use crate::config::Webhooks;
use crate::runs::Fleet;

/// How long the body of a call of nothing is waited for: enough for those that are on their way.
const OF_NOTHING: Duration = Duration::from_secs(5);
/// A call whose trigger is edited while it is judged is judged again so often.
const JUDGED: usize = 3;
/// A forge waits ten seconds, or gives up. What is written later is found by its next try.
const ANSWERED: Duration = Duration::from_millis(9_500);
/// Ranges of versions that are kept as they were parsed.
const RANGES: usize = 1024;

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What all calls share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) fleet: Arc<Fleet>,
    pub(super) settings: Webhooks,
    pub(super) limits: Limits,
    pub(super) bodies: Bodies,
    pub(super) triggers: Triggers,
    pub(super) secrets: Secrets,
    pub(super) recorder: recorder::Handle,
    pub(super) ranges: Mutex<HashMap<String, Option<SemverRange>>>,
    /// Makes ids for calls that have none.
    pub(super) nonce: String,
    pub(super) calls: std::sync::atomic::AtomicU64,
    /// What strangers can make us say, by trigger.
    pub(super) said: Seldom<(TriggerKey, Said)>,
}

/// What is said of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Said {
    NotLetIn,
    NoSecret,
    NoKey,
}

/// The way into a trigger: what the caller shows, and what it is compared with.
struct Door {
    verifier: Verifier,
    lock: Option<(HookAuth, Place, Values)>,
}

/// A call, as it is judged.
struct Caller<'a> {
    target: &'a Target,
    headers: &'a HeaderMap,
    address: Option<IpAddr>,
}

/// Answers one request.
pub(super) async fn answer(desk: Arc<Desk>, request: Request<Body>) -> Response {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().map(|it| it.0);
    let address = caller::address(peer, &parts.headers, &desk.settings.trusted_proxies);
    let path = parts.uri.path();
    let Some(target) = Target::parse(path) else {
        return Answer::no_such_path().into_response();
    };
    if parts.method != Method::POST {
        return Answer::not_a_post().into_response();
    }
    let caller = Caller { target: &target, headers: &parts.headers, address };
    let (answer, is_known) = Box::pin(desk.take(&caller, body)).await;
    counted::count(&desk.fleet.metrics, &target, is_known, (answer.code.as_u16(), began.elapsed()));
    tracing::debug!(path, caller = ?address, code = answer.code.as_u16(), "webhook");
    answer.into_response()
}

impl Desk {
    /// The answer, and whether it is about a trigger that is there.
    async fn take(&self, caller: &Caller<'_>, body: Body) -> (Answer, counted::Of) {
        let seen = match self.limits.arrive(caller.address) {
            Ok(seen) => seen,
            Err(seen) => return (Answer::too_many(seen), counted::Of::Nothing),
        };
        if heads::size_of(caller.headers) > heads::LARGEST
            || self.bodies.is_too_large(length_of(caller.headers))
        {
            return (Answer::too_large(), counted::Of::Nothing);
        }
        match self.triggers.find(&self.fleet.clusters, &caller.target.trigger) {
            Found::Unreachable => (Answer::unreachable(), counted::Of::Nothing),
            Found::Nothing => (self.of_nothing(body).await, counted::Of::Nothing),
            Found::Trigger(cluster, known) => {
                let answer = self.call(caller, &cluster, known, body).await;
                let answer = answer.unwrap_or_else(|it| it);
                (answer.having(seen), counted::Of::Trigger)
            }
        }
    }

    /// A call of a trigger that is not there: the same work, and less patience.
    async fn of_nothing(&self, body: Body) -> Answer {
        let mut verifier = Verifier::dummy();
        let reading = self.bodies.read(body, Keep::No, Some(&mut verifier));
        let Ok(read) = tokio::time::timeout(OF_NOTHING, reading).await else {
            return Answer::no_trigger().at_once();
        };
        let refused = std::hint::black_box(verifier.finish());
        let answer = if refused.is_err() { read.err() } else { None };
        answer.unwrap_or_else(Answer::no_trigger)
    }

    /// A call of a trigger that is there. An `Err` is an answer too: nothing is recorded.
    async fn call(
        &self,
        caller: &Caller<'_>,
        cluster: &Cluster,
        mut known: Arc<Known>,
        body: Body,
    ) -> Result<Answer, Answer> {
        let mut body = Some(body);
        let mut arrived = Arrived::default();
        // However often it is judged, it is one call.
        let mut counted = None;
        for _ in 0..JUDGED {
            let (plan, hook) = carried_out(&known)?;
            let mut door = self.door(caller, cluster, hook).await?;
            match body.take() {
                Some(body) => {
                    let verifier = Some(&mut door.verifier);
                    arrived = self.bodies.read(body, Keep::Yes, verifier).await?;
                }
                None => door.verifier.update(&arrived.bytes),
            }
            self.let_in(caller, cluster, door, &arrived).await?;

            let call = self.judge(caller, &known, (plan, hook), &arrived)?;
            let seen = match counted {
                Some(seen) => seen,
                None => self.enter(caller, &call)?,
            };
            counted = Some(seen);
            match self.record(caller, call).await {
                Outcome::Edited(edited) => known = edited,
                outcome => return Ok(told(outcome).having(seen)),
            }
        }
        Err(Answer::busy())
    }

    /// Reads what a caller must know, for a trigger that wants anything.
    async fn door(
        &self,
        caller: &Caller<'_>,
        cluster: &Cluster,
        hook: &Hook,
    ) -> Result<Door, Answer> {
        let Some(auth) = &hook.auth else {
            return Ok(Door { verifier: Verifier::dummy(), lock: None });
        };
        let place = Place {
            cluster: cluster.name().clone(),
            namespace: caller.target.trigger.namespace.clone(),
            name: auth.secret.clone(),
        };
        let values = self.values(caller, cluster, (&place, auth)).await?;
        let verifier = self.verifier(caller, auth, &values);
        Ok(Door { verifier, lock: Some((auth.clone(), place, values)) })
    }

    /// What is in the trigger's Secret, with the key that is asked for.
    async fn values(
        &self,
        caller: &Caller<'_>,
        cluster: &Cluster,
        (place, auth): (&Place, &HookAuth),
    ) -> Result<Values, Answer> {
        let trigger = &caller.target.trigger;
        let values = self.secrets.read(cluster, place).await.map_err(|error| {
            let passes = error.passes();
            if let Some(times) = self.said.happened((trigger.clone(), Said::NoSecret)) {
                let error = anyhow::Error::new(error);
                tracing::warn!(%trigger, times, "a webhook's Secret cannot be used: {error:#}");
            }
            if passes { Answer::unreachable() } else { Answer::no_secret() }
        })?;
        if secrets::has_key(&values, &auth.key) {
            return Ok(values);
        }
        let renewed = self.secrets.renew(cluster, place, &values).await;
        if let Some(values) = renewed.filter(|it| secrets::has_key(it, &auth.key)) {
            return Ok(values);
        }
        if let Some(times) = self.said.happened((trigger.clone(), Said::NoKey)) {
            let (secret, key) = (&auth.secret, &auth.key);
            tracing::warn!(%trigger, times, "the webhook's Secret {secret} has no key {key}");
        }
        Err(Answer::no_secret())
    }

    fn verifier(&self, caller: &Caller<'_>, auth: &HookAuth, values: &Values) -> Verifier {
        let config = self.fleet.config.now();
        let default = &config.runtime.trigger.webhook.default_auth_header;
        let header = auth.header.clone().unwrap_or_else(|| default.to_ascii_lowercase());
        let presented = Presented::read(auth.kind, &header, &headers(caller.headers));
        Verifier::new(presented, &secrets::of_key(values, &auth.key))
    }

    /// Whether the caller knows it. If not, perhaps it knows what the Secret holds by now.
    async fn let_in(
        &self,
        caller: &Caller<'_>,
        cluster: &Cluster,
        door: Door,
        arrived: &Arrived,
    ) -> Result<(), Answer> {
        let Some((auth, place, values)) = door.lock else { return Ok(()) };
        let refused = match door.verifier.finish() {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let is_wrong = refused == webhook::Refused::Wrong;
        let renewed =
            if is_wrong { self.secrets.renew(cluster, &place, &values).await } else { None };
        let again = renewed.map(|values| {
            let mut verifier = self.verifier(caller, &auth, &values);
            verifier.update(&arrived.bytes);
            verifier.finish()
        });
        if again.is_some_and(|it| it.is_ok()) {
            return Ok(());
        }
        let (trigger, address) = (&caller.target.trigger, caller.address);
        if let Some(times) = self.said.happened((trigger.clone(), Said::NotLetIn)) {
            tracing::info!(%trigger, caller = ?address, times, "a webhook's caller is not let in: {refused}");
        }
        Err(Answer::refused(refused))
    }

    /// What is to be recorded for a caller that was let in.
    fn judge(
        &self,
        caller: &Caller<'_>,
        known: &Known,
        (plan, hook): (&Plan, &Hook),
        arrived: &Arrived,
    ) -> Result<Call, Answer> {
        let sources = match &caller.target.source {
            None if hook.multi_source => plan.sources.clone(),
            None => return Err(Answer::not_multi_source()),
            Some(source) if plan.sources.contains(source) => vec![source.clone()],
            Some(_) => return Err(Answer::no_source()),
        };
        let kind = hook.auth.as_ref().map(|it| it.kind);
        let delivery = webhook::read(kind, &headers(caller.headers), &arrived.bytes)
            .map_err(|it| Answer::malformed(it.to_string()))?;
        let in_range = |range: &str, tag: &str| self.in_range(range, tag);
        let hint = match webhook::concerns(plan, hook, &delivery, in_range) {
            Concern::Ping => return Err(Answer::ping()),
            Concern::Ignored { why } => return Err(Answer::ignored(why)),
            Concern::Look { hint } => hint,
        };
        if plan.suspend {
            return Err(Answer::suspended());
        }
        let delivery = self.delivery_id(&delivery);
        let (uid, generation) = (known.uid.clone(), known.generation);
        Ok(Call { uid, generation, sources, delivery, hint })
    }

    /// Counts a call that is to be recorded.
    fn enter(&self, caller: &Caller<'_>, call: &Call) -> Result<Option<Seen>, Answer> {
        let key = caller.target.trigger.to_string();
        self.limits.enter(&key, &call.sources).map_err(Answer::too_many)
    }

    fn delivery_id(&self, delivery: &Delivery) -> String {
        delivery.id.as_ref().map_or_else(
            || {
                let number = self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                format!("{}-{number}", self.nonce)
            },
            |id| Call::delivery_id(id),
        )
    }

    async fn record(&self, caller: &Caller<'_>, call: Call) -> Outcome {
        let began = Instant::now();
        let recording = self.recorder.record(&caller.target.trigger, call);
        let outcome = tokio::time::timeout(ANSWERED, recording).await;
        let outcome = outcome.unwrap_or(Outcome::Unreachable);
        if let Outcome::Taken(Taken::Recorded { runs }) = &outcome {
            self.fleet.metrics.webhooks.recorded(began.elapsed());
            let (trigger, run) = (&caller.target.trigger, runs.join(","));
            tracing::info!(%trigger, run, caller = ?caller.address, "requested by webhook");
        }
        outcome
    }

    /// Whether a tag is a version in a range: ranges are few, and parsed once.
    fn in_range(&self, range: &str, tag: &str) -> bool {
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if ranges.len() >= RANGES && !ranges.contains_key(range) {
            ranges.clear();
        }
        let parsed =
            ranges.entry(range.to_owned()).or_insert_with(|| SemverRange::parse(range).ok());
        // What cannot be parsed is said by the check.
        parsed.as_ref().is_none_or(|it| it.takes_tag(tag))
    }
}

fn carried_out(known: &Known) -> Result<(&Plan, &Hook), Answer> {
    let plan = known.plan.as_ref().map_err(|_| Answer::wrong_config())?;
    let hook = plan.hook.as_ref().ok_or_else(Answer::wrong_config)?;
    Ok((plan, hook))
}

fn told(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Taken(Taken::Recorded { runs }) => Answer::recorded(runs),
        Outcome::Taken(Taken::Repeated { runs }) => Answer::repeated(runs),
        Outcome::Taken(Taken::Suspended) => Answer::suspended(),
        Outcome::Taken(Taken::UnknownSource) => Answer::no_source(),
        Outcome::Taken(Taken::Full { source }) => Answer::full(&source),
        Outcome::Gone => Answer::no_trigger(),
        Outcome::Unreachable => Answer::unreachable(),
        Outcome::Refused => Answer::api_error(),
        Outcome::Busy | Outcome::Edited(_) | Outcome::Taken(Taken::Edited) => Answer::busy(),
    }
}

fn headers(all: &HeaderMap) -> Headers<'_> {
    all.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn length_of(all: &HeaderMap) -> Option<u64> {
    all.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
