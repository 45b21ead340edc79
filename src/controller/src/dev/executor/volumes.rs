//! What does a container find in its mounts? Temporary folders in the place of volumes.
//!
//! An `emptyDir` lives as long as its pod; a Secret's files are there only while a container that
//! mounts them runs, so that no other container can find them.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, KeyToPath, Pod, Secret, Volume, VolumeMount, VolumeProjection,
};
use kube::{Api, Client, ResourceExt as _};
use tempfile::TempDir;

use super::{
    paths::{self, Mount, Mounts},
    private_folder, temporary_folder, write,
};

/// What keeps a container from starting. Names objects and keys, never values.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("cannot read {what}")]
    Read { what: String, source: kube::Error },

    #[error("{what} is not there")]
    Find { what: String },

    #[error("cannot prepare {what}")]
    Prepare { what: String, source: io::Error },

    /// This will not change by waiting.
    #[error("the sandbox {why}")]
    Imitate { why: String },
}

impl Problem {
    pub(super) fn imitate(why: impl Into<String>) -> Self {
        Self::Imitate { why: why.into() }
    }

    /// Whether a kubelet would try again until it works.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Read { .. } | Self::Find { .. } => true,
            Self::Prepare { .. } | Self::Imitate { .. } => false,
        }
    }

    /// For the container's status.
    pub(super) fn message(&self) -> String {
        write::chain(self)
    }
}

/// What holds named values.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder {
    Secret,
    ConfigMap,
}

impl Holder {
    fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// Where a pod's containers run.
pub(super) struct Ground<'a> {
    pub(super) client: &'a Client,
    pub(super) pod: &'a Pod,
    /// The pod's own folder.
    pub(super) folder: &'a Path,
}

/// The mounts of a container; the files of Secrets go when this is dropped.
pub(super) struct Mounted {
    pub(super) mounts: Mounts,
    _held: Vec<TempDir>,
}

/// A volume that is filled from an object.
struct Filling<'a> {
    holder: Holder,
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    optional: bool,
}

impl Ground<'_> {
    pub(super) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// Prepares every volume that the container mounts.
    pub(super) async fn mount(&self, container: &Container) -> Result<Mounted, Problem> {
        let mut held = Vec::new();
        let mut folders: BTreeMap<&str, PathBuf> = BTreeMap::new();
        let mut mounts = Vec::new();
        for mount in container.volume_mounts.iter().flatten() {
            let folder = match folders.get(mount.name.as_str()) {
                Some(folder) => folder.clone(),
                None => self.prepare(self.volume(&mount.name)?, &mut held).await?,
            };
            folders.insert(&mount.name, folder.clone());
            mounts.push(part_of(mount, folder)?);
        }
        Ok(Mounted { mounts: Mounts::new(mounts), _held: held })
    }

    fn volume(&self, name: &str) -> Result<&Volume, Problem> {
        let volumes = self.pod.spec.iter().flat_map(|it| it.volumes.iter().flatten());
        let named = volumes.into_iter().find(|it| it.name == name);
        named
            .filter(|_| paths::is_inside(name) && !name.contains('/'))
            .ok_or_else(|| Problem::imitate(format!("finds no volume {name:?} in the pod")))
    }

    async fn prepare(&self, volume: &Volume, held: &mut Vec<TempDir>) -> Result<PathBuf, Problem> {
        let problem = |source| Problem::Prepare { what: format!("volume {}", volume.name), source };
        if volume.empty_dir.is_some() || is_token(volume) {
            let folder = self.folder.join("volumes").join(&volume.name);
            private_folder(&folder).map_err(problem)?;
            return Ok(folder);
        }
        let folder = temporary_folder(&volume.name, self.folder).map_err(problem)?;
        for filling in fillings(volume)? {
            let values = self.read(filling.holder, filling.name).await;
            let values = match values {
                Err(Problem::Find { .. }) if filling.optional => BTreeMap::new(),
                other => other?,
            };
            for (path, value) in filling.files(&values)? {
                write_file(&folder.path().join(path), value).map_err(problem)?;
            }
        }
        let path = folder.path().to_owned();
        held.push(folder);
        Ok(path)
    }

    /// Reads the values of an object in the pod's namespace.
    pub(super) async fn read(
        &self,
        holder: Holder,
        name: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
        let what = || format!("{} {name}", holder.as_str());
        let namespace = self.pod.namespace().unwrap_or_default();
        let client = self.client.clone();
        let read = match holder {
            Holder::Secret => {
                let found = Api::<Secret>::namespaced(client, &namespace).get_opt(name).await;
                found.map(|it| it.map(secret_values))
            }
            Holder::ConfigMap => {
                let found = Api::<ConfigMap>::namespaced(client, &namespace).get_opt(name).await;
                found.map(|it| it.map(config_values))
            }
        };
        read.map_err(|source| Problem::Read { what: what(), source })?
            .ok_or_else(|| Problem::Find { what: what() })
    }
}

impl Filling<'_> {
    /// The files to write: all values, or the chosen ones under their own paths.
    fn files<'a>(
        &'a self,
        values: &'a BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<(&'a str, &'a [u8])>, Problem> {
        let files = match self.items {
            None => values.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect(),
            Some(items) => self.chosen(items, values)?,
        };
        match files.iter().find(|(path, _)| !paths::is_inside(path)) {
            Some((path, _)) => {
                Err(Problem::imitate(format!("writes no file {path:?} in a volume")))
            }
            None => Ok(files),
        }
    }

    fn chosen<'a>(
        &self,
        items: &'a [KeyToPath],
        values: &'a BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<(&'a str, &'a [u8])>, Problem> {
        let mut files = Vec::new();
        for item in items {
            match values.get(&item.key) {
                Some(value) => files.push((item.path.as_str(), value.as_slice())),
                None if self.optional => {}
                None => return Err(self.lacks(&item.key)),
            }
        }
        Ok(files)
    }

    fn lacks(&self, key: &str) -> Problem {
        Problem::Find { what: format!("key {key} of {} {}", self.holder.as_str(), self.name) }
    }
}

/// A cluster mounts a token for itself into every Pod; no process here has a use for one.
fn is_token(volume: &Volume) -> bool {
    volume.projected.is_some() && volume.name.starts_with("kube-api-access-")
}

fn fillings(volume: &Volume) -> Result<Vec<Filling<'_>>, Problem> {
    let imitates = "mounts emptyDir, secret, configMap and both projected";
    let none = || Problem::imitate(format!("{imitates}; volume {} is none", volume.name));
    if let Some(secret) = &volume.secret {
        return Ok(vec![Filling {
            holder: Holder::Secret,
            name: secret.secret_name.as_deref().unwrap_or_default(),
            items: secret.items.as_deref(),
            optional: secret.optional.unwrap_or_default(),
        }]);
    }
    if let Some(map) = &volume.config_map {
        return Ok(vec![Filling {
            holder: Holder::ConfigMap,
            name: &map.name,
            items: map.items.as_deref(),
            optional: map.optional.unwrap_or_default(),
        }]);
    }
    let projected = volume.projected.as_ref().ok_or_else(none)?;
    let sources = projected.sources.iter().flatten();
    sources.map(|it| projection(it).ok_or_else(none)).collect()
}

/// One part of a volume that is filled from many objects.
fn projection(source: &VolumeProjection) -> Option<Filling<'_>> {
    if let Some(secret) = &source.secret {
        return Some(Filling {
            holder: Holder::Secret,
            name: &secret.name,
            items: secret.items.as_deref(),
            optional: secret.optional.unwrap_or_default(),
        });
    }
    let map = source.config_map.as_ref()?;
    Some(Filling {
        holder: Holder::ConfigMap,
        name: &map.name,
        items: map.items.as_deref(),
        optional: map.optional.unwrap_or_default(),
    })
}

fn part_of(mount: &VolumeMount, folder: PathBuf) -> Result<Mount, Problem> {
    let at = paths::mount_path(&mount.mount_path)
        .ok_or_else(|| Problem::imitate(format!("mounts nothing at {:?}", mount.mount_path)))?;
    if mount.sub_path_expr.is_some() {
        return Err(Problem::imitate("knows no subPathExpr"));
    }
    match mount.sub_path.as_deref().filter(|it| !it.is_empty()) {
        None => Ok(Mount { at, folder }),
        Some(part) if paths::is_inside(part) => {
            let folder = folder.join(part);
            // What is there already may be a file.
            if !folder.exists() {
                private_folder(&folder).map_err(|source| Problem::Prepare {
                    what: format!("subPath {part} of volume {}", mount.name),
                    source,
                })?;
            }
            Ok(Mount { at, folder })
        }
        Some(part) => Err(Problem::imitate(format!("mounts no subPath {part:?}"))),
    }
}

fn write_file(path: &Path, value: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, value)
}

fn secret_values(secret: Secret) -> BTreeMap<String, Vec<u8>> {
    secret.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect()
}

fn config_values(map: ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = map.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes()));
    let binary = map.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0));
    text.chain(binary).collect()
}
