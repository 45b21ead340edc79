//! What does a path mean on a laptop? Mount paths become temporary folders, wherever they are named.

use std::path::{Component, Path, PathBuf};

/// One volume, where a container sees it and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Absolute, without a slash at the end.
    pub(super) at: String,
    pub(super) folder: PathBuf,
}

/// The mounts of one container.
#[derive(Clone, Debug, Default)]
pub(super) struct Mounts {
    /// Longest path first, so that a mount inside another one wins.
    longest_first: Vec<Mount>,
}

impl Mounts {
    pub(super) fn new(mut mounts: Vec<Mount>) -> Self {
        mounts.sort_by_key(|it| std::cmp::Reverse(it.at.len()));
        Self { longest_first: mounts }
    }

    /// The text with every mount path in it replaced.
    ///
    /// Works inside shell commands and lists of paths. One pass: what was put in is not looked at
    /// again.
    pub(super) fn rewrite(&self, text: &str) -> String {
        let mut rewritten = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(slash) = rest.find('/') {
            let (before, path) = rest.split_at(slash);
            rewritten.push_str(before);
            let seen = &text[..text.len() - path.len()];
            let mount = self.longest_first.iter().find(|it| begins_with(path, &it.at));
            rest = if let Some(mount) = mount.filter(|_| may_begin_after(seen)) {
                rewritten.push_str(&mount.folder.to_string_lossy());
                &path[mount.at.len()..]
            } else {
                rewritten.push('/');
                &path[1..]
            };
        }
        rewritten + rest
    }

    /// The folder that an absolute path means, if it is in a mount.
    pub(super) fn folder(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        if path.components().any(|it| it == Component::ParentDir) {
            return None;
        }
        self.longest_first.iter().find_map(|mount| {
            let inside = path.strip_prefix(&mount.at).ok()?;
            Some(mount.folder.join(inside))
        })
    }
}

/// The path as it is compared: without slashes at the end. `None` unless absolute and below `/`.
pub(super) fn mount_path(path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    path.starts_with('/').then(|| path.to_owned())
}

/// Whether a path stays in the folder that it is joined to.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|it| matches!(it, Component::Normal(_)))
}

fn begins_with(text: &str, path: &str) -> bool {
    text.strip_prefix(path).is_some_and(|rest| !rest.chars().next().is_some_and(is_of_a_name))
}

/// A slash in the middle of a path begins none; one after `file://` does.
fn may_begin_after(seen: &str) -> bool {
    let continues = |it: char| is_of_a_name(it) || matches!(it, '/' | '~' | '}' | ')' | '*' | '?');
    seen.ends_with("://") || !seen.chars().next_back().is_some_and(continues)
}

fn is_of_a_name(it: char) -> bool {
    it.is_alphanumeric() || matches!(it, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts() -> Mounts {
        let mount = |at: &str, folder: &str| Mount { at: at.to_owned(), folder: folder.into() };
        Mounts::new(vec![
            mount("/work", "/tmp/p/w"),
            mount("/work/cache", "/tmp/p/c"),
            mount("/etc/keys", "/tmp/p/work"),
        ])
    }

    #[test]
    fn mount_paths_are_rewritten_wherever_a_path_begins() {
        let cases = [
            ("/work", "/tmp/p/w"),
            ("/work/", "/tmp/p/w/"),
            ("/work/src/main.rs", "/tmp/p/w/src/main.rs"),
            ("--dir=/work", "--dir=/tmp/p/w"),
            (
                "cd /work && cat '/work/a' \"/work/b\"",
                "cd /tmp/p/w && cat '/tmp/p/w/a' \"/tmp/p/w/b\"",
            ),
            ("/bin:/work/bin:/work", "/bin:/tmp/p/w/bin:/tmp/p/w"),
            ("file:///work/a", "file:///tmp/p/w/a"),
            ("/work/cache/x", "/tmp/p/c/x"),
            ("/work/cached", "/tmp/p/w/cached"),
            ("ls /work;ls /work/cache|wc", "ls /tmp/p/w;ls /tmp/p/c|wc"),
            ("ключ=/work/é", "ключ=/tmp/p/w/é"),
        ];
        for (text, wanted) in cases {
            assert_eq!(mounts().rewrite(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_mount_path_stays() {
        let cases = [
            "",
            "/",
            "//",
            "work",
            "/workshop",
            "/work-old",
            "/work.bak",
            "/home/work",
            "a/work",
            "//work",
            "https://host/work",
            "$HOME/work",
            "${HOME}/work",
            "$(pwd)/work",
            "~/work",
            "./work",
            "../work",
            "*/work",
            "/etc",
            "/etc/key",
        ];
        for text in cases {
            assert_eq!(mounts().rewrite(text), text);
        }
    }

    #[test]
    fn what_was_put_in_is_not_rewritten_again() {
        assert_eq!(mounts().rewrite("/etc/keys /work"), "/tmp/p/work /tmp/p/w");
        let own = vec![Mount { at: "/tmp".to_owned(), folder: "/tmp/x".into() }];
        assert_eq!(Mounts::new(own).rewrite("/tmp/tmp /tmp"), "/tmp/x/tmp /tmp/x");
    }

    #[test]
    fn a_folder_is_found_only_inside_a_mount() {
        let cases = [
            ("/work", Some("/tmp/p/w")),
            ("/work/", Some("/tmp/p/w")),
            ("/work/cache/deep", Some("/tmp/p/c/deep")),
            ("/workshop", None),
            ("/work/../etc", None),
            ("work", None),
            ("/", None),
        ];
        for (path, wanted) in cases {
            assert_eq!(mounts().folder(path), wanted.map(PathBuf::from), "{path}");
        }
    }

    #[test]
    fn paths_out_of_a_folder_are_told_from_those_inside() {
        for path in ["a", "a/b", "..a", "a..b"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/a", "..", "a/../b", "../a", "."] {
            assert!(!is_inside(path), "{path}");
        }
    }

    #[test]
    fn the_root_is_no_mount_path() {
        assert_eq!(mount_path("/work/"), Some("/work".to_owned()));
        assert_eq!(mount_path("/"), None);
        assert_eq!(mount_path("work"), None);
    }
}
