//! Which Pods are here, and which are to go? They are placed as they come, and ended when their time is
//! over.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::{AbortHandle, JoinSet};

use crate::{
    api::delete::{Deletion, Propagation},
    clock,
    cluster::Cluster,
    controllers::{Hand, pause},
    object,
    pods::{
        Executor,
        desk::{Desk, NODE},
        life::Life,
    },
    signal::Bell,
    store::{Key, Stored},
};

const NAME: &str = "kubelet";
const GRACE: &str = "deletionGracePeriodSeconds";
/// How long what belongs to a Pod that is gone already has to end.
const AFTERWARDS: SignedDuration = SignedDuration::from_secs(2);

/// Runs the Pods of a cluster until this is dropped.
pub(crate) async fn run(cluster: Arc<Cluster>, executor: impl Executor) {
    let Some(mut changed) = cluster.lock().tables.get("pods").map(|it| it.changed.subscribe())
    else {
        return;
    };
    let mut node = Node {
        cluster,
        executor: Arc::new(executor),
        placed: BTreeMap::new(),
        leaving: Vec::new(),
        tasks: JoinSet::new(),
        seen: None,
    };
    loop {
        changed.mark_unchanged();
        node.follow();
        let due = node.end_due();
        tokio::select! {
            biased;
            ended = changed.changed() => if ended.is_err() { return },
            Some(_) = node.tasks.join_next() => {}
            () = pause(due) => {}
        }
    }
}

struct Node<E: Executor> {
    cluster: Arc<Cluster>,
    executor: Arc<E>,
    placed: BTreeMap<Key, Placed>,
    /// Of Pods that are gone.
    leaving: Vec<Placed>,
    tasks: JoinSet<()>,
    /// Up to which revision changes are known.
    seen: Option<u64>,
}

struct Placed {
    desk: Arc<Desk>,
    /// Rings when its deletion is asked for.
    stop: Bell,
    task: AbortHandle,
    /// When it must have ended, if it is to go.
    over: Option<Timestamp>,
}

/// What is to be done about a Pod that nobody runs here.
#[derive(PartialEq, Eq)]
enum Need {
    Nothing,
    Start,
    /// It ran here before, and what ran it is gone.
    Mourn,
    /// The same, and it is to go.
    End,
}

impl<E: Executor> Node<E> {
    /// Looks at the Pods that have changed, or at all of them when nobody knows which.
    fn follow(&mut self) {
        let keys: Vec<Key> = {
            let state = self.cluster.lock();
            let Some(table) = state.tables.get("pods") else { return };
            let changes = self.seen.and_then(|it| table.log.after(it));
            self.seen = Some(state.revision);
            match changes {
                Some(changes) => changes.map(|it| it.key.clone()).collect(),
                None => table.objects.keys().chain(self.placed.keys()).cloned().collect(),
            }
        };
        for key in keys {
            self.look(&key);
        }
    }

    fn look(&mut self, key: &Key) {
        let stored = self.cluster.lock().find("pods", key);
        if let Some(placed) = self.placed.get_mut(key) {
            let is_same = |it: &Stored| it.value.peek(|pod| object::uid(pod) == placed.desk.uid());
            if let Some(stored) = stored.as_deref().filter(|it| is_same(it)) {
                let over = stored.value.peek(over);
                return placed.heed(over);
            }
            self.leave(key);
        }
        let Some(stored) = stored else { return };
        match stored.value.peek(need) {
            Need::Nothing => {}
            Need::Start => self.place(&stored.value),
            Need::Mourn => self.mourn(&stored),
            Need::End => {
                let mut pod = stored.value.clone();
                lose(&mut pod, self.cluster.now());
                fail(&mut pod);
                self.cluster.lock().put("pods", pod);
                self.end(&stored.value);
            }
        }
    }

    fn place(&mut self, pod: &Value) {
        let Ok(typed) = serde_json::from_value(pod.clone()) else { return };
        let desk = Arc::new(Desk::new(Arc::clone(&self.cluster), pod));
        desk.place();
        let stop = Bell::new(0);
        let life = Life {
            desk: Arc::clone(&desk),
            executor: Arc::clone(&self.executor),
            pod: Arc::new(typed),
            stop: stop.subscribe(),
        };
        let task = self.tasks.spawn(life.live());
        self.placed.insert(desk.key().clone(), Placed { desk, stop, task, over: None });
    }

    /// The containers have died with whatever ran them; some start again.
    fn mourn(&mut self, stored: &Stored) {
        let mut pod = stored.value.clone();
        lose(&mut pod, self.cluster.now());
        if object::text(&pod, "/spec/restartPolicy") == "Never" {
            fail(&mut pod);
            self.cluster.lock().put("pods", pod);
        } else {
            self.place(&pod);
        }
    }

    /// The Pod is gone: what belongs to it has a moment left.
    fn leave(&mut self, key: &Key) {
        let Some(mut placed) = self.placed.remove(key) else { return };
        placed.stop.send_replace(1);
        let now = self.cluster.now();
        placed.over = Some(now.checked_add(AFTERWARDS).unwrap_or(now));
        self.leaving.push(placed);
    }

    /// Ends what had its time; when the next one's is over.
    fn end_due(&mut self) -> Option<Duration> {
        let now = self.cluster.now();
        let mut next: Option<Duration> = None;
        let mut is_over = |it: &Placed| {
            if it.task.is_finished() {
                return true;
            }
            let Some(over) = it.over else { return false };
            let left = Duration::try_from(over.duration_since(now)).unwrap_or_default();
            if !left.is_zero() {
                next = next.into_iter().chain([left]).min();
            }
            left.is_zero()
        };
        self.leaving.retain(|it| {
            let over = is_over(it);
            if over {
                it.task.abort();
            }
            !over
        });
        let ended: Vec<Key> =
            self.placed.iter().filter(|(_, it)| is_over(it)).map(|(key, _)| key.clone()).collect();
        for key in ended {
            let Some(placed) = self.placed.remove(&key) else { continue };
            placed.task.abort();
            placed.desk.close();
            if placed.over.is_some()
                && let Some(pod) = placed.desk.pod()
            {
                self.end(&pod);
            }
        }
        next
    }

    /// The kubelet's last word: nothing of the Pod runs any more.
    fn end(&self, pod: &Value) {
        let state = &mut *self.cluster.lock();
        let mut hand = Hand { state, now: self.cluster.now(), client: NAME };
        let Some(pods) = hand.resource("", "pods") else { return };
        let deletion = Deletion::of(object::uid(pod), Propagation::Background).within(0);
        let _ended = hand.delete(&pods, pod, &deletion);
    }
}

impl Placed {
    /// Told until when it may live, if it is to go.
    fn heed(&mut self, over: Option<Timestamp>) {
        if over.is_some() {
            self.over = over;
            self.stop.send_replace(1);
        }
    }
}

/// When the Pod's grace is over, if it is to go.
fn over(pod: &Value) -> Option<Timestamp> {
    let over = object::is_deleting(pod).then(|| object::meta(pod, "deletionTimestamp").parse());
    over.map(|it| it.unwrap_or(Timestamp::UNIX_EPOCH))
}

fn need(pod: &Value) -> Need {
    let ended = matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed");
    match object::text(pod, "/spec/nodeName") {
        NODE if object::is_deleting(pod) && pod["metadata"][GRACE] != 0 => Need::End,
        _ if ended || object::is_deleting(pod) => Need::Nothing,
        "" if object::items(pod, "/spec/schedulingGates").next().is_some() => Need::Nothing,
        "" => Need::Start,
        NODE if has_begun(pod) => Need::Mourn,
        NODE => Need::Start,
        _ => Need::Nothing,
    }
}

fn statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    lists.into_iter().flat_map(|it| object::items(pod, it))
}

/// Whether any of the Pod's containers ever ran.
fn has_begun(pod: &Value) -> bool {
    let ran = |it: &Value| it["running"].is_object() || it["terminated"].is_object();
    statuses(pod).any(|it| ran(&it["state"]) || ran(&it["lastState"]))
}

/// What a kubelet says of containers that it does not find any more.
fn lose(pod: &mut Value, now: Timestamp) {
    let at = clock::seconds(now);
    for list in ["/status/initContainerStatuses", "/status/containerStatuses"] {
        for status in object::items_mut(pod, list) {
            let Some(running) = status["state"].get("running") else { continue };
            let ended = json!({
                "exitCode": 137, "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was terminated",
                "startedAt": running["startedAt"], "finishedAt": at,
                "containerID": status["containerID"],
            });
            status["state"] = json!({"terminated": ended});
            status["ready"] = false.into();
            status["started"] = false.into();
        }
    }
    for condition in object::items_mut(pod, "/status/conditions") {
        if condition["status"] == "True"
            && (condition["type"] == "Ready" || condition["type"] == "ContainersReady")
        {
            condition["status"] = "False".into();
            condition["lastTransitionTime"] = at.as_str().into();
        }
    }
}

/// A Pod that has not ended fails.
fn fail(pod: &mut Value) {
    if object::text(pod, "/status/phase") != "Succeeded" {
        pod["status"]["phase"] = "Failed".into();
    }
}
