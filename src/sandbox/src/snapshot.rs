//! How does a cluster outlive its process? As one file of JSON lines: a head, what there is, an end.

mod file;

use std::{path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    auth::{Mode, signer::Signer},
    cluster::Cluster,
    error::Error,
    kinds, object,
    pods::logs::Which,
    random::Random,
    snapshot::file::{Lines, Writer},
    store::{Key, Stored},
};

/// What a file says of itself; a release reads all up to its own.
const FORMAT: u64 = 2;

/// How far versions leap at a start. What was written between the last save and a crash is lost, and
/// whoever saw it must not take a version of today for the one it knew.
const LEAP: u64 = 1_000_000;

/// Writes all that the cluster holds into a folder, in the place of what was saved there.
pub(crate) fn save(cluster: &Cluster, dir: &Path) -> Result<(), Error> {
    let Moment { head, objects, logs } = Moment::of(cluster);
    let mut file = Writer::begin(dir)?;
    file.line(&head.to_string().into_bytes())?;
    for (table, stored) in objects {
        let mut line = format!("{{\"table\":{},\"object\":", Value::from(table)).into_bytes();
        line.extend_from_slice(&stored.json());
        line.push(b'}');
        file.line(&line)?;
    }
    for log in logs {
        file.line(&log.to_string().into_bytes())?;
    }
    file.end()
}

/// All that is saved, as of one moment.
struct Moment {
    head: Value,
    objects: Vec<(String, Arc<Stored>)>,
    logs: Vec<Value>,
}

impl Moment {
    fn of(cluster: &Cluster) -> Self {
        let key = cluster.known_signer().map(|it| STANDARD.encode(it.document()));
        let (now, rbac) = (cluster.now(), cluster.mode() == Mode::Rbac);
        let state = &mut *cluster.lock();
        // Drawn, not copied: what lives on and what begins from the file never give the same uid.
        let random = state.random.next();
        let head = json!({
            "format": FORMAT, "cluster": cluster.name, "at": now.to_string(),
            "revision": state.revision, "random": random, "rbac": rbac, "key": key,
        });
        let tables = state.tables.iter();
        let objects = tables.flat_map(|(name, table)| {
            table.objects.values().map(|it| (name.clone(), Arc::clone(it)))
        });
        let objects = objects.collect();
        let logs = cluster.logs.books().into_iter().map(|(pod, container, which, lines)| {
            let lines: Vec<Value> =
                lines.iter().map(|it| json!([it.at.to_string(), it.text])).collect();
            json!({
                "log": lines, "namespace": pod.namespace(), "pod": pod.name(), "container": container,
                "previous": which == Which::Previous,
            })
        });
        let logs = logs.collect();
        Self { head, objects, logs }
    }
}

/// The cluster that was saved in a folder, under a name of its own.
pub(crate) fn load(name: String, dir: &Path) -> Result<Cluster, Error> {
    let mut lines = Lines::read(dir)?;
    let head = lines.next()?;
    match head["format"].as_u64() {
        Some(format) if format > FORMAT => return Err(lines.newer(format, FORMAT)),
        Some(1..) => {}
        _ => return Err(lines.torn()),
    }
    let (Some(revision), Some(random)) = (head["revision"].as_u64(), head["random"].as_u64())
    else {
        return Err(lines.torn());
    };
    let key = match head["key"].as_str() {
        None => None,
        Some(text) => {
            let document = STANDARD.decode(text).ok();
            let signer = document.and_then(|it| Signer::restored(&it));
            Some(signer.ok_or_else(|| lines.torn())?)
        }
    };

    let cluster = Cluster::bare(name);
    cluster.lock().revision = revision.saturating_add(LEAP);
    while let Some(line) = lines.more()? {
        restore(&cluster, line).ok_or_else(|| lines.torn())?;
    }
    {
        let state = &mut *cluster.lock();
        kinds::resume(state);
        state.resume(Random::seeded(random));
    }
    if head["rbac"] == true {
        cluster.enforce_rbac();
    }
    cluster.resume(key, object::text(&head, "/at").parse().unwrap_or(Timestamp::UNIX_EPOCH));
    Ok(cluster)
}

/// Puts one thing where it was; nothing, when it is none that is known here.
fn restore(cluster: &Cluster, mut line: Value) -> Option<()> {
    if let Some(table) = line["table"].as_str() {
        let table = table.to_owned();
        let object = line.get_mut("object").map(Value::take).filter(Value::is_object)?;
        cluster.lock().restore(&table, object);
        return Some(());
    }
    let text = |field: &str| line[field].as_str();
    let pod = Key::new(text("namespace")?, text("pod")?);
    let container = text("container")?;
    if let Some(all) = text("log") {
        // Format 1 knew no times.
        cluster.append_log(&pod, container, all);
        return Some(());
    }
    let stored = cluster.lock().find("pods", &pod);
    // The log of a Pod that is gone is nobody's.
    let Some(stored) = stored else { return Some(()) };
    let pod = (&pod, object::uid(&stored.value));
    for line in line["log"].as_array()? {
        let at = line[0].as_str()?.parse().ok()?;
        cluster.logs.append(pod, container, (at, line[1].as_str()?));
    }
    if line["previous"] == true {
        cluster.logs.turn(pod, container);
    }
    Some(())
}
