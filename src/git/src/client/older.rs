//! What does a server that knows no v2 advertise? gix asks in whatever version it speaks.

use gix::protocol::{
    LsRefsCommand,
    handshake::Ref,
    ls_refs::RefPrefixes,
    transport::{Protocol, Service, client::blocking_io::http::Transport},
};

use crate::{Commit, Error, Remote, RemoteRef, Said, Traffic, transport::http::Session};

/// v0 and v1 always advertise everything; 64 MiB are 800,000 refs.
const MOST_BYTES: u64 = 64 << 20;

/// The refs whose names begin with one of `prefixes`; all without any. Blocks.
pub(super) fn ls_refs(
    remote: &Remote,
    prefixes: &[String],
    traffic: Traffic,
) -> Result<Vec<RemoteRef>, Error> {
    let session = Session::open(remote, MOST_BYTES, traffic)?;
    let older = |source: gix::Error| Error::Older {
        host: remote.uri.host().to_owned(),
        source: Said::by(&source, &remote.uri),
    };
    let refs = ask(&session, prefixes);
    let refs = refs.map_err(|it| session.take_verdict().unwrap_or_else(|| older(it)))?;
    let was_asked_for = |it: &RemoteRef| {
        prefixes.is_empty() || prefixes.iter().any(|prefix| it.name.starts_with(prefix.as_str()))
    };
    Ok(refs.iter().filter_map(convert).filter(was_asked_for).collect())
}

fn ask(session: &Session, prefixes: &[String]) -> Result<Vec<Ref>, gix::Error> {
    let url = session.gix_url()?;
    let mut transport = Transport::new_http(session.clone(), url, Protocol::V2, false);
    let mut progress = gix::progress::Discard;
    // Nobody is asked for credentials: those we have are sent at once, and there are no others.
    let mut handshake = gix::protocol::handshake(
        &mut transport,
        Service::UploadPack,
        |_| Ok(None),
        Vec::new(),
        &mut progress,
    )?;
    if let Some(refs) = handshake.refs.take() {
        return Ok(refs);
    }
    let mut wanted = RefPrefixes::new();
    wanted.extend(prefixes.iter().map(|it| it.as_str().into()));
    let wanted = (!prefixes.is_empty()).then_some(wanted);
    LsRefsCommand::new(wanted, &handshake.capabilities, ("agent", None)).invoke_blocking(
        &mut transport,
        &mut progress,
        false,
    )
}

fn convert(one: &Ref) -> Option<RemoteRef> {
    let (name, oid, peeled) = one.unpack();
    let name = std::str::from_utf8(name).ok()?.to_owned();
    let id = |it: &gix::hash::oid| Commit::parse(&it.to_string()).ok();
    let symref_target = match one {
        Ref::Symbolic { target, .. } => Some(String::from_utf8_lossy(target).into_owned()),
        _ => None,
    };
    Some(RemoteRef { name, oid: id(oid?)?, peeled: peeled.and_then(id), symref_target })
}
