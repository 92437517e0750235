//! The connections of all labels: opened lazily, pooled for each label, bounded over all labels.

use super::sqlite_queue::WriteQueue;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How safe a commit is against a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Synchronous {
    /// A power cut may lose the last commits, never consistency.
    #[default]
    Normal,
    /// Every commit waits for the disk.
    Full,
}

/// An idle connection is closed after this long.
const IDLE: Duration = Duration::from_secs(60);
/// Idle connections kept for each label.
const IDLE_PER_LABEL: usize = 64;
/// Statements kept prepared for each connection.
const STATEMENTS: usize = 128;

/// All databases of the application.
pub struct Databases {
    folder: PathBuf,
    synchronous: Synchronous,
    most: usize,
    open: AtomicUsize,
    labels: HashMap<String, Arc<Label>>,
}

/// One database file and its idle connections.
pub struct Label {
    path: PathBuf,
    idle: Mutex<Vec<Idle>>,
    /// Writers that found the database busy, served one after the other.
    pub queue: WriteQueue,
}

struct Idle {
    connection: Connection,
    tainted: Arc<AtomicBool>,
    since: Instant,
}

impl Databases {
    /// The databases of `labels` under `folder`, with at most `most` open connections.
    pub fn new<'l>(
        folder: &Path,
        synchronous: Synchronous,
        most: usize,
        labels: impl Iterator<Item = &'l str>,
    ) -> Self {
        let label = |name: &str| {
            let path = folder.join(format!("{name}.db"));
            let label = Label {
                path,
                idle: Mutex::default(),
                queue: WriteQueue::default(),
            };
            (name.to_owned(), Arc::new(label))
        };
        let labels = labels.map(label).collect();
        Self {
            folder: folder.to_owned(),
            synchronous,
            most,
            open: AtomicUsize::new(0),
            labels,
        }
    }

    /// The label of that name.
    pub fn label(&self, name: &str) -> Option<&Arc<Label>> {
        self.labels.get(name)
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Takes a connection out of the label's pool, or opens one.
    pub fn take(self: &Arc<Self>, label: &Arc<Label>) -> Result<Pooled, rusqlite::Error> {
        if let Some(idle) = label.lock().pop() {
            return Ok(self.pooled(label, idle.connection, idle.tainted));
        }
        if self.open.load(Relaxed) >= self.most {
            self.close_idle(Duration::ZERO);
        }
        let tainted = Arc::new(AtomicBool::new(false));
        let connection = self.connect(&label.path, &tainted)?;
        self.open.fetch_add(1, Relaxed);
        Ok(self.pooled(label, connection, tainted))
    }

    fn pooled(
        self: &Arc<Self>,
        label: &Arc<Label>,
        connection: Connection,
        tainted: Arc<AtomicBool>,
    ) -> Pooled {
        Pooled {
            connection: Some(connection),
            tainted,
            label: label.clone(),
            databases: self.clone(),
        }
    }

    /// Closes connections that have been idle for longer than usual.
    pub fn close_expired(&self) {
        self.close_idle(IDLE);
    }

    fn close_idle(&self, older: Duration) {
        for label in self.labels.values() {
            let expired: Vec<Idle> = {
                let mut idle = label.lock();
                idle.extract_if(.., |one| one.since.elapsed() >= older)
                    .collect()
            };
            self.open.fetch_sub(expired.len(), Relaxed);
        }
    }

    /// Moves what is in the write-ahead logs into the databases and closes everything idle.
    pub fn checkpoint(&self) {
        for (name, label) in &self.labels {
            let idle: Vec<Idle> = label.lock().drain(..).collect();
            self.open.fetch_sub(idle.len(), Relaxed);
            let Some(last) = idle.into_iter().next() else {
                continue;
            };
            let done = last
                .connection
                .pragma_update(None, "wal_checkpoint", "TRUNCATE");
            if let Err(error) = done {
                tracing::warn!(label = name, %error, "the write-ahead log was not checkpointed");
            }
        }
    }

    fn connect(
        &self,
        path: &Path,
        tainted: &Arc<AtomicBool>,
    ) -> Result<Connection, rusqlite::Error> {
        if !path.exists() {
            let _ = std::fs::create_dir_all(&self.folder);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        super::sqlite_query::watch(&mut connection)?;
        // Only while opening: two first connections may both want to turn on the write-ahead log.
        connection.busy_timeout(Duration::from_secs(5))?;
        let synchronous = match self.synchronous {
            Synchronous::Normal => "NORMAL",
            Synchronous::Full => "FULL",
        };
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
             PRAGMA foreign_keys = ON; PRAGMA cache_size = -4096; PRAGMA mmap_size = 268435456;
             PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;",
        ))?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let tainted = tainted.clone();
        connection.authorizer(Some(move |context: AuthContext| {
            authorize(&context, &tainted)
        }))?;
        Ok(connection)
    }
}

/// No statement reaches another file; one that changes the connection itself taints it, and a
/// tainted connection is closed instead of given to the next user.
fn authorize(context: &AuthContext, tainted: &AtomicBool) -> Authorization {
    match context.action {
        AuthAction::Attach { filename } if !filename.is_empty() => Authorization::Deny,
        AuthAction::Function {
            function_name: "load_extension",
        } => Authorization::Deny,
        AuthAction::Pragma { pragma_name, .. } if pragma_name.ends_with("_store_directory") => {
            Authorization::Deny
        }
        AuthAction::Pragma {
            pragma_value: Some(_),
            ..
        }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => {
            tainted.store(true, Relaxed);
            Authorization::Allow
        }
        _ => Authorization::Allow,
    }
}

impl Label {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on loan. Dropped, it is rolled back and returned.
pub struct Pooled {
    connection: Option<Connection>,
    tainted: Arc<AtomicBool>,
    label: Arc<Label>,
    databases: Arc<Databases>,
}

impl Pooled {
    /// The connection.
    pub fn get(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let in_transaction = !connection.is_autocommit();
        let clean = !in_transaction || connection.execute_batch("ROLLBACK").is_ok();
        if in_transaction {
            self.label.queue.ended();
        }
        let mut idle = self.label.lock();
        let keep = clean && !self.tainted.load(Relaxed) && idle.len() < IDLE_PER_LABEL;
        if keep && self.databases.open.load(Relaxed) <= self.databases.most {
            let tainted = self.tainted.clone();
            idle.push(Idle {
                connection,
                tainted,
                since: Instant::now(),
            });
        } else {
            self.databases.open.fetch_sub(1, Relaxed);
        }
    }
}
