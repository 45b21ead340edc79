//! What a replica does: each call to the outside is one step, and it may die between any two.

use std::collections::BTreeMap;

use ger_api::TriggerStatus;
use ger_api::status::{Run, RunPhase};

use super::Withdrawal;
use super::world::{FINGERPRINT, Job, JobState, SOURCE, Trouble, World};
use crate::admission::{Orphan, orphan};
use crate::change::{FilesNeeded, Head, files_needed};
use crate::job::name_of;
use crate::ledger::{self, Answer, Basis, Check, Firing, JobSighting, Live, Transition, Verdict};
use crate::plan::{Forced, RunAt};

/// What a replica has in its memory.
#[derive(Default)]
pub(super) struct Replica {
    /// The status and the Jobs as its watches last showed them.
    pub(super) view: TriggerStatus,
    pub(super) jobs: BTreeMap<String, Job>,
    check: Option<InFlight>,
    is_confirming: bool,
    pub(super) write: Option<Write>,
    /// Run, Job and uid: created, and not yet in the ledger.
    pub(super) created: Option<(String, String, String)>,
    /// Run and uid: cannot start any more, and not yet in the ledger.
    pub(super) withdrawn: Option<(String, String)>,
}

struct InFlight {
    basis: Basis,
    firing: Firing,
    answer: Option<(Head, Asked)>,
}

/// When the remote was asked, and which of its heads it answered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) sent: u64,
    pub(super) push: u32,
}

/// A status that is decided and not yet sent.
pub(super) struct Write {
    pub(super) version: u64,
    pub(super) status: TriggerStatus,
    pub(super) asked: Option<Asked>,
    pub(super) intent: Intent,
}

/// What a write is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Check,
    Request,
    Queued,
    Observed,
    Withdrawn,
}

impl Replica {
    pub(super) fn is_asking(&self) -> bool {
        self.check.as_ref().is_some_and(|it| it.answer.is_none())
    }

    pub(super) fn is_answered(&self) -> bool {
        self.check.as_ref().is_some_and(|it| it.answer.is_some())
    }

    /// A run whose Job is to be created, as far as this replica has seen.
    pub(super) fn pending(&self) -> Option<&Run> {
        self.view.runs.iter().find(|it| it.phase == RunPhase::Pending)
    }

    /// The API server said that this was written.
    pub(super) fn acknowledged(&mut self, intent: Intent) {
        match intent {
            Intent::Check => self.check = None,
            Intent::Queued => self.created = None,
            Intent::Withdrawn => self.withdrawn = None,
            Intent::Request | Intent::Observed => {}
        }
    }
}

impl World {
    pub(super) fn catch_up(&mut self, r: usize) {
        self.replicas[r].view = self.status.clone();
        self.replicas[r].jobs = self.jobs.clone();
    }

    pub(super) fn read_basis(&mut self, r: usize) {
        let basis = ledger::basis(&self.plan, &self.status, SOURCE, FINGERPRINT);
        let replica = &mut self.replicas[r];
        let firing = if replica.is_confirming {
            Firing::Confirm { nominal: None }
        } else {
            Firing::Tick { nominal: "tick".to_owned() }
        };
        replica.check = Some(InFlight { basis, firing, answer: None });
    }

    pub(super) fn ask(&mut self, r: usize) {
        let (mut head, asked) = (self.head(), Asked { sent: self.truth.clock, push: self.pushes });
        let patterns = self.plan.patterns_digest();
        if let Some(check) = &mut self.replicas[r].check {
            let record = check.basis.record.as_ref();
            head.files = match files_needed(record, &head.commit, None, patterns.as_deref()) {
                FilesNeeded::None => None,
                FilesNeeded::Known(hash) => Some(hash),
                FilesNeeded::Ours | FilesNeeded::OursAndOriginal => head.files,
            };
            check.answer = Some((head, asked));
        }
    }

    pub(super) fn decide_check(&mut self, r: usize) {
        let Some(check) = &self.replicas[r].check else { return };
        let Some((head, asked)) = check.answer.clone() else { return };
        let made = Check {
            basis: check.basis.clone(),
            firing: check.firing.clone(),
            answer: Answer::Head(head),
            cautions: vec![],
        };
        let verdict = (self.law.decide)(&self.plan, &live(self), FINGERPRINT, &made, self.now);

        match verdict {
            Verdict::CheckAgain => self.troubled(Trouble::StaleAnswer),
            Verdict::ConfirmAfter(_) => self.troubled(Trouble::MoveBackDoubted),
            Verdict::Nothing | Verdict::Coalesced | Verdict::Write { .. } | Verdict::Gone => {}
        }
        let version = self.version;
        let replica = &mut self.replicas[r];
        replica.is_confirming = matches!(verdict, Verdict::ConfirmAfter(_));
        match verdict {
            Verdict::Write { status, .. } => {
                let (status, asked) = (*status, Some(asked));
                replica.write = Some(Write { version, status, asked, intent: Intent::Check });
            }
            Verdict::Nothing
            | Verdict::Coalesced
            | Verdict::CheckAgain
            | Verdict::ConfirmAfter(_)
            | Verdict::Gone => replica.check = None,
        }
    }

    pub(super) fn decide_request(&mut self, r: usize) {
        let run_at =
            RunAt { value: format!("run-at {}", self.requests), forced: Forced::No, sources: None };
        let verdict = ledger::request(&self.plan, &live(self), &run_at, self.now);
        if let Verdict::Write { status, .. } = verdict {
            self.hold(r, Transition::Write(status), Intent::Request);
        }
    }

    pub(super) fn create_job(&mut self, r: usize) {
        let Some(run) = self.replicas[r].pending() else { return };
        let (run_id, name) = (run.id.clone(), name_of(&self.plan.key.name, &run.id));
        if self.jobs.contains_key(&name) {
            self.troubled(Trouble::AlreadyExists);
        }
        self.uids += 1;
        let uid = format!("uid-{}", self.uids);
        let job = self.jobs.entry(name.clone()).or_insert_with(|| Job {
            uid,
            run_id: run_id.clone(),
            version: 1,
            state: JobState::Suspended,
            withdrawn: false,
        });
        // AlreadyExists is fine if it is this run's.
        if job.run_id == run_id {
            self.replicas[r].created = Some((run_id, name, job.uid.clone()));
        }
    }

    pub(super) fn decide_queued(&mut self, r: usize) {
        let Some((run_id, job, uid)) = self.replicas[r].created.clone() else { return };
        let transition = (self.law.queued)(&self.status, &run_id, &job, &uid, self.now);
        if matches!(transition, Transition::Refused { .. }) {
            self.troubled(Trouble::StaleJob);
        }
        if !self.hold(r, transition, Intent::Queued) {
            self.replicas[r].created = None;
        }
    }

    /// Looks at the Jobs of the runs that it knows, by live reads.
    pub(super) fn decide_observed(&mut self, r: usize) {
        for run in self.replicas[r].view.runs.clone() {
            let Some(uid) = &run.job_uid else { continue };
            let name = run.job.clone().unwrap_or_default();
            let job = self.jobs.get(&name).filter(|it| it.uid == *uid);
            let sighting = match job.map(|it| it.state) {
                None => JobSighting::Gone,
                Some(JobState::Suspended) => JobSighting::Suspended,
                Some(JobState::Running) => JobSighting::Running { started: None },
                Some(JobState::Done) => JobSighting::Succeeded { at: None },
            };
            let transition = ledger::observed(&self.status, &run.id, uid, &sighting, self.now);
            if self.hold(r, transition, Intent::Observed) {
                return;
            }
        }
    }

    /// A Job that this replica, by what it has seen, would start.
    pub(super) fn startable(&self, r: usize) -> Option<(&String, &Job)> {
        let replica = &self.replicas[r];
        let may_start = |job: &Job| {
            let is_waiting = job.state == JobState::Suspended && !job.withdrawn;
            is_waiting && (self.law.may_start)(&replica.view, &job.run_id, &job.uid)
        };
        replica.jobs.iter().find(|(_, it)| may_start(it))
    }

    /// The unsuspension: with the uid and the version that the replica has seen.
    pub(super) fn admit(&mut self, r: usize) {
        let Some((name, seen)) = self.startable(r).map(|(name, it)| (name.clone(), it.clone()))
        else {
            return;
        };
        let Some(job) = self.jobs.get_mut(&name).filter(|it| **it == seen) else {
            self.troubled(Trouble::StaleStart);
            return;
        };
        job.state = JobState::Running;
        job.version += 1;
        self.truth.started(&job.run_id, &job.uid);
    }

    pub(super) fn withdraw(&mut self, r: usize) {
        let Some((name, seen)) = self.startable(r).map(|(name, it)| (name.clone(), it.clone()))
        else {
            return;
        };
        if self.law.withdrawal == Withdrawal::Written {
            let Some(job) = self.jobs.get_mut(&name).filter(|it| **it == seen) else { return };
            job.withdrawn = true;
            job.version += 1;
        }
        self.replicas[r].withdrawn = Some((seen.run_id, seen.uid));
    }

    pub(super) fn decide_expired(&mut self, r: usize) {
        let Some((run_id, uid)) = self.replicas[r].withdrawn.clone() else { return };
        let (law, now) = (self.law, self.now);
        let transition = (law.expired)(&self.status, &run_id, Some(&uid), "waited too long", now);
        if self.hold(r, transition, Intent::Withdrawn) {
            self.troubled(Trouble::Expired);
        } else {
            self.replicas[r].withdrawn = None;
        }
    }

    /// The Job's owner was created anew: the run wants another Job.
    pub(super) fn decide_back_to_pending(&mut self, r: usize) {
        let Some((run_id, uid)) = self.replicas[r].withdrawn.clone() else { return };
        let transition =
            ledger::back_to_pending(&self.plan.uid, &self.status, &run_id, &uid, self.now);
        if self.hold(r, transition, Intent::Withdrawn) {
            self.troubled(Trouble::OwnerCreatedAnew);
        } else {
            self.replicas[r].withdrawn = None;
        }
    }

    /// Deletes never-started Jobs that neither the cache nor a live read knows.
    pub(super) fn sweep_orphans(&mut self, r: usize) {
        let uid = self.plan.uid.clone();
        for (name, job) in self.replicas[r].jobs.clone() {
            let judge = |it: &TriggerStatus| orphan(&uid, &job.run_id, &job.uid, Some((&uid, it)));
            let is_orphan = job.state == JobState::Suspended
                && judge(&self.replicas[r].view) == Orphan::DeleteAfterLiveRead
                && judge(&self.status) == Orphan::DeleteAfterLiveRead;
            if is_orphan && self.jobs.get(&name) == Some(&job) {
                self.jobs.remove(&name);
                self.troubled(Trouble::OrphanDeleted);
            }
        }
    }

    fn hold(&mut self, r: usize, transition: Transition, intent: Intent) -> bool {
        let Transition::Write(status) = transition else { return false };
        let (version, status) = (self.version, *status);
        self.replicas[r].write = Some(Write { version, status, asked: None, intent });
        true
    }
}

fn live(world: &World) -> Live<'_> {
    Live { uid: &world.plan.uid, generation: world.plan.generation, status: &world.status }
}
