//! A server that speaks git's protocol well and sends whatever pack it was given.

use std::{convert::Infallible, io::Write as _, net::Ipv4Addr};

use axum::{
    Router,
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use ger_git::Remote;
use gix::objs::Kind;
use tokio::{net::TcpListener, task::JoinSet};

use super::remote;

/// Serves one branch, `main`, for as long as it is held.
pub(crate) struct Crafted {
    pub(crate) remote: Remote,
    _serving: JoinSet<()>,
}

impl Crafted {
    /// Says that `main` is at `commit`, and answers each fetch with `pack`.
    pub(crate) async fn serve(commit: &str, pack: Vec<u8>) -> Self {
        let refs = [line(&format!("{commit} refs/heads/main\n")), b"0000".to_vec()].concat();
        Self::serve_refs(refs, pack).await
    }

    pub(crate) async fn serve_refs(refs: Vec<u8>, pack: Vec<u8>) -> Self {
        let advertisement = [
            line("# service=git-upload-pack\n"),
            b"0000".to_vec(),
            line("version 2\n"),
            line("ls-refs\n"),
            line("fetch=shallow\n"),
            line("object-format=sha1\n"),
            b"0000".to_vec(),
        ];
        let advertisement = advertisement.concat();
        let pack = Bytes::from(pack);
        let answer = move |request: Bytes| {
            let asks_for_refs = request.windows(7).any(|it| it == b"ls-refs");
            let body = if asks_for_refs { Body::from(refs.clone()) } else { in_side_band(&pack) };
            async move { of_kind("result", body) }
        };
        let router = Router::new()
            .route(
                "/app/info/refs",
                get(move || async move { of_kind("advertisement", Body::from(advertisement)) }),
            )
            .route("/app/git-upload-pack", post(answer));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let remote = remote(&format!("http://{}/app", listener.local_addr().unwrap()));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { remote, _serving: serving }
    }
}

fn of_kind(kind: &str, body: Body) -> Response {
    let kind = format!("application/x-git-upload-pack-{kind}");
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// The pack as git sends it, piece by piece.
fn in_side_band(pack: &[u8]) -> Body {
    let pieces = pack.chunks(60_000).map(|it| line_of(&[b"\x01", it].concat()));
    let mut lines = vec![line("packfile\n")];
    lines.extend(pieces);
    lines.push(b"0000".to_vec());
    let lines = lines.into_iter().map(|it| Ok::<_, Infallible>(Bytes::from(it)));
    Body::from_stream(futures::stream::iter(lines))
}

pub(crate) fn line(text: &str) -> Vec<u8> {
    line_of(text.as_bytes())
}

fn line_of(content: &[u8]) -> Vec<u8> {
    [format!("{:04x}", content.len() + 4).as_bytes(), content].concat()
}

/// An object's id.
pub(crate) fn id_of(kind: Kind, content: &[u8]) -> gix::ObjectId {
    gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, content).unwrap()
}

pub(crate) fn deflated(content: &[u8]) -> Vec<u8> {
    let mut stream =
        gix::zlib::stream::deflate::Write::new(Vec::new(), gix::zlib::Compression::BEST_SPEED);
    stream.write_all(content).unwrap();
    stream.flush().unwrap();
    stream.into_inner()
}

/// An entry of a pack that says that it has `size` bytes.
pub(crate) fn entry(kind: u8, size: u64, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = size >> 4;
    let mut byte = (kind << 4) | (size & 0x0f) as u8;
    while rest > 0 {
        bytes.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    bytes.push(byte);
    bytes.extend_from_slice(data);
    bytes
}

/// A pack that says that it has `count` objects.
pub(crate) fn pack(count: u32, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"PACK\0\0\0\x02".to_vec();
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend(entries.iter().flatten());
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(&bytes);
    bytes.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    bytes
}

pub(crate) const COMMIT: u8 = 1;
pub(crate) const TREE: u8 = 2;
pub(crate) const BLOB: u8 = 3;
pub(crate) const REF_DELTA: u8 = 7;

/// A commit of one file `a` with this id: the commit's id, and the entries of a pack for it.
pub(crate) fn commit_of_blob(blob: gix::ObjectId) -> (String, Vec<Vec<u8>>) {
    let tree = [b"100644 a\0".as_slice(), blob.as_slice()].concat();
    let tree_id = id_of(Kind::Tree, &tree);
    let commit = format!(
        "tree {tree_id}\nauthor A <a@example.org> 1 +0000\ncommitter A <a@example.org> 1 +0000\n\nx\n"
    );
    let commit = commit.as_bytes();
    let entries = vec![
        entry(COMMIT, commit.len() as u64, &deflated(commit)),
        entry(TREE, tree.len() as u64, &deflated(&tree)),
    ];
    (id_of(Kind::Commit, commit).to_string(), entries)
}
