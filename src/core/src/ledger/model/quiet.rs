//! How it ends: no more pushes, no more faults, one replica that does its work.

use ger_api::status::RunPhase;

use super::world::{JobState, Step, World};

/// Ten unfinished runs, each expired once and run again, need fewer rounds.
const MOST_ROUNDS: usize = 60;

impl World {
    /// One fresh replica works until nothing is left to do; then the truth is told.
    pub(super) fn finish_in_peace(&mut self) -> Result<(), String> {
        for r in 0..self.replicas.len() {
            self.take(Step::Crash { r });
        }
        let mut calm_rounds = 0;
        for _ in 0..MOST_ROUNDS {
            let before = (self.version, self.jobs.clone());
            self.work_a_round();
            if let Some(broken) = self.truth.broken.take() {
                return Err(broken);
            }
            let is_calm = before == (self.version, self.jobs.clone());
            calm_rounds = if is_calm { calm_rounds + 1 } else { 0 };
            if calm_rounds == 2 {
                return self.truth.judge(&self.status, &self.head().commit, self.pushes);
            }
        }
        Err("it never comes to rest".to_owned())
    }

    fn work_a_round(&mut self) {
        let r = 0;
        self.take(Step::Wait);
        for steps in [
            [Step::DecideRequest { r }, Step::Send { r }].as_slice(),
            &[Step::ReadBasis { r }, Step::Ask { r }, Step::DecideCheck { r }, Step::Send { r }],
            &[Step::CatchUp { r }, Step::SweepOrphans { r }],
        ] {
            for step in steps {
                self.take(*step);
            }
        }
        self.end_withdrawn();
        while self.replicas[r].pending().is_some() {
            for step in [Step::CreateJob { r }, Step::DecideQueued { r }, Step::Send { r }] {
                self.take(step);
            }
            let before = self.replicas[r].view.clone();
            self.take(Step::CatchUp { r });
            if before == self.replicas[r].view {
                break;
            }
        }
        while self.startable(r).is_some() {
            self.take(Step::Admit { r });
            self.take(Step::CatchUp { r });
        }
        self.take(Step::FinishJob);
        self.take(Step::CatchUp { r });
        for step in [Step::DecideObserved { r }, Step::Send { r }, Step::CatchUp { r }] {
            self.take(step);
        }
    }

    /// A replica died between the withdrawal of a Job and the end of its run.
    fn end_withdrawn(&mut self) {
        let queued = self.status.runs.iter().filter(|it| it.phase == RunPhase::Queued);
        let withdrawn = queued.filter_map(|run| {
            let job = self.jobs.get(run.job.as_ref()?)?;
            let is_withdrawn = job.withdrawn && job.state == JobState::Suspended;
            is_withdrawn.then(|| (run.id.clone(), job.uid.clone()))
        });
        for withdrawn in withdrawn.collect::<Vec<_>>() {
            self.replicas[0].withdrawn = Some(withdrawn);
            self.take(Step::DecideExpired { r: 0 });
            self.take(Step::Send { r: 0 });
        }
    }
}
