//! What does a client get whose connection breaks before it has an answer, or whose server is broken on purpose?

use std::io;

use axum::body::Body;
use futures::stream;
use http::Response;

/// What a server that is broken on purpose answers where nothing is.
pub(super) const NOTHING: &str = r#"{"kind":"List","apiVersion":"v1","metadata":{},"items":[]}"#;

/// Marks an answer that nobody is to get: over TCP the connection breaks instead.
#[derive(Debug, Clone, Copy)]
struct Broken;

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke")
}

/// An answer that breaks off: the connection, not the API, failed.
pub(super) fn response() -> Response<Body> {
    let nothing = stream::iter([Err::<bytes::Bytes, _>(lost())]);
    let mut response = Response::new(Body::from_stream(nothing));
    response.extensions_mut().insert(Broken);
    response
}

/// The answer for a client that is reached over a connection, unless that is to break.
pub(crate) fn sent(response: Response<Body>) -> io::Result<Response<Body>> {
    if response.extensions().get::<Broken>().is_some() { Err(lost()) } else { Ok(response) }
}
