//! The data folder: who may use it, where things are in it, and the secrets it keeps.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A data folder that this process holds alone.
pub struct DataFolder {
    root: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is missing and locks it against other hosts.
    pub fn open(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)
            .with_context(|| format!("the data folder {} cannot be made", root.display()))?;
        let path = root.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("the data folder {} is not writable", root.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another host is running on the data folder {}",
                    root.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
        Ok(Self {
            root: root.canonicalize()?,
            _lock: lock,
        })
    }

    /// SQLite databases, one file for each label.
    pub fn databases(&self) -> PathBuf {
        self.root.join("sqlite")
    }

    /// Key-value stores, one file for each label.
    pub fn stores(&self) -> PathBuf {
        self.root.join("key_value")
    }

    /// Compiled code.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Certificates that were asked for.
    pub fn certs(&self) -> PathBuf {
        self.root.join("certs")
    }

    /// The worker's journal.
    pub fn worker(&self) -> PathBuf {
        self.root.join("worker")
    }

    /// The installation's own mails, while it has no relay.
    pub fn mails(&self) -> PathBuf {
        self.root.join("mails")
    }

    /// The mails that the demo caught.
    pub fn demo_mails(&self) -> PathBuf {
        self.root.join("demo").join("mails")
    }

    /// The secrets.
    pub fn secrets(&self) -> Result<Secrets> {
        Secrets::read(self.root.join("secrets.toml"))
    }
}

/// Secrets that were generated once and are kept in a file that only its owner reads.
pub struct Secrets {
    path: PathBuf,
    known: BTreeMap<String, String>,
}

impl Secrets {
    fn read(path: PathBuf) -> Result<Self> {
        let known = match std::fs::read_to_string(&path) {
            Ok(text) => {
                toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        Ok(Self { path, known })
    }

    /// The secret of that name, made and kept when it is asked for the first time.
    pub fn get(&mut self, name: &str) -> Result<String> {
        if let Some(secret) = self.known.get(name) {
            return Ok(secret.clone());
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let secret = bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        self.known.insert(name.to_owned(), secret.clone());
        self.write()?;
        Ok(secret)
    }

    /// What is kept under a name, if anything is.
    pub fn known(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(String::as_str)
    }

    /// Keeps values that came from elsewhere, all of them or none.
    pub fn set(&mut self, values: &[(&str, String)]) -> Result<()> {
        for (name, value) in values {
            self.known.insert((*name).to_owned(), value.clone());
        }
        self.write()
    }

    /// Written whole beside the old file and renamed over it: a crash loses no secret.
    fn write(&self) -> Result<()> {
        let text = toml::to_string(&self.known)?;
        let fresh = self.path.with_extension("new");
        let options = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .clone();
        let mut file = options.open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(std::fs::rename(&fresh, &self.path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_kept_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let secret = {
            let data = DataFolder::open(folder.path()).unwrap();
            data.secrets().unwrap().get("worker_token").unwrap()
        };
        assert_eq!(secret.len(), 64);
        let data = DataFolder::open(folder.path()).unwrap();
        let mut again = data.secrets().unwrap();
        assert_eq!(again.get("worker_token").unwrap(), secret);
        assert_ne!(again.get("node_secret").unwrap(), secret);
        let mode = folder
            .path()
            .join("secrets.toml")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn two_hosts_do_not_share_a_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _first = DataFolder::open(folder.path()).unwrap();
        let second = DataFolder::open(folder.path()).err().unwrap();
        assert!(
            second.to_string().contains("another host is running"),
            "{second}"
        );
    }
}
