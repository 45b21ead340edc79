//! How far does a pattern reach? Directories that it cannot reach need not be looked into.

/// What makes a part of a pattern more than a name.
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

/// Where the files that one pattern selects can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    /// Below this directory.
    prefix: Vec<Vec<u8>>,
    /// In paths of at most so many parts.
    depth: Option<usize>,
}

/// A pattern, taken apart.
struct Parts<'a> {
    names: Vec<&'a str>,
    /// It begins at the root, and not just anywhere.
    is_anchored: bool,
    is_directory: bool,
}

impl<'a> Parts<'a> {
    /// None for what selects nothing: a comment, an exclusion, or nothing at all.
    fn of(line: &'a str) -> Option<Self> {
        let line = if line.ends_with("\\ ") { line } else { line.trim_end() };
        if line.starts_with(['#', '!']) {
            return None;
        }
        let inner = line.strip_prefix('/').unwrap_or(line);
        let named = inner.strip_suffix('/').unwrap_or(inner);
        if named.is_empty() {
            return None;
        }
        Some(Self {
            names: named.split('/').collect(),
            is_anchored: line.starts_with('/') || named.contains('/'),
            is_directory: inner.ends_with('/'),
        })
    }
}

impl Reach {
    /// The reach of a pattern, and of the one for the contents of what it names.
    pub(super) fn of(line: &str, contents: Option<&str>) -> Option<Self> {
        let parts = Parts::of(line)?;
        // A choice may hold slashes of its own.
        if !parts.is_anchored || line.contains('{') {
            return Some(Self { prefix: Vec::new(), depth: None });
        }
        let is_name = |it: &&&str| !it.contains(SPECIAL);
        let prefix = parts.names.iter().take_while(is_name).map(|it| it.as_bytes().to_vec());
        let is_deep = contents.is_some() || parts.names.iter().any(|it| it.contains("**"));
        let depth = (!is_deep).then_some(parts.names.len());
        Some(Self { prefix: prefix.collect(), depth })
    }

    /// Whether a file below `directory` can be selected.
    pub(super) fn may_be_in(&self, directory: &[u8]) -> bool {
        let parts = directory.split(|it| *it == b'/');
        let is_on_the_way = parts.clone().zip(&self.prefix).all(|(part, wanted)| part == wanted);
        is_on_the_way && self.depth.is_none_or(|most| parts.count() < most)
    }
}

/// The pattern for what is in the directory that `line` names, if it names one: by a slash at its
/// end, or by a plain name.
///
/// A name with a wildcard is one of files: who writes `src/*` has never meant the directories below.
pub(super) fn contents(line: &str) -> Option<String> {
    let parts = Parts::of(line)?;
    let last = parts.names.last()?;
    if !parts.is_directory && last.contains(SPECIAL) {
        return None;
    }
    let named = parts.names.join("/");
    // An escaped slash is a slash.
    let named = named.strip_suffix('\\').unwrap_or(&named);
    let root = if parts.is_anchored { "/" } else { "**/" };
    Some(format!("{root}{named}/**"))
}
