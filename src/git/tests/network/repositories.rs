//! Repositories that mean harm, made by git itself: each is refused in clear words or does none,
//! and nothing is written outside.

use std::{fs, path::Path};

use ger_git::{
    Error, Fetched, GitFolder, HashOptions, Limits, PathHash, Reference, RepoUri, UriError,
};

use crate::support::{
    Site,
    fetching::{
        blob, commit_of_main, commit_of_tree, commit_tree, fetch, fetch_with, hash, hash_with,
        literal_tree, main_branch, names,
    },
};

/// One repository, `app`, and somewhere to fetch it to with a place beside it that must stay empty.
struct Trap {
    site: Site,
    file: String,
    directory: tempfile::TempDir,
}

impl Trap {
    async fn set() -> Self {
        let site = Site::start().await;
        site.server.create_repo("app", &[("config", "x")]).await.unwrap();
        let file = blob(&site.server, "app", "x").await;
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("outside")).unwrap();
        Self { site, file, directory }
    }

    fn outside(&self) -> String {
        self.directory.path().join("outside").to_str().unwrap().to_owned()
    }

    fn out(&self) -> std::path::PathBuf {
        self.directory.path().join("out")
    }

    async fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        literal_tree(&self.site.server, "app", entries).await
    }

    async fn refuses(&self, entries: &[(&str, &[u8], &str)]) {
        let (fetched, _) = self.spring(&self.tree(entries).await).await;

        let refused = fetched.unwrap_err();
        assert!(matches!(refused, Error::Unsafe { .. }), "{refused:?}");
    }

    async fn blob(&self, content: &str) -> String {
        blob(&self.site.server, "app", content).await
    }

    /// What a clone, and a look at all paths, make of a commit of this tree.
    async fn spring(&self, tree: &str) -> (Result<Fetched, Error>, Result<PathHash, Error>) {
        commit_of_tree(&self.site.server, "app", tree).await;
        let fetched = fetch(self.site.remote("app"), main_branch(), &self.out()).await;
        let hashed = hash(self.site.remote("app"), &["**"]).await;
        assert!(names(Path::new(&self.outside())).is_empty(), "written outside");
        let left = usize::from(fetched.is_ok()) + 1;
        assert_eq!(names(self.directory.path()).len(), left, "{fetched:?}");
        if fetched.is_ok() {
            fs::remove_dir_all(self.out()).unwrap();
        }
        (fetched, hashed)
    }
}

#[test]
fn b1_an_address_that_reads_as_an_option_is_refused() {
    for text in [
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x:y",
        "ssh://-oProxyCommand=x/app",
        "ssh://-oProxyCommand=x@h/app",
        "-oProxyCommand=x@h:app",
        "git@-oProxyCommand=x:app",
        "git@h:-app",
        "https://-h/app",
        "git://-h/app",
    ] {
        let refused = RepoUri::parse(text).unwrap_err();
        assert!(!refused.to_string().contains("Proxy"), "{text}");
    }
    for text in ["ext::sh -c x", "file:///etc", "/etc", "fd::17", "rsync://h/a", "http:h"] {
        let refused = RepoUri::parse(text).unwrap_err();
        assert!(matches!(refused, UriError::Scheme | UriError::Character), "{text}: {refused:?}");
    }
}

#[test]
fn b2_a_reference_that_is_none_is_refused() {
    let long = "x".repeat(4096);
    for name in [
        "-x",
        "--upload-pack=x",
        "a..b",
        "../../x",
        "a\0b",
        "a\nb",
        "a\x1b[2J",
        &long,
        "a/../b",
        "",
    ] {
        for refused in [Reference::branch(name).unwrap_err(), Reference::tag(name).unwrap_err()] {
            assert!(!refused.to_string().contains(['\n', '\x1b', '\0']), "{name:?}");
        }
    }
}

/// `.git` in every spelling that some file system takes for it, and what climbs out.
#[tokio::test]
async fn b3_paths_that_lie_are_refused_before_a_file_is_written() {
    let trap = Trap::set().await;
    let inner = trap.tree(&[("100644", b"config", &trap.file)]).await;

    for (nth, name) in [
        &b".git"[..],
        b".GIT",
        b".giT",
        b"git~1",
        b"GIT~1",
        b".git ",
        b".git.",
        b".git...",
        b".git. .",
        ".g\u{200c}it".as_bytes(),
        "\u{feff}.git".as_bytes(),
        ".gi\u{206a}t".as_bytes(),
        b".git::$INDEX_ALLOCATION",
        b".git:stream",
        b"..",
        b".",
        b"",
        b"a/b",
        b"/etc",
        b"../../x",
        b"a/../../x",
        b"x/../../y",
    ]
    .into_iter()
    .enumerate()
    {
        let kinds = [("40000", &inner), ("100644", &trap.file), ("160000", &inner)];
        let (mode, id) = kinds[nth % kinds.len()];
        let mut tree = trap.tree(&[(mode, name, id)]).await;
        if nth % 2 == 1 {
            tree = trap.tree(&[("40000", b"deep", &tree)]).await;
        }

        let (fetched, _) = trap.spring(&tree).await;

        let refused = fetched.unwrap_err();
        let name = String::from_utf8_lossy(name);
        let is_told = match &refused {
            Error::Unsafe { .. } => true,
            // That is no tree, and the server says so.
            Error::Remote { .. } | Error::Checkout { .. } => name.is_empty(),
            _ => false,
        };
        assert!(is_told, "{mode} {name:?}: {refused:?}");
    }
}

/// What looks like a name in a URL is just a name on a disk.
#[tokio::test]
async fn b3_what_only_a_browser_decodes_is_a_name() {
    let trap = Trap::set().await;
    let entries: &[(&str, &[u8], &str)] = &[
        ("100644", b"%2e%2e", &trap.file),
        ("100644", b".git%20", &trap.file),
        ("100644", b".github", &trap.file),
        ("100644", b".gitignore", &trap.file),
    ];

    let (fetched, hashed) = trap.spring(&trap.tree(entries).await).await;

    fetched.unwrap();
    assert_eq!(hashed.unwrap().matched, 4);
}

#[tokio::test]
async fn b3_links_out_of_the_tree_are_refused_before_a_file_is_written() {
    let trap = Trap::set().await;

    for target in ["/etc/passwd", "..", "../../etc", "a/../../b", &"x/".repeat(3000)] {
        let target = trap.blob(target).await;
        let tree = trap.tree(&[("120000", b"link", &target)]).await;

        let (fetched, hashed) = trap.spring(&tree).await;

        let refused = fetched.unwrap_err();
        assert!(matches!(refused, Error::Unsafe { .. }), "{refused:?}");
        assert_eq!(hashed.unwrap().matched, 1);
    }
}

/// A link and a directory of one name, or of names that some file systems take for one.
#[tokio::test]
async fn b3_a_file_through_a_link_is_refused() {
    let trap = Trap::set().await;
    let inner = trap.tree(&[("100644", b"file", &trap.file)]).await;
    let targets =
        [trap.blob(&trap.outside()).await, trap.blob("../outside").await, trap.blob("d").await];

    for target in &targets {
        for (link, directory) in [
            (&b"a"[..], &b"a"[..]),
            (b"a", b"A"),
            ("\u{e9}".as_bytes(), "e\u{301}".as_bytes()),
            ("\u{212a}".as_bytes(), b"k"),
            (b"a", "a\u{200d}".as_bytes()),
        ] {
            let entries = [("120000", link, target.as_str()), ("40000", directory, &*inner)];
            trap.refuses(&entries).await;
            trap.refuses(&[entries[1], entries[0]]).await;
        }
    }
}

/// On this file system they are two files, and both are there.
#[tokio::test]
async fn b3_files_that_differ_in_case_or_accents_are_both_written() {
    let trap = Trap::set().await;
    let other = trap.blob("y").await;
    let entries: &[(&str, &[u8], &str)] = &[
        ("100644", b"A", &trap.file),
        ("100644", b"a", &other),
        ("100644", "e\u{301}".as_bytes(), &trap.file),
        ("100644", "\u{e9}".as_bytes(), &other),
    ];
    let tree = trap.tree(entries).await;
    commit_of_tree(&trap.site.server, "app", &tree).await;

    fetch(trap.site.remote("app"), main_branch(), &trap.out()).await.unwrap();

    assert_eq!(names(&trap.out()).len(), 4);
    assert_eq!(fs::read_to_string(trap.out().join("A")).unwrap(), "x");
    assert_eq!(fs::read_to_string(trap.out().join("a")).unwrap(), "y");
}

/// Not what git writes, and not what anybody reads: one of them, or none.
#[tokio::test]
async fn b3_two_files_of_one_name_do_no_harm() {
    let trap = Trap::set().await;
    let other = trap.blob("y").await;
    let entries = [("100644", &b"a"[..], &*trap.file), ("100644", b"a", &other)];

    let (fetched, hashed) = trap.spring(&trap.tree(&entries).await).await;

    assert!(matches!(fetched, Ok(_) | Err(Error::Unsafe { .. } | Error::Checkout { .. })));
    assert_eq!(hashed.unwrap().matched, 2);
}

#[tokio::test]
async fn b3_submodules_with_options_for_addresses_are_left_alone() {
    let trap = Trap::set().await;
    let commit = trap.site.server.git_in("app", &["rev-parse", "main"], b"").await.unwrap();
    let touch = format!("touch {}/ran", trap.outside());
    let modules = format!(
        "[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack={touch}\n\tupdate = !{touch}\n\
         [submodule \"../../y\"]\n\tpath = ../outside\n\turl = ext::{touch}\n"
    );
    let modules = trap.blob(&modules).await;
    let entries = [("100644", &b".gitmodules"[..], &*modules), ("160000", b"x", &commit)];

    let (fetched, hashed) = trap.spring(&trap.tree(&entries).await).await;

    assert_eq!(fetched.unwrap().submodules, 1);
    assert_eq!(hashed.unwrap().matched, 2);
}

/// A filter, a hook or an encoding named by the repository is data, not a command.
#[tokio::test]
async fn b3_nothing_that_the_repository_names_is_run() {
    let trap = Trap::set().await;
    let touch = format!("touch {}/ran", trap.outside());
    let config = format!("[filter \"evil\"]\nsmudge = {touch}\nrequired = true\n");
    let attributes = trap.blob("* filter=evil working-tree-encoding=UTF-16\n").await;
    let config = trap.blob(&config).await;
    let hook = trap.blob(&format!("#!/bin/sh\n{touch}\n")).await;
    let hooks = trap.tree(&[("100755", b"post-checkout", &hook)]).await;
    let entries = [
        ("100644", &b".gitattributes"[..], &*attributes),
        ("100644", b".gitconfig", &config),
        ("40000", b"hooks", &hooks),
    ];

    let (fetched, _) = trap.spring(&trap.tree(&entries).await).await;

    fetched.unwrap();
}

/// A tree as large as they come is looked at; one larger than the limits is refused.
#[tokio::test]
async fn b4_a_hundred_thousand_files_are_counted() {
    let trap = Trap::set().await;
    let line = format!("100644 blob {}", trap.file);
    let lines = (0..100_000).map(|n| format!("{line}\t{n:06}\n")).collect::<Vec<_>>().concat();
    commit_tree(&trap.site.server, "app", &lines).await;
    let limits = Limits { entries: 50_000, ..Limits::default() };

    let hashed = hash(trap.site.remote("app"), &["**"]).await.unwrap();
    let options = HashOptions { limits, ..HashOptions::default() };
    let bounded = hash_with(trap.site.remote("app"), main_branch(), &["**"], options).await;
    let folder = GitFolder::Remove;
    let fetched =
        fetch_with(trap.site.remote("app"), main_branch(), &trap.out(), folder, limits).await;

    assert_eq!(hashed.matched, 100_000);
    for refused in [bounded.unwrap_err(), fetched.unwrap_err()] {
        assert!(matches!(refused, Error::Large { what: "files", most: 50_000 }), "{refused:?}");
    }
}

/// Ten trees of ten times the next one: 10^10 files in a pack of a kilobyte.
#[tokio::test]
async fn b4_a_small_pack_with_billions_of_paths_is_refused() {
    let trap = Trap::set().await;
    let mut entry = format!("100644 blob {}", trap.file);
    for _ in 0..10 {
        let lines = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|n| format!("{entry}\t{n}\n")).concat();
        let mktree = ["mktree"];
        let tree = trap.site.server.git_in("app", &mktree, lines.as_bytes()).await.unwrap();
        entry = format!("040000 tree {tree}");
    }
    let tree = entry.rsplit(' ').next().unwrap();

    let (fetched, hashed) = trap.spring(tree).await;

    for refused in [fetched.unwrap_err(), hashed.unwrap_err()] {
        assert!(matches!(refused, Error::Large { what: "files", .. }), "{refused:?}");
    }
}

/// One object of a name as long as a pack lets it be, many times over.
#[tokio::test]
async fn b4_paths_of_gigabytes_are_refused() {
    let trap = Trap::set().await;
    let long = "n".repeat(3000);
    let mut tree = trap.tree(&[("100644", b"file", &trap.file)]).await;
    for _ in 0..3 {
        let entries = (0..60).map(|n| format!("{long}{n:02}")).collect::<Vec<_>>();
        let entries = entries.iter().map(|it| ("40000", it.as_bytes(), &*tree)).collect::<Vec<_>>();
        tree = trap.tree(&entries).await;
    }

    let (fetched, hashed) = trap.spring(&tree).await;

    let refused = fetched.unwrap_err();
    assert!(matches!(refused, Error::Unsafe { .. }), "{refused:?}");
    let refused = hashed.unwrap_err();
    assert!(matches!(refused, Error::Large { .. }), "{refused:?}");
}

/// Pushed away, taken back, and pushed again: what is asked for is what comes.
#[tokio::test]
async fn b8_a_branch_that_goes_back_and_forth_is_fetched_as_asked() {
    let trap = Trap::set().await;
    let (server, remote) = (&trap.site.server, || trap.site.remote("app"));
    let first = commit_tree(server, "app", &format!("100644 blob {}\ta\n", trap.file)).await;
    let first_hash = hash(remote(), &["**"]).await.unwrap();
    let second = commit_tree(server, "app", &format!("100644 blob {}\tb\n", trap.file)).await;
    let second_hash = hash(remote(), &["**"]).await.unwrap();
    server.git_in("app", &["update-ref", "refs/heads/main", first.as_str()], b"").await.unwrap();

    assert_eq!(hash(remote(), &["**"]).await.unwrap(), first_hash);
    assert_ne!(first_hash.hash, second_hash.hash);
    fetch(remote(), commit_of_main(&second), &trap.out()).await.unwrap();
    assert_eq!(names(&trap.out()), ["b"]);
    server.git_in("app", &["update-ref", "-d", "refs/heads/main"], b"").await.unwrap();
    let gone = hash(remote(), &["**"]).await.unwrap_err();
    assert!(matches!(gone, Error::RefNotFound { .. }), "{gone:?}");
}
