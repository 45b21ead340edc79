//! Is the documentation true? Pages that build, links that lead somewhere, manifests that the API takes,
//! commands that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kube_sandbox::Sandbox;
use serde_json::Value;

use crate::tools::{files, run, text, tool, top};

const PROGRAM: &str = env!("CARGO_BIN_EXE_git-events-runner-told");

/// Subcommands of kubectl and helm, behind flags that hold for all of them.
const VERBS: [&str; 19] = [
    "annotate",
    "apply",
    "auth",
    "config",
    "create",
    "delete",
    "describe",
    "explain",
    "get",
    "install",
    "logs",
    "patch",
    "port-forward",
    "rollback",
    "rollout",
    "test",
    "uninstall",
    "upgrade",
    "wait",
];

/// A page of the documentation, or what else people read.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block: its language, and its lines.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
    /// Why it is not run, if it says so.
    pub(crate) not_run: Option<String>,
}

pub(crate) fn page(path: &str) -> Page {
    let path = top().join(path);
    Page { text: fs::read_to_string(&path).unwrap(), path }
}

fn pages() -> Vec<Page> {
    let mut all: Vec<_> = ["README.md", "CONTRIBUTING.md"].map(page).into();
    let mut folders = vec![top().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|it| it == "md") {
                let path = entry.path();
                all.push(Page { text: fs::read_to_string(&path).unwrap(), path });
            }
        }
    }
    all
}

impl Page {
    /// The fenced blocks, in order.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut not_run) = (Vec::new(), None);
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let inside = lines.by_ref().take_while(|it| *it != "```");
                let lines = inside.map(str::to_owned).collect();
                let language = language.to_owned();
                blocks.push(Block { language, lines, not_run: not_run.take() });
            } else if let Some(why) = line.strip_prefix("<!-- not run: ") {
                not_run = Some(why.trim_end_matches(" -->").to_owned());
            }
        }
        blocks
    }

    /// Lines that people type: those of shell blocks, and indented ones that begin as such.
    fn commands(&self) -> Vec<String> {
        let blocks = self.blocks();
        let fenced = blocks.iter().filter(|it| it.language == "sh").flat_map(|it| it.lines.clone());
        let indented = self.text.lines().filter_map(|it| it.strip_prefix("    "));
        let (fenced, indented) = (whole(fenced), whole(indented.map(str::to_owned)));
        let typed = ["git-events-runner ", "cargo run ", "hack/", "./hack/", "kubectl ", "helm "];
        let is_typed = |it: &String| typed.iter().any(|by| it.trim().starts_with(by));
        let all = fenced.into_iter().chain(indented.into_iter().filter(is_typed));
        // What stands behind a command in a synopsis or a remark is not typed.
        let bare = |it: String| it.split("  #").next().unwrap_or_default().trim().to_owned();
        all.map(bare).filter(|it| !it.is_empty() && !it.starts_with('#')).collect()
    }

    /// Where its links lead, but for other sites.
    fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for part in self.text.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") {
                links.push(target.to_owned());
            }
        }
        links
    }

    /// What its headings are called in links.
    fn anchors(&self) -> BTreeSet<String> {
        let titles = self.text.lines().filter(|it| it.starts_with('#'));
        let kept = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
        let slug = |it: &str| -> String {
            let title = it.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            title.chars().filter(|it| kept(*it)).collect()
        };
        titles.map(slug).collect()
    }
}

/// Lines with those that go on in the next one put together.
fn whole(lines: impl Iterator<Item = String>) -> Vec<String> {
    let (mut all, mut goes_on) = (Vec::<String>::new(), false);
    for line in lines {
        let part = line.trim_end().trim_end_matches('\\');
        match all.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(part),
            None => all.push(part.to_owned()),
        }
        goes_on = line.trim_end().ends_with('\\');
    }
    all
}

/// With all pages in the menu, and each link between them.
#[test]
fn the_pages_build_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    let mut mkdocs = tool("mkdocs");
    let said = mkdocs.args(["build", "--strict", "--site-dir"]).arg(&site).output().unwrap();
    let said = (said.status.success(), text(&said));

    assert!(said.0 && !said.1.contains("WARNING"), "{}", said.1);
    let config = fs::read_to_string(top().join("mkdocs.yml")).unwrap();
    for page in pages().iter().filter(|it| it.path.starts_with(top().join("docs"))) {
        let name = page.path.strip_prefix(top().join("docs")).unwrap().display().to_string();
        assert!(config.contains(&format!(": {name}\n")), "{name} is not in the menu of mkdocs.yml");
    }
    let start = fs::read_to_string(site.join("index.html")).unwrap();
    let loaded = start.split(['"', '\'']).filter(|it| it.starts_with("http"));
    let is_code = |it: &&str| matches!(it.rsplit('.').next(), Some("js" | "css"));
    let loaded: Vec<_> = loaded.filter(is_code).collect();
    assert!(loaded.is_empty(), "the pages load {loaded:?} from elsewhere");
}

#[test]
fn links_lead_to_pages_and_to_headings() {
    let mut looked = 0;
    for page in pages() {
        for link in page.links() {
            looked += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => page.path.clone(),
                _ => page.path.parent().unwrap().join(path),
            };
            let from = page.path.display();
            assert!(target.exists(), "{from}: {link} leads nowhere");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let there = Page { path: target, text }.anchors();
                assert!(there.contains(anchor), "{from}: {link}: there is {there:?}");
            }
        }
    }
    assert!(looked > 60, "{looked}");
}

/// The manifests in pages and examples, each with where it is.
fn manifests() -> Vec<(String, Value)> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for page in pages() {
        let at = page.path.display().to_string();
        for block in page.blocks().into_iter().filter(|it| it.language == "yaml") {
            texts.push((at.clone(), block.lines.join("\n")));
        }
    }
    let examples = ["docs/examples", "docs/examples/terraform"].into_iter().flat_map(files);
    for file in examples.filter(|it| it.extension().is_some_and(|it| it == "yaml")) {
        texts.push((file.display().to_string(), fs::read_to_string(file).unwrap()));
    }
    let mut all = Vec::new();
    for (at, text) in texts {
        for document in text.split("---\n") {
            let read: Result<Value, _> = serde_saphyr::from_str(document);
            let value = read.unwrap_or_else(|why| panic!("{at}: {why}: {document}"));
            all.push((at.clone(), value));
        }
    }
    all
}

/// Strictly: a field that nobody knows is refused as well.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_takes_each_manifest() {
    let sandbox = Sandbox::new("docs");
    let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    let manifests = manifests();
    assert!(manifests.len() > 12, "{}", manifests.len());

    tokio::task::spawn_blocking(move || judge(&kubeconfig, &manifests)).await.unwrap();
}

fn judge(kubeconfig: &Path, manifests: &[(String, Value)]) {
    let kubectl = |arguments: &[&str]| {
        let mut kubectl = tool("kubectl");
        kubectl.arg("--kubeconfig").arg(kubeconfig).args(arguments);
        kubectl
    };
    run(&mut kubectl(&["create", "-f", "crds"]));
    let namespace = |it: &Value| it["metadata"]["namespace"].as_str().map(str::to_owned);
    let namespaces: BTreeSet<_> = manifests.iter().filter_map(|(_, it)| namespace(it)).collect();
    for name in namespaces {
        run(&mut kubectl(&["create", "namespace", &name]));
    }
    let mut by_page: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (at, manifest) in manifests {
        if manifest["kind"].is_string() {
            by_page.entry(at).or_default().push(format!("---\n{manifest}\n"));
        } else if manifest["clusters"].is_object() || manifest["hub"].is_object() {
            takes_settings(at, manifest, kubeconfig);
        } else {
            takes_values(at, manifest, kubeconfig);
        }
    }
    for (at, documents) in by_page {
        let file = kubeconfig.with_extension("yaml");
        fs::write(&file, documents.concat()).unwrap();
        let mut apply = kubectl(&["apply", "--server-side", "--dry-run=server"]);
        let said = apply.args(["--validate=strict", "-f"]).arg(&file).output().unwrap();

        assert!(said.status.success(), "{at}: {}", text(&said));
    }
}

/// A file of `--config`, with no key that the program does not know.
fn takes_settings(at: &str, settings: &Value, beside: &Path) {
    let file = beside.with_file_name("settings.yaml");
    fs::write(&file, settings.to_string()).unwrap();
    let arguments = ["run", "--config", file.to_str().unwrap()].map(str::to_owned);
    let read = git_events_runner::cli::settings(&arguments);

    assert!(read.is_ok(), "{at}: {:#}", read.unwrap_err());
}

/// What is no object is values of the hub's chart, with no value that it does not know.
fn takes_values(at: &str, values: &Value, beside: &Path) {
    let file = beside.with_file_name("values.yaml");
    fs::write(&file, values.to_string()).unwrap();
    let mut helm = tool("helm");
    helm.args(["template", "it", "charts/git-events-runner", "--values"]).arg(file);
    let said = helm.output().unwrap();

    assert!(said.status.success(), "{at}: {}", text(&said));
}

/// A command, a flag or a script that is not there is a page that cannot be followed.
#[test]
fn commands_name_subcommands_flags_and_scripts_that_are_there() {
    let mut helps = Helps::default();
    let mut looked = 0;
    for page in pages() {
        for command in page.commands() {
            looked += usize::from(helps.has(&command, &page.path.display().to_string()));
        }
    }
    assert!(looked > 60, "{looked}");
}

/// What programs say of themselves, each asked once.
#[derive(Default)]
struct Helps {
    told: BTreeMap<Vec<String>, String>,
}

impl Helps {
    /// Whether a command is one that is known here; then it is as its program tells.
    fn has(&mut self, command: &str, at: &str) -> bool {
        let words: Vec<&str> = command.split_whitespace().collect();
        let words = match words.as_slice() {
            ["cargo", "run", rest @ ..] => match rest.iter().position(|it| *it == "--") {
                Some(end) if !rest.contains(&"e2e") => {
                    [&["git-events-runner"], &rest[end + 1..]].concat()
                }
                _ => return false,
            },
            _ => words,
        };
        let Some((first, rest)) = words.split_first() else { return false };
        let first = first.trim_start_matches("./");
        if first.starts_with("hack/") {
            let path = top().join(first);
            assert!(path.is_file(), "{at}: {first} is not there");
            let usage = fs::read_to_string(path).unwrap();
            let known = rest.first().is_none_or(|it| usage.contains(it.trim_start_matches('[')));
            assert!(known, "{at}: {command}: {first} does not say so");
            return true;
        }
        if !["git-events-runner", "kubectl", "helm"].contains(&first) {
            return false;
        }
        let subcommands = subcommands(first, rest);
        assert!(!subcommands.is_empty(), "{at}: {command}: which subcommand of {first} is it?");
        for flag in rest.iter().filter_map(|it| it.trim_start_matches('[').strip_prefix("--")) {
            let flag = flag.split(['=', ']']).next().unwrap();
            let help = self.of(first, &subcommands);
            let told = help.contains(&format!("--{flag}"));
            assert!(flag.is_empty() || told, "{at}: {command}: there is no --{flag}");
        }
        true
    }

    fn of(&mut self, program: &str, subcommands: &[&str]) -> &str {
        let key: Vec<String> =
            [&[program], subcommands].concat().into_iter().map(str::to_owned).collect();
        self.told.entry(key).or_insert_with(|| match program {
            // A subcommand or an argument that it does not have is refused, help or not.
            "git-events-runner" => {
                run(std::process::Command::new(PROGRAM).args(subcommands).arg("--help"))
            }
            "kubectl" => {
                run(tool(program).args(subcommands).arg("--help"))
                    + &run(tool(program).arg("options"))
            }
            _ => run(tool(program).args(subcommands).arg("--help")),
        })
    }
}

/// What stands between a program and its flags; arguments of a subcommand do no harm.
fn subcommands<'a>(program: &str, words: &[&'a str]) -> Vec<&'a str> {
    let is_word = |it: &&&str| it.chars().all(|it| it.is_ascii_lowercase() || it == '-');
    let from = match program {
        "git-events-runner" => 0,
        _ => words.iter().position(|it| VERBS.contains(it)).unwrap_or(words.len()),
    };
    let follow = words[from..].iter().take_while(|it| !it.starts_with('-') && is_word(it));
    follow.copied().take(3).collect()
}

/// What is not run says why, and is little.
#[test]
fn few_blocks_are_not_run_and_each_says_why() {
    let mut without = 0;
    for page in pages() {
        for block in page.blocks() {
            if let Some(why) = block.not_run {
                assert!(why.len() > 20 && block.language == "sh", "{}", page.path.display());
                without += 1;
            }
        }
    }
    assert!(without <= 6, "{without}");
}
