//! TCP connections that can be reset on demand: a fault plan's reset must be the transport error that a broken network
//! gives, and not an answer.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// The other end of a request, as handlers see it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// A number for the connection.
    pub(crate) connection: u64,
    reset: Arc<AtomicBool>,
}

impl Peer {
    /// From now on, whatever is written to this connection resets it instead.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, NumberedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, NumberedListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A listener that numbers its connections.
#[derive(Debug)]
pub(crate) struct NumberedListener {
    listener: TcpListener,
    accepted: u64,
}

impl NumberedListener {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, accepted: 0 }
    }
}

impl Listener for NumberedListener {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        // axum's own accept waits and tries again when the process is out of file descriptors.
        let (stream, _): (TcpStream, SocketAddr) = Listener::accept(&mut self.listener).await;
        // Small answers go out at once; nothing is lost where that can't be set.
        let _ = stream.set_nodelay(true);
        self.accepted += 1;
        let peer = Peer { connection: self.accepted, reset: Arc::default() };
        (Connection { stream, reset: Arc::clone(&peer.reset) }, peer)
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { connection: 0, reset: Arc::default() })
    }
}

/// A TCP stream with a reset switch.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Connection {
    /// An error once the connection is to be reset. With a linger time of zero, dropping the socket, which hyper does
    /// upon an error, sends RST.
    fn check(&self) -> io::Result<()> {
        if self.reset.load(Ordering::SeqCst) {
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // No orderly close where a reset is wanted: dropping does it.
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
