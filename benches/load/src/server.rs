//! The server under test: started on a free port in an empty directory, killed at the end.
//!
//! Never ends a process that it did not start.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::system;

const PORTS: std::ops::Range<u16> = 20_000..30_000;
const START_LIMIT: Duration = Duration::from_secs(20);

pub struct Server {
    pub address: SocketAddr,
    /// `None` for a server of somebody else whose process is not known: no CPU, no memory figures.
    pub pid: Option<u32>,
    /// From the start of the process to the first accepted connection.
    pub start: Option<Duration>,
    child: Option<Child>,
    command: Option<Command>,
    directory: Option<PathBuf>,
}

impl Server {
    /// Starts `program` with `arguments` and waits until it accepts.
    ///
    /// `{port}` in an argument becomes the port; without one `--port N` is added. Arguments that
    /// name existing files are made absolute, since the server runs in a directory of its own
    /// (below `parent`), which is removed afterwards with all that the server left there.
    pub fn start(program: &Path, arguments: &[String], core: Option<usize>, parent: &Path) -> io::Result<Self> {
        let port = free_port()?;
        let directory = parent.join(format!("catchup-bench-{}-{port}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let mut command = Command::new(absolute(program));
        command.args(place_port(arguments, port)).current_dir(&directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        system::tie_to_parent(&mut command, core);
        let started = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot start {}: {error}", program.display())))?;
        let mut server = Server {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            pid: Some(child.id()),
            start: None,
            child: Some(child),
            command: Some(command),
            directory: Some(directory),
        };
        server.wait_until_it_accepts(started)?;
        Ok(server)
    }

    /// A server that runs already; `url` is `ws://host:port` or `host:port`.
    pub fn running(url: &str, pid: Option<u32>) -> io::Result<Self> {
        use std::net::ToSocketAddrs;
        let place = url.trim_start_matches("ws://").split('/').next().unwrap_or("");
        let mut addresses = place.to_socket_addrs()?;
        let address = addresses.find(SocketAddr::is_ipv4).ok_or_else(|| io::Error::other("url: no IPv4 address"))?;
        Ok(Server { address, pid, start: None, child: None, command: None, directory: None })
    }

    fn wait_until_it_accepts(&mut self, started: Instant) -> io::Result<()> {
        let child = self.child.as_mut().expect("called only by the function that started it");
        loop {
            if TcpStream::connect(self.address).is_ok() {
                self.start = Some(started.elapsed());
                return Ok(());
            }
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("the server ended before it accepted: {status}")));
            }
            if started.elapsed() > START_LIMIT {
                return Err(io::Error::other(format!("the server did not accept within {START_LIMIT:?}")));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Where it runs and keeps its data; `None` for a server of somebody else.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Ends our own server with SIGKILL, as a crash would.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(child) = &mut self.child {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again, after [`Server::kill`], on the same data and port, and waits until it accepts.
    pub fn restart(&mut self) -> io::Result<()> {
        let Some(command) = &mut self.command else { return Err(io::Error::other("not a server of ours")) };
        let started = Instant::now();
        let child = command.spawn()?;
        self.pid = Some(child.id());
        self.child = Some(child);
        self.wait_until_it_accepts(started)
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself; then there is nothing to kill and only the status to collect.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections: one
/// of them could take it before the server does.
fn free_port() -> io::Result<u16> {
    let seed = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_nanos()) ^ std::process::id();
    let mut ports = (0..PORTS.len() as u32).map(|step| PORTS.start + ((seed + step) % PORTS.len() as u32) as u16);
    ports
        .find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .ok_or_else(|| io::Error::other(format!("every port of {PORTS:?} is in use")))
}

fn place_port(arguments: &[String], port: u16) -> Vec<OsString> {
    let mut placed: Vec<OsString> = Vec::new();
    for argument in arguments {
        placed.push(match argument.contains("{port}") {
            true => argument.replace("{port}", &port.to_string()).into(),
            false => absolute(Path::new(argument)).into(),
        });
    }
    if !arguments.iter().any(|argument| argument.contains("{port}")) {
        placed.extend(["--port".into(), port.to_string().into()]);
    }
    placed
}

/// Unlike `fs::canonicalize` this keeps links: the Python of a virtual environment is one.
fn absolute(path: &Path) -> PathBuf {
    let names_a_file = path.components().count() > 1 || path.extension().is_some();
    match std::path::absolute(path) {
        Ok(full) if names_a_file && full.exists() => full,
        _ => path.to_path_buf(),
    }
}
