//! How much may a cluster say at once? An answer, or a line of a watch, ends where it becomes too large.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use kube::client::Body;
use tower::BoxError;

use super::Place;

/// An answer of which more would come than we hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is larger than {most} bytes")]
pub(in super::super) struct TooLarge {
    most: usize,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// One text, held whole.
    Whole,
    /// Texts, each on a line of its own, held one by one.
    Lines,
}

/// A body that ends with an error where it becomes too large.
pub(super) struct Capped {
    body: Body,
    content: Content,
    most: usize,
    seen: usize,
    /// The right to this request, for as long as its answer is read.
    _place: Option<Place>,
}

impl Capped {
    pub(super) fn new(body: Body, content: Content, most: usize) -> Self {
        Self { body, content, most, seen: 0, _place: None }
    }

    pub(super) fn holding(self, place: Option<Place>) -> Self {
        Self { _place: place, ..self }
    }

    /// Counts what is held together with `data`.
    fn count(&mut self, data: &[u8]) -> Result<(), TooLarge> {
        let Content::Lines = self.content else {
            self.seen = self.seen.saturating_add(data.len());
            return self.judge();
        };
        for line in data.split_inclusive(|it| *it == b'\n') {
            self.seen = self.seen.saturating_add(line.len());
            self.judge()?;
            if line.ends_with(b"\n") {
                self.seen = 0;
            }
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), TooLarge> {
        if self.seen > self.most { Err(TooLarge { most: self.most }) } else { Ok(()) }
    }
}

impl http_body::Body for Capped {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = polled else {
            return polled.map(|it| it.map(|it| it.map_err(Into::into)));
        };
        let counted = frame.data_ref().map_or(Ok(()), |data| self.count(data));
        Poll::Ready(Some(counted.map(|()| frame).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn read(text: &str, content: Content, most: usize) -> Result<usize, String> {
        let body = Capped::new(Body::from(text.as_bytes().to_vec()), content, most);
        let read = body.collect().await;
        read.map(|it| it.to_bytes().len()).map_err(|it| it.to_string())
    }

    #[tokio::test]
    async fn an_answer_ends_where_it_becomes_too_large() {
        assert_eq!(read("12345678", Content::Whole, 8).await, Ok(8));
        assert_eq!(
            read("123456789", Content::Whole, 8).await,
            Err("the answer is larger than 8 bytes".to_owned())
        );
    }

    #[tokio::test]
    async fn a_watch_may_last_as_long_as_its_lines_are_short() {
        let lines = "1234567\n".repeat(1000);
        assert_eq!(read(&lines, Content::Lines, 8).await, Ok(8000));

        assert!(read(&format!("{lines}123456789"), Content::Lines, 8).await.is_err());
    }
}
