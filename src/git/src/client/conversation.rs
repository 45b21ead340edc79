//! How is a server asked over a stream? It speaks first; what it says tells whether there is
//! something left to ask.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Question, judge, judge_first};
use crate::{
    Error, Malformed,
    advertisement::{Advertised, Advertisement},
    ls_refs::{self, Answer, Keep},
    transport::stream::{self, Stream},
};

/// What is read at once. Most answers are far shorter.
const PIECE: usize = 16 << 10;
/// No more questions, and nothing to fetch.
const FLUSH: &[u8] = b"0000";

/// Asks over a stream on which nothing was read, and takes leave.
pub(super) async fn ask<K: Keep + Clone>(
    stream: &mut dyn Stream,
    question: &Question<'_, K>,
) -> Result<K, Error> {
    let host = question.remote.uri.host();
    let lost = |source| stream::lost(host, source);
    let mut piece = vec![0; PIECE];

    let mut advertisement = Advertisement::kept_in(question.keep.clone());
    let read = read(stream, &mut piece, |it| advertisement.push(it)).await.map_err(lost)?;
    let advertised = read.and_then(|()| advertisement.finish());
    let kept = match advertised.map_err(|it| judge_first(host, it))? {
        Advertised::Refs(kept) => kept,
        Advertised::Capabilities(format) => {
            let body = ls_refs::question(question.prefixes, format).map_err(|_| Error::Prefix)?;
            stream.write_all(&body).await.map_err(lost)?;
            stream.flush().await.map_err(lost)?;
            let mut answer = Answer::kept_in(question.keep.clone());
            let read = self::read(stream, &mut piece, |it| answer.push(it)).await.map_err(lost)?;
            read.and_then(|()| answer.finish()).map_err(|it| judge(host, it))?
        }
    };
    // The answer is there: a server that is gone already has lost nothing.
    let _ = stream.write_all(FLUSH).await;
    let _ = stream.shutdown().await;
    Ok(kept)
}

/// Reads until `push` says that it was all, or what is wrong with it, or until there is no more.
async fn read(
    stream: &mut dyn Stream,
    piece: &mut [u8],
    mut push: impl FnMut(&[u8]) -> Result<bool, Malformed>,
) -> io::Result<Result<(), Malformed>> {
    loop {
        let count = stream.read(piece).await?;
        let outcome = push(piece.get(..count).unwrap_or_default());
        match outcome {
            Ok(false) if count > 0 => {}
            Ok(_) => return Ok(Ok(())),
            Err(malformed) => return Ok(Err(malformed)),
        }
    }
}
