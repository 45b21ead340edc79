//! How does one act of a script happen? Each is done, and noted as what is true from then on.

use std::sync::PoisonError;

use serde_json::json;

use super::calm::Place as Where;
use super::door::Trap;
use super::hands::{self, Place};
use super::script::{Act, Object, Person, Remote, Urge};
use super::timeline::At;
use super::weather;
use super::world::World;
use super::yard::APPS;

/// Actions and sources have a number of their own among the troubles, far from those of faults.
const OBJECTS: usize = 1 << 32;

impl World {
    /// Lets something happen.
    pub(super) async fn act(&self, act: &Act) {
        let common = &self.common;
        let now = common.timeline.now();
        match act {
            Act::Remote { repo, what } => self.remote(*repo, *what).await,
            Act::Person { trigger, what } => self.person(*trigger, *what).await,
            Act::Object { cluster, what } => self.object(*cluster, *what).await,
            Act::Break { number, cluster, slot, trouble } => {
                self.weather.begin(common, *number, (*cluster, *slot), *trouble);
            }
            Act::Mend { number } => self.weather.end(common, *number),
            Act::CutOff { cluster, slot } => self.weather.cut_off(common, (*cluster, *slot)),
            Act::Watches { cluster, slot, how } => {
                self.weather.end_watches(common, (*cluster, *slot), *how);
            }
            Act::Replica { slot, what } => {
                common.timeline.tell(format!("replica {slot} is in for {what:?}"));
                self.slots[*slot].befall(common, *what);
            }
            Act::Ambush { at, length } => {
                common.timeline.tell(format!("the first replica at {at:?} is in for {length:?}"));
                let mut ambush = common.ambush.lock().unwrap_or_else(PoisonError::into_inner);
                *ambush = Some(Trap::sleep(*at, *length));
            }
            Act::Clock { cluster, by } => {
                common
                    .timeline
                    .tell(format!("the clock of {} is set by {by:#}", self.name(*cluster)));
                common.troubles.span(weather::place(*cluster), now, now);
                self.sandboxes[*cluster].jump_clock(*by);
            }
            Act::Unregister { cluster } => {
                common.timeline.tell(format!("{} is unregistered", self.name(*cluster)));
                common.troubles.begin(Where::Cluster(*cluster), OBJECTS, now);
                let (place, _) = hands::registration(self.name(*cluster));
                self.hands[0].delete(&place).await;
            }
            Act::Register { cluster } => {
                common.timeline.tell(format!("{} is registered", self.name(*cluster)));
                common.troubles.end(&Where::Cluster(*cluster), OBJECTS, now);
                let (place, object) = hands::registration(self.name(*cluster));
                self.hands[0].create(&place, object).await;
            }
        }
    }

    fn name(&self, cluster: usize) -> &str {
        &self.script.clusters[cluster]
    }

    async fn remote(&self, repo: usize, what: Remote) {
        let (troubles, now) = (&self.common.troubles, self.common.timeline.now());
        match what {
            Remote::Slow(_) | Remote::Fail(_) => troubles.begin(Where::Repo(repo), repo, now),
            Remote::Quick | Remote::Recover => troubles.end(&Where::Repo(repo), repo, now),
            Remote::Guard => troubles.begin(Where::Repo(repo), OBJECTS, now),
            Remote::Reveal => troubles.end(&Where::Repo(repo), OBJECTS, now),
            // Who asks just then hears of a branch that is not there, and asks again later.
            Remote::Delete(_) => troubles.begin(Where::Repo(repo), OBJECTS + 1, now),
            Remote::Restore(_) => troubles.end(&Where::Repo(repo), OBJECTS + 1, now),
            Remote::Push(_) | Remote::Rewind(..) => {}
        }
        self.forge.happen(repo, what);
        if what == Remote::Reveal
            && let Some(token) = self.forge.token(repo)
        {
            let place = Place::secret(APPS, &hands::secret_name(repo));
            for hands in &self.hands {
                hands.merge(&place, &hands::token(&token)).await;
            }
        }
    }

    async fn person(&self, trigger: usize, what: Person) {
        let wish = &self.script.triggers[trigger];
        let (common, now) = (&self.common, self.common.timeline.now());
        if what == Person::Create {
            if !self.truth.lives_now(trigger) {
                self.create_trigger(trigger).await;
            }
            return;
        }
        if !self.truth.lives_now(trigger) {
            return;
        }
        common.timeline.tell(format!("{} of {}: {what:?}", wish.name, self.name(wish.cluster)));
        let (place, hands) = (Place::trigger(&wish.name), &self.hands[wish.cluster]);
        // Whatever was just edited is looked at anew.
        common.troubles.span(Where::Trigger(trigger), now, now);
        match what {
            Person::Times(times) => {
                self.truth.edited(trigger, now, |it| it.times = times);
                let schedule = hands::schedule(times);
                hands.merge(&place, &json!({ "spec": { "schedule": schedule } })).await;
            }
            Person::Branch(branch) => {
                self.truth.edited(trigger, now, |it| it.branch = branch);
                let watch = json!({ "watchOn": { "reference": { "branch": branch } } });
                hands.merge(&place, &json!({ "spec": { "sources": watch } })).await;
            }
            Person::Suspend | Person::Resume => {
                let suspend = what == Person::Suspend;
                self.truth.edited(trigger, now, |it| it.is_suspended = suspend);
                hands.merge(&place, &json!({ "spec": { "suspend": suspend } })).await;
            }
            Person::Delete => {
                hands.delete(&place).await;
                self.truth.died(trigger, now);
            }
            Person::Ask(urge) => self.ask(trigger, urge, now).await,
            Person::Create => {}
        }
    }

    async fn ask(&self, trigger: usize, urge: Urge, now: At) {
        let wish = &self.script.triggers[trigger];
        let force = (urge == Urge::Anyway).then_some("true");
        let annotations = json!({
            "git-events-runner.rs/run-at": format!("{}", now.as_millis()),
            "git-events-runner.rs/force": force,
        });
        let patch = json!({ "metadata": { "annotations": annotations } });
        self.hands[wish.cluster].merge(&Place::trigger(&wish.name), &patch).await;
    }

    pub(super) async fn create_trigger(&self, trigger: usize) {
        let wish = &self.script.triggers[trigger];
        let place = Place::trigger(&wish.name);
        let uid = self.hands[wish.cluster].create(&place, hands::trigger(wish)).await;
        let now = self.common.timeline.now();
        self.common.timeline.tell(format!(
            "{} of {} is created",
            wish.name,
            self.name(wish.cluster)
        ));
        self.truth.born(trigger, wish, &uid, now);
    }

    async fn object(&self, cluster: usize, what: Object) {
        let (common, now) = (&self.common, self.common.timeline.now());
        let (troubles, hands) = (&common.troubles, &self.hands[cluster]);
        let place = Where::Objects(cluster);
        common.timeline.tell(format!("{}: {what:?}", self.name(cluster)));
        match what {
            Object::DeleteAction => {
                troubles.begin(place, OBJECTS, now);
                self.drop_action(cluster).await;
            }
            Object::CreateAction => {
                troubles.end(&place, OBJECTS, now);
                self.drop_action(cluster).await;
                hands.create(&Place::action(), hands::action()).await;
            }
            Object::DeleteSource(repo) => {
                troubles.begin(place, repo, now);
                self.truth.leads_to((cluster, repo), None, now);
                for kind in self.kinds(cluster, repo) {
                    hands.delete(&Place::source(kind, repo)).await;
                }
            }
            Object::CreateSource(repo) => {
                troubles.end(&place, repo, now);
                self.truth.leads_to((cluster, repo), Some(repo), now);
                for kind in self.kinds(cluster, repo) {
                    hands.delete(&Place::source(kind, repo)).await;
                    let source = hands::source(&self.script, kind, repo);
                    hands.create(&Place::source(kind, repo), source).await;
                }
            }
            Object::Repoint(repo, to) => {
                troubles.span(place, now, now);
                self.truth.leads_to((cluster, repo), Some(to), now);
                for kind in self.kinds(cluster, repo) {
                    let mut source = hands::source(&self.script, kind, to);
                    let auth = source["spec"]["authConfig"].take();
                    // Null where there is none: the patch takes away what was there.
                    source["spec"]["authConfig"] = auth;
                    let patch = json!({ "spec": source["spec"] });
                    hands.merge(&Place::source(kind, repo), &patch).await;
                }
            }
        }
    }

    /// Deletes the Action; its Jobs go with it.
    async fn drop_action(&self, cluster: usize) {
        if let Some(uid) = self.hands[cluster].delete(&Place::action()).await {
            self.yards[cluster].collect(&uid).await;
        }
    }

    fn kinds(&self, cluster: usize, repo: usize) -> Vec<&'static str> {
        self.sources(cluster).into_iter().filter(|it| it.1 == repo).map(|it| it.0).collect()
    }
}
