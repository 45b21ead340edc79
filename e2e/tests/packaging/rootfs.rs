//! What is in an image, and does it run? Unpacked, under its own root that nobody can write.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::tools::{run, tool};

/// As a container runtime does it: a root that cannot be written, /tmp that can, and a user who is nobody special.
const ENTER: &str = r#"
    root=$1 scratch=$2; shift 2
    mount --bind "$root" "$root"
    mount --bind "$scratch" "$root/tmp"
    mount --rbind /dev "$root/dev" 2>/dev/null || true
    mount -o remount,bind,ro "$root"
    exec chroot --userspec=1000:1000 "$root" "$@"
"#;

/// An archive, taken apart.
pub(crate) struct Image {
    folder: TempDir,
    pub(crate) names: Value,
    pub(crate) config: Value,
}

impl Image {
    /// Takes it apart as a container runtime does, and checks each digest on the way.
    pub(crate) fn open(archive: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(tool("tar").arg("-xf").arg(archive).arg("-C").arg(folder.path()));
        let at = |it: &str| folder.path().join("blobs").join(it.replace(':', "/"));
        for blob in std::fs::read_dir(folder.path().join("blobs/sha256")).unwrap().flatten() {
            let content = std::fs::read(blob.path()).unwrap();
            let digest = hex(&Sha256::digest(content));
            assert_eq!(digest, blob.file_name().to_string_lossy(), "a blob is not what it says");
        }
        let json = |path: PathBuf| -> Value {
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
        };
        let index = json(folder.path().join("index.json"));
        let described = &index["manifests"][0];
        let manifest = json(at(described["digest"].as_str().unwrap()));
        let config = json(at(manifest["config"]["digest"].as_str().unwrap()));
        let names = described["annotations"].clone();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        for layer in manifest["layers"].as_array().unwrap() {
            let blob = at(layer["digest"].as_str().unwrap());
            run(tool("tar").arg("-xzpf").arg(blob).arg("-C").arg(&root));
        }
        Self { folder, names, config }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Every path in it, with its mode; directories end with a slash.
    pub(crate) fn files(&self) -> BTreeMap<String, u32> {
        let (root, mut found) = (self.root(), BTreeMap::new());
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let folder = entry.file_type().unwrap().is_dir().then(|| entry.path());
                let path = entry.path();
                let mode = std::fs::symlink_metadata(&path).unwrap().permissions().mode();
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                let end = folder.as_ref().map_or("", |_| "/");
                found.insert(format!("/{name}{end}"), mode);
                folders.extend(folder);
            }
        }
        found
    }

    /// A program of the image, as a Pod runs it. None where this machine lets nobody enter another root.
    pub(crate) fn enter(&self, program: &[&str], scratch: &Path) -> Option<Command> {
        if !can_mount() {
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-ec", ENTER, "enter"]).arg(self.root()).arg(scratch);
        command.args(program).env_clear().stdin(Stdio::null()).current_dir("/");
        command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/tmp");
        Some(command)
    }

    /// The software bill of materials that its label names: packages with their versions.
    pub(crate) fn bill(&self) -> BTreeMap<String, String> {
        let label = &self.config["config"]["Labels"]["rs.git-events-runner.sbom"];
        let path = self.root().join(label.as_str().unwrap().trim_start_matches('/'));
        let bill: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(bill["spdxVersion"], "SPDX-2.3");
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        let packages = bill["packages"].as_array().unwrap();
        packages.iter().map(|it| (text(&it["name"]), text(&it["versionInfo"]))).collect()
    }
}

fn can_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "chroot", "/", "true"]).output();
    let can = tried.is_ok_and(|it| it.status.success());
    if !can {
        let told = b"nobody may unshare mounts here: the images' programs are not run\n";
        drop(std::io::stderr().write_all(told));
    }
    can
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, it| {
        write!(text, "{it:02x}").unwrap();
        text
    })
}
