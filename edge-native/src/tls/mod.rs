//! Certificates: found in folders, chosen by the name that a client asks for, and read again when
//! the files change.

pub mod door;
pub mod x509;

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;
use tokio::sync::Notify;
use tokio_rustls::rustls;
use x509::Facts;

/// The cryptography of the host: one library for everything.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// All certificates of the host.
pub struct Certificates {
    /// The operator's folder; what it has, wins.
    own: Option<PathBuf>,
    /// The folder of those that the host asked for.
    managed: PathBuf,
    known: RwLock<Arc<Known>>,
    seen: Mutex<Vec<Trace>>,
    /// Told when a client asks for a name without a certificate.
    pub asked: Notify,
}

/// What one moment's files gave.
#[derive(Default)]
struct Known {
    by_name: HashMap<String, Arc<Certificate>>,
    /// For clients that name no host, as they do when they use an address.
    nameless: Option<Arc<Certificate>>,
}

/// One certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// Its names and dates.
    pub facts: Facts,
    /// Whether the host asked for it.
    pub managed: bool,
}

/// A file as it was when it was read.
type Trace = (PathBuf, Option<SystemTime>, u64);

impl Certificates {
    /// The certificates of the operator's folder and the host's; nothing is read yet.
    pub fn new(own: Option<PathBuf>, managed: PathBuf) -> Self {
        Self {
            own,
            managed,
            known: RwLock::default(),
            seen: Mutex::default(),
            asked: Notify::new(),
        }
    }

    /// Reads everything again if a file changed, and says what is wrong with those that cannot be
    /// used. What was read before goes on being used in their place, and all of it while a folder
    /// cannot be read.
    pub fn refresh(&self) -> Vec<String> {
        let pairs = match self.pairs() {
            Ok(pairs) => pairs,
            Err(error) => return vec![format!("{error:#}")],
        };
        let traces: Vec<Trace> = pairs.iter().flat_map(Pair::traces).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == traces {
            return Vec::new();
        }
        *seen = traces;
        let before = self.known();
        let (mut known, mut wrong) = (Known::default(), Vec::new());
        for pair in &pairs {
            match read(pair) {
                Ok(certificate) => known.add(pair, Arc::new(certificate)),
                Err(error) => {
                    wrong.push(format!("{}: {error:#}", pair.certificate.display()));
                    if let Some(old) = before.by_name.get(&pair.name) {
                        known.add(pair, old.clone());
                    }
                }
            }
        }
        let names = known.by_name.len();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        tracing::info!(names, "certificates read");
        wrong
    }

    /// The operator's, then the host's own; nobody is asked for some before there is a folder.
    fn pairs(&self) -> Result<Vec<Pair>> {
        let mut all = Vec::new();
        if let Some(own) = &self.own {
            all = pairs(own, false).with_context(|| own.display().to_string())?;
        }
        match pairs(&self.managed, true) {
            Ok(managed) => all.extend(managed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| self.managed.display().to_string()),
        }
        Ok(all)
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.known().by_name.is_empty()
    }

    /// The certificate for a host.
    pub fn find(&self, host: &str) -> Option<Arc<Certificate>> {
        let known = self.known();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let wildcard = || {
            let (_, above) = host.split_once('.')?;
            known.by_name.get(&format!("*.{above}"))
        };
        known.by_name.get(&host).or_else(wildcard).cloned()
    }

    /// The names of certificates that the host asked for.
    pub fn managed(&self) -> Vec<String> {
        let known = self.known();
        let managed = known.by_name.iter().filter(|(_, found)| found.managed);
        managed.map(|(name, _)| name.clone()).collect()
    }

    fn known(&self) -> Arc<Known> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Known {
    fn add(&mut self, pair: &Pair, certificate: Arc<Certificate>) {
        // A certificate for an address only is known by its file's name.
        let mut names = certificate.facts.names.clone();
        names.push(pair.name.clone());
        for name in names {
            self.by_name
                .entry(name)
                .or_insert_with(|| certificate.clone());
        }
        if pair.name == "default" || self.nameless.is_none() {
            self.nameless = Some(certificate);
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name() else {
            return self.known().nameless.as_ref().map(|one| one.key.clone());
        };
        let found = self.find(name);
        if found.is_none() {
            self.asked.notify_one();
        }
        found.map(|certificate| certificate.key.clone())
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

/// The files of a certificate and its key, which may be one, and the name they go by.
struct Pair {
    name: String,
    certificate: PathBuf,
    key: PathBuf,
    managed: bool,
}

impl Pair {
    fn traces(&self) -> [Trace; 2] {
        [&self.certificate, &self.key].map(|path| match path.metadata() {
            Ok(found) => (path.clone(), found.modified().ok(), found.len()),
            Err(_) => (path.clone(), None, 0),
        })
    }
}

/// `NAME.crt` with `NAME.key`, `NAME/fullchain.pem` with `NAME/privkey.pem`, and `NAME.pem` with
/// both, by name.
fn pairs(folder: &Path, managed: bool) -> io::Result<Vec<Pair>> {
    let entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let pair = |path: PathBuf| {
        let (certificate, key) = match path.extension() {
            Some(extension) if extension == "crt" => (path.clone(), path.with_extension("key")),
            Some(extension) if extension == "pem" && managed => (path.clone(), path.clone()),
            _ if path.is_dir() => (path.join("fullchain.pem"), path.join("privkey.pem")),
            _ => return None,
        };
        let name = match path.is_dir() {
            true => path.file_name(),
            false => path.file_stem(),
        };
        let name = name?.to_str()?.to_ascii_lowercase();
        certificate.is_file().then_some(Pair {
            name,
            certificate,
            key,
            managed,
        })
    };
    let paths = entries.iter().map(|entry| entry.path());
    let mut pairs: Vec<Pair> = paths.filter_map(pair).collect();
    pairs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(pairs)
}

fn read(pair: &Pair) -> Result<Certificate> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&pair.certificate)
        .and_then(Iterator::collect)
        .context("it is not a chain of certificates in PEM")?;
    let Some(first) = chain.first() else {
        bail!("it holds no certificate");
    };
    let facts = x509::facts(first).context("its first certificate cannot be read")?;
    let key = PrivateKeyDer::from_pem_file(&pair.key)
        .with_context(|| format!("{} holds no private key in PEM", pair.key.display()))?;
    let key = provider().key_provider.load_private_key(key)?;
    let key = CertifiedKey::new(chain, key);
    ensure!(
        key.keys_match().is_ok(),
        "{} is the key of another certificate",
        pair.key.display()
    );
    Ok(Certificate {
        key: Arc::new(key),
        facts,
        managed: pair.managed,
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
