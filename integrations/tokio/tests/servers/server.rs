//! Servers that a test starts, and that end with it.
#![allow(dead_code, reason = "not all tests that include this file need each kind of server")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

/// A server on a port, of the loopback interface if nothing else is said. It is killed when this is dropped.
pub(crate) struct Server {
    kind: Kind,
    binary: PathBuf,
    host: &'static str,
    port: u16,
    child: Child,
    // Dropped last.
    directory: Directory,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Postgres,
    /// With connections that are encrypted, and no others.
    EncryptedPostgres,
    Redis,
    /// With a file to which it appends what it confirms.
    DurableRedis,
    EncryptedRedis,
}

impl Kind {
    fn is_postgres(self) -> bool {
        matches!(self, Self::Postgres | Self::EncryptedPostgres)
    }
}

const LOOPBACK: &str = "127.0.0.1";

impl Server {
    /// Starts PostgreSQL. `None` if it is not installed.
    pub(crate) fn postgres() -> Option<Self> {
        Self::postgres_at(LOOPBACK)
    }

    /// Starts PostgreSQL at this address, for all hosts of its network. `None` if it is not installed.
    pub(crate) fn postgres_at(host: &'static str) -> Option<Self> {
        let (binary, directory) = Self::prepare_postgres()?;
        let mut rules = fs::OpenOptions::new();
        let rules = rules.append(true).open(directory.0.join("data/pg_hba.conf"));
        rules.unwrap().write_all(b"host all all samenet trust\n").unwrap();
        Some(Self::start(Kind::Postgres, host, binary, directory))
    }

    /// Starts PostgreSQL with encrypted connections. `None` if it is not installed, or OpenSSL is not.
    pub(crate) fn encrypted_postgres() -> Option<Self> {
        let (binary, directory) = Self::prepare_postgres()?;
        make_certificates(&directory.0)?;
        let rules = "hostssl all all 127.0.0.1/32 trust\n";
        fs::write(directory.0.join("data/pg_hba.conf"), rules).unwrap();
        Some(Self::start(Kind::EncryptedPostgres, LOOPBACK, binary, directory))
    }

    fn prepare_postgres() -> Option<(PathBuf, Directory)> {
        let binary = find("postgres", "postgresql")?;
        let directory = Directory::new();
        // Where `postgres` is a link, `initdb` is at its other end.
        let initdb = fs::canonicalize(&binary).unwrap().with_file_name("initdb");
        let initdb = command(Kind::Postgres, &initdb)
            .args(["--auth=trust", "--username=moirai", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(directory.0.join("data"))
            .output()
            .expect("initdb is beside postgres");
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        Some((binary, directory))
    }

    /// Starts redis-server. `None` if it is not installed.
    pub(crate) fn redis() -> Option<Self> {
        let binary = find("redis-server", "redis-server")?;
        Some(Self::start(Kind::Redis, LOOPBACK, binary, Directory::new()))
    }

    /// Starts redis-server with encrypted connections. `None` if it is not installed, or OpenSSL is not.
    pub(crate) fn encrypted_redis() -> Option<Self> {
        let binary = find("redis-server", "redis-server")?;
        let directory = Directory::new();
        make_certificates(&directory.0)?;
        Some(Self::start(Kind::EncryptedRedis, LOOPBACK, binary, directory))
    }

    /// Starts redis-server, and has it keep what it has confirmed when it crashes. `None` if it is not installed.
    pub(crate) fn durable_redis() -> Option<Self> {
        Self::durable_redis_at(LOOPBACK)
    }

    /// Starts such a redis-server at this address, for all hosts. `None` if it is not installed.
    pub(crate) fn durable_redis_at(host: &'static str) -> Option<Self> {
        let binary = find("redis-server", "redis-server")?;
        Some(Self::start(Kind::DurableRedis, host, binary, Directory::new()))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of who has signed that of an encrypted server.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.0.join("authority.crt")
    }

    /// Kills it, as a crash would, and starts it again on the same port.
    pub(crate) fn crash_and_restart(&mut self) {
        self.kill();
        let started = Instant::now();
        loop {
            let address = (self.host, self.port);
            self.child = spawn(self.kind, &self.binary, &self.directory.0, address);
            if accepts(self.kind, &mut self.child, address) {
                return;
            }
            // What a killed PostgreSQL leaves behind may take a moment to end.
            assert!(started.elapsed() < LONG, "{:?} did not start again", self.kind);
            self.child.wait().unwrap();
        }
    }

    fn start(kind: Kind, host: &'static str, binary: PathBuf, directory: Directory) -> Self {
        // The port may be taken between our look and the server's.
        for _ in 0..10 {
            let port = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().port();
            let mut child = spawn(kind, &binary, &directory.0, (host, port));
            if accepts(kind, &mut child, (host, port)) {
                return Self { kind, binary, directory, host, port, child };
            }
            child.wait().unwrap();
        }
        let log = fs::read_to_string(directory.0.join("log")).unwrap_or_default();
        panic!("{kind:?} does not start:\n{log}");
    }

    fn kill(&mut self) {
        match self.kind {
            // It has processes of its own, which it ends on this signal; nothing is saved.
            Kind::Postgres | Kind::EncryptedPostgres => {
                let pid = rustix::process::Pid::from_child(&self.child);
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            }
            Kind::Redis | Kind::DurableRedis | Kind::EncryptedRedis => drop(self.child.kill()),
        }
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The path of `program`, which Debian's package `package` installs. Says so where it is not.
fn find(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian has the programs of each version of PostgreSQL in a directory of its own.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let directories = std::env::split_paths(&path).chain(versions.map(|v| v.path().join("bin")));
    let found = directories.map(|d| d.join(program)).find(|path| path.is_file());
    if found.is_none() {
        let line = format!("{program} was not found: install Debian's package {package}");
        assert!(std::env::var_os("MOIRAI_REQUIRE_SERVERS").is_none(), "{line}");
        // Not by `eprintln`, which the test harness captures.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {line}");
    }
    found
}

/// A new directory, which belongs to the user that the servers run as, and is removed when this is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("moirai-servers-{}-{number}", std::process::id());
        let directory = Self(std::env::temp_dir().join(name));
        fs::create_dir(&directory.0).unwrap();
        if let Some((user, group)) = unprivileged() {
            std::os::unix::fs::chown(&directory.0, Some(user), Some(group)).unwrap();
        }
        directory
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The user and group to run servers as, since PostgreSQL refuses to run as root. `None` if this process is not root's.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids_of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    Some(ids_of("postgres").or_else(|| ids_of("nobody")).expect("each Linux has the user nobody"))
}

fn command(kind: Kind, binary: &Path) -> Command {
    let mut command = Command::new(binary);
    if let (true, Some((user, group))) = (kind.is_postgres(), unprivileged()) {
        command.gid(group).uid(user);
    }
    // A directory that the user may enter.
    command.current_dir("/");
    command.stdin(Stdio::null());
    command
}

fn spawn(kind: Kind, binary: &Path, directory: &Path, (host, port): (&str, u16)) -> Child {
    let mut command = command(kind, binary);
    let (port, file) = (port.to_string(), |name: &str| directory.join(name));
    if kind.is_postgres() {
        command.args(["-h", host, "-k", "", "-F", "-c", "max_connections=50", "-p", &port, "-D"]);
        command.arg(file("data"));
        if kind == Kind::EncryptedPostgres {
            command.args(["-c", "ssl=on", "-c"]);
            command.arg(format!("ssl_cert_file={}", file("server.crt").display()));
            command.arg("-c").arg(format!("ssl_key_file={}", file("server.key").display()));
        }
    } else {
        command.args(["--bind", host, "--protected-mode", "no", "--save", "", "--dir"]);
        command.arg(directory);
        match kind {
            Kind::EncryptedRedis => {
                command.args(["--port", "0", "--tls-auth-clients", "no", "--tls-port", &port]);
                command.arg("--tls-cert-file").arg(file("server.crt"));
                command.arg("--tls-key-file").arg(file("server.key"));
                command.arg("--tls-ca-cert-file").arg(file("authority.crt"));
            }
            Kind::DurableRedis => {
                command.args(["--port", &port, "--appendonly", "yes", "--appendfsync", "always"]);
            }
            _ => drop(command.args(["--port", &port])),
        }
    }
    let log = fs::OpenOptions::new().create(true).append(true).open(file("log")).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// Makes an authority, `authority.crt`, and a key and a certificate of the loopback interface that it has signed, `server.key` and
/// `server.crt`. `None` if OpenSSL is not installed.
fn make_certificates(directory: &Path) -> Option<()> {
    let openssl = find("openssl", "openssl")?;
    let make = |name: &str, subject: &str, further: &[&str]| {
        // Whom the server runs as owns its key.
        let output = command(Kind::EncryptedPostgres, &openssl)
            .current_dir(directory)
            .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", subject])
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")])
            .args(further)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    make("authority", "/CN=authority", &[]);
    let signed = ["-CA", "authority.crt", "-CAkey", "authority.key", "-addext"];
    let of = ["subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
    make("server", "/CN=server", &[&signed[..], &of].concat());
    Some(())
}

/// Waits until `child` accepts connections, or has ended, which is `false`.
fn accepts(kind: Kind, child: &mut Child, address: (&str, u16)) -> bool {
    let started = Instant::now();
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let tells_whose_it_is = matches!(kind, Kind::Redis | Kind::DurableRedis);
        if let Ok(stream) = TcpStream::connect(address)
            && (!tells_whose_it_is || is_of(child, stream))
        {
            return true;
        }
        assert!(started.elapsed() < LONG, "nothing accepts connections at {address:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether it is this Redis that has accepted the connection, and not one of another test that was faster to take the port.
fn is_of(child: &Child, mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut answer = [0; 4096];
    let mut length = 0;
    let expected = format!("\r\nprocess_id:{}\r\n", child.id());
    if stream.write_all(b"INFO server\r\n").is_err() {
        return false;
    }
    while let Ok(read @ 1..) = stream.read(&mut answer[length..]) {
        length += read;
        if String::from_utf8_lossy(&answer[..length]).contains(&expected) {
            return true;
        }
        // The last of what it says of itself.
        if answer[..length].ends_with(b"\r\n\r\n") {
            break;
        }
    }
    false
}
