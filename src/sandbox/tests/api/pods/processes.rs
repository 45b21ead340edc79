//! An executor that runs processes of this machine, in real time.

use std::{process::Stdio, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::*;

/// Runs what a container's command says, and shows its output.
async fn process(run: Run) -> Outcome {
    let words: Vec<String> = [&run.container.command, &run.container.args]
        .into_iter()
        .flat_map(|it| it.clone().unwrap_or_default())
        .collect();
    let values = run.container.env.iter().flatten();
    let values = values.map(|it| (it.name.clone(), it.value.clone().unwrap_or_default()));
    let child = Command::new(&words[0])
        .args(&words[1..])
        .envs(values)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Outcome::exit(128).because("StartError", &error.to_string()),
    };
    let output = run.output();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let working = async {
        while let Ok(Some(line)) = lines.next_line().await {
            output.write(&format!("{line}\n"));
        }
        child.wait().await.unwrap().code().unwrap_or(137)
    };
    tokio::select! {
        code = working => Outcome::exit(code),
        () = run.asked_to_stop() => Outcome::exit(143),
    }
}

fn shell(script: &str) -> Value {
    let command = json!(["sh", "-c", script]);
    once(&json!({"containers": [{
        "name": "main", "image": "busybox:1", "command": command,
        "env": [{"name": "WHO", "value": "world"}],
    }]}))
}

#[tokio::test]
async fn processes_say_how_they_end_and_what_they_write() {
    let ground = Ground::new(process);

    ground.job("good", json!({"template": shell("echo hello $WHO")})).await;
    ground.job("bad", json!({"backoffLimit": 0, "template": shell("exit 9")})).await;
    let (good, bad) = (ground.ended("good").await, ground.ended("bad").await);

    assert_eq!(verdict(&good).unwrap().0, "Complete");
    assert_eq!(reason(&bad), "BackoffLimitExceeded");
    for pod in ground.all_pods().await {
        let log = ground.pods().logs(&pod.name_any(), &kube::api::LogParams::default()).await;
        let is_good = pod.name_any().starts_with("good");
        assert_eq!(log.unwrap(), if is_good { "hello world\n" } else { "" });
        let code = if is_good { (0, "Completed") } else { (9, "Error") };
        assert_eq!(terminated(&pod, "main"), Some(code));
    }
}

#[tokio::test]
async fn a_process_dies_with_its_pod() {
    let folder = tempfile::tempdir().unwrap();
    let alive = folder.path().join("alive");
    let ground = Ground::new(process);
    let script = format!("while :; do echo x >> {}; sleep 0.02; done", alive.display());
    ground.job("endless", json!({"template": shell(&script)})).await;
    let pod = ground.only_pod("endless", |it| is_running(it, "main")).await;
    while !alive.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    ground.patch_job("endless", json!({"spec": {"suspend": true}})).await;
    until(&ground.pods(), &pod.name_any(), |it| it.is_none()).await;

    let size = || std::fs::metadata(&alive).unwrap().len();
    let mut before = 0;
    while before != size() {
        before = size();
        // Ten breaths: a living one would have written.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// An executor with something of its own for each Pod.
#[derive(Default)]
struct Folders {
    held: Arc<std::sync::Mutex<BTreeMap<String, u32>>>,
    gone: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Executor for Folders {
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        run.starts();
        *self.held.lock().unwrap().entry(run.pod.name_any()).or_default() += 1;
        async { Outcome::exit(0) }
    }

    fn forget(&self, pod: &Pod) {
        self.gone.lock().unwrap().push(pod.name_any());
    }
}

#[tokio::test(start_paused = true)]
async fn an_executor_is_told_once_that_a_pod_needs_nothing_any_more() {
    let folders = Folders::default();
    let (held, gone) = (Arc::clone(&folders.held), Arc::clone(&folders.gone));
    let ground = Ground::new(folders);
    let init = json!({"initContainers": [{"name": "first", "image": "busybox:1"}]});

    ground.pod("a", once(&init)["spec"].clone()).await;
    ground.pod_once("a", |it| phase(it) == "Succeeded").await;
    ground.delete_pod("a").await;
    tokio::time::sleep(secs(60)).await;

    assert_eq!(held.lock().unwrap()["a"], 2);
    assert_eq!(*gone.lock().unwrap(), ["a"]);
}
