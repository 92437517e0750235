//! The worker's memory of effects that cannot be repeated: an append-only file that is forced to disk in groups.
//!
//! Every append is written at once, so it survives the end of this process; [`Journal::durable`] waits until it also
//! survives the end of the machine. One thread forces the file to disk for everybody who waits.

pub mod state;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context, bail};
use tokio::sync::watch;
use worker_api::{Lease, Report};

use state::{Left, Record, State};

/// The file is written anew when it is longer than this and mostly past.
const COMPACT_AT: u64 = 8 << 20;

/// A place in the journal; see [`Journal::durable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// The journal cannot be written any more; nothing may be sent that it would have to remember.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal cannot be written: {0}")]
pub struct Broken(String);

/// An open journal. Clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    boot: Option<String>,
    log: Mutex<Log>,
    wake: Condvar,
    synced: watch::Sender<u64>,
    /// Held locked as long as the journal lives.
    _lock: File,
}

struct Log {
    file: Arc<File>,
    length: u64,
    state: State,
    written: u64,
    wanted: u64,
    broken: Option<Broken>,
    closing: bool,
}

impl Journal {
    /// Opens the journal in `folder` and says what the last process left to report.
    ///
    /// # Errors
    /// When another process holds it, or the folder cannot be written.
    pub fn open(folder: &Path, now: i64) -> anyhow::Result<(Self, Vec<Report>)> {
        Self::open_under(folder, boot_id(), now)
    }

    fn open_under(
        folder: &Path,
        boot: Option<String>,
        now: i64,
    ) -> anyhow::Result<(Self, Vec<Report>)> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let lock = lock(folder)?;
        let path = folder.join("journal.log");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        };
        let replay = state::replay(&bytes);
        if replay.damaged > 0 {
            tracing::error!(lines = replay.damaged, file = %path.display(), "the journal is damaged; what it cannot prove is reported as uncertain");
        }
        let left = match () {
            () if replay.damaged > 0 => Left::Damaged,
            () if boot.is_some() && replay.boot == boot => Left::All,
            () => Left::Durable,
        };
        let reports = replay.state.recover(left, now);
        let mut state = State::default();
        for report in &reports {
            state.apply(Record::Ended {
                report: report.clone(),
            });
        }
        let (file, length) = rewrite(folder, boot.clone(), &state)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            boot,
            log: Mutex::new(Log {
                file: Arc::new(file),
                length,
                state,
                written: 0,
                wanted: 0,
                broken: None,
                closing: false,
            }),
            wake: Condvar::new(),
            synced: watch::channel(0).0,
            _lock: lock,
        });
        let syncer = shared.clone();
        thread::Builder::new()
            .name("journal".into())
            .stack_size(128 * 1024)
            .spawn(move || syncer.run())
            .context("cannot start the journal's thread")?;
        Ok((Self { shared }, reports))
    }

    /// The request is in hand.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn claimed(&self, lease: &Lease) -> Result<Mark, Broken> {
        self.append(Record::Claimed {
            lease: lease.clone(),
        })
    }

    /// The server waits for the text.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn begun(&self, lease: &Lease) -> Result<Mark, Broken> {
        self.append(Record::Begun {
            lease: lease.clone(),
        })
    }

    /// The text leaves next.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn sending(&self, lease: &Lease) -> Result<Mark, Broken> {
        self.append(Record::Sending {
            lease: lease.clone(),
        })
    }

    /// How it ended.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn ended(&self, report: &Report) -> Result<Mark, Broken> {
        self.append(Record::Ended {
            report: report.clone(),
        })
    }

    /// Nothing is left to say of this lease.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn removed(&self, lease: &Lease) -> Result<Mark, Broken> {
        self.append(Record::Removed {
            lease: lease.clone(),
        })
    }

    /// Waits until everything up to `mark` is on disk.
    ///
    /// # Errors
    /// When the disk refused: what was written may or may not be there after the machine stops.
    pub async fn durable(&self, mark: Mark) -> Result<(), Broken> {
        let mut synced = self.shared.synced.subscribe();
        {
            let mut log = self.shared.log();
            if let Some(broken) = &log.broken {
                return Err(broken.clone());
            }
            if *synced.borrow_and_update() >= mark.0 {
                return Ok(());
            }
            log.wanted = log.wanted.max(mark.0);
        }
        self.shared.wake.notify_one();
        // The sender lives as long as `self`.
        let _ = synced.wait_for(|&done| done >= mark.0).await;
        match &self.shared.log().broken {
            Some(broken) => Err(broken.clone()),
            None => Ok(()),
        }
    }

    /// Whether it can still be written.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), Broken> {
        self.shared.log().broken.clone().map_or(Ok(()), Err)
    }

    /// How many leases it knows.
    pub fn len(&self) -> usize {
        self.shared.log().state.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn append(&self, record: Record) -> Result<Mark, Broken> {
        let line = state::encode(&record).map_err(|e| Broken(e.to_string()))?;
        let mut log = self.shared.log();
        if let Some(broken) = &log.broken {
            return Err(broken.clone());
        }
        if let Err(error) = (&*log.file).write_all(&line) {
            // A part of the line may be there: take it away, so that the next line starts on its own. A full disk
            // is no lasting fault; a file that cannot even be cut is.
            let length = log.length;
            if let Err(worse) = log.file.set_len(length) {
                return Err(self.shared.fail(&mut log, &worse));
            }
            return Err(Broken(error.to_string()));
        }
        log.length += line.len() as u64;
        log.state.apply(record);
        log.written += 1;
        Ok(Mark(log.written))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // The thread holds the other reference.
        if Arc::strong_count(&self.shared) <= 2 {
            self.shared.log().closing = true;
            self.shared.wake.notify_one();
        }
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut synced = 0;
        let mut log = self.log();
        loop {
            while log.wanted <= synced && !log.closing {
                log = self.wake.wait(log).unwrap_or_else(PoisonError::into_inner);
            }
            if log.closing {
                return;
            }
            let (file, target) = (log.file.clone(), log.written);
            drop(log);
            let result = file.sync_data();
            log = self.log();
            // Whoever waits must wake in either case; a failure is told to everybody from then on.
            if let Err(error) = result {
                self.fail(&mut log, &error);
            }
            synced = target;
            self.synced.send_replace(synced);
            if log.broken.is_none() && log.length > COMPACT_AT && log.state.len() < 4096 {
                match rewrite(&self.folder, self.boot.clone(), &log.state) {
                    Ok((file, length)) => {
                        log.file = Arc::new(file);
                        log.length = length;
                        synced = log.written;
                        self.synced.send_replace(synced);
                    }
                    Err(error) => {
                        self.fail(&mut log, &error);
                    }
                }
            }
        }
    }

    fn fail(&self, log: &mut Log, error: &io::Error) -> Broken {
        tracing::error!(%error, "the journal failed; nothing more is sent");
        let broken = Broken(error.to_string());
        log.broken = Some(broken.clone());
        broken
    }
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("journal.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another worker uses the folder {}: stop it, or give this one a folder of its own (SLUICE_WORKER_DATA)",
            folder.display()
        ),
        Err(TryLockError::Error(e)) => {
            Err(e).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Writes `state` as a whole new file in place of the old one; either the old or the new one is there at any time.
fn rewrite(folder: &Path, boot: Option<String>, state: &State) -> io::Result<(File, u64)> {
    let (path, fresh) = (folder.join("journal.log"), folder.join("journal.new"));
    let mut text = state::encode(&Record::Opened { version: 1, boot })?;
    for record in state.records() {
        text.extend(state::encode(&record)?);
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&fresh)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    File::open(folder)?.sync_all()?;
    let mut file = OpenOptions::new().append(true).open(&path)?;
    let length = file.seek(SeekFrom::End(0))?;
    Ok((file, length))
}

/// Linux's name for this run of the machine; none elsewhere, where a restart proves nothing then.
fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use worker_api::Outcome;

    use super::{
        state::tests::{ended, lease},
        *,
    };

    fn open(folder: &Path, boot: &str) -> (Journal, Vec<Outcome>) {
        // The last one's thread lets go of the lock a moment after the last handle is dropped.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        loop {
            match Journal::open_under(folder, Some(boot.into()), 9) {
                Ok((journal, reports)) => {
                    return (journal, reports.into_iter().map(|r| r.outcome).collect());
                }
                Err(_) if std::time::Instant::now() < deadline => thread::yield_now(),
                Err(e) => panic!("{e:#}"),
            }
        }
    }

    #[tokio::test]
    async fn each_state_survives_a_reopening_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, left) = open(folder.path(), "a");
        assert!(left.is_empty());
        journal
            .durable(journal.begun(&lease(1)).unwrap())
            .await
            .unwrap();
        drop(journal);
        let (journal, left) = open(folder.path(), "a");
        assert_eq!(left, [Outcome::Released]);
        journal.removed(&lease(1)).unwrap();
        journal.begun(&lease(2)).unwrap();
        journal.sending(&lease(2)).unwrap();
        journal.ended(&ended(3)).unwrap();
        drop(journal);
        // Once resolved, an entry keeps its meaning over further restarts.
        for boot in ["a", "b", "c"] {
            let (_journal, left) = open(folder.path(), boot);
            assert!(
                matches!(
                    &left[..],
                    [Outcome::Performed { .. }, Outcome::Uncertain { .. }]
                ),
                "{left:?}"
            );
        }
        let (journal, _) = open(folder.path(), "c");
        for id in [2, 3] {
            journal.removed(&lease(id)).unwrap();
        }
        drop(journal);
        assert!(open(folder.path(), "c").1.is_empty());
    }

    #[tokio::test]
    async fn after_a_restart_of_the_machine_begun_is_uncertain() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = open(folder.path(), "a");
        journal
            .durable(journal.begun(&lease(1)).unwrap())
            .await
            .unwrap();
        drop(journal);
        assert!(matches!(
            &open(folder.path(), "b").1[..],
            [Outcome::Uncertain { .. }]
        ));
    }

    #[test]
    fn a_second_worker_on_the_same_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (_journal, _) = open(folder.path(), "a");
        let error = Journal::open(folder.path(), 0)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("another worker uses the folder"), "{error}");
    }

    #[tokio::test]
    async fn a_long_journal_is_written_anew_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = open(folder.path(), "a");
        journal.begun(&lease(0)).unwrap();
        journal.sending(&lease(0)).unwrap();
        let mut length = 0;
        for id in 1..40_000 {
            journal.begun(&lease(id)).unwrap();
            let mark = journal.removed(&lease(id)).unwrap();
            if id % 10_000 == 0 {
                journal.durable(mark).await.unwrap();
            }
            length = length.max(journal.shared.log().length);
        }
        journal
            .durable(journal.ended(&ended(1)).unwrap())
            .await
            .unwrap();
        drop(journal);
        let (journal, left) = open(folder.path(), "a");
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(journal.shared.log().length < 4096);
    }
}
