//! What is there: one trigger's status, its remote, its Jobs, two replicas; and what can happen.

use std::collections::{BTreeMap, BTreeSet};

use ger_api::TriggerStatus;
use ger_api::schedule_trigger::{ActionKind, ActionRef, ConcurrencyPolicy, Reference, SourceKind};
use jiff::{SignedDuration, Timestamp};

use super::replica::{Intent, Replica};
use super::truth::Truth;
use super::{Law, Watched};
use crate::change::Head;
use crate::names::{ClusterName, Commit, TriggerKey, TriggerKind};
use crate::plan::{Kept, Plan};

pub(super) const SOURCE: &str = "app";
pub(super) const FINGERPRINT: &str = "https://git.test/app main";
const MOST_PUSHES: u32 = 8;
const MOST_REQUESTS: u32 = 3;
const PATTERN: &str = "src/**";

/// What can happen. `r` is the replica that it happens to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The remote's head moves: A→B→A→B.
    Push,
    /// It moves, and none of the watched files with it.
    PushElsewhere,
    /// A new value of the `run-at` annotation.
    RunAt,
    Wait,
    /// The watch brings a replica up to date. Until then it is an owner that sleeps, and acts on
    /// what it saw last when it wakes.
    CatchUp {
        r: usize,
    },
    /// A replica notes what is known, before it asks.
    ReadBasis {
        r: usize,
    },
    /// The remote is asked. From here on the answer only gets older.
    Ask {
        r: usize,
    },
    DecideCheck {
        r: usize,
    },
    DecideRequest {
        r: usize,
    },
    CreateJob {
        r: usize,
    },
    /// The Job is created, and the replica never learns of it.
    CreateJobResponseLost {
        r: usize,
    },
    DecideQueued {
        r: usize,
    },
    DecideObserved {
        r: usize,
    },
    Withdraw {
        r: usize,
    },
    DecideExpired {
        r: usize,
    },
    DecideBackToPending {
        r: usize,
    },
    /// The compare-and-swap: a 409 if somebody else wrote since.
    Send {
        r: usize,
    },
    /// It is written, and the replica thinks that it failed.
    SendResponseLost {
        r: usize,
    },
    Admit {
        r: usize,
    },
    AdmitResponseLost {
        r: usize,
    },
    SweepOrphans {
        r: usize,
    },
    /// Everything in memory is lost, between any two calls.
    Crash {
        r: usize,
    },
    FinishJob,
    /// A finished Job is removed, and its name is free.
    JobGoneByTtl,
}

/// What must have gone wrong at least once, for the peace at the end to mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Conflict,
    ResponseLost,
    Crash,
    AlreadyExists,
    GoneByTtl,
    /// A sleeper created a Job for a run that is over, or whose Job is another.
    StaleJob,
    StaleStart,
    StaleAnswer,
    MoveBackDoubted,
    OrphanDeleted,
    Expired,
    OwnerCreatedAnew,
}

impl Trouble {
    pub(super) const ALL: [Self; 12] = [
        Self::Conflict,
        Self::ResponseLost,
        Self::Crash,
        Self::AlreadyExists,
        Self::GoneByTtl,
        Self::StaleJob,
        Self::StaleStart,
        Self::StaleAnswer,
        Self::MoveBackDoubted,
        Self::OrphanDeleted,
        Self::Expired,
        Self::OwnerCreatedAnew,
    ];
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) uid: String,
    pub(super) run_id: String,
    pub(super) version: u64,
    pub(super) state: JobState,
    pub(super) withdrawn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    Suspended,
    Running,
    Done,
}

pub(super) struct World {
    pub(super) law: Law,
    pub(super) plan: Plan,
    pub(super) now: Timestamp,
    pub(super) status: TriggerStatus,
    pub(super) version: u64,
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) pushes: u32,
    pub(super) pushes_elsewhere: u32,
    pub(super) requests: u32,
    pub(super) uids: u64,
    pub(super) replicas: [Replica; 2],
    pub(super) truth: Truth,
    pub(super) troubles: BTreeSet<Trouble>,
}

impl World {
    pub(super) fn new(law: Law) -> Self {
        Self {
            law,
            plan: plan(law.watched),
            now: "2025-01-01T00:00:00Z".parse().unwrap(),
            status: TriggerStatus::default(),
            version: 1,
            jobs: BTreeMap::new(),
            pushes: 0,
            pushes_elsewhere: 0,
            requests: 0,
            uids: 0,
            replicas: [Replica::default(), Replica::default()],
            truth: Truth::default(),
            troubles: BTreeSet::new(),
        }
    }

    /// What the remote's branch points at.
    pub(super) fn head(&self) -> Head {
        let content = if self.pushes.is_multiple_of(2) { "a" } else { "b" };
        let digit = match (content, self.pushes_elsewhere.is_multiple_of(2)) {
            ("a", false) => "c",
            (_, false) => "d",
            (content, true) => content,
        };
        let patterns = self.plan.patterns_digest();
        Head {
            files: patterns.map(|it| format!("t1-{it}-{}", content.repeat(64))),
            ..Commit::parse(&digit.repeat(40)).unwrap().into()
        }
    }

    /// What can happen now. What brings work forward stands there more often.
    pub(super) fn enabled(&self) -> Vec<Step> {
        let mut steps = vec![Step::Wait];
        if self.pushes < MOST_PUSHES {
            steps.extend([Step::Push; 2]);
        }
        if self.law.watched == Watched::Files && self.pushes_elsewhere < MOST_PUSHES {
            steps.extend([Step::PushElsewhere; 2]);
        }
        if self.requests < MOST_REQUESTS {
            steps.push(Step::RunAt);
        }
        for r in 0..self.replicas.len() {
            let replica = &self.replicas[r];
            steps.extend([Step::CatchUp { r }, Step::Crash { r }, Step::ReadBasis { r }]);
            if replica.is_asking() {
                steps.extend([Step::Ask { r }; 3]);
            }
            if replica.is_answered() {
                steps.extend([Step::DecideCheck { r }; 3]);
            }
            if self.requests > 0 {
                steps.push(Step::DecideRequest { r });
            }
            if replica.write.is_some() {
                steps.extend([Step::Send { r }; 5]);
                steps.push(Step::SendResponseLost { r });
            }
            if replica.pending().is_some() {
                steps.extend([Step::CreateJob { r }; 3]);
                steps.push(Step::CreateJobResponseLost { r });
            }
            if replica.created.is_some() {
                steps.extend([Step::DecideQueued { r }; 3]);
            }
            if replica.view.runs.iter().any(|it| it.job_uid.is_some()) {
                steps.push(Step::DecideObserved { r });
            }
            if self.startable(r).is_some() {
                steps.extend([Step::Admit { r }; 2]);
                steps.extend([Step::AdmitResponseLost { r }, Step::Withdraw { r }]);
            }
            if replica.withdrawn.is_some() {
                steps.extend([Step::DecideExpired { r }, Step::DecideBackToPending { r }]);
            }
            if replica.jobs.values().any(|it| it.state == JobState::Suspended) {
                steps.push(Step::SweepOrphans { r });
            }
        }
        if self.jobs.values().any(|it| it.state == JobState::Running) {
            steps.extend([Step::FinishJob; 2]);
        }
        if self.jobs.values().any(|it| it.state == JobState::Done) {
            steps.push(Step::JobGoneByTtl);
        }
        steps
    }

    pub(super) fn take(&mut self, step: Step) {
        self.now += SignedDuration::from_millis(700);
        self.truth.clock += 1;
        match step {
            Step::Push => self.pushes += 1,
            Step::PushElsewhere => self.pushes_elsewhere += 1,
            Step::RunAt => self.requests += 1,
            Step::Wait => self.now += SignedDuration::from_secs(61),
            Step::CatchUp { r } => self.catch_up(r),
            Step::ReadBasis { r } => self.read_basis(r),
            Step::Ask { r } => self.ask(r),
            Step::DecideCheck { r } => self.decide_check(r),
            Step::DecideRequest { r } => self.decide_request(r),
            Step::CreateJob { r } => self.create_job(r),
            Step::CreateJobResponseLost { r } => {
                self.create_job(r);
                self.replicas[r].created = None;
            }
            Step::DecideQueued { r } => self.decide_queued(r),
            Step::DecideObserved { r } => self.decide_observed(r),
            Step::Withdraw { r } => self.withdraw(r),
            Step::DecideExpired { r } => self.decide_expired(r),
            Step::DecideBackToPending { r } => self.decide_back_to_pending(r),
            Step::Send { r } => {
                if let Some(intent) = self.compare_and_swap(r) {
                    self.replicas[r].acknowledged(intent);
                }
            }
            Step::SendResponseLost { r } => {
                if self.compare_and_swap(r).is_some() {
                    self.troubled(Trouble::ResponseLost);
                }
            }
            Step::Admit { r } => self.admit(r),
            Step::AdmitResponseLost { r } => {
                self.admit(r);
                self.replicas[r].jobs.clear();
            }
            Step::SweepOrphans { r } => self.sweep_orphans(r),
            Step::Crash { r } => {
                self.replicas[r] = Replica::default();
                self.troubled(Trouble::Crash);
            }
            Step::FinishJob => self.change_a_job(JobState::Running, JobState::Done),
            Step::JobGoneByTtl => {
                let done = self.jobs.iter().find(|(_, it)| it.state == JobState::Done);
                let name = done.map(|(name, _)| name.clone());
                self.jobs.retain(|it, _| Some(it) != name.as_ref());
                self.troubled(Trouble::GoneByTtl);
            }
        }
    }

    pub(super) fn troubled(&mut self, trouble: Trouble) {
        self.troubles.insert(trouble);
    }

    /// The write of a status: whole, on the version that was read, or not at all.
    fn compare_and_swap(&mut self, r: usize) -> Option<Intent> {
        let write = self.replicas[r].write.take()?;
        if write.version != self.version {
            self.troubled(Trouble::Conflict);
            return None;
        }
        self.truth.written(&self.status, &write.status, write.asked);
        // What is read back is what an API server stores.
        self.status = serde_json::from_value(serde_json::to_value(&write.status).unwrap()).unwrap();
        self.version += 1;
        Some(write.intent)
    }

    pub(super) fn change_a_job(&mut self, from: JobState, to: JobState) {
        if let Some(job) = self.jobs.values_mut().find(|it| it.state == from) {
            job.state = to;
            job.version += 1;
        }
    }
}

fn plan(watched: Watched) -> Plan {
    Plan {
        key: TriggerKey {
            cluster: ClusterName::hub(),
            kind: TriggerKind::Schedule,
            namespace: "team".to_owned(),
            name: "deploy".to_owned(),
        },
        uid: "0b9a6a0f-6d0e-4d4f-9a51-5d1c8a7e2f10".to_owned(),
        generation: 1,
        sources: vec![SOURCE.to_owned()],
        source_kind: SourceKind::GitRepo,
        reference: Reference::default(),
        files: (watched == Watched::Files).then(|| vec![PATTERN.to_owned()]),
        on_change_only: true,
        action: ActionRef { kind: ActionKind::Action, name: "build".to_owned() },
        schedule: None,
        suspend: false,
        hook: None,
        run_at: None,
        concurrency: ConcurrencyPolicy::Allow,
        starting_deadline: None,
        kept: Kept::default(),
    }
}
