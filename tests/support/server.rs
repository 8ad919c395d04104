//! The real server: started in an empty directory, read from, signalled, killed, started again on the same data.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Http, Response, Value, eventually};

/// A directory of its own, removed with its contents.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Arc<Directory> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("catchup-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the target directory can be written");
        Arc::new(Directory(path))
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Lines as they come out of a pipe.
type Lines = Arc<Mutex<Vec<String>>>;

fn collect(pipe: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let seen = Arc::clone(&lines);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            seen.lock().expect("no test panics inside").push(line);
        }
    });
    lines
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Setup {
    directory: Arc<Directory>,
    args: Vec<String>,
    env: Vec<(String, OsString)>,
    has_standard_args: bool,
    has_standard_data: bool,
    is_stdout_read: bool,
    files_max: Option<u32>,
    handed: Option<Arc<OwnedFd>>,
}

impl Setup {
    /// On a free port of the loopback, on a new database, its working directory empty.
    pub fn new() -> Setup {
        Setup {
            directory: Directory::new(),
            args: Vec::new(),
            env: Vec::new(),
            has_standard_args: true,
            has_standard_data: true,
            is_stdout_read: true,
            files_max: None,
            handed: None,
        }
    }

    /// Nothing is given but what the test gives.
    pub fn bare() -> Setup {
        Setup { has_standard_args: false, ..Setup::new() }
    }

    pub fn args(mut self, args: &[&str]) -> Setup {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    pub fn env(mut self, variable: &str, value: &(impl AsRef<OsStr> + ?Sized)) -> Setup {
        self.env.push((variable.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Without the standard `--data`.
    pub fn bare_data(mut self) -> Setup {
        self.has_standard_data = false;
        self
    }

    /// A file in the working directory.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Setup {
        fs::write(self.directory.file(name), content).expect("a new directory can be written");
        self
    }

    /// Where a file in the working directory lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.file(name)
    }

    /// Nobody reads the console.
    pub fn stalled_stdout(mut self) -> Setup {
        self.is_stdout_read = false;
        self
    }

    /// So many files may be open (`ulimit -n`).
    pub fn files_max(mut self, count: u32) -> Setup {
        self.files_max = Some(count);
        self
    }

    /// Hands over a socket that listens, as systemd does.
    pub fn handed(mut self, listener: impl Into<OwnedFd>) -> Setup {
        self.handed = Some(Arc::new(listener.into()));
        self
    }

    /// A shell that sets limits, moves the socket from standard input to descriptor 3, and becomes the server.
    fn program(&self) -> Command {
        let mut script = String::new();
        if let Some(count) = self.files_max {
            script.push_str(&format!("ulimit -n {count} && "));
        }
        if self.handed.is_some() {
            script.push_str("exec 3<&0 </dev/null && export LISTEN_PID=$$ LISTEN_FDS=1 && ");
        }
        if script.is_empty() {
            return Command::new(env!("CARGO_BIN_EXE_catchup"));
        }
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{script}exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_catchup")]);
        command
    }

    fn command(&self) -> Command {
        let mut command = self.program();
        command.current_dir(&self.directory.0).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        if self.has_standard_args {
            command.args(["--host", "127.0.0.1", "--port", "0"]);
        }
        if self.has_standard_args && self.has_standard_data {
            command.args(["--data", "test.db"]);
        }
        let stdin = self
            .handed
            .as_ref()
            .map_or(Stdio::null(), |handed| Stdio::from(handed.try_clone().expect("there are descriptors left")));
        command.args(&self.args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> Server {
        let mut child = self.command().spawn().expect("the server's binary was built with this test");
        let stdout = child.stdout.take().expect("it is piped");
        let (stdout, held) = match self.is_stdout_read {
            true => (collect(stdout), None),
            false => (Lines::default(), Some(stdout)),
        };
        let stderr = collect(child.stderr.take().expect("it is piped"));
        let mut server =
            Server { setup: self, child, address: SocketAddr::from(([127, 0, 0, 1], 0)), stdout, stderr, _held: held };
        server.address = eventually("the line \"Catchup listens on …\"", || {
            if let Some(status) = server.child.try_wait().expect("it is our child") {
                panic!("the server ended at its start with {status}: {:?}", server.stderr());
            }
            let lines = server.stderr.lock().expect("no test panics inside");
            // The line behind those that say where it listens.
            lines.iter().find(|line| line.starts_with("Catchup takes "))?;
            let address = lines.iter().find_map(|line| line.strip_prefix("Catchup listens on http://"));
            let address = address.map(|text| text.replace("localhost", "127.0.0.1").parse().expect("an address"));
            Some(address.unwrap_or(server.address))
        });
        server
    }

    /// Runs it to its end: exit status, standard output, standard error.
    pub fn run(&self) -> (ExitStatus, String, String) {
        let mut child = self.command().spawn().expect("the server's binary was built with this test");
        let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let mut guard = Guard(child);
        let read = |pipe: &mut dyn Read| {
            let mut text = String::new();
            pipe.read_to_string(&mut text).expect("it prints UTF-8");
            text
        };
        let status = eventually("the end of a command", || guard.0.try_wait().expect("it is our child"));
        (status, read(&mut stdout), read(&mut stderr))
    }
}

/// Kills a child that a failed test leaves behind.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A server that runs; it is killed when this is dropped.
pub struct Server {
    setup: Setup,
    child: Child,
    pub address: SocketAddr,
    stdout: Lines,
    stderr: Lines,
    _held: Option<std::process::ChildStdout>,
}

impl Server {
    /// With standard settings.
    pub fn start() -> Server {
        Setup::new().start()
    }

    /// With further flags.
    pub fn with(args: &[&str]) -> Server {
        Setup::new().args(args).start()
    }

    /// How to start another like it, on the same data.
    pub fn setup(&self) -> Setup {
        self.setup.clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the console shows so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.lock().expect("no test panics inside").clone()
    }

    pub fn stderr(&self) -> Vec<String> {
        self.stderr.lock().expect("no test panics inside").clone()
    }

    /// Where a file in its working directory lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.setup.path(name)
    }

    /// kill -9, and gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Starts it again on the same data, at the same port if that is still free; it must have ended.
    pub fn restart(self) -> Server {
        let mut this = self;
        this.kill();
        this.setup.clone().start()
    }

    /// `TERM` or `INT`.
    pub fn signal(&self, name: &str) {
        // No crate that sends signals is worth its place here.
        let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.pid())).status();
        assert!(status.expect("there is a shell").success());
    }

    /// Its exit status, once it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the end of the server", || self.child.try_wait().expect("it is our child"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// The numbers of the descriptors that it has open.
    pub fn open_files(&self) -> Vec<u64> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs");
        let number = |file: std::io::Result<fs::DirEntry>| file.ok()?.file_name().to_str()?.parse().ok();
        files.filter_map(number).collect()
    }

    /// Resident memory, in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    pub fn get(&self, target: &str) -> Response {
        Http::to(self).get(target)
    }

    /// The JSON of a 200.
    pub fn json(&self, target: &str) -> Value {
        let response = self.get(target);
        assert_eq!(response.status, 200, "GET {target}: {}", response.text());
        response.json()
    }

    pub fn post(&self, target: &str, body: &str) -> Response {
        Http::to(self).post(target, body)
    }

    /// Waits until a room has so many messages, or more.
    pub fn has_at_least(&self, room: &str, count: u64) {
        eventually(&format!("{count} messages in room {room:?}"), || {
            let list = self.json(&format!("/api/messages?room={room}&limit=1"));
            (list["total_count"].as_u64()? >= count).then_some(())
        });
    }

    /// Waits until a room has so many messages.
    pub fn has_messages(&self, room: &str, count: u64) {
        let mut seen = 0;
        eventually(&format!("{count} messages in room {room:?}"), || {
            seen = self.json(&format!("/api/messages?room={room}&limit=1"))["total_count"].as_u64().expect("a number");
            assert!(seen <= count, "there are {seen} messages in room {room:?}, want {count}");
            (seen == count).then_some(())
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("the server said: {:?}", self.stderr());
        }
    }
}
