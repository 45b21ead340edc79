//! Can the quick start be followed? Line by line, with real helm and kubectl, on clusters that are served.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e::real::{Site, World};
use e2e::story;
use e2e::wait::{look_until, mins};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::docs::page;
use crate::tools::{run, tool, top};

const PROGRAM: &str = env!("CARGO_BIN_EXE_git-events-runner-told");
const NAMESPACE: &str = "git-events-runner";
/// What the page applies.
const HELLO: &str = "docs/examples/hello.yaml";

/// A person's shell.
struct Shell {
    home: tempfile::TempDir,
    path: PathBuf,
    kubeconfig: PathBuf,
}

impl Shell {
    /// With kubectl, helm and our program, and contexts that are called as the pages call them.
    fn with(sites: &BTreeMap<&str, &Site>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("bin");
        fs::create_dir(&path).unwrap();
        for name in ["kubectl", "helm"] {
            symlink(tool(name).get_program(), path.join(name)).unwrap();
        }
        symlink(PROGRAM, path.join("git-events-runner")).unwrap();
        let kubeconfig = home.path().join("kubeconfig");
        fs::write(&kubeconfig, joined(sites).to_string()).unwrap();
        Self { home, path, kubeconfig }
    }

    /// What it prints, if it is content with each line, as it must.
    async fn types(&self, lines: &[String]) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut bash = Command::new("bash");
        let nearby = self.home.path().join("hello.yaml").display().to_string();
        let typed = lines.join("\n").replace(HELLO, &nearby);
        bash.args(["-euo", "pipefail", "-c", &typed]).current_dir(top());
        bash.env("PATH", format!("{}:{path}", self.path.display()));
        bash.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.home.path());
        let said = bash.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
        let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(said.status.success(), "{lines:?}: {text}");
        text
    }

    /// The page's example, by a repository that is reached without a network; its commit.
    async fn prepares_hello(&self, world: &World) -> String {
        let commit = world.git.create_repo("hello.git", &[("README", "Hello")]).await.unwrap();
        let text = fs::read_to_string(top().join(HELLO)).unwrap();
        let nearby = text
            .replace("https://github.com/octocat/Hello-World.git", &world.git.url("hello.git"))
            .replace("branch: master", "branch: main");
        assert!(nearby.contains(&world.git.url("hello.git")), "{nearby}");
        fs::write(self.home.path().join("hello.yaml"), nearby).unwrap();
        commit.as_str().to_owned()
    }

    /// `hack/kind` with stand-ins, in a tree where no others are found before them.
    fn kind(&self, state: &Path) -> Command {
        for (name, text) in STAND_INS {
            let file = self.path.join(name);
            drop(fs::remove_file(&file));
            fs::write(&file, format!("#!/usr/bin/env bash\n{text}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let tree = self.home.path().join("tree");
        fs::create_dir_all(tree.join("hack")).unwrap();
        fs::create_dir(state).unwrap();
        fs::copy(top().join("hack/kind"), tree.join("hack/kind")).unwrap();
        fs::copy(&self.kubeconfig, state.join("kubeconfig")).unwrap();
        for name in ["kind-configs", "charts"] {
            symlink(top().join(name), tree.join(name)).unwrap();
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut kind = Command::new(tree.join("hack/kind"));
        kind.env("PATH", format!("{}:{path}", self.path.display()));
        kind.env("HOME", self.home.path()).env("GER_KIND_STATE", state);
        kind.env("GER_PROGRAM", "joins").env("GER_INGRESS", "none").env("GER_IMAGES", state);
        kind.stdin(Stdio::null()).kill_on_drop(true);
        kind
    }

    /// A replica, as whom the chart made and with the rights that it gave: no cluster here runs Pods.
    async fn start_a_replica(&self, hub: &Site) -> Child {
        let asked = format!("kubectl -n {NAMESPACE} create token git-events-runner");
        let token = self.types(&[asked]).await;
        let mut kubeconfig = read(&hub.kubeconfig);
        kubeconfig["users"][0]["user"] = json!({ "token": token.trim() });
        let file = self.home.path().join("replica");
        fs::write(&file, kubeconfig.to_string()).unwrap();
        let log = fs::File::create(self.home.path().join("log")).unwrap();
        Command::new(PROGRAM)
            .args(["run", "--allow-loopback-clusters", "--namespace", NAMESPACE])
            .args(["--config-map-name", "git-events-runner-config"])
            .args(["--lease-prefix", "git-events-runner", "--shards", "4"])
            .args(["--utility-address", "127.0.0.1", "--utility-port", "0"])
            .args(["--webhooks-address", "127.0.0.1", "--webhooks-port", "0"])
            .env("KUBECONFIG", file)
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

fn read(kubeconfig: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(kubeconfig).unwrap()).unwrap()
}

/// One kubeconfig of several, with a context of each one's name.
fn joined(sites: &BTreeMap<&str, &Site>) -> Value {
    let (mut clusters, mut users, mut contexts) = (Vec::new(), Vec::new(), Vec::new());
    let current = sites.keys().find(|it| it.ends_with("hub")).unwrap();
    for (name, site) in sites {
        let theirs = read(&site.kubeconfig);
        clusters.push(json!({ "name": name, "cluster": theirs["clusters"][0]["cluster"] }));
        users.push(json!({ "name": name, "user": theirs["users"][0]["user"] }));
        contexts.push(json!({ "name": name, "context": { "cluster": name, "user": name } }));
    }
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": current,
        "clusters": clusters, "users": users, "contexts": contexts,
    })
}

/// Every block of the page that can be run without nodes, in its order; then those that operate what it made.
#[test]
fn the_quick_start_of_a_hub_can_be_followed_and_operated() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let (hub, east) = (world.bare("hub").await, world.bare("east").await);
        let sites = BTreeMap::from([("hub", &hub), ("east", &east)]);
        let shell = Shell::with(&sites);
        let commit = shell.prepares_hello(&world).await;
        let mut replica = None;
        let mut said = String::new();

        for block in page("docs/quickstart/hub.md").blocks() {
            if block.language != "sh" || block.not_run.is_some() {
                continue;
            }
            let is_install = block.lines.iter().any(|it| it.starts_with("helm install"));
            // The last block takes the spoke away again, and what operates it comes before.
            if block.lines[0].contains("cluster remove") {
                operated(&shell, &mut said).await;
            }
            said += &shell.types(&block.lines).await;
            if is_install {
                replica = Some(shell.start_a_replica(&hub).await);
                seen(&shell).await;
            }
            for context in sites.keys().filter(|it| applies_hello(&block.lines, it)) {
                succeeded(&shell, context, &commit).await;
            }
        }

        for told in
            ["STATUS: deployed", "scheduletrigger", "east: Ready", "the hub has forgotten it"]
        {
            assert!(said.contains(told), "nobody said {told}: {said}");
        }
        drop(replica);
    });
}

fn applies_hello(lines: &[String], context: &str) -> bool {
    let applied = format!("kubectl --context {context} apply -f {HELLO}");
    lines.contains(&applied)
}

/// Waits until the first trigger's first run has cloned and worked.
async fn succeeded(shell: &Shell, context: &str, commit: &str) {
    let runs = "{range .status.runs[*]}{.commit}={.phase}{end}";
    let asked = format!(
        "kubectl --context {context} -n hello get scheduletrigger hello -o jsonpath='{runs}'"
    );
    let mut told = String::new();
    let has = look_until(mins(3), async || {
        told = shell.types(std::slice::from_ref(&asked)).await;
        told.contains(&format!("{commit}=Succeeded")).then_some(())
    });
    assert!(has.await.is_some(), "no run of {commit} in {context} has succeeded: {told}");
}

/// Clusters that are there already, and an engine with nothing to do.
const STAND_INS: [(&str, &str); 4] = [
    ("docker", "exit 0"),
    ("kind", "[ \"$*\" != 'get clusters' ] || printf '%s\\n' ger-hub ger-spoke-1 ger-spoke-2"),
    // No cluster here runs the Pods that somebody would wait for.
    (
        "helm",
        "for it; do shift; case $it in --wait | --timeout | 5m) ;; test) exit 0 ;; *) set -- \"$@\" \"$it\" ;; esac; done\n\
         \"$HELM\" \"$@\" && case \"$*\" in *'install git-events-runner'*) touch \"$INSTALLED\" ;; esac",
    ),
    // No cluster here is on kind's network: each is where its context says.
    (
        "joins",
        "for it; do shift; case $it in --server | https://ger-spoke-*) ;; *) set -- \"$@\" \"$it\" ;; esac; done\n\
         exec git-events-runner \"$@\"",
    ),
];

/// What `hack/kind up` does, but for what needs an engine.
#[test]
fn the_script_for_kind_makes_a_fleet_of_clusters_that_are_served() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.bare("hub").await;
        let spokes = [world.bare("spoke-1").await, world.bare("spoke-2").await];
        let shell = Shell::with(&BTreeMap::from([
            ("kind-ger-hub", &hub),
            ("kind-ger-spoke-1", &spokes[0]),
            ("kind-ger-spoke-2", &spokes[1]),
        ]));
        let (installed, state) =
            (shell.home.path().join("installed"), shell.home.path().join("state"));
        let mut up = shell.kind(&state);
        up.env("HELM", tool("helm").get_program()).env("INSTALLED", &installed);

        let up = up.arg("up").output();
        let replica = async {
            let is_installed = async || installed.is_file().then_some(());
            assert!(look_until(mins(2), is_installed).await.is_some(), "helm installed nothing");
            shell.start_a_replica(&hub).await
        };
        let (up, replica) = tokio::join!(up, replica);

        let up = up.unwrap();
        let said = crate::tools::text(&up);
        assert!(up.status.success(), "{said}");
        for told in ["STATUS: deployed", "spoke-1: Ready", "spoke-2: Ready"] {
            assert!(said.contains(told), "nobody said {told}: {said}");
        }
        for name in ["hub", "spoke-1", "spoke-2"] {
            let of = read(&state.join(format!("{name}.kubeconfig")));
            assert_eq!(of["current-context"], format!("kind-ger-{name}"), "the stories take it");
        }
        drop(replica);
    });
}

/// Waits until the replica holds its shards.
async fn seen(shell: &Shell) {
    let leases = format!("kubectl --context hub -n {NAMESPACE} get leases");
    let holds =
        async || shell.types(std::slice::from_ref(&leases)).await.contains("shard").then_some(());
    let held = look_until(mins(1), holds).await;
    assert!(held.is_some(), "{}", fs::read_to_string(shell.home.path().join("log")).unwrap());
}

/// The commands for operators, on what the quick start made.
async fn operated(shell: &Shell, said: &mut String) {
    for block in page("docs/operations.md").blocks() {
        let is_end = block.lines.iter().any(|it| it.starts_with("helm uninstall"));
        if block.language == "sh" && block.not_run.is_none() && !is_end {
            said.push_str(&shell.types(&block.lines).await);
        }
    }
}

/// What a script of the pages is asked for, it answers without an engine.
#[test]
fn the_scripts_of_the_quick_starts_say_what_they_do() {
    for name in ["hack/kind", "hack/tools", "hack/images"] {
        let text = fs::read_to_string(top().join(name)).unwrap();
        assert!(text.starts_with("#!/usr/bin/env bash\n# "), "{name}");
    }
    let told = run(std::process::Command::new(top().join("hack/kind")).arg("env"));
    assert!(told.starts_with("export KUBECONFIG="), "{told}");
}
