//! Which rules of Kubernetes can a sandbox break on purpose? So a test is tested: one that does not notice
//! proves nothing.

use std::str::FromStr;

/// Variants, their list and their names from one table. It must fit into [`Broken`].
macro_rules! breakages {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)+) => {
        /// A rule of Kubernetes that a sandbox does not keep, on purpose, to see whether a test notices.
        ///
        /// Unlike a [`Fault`](crate::Fault), which happens to honest clusters too, no client has to live
        /// with one of these.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Breakage {
            $($(#[$doc])+ $variant,)+
        }

        impl Breakage {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// What it is called where it is text, such as `stale-writes`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

breakages! {
    /// A list leaves out the last change, and claims to be of now.
    StaleLists = "stale-lists",
    /// What is not there is answered as an empty list, and no 404.
    EmptyAnswers = "empty-answers",
    /// Every page of a list is its first.
    RestartedPages = "restarted-pages",
    /// A list does not look at its label selector.
    DeafLabels = "deaf-labels",
    /// A list does not look at its field selector.
    DeafFields = "deaf-fields",
    /// Of every three changes one is not told to watches.
    LostEvents = "lost-events",
    /// Every change is told twice.
    RepeatedEvents = "repeated-events",
    /// A watch with a selector is not told of what leaves it.
    SilentLeaving = "silent-leaving",
    /// A watch that begins with what is there does not say where that ends.
    EndlessBeginnings = "endless-beginnings",
    /// A watch from a version that is forgotten goes on as if it had missed nothing, without 410.
    UnsaidGaps = "unsaid-gaps",
    /// A write from an older version overwrites what came between.
    StaleWrites = "stale-writes",
    /// A write leaves the object under the version that it had.
    VersionsStay = "versions-stay",
    /// A write that changes nothing makes a new version.
    IdleWrites = "idle-writes",
    /// A second creation under a name takes the place of the first.
    TakenNames = "taken-names",
    /// A name that is to be made of its prefix is the prefix.
    BareNames = "bare-names",
    /// A PUT to a name that is not there creates an object of any kind.
    CreatingPuts = "creating-puts",
    /// A rehearsal is stored.
    RealRehearsals = "real-rehearsals",
    /// Names, labels, annotations and owners are not judged.
    AnyMetadata = "any-metadata",
    /// A write of a scale changes nothing.
    IdleScales = "idle-scales",
    /// What may not change changes.
    MutableFields = "mutable-fields",
    /// A change of the status raises the generation.
    CountedStatus = "counted-status",
    /// A write of the object itself writes its status too.
    OpenStatus = "open-status",
    /// A write of the status writes the rest of the object too.
    OpenSpec = "open-spec",
    /// An update forgets who owns which fields.
    PrunedOwners = "pruned-owners",
    /// An apply takes what another owns without being forced to.
    SilentConflicts = "silent-conflicts",
    /// A forced apply leaves its fields to those who owned them as well.
    SharedForce = "shared-force",
    /// A strategic merge patch replaces lists whose items it should merge by their keys.
    ReplacedLists = "replaced-lists",
    /// What a manager applies no more stays.
    KeptFields = "kept-fields",
    /// An object goes though finalizers hold it.
    FreeFinalizers = "free-finalizers",
    /// A deletion is for whatever has the name, though it names a uid or a version.
    DeafDeletions = "deaf-deletions",
    /// A deletion of what a selector takes is one of everything.
    WideDeletions = "wide-deletions",
    /// A deletion in the foreground does not wait for what it owns.
    HastyForeground = "hasty-foreground",
    /// A deletion that orphans leaves what it owned to the collector.
    DyingOrphans = "dying-orphans",
    /// What is owned stays when its owners are gone.
    LeftBehind = "left-behind",
    /// A Pod on a node goes at once.
    NoGrace = "no-grace",
    /// A namespace that is being deleted takes new objects.
    OpenNamespaces = "open-namespaces",
    /// A namespace ends and leaves what is in it.
    HollowNamespaces = "hollow-namespaces",
    /// Fields that no schema knows are stored.
    UnknownFields = "unknown-fields",
    /// A strict writer is not told of fields that no schema knows.
    LenientStrictness = "lenient-strictness",
    /// Custom objects are not filled in with their defaults.
    NoDefaults = "no-defaults",
    /// Custom objects are not held against their schema.
    AnyShape = "any-shape",
    /// The expressions of a definition are not asked.
    SilentRules = "silent-rules",
    /// Everybody may do everything.
    OpenDoors = "open-doors",
    /// Whoever may write a role gives away what they do not have.
    FreeGrants = "free-grants",
    /// A suspended Job gets Pods.
    RestlessJobs = "restless-jobs",
    /// A finished Job stays when its time is over.
    LastingJobs = "lasting-jobs",
}

/// No breakage has such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no breakage is called {0:?}")]
pub struct NoBreakage(String);

impl FromStr for Breakage {
    type Err = NoBreakage;

    fn from_str(text: &str) -> Result<Self, NoBreakage> {
        let found = Self::ALL.iter().find(|it| it.name() == text);
        found.copied().ok_or_else(|| NoBreakage(text.to_owned()))
    }
}

/// What is broken in a cluster: a bit for each. It is asked at every write.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Broken(u64);

const _: () = assert!(Breakage::ALL.len() <= u64::BITS as usize, "a bit for each");

impl Broken {
    pub(crate) fn add(&mut self, breakage: Breakage) {
        self.0 |= 1 << breakage as u32;
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn has(self, breakage: Breakage) -> bool {
        self.0 & (1 << breakage as u32) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breakage_is_found_by_its_name() {
        for breakage in Breakage::ALL {
            assert_eq!(breakage.name().parse(), Ok(*breakage));
        }
        assert_eq!("none".parse::<Breakage>(), Err(NoBreakage("none".to_owned())));
    }

    #[test]
    fn one_is_broken_and_no_other() {
        for one in Breakage::ALL {
            let mut broken = Broken::default();

            broken.add(*one);

            for other in Breakage::ALL {
                assert_eq!(broken.has(*other), one == other, "{}", other.name());
            }
        }
    }
}
