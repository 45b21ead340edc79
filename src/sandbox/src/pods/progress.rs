//! How far is a Pod? What each of its containers is doing, and what a kubelet's status says of that.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{clock, object};

/// Which container of a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Init(usize),
    Main(usize),
}

/// What a container is doing.
#[derive(Debug, Clone)]
pub(super) enum Doing {
    Waiting { reason: String, message: String },
    Running { since: Timestamp },
    Ended(Ended),
}

#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) reason: String,
    pub(super) message: String,
    since: Timestamp,
    until: Timestamp,
    restarts: u32,
}

#[derive(Debug)]
struct Step {
    name: String,
    image: Value,
    /// Begins before the others and ends after them.
    is_sidecar: bool,
    restarts: u32,
    doing: Doing,
    last: Option<Value>,
}

#[derive(Debug)]
pub(super) struct Progress {
    uid: String,
    policy: String,
    init: Vec<Step>,
    main: Vec<Step>,
    /// Why the Pod failed as a whole.
    verdict: Option<(String, String)>,
    /// Nothing starts again.
    is_over: bool,
}

impl Progress {
    /// As of now nothing runs, whatever the Pod's status says of earlier.
    pub(super) fn of(pod: &Value) -> Self {
        let first = if object::items(pod, "/spec/initContainers").next().is_some() {
            "PodInitializing"
        } else {
            "ContainerCreating"
        };
        let steps = |list: &str, statuses: &str, reason: &str| {
            object::items(pod, list)
                .map(|it| {
                    let before = object::items(pod, statuses).find(|old| old["name"] == it["name"]);
                    Step::new(it, before, reason)
                })
                .collect()
        };
        let init = "/status/initContainerStatuses";
        Self {
            uid: object::uid(pod).to_owned(),
            policy: object::text(pod, "/spec/restartPolicy").to_owned(),
            init: steps("/spec/initContainers", init, "PodInitializing"),
            main: steps("/spec/containers", "/status/containerStatuses", first),
            verdict: None,
            is_over: false,
        }
    }

    fn step(&mut self, place: Place) -> Option<&mut Step> {
        match place {
            Place::Init(index) => self.init.get_mut(index),
            Place::Main(index) => self.main.get_mut(index),
        }
    }

    pub(super) fn name(&mut self, place: Place) -> String {
        self.step(place).map(|it| it.name.clone()).unwrap_or_default()
    }

    pub(super) fn is_running(&mut self, place: Place) -> bool {
        self.step(place).is_some_and(|it| matches!(it.doing, Doing::Running { .. }))
    }

    pub(super) fn restarts(&mut self, place: Place) -> u32 {
        self.step(place).map_or(0, |it| it.restarts)
    }

    pub(super) fn start(&mut self, place: Place, now: Timestamp) {
        if let Some(step) = self.step(place) {
            step.doing = Doing::Running { since: now };
        }
    }

    pub(super) fn wait(&mut self, place: Place, (reason, message): (&str, &str)) {
        if let Some(step) = self.step(place) {
            step.doing = Doing::Waiting { reason: reason.to_owned(), message: message.to_owned() };
        }
    }

    pub(super) fn end(
        &mut self,
        place: Place,
        (code, reason, message): (i32, &str, &str),
        now: Timestamp,
    ) {
        let Some(step) = self.step(place) else { return };
        let since = if let Doing::Running { since } = step.doing { since } else { now };
        let (reason, message) = (reason.to_owned(), message.to_owned());
        let ended = Ended { code, reason, message, since, until: now, restarts: step.restarts };
        step.doing = Doing::Ended(ended);
    }

    /// The container has ended and is to start once more.
    pub(super) fn again(&mut self, place: Place, (reason, message): (&str, &str)) {
        let uid = self.uid.clone();
        if let Some(step) = self.step(place) {
            if let Doing::Ended(ended) = &step.doing {
                step.last = Some(ended.json(&uid, &step.name));
            }
            step.restarts += 1;
        }
        self.wait(place, (reason, message));
    }

    /// What still runs is killed.
    pub(super) fn kill(&mut self, (code, reason, message): (i32, &str, &str), now: Timestamp) {
        let places = (0..self.init.len()).map(Place::Init);
        let places: Vec<Place> = places.chain((0..self.main.len()).map(Place::Main)).collect();
        for place in places {
            if self.is_running(place) {
                self.end(place, (code, reason, message), now);
            }
        }
        self.is_over = true;
    }

    pub(super) fn fail(&mut self, reason: &str, message: &str) {
        self.verdict = Some((reason.to_owned(), message.to_owned()));
    }

    fn phase(&self) -> &'static str {
        if self.verdict.is_some() {
            return "Failed";
        }
        let never = self.policy == "Never" || self.is_over;
        let init = || self.init.iter().filter(|it| !it.is_sidecar);
        if never && init().any(Step::has_failed) {
            return "Failed";
        }
        let all_ended = self.main.iter().all(|it| matches!(it.doing, Doing::Ended(_)));
        let all_succeeded = self.main.iter().all(Step::has_succeeded);
        if self.is_over {
            return if all_ended && all_succeeded { "Succeeded" } else { "Failed" };
        }
        if !init().all(Step::has_succeeded) || self.main.iter().any(Step::is_new) {
            return "Pending";
        }
        match (all_ended, self.policy.as_str()) {
            (false, _) | (true, "Always") => "Running",
            (true, _) if all_succeeded => "Succeeded",
            (true, "Never") => "Failed",
            (true, _) => "Running",
        }
    }

    /// Writes the Pod's status.
    pub(super) fn tell(&self, pod: &mut Value, now: Timestamp) {
        let phase = self.phase();
        let at = clock::seconds(now);
        let conditions = self.conditions(phase, (&pod["status"]["conditions"], &at));
        let status = object::section(pod, "status");
        status.insert("phase".to_owned(), phase.into());
        status.insert("conditions".to_owned(), conditions);
        status.entry("startTime").or_insert_with(|| at.into());
        if let Some((reason, message)) = &self.verdict {
            status.insert("reason".to_owned(), reason.as_str().into());
            status.insert("message".to_owned(), message.as_str().into());
        }
        let statuses = |steps: &[Step]| -> Value {
            steps.iter().map(|it| it.status(&self.uid)).collect::<Vec<_>>().into()
        };
        if !self.init.is_empty() {
            status.insert("initContainerStatuses".to_owned(), statuses(&self.init));
        }
        status.insert("containerStatuses".to_owned(), statuses(&self.main));
    }

    /// What others put there stays.
    fn conditions(&self, phase: &str, (before, at): (&Value, &str)) -> Value {
        let names = |steps: Vec<&Step>| {
            steps.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(" ")
        };
        let missing = self.init.iter().filter(|it| !it.is_initialized()).collect::<Vec<_>>();
        let running = |it: &&Step| matches!(it.doing, Doing::Running { .. });
        let unready = self.main.iter().filter(|it| !running(it)).collect::<Vec<_>>();
        let truth = |it: bool| if it { "True" } else { "False" };
        let done = if phase == "Succeeded" { "PodCompleted" } else { "" };
        let initialized = if missing.is_empty() {
            ("True", done, String::new())
        } else {
            let message = format!("containers with incomplete status: [{}]", names(missing));
            ("False", "ContainersNotInitialized", message)
        };
        let ready = match (phase, unready.is_empty()) {
            ("Succeeded", _) => ("False", "PodCompleted", String::new()),
            ("Failed", _) => ("False", "PodFailed", String::new()),
            (_, true) => ("True", "", String::new()),
            (_, false) => {
                let message = format!("containers with unready status: [{}]", names(unready));
                ("False", "ContainersNotReady", message)
            }
        };
        let stands = truth(!matches!(phase, "Succeeded" | "Failed"));
        let ours = [
            ("PodReadyToStartContainers", (stands, "", String::new())),
            ("Initialized", initialized),
            ("Ready", ready.clone()),
            ("ContainersReady", ready),
            ("PodScheduled", ("True", "", String::new())),
        ];
        let known = |kind: &str| before.as_array()?.iter().find(|it| it["type"] == kind);
        let others = before.as_array().into_iter().flatten();
        let others = others.filter(|it| !ours.iter().any(|(kind, _)| it["type"] == *kind)).cloned();
        let told = ours.iter().map(|(kind, (is, reason, message))| {
            let since = known(kind).filter(|it| it["status"] == *is);
            let since = since.map_or_else(|| at.into(), |it| it["lastTransitionTime"].clone());
            let mut told = json!({
                "type": kind, "status": is, "lastProbeTime": null, "lastTransitionTime": since,
            });
            let said = [("reason", *reason), ("message", message.as_str())];
            for (field, text) in said.into_iter().filter(|(_, text)| !text.is_empty()) {
                told[field] = text.into();
            }
            told
        });
        told.chain(others).collect::<Vec<_>>().into()
    }
}

impl Step {
    /// What ran before has ended with whatever ran it.
    fn new(container: &Value, before: Option<&Value>, reason: &str) -> Self {
        let ran = before.filter(|it| {
            it["state"]["running"].is_object() || it["state"]["terminated"].is_object()
        });
        let count = before.and_then(|it| it["restartCount"].as_u64()).unwrap_or_default();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let last = before.and_then(|it| {
            let ended = &it["state"]["terminated"];
            if ended.is_object() { Some(ended) } else { it["lastState"].get("terminated") }
        });
        Self {
            name: object::text(container, "/name").to_owned(),
            image: container["image"].clone(),
            is_sidecar: container["restartPolicy"] == "Always",
            restarts: count + u32::from(ran.is_some()),
            doing: Doing::Waiting { reason: reason.to_owned(), message: String::new() },
            last: last.cloned(),
        }
    }

    fn has_succeeded(&self) -> bool {
        matches!(&self.doing, Doing::Ended(it) if it.code == 0)
    }

    fn has_failed(&self) -> bool {
        matches!(&self.doing, Doing::Ended(it) if it.code != 0)
    }

    /// It waits and never ran.
    fn is_new(&self) -> bool {
        matches!(self.doing, Doing::Waiting { .. }) && self.last.is_none()
    }

    fn is_initialized(&self) -> bool {
        self.has_succeeded() || self.is_sidecar && matches!(self.doing, Doing::Running { .. })
    }

    fn status(&self, uid: &str) -> Value {
        let runs = matches!(self.doing, Doing::Running { .. });
        let state = match &self.doing {
            Doing::Waiting { reason, message } if message.is_empty() => {
                json!({"waiting": {"reason": reason}})
            }
            Doing::Waiting { reason, message } => {
                json!({"waiting": {"reason": reason, "message": message}})
            }
            Doing::Running { since } => json!({"running": {"startedAt": clock::seconds(*since)}}),
            Doing::Ended(ended) => json!({"terminated": ended.json(uid, &self.name)}),
        };
        let last = self.last.as_ref().map_or_else(|| json!({}), |it| json!({"terminated": it}));
        let mut status = json!({
            "name": self.name, "image": self.image, "imageID": "", "started": runs,
            "ready": runs || self.has_succeeded() && !self.is_sidecar,
            "restartCount": self.restarts, "state": state, "lastState": last,
        });
        let id = match &self.doing {
            Doing::Waiting { .. } => self.last.as_ref().map(|it| it["containerID"].clone()),
            _ => Some(id(uid, &self.name, self.restarts).into()),
        };
        if let Some(id) = id {
            status["containerID"] = id;
        }
        status
    }
}

impl Ended {
    fn json(&self, uid: &str, name: &str) -> Value {
        let mut json = json!({
            "exitCode": self.code, "reason": self.reason,
            "startedAt": clock::seconds(self.since), "finishedAt": clock::seconds(self.until),
            "containerID": id(uid, name, self.restarts),
        });
        if !self.message.is_empty() {
            json["message"] = self.message.as_str().into();
        }
        json
    }
}

/// Which of the containers that ever ran.
fn id(uid: &str, name: &str, restarts: u32) -> String {
    format!("sandbox://{uid}-{name}-{restarts}")
}
