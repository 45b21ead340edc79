//! What do the sources of a trigger say, and what follows? The checks of one turn.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use ger_api::TriggerStatus;
use ger_api::status::CheckedSource;
use ger_core::change::Head;
use ger_core::ledger::{self, Answer, Basis, Check, Firing, Notice, Requested, Verdict};
use ger_core::plan::{Caution, Plan, Source};
use jiff::Timestamp;
use tokio::time::Instant;

use super::fire::Turn;
use super::memory::{OfSource, Seen, backoff, was_cleared};
use super::traced::Period;
use crate::checks::{Asked, Placed};
use crate::runs::ledger::{Step, swap};
use crate::runs::sources::{self, Found};
use crate::runs::{Error, Fleet};

/// How often a check is repeated at once because what it was asked for had changed meanwhile. After
/// that the trigger is busy being edited, and its next turn is soon enough.
const REPEATS: u32 = 3;

/// One source that is asked in this turn.
struct Question {
    found: Found,
    seen: Seen,
    basis: Basis,
    firing: Firing,
    /// What is on record of the source: the answer is compared with it.
    record: Option<CheckedSource>,
    /// When it was asked, and answered.
    asked: Period,
}

/// Whether a source is to be asked apart from the trigger's own times.
enum Urgency {
    Confirm(Option<String>),
    Now,
    /// It fails, and its next try is still to come.
    Later,
    None,
}

/// What decides how a source is asked: who edits either has perhaps mended it.
pub(super) fn seen(plan: &Plan, found: &Found) -> Seen {
    Seen { generation: plan.generation, version: found.version.clone() }
}

/// Judges by what is remembered and by what is recorded: what another replica, or this one before it
/// died, left undone is due at once.
fn urgency(memory: &OfSource, record: Option<&CheckedSource>, seen: &Seen) -> Urgency {
    let now = Instant::now();
    if let Some((at, nominal)) = &memory.confirm
        && *at <= now
    {
        return Urgency::Confirm(nominal.clone());
    }
    if memory.failed_with.as_ref().is_some_and(|it| it != seen) {
        return Urgency::Now;
    }
    if let Some(at) = memory.retry_at {
        return if at <= now { Urgency::Now } else { Urgency::Later };
    }
    let is_failing = |it: &CheckedSource| it.failures > 0 && memory.failures == 0;
    if record.is_some_and(|it| was_cleared(it) || is_failing(it)) {
        Urgency::Now
    } else {
        Urgency::None
    }
}

/// Whether somebody asks for the source: by a run that waits for its commit, or because a commit that a
/// webhook named may still come. What it was told a moment ago it is not asked again at once.
fn is_asked_for(status: &TriggerStatus, source: &str, memory: &OfSource, now: Timestamp) -> bool {
    let requests = ledger::requested(status, source);
    let waits =
        |(at, known): &(Instant, Vec<Requested>)| *at > Instant::now() && *known == requests;
    (!requests.is_empty() || ledger::look_again(status, source, now).is_some())
        && !memory.awaited.as_ref().is_some_and(waits)
}

/// Why a turn looks at its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    Tick,
    Between,
}

/// What was written because of an answer.
enum Told {
    Verdict(Verdict),
    Written { recorded: Vec<String>, events: Vec<Notice> },
}

impl Turn<'_> {
    /// Asks the sources that are due, and takes each answer into the ledger as it comes: a slow source
    /// holds up none of the others.
    pub(super) async fn check(&mut self, plan: &Plan) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        self.plan_next(plan, now);
        let is_tick = !plan.suspend && self.memory.next_check.is_some_and(|it| it <= now);
        let occasion = if is_tick { Occasion::Tick } else { Occasion::Between };
        let questions = self.questions(plan, occasion);
        if questions.is_empty() {
            // A tick at which every source waits for a timer of its own is over.
            if is_tick {
                self.memory.next_check = plan.schedule.as_ref().map(|it| it.next(now));
            }
            return Ok(());
        }
        self.fleet.metrics.triggers.check_began(self.key);
        let began = Instant::now();
        if is_tick {
            self.fleet.metrics.schedule_lag_seconds.observe(self.due_at.elapsed().as_secs_f64());
        }

        let asked = Box::pin(self.ask_all(plan, questions)).await;
        self.fleet.metrics.triggers.check_ended(self.key, began.elapsed());
        // The next one counts from the end of this one, whatever came of it: what failed has its own timer.
        if is_tick {
            let ended = self.fleet.clock.now();
            self.memory.last_check = Some(ended);
            self.memory.next_check = plan.schedule.as_ref().map(|it| it.next(ended));
        }
        asked
    }

    /// Keeps the timer, unless the schedule is new: then what was last done decides.
    fn plan_next(&mut self, plan: &Plan, now: Timestamp) {
        let Some(schedule) = &plan.schedule else {
            self.memory.next_check = None;
            return;
        };
        let is_kept = self.memory.schedule.as_ref() == Some(schedule);
        let within = (now, plan.starting_deadline);
        let first = || schedule.first_within(self.key, self.last_done(plan), within);
        let next = self.memory.next_check.filter(|_| is_kept).unwrap_or_else(first);
        // A wall clock that was set back would otherwise stop the schedule for as long.
        self.memory.next_check = Some(next.min(schedule.next(now)));
        self.memory.schedule = Some(schedule.clone());
    }

    /// When all sources were last seen to: by this replica, else by the record of the one that waits
    /// longest. None if one was never.
    pub(super) fn last_done(&self, plan: &Plan) -> Option<Timestamp> {
        let status = &self.trigger.status;
        let of_source = |name: &String| {
            let record = status.checked_sources.get(name)?;
            // The original kept no time for a source, only for the trigger.
            let of_trigger = status.last_run.filter(|_| record.commit_hash.is_some());
            record.checked_at.or(of_trigger)
        };
        let recorded = || plan.sources.iter().map(of_source).min().flatten();
        self.memory.last_check.or_else(recorded)
    }

    /// What is to be asked now: everything at a tick, between ticks what is retried or requested.
    fn questions(&mut self, plan: &Plan, occasion: Occasion) -> Vec<Question> {
        self.memory.sources.retain(|name, _| plan.sources.contains(name));
        if plan.suspend {
            return Vec::new();
        }
        let now = self.fleet.clock.now();
        let mut questions = Vec::new();
        for name in &plan.sources {
            let found = sources::find(self.cluster.stores(), self.key, plan, name);
            let memory = self.memory.sources.entry(name.clone()).or_default();
            let record = self.trigger.status.checked_sources.get(name).map(Box::as_ref);
            let last = record.and_then(|it| it.checked_at).or(self.trigger.status.last_run);
            let nominal = || plan.schedule.as_ref().map_or_else(String::new, |it| it.nominal(last));
            let is_requested = is_asked_for(&self.trigger.status, name, memory, now);
            let seen = seen(plan, &found);
            memory.on_record(record, &seen);
            let firing = match urgency(memory, record, &seen) {
                Urgency::Confirm(nominal) => Firing::Confirm { nominal },
                Urgency::Now => Firing::Tick { nominal: nominal() },
                Urgency::None if occasion == Occasion::Tick => Firing::Tick { nominal: nominal() },
                Urgency::None if is_requested => Firing::Requested,
                // A source that fails is asked by its own timer, however short the interval is.
                Urgency::None | Urgency::Later => continue,
            };
            questions.push(self.question(plan, name, found, firing));
        }
        questions
    }

    fn question(&self, plan: &Plan, name: &str, found: Found, firing: Firing) -> Question {
        let status = &self.trigger.status;
        let basis = ledger::basis(plan, status, name, &found.fingerprint);
        let record = status.checked_sources.get(name).map(|it| it.as_ref().clone());
        let now = self.fleet.clock.now();
        Question { seen: seen(plan, &found), found, basis, firing, record, asked: (now, now) }
    }

    async fn ask_all(&mut self, plan: &Plan, questions: Vec<Question>) -> Result<(), Error> {
        let (fleet, cluster) = (self.fleet, self.cluster.clone());
        let namespace = self.key.namespace.clone();
        let ask = |mut question: Question| {
            let asked = (fleet, &cluster, namespace.as_str());
            async move {
                let began = fleet.clock.now();
                let answer = head(asked, plan, &question).await;
                question.asked = (began, fleet.clock.now());
                (question, answer)
            }
        };
        let mut asking: FuturesUnordered<_> = questions.into_iter().map(&ask).collect();
        let mut repeats = 0;
        let mut failed = None;
        let mut known = self.trigger.status.sequence;
        while let Some((question, answer)) = asking.next().await {
            match self.take_answer(plan, &question, answer).await {
                Ok(Some(again)) if repeats < REPEATS => {
                    repeats += 1;
                    asking.push(ask(again));
                }
                Ok(Some(again)) => self.retry(again.basis.source()),
                Ok(None) => {}
                // The other answers still count, and this one is asked for again: nothing of it is
                // in the ledger.
                Err(error) => {
                    failed = Some(error);
                    self.retry(question.basis.source());
                }
            }
            // What was recorded does not wait for a source that hangs.
            let is_news = std::mem::replace(&mut known, self.trigger.status.sequence) != known;
            let driven = if is_news { Box::pin(self.drive(plan)).await } else { Ok(()) };
            failed = failed.or_else(|| driven.err());
        }
        failed.map_or(Ok(()), Err)
    }

    fn retry(&mut self, source: &str) {
        let memory = self.memory.sources.entry(source.to_owned()).or_default();
        memory.failures = memory.failures.saturating_add(1);
        memory.retry_at = Some(Instant::now() + backoff(memory.failures));
    }

    /// Takes one answer into the ledger; gives the question back, as of now, if it must be asked again.
    async fn take_answer(
        &mut self,
        plan: &Plan,
        question: &Question,
        answer: Result<Head, Failure>,
    ) -> Result<Option<Question>, Error> {
        let name = question.basis.source().to_owned();
        let answer = self.remember(&name, question, answer);
        let check = Check {
            basis: question.basis.clone(),
            firing: question.firing.clone(),
            answer,
            cautions: self.cautions(plan),
        };
        let (waiting, decided) = (self.waiting_for(&name), self.fleet.clock.now());
        let told = self.decide(plan, &name, &check).await?;
        self.await_commit(&name, &check.answer);
        if !matches!(told, Told::Verdict(Verdict::ConfirmAfter(_))) {
            self.memory.sources.entry(name.clone()).or_default().confirm = None;
        }
        match told {
            Told::Written { recorded, events } => {
                for run in recorded {
                    let trace_id = self.trace_of(&run);
                    tracing::info!(trigger = %self.key, source = name, run, trace_id, "run recorded");
                    self.trace_recorded(&run, question.asked, decided);
                    self.recorded.push(run);
                }
                self.ended_by_answer(&waiting, question.asked);
                for event in events {
                    self.tell(&event).await;
                }
            }
            Told::Verdict(Verdict::CheckAgain) if self.was_fired(plan, question) => {}
            Told::Verdict(Verdict::CheckAgain) => {
                let found = sources::find(self.cluster.stores(), self.key, plan, &name);
                return Ok(Some(self.question(plan, &name, found, check.firing)));
            }
            Told::Verdict(Verdict::ConfirmAfter(wait)) => {
                let nominal = match check.firing {
                    Firing::Tick { nominal } => Some(nominal),
                    Firing::Confirm { nominal } => nominal,
                    Firing::Requested => None,
                };
                let memory = self.memory.sources.entry(name).or_default();
                // Checks that come before it do not put it off.
                memory.confirm.get_or_insert_with(|| (Instant::now() + wait, nominal));
            }
            Told::Verdict(Verdict::Coalesced) => {
                tracing::warn!(trigger = %self.key, source = name, "too many unfinished runs: this firing adds none");
            }
            Told::Verdict(Verdict::Nothing | Verdict::Gone | Verdict::Write { .. }) => {}
        }
        Ok(None)
    }

    /// Sets the time at which the source is asked again for a commit that it does not have yet.
    fn await_commit(&mut self, name: &str, answer: &Answer) {
        let (status, now) = (&self.trigger.status, self.fleet.clock.now());
        let wait =
            ledger::look_again(status, name, now).filter(|_| matches!(answer, Answer::Head(_)));
        let awaited = wait.map(|it| (Instant::now() + it, ledger::requested(status, name)));
        self.memory.sources.entry(name.to_owned()).or_default().awaited = awaited;
    }

    /// Whether somebody else did what a tick was for, since it was asked: then it is done, even where this
    /// clock, which may be ahead of theirs, says that the next one is due.
    fn was_fired(&self, plan: &Plan, question: &Question) -> bool {
        let is_tick = matches!(question.firing, Firing::Tick { .. } | Firing::Confirm { .. });
        let done = |it: Option<&CheckedSource>| it.and_then(|it| it.checked_at);
        let live = self.trigger.status.checked_sources.get(question.basis.source());
        is_tick
            && !plan.on_change_only
            && done(live.map(Box::as_ref)) > done(question.record.as_ref())
    }

    /// What is to be said of the sources that work, of all of them as they are now.
    fn cautions(&self, plan: &Plan) -> Vec<(String, Caution)> {
        let stores = self.cluster.stores();
        let of_source = |name: &String| {
            let source = sources::find(stores, self.key, plan, name).source;
            let cautions = source.map(|it| it.cautions).unwrap_or_default();
            cautions.into_iter().map(|it| (name.clone(), it)).collect::<Vec<_>>()
        };
        plan.sources.iter().flat_map(of_source).collect()
    }

    /// Decides first on what is known: most checks find nothing new, and then nothing is read or written.
    async fn decide(&mut self, plan: &Plan, name: &str, check: &Check) -> Result<Told, Error> {
        let now = self.fleet.clock.now();
        let stores = self.cluster.stores().clone();
        let known = sources::find(&stores, self.key, plan, name);
        let verdict = ledger::decide(plan, &self.trigger.live(), &known.fingerprint, check, now);
        if !matches!(verdict, Verdict::Write { .. } | Verdict::CheckAgain) {
            return Ok(Told::Verdict(verdict));
        }
        let key = self.key;
        let swapped = swap(self.cluster.client(), key, &self.fleet.metrics, |live| {
            let Ok(plan) = &live.plan else { return Step::Leave(Told::Verdict(Verdict::Nothing)) };
            let known = sources::find(&stores, key, plan, name);
            match ledger::decide(plan, &live.live(), &known.fingerprint, check, now) {
                Verdict::Write { status, recorded, events } => {
                    Step::Write(status, Told::Written { recorded, events })
                }
                verdict => Step::Leave(Told::Verdict(verdict)),
            }
        })
        .await?;
        self.trigger = swapped.trigger;
        Ok(swapped.outcome)
    }

    /// Counts the answer, and sets or clears the source's own timer.
    fn remember(
        &mut self,
        name: &str,
        question: &Question,
        answer: Result<Head, Failure>,
    ) -> Answer {
        let cluster = self.key.cluster.as_str();
        let memory = self.memory.sources.entry(name.to_owned()).or_default();
        match answer {
            Ok(head) => {
                let record = self.trigger.status.checked_sources.get(name);
                let is_same =
                    record.and_then(|it| it.commit_hash.as_deref()) == Some(head.commit.as_str());
                let result = if is_same { "unchanged" } else { "changed" };
                self.fleet.metrics.check_results_total.with_label_values(&[cluster, result]).inc();
                memory.failures = 0;
                memory.failed_with = None;
                memory.retry_at = None;
                Answer::Head(head)
            }
            Err(Failure { reason, message, retry_after }) => {
                self.fleet.metrics.check_results_total.with_label_values(&[cluster, "error"]).inc();
                memory.failures = memory.failures.saturating_add(1);
                memory.failed_with = Some(question.seen.clone());
                let wait = backoff(memory.failures).max(retry_after.unwrap_or_default());
                memory.retry_at = Some(Instant::now() + wait);
                Answer::Unavailable { reason, message, failures: i64::from(memory.failures) }
            }
        }
    }
}

/// Why there is no answer, for people and for the timer.
struct Failure {
    reason: &'static str,
    message: String,
    retry_after: Option<std::time::Duration>,
}

async fn head(
    (fleet, cluster, namespace): (&Fleet, &crate::clusters::Cluster, &str),
    plan: &Plan,
    question: &Question,
) -> Result<Head, Failure> {
    let source: &Source = match &question.found.source {
        Ok(source) => source,
        Err(missing) => {
            let (reason, message) = (missing.reason, missing.message.clone());
            return Err(Failure { reason, message, retry_after: None });
        }
    };
    let placed = Placed { cluster: cluster.name(), client: cluster.client(), namespace, source };
    let asked = Asked {
        placed,
        reference: &plan.reference,
        files: plan.files.as_deref(),
        record: question.record.as_ref(),
    };
    fleet.checks.head(asked).await.map_err(|error| Failure {
        reason: error.reason(),
        message: error.message(),
        retry_after: error.retry_after(),
    })
}
