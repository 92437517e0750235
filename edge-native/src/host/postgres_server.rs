//! A real PostgreSQL server for tests, on a socket and a port of its own, that can be stopped and
//! started. It ends with the test process, however that ends.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const PASSWORD: &str = "it's secret";

/// A server with a database for each test.
pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    user: Vec<String>,
    port: u16,
    settings: String,
    _keeper: Child,
}

/// The server that tests share.
pub fn shared() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start("-c max_connections=200"));
    &SERVER
}

impl Server {
    /// Starts one.
    pub fn start(settings: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "sluice-host-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(folder.join("password"), PASSWORD).unwrap();
        let user = other_user(&folder);
        let programs = programs();
        let script = "trap '' INT TERM HUP; read -r _; folder=$1; shift; \
                      \"$@\" -D \"$folder/data\" -m immediate stop >/dev/null 2>&1; rm -rf \"$folder\"";
        let keeper = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&folder)
            .args(&user)
            .arg(programs.join("pg_ctl"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: free.local_addr().unwrap().port(),
            folder,
            programs,
            user,
            settings: settings.to_owned(),
            _keeper: keeper,
        };
        drop(free);
        server.run("initdb", |command| {
            command.args([
                "-U",
                "sluice",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C",
            ]);
            command
                .arg("--no-sync")
                .arg("--pwfile")
                .arg(server.folder.join("password"));
        });
        server.go();
        server
    }

    /// Starts it again.
    pub fn go(&self) {
        let options = format!(
            "-k {} -c listen_addresses=127.0.0.1 -p {} -c fsync=off -c shared_buffers=16MB {}",
            self.folder.display(),
            self.port,
            self.settings
        );
        self.run("pg_ctl", |command| {
            command.args(["-w", "-t", "60", "-o", &options, "-l"]);
            command.arg(self.folder.join("log")).arg("start");
        });
    }

    /// Stops it: `fast` or `immediate`.
    pub fn stop(&self, mode: &str) {
        self.run("pg_ctl", |command| {
            command.args(["-w", "-m", mode, "stop"]);
        });
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command)) {
        let program = self.programs.join(program);
        let mut command = match self.user.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.arg("-D").arg(self.folder.join("data"));
        arguments(&mut command);
        let output = fs::File::create(self.folder.join("output")).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let status = command.current_dir("/").status().unwrap();
        let said = || fs::read_to_string(self.folder.join("output")).unwrap_or_default();
        let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(status.success(), "{command:?}: {}{}", said(), log());
    }

    /// Other settings, from the next start on.
    pub fn set(&mut self, settings: String) {
        self.settings = settings;
    }

    /// Puts a file beside the data, readable for the server alone.
    pub fn put(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let owner = fs::metadata(self.folder.join("data")).unwrap();
        use std::os::unix::fs::MetadataExt;
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        path
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection string with keys and values, by the socket.
    pub fn socket_dsn(&self) -> String {
        format!(
            "host={} port={} user=sluice password='{}' dbname=postgres",
            self.folder.display(),
            self.port,
            PASSWORD.replace('\'', "\\'")
        )
    }

    /// A connection string as a URL, by the port.
    pub fn url(&self) -> String {
        let password = PASSWORD.replace('\'', "%27").replace(' ', "%20");
        format!(
            "postgres://sluice:{password}@127.0.0.1:{}/postgres",
            self.port
        )
    }
}

fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    folders.extend(
        installed
            .flatten()
            .map(|version| version.path().join("bin")),
    );
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
        .expect("PostgreSQL 15 or newer is needed: scripts/test installs it")
}

/// PostgreSQL refuses to run as root: then it runs as somebody else, whom the folder is given to.
fn other_user(folder: &Path) -> Vec<String> {
    if !rustix::process::getuid().is_root() {
        return Vec::new();
    }
    let id = |flag: &str| {
        let output = Command::new("id").args([flag, "postgres"]).output().ok()?;
        String::from_utf8(output.stdout)
            .ok()?
            .trim()
            .parse::<u32>()
            .ok()
    };
    let (uid, gid) = (id("-u").unwrap_or(65534), id("-g").unwrap_or(65534));
    for path in [folder, &folder.join("password")] {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
    [
        "setpriv".into(),
        format!("--reuid={uid}"),
        format!("--regid={gid}"),
        "--clear-groups".into(),
    ]
    .to_vec()
}
