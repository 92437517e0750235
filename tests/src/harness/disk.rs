//! A disk that is soon full: a tmpfs, which only root may mount.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted disk. Dropping it takes it away, with all that is on it.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// A disk of so many megabytes over a folder.
    ///
    /// # Errors
    /// What the system says to whoever may not.
    pub(super) fn mount(folder: &Path, megabytes: u32) -> Result<SmallDisk, String> {
        let size = format!("size={megabytes}m,mode=0777");
        let mut command = as_root("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]);
        let output = command.arg(folder).output().map_err(|e| e.to_string())?;
        match output.status.success() {
            true => Ok(SmallDisk {
                folder: folder.to_path_buf(),
            }),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    /// A file that takes room until it is removed.
    pub fn ballast(&self, megabytes: usize) -> PathBuf {
        let path = self.folder.join("ballast");
        std::fs::write(&path, vec![1; megabytes << 20]).expect("room for the ballast");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The host may still have files open on it.
        let _ = as_root("umount").arg("-l").arg(&self.folder).status();
    }
}

/// A command as root: by `sudo`, where that asks for no password, for whoever is somebody else.
fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}
