//! How is a server asked over a stream? It speaks first, and what it says tells whether there is
//! something left to ask. One that is known to speak v2 is asked at once: its answer then comes right
//! behind what it says first.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Question, judge, judge_first};
use crate::{
    Error, Malformed,
    advertisement::{Advertised, Advertisement},
    ls_refs::{self, Answer, Keep, ObjectFormat},
    transport::stream::{self, Stream},
};

/// What is read at once. Most answers are far shorter.
const PIECE: usize = 16 << 10;
/// No more questions, and nothing to fetch.
const FLUSH: &[u8] = b"0000";

/// What is kept of an answer, and the hash that a server of v2 said it names objects by.
pub(super) type Heard<K> = (K, Option<ObjectFormat>);

/// How a server answered that was asked before it had spoken.
pub(super) enum Early<K> {
    Heard(Heard<K>),
    /// It says why not, and would say so again.
    Refused(Error),
    /// It is not what it was taken for, or it is gone.
    Unlike,
}

/// The question as a server gets it that speaks v2, and the leave that is taken with it.
pub(super) fn whole(question: &[String], format: ObjectFormat) -> Result<Vec<u8>, Error> {
    let mut body = ls_refs::question(question, format).map_err(|_| Error::Prefix)?;
    body.extend_from_slice(FLUSH);
    Ok(body)
}

/// Asks over a stream on which nothing was read, and takes leave.
pub(super) async fn ask<K: Keep + Clone>(
    stream: &mut dyn Stream,
    question: &Question<'_, K>,
) -> Result<Heard<K>, Error> {
    let host = question.remote.uri.host();
    let lost = |source| stream::lost(host, source);
    let mut piece = vec![0; PIECE];

    let mut advertisement = Advertisement::kept_in(question.keep.clone());
    let read = read(stream, &mut piece, |it| advertisement.push(it)).await.map_err(lost)?;
    let advertised = read.and_then(|()| advertisement.finish());
    let heard = match advertised.map_err(|it| judge_first(host, it))? {
        Advertised::Refs(kept) => {
            // The answer is there: a server that is gone already has lost nothing.
            let _ = stream.write_all(FLUSH).await;
            (kept, None)
        }
        Advertised::Capabilities(format) => {
            stream.write_all(&whole(question.prefixes, format)?).await.map_err(lost)?;
            stream.flush().await.map_err(lost)?;
            let mut answer = Answer::kept_in(question.keep.clone());
            let read = self::read(stream, &mut piece, |it| answer.push(it)).await.map_err(lost)?;
            let kept = read.and_then(|()| answer.finish()).map_err(|it| judge(host, it))?;
            (kept, Some(format))
        }
    };
    let _ = stream.shutdown().await;
    Ok(heard)
}

/// Reads what a server says first and what it answers. The question of v2 was sent already, for a
/// repository whose ids are made in this way.
pub(super) async fn hear<K: Keep + Clone>(
    stream: &mut dyn Stream,
    question: &Question<'_, K>,
    expected: ObjectFormat,
) -> Early<K> {
    let host = question.remote.uri.host();
    let mut advertisement = Advertisement::kept_in(question.keep.clone());
    let mut answer = Answer::kept_in(question.keep.clone());
    let mut is_first = true;
    let mut piece = vec![0; PIECE];
    let read = read(stream, &mut piece, |mut it| {
        if is_first {
            let Some(rest) = advertisement.push_some(it)? else { return Ok(false) };
            is_first = false;
            // All refs are there already, or none of the answer can be read.
            if advertisement.capabilities() != Some(expected) {
                return Ok(true);
            }
            it = rest;
        }
        answer.push(it)
    })
    .await;
    match read {
        Ok(Err(refused @ Malformed::Refused { .. })) if is_first => {
            return Early::Refused(judge_first(host, refused));
        }
        Ok(Ok(())) if !is_first => {}
        Ok(_) => return Early::Unlike,
        Err(source) => match stream::lost(host, source) {
            refused @ Error::Remote { .. } if is_first => return Early::Refused(refused),
            _ => return Early::Unlike,
        },
    }
    match advertisement.finish() {
        Ok(Advertised::Refs(kept)) => Early::Heard((kept, None)),
        Ok(Advertised::Capabilities(format)) => match answer.finish() {
            Ok(kept) => Early::Heard((kept, Some(format))),
            Err(_) => Early::Unlike,
        },
        Err(_) => Early::Unlike,
    }
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
