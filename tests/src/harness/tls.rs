//! A certificate authority for one test, by the `openssl` command.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// An authority and one certificate of it, for 127.0.0.1 and localhost.
pub struct Authority {
    dir: TempDir,
}

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let dir = TempDir::new().expect("a folder");
        std::fs::write(
            dir.path().join("leaf.ext"),
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n",
        )
        .expect("a file");
        let steps = [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=sink-authority \
             -keyout ca.key -out ca.pem",
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=sink -keyout leaf.key -out leaf.csr",
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile leaf.ext -out leaf.pem",
        ];
        for step in steps {
            openssl(dir.path(), step);
        }
        Authority { dir }
    }

    /// What clients must trust (PEM).
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The server's certificate (PEM).
    pub fn cert(&self) -> PathBuf {
        self.dir.path().join("leaf.pem")
    }

    /// The server's key (PEM).
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("leaf.key")
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

fn openssl(dir: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .output();
    let output = output.expect("the openssl command");
    assert!(
        output.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
