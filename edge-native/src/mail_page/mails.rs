//! Mails as files in a folder, in the order of their names, that any mail program opens.

use anyhow::Result;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The oldest go when there are more.
const KEPT: usize = 2000;

/// The mails in one folder. Somebody else may put mails there too.
pub struct Mails {
    folder: PathBuf,
    /// What the next mail that is added here is called.
    next: Mutex<u64>,
}

impl Mails {
    /// Opens the folder, making it if it is missing.
    pub fn open(folder: &Path) -> Result<Self> {
        // For their owner's eyes: links in mails open accounts.
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        let mails = Self {
            folder: folder.to_owned(),
            next: Mutex::new(1),
        };
        let numbers = mails.names();
        let last = numbers.iter().filter_map(|name| name.parse::<u64>().ok());
        let last = last.max().unwrap_or(0);
        Ok(Self {
            next: Mutex::new(last + 1),
            ..mails
        })
    }

    /// Keeps a mail; it is on disk before its sender is told so.
    pub fn add(&self, mail: &[u8]) -> Result<String> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{next:08}");
        std::fs::write(self.path(&name), mail)?;
        *next += 1;
        let names = self.names();
        for oldest in names.iter().take(names.len().saturating_sub(KEPT)) {
            let _ = std::fs::remove_file(self.path(oldest));
        }
        Ok(name)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.names().len()
    }

    /// The newest, newest first.
    pub fn newest(&self, most: usize) -> Vec<String> {
        self.names().into_iter().rev().take(most).collect()
    }

    /// A mail as it came.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (plain && !name.is_empty()).then(|| std::fs::read(self.path(name)).ok())?
    }

    /// All names, oldest first.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.ok()?.file_name();
            Some(name.to_str()?.strip_suffix(".eml")?.to_owned())
        };
        let mut names: Vec<_> = entries.filter_map(name).collect();
        names.sort_unstable();
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.eml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_two_thousand_mails_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=KEPT + 2 {
            let path = folder.path().join(format!("{number:08}.eml"));
            std::fs::write(path, format!("Subject: {number}")).unwrap();
        }
        let mails = Mails::open(folder.path()).unwrap();
        assert_eq!(mails.add(b"Subject: last").unwrap(), "00002003");
        let mails = Mails::open(folder.path()).unwrap();
        assert_eq!(mails.count(), KEPT);
        assert_eq!(mails.newest(2), ["00002003", "00002002"]);
        assert_eq!(mails.read("00000004").unwrap(), b"Subject: 4");
        assert!(mails.read("00000003").is_none());
        assert!(mails.read("../mails/00000004").is_none());
    }
}
