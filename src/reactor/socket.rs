//! A client's socket, and what it came through: TCP or Unix. One branch, always the same, is what Unix costs TCP.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::connection::Stream;
use crate::listen::{self, SocketFile};
use crate::peer::Peer;

/// One client's stream.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Socket {
    #[inline]
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => tcp.read(bytes),
            Socket::Unix(unix) => unix.read(bytes),
        }
    }
}

impl Write for Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => tcp.write(bytes),
            Socket::Unix(unix) => unix.write(bytes),
        }
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => tcp.write_vectored(slices),
            Socket::Unix(unix) => unix.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for Socket {
    fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Socket::Tcp(tcp) => tcp.shutdown_write(),
            Socket::Unix(unix) => unix.shutdown(Shutdown::Write),
        }
    }
}

impl Socket {
    /// Registers it for everything. What cannot be watched is of no use.
    pub(super) fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Socket::Tcp(tcp) => {
                tcp.set_nodelay(true)?;
                registry.register(tcp, token, interest)
            }
            Socket::Unix(unix) => registry.register(unix, token, interest),
        }
    }
}

/// A socket that listens.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Goes with the listener.
        _file: Option<SocketFile>,
    },
}

impl Listener {
    /// Takes over a socket and registers it.
    pub(super) fn watch(listener: listen::Listener, registry: &Registry, token: Token) -> io::Result<Listener> {
        let register = |source: &mut dyn Source| source.register(registry, token, Interest::READABLE);
        Ok(match listener {
            listen::Listener::Tcp(tcp) => {
                tcp.set_nonblocking(true)?;
                let mut tcp = TcpListener::from_std(tcp);
                register(&mut tcp)?;
                Listener::Tcp(tcp)
            }
            listen::Listener::Unix(unix, file) => {
                unix.set_nonblocking(true)?;
                let mut listener = UnixListener::from_std(unix);
                register(&mut listener)?;
                Listener::Unix { listener, _file: file }
            }
        })
    }

    /// Ends what [`Listener::watch`] began.
    pub(super) fn unwatch(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Listener::Tcp(tcp) => registry.deregister(tcp),
            Listener::Unix { listener, .. } => registry.deregister(listener),
        }
    }

    pub(super) fn accept(&self) -> io::Result<(Socket, Peer)> {
        match self {
            Listener::Tcp(tcp) => tcp.accept().map(|(tcp, address)| (Socket::Tcp(tcp), address.ip().into())),
            Listener::Unix { listener, .. } => listener.accept().map(|(unix, _)| (Socket::Unix(unix), Peer::Unix)),
        }
    }
}
