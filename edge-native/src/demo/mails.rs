//! The mails that the demo caught, newest last, as files that any mail program opens.

use anyhow::Result;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The oldest go when there are more.
const KEPT: usize = 2000;

/// The mails in one folder.
pub struct Mails {
    folder: PathBuf,
    numbers: Mutex<VecDeque<u64>>,
}

impl Mails {
    /// Opens the folder, making it if it is missing.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".eml"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(Self {
            folder: folder.to_owned(),
            numbers: Mutex::new(numbers.into()),
        })
    }

    /// Keeps a mail; it is on disk before its sender is told so.
    pub fn add(&self, mail: &[u8]) -> Result<u64> {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.back().map_or(1, |last| last + 1);
        std::fs::write(self.path(number), mail)?;
        numbers.push_back(number);
        while numbers.len() > KEPT {
            if let Some(oldest) = numbers.pop_front() {
                let _ = std::fs::remove_file(self.path(oldest));
            }
        }
        Ok(number)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// The newest, newest first.
    pub fn newest(&self, most: usize) -> Vec<u64> {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.iter().rev().take(most).copied().collect()
    }

    /// A mail as it came.
    pub fn read(&self, number: u64) -> Option<Vec<u8>> {
        std::fs::read(self.path(number)).ok()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.eml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_two_thousand_mails_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mails = Mails::open(folder.path()).unwrap();
        for number in 1..=KEPT as u64 + 3 {
            assert_eq!(
                mails.add(format!("Subject: {number}").as_bytes()).unwrap(),
                number
            );
        }
        let mails = Mails::open(folder.path()).unwrap();
        assert_eq!(mails.count(), KEPT);
        assert_eq!(mails.newest(2), [2003, 2002]);
        assert_eq!(mails.read(4).unwrap(), b"Subject: 4");
        assert!(mails.read(3).is_none());
    }
}
