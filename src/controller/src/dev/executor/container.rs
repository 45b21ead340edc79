//! What would run in this container? Its spec, as the launch of a local process.

use std::{collections::BTreeMap, path::PathBuf};

use ger_git::contract;
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod};
use kube::ResourceExt as _;

use super::{
    Settings,
    paths::Mounts,
    private_folder,
    process::Launch,
    volumes::{Ground, Holder, Mounted, Problem},
};

const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A process to be, with the files that it needs.
pub(super) struct Prepared {
    pub(super) launch: Launch,
    /// Held until the process has ended.
    _mounted: Mounted,
}

/// Mounts what the container mounts, and says what to run.
pub(super) async fn prepare(
    ground: &Ground<'_>,
    container: &Container,
    settings: &Settings,
) -> Result<Prepared, Problem> {
    let declared = declared_env(ground, container).await?;
    let mounted = ground.mount(container).await?;
    let mounts = &mounted.mounts;

    let mut words = words(container, settings)?.into_iter();
    let program = words.next().unwrap_or_default();
    let say = |word: String| mounts.rewrite(&expand(&word, &declared));
    let (program, arguments) = if is_cloner(container) {
        let own = settings.cloner_arguments_prefix.iter().cloned();
        (program, own.chain(words.map(say)).collect())
    } else {
        (say(program), words.map(say).collect())
    };
    let directory = directory(ground, container, mounts)?;
    let env = whole_env(ground, mounts, declared);
    let launch = Launch { program, arguments, env, directory };
    Ok(Prepared { launch, _mounted: mounted })
}

/// The cloner's image is not run: this program is its own cloner.
pub(super) fn is_cloner(container: &Container) -> bool {
    container.env.iter().flatten().any(|it| it.name == contract::URI)
}

/// The program and its arguments.
fn words(container: &Container, settings: &Settings) -> Result<Vec<String>, Problem> {
    let args = container.args.clone().unwrap_or_default();
    if is_cloner(container) {
        let program = settings.program.to_string_lossy().into_owned();
        return Ok([vec![program], args].concat());
    }
    // Arguments alone are a command to an image without an entry point.
    let words = [container.command.clone().unwrap_or_default(), args].concat();
    if words.is_empty() {
        return Err(Problem::imitate("has no images: give the Action a command"));
    }
    Ok(words)
}

fn directory(
    ground: &Ground<'_>,
    container: &Container,
    mounts: &Mounts,
) -> Result<PathBuf, Problem> {
    let Some(wanted) = container.working_dir.as_deref().filter(|it| !it.is_empty()) else {
        return Ok(ground.home());
    };
    let folder = mounts.folder(wanted).ok_or_else(|| {
        Problem::imitate(format!("has no images: the working directory {wanted} is in no volume"))
    })?;
    private_folder(&folder).map_err(|source| Problem::Prepare {
        what: format!("the working directory {wanted}"),
        source,
    })?;
    Ok(folder)
}

/// What a process sees: little of this machine, and what the container declares.
fn whole_env(
    ground: &Ground<'_>,
    mounts: &Mounts,
    declared: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let inherited = |name, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let mut env = BTreeMap::from([
        ("PATH".to_owned(), inherited("PATH", USUAL_PATH)),
        ("LANG".to_owned(), inherited("LANG", "C.UTF-8")),
        ("HOME".to_owned(), ground.home().to_string_lossy().into_owned()),
    ]);
    for (name, value) in declared {
        // A repository's address names paths of another machine.
        let value = if name == contract::URI { value } else { mounts.rewrite(&value) };
        env.insert(name, value);
    }
    env
}

async fn declared_env(
    ground: &Ground<'_>,
    container: &Container,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut env = BTreeMap::new();
    for from in container.env_from.iter().flatten() {
        let (holder, name, optional) = match (&from.secret_ref, &from.config_map_ref) {
            (Some(it), _) => (Holder::Secret, &it.name, it.optional),
            (None, Some(it)) => (Holder::ConfigMap, &it.name, it.optional),
            (None, None) => continue,
        };
        let values = match ground.read(holder, name).await {
            Err(Problem::Find { .. }) if optional == Some(true) => continue,
            other => other?,
        };
        let prefix = from.prefix.as_deref().unwrap_or_default();
        env.extend(values.into_iter().map(|(key, it)| (format!("{prefix}{key}"), text(&it))));
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(ground, variable, &env).await? {
            env.insert(variable.name.clone(), value);
        }
    }
    Ok(env)
}

async fn value(
    ground: &Ground<'_>,
    variable: &EnvVar,
    before: &BTreeMap<String, String>,
) -> Result<Option<String>, Problem> {
    let Some(source) = &variable.value_from else {
        return Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), before)));
    };
    if let Some(field) = &source.field_ref {
        return match pod_field(ground.pod, &field.field_path) {
            Some(value) => Ok(Some(value)),
            None => Err(Problem::imitate(format!("cannot tell {}", field.field_path))),
        };
    }
    let Some((holder, name, key, optional)) = key_of(source) else {
        return Err(Problem::imitate(format!("cannot tell where {} is from", variable.name)));
    };
    let found = match ground.read(holder, name).await {
        Err(Problem::Find { .. }) if optional => return Ok(None),
        other => other?.remove(key),
    };
    match found {
        Some(value) => Ok(Some(text(&value))),
        None if optional => Ok(None),
        None => Err(Problem::Find { what: format!("key {key} of {name}") }),
    }
}

fn key_of(source: &EnvVarSource) -> Option<(Holder, &str, &str, bool)> {
    if let Some(it) = &source.secret_key_ref {
        return Some((Holder::Secret, &it.name, &it.key, it.optional.unwrap_or_default()));
    }
    let it = source.config_map_key_ref.as_ref()?;
    Some((Holder::ConfigMap, &it.name, &it.key, it.optional.unwrap_or_default()))
}

fn pod_field(pod: &Pod, path: &str) -> Option<String> {
    let quoted = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']");
    if let Some(label) = quoted("metadata.labels['") {
        return Some(pod.labels().get(label).cloned().unwrap_or_default());
    }
    if let Some(annotation) = quoted("metadata.annotations['") {
        return Some(pod.annotations().get(annotation).cloned().unwrap_or_default());
    }
    match path {
        "metadata.name" => Some(pod.name_any()),
        "metadata.namespace" => pod.namespace(),
        "metadata.uid" => pod.uid(),
        "spec.serviceAccountName" => {
            let account = pod.spec.as_ref().and_then(|it| it.service_account_name.clone());
            Some(account.unwrap_or_else(|| "default".to_owned()))
        }
        _ => None,
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// Replaces `$(NAME)` as a kubelet does: unknown names stay, `$$` is a dollar.
fn expand(word: &str, env: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let named = after.strip_prefix('(').and_then(|it| it.split_once(')'));
        let known = named.and_then(|(name, rest)| Some((env.get(name)?, rest)));
        rest = if let Some((value, rest)) = known {
            expanded.push_str(value);
            rest
        } else {
            expanded.push('$');
            after.strip_prefix('$').unwrap_or(after)
        };
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_as_a_kubelet_does() {
        let env = BTreeMap::from([
            ("A".to_owned(), "one".to_owned()),
            ("B".to_owned(), "$(A)".to_owned()),
        ]);
        let cases = [
            ("$(A)", "one"),
            ("x$(A)y$(A)", "xoneyone"),
            ("$(B)", "$(A)"),
            ("$(NONE)", "$(NONE)"),
            ("$(pwd)/$A ${A}", "$(pwd)/$A ${A}"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$one"),
            ("100$", "100$"),
            ("$(A", "$(A"),
        ];
        for (word, wanted) in cases {
            assert_eq!(expand(word, &env), wanted, "{word}");
        }
    }

    #[test]
    fn a_cloner_is_known_by_what_it_is_told() {
        let variable = EnvVar { name: contract::URI.to_owned(), ..EnvVar::default() };
        let cloner = Container { env: Some(vec![variable]), ..Container::default() };
        assert!(is_cloner(&cloner));
        assert!(!is_cloner(&Container::default()));
    }
}
