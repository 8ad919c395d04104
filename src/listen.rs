//! Where clients come in: the sockets that the server listens on, made here or handed over by who started it.
//!
//! It opens them and says what is wrong; accepting is the business of `reactor.rs`.

use std::fs::{self, Metadata};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{env, io, process};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Bytes that the kernel holds unsent for one client: so a slow reader is seen to take bytes, and a ping does not wait
/// behind megabytes. Every client's socket has it from its listener.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// Sockets that may be handed over.
pub const HANDED_MAX: usize = 16;

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// An address and port.
    Tcp(TcpListener),
    /// A path; its file goes with it, if it was made here.
    Unix(UnixListener, Option<SocketFile>),
}

impl Listener {
    /// As an operator writes it: `http://127.0.0.1:8000`, `unix:/run/catchup.sock`.
    pub fn shown(&self) -> String {
        match self {
            Listener::Tcp(tcp) => match tcp.local_addr() {
                // An address that a browser on this machine understands.
                Ok(address) if address.ip().is_unspecified() => format!("http://localhost:{}", address.port()),
                Ok(address) => format!("http://{address}"),
                Err(error) => format!("an unknown address: {error}"),
            },
            Listener::Unix(unix, _) => {
                let address = unix.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                format!("unix:{}", path.unwrap_or(Path::new("")).display())
            }
        }
    }
}

/// The file of a Unix socket: removed with this, unless somebody has put another in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), identity: identity(&fs::symlink_metadata(path)?) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next server may have begun already, and listen at the same path.
        if fs::symlink_metadata(&self.path).is_ok_and(|file| identity(&file) == self.identity) {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Listens on an address; port 0 takes a free one.
pub fn tcp(address: SocketAddr) -> Result<Listener, String> {
    let listen = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map(Listener::Tcp).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("catchup: {address} is in use by another program: stop it, or choose another --port")
        }
        _ => format!("catchup: cannot listen on {address}: {error}"),
    })
}

/// Listens on a path. The socket of a server that has died is replaced; one that lives, and any other file, is left.
pub fn unix(path: &Path) -> Result<Listener, String> {
    let shown = path.display();
    let failed = |error: io::Error| format!("catchup: cannot listen on unix:{shown}: {error}");
    let listen = || -> io::Result<UnixListener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    let listener = match listen() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if !fs::symlink_metadata(path).map_err(failed)?.file_type().is_socket() {
                return Err(format!(
                    "catchup: {shown} is a file and no socket: it is left as it is; choose another --unix"
                ));
            }
            if is_alive(path).map_err(failed)? {
                return Err(format!(
                    "catchup: {shown} is in use by another program: stop it, or choose another --unix"
                ));
            }
            fs::remove_file(path).and_then(|()| listen()).map_err(failed)?
        }
        result => result.map_err(failed)?,
    };
    let file = SocketFile::of(path).map_err(failed)?;
    Ok(Listener::Unix(listener, Some(file)))
}

/// Whether somebody listens. Never waits: one whose queue is full is alive.
fn is_alive(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        result => result.map(|()| true),
    }
}

/// The sockets that who started us has opened and handed over: `LISTEN_PID`, `LISTEN_FDS`, descriptors from 3 on
/// (sd_listen_fds(3)). None if they are meant for another process.
///
/// To be called before anything else opens a descriptor.
pub fn handed() -> Result<Vec<Listener>, String> {
    let variable = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
    let (Some(pid), Some(count)) = (variable("LISTEN_PID"), variable("LISTEN_FDS")) else { return Ok(Vec::new()) };
    if pid != process::id().to_string() {
        return Ok(Vec::new());
    }
    let count = match count.parse::<usize>() {
        Ok(count @ 1..=HANDED_MAX) => count,
        _ => return Err(format!("catchup: LISTEN_FDS is {count:?}: want a number from 1 to {HANDED_MAX}")),
    };
    let mut descriptors = ListenFd::from_env();
    (0..count).map(|index| take(&mut descriptors, index)).collect()
}

fn take(descriptors: &mut ListenFd, index: usize) -> Result<Listener, String> {
    let told = |why: String| format!("catchup: descriptor {} of LISTEN_FDS {why}", index + 3);
    let listener = match (descriptors.take_tcp_listener(index), descriptors.take_unix_listener(index)) {
        (Ok(Some(tcp)), _) => Listener::Tcp(tcp),
        (_, Ok(Some(unix))) => Listener::Unix(unix, None),
        _ => return Err(told("is no stream socket, neither of TCP nor of Unix".into())),
    };
    let prepare = |socket: SockRef<'_>, is_tcp: bool| -> io::Result<bool> {
        if is_tcp {
            socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        }
        socket.is_listener()
    };
    let is_listening = match &listener {
        Listener::Tcp(tcp) => prepare(tcp.into(), true),
        Listener::Unix(unix, _) => prepare(unix.into(), false),
    };
    match is_listening {
        Ok(true) => Ok(listener),
        Ok(false) => Err(told("does not listen".into())),
        Err(error) => Err(told(format!("cannot be used: {error}"))),
    }
}
