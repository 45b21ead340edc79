//! Which refs are kept of those that a server tells? All that were asked for, one by its name, or
//! the tag of the highest version. The others take no memory, however many there are.

use semver::Version;

use super::{MOST_REFS, Malformed, RemoteRef};
use crate::{Reference, SemverRange, semver::version_of};

/// Below here are the tags.
pub(crate) const TAGS: &str = "refs/tags/";

/// What becomes of refs as they arrive.
pub(crate) trait Keep {
    /// Whether a ref of this name is kept; asked before anything of it is copied.
    fn wants(&mut self, name: &[u8]) -> bool;

    /// Keeps a ref that is wanted.
    fn keep(&mut self, one: RemoteRef) -> Result<(), Malformed>;

    /// The ref that was kept last: what a tag is made of may come on a line of its own.
    fn last(&mut self) -> Option<&mut RemoteRef>;
}

/// The refs whose names begin with one of the prefixes; all without any.
#[derive(Debug, Clone)]
pub(crate) struct All<'a> {
    prefixes: &'a [String],
    pub(crate) refs: Vec<RemoteRef>,
}

impl<'a> All<'a> {
    pub(crate) fn below(prefixes: &'a [String]) -> Self {
        Self { prefixes, refs: Vec::new() }
    }
}

impl Keep for All<'_> {
    /// A server may ignore the prefixes.
    fn wants(&mut self, name: &[u8]) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|it| name.starts_with(it.as_bytes()))
    }

    fn keep(&mut self, one: RemoteRef) -> Result<(), Malformed> {
        if self.refs.len() >= MOST_REFS {
            return Err(Malformed::Many { most: MOST_REFS });
        }
        self.refs.push(one);
        Ok(())
    }

    fn last(&mut self) -> Option<&mut RemoteRef> {
        self.refs.last_mut()
    }
}

/// The ref of exactly this name. A prefix finds `main-2` too.
#[derive(Debug, Clone)]
pub(crate) struct One<'a> {
    name: &'a str,
    pub(crate) found: Option<RemoteRef>,
}

impl<'a> One<'a> {
    pub(crate) fn named(name: &'a str) -> Self {
        Self { name, found: None }
    }
}

impl Keep for One<'_> {
    fn wants(&mut self, name: &[u8]) -> bool {
        self.found.is_none() && name == self.name.as_bytes()
    }

    fn keep(&mut self, one: RemoteRef) -> Result<(), Malformed> {
        self.found = Some(one);
        Ok(())
    }

    fn last(&mut self) -> Option<&mut RemoteRef> {
        self.found.as_mut()
    }
}

/// The tag of the highest version in a range. Of two that name the same version, the one whose
/// name is the greater: in whatever order they come, it is the same.
#[derive(Debug, Clone)]
pub(crate) struct Best<'a> {
    range: &'a SemverRange,
    /// What the ref is that is about to be kept.
    next: Option<Version>,
    found: Option<(Version, RemoteRef)>,
}

impl<'a> Best<'a> {
    pub(crate) fn of(range: &'a SemverRange) -> Self {
        Self { range, next: None, found: None }
    }

    /// The tag's ref, and its short name.
    pub(crate) fn found(self) -> Option<(RemoteRef, String)> {
        let (_, one) = self.found?;
        let tag = one.name.strip_prefix(TAGS)?.to_owned();
        Some((one, tag))
    }

    fn version_if_better(&self, name: &[u8]) -> Option<Version> {
        let name = std::str::from_utf8(name).ok()?;
        let tag = name.strip_prefix(TAGS)?;
        let version = version_of(tag).filter(|it| self.range.takes(it))?;
        let is_better = self.found.as_ref().is_none_or(|(best, one)| {
            version.cmp_precedence(best).then_with(|| name.cmp(&one.name)).is_gt()
        });
        // A name that could not be asked for by itself is of no use.
        (is_better && Reference::tag(tag).is_ok()).then_some(version)
    }
}

impl Keep for Best<'_> {
    fn wants(&mut self, name: &[u8]) -> bool {
        self.next = self.version_if_better(name);
        self.next.is_some()
    }

    fn keep(&mut self, one: RemoteRef) -> Result<(), Malformed> {
        if let Some(version) = self.next.take() {
            self.found = Some((version, one));
        }
        Ok(())
    }

    fn last(&mut self) -> Option<&mut RemoteRef> {
        self.found.as_mut().map(|(_, one)| one)
    }
}
