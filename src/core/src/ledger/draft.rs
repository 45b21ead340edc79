//! How does a decision become a status? The next status while it is being decided.

use std::collections::BTreeMap;

use ger_api::TriggerStatus;
use ger_api::status::{CheckedSource, Run, RunPhase, RunReason};
use jiff::{SignedDuration, Timestamp};

use super::{
    Basis, MOST_UNFINISHED, Notice, Requested, Severity, Verdict, cautions, conditions, due, hint,
    id, prune, unfinished,
};
use crate::change::{self, Change, Head};
use crate::names::Commit;
use crate::plan::{Caution, Forced, Plan, RunAt};

/// A check that found nothing new writes no more often than this.
const HEARTBEAT: SignedDuration = SignedDuration::from_hours(1);

/// From here on a failing source's count is written when it has doubled: that is never more often
/// than the heartbeat for long, and the count stays honest to a factor of two.
const FAILURES_WRITTEN_FROM: i64 = 64;

/// How many deliveries a run remembers beside its first. Further ones are checked for all the same.
const ALSO_ASKED_BY: usize = 16;

/// What asks for a run whose commit is still to be found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) reason: RunReason,
    pub(crate) occasion: &'a str,
    pub(crate) forced: Forced,
    pub(crate) hint: Option<&'a Commit>,
}

impl<'a> Asking<'a> {
    pub(crate) fn by_annotation(run_at: &'a RunAt) -> Self {
        Self {
            reason: RunReason::Manual,
            occasion: &run_at.value,
            forced: run_at.forced,
            hint: None,
        }
    }
}

/// The next status of a trigger.
pub(crate) struct Draft<'a> {
    plan: &'a Plan,
    before: &'a TriggerStatus,
    status: TriggerStatus,
    now: Timestamp,
    /// Digest of the plan's patterns, if files are watched.
    patterns: Option<String>,
    /// What is to be said of the sources, if it is known.
    cautions: Option<&'a [(String, Caution)]>,
    recorded: Vec<String>,
    events: Vec<Notice>,
    /// Something was decided that must be written.
    is_news: bool,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(plan: &'a Plan, before: &'a TriggerStatus, now: Timestamp) -> Self {
        Self {
            plan,
            before,
            status: before.clone(),
            now: due::whole_millis(now),
            patterns: plan.patterns_digest(),
            cautions: None,
            recorded: Vec::new(),
            events: Vec::new(),
            is_news: false,
        }
    }

    pub(crate) fn compare(&self, source: &str, head: &Head) -> Change {
        change::compare(self.record_of(source), head, self.patterns.as_deref(), self.now)
    }

    /// Takes what is to be said of the sources. Who was not told yet is told.
    pub(crate) fn caution(&mut self, cautions: &'a [(String, Caution)]) {
        for (reason, message) in cautions::to_tell(self.before, cautions) {
            self.tell(Severity::Warning, reason, message);
        }
        self.cautions = Some(cautions);
    }

    /// The conditions do not say yet what is to be said of the sources.
    fn cautions_are_new(&self) -> bool {
        self.cautions.is_some_and(|it| !cautions::are_said(self.before, it))
    }

    /// Whether the source may get one more run.
    pub(crate) fn has_room(&self, source: &str) -> bool {
        unfinished(&self.status).filter(|it| it.source == source).count() < MOST_UNFINISHED
    }

    /// Gives the commit to the runs that were requested before the check was sent. A run that was
    /// requested since, or again since, waits for the next check.
    pub(crate) fn answer_requests(&mut self, basis: &Basis, head: &Head) {
        let is_answered = |it: &mut Run| {
            let asked = Requested { id: it.id.clone(), occasion: it.occasion.clone() };
            it.source == basis.source
                && it.phase == RunPhase::Requested
                && basis.requested.contains(&asked)
        };
        let asked: Vec<Run> = self.status.runs.extract_if(.., is_answered).collect();
        for run in asked {
            // Nothing new where the caller saw something: the remote does not have it yet.
            let is_news = self.compare(&basis.source, head).is_change();
            if !is_news && hint::is_awaited(&self.status, &run, head, self.now) {
                self.status.runs.push(run);
            } else {
                self.answer(run, basis, head);
            }
        }
    }

    /// The runs stand in the order in which they got their commits: the last is the newest.
    fn answer(&mut self, mut run: Run, basis: &Basis, head: &Head) {
        self.is_news = true;
        hint::meet(&mut run, head);
        let runs_anyway = run.forced || !self.plan.on_change_only;
        if runs_anyway || self.compare(&basis.source, head).is_change() {
            self.start(run, basis, head);
        } else {
            run.phase = RunPhase::Unchanged;
            run.finished_at = Some(self.now);
            self.status.runs.push(run);
        }
    }

    /// Whether this check makes a run of its own, beside those that were requested.
    pub(crate) fn is_due(&self, source: &str, head: &Head, nominal: Option<&str>) -> bool {
        let change = self.compare(source, head);
        if self.plan.on_change_only || change == Change::First {
            return change.is_change();
        }
        nominal.is_some() && due::is_due(self.plan, &self.status, source, self.now)
    }

    /// Adds the run, and moves the source's record with it: both or neither.
    pub(crate) fn record(&mut self, basis: &Basis, head: &Head, nominal: Option<&str>) {
        let is_change = self.compare(&basis.source, head).is_change();
        let reason = if is_change { RunReason::Changed } else { RunReason::Scheduled };
        // A source that is due again although its time has not come, since its last run expired, is no firing:
        // the time to come is the next one's.
        let fires = !self.plan.on_change_only
            && due::is_due(self.plan, &self.status, &basis.source, self.now);
        let occasion = nominal.filter(|_| fires).map(str::to_owned);

        let run = self.new_run(&basis.source, reason, occasion);
        self.start(run, basis, head);
    }

    /// Gives a run its commit, and moves the source's record there.
    fn start(&mut self, mut run: Run, basis: &Basis, head: &Head) {
        run.previous_commit = self.advance(&basis.source, head);
        run.phase = RunPhase::Pending;
        run.commit = Some(head.commit.as_str().to_owned());
        run.tag.clone_from(&head.tag);
        run.fingerprint = Some(basis.fingerprint.clone());
        run.message = None;

        let message = format!("run {} of source {} at commit {}", run.id, run.source, head.commit);
        self.tell(Severity::Normal, "RunRecorded", message);
        self.recorded.push(run.id.clone());
        self.status.last_run = Some(self.now);
        self.status.runs.push(run);
    }

    fn new_run(&mut self, source: &str, reason: RunReason, occasion: Option<String>) -> Run {
        self.is_news = true;
        // Wraps rather than stops: a sequence that stands still would give two runs one id.
        self.status.sequence = self.status.sequence.wrapping_add(1);
        let why = occasion.as_deref().unwrap_or(id::CHANGE);
        Run {
            id: id::run_id(&self.plan.uid, source, self.status.sequence, why),
            source: source.to_owned(),
            commit: None,
            reason,
            occasion,
            phase: RunPhase::Requested,
            job: None,
            job_uid: None,
            requested_at: Some(self.now),
            started_at: None,
            finished_at: None,
            message: None,
            forced: false,
            previous_commit: None,
            tag: None,
            expected_commit: None,
            expected_until: None,
            also_expected: Vec::new(),
            also_asked_by: Vec::new(),
            fingerprint: None,
            unknown: BTreeMap::new(),
        }
    }

    /// Moves the source's record to the head; gives the commit that it was at before.
    ///
    /// The record is never the same again afterwards, even if the commit is: a check that was sent
    /// before knows by that that its answer is old.
    fn advance(&mut self, source: &str, head: &Head) -> Option<String> {
        let change = self.compare(source, head);
        let now = self.now;
        let done = due::done_at(self.plan, &self.status, source, now);
        let record = self.status.checked_sources.entry(source.to_owned()).or_default();
        let before = record.commit_hash.clone().filter(|_| change == Change::Quiet);
        let before = before.filter(|it| it != head.commit.as_str());
        if change.is_change() {
            let previous = record.commit_hash.take().or_else(|| record.previous_commit.take());
            record.previous_commit = previous.filter(|it| it != head.commit.as_str());
            record.changed = Some(due::after(record.changed, now));
        }
        follow(record, head);
        record.checked_at = Some(due::after(record.checked_at, done));
        before.or_else(|| record.previous_commit.clone())
    }

    /// Notes a further request in the one that waits, and gives that one's id; none if none does.
    pub(crate) fn bump_request(&mut self, source: &str, asking: &Asking<'_>) -> Option<String> {
        let waits = |it: &&mut Run| it.source == source && it.phase == RunPhase::Requested;
        let now = self.now;
        let run = self.status.runs.iter_mut().find(waits)?;
        let before = run.occasion.replace(asking.occasion.to_owned());
        if let Some(before) = before.filter(|_| asking.reason == RunReason::Webhook) {
            run.also_asked_by.push(before);
            let surplus = run.also_asked_by.len().saturating_sub(ALSO_ASKED_BY);
            run.also_asked_by.drain(..surplus);
        }
        run.forced |= asking.forced == Forced::Yes;
        hint::expect(run, asking.hint, now);
        self.is_news = true;
        Some(run.id.clone())
    }

    /// Adds a run whose commit is still to be found, and gives its id.
    pub(crate) fn request(&mut self, source: &str, asking: &Asking<'_>) -> String {
        let occasion = Some(asking.occasion.to_owned());
        let mut run = self.new_run(source, asking.reason, occasion);
        run.forced = asking.forced == Forced::Yes;
        hint::expect(&mut run, asking.hint, self.now);
        let id = run.id.clone();
        self.recorded.push(id.clone());
        self.status.runs.push(run);
        id
    }

    /// The unfinished run of a source that this delivery asked for, if there is one.
    pub(crate) fn asked_by(&self, source: &str, delivery: &str) -> Option<String> {
        let is_its = |it: &&Run| {
            it.source == source
                && (it.occasion.as_deref() == Some(delivery)
                    || it.also_asked_by.iter().any(|also| also == delivery))
        };
        unfinished(&self.status).find(is_its).map(|it| it.id.clone())
    }

    /// Whether a request for the source waits for its check.
    pub(crate) fn has_request(&self, source: &str) -> bool {
        let waits = |it: &Run| it.source == source && it.phase == RunPhase::Requested;
        self.status.runs.iter().any(waits)
    }

    /// Ends a batch of calls; nothing where none of them changed anything.
    pub(crate) fn called(self) -> Option<Box<TriggerStatus>> {
        if !self.is_news {
            return None;
        }
        match self.write() {
            Verdict::Write { status, .. } => Some(status),
            Verdict::Nothing
            | Verdict::Coalesced
            | Verdict::CheckAgain
            | Verdict::ConfirmAfter(_)
            | Verdict::Gone => None,
        }
    }

    /// Ends a request: its runs and the memory that it was handled are one write.
    pub(crate) fn handled(mut self, run_at: &RunAt) -> Verdict {
        self.status.last_handled_run_at = Some(run_at.value.clone());
        self.is_news = true;
        self.write()
    }

    /// Moves the record of a source to a head that differs in nothing that is watched: no run, and
    /// neither `changed` nor the commit before, which tell of the last change. A trigger that runs at
    /// each firing waits for that.
    fn adopt(&mut self, source: &str, head: &Head) {
        if self.compare(source, head) != Change::Quiet || !self.plan.on_change_only {
            return;
        }
        let now = self.now;
        let record = self.status.checked_sources.entry(source.to_owned()).or_default();
        follow(record, head);
        record.checked_at = Some(due::after(record.checked_at, now));
        self.is_news = true;
    }

    /// Ends a check that found a head.
    pub(crate) fn reached(mut self, source: &str, head: &Head) -> Verdict {
        let is_back = self.answers_again(source);
        self.adopt(source, head);
        let last_run = self.before.last_run.map(|it| change::as_known(it, self.now));
        let beats = last_run.is_none_or(|it| self.now.duration_since(it) >= HEARTBEAT);
        if !(is_back || beats || self.is_news || self.must_say()) {
            return Verdict::Nothing;
        }
        if beats {
            self.status.last_run = Some(self.now);
        }
        let is_same = self.compare(source, head) == Change::Same;
        let now = self.now;
        let record = self.status.checked_sources.entry(source.to_owned()).or_default();
        if is_same {
            // What the original recorded of an annotated tag is its object: same head, true name.
            record.commit_hash = Some(head.commit.as_str().to_owned());
        }
        if self.plan.on_change_only && !self.is_news {
            record.checked_at = Some(due::after(record.checked_at, now));
        }
        self.write()
    }

    /// Ends a check whose run found no room. What was decided beside it is still written.
    pub(crate) fn coalesced(mut self, source: &str) -> Verdict {
        let is_news = self.answers_again(source) || self.is_news || self.cautions_are_new();
        if is_news { self.write() } else { Verdict::Coalesced }
    }

    /// Forgets that a source failed; false if it did not.
    fn answers_again(&mut self, source: &str) -> bool {
        let Some(record) = self.status.checked_sources.get_mut(source) else { return false };
        if record.failures == 0 && record.message.is_none() {
            return false;
        }
        record.failures = 0;
        record.message = None;
        self.tell(Severity::Normal, "SourceReachable", format!("source {source} answers again"));
        true
    }

    /// Ends a check that found nothing. `lastRun` stays: the firing is not done.
    pub(crate) fn unavailable(mut self, source: &str, message: &str, failures: i64) -> Verdict {
        let message = prune::shorten(message);
        let known = self.record_of(source).cloned().unwrap_or_default();
        let failures = failures.max(known.failures.saturating_add(1)).max(1);
        let reason = conditions::reason_of(&message);
        let is_transition = known.failures == 0
            || known.message.as_deref().map(conditions::reason_of) != Some(reason);
        let has_doubled = failures >= FAILURES_WRITTEN_FROM && failures / 2 >= known.failures;
        if !(is_transition || has_doubled || self.must_say()) {
            return Verdict::Nothing;
        }
        if is_transition {
            let text = message.split_once(": ").map_or(message.as_str(), |(_, text)| text);
            self.tell(Severity::Warning, reason, format!("source {source}: {text}"));
        }
        let record = self.status.checked_sources.entry(source.to_owned()).or_default();
        record.failures = failures;
        record.message = Some(message);
        self.write()
    }

    fn record_of(&self, source: &str) -> Option<&CheckedSource> {
        self.status.checked_sources.get(source).map(Box::as_ref)
    }

    /// The status does not say yet that this spec was understood, or what is to be said of its sources.
    fn must_say(&self) -> bool {
        conditions::is_unsaid(self.before, self.plan.generation) || self.cautions_are_new()
    }

    fn tell(&mut self, severity: Severity, reason: &str, message: String) {
        self.events.push(Notice { severity, reason: reason.to_owned(), message });
    }

    fn write(mut self) -> Verdict {
        let sources = &self.plan.sources;
        self.status.checked_sources.retain(|name, _| sources.contains(name));
        for record in self.status.checked_sources.values_mut().filter(|it| it.commit_hash.is_some())
        {
            // The original knew one time for all sources; from here on each has its own.
            record.checked_at = record.checked_at.or(self.before.last_run);
        }
        prune(&mut self.status, self.before, self.plan.kept);
        conditions::understood(&mut self.status, self.plan.generation, self.now);
        if let Some(cautions) = self.cautions {
            cautions::say(&mut self.status, cautions, self.now);
        }
        self.status.next_run = due::next_run(self.plan, self.now);
        Verdict::Write {
            status: Box::new(self.status),
            recorded: self.recorded,
            events: self.events,
        }
    }
}

/// Lets a record say what a head says. A hash stays only with the commit that it is of.
fn follow(record: &mut CheckedSource, head: &Head) {
    let is_elsewhere = record.commit_hash.as_deref() != Some(head.commit.as_str());
    if head.files.is_some() || is_elsewhere {
        record.file_hash.clone_from(&head.files);
    }
    record.commit_hash = Some(head.commit.as_str().to_owned());
}
