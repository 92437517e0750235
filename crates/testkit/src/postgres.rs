//! A real PostgreSQL server for the tests of one process, on a socket in a folder of its own, and databases on it that
//! come and go with a test.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use store::migrate::{MASTER, SLAVE, TENANT, migrate};
use store::{Db, Engine, Result, Row, Value};
use store_native::{Postgres, connect};

/// The server of this process, started when it is first asked for. It ends with the process, however that ends.
pub fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
    &SERVER
}

/// A running server.
pub struct Server {
    folder: PathBuf,
    admin: Mutex<Postgres>,
    next: AtomicU64,
    /// The shell that ends the server when its standard input closes.
    _keeper: Child,
}

const USER: &str = "sluice";
const PASSWORD: &str = "of the tests";

/// Makes a cluster, serves it, and takes it away when whoever holds the other end of standard input is gone.
const KEEPER: &str = r#"
trap '' INT TERM HUP
folder=$1 bin=$2
shift 2
"$@" "$bin/initdb" -D "$folder/data" -U sluice --pwfile="$folder/password" -A scram-sha-256 -E UTF8 --locale=C --no-sync ||
    { echo FAILED; rm -rf "$folder/data"; exit 1; }
"$@" "$bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c max_connections=100 -c shared_buffers=32MB \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off -c max_wal_size=256MB &
pid=$!
read -r _
kill -QUIT $pid
wait $pid
rm -rf "$folder"
"#;

impl Server {
    fn start() -> Server {
        let bin = programs();
        let name = format!("sluice-pg-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder for PostgreSQL");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("a private folder");
        let mut password = fs::File::create(folder.join("password")).expect("a file");
        writeln!(password, "{PASSWORD}").expect("a line");
        let become_other = other_user(&folder);
        let log = fs::File::create(folder.join("log")).expect("a log");
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .args([&folder, &bin])
            .args(become_other)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("a shell");
        let admin = wait(&folder);
        Server {
            folder,
            admin: Mutex::new(admin),
            next: AtomicU64::new(0),
            _keeper: keeper,
        }
    }

    /// How to reach a database as the administrator.
    pub fn dsn(&self, database: &str) -> String {
        dsn(&self.folder, database)
    }

    /// Runs a statement as the administrator.
    pub fn run(&self, sql: &str) {
        let admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        admin.execute(sql, &[]).expect("the administrator may");
    }

    /// A new database: a copy of `template`.
    fn create(&self, template: &str) -> String {
        let name = format!("test_{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.run(&format!(
            "create database {name} template {template} strategy file_copy"
        ));
        name
    }
}

fn dsn(folder: &Path, database: &str) -> String {
    format!(
        "host={} user={USER} password='{PASSWORD}' dbname={database} connect_timeout=5",
        folder.display()
    )
}

/// Where `initdb` and `postgres` are: PATH first, then the newest that Debian has.
pub(crate) fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let version = |p: &PathBuf| -> u32 {
            let name = p.file_name().map(|n| n.to_string_lossy().into_owned());
            name.and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        let mut versions: Vec<_> = versions.flatten().map(|e| e.path()).collect();
        versions.sort_by_key(|p| std::cmp::Reverse(version(p)));
        folders.extend(versions.into_iter().map(|p| p.join("bin")));
    }
    let complete = |f: &PathBuf| f.join("initdb").exists() && f.join("postgres").exists();
    folders.into_iter().find(complete).expect(
        "PostgreSQL 15 or newer is needed for the tests: scripts/test installs it, or put initdb and postgres in PATH",
    )
}

/// PostgreSQL refuses to run as root: then it runs as somebody else, whom the folder is given to.
pub(crate) fn other_user(folder: &Path) -> Vec<String> {
    let output = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    if output("id", &["-u"]).as_deref() != Some("0") {
        return Vec::new();
    }
    let known = |user: &&&str| output("id", &["-u", user]).is_some();
    let user = ["postgres", "nobody"]
        .iter()
        .find(known)
        .expect("a user that is not root");
    let id = |flag| output("id", &[flag, user]).and_then(|id| id.parse::<u32>().ok());
    let (uid, gid) = (id("-u"), id("-g"));
    for path in [folder, &folder.join("password")] {
        chown(path, uid, gid).expect("root gives files away");
    }
    let (uid, gid) = (uid.unwrap_or(65534), gid.unwrap_or(65534));
    [
        "setpriv",
        &format!("--reuid={uid}"),
        &format!("--regid={gid}"),
        "--clear-groups",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn wait(folder: &Path) -> Postgres {
    let begun = Instant::now();
    loop {
        let error = match connect(&dsn(folder, "postgres")) {
            Ok(admin) => return admin,
            Err(e) => e,
        };
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        if begun.elapsed() > Duration::from_secs(60) || log.contains("FAILED") {
            panic!("PostgreSQL does not start ({error}):\n{log}");
        }
        sleep(Duration::from_millis(20));
    }
}

/// What a new database begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Empty,
    /// The schema of the master.
    Master,
    /// The schema of a slave's control database.
    Slave,
    /// The schema of a sub-account.
    Tenant,
}

impl Kind {
    /// A database to copy, brought up to date once in a process.
    fn template(self) -> &'static str {
        static TEMPLATES: LazyLock<[String; 3]> = LazyLock::new(|| {
            [MASTER, SLAVE, TENANT].map(|migrations| {
                let name = server().create("template0");
                let db = connect(&server().dsn(&name)).expect("a database");
                migrate(&db, migrations).expect("the schema is valid");
                name
            })
        });
        match self {
            Kind::Empty => "template0",
            Kind::Master => &TEMPLATES[0],
            Kind::Slave => &TEMPLATES[1],
            Kind::Tenant => &TEMPLATES[2],
        }
    }
}

/// A database on the server, gone when it is dropped.
pub struct Scratch {
    db: Option<Postgres>,
    name: String,
}

impl Scratch {
    /// A new one.
    pub fn new(kind: Kind) -> Scratch {
        let name = server().create(kind.template());
        let db = connect(&server().dsn(&name)).expect("a database");
        Scratch { db: Some(db), name }
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Another connection to it.
    pub fn again(&self) -> Postgres {
        connect(&server().dsn(&self.name)).expect("a database")
    }

    fn db(&self) -> &Postgres {
        self.db.as_ref().expect("it is there until it is dropped")
    }

    /// Prepares a statement for the values it is asked with, without running it.
    ///
    /// # Errors
    /// When the statement does not fit the schema.
    pub fn check(&self, sql: &str, params: &[Value]) -> Result<()> {
        let statement = store::dialect::statement(sql, params);
        self.db().wire().check(&statement.sql)
    }
}

impl Db for Scratch {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        self.db().query(sql, params)
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        self.db().execute(sql, params)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.db = None;
        let admin = server()
            .admin
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // It goes with the server at the latest.
        let _ = admin.execute(&format!("drop database {} with (force)", self.name), &[]);
    }
}
