//! A PostgreSQL server of one test, which the test takes down, fills and locks as it likes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use store_native::{Postgres, connect};

use crate::postgres::{other_user, programs};

/// A cluster in a folder of its own, and its server while it is up. Dropping it takes both away.
pub struct Cluster {
    folder: PathBuf,
    become_other: Vec<String>,
    server: Option<Child>,
}

impl Cluster {
    /// A cluster whose server is up, and takes so many connections.
    pub fn start(connections: u32) -> Cluster {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sluice-cluster-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder for PostgreSQL");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("a private folder");
        fs::write(folder.join("password"), "").expect("a file");
        let mut cluster = Cluster {
            become_other: other_user(&folder),
            folder,
            server: None,
        };
        cluster.make(connections);
        cluster.up();
        cluster
    }

    fn make(&self, connections: u32) {
        let mut command = self.command("initdb");
        command.args([
            "-U",
            "sluice",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        let output = command.output().expect("initdb");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        // Written and forgotten about by the machine, but never by the server: what it confirmed outlives its own end.
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = {connections}\n\
             fsync = off\nsynchronous_commit = on\nshared_buffers = 32MB\nautovacuum = off\n",
            self.folder.display()
        );
        let path = self.folder.join("data/postgresql.auto.conf");
        fs::write(&path, settings).expect("a file");
        let owner = fs::metadata(self.folder.join("data")).expect("a folder");
        let (uid, gid) = (owner.uid(), owner.gid());
        chown(&path, Some(uid), Some(gid)).expect("the owner of the cluster");
    }

    /// A program of PostgreSQL on this cluster, as a user who may run it.
    fn command(&self, program: &str) -> Command {
        let program = programs().join(program);
        let mut command = match self.become_other.split_first() {
            Some((first, others)) => {
                let mut command = Command::new(first);
                command.args(others).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.arg("-D").arg(self.folder.join("data"));
        command
    }

    /// Starts the server, and waits until it answers.
    pub fn up(&mut self) {
        let mut options = fs::File::options();
        let log = options.create(true).append(true);
        let log = log.open(self.folder.join("log")).expect("a log");
        let server = self
            .command("postgres")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        self.server = Some(server.expect("postgres"));
        let begun = Instant::now();
        while connect(&self.dsn("postgres")).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no PostgreSQL");
            sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server as its crash would: connections break, and the next start recovers.
    pub fn crash(&mut self) {
        if let Some(mut server) = self.server.take() {
            let pid = server.id().to_string();
            let _ = Command::new("kill").args(["-QUIT", &pid]).status();
            let _ = server.wait();
        }
    }

    /// How to reach a database as the administrator.
    pub fn dsn(&self, database: &str) -> String {
        let folder = self.folder.display();
        format!("host={folder} user=sluice dbname={database} connect_timeout=5")
    }

    /// A connection of the administrator's to a database.
    ///
    /// # Errors
    /// When the server takes no more.
    pub fn connect(&self, database: &str) -> store::Result<Postgres> {
        connect(&self.dsn(database))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.crash();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
