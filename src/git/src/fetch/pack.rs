//! How do a commit's objects get here? One request of our own making in git's protocol, whichever
//! version the server speaks, into a repository that heeds nobody.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt, fs,
    io::{self, BufRead, Read as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    rc::Rc,
    sync::atomic::AtomicBool,
};

use gix::{
    ObjectId, Repository, ThreadSafeRepository,
    create::{self, Kind},
    odb::pack::{Bundle, bundle},
    open,
    progress::Discard,
    protocol::{
        Command, Handshake, LsRefsCommand,
        fetch::{Arguments, Response, response::ShallowUpdate},
        ls_refs::RefPrefixes,
        transport::{
            Service,
            client::blocking_io::{ExtendedBufRead, Transport},
            client::capabilities::Capability,
        },
    },
};

use super::Limits;
use crate::{Commit, Error, Said, ls_refs::sanitise, transport::budget::Budget};

/// A tree's objects, and no more than so many generations of it.
const OBJECTS_PER_ENTRY: u64 = 4;
/// `PACK`, a version, and the number of objects.
const HEADER: usize = 12;
/// What we do not understand, or do not want: an old server takes `deepen-relative` in a request
/// for the wish itself, and sends the whole past.
const UNUSED: [&str; 8] = [
    "sideband-all",
    "packfile-uris",
    "wait-for-done",
    "no-done",
    "include-tag",
    "deepen-relative",
    "deepen-since",
    "deepen-not",
];

/// The commit that was received.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: Commit,
    pub(crate) tree: ObjectId,
}

/// Whether the contents of files are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blobs {
    Wanted,
    /// They are not sent, if the server can leave them out.
    Unwanted,
}

/// What a server is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What<'a> {
    Id(&'a Commit),
    Name(&'a str),
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(commit) => commit.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) what: What<'a>,
    /// Generations.
    pub(crate) depth: u32,
    pub(crate) budget: &'a Budget,
    pub(crate) interrupt: &'a AtomicBool,
}

/// Why nothing was received.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The server has nothing of this name.
    Nothing,
    /// It says at once that it gives nothing by this id.
    NotById,
    Ours(Error),
    /// In the server's words.
    Remote(String),
    Gix(gix::Error),
}

impl From<gix::Error> for Failed {
    fn from(error: gix::Error) -> Self {
        Self::Gix(error)
    }
}

/// A server of an old version, asked for something that it does not advertise.
#[derive(Debug, thiserror::Error)]
#[error("the server gives no commit by its id")]
pub(super) struct NotById;

/// Where the objects go: a repository that is made once the server has said by which hash it names
/// them.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    kind: Kind,
    limits: Limits,
    blobs: Blobs,
    repository: Option<Repository>,
    /// The commits whose parents are not here.
    shallow: BTreeSet<ObjectId>,
    tip: Option<ObjectId>,
}

impl Store {
    /// A repository that files will be checked out from.
    pub(crate) fn with_files(directory: &Path, limits: Limits, blobs: Blobs) -> Self {
        Self {
            directory: directory.to_owned(),
            kind: Kind::WithWorktree,
            limits,
            blobs,
            repository: None,
            shallow: BTreeSet::new(),
            tip: None,
        }
    }

    /// A repository that is only looked at.
    pub(crate) fn bare(directory: &Path, limits: Limits, blobs: Blobs) -> Self {
        Self { kind: Kind::Bare, ..Self::with_files(directory, limits, blobs) }
    }

    /// The repository, once something was received.
    pub(crate) fn repository(&self) -> Result<&Repository, Error> {
        self.repository.as_ref().ok_or(Error::Nothing)
    }

    /// Whether there are commits before those that are here.
    pub(super) fn is_shallow(&self) -> bool {
        !self.shallow.is_empty()
    }

    /// The commit, if it is here.
    pub(super) fn find(&self, commit: &Commit) -> Result<Option<Found>, Error> {
        let repository = self.repository()?;
        let Ok(id) = ObjectId::from_hex(commit.as_str().as_bytes()) else { return Ok(None) };
        let unreadable = |it: gix::Error| Error::Checkout { source: Said::of(&it) };
        if id.kind() != repository.object_hash()
            || repository.try_find_object(id).map_err(unreadable)?.is_none()
        {
            return Ok(None);
        }
        let found = peel(repository, id).map_err(unreadable)?;
        Ok(found.filter(|it| it.name == *commit))
    }

    /// Asks for one thing over a fresh connection.
    pub(super) fn receive(
        &mut self,
        mut transport: Box<dyn Transport>,
        ask: &Ask<'_>,
    ) -> Result<Found, Failed> {
        let mut server = gix::protocol::handshake(
            &mut transport,
            Service::UploadPack,
            // Nobody is asked for credentials: those we have are sent at once.
            |_| Ok(None),
            Vec::new(),
            &mut Discard,
        )?;
        let hash = hash_of(&server)?;
        let id = look_up(&mut transport, &mut server, ask.what)?;
        if id.kind() != hash {
            return Err(Failed::NotById);
        }
        self.create(hash).map_err(Failed::Ours)?;
        let mut request = self.request(&server, ask, id)?;
        let mut answer = request.send(&mut transport, true).map_err(gix::Error::from_error)?;
        let version = server.server_protocol_version;
        let head = Response::from_line_reader(version, &mut answer, true, false)?;
        if !head.has_pack() {
            return Err(Failed::Nothing);
        }
        self.write_pack(answer, ask)?;
        let advertised = server.v1_shallow_updates.iter().flatten();
        self.note_shallow(advertised.chain(head.shallow_updates())).map_err(Failed::Ours)?;
        let repository = self.repository().map_err(Failed::Ours)?;
        let found = peel(repository, id)?.ok_or(Failed::Nothing)?;
        self.tip = Some(id);
        Ok(found)
    }

    /// Makes the repository: it reads no configuration but its own, and protects itself from names
    /// that any file system takes for `.git`.
    fn create(&mut self, hash: gix::hash::Kind) -> Result<(), Error> {
        if self.repository.is_some() {
            return Ok(());
        }
        let options = open::Options::isolated().config_overrides([
            "core.protectHFS=true".to_owned(),
            "core.protectNTFS=true".to_owned(),
            format!("gitoxide.objects.allocLimit={}", self.limits.object),
        ]);
        let create = create::Options { object_hash: Some(hash), ..create::Options::default() };
        let made = ThreadSafeRepository::init_opts(&self.directory, self.kind, create, options);
        let made = made.map_err(|source| Error::Checkout { source: Said::of(&source) })?;
        self.repository = Some(made.to_thread_local());
        Ok(())
    }

    fn request(
        &self,
        server: &Handshake,
        ask: &Ask<'_>,
        id: ObjectId,
    ) -> Result<Arguments, gix::Error> {
        let version = server.server_protocol_version;
        let mut features = Command::Fetch.default_features(version, &server.capabilities);
        features.retain(|(name, _)| !UNUSED.contains(name));
        let agent = crate::AGENT.strip_prefix("agent=").unwrap_or(crate::AGENT);
        features.push(("agent", Some(agent.to_owned())));
        Response::check_required_features(version, &features)?;
        let mut request = Arguments::new(version, features, false);
        // Without this the whole history comes, as far as the budget goes.
        if request.can_use_shallow() {
            for commit in &self.shallow {
                request.shallow(commit);
            }
            request.deepen(usize::try_from(ask.depth).unwrap_or(usize::MAX));
        }
        if self.blobs == Blobs::Unwanted && request.can_use_filter() {
            request.filter("blob:none");
        }
        request.want(id);
        if let Some(tip) = self.tip.filter(|_| ask.depth > 1) {
            request.have(tip);
        }
        Ok(request)
    }

    fn write_pack<'a>(
        &self,
        mut answer: Box<dyn ExtendedBufRead<'a> + Unpin + 'a>,
        ask: &Ask<'_>,
    ) -> Result<(), Failed> {
        let repository = self.repository().map_err(Failed::Ours)?;
        let complaint = Rc::new(RefCell::new(None));
        let heard = Rc::clone(&complaint);
        // A handler makes the reader take the pack apart from what is said beside it.
        answer.set_progress_handler(Some(Box::new(move |is_error, text| {
            if is_error {
                heard.borrow_mut().get_or_insert_with(|| sanitise(text));
            }
            ControlFlow::Continue(())
        })));
        let written = self.write(repository, &mut answer, ask);
        written.map_err(|failed| match complaint.borrow_mut().take() {
            Some(message) => Failed::Remote(message),
            None => failed,
        })
    }

    fn write(
        &self,
        repository: &Repository,
        answer: &mut dyn BufRead,
        ask: &Ask<'_>,
    ) -> Result<(), Failed> {
        let lost = |it: io::Error| Failed::Gix(gix::Error::from_error(it));
        let mut header = [0_u8; HEADER];
        answer.read_exact(&mut header).map_err(lost)?;
        let count = header.last_chunk::<4>().map_or(0, |it| u64::from(u32::from_be_bytes(*it)));
        let most = self.limits.entries.saturating_mul(OBJECTS_PER_ENTRY);
        // Each takes memory while the pack is indexed, whatever its size.
        if count > most {
            return Err(Failed::Ours(Error::Large { what: "objects", most }));
        }
        ask.budget.expect_pack(count);
        let directory = repository.objects.store_ref().path().join("pack");
        let options = bundle::write::Options {
            alloc_limit_bytes: usize::try_from(self.limits.object).ok(),
            ..bundle::write::Options::default()
        };
        let mut pack = io::Cursor::new(header).chain(&mut *answer);
        let written = Bundle::write_to_directory(
            &mut pack,
            Some(&directory),
            &mut Discard,
            ask.interrupt,
            Some(&repository.objects),
            repository.object_hash(),
            options,
        )?;
        if let Some(keep) = written.keep_path {
            fs::remove_file(keep).map_err(lost)?;
        }
        io::copy(answer, &mut io::sink()).map(drop).map_err(lost)
    }

    fn note_shallow<'a>(
        &mut self,
        updates: impl Iterator<Item = &'a ShallowUpdate>,
    ) -> Result<(), Error> {
        for update in updates {
            match update {
                ShallowUpdate::Shallow(id) => drop(self.shallow.insert(*id)),
                ShallowUpdate::Unshallow(id) => drop(self.shallow.remove(id)),
            }
        }
        let lines = self.shallow.iter().flat_map(|it| [it.to_string(), "\n".to_owned()]);
        let lines = lines.collect::<String>();
        let path = self.repository()?.path().join("shallow");
        fs::write(path, lines).map_err(|source| Error::Destination { source })
    }
}

/// By which hash the server names its objects.
fn hash_of(server: &Handshake) -> Result<gix::hash::Kind, gix::Error> {
    let format = server.capabilities.capability("object-format");
    match format.as_ref().and_then(Capability::value) {
        None => Ok(gix::hash::Kind::Sha1),
        Some(name) => name.to_string().parse().map_err(|_| {
            gix::Error::from_error(io::Error::other("the server names objects by an unknown hash"))
        }),
    }
}

/// The object to ask for.
fn look_up(
    transport: &mut Box<dyn Transport>,
    server: &mut Handshake,
    what: What<'_>,
) -> Result<ObjectId, Failed> {
    let refs = server.refs.take();
    let name = match what {
        What::Id(commit) => {
            let id = ObjectId::from_hex(commit.as_str().as_bytes());
            let id = id.map_err(|_| Failed::NotById)?;
            let by_id = ["allow-reachable-sha1-in-want", "allow-tip-sha1-in-want"];
            let is_given = by_id.iter().any(|it| server.capabilities.contains(it));
            // From v2 on the server itself has to say no.
            let is_advertised = refs.is_none_or(|refs| {
                refs.iter().any(|it| it.unpack().1.is_some_and(|found| *found == *id))
            });
            return if is_given || is_advertised { Ok(id) } else { Err(Failed::NotById) };
        }
        What::Name(name) => name,
    };
    let refs = if let Some(refs) = refs {
        refs
    } else {
        let mut prefixes = RefPrefixes::new();
        prefixes.extend([name.into()]);
        let agent = ("agent", None);
        LsRefsCommand::new(Some(prefixes), &server.capabilities, agent).invoke_blocking(
            transport,
            &mut Discard,
            false,
        )?
    };
    // A prefix finds `main-2` too.
    let found = refs.iter().map(gix::protocol::handshake::Ref::unpack).find(|it| it.0 == name);
    found.and_then(|it| it.1).map(ToOwned::to_owned).ok_or(Failed::Nothing)
}

fn peel(repository: &Repository, id: ObjectId) -> Result<Option<Found>, gix::Error> {
    let commit = repository.find_object(id)?.peel_to_commit()?;
    let tree = commit.tree_id()?.detach();
    Ok(Commit::parse(&commit.id.to_string()).ok().map(|name| Found { name, tree }))
}
