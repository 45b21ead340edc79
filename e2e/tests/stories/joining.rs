//! Is one command enough for a cluster to join a hub, to get a new token, and to leave?

use e2e::fleet::HOME;
use e2e::objects::APPS;
use e2e::real::{Program, Site, World};
use e2e::story;
use e2e::wait::{look_until, mins};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use kube::api::{DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config};

use crate::real::{PROGRAM, apply_all, message, next};

/// What a person types about the spoke `edge`, from `cluster` on.
struct Terminal<'a> {
    world: &'a World,
    hub: String,
    edge: String,
}

impl Terminal<'_> {
    fn of<'a>(world: &'a World, hub: &Site, edge: &Site) -> Terminal<'a> {
        let path = |site: &Site| site.kubeconfig.display().to_string();
        Terminal { world, hub: path(hub), edge: path(edge) }
    }

    async fn types(&self, line: &str) -> (bool, String) {
        let mut words: Vec<&str> = ["cluster"].into_iter().chain(line.split(' ')).collect();
        words.extend(["--hub-kubeconfig", &self.hub]);
        if line.contains("--context") {
            words.extend(["--kubeconfig", &self.edge]);
        }
        self.world.operate(&words).await
    }

    /// What the command printed when it succeeded, as it must.
    async fn does(&self, line: &str) -> String {
        let (success, text) = self.types(line).await;
        assert!(success, "{line}: {text}");
        text
    }
}

/// Everything that a spoke needs is made by one command, and taken away by another.
#[test]
fn a_cluster_joins_by_one_command_and_leaves_by_another() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let (hub, edge) = (world.site("hub").await, world.bare("edge").await);
        world.git.create_repo("app.git", &[("message.txt", "one")]).await.unwrap();
        let mut program = world.run(&hub).await;
        program.ready().await;

        let rehearsed = Terminal::of(&world, &hub, &edge)
            .does("add edge --context edge --dry-run --token-duration 1h")
            .await;
        assert!(rehearsed.contains("kind: ClusterRoleBinding"), "{rehearsed}");
        assert!(accounts(&edge).await.is_empty() && registered(&hub).await.is_none());

        let said = Terminal::of(&world, &hub, &edge).does("add edge --context edge").await;
        assert!(said.contains("edge: Ready"), "{said}");
        is_for_the_hub_alone(&hub, &said).await;
        edge.create_namespace(APPS).await;
        apply_all(&edge, &world.git.url("app.git")).await;
        let seen = next(&mut world).await;
        assert_eq!((seen.cluster.as_str(), message(&seen).as_str()), ("edge", "one"));

        let terminal = Terminal::of(&world, &hub, &edge);
        let again = terminal.does("add edge --context edge").await;
        assert!(again.contains("nothing had changed"), "{again}");
        is_rotated(&terminal, &hub, &edge).await;
        is_listed(&terminal).await;
        is_limited_by_another_add(&terminal, &edge).await;

        let gone = terminal.does("remove edge --context edge").await;
        assert!(gone.contains("the hub has forgotten it"), "{gone}");
        assert!(registered(&hub).await.is_none());
        assert!(accounts(&edge).await.is_empty() && bindings(&edge).await.is_empty());
        assert_eq!(triggers(&edge).await, 1, "what users made stays");
        let twice = terminal.does("remove edge --context edge").await;
        assert!(twice.contains("the hub did not have it"), "{twice}");
        stops(program).await;
    });
}

/// A context that leads elsewhere takes nothing from who is there, and gives it nothing.
#[test]
fn a_context_of_another_cluster_changes_nothing() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        let (edge, west) = (world.bare("edge").await, world.bare("west").await);
        let mut program = world.run(&hub).await;
        program.ready().await;
        let (of_edge, of_west) =
            (Terminal::of(&world, &hub, &edge), Terminal::of(&world, &hub, &west));
        of_edge.does("add edge --context edge").await;
        let before = registered(&hub).await;

        let refused = async |terminal: &Terminal<'_>, line: &str, why: &str| {
            let (success, text) = terminal.types(line).await;
            assert!(!success && text.contains(why), "{line}: {text}");
        };
        let another = "\"west\" is not the cluster that the hub calls edge";
        refused(&of_west, "add edge --context west", another).await;
        assert!(accounts(&west).await.is_empty(), "nothing is made there");
        of_west.does("add west --context west").await;
        refused(&of_west, "rotate edge --context west", another).await;
        refused(&of_west, "remove edge --context west", another).await;
        refused(&of_edge, "add again --context edge", "already, by the name edge").await;

        assert_eq!(registered(&hub).await, before);
        let said = of_edge.does("remove eddge --context edge").await;
        assert!(said.contains("stays in \"edge\", for it is edge's too"), "{said}");
        assert_eq!((accounts(&edge).await.len(), accounts(&west).await.len()), (1, 1));
        assert!(may_list(&before.unwrap()).await);
        stops(program).await;
    });
}

/// What cannot be meant is said before anything is written.
#[test]
fn a_cluster_that_cannot_join_is_told_why_and_nothing_is_written() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let (hub, edge) = (world.site("hub").await, world.bare("edge").await);
        let terminal = Terminal::of(&world, &hub, &edge);
        let secrets: Api<Secret> = Api::namespaced(hub.admin(), HOME);
        let theirs = serde_json::json!({ "metadata": { "name": "theirs" } });
        let theirs = serde_json::from_value(theirs).unwrap();
        secrets.create(&kube::api::PostParams::default(), &theirs).await.unwrap();

        for (line, why) in [
            ("add hub --context edge", "reserved for the hub"),
            ("add Not_a_name --context edge", "not an RFC 1123 subdomain"),
            ("add edge --context nowhere", "no context \"nowhere\""),
            ("add theirs --context edge", "is no cluster's"),
            ("rotate edge --context edge", "is not on the hub"),
        ] {
            let (success, text) = terminal.types(line).await;
            assert!(!success && text.contains(why), "{line}: {text}");
        }
        let itself = Terminal::of(&world, &hub, &hub);
        let (success, text) = itself.types("add again --context hub").await;
        assert!(!success && text.contains("is the hub itself"), "{text}");

        // Nobody works on the hub: it is registered, and said so.
        let (success, text) = terminal.types("add edge --context edge --timeout 2s").await;
        assert!(!success && text.contains("no replica said anything of edge"), "{text}");
        assert!(registered(&hub).await.is_some());
    });
}

async fn is_for_the_hub_alone(hub: &Site, said: &str) {
    let kubeconfig = registered(hub).await.unwrap();
    let token = token(&kubeconfig);
    assert!(!said.contains(&token), "a token is shown: {said}");
    for foreign in ["client-certificate", "client-key", "exec", "admin"] {
        assert!(!kubeconfig.contains(foreign), "{foreign} is in the kubeconfig");
    }
}

async fn is_rotated(terminal: &Terminal<'_>, hub: &Site, edge: &Site) {
    let before = registered(hub).await.unwrap();
    assert!(may_list(&before).await);

    let said = terminal.does("rotate edge --context edge --token-duration 1h").await;

    let after = registered(hub).await.unwrap();
    assert!(said.contains("it ends at") && said.contains("edge: Ready"), "{said}");
    assert_ne!(token(&before), token(&after));
    assert!(may_list(&after).await);
    // An API server believes for some seconds what it has believed.
    let is_revoked = async || (!may_list(&before).await).then_some(());
    assert!(look_until(mins(1), is_revoked).await.is_some(), "the old token lives on");
    let secrets: Api<Secret> = Api::namespaced(edge.admin(), HOME);
    let kept = secrets.list(&ListParams::default()).await.unwrap().items.into_iter();
    let names = kept.filter_map(|it| it.metadata.name);
    assert_eq!(names.filter(|it| it.contains("-token-")).count(), 1);
}

async fn is_listed(terminal: &Terminal<'_>) {
    let list = terminal.does("list").await;

    let row = |name: &str| list.lines().find(|it| it.starts_with(name)).unwrap().to_owned();
    assert!(row("NAME").contains("LAST CONTACT"), "{list}");
    assert!(row("hub").contains("Ready") && row("hub").contains("v1."), "{list}");
    let edge: Vec<String> = row("edge").split_whitespace().map(str::to_owned).collect();
    assert_eq!((edge[1].as_str(), edge[3].as_str()), ("Ready", "1"), "{list}");
    assert!(row("edge").contains(" ago"), "{list}");
}

/// Rights that are no longer meant are taken away.
async fn is_limited_by_another_add(terminal: &Terminal<'_>, edge: &Site) {
    assert_eq!(bindings(edge).await.len(), 3);

    let line = "add edge --context edge --token-duration 1h --jobs-namespace apps --secrets-namespace apps";
    terminal.does(line).await;

    let everywhere = bindings(edge).await;
    assert_eq!(everywhere, ["git-events-runner-spoke-controller"]);
    let bound: Api<RoleBinding> = Api::namespaced(edge.admin(), APPS);
    assert_eq!(bound.list(&ours()).await.unwrap().items.len(), 2);
}

fn ours() -> ListParams {
    ListParams::default()
        .labels("git-events-runner.rs/account=git-events-runner.git-events-runner-spoke")
}

async fn accounts(site: &Site) -> Vec<ServiceAccount> {
    let all: Api<ServiceAccount> = Api::all(site.admin());
    all.list(&ours()).await.unwrap().items
}

async fn bindings(site: &Site) -> Vec<String> {
    let all: Api<ClusterRoleBinding> = Api::all(site.admin());
    let listed = all.list(&ours()).await.unwrap().items;
    listed.into_iter().filter_map(|it| it.metadata.name).collect()
}

async fn triggers(site: &Site) -> usize {
    let kind = GroupVersionKind::gvk("git-events-runner.rs", "v1alpha1", "ScheduleTrigger");
    let all: Api<DynamicObject> = Api::all_with(site.admin(), &ApiResource::from_gvk(&kind));
    all.list(&ListParams::default()).await.unwrap().items.len()
}

/// The kubeconfig of the spoke that the hub has.
async fn registered(hub: &Site) -> Option<String> {
    let secrets: Api<Secret> = Api::namespaced(hub.admin(), HOME);
    let secret = secrets.get_opt("edge").await.unwrap()?;
    Some(String::from_utf8(secret.data.unwrap()["kubeconfig"].0.clone()).unwrap())
}

fn token(kubeconfig: &str) -> String {
    let read: serde_json::Value = serde_saphyr::from_str(kubeconfig).unwrap();
    read["users"][0]["user"]["token"].as_str().unwrap().to_owned()
}

/// Whether the API of the spoke lets its holder in.
async fn may_list(kubeconfig: &str) -> bool {
    let read = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    let client = Client::try_from(config.unwrap()).unwrap();
    let jobs: Api<k8s_openapi::api::batch::v1::Job> = Api::all(client);
    jobs.list(&ListParams::default()).await.is_ok()
}

async fn stops(program: Program) {
    assert_eq!(program.stop().await, Some(0));
}
