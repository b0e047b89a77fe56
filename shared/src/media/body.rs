//! A body of a known length that is passed on as it comes.

use std::{
    io::SeekFrom,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, StreamBody};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};
use uuid::Uuid;

/// What is read of a spooled file at once.
const CHUNK: usize = 64 * 1024;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a file could not be spooled.
pub(crate) enum NotSpooled {
    /// It is longer than it may be.
    TooLong,
    /// It broke off.
    Source(reqwest::Error),
    /// The disk takes no more.
    Disk(std::io::Error),
}

/// Whether a body broke off, or has another length than was said. Whoever takes it over can't tell that from a failure of
/// the other side.
#[derive(Clone, Default)]
pub(crate) struct Broken(Arc<Mutex<bool>>);

impl Broken {
    /// Whether it did.
    pub(crate) fn is_broken(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

/// A body that has exactly this length, or breaks.
pub(crate) struct Exactly {
    inner: Pin<Box<dyn Body<Data = Bytes, Error = Cause> + Send + Sync>>,
    left: u64,
    broken: Broken,
}

impl Exactly {
    /// Of a body.
    pub(crate) fn new<B>(body: B, length: u64, broken: Broken) -> Self
    where
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<Cause>,
    {
        Self { inner: Box::pin(body.map_err(Into::into)), left: length, broken }
    }

    fn broke(&self, why: impl Into<Cause>) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        self.broken.tell();
        Poll::Ready(Some(Err(why.into())))
    }
}

impl Body for Exactly {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        match self.inner.as_mut().poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => self.broke("the body is shorter than was said"),
            Poll::Ready(Some(Err(error))) => self.broke(error),
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
                match self.left.checked_sub(length) {
                    Some(left) => {
                        self.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => self.broke("the body is longer than was said"),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Writes a body of unknown length into a file without a name, which is gone with the process, and returns it with its length.
pub(crate) async fn spool(mut answer: reqwest::Response, most: u64) -> Result<(File, u64), NotSpooled> {
    let path = std::env::temp_dir().join(format!("medium-{}", Uuid::new_v4().simple()));
    let disk = NotSpooled::Disk;
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).await.map_err(disk)?;
    tokio::fs::remove_file(&path).await.map_err(disk)?;
    let mut length = 0u64;
    while let Some(chunk) = answer.chunk().await.map_err(NotSpooled::Source)? {
        length = length.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if length > most {
            return Err(NotSpooled::TooLong);
        }
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    file.seek(SeekFrom::Start(0)).await.map_err(disk)?;
    Ok((file, length))
}

/// A file's bytes.
pub(crate) fn of_file(file: File) -> impl Body<Data = Bytes, Error = std::io::Error> + Send + Sync {
    let chunks = stream::unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk).await {
            Ok(0) => None,
            Ok(length) => {
                chunk.truncate(length);
                Some((Ok(Frame::data(Bytes::from(chunk))), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    StreamBody::new(SyncStream::new(chunks))
}

/// These bytes, a body, and those bytes.
pub(crate) fn between<B>(before: Bytes, body: B, after: Bytes) -> impl Body<Data = Bytes, Error = Cause> + Send + Sync
where
    B: Body<Data = Bytes, Error = Cause> + Send + Sync + Unpin + 'static,
{
    let frames = stream::unfold(body, |mut body| async move { body.frame().await.map(|frame| (frame, body)) });
    let one = |bytes| stream::once(std::future::ready(Ok(Frame::data(bytes))));
    StreamBody::new(SyncStream::new(one(before).chain(frames).chain(one(after))))
}

/// A stream that is only ever polled by who owns it, so it may be shared though its futures may not.
struct SyncStream<S>(Mutex<Pin<Box<S>>>);

impl<S> SyncStream<S> {
    fn new(stream: S) -> Self {
        Self(Mutex::new(Box::pin(stream)))
    }
}

impl<S: stream::Stream> stream::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn collected(body: Exactly) -> Result<Vec<u8>, String> {
        body.collect().await.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_body_has_the_length_that_was_said_or_breaks() {
        for (length, expected) in [
            (5, Ok(b"hello".to_vec())),
            (6, Err("the body is shorter than was said".to_owned())),
            (4, Err("the body is longer than was said".to_owned())),
        ] {
            let broken = Broken::default();
            let body = Exactly::new(Full::new(Bytes::from_static(b"hello")), length, broken.clone());
            assert_eq!(body.size_hint().exact(), Some(length));
            let is_whole = expected.is_ok();
            assert_eq!(collected(body).await, expected, "{length}");
            assert_eq!(broken.is_broken(), !is_whole, "{length}");
        }
    }

    #[tokio::test]
    async fn a_form_has_its_file_between_its_lines() {
        let file = Exactly::new(Full::new(Bytes::from_static(b"file")), 4, Broken::default());
        let body = between(Bytes::from_static(b"<"), file, Bytes::from_static(b">"));
        assert_eq!(body.collect().await.unwrap().to_bytes().as_ref(), b"<file>");
    }
}
