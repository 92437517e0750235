//! Certificates from an authority that speaks ACME (RFC 8555): asked for when a name needs one,
//! renewed long before they end, and again later when the authority does not give one.

#[cfg(test)]
mod authority;
mod client;
mod domains;
mod order;
mod plan;
#[cfg(test)]
mod tests;

use crate::serve::edge::Challenges;
use crate::tls::Certificates;
use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::StreamExt;
use instant_acme::{Account, AccountCredentials, NewAccount};
use plan::Need;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub use domains::Domains;
pub use plan::is_provable;

/// How often the application is asked for its names.
const POLL: Duration = Duration::from_secs(30);
/// How long after that a client that asks for an unknown name may have it asked again.
const SOON: Duration = Duration::from_secs(10);
/// Certificates that are ordered at once.
const AT_ONCE: usize = 4;
/// Names without a certificate that are asked for in one round: whoever adds many does not use up the authority's
/// limits before others have had a turn.
const FRESH: usize = 20;
/// How long the authority is left alone when it says that it was asked too often.
const PAUSE: TimeDelta = TimeDelta::minutes(15);

/// Where certificates come from, and for what.
pub struct Settings {
    /// The authority's directory.
    pub directory: String,
    /// Whom it may write to.
    pub contacts: Vec<String>,
    /// Authorities to trust beside the usual ones when talking to it, in PEM.
    pub roots: Vec<u8>,
    /// Names that always need a certificate.
    pub names: Vec<String>,
    /// Where account and certificates are kept.
    pub folder: PathBuf,
}

/// Gets certificates, and remembers how that went.
pub struct Acme {
    settings: Settings,
    certificates: Arc<Certificates>,
    attempts: Mutex<BTreeMap<String, Attempt>>,
    /// Until when the authority is left alone.
    paused: Mutex<Option<DateTime<Utc>>>,
    /// Why the application's names are not known, if they are not.
    trouble: Mutex<Option<String>>,
}

/// How getting a certificate for a name went.
#[derive(Debug, Clone, Default)]
struct Attempt {
    failures: u32,
    reason: Option<String>,
    next: Option<DateTime<Utc>>,
}

/// What `/status` says of a name.
#[derive(Debug, Serialize)]
pub struct NameStatus {
    /// The name.
    pub name: String,
    /// `active`, `expired` or `missing`.
    pub state: &'static str,
    /// The end of its certificate (RFC 3339).
    pub not_after: Option<String>,
    /// Why the last attempt gave none.
    pub reason: Option<String>,
    /// When the next attempt is made, after one that gave none.
    pub next_attempt: Option<String>,
}

impl Acme {
    /// Nothing is asked for yet.
    pub fn new(settings: Settings, certificates: Arc<Certificates>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            certificates,
            attempts: Mutex::default(),
            paused: Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    /// Keeps every name's certificate, for as long as it is polled.
    pub async fn run(self: Arc<Self>, challenges: &Challenges, domains: &Domains) {
        let mut told = BTreeSet::new();
        let mut account = None;
        loop {
            let asked = Instant::now();
            match domains.names().await {
                Ok(names) => {
                    told = names.into_iter().collect();
                    self.note_trouble(None);
                }
                Err(error) => self.note_trouble(Some(format!("{error:#}"))),
            }
            let own = self.settings.names.iter().cloned();
            let names: BTreeSet<String> = own.chain(told.iter().cloned()).collect();
            self.work(&names, &mut account, challenges).await;
            let poll = tokio::time::sleep_until(asked + POLL);
            let unknown = async {
                self.certificates.asked.notified().await;
                tokio::time::sleep_until(asked + SOON).await;
            };
            tokio::select! {
                () = poll => {}
                () = unknown => {}
            }
        }
    }

    /// Gets what is due.
    async fn work(
        &self,
        names: &BTreeSet<String>,
        account: &mut Option<Account>,
        challenges: &Challenges,
    ) {
        let now = Utc::now();
        // A name that is taken away and added again waits as it would have.
        let waits = |attempt: &Attempt| attempt.next.is_some_and(|next| now < next);
        self.lock()
            .retain(|name, attempt| names.contains(name) || waits(attempt));
        let due = self.due(names, now);
        if due.is_empty() || self.is_paused(now) {
            return;
        }
        if account.is_none() {
            match self.account().await {
                Ok(found) => *account = Some(found),
                Err(error) => {
                    let reason = format!("the account at the authority: {error:#}");
                    due.iter()
                        .for_each(|name| self.failed(name, reason.clone()));
                    return;
                }
            }
        }
        let Some(account) = account.as_ref() else {
            return;
        };
        futures::stream::iter(due)
            .for_each_concurrent(AT_ONCE, |name| self.get(account, name, challenges))
            .await;
    }

    /// What is asked for in this round: the operator's names and renewals, then some of those that have none, first
    /// such as failed least.
    fn due<'n>(&self, names: &'n BTreeSet<String>, now: DateTime<Utc>) -> Vec<&'n String> {
        let due = names.iter().filter(|name| self.is_due(name, now));
        let (mut due, mut fresh): (Vec<_>, Vec<_>) = due.partition(|name| {
            self.settings.names.contains(name) || self.certificates.find(name).is_some()
        });
        let attempts = self.lock();
        fresh.sort_by_key(|name| attempts.get(*name).map_or(0, |attempt| attempt.failures));
        due.extend(fresh.into_iter().take(FRESH));
        due
    }

    fn is_paused(&self, now: DateTime<Utc>) -> bool {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.is_some_and(|until| now < until)
    }

    fn pause(&self) {
        let minutes = PAUSE.num_minutes();
        tracing::warn!(
            minutes,
            "the authority was asked too often and is left alone"
        );
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Utc::now() + PAUSE);
    }

    fn is_due(&self, name: &str, now: DateTime<Utc>) -> bool {
        let next = self.lock().get(name).and_then(|attempt| attempt.next);
        if next.is_some_and(|next| now < next) {
            return false;
        }
        let found = self.certificates.find(name);
        match found.filter(|found| !found.facts.names.is_empty()) {
            // The operator's own is the operator's business.
            Some(found) if !found.managed => false,
            Some(found) => plan::need(&found.facts, now) != Need::None,
            None => true,
        }
    }

    async fn get(&self, account: &Account, name: &str, challenges: &Challenges) {
        // Another order of this round may have been one too many.
        if self.is_paused(Utc::now()) {
            return;
        }
        tracing::info!(name, "asking for a certificate");
        let kept = match order::obtain(account, name, challenges).await {
            Ok(pem) => keep(&self.settings.folder.join(format!("{name}.pem")), &pem),
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => {
                self.lock().remove(name);
                for what in self.certificates.refresh() {
                    tracing::warn!("a certificate cannot be used: {what}");
                }
                tracing::info!(name, "there is a new certificate");
            }
            Err(error) => {
                if order::is_too_often(&error) {
                    self.pause();
                }
                self.failed(name, format!("{error:#}"));
            }
        }
    }

    fn failed(&self, name: &str, reason: String) {
        let mut attempts = self.lock();
        let attempt = attempts.entry(name.to_owned()).or_default();
        attempt.failures += 1;
        let wait = plan::backoff(name, attempt.failures);
        attempt.next = Some(Utc::now() + wait);
        let minutes = wait.num_minutes();
        tracing::warn!(
            name,
            minutes,
            "no certificate, trying again later: {reason}"
        );
        attempt.reason = Some(reason);
    }

    /// The account kept from the last time, or a new one.
    async fn account(&self) -> Result<Account> {
        let Settings {
            directory,
            contacts,
            roots,
            folder,
            ..
        } = &self.settings;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        // Each directory has accounts of its own.
        let mark = Sha256::digest(directory.as_bytes());
        let mark: String = mark[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("account-{mark}.json"));
        let builder = Account::builder_with_http(Box::new(client::Http::new(roots)?));
        if let Ok(text) = std::fs::read_to_string(&path) {
            let credentials: AccountCredentials = serde_json::from_str(&text)
                .with_context(|| format!("{} is not an account", path.display()))?;
            return Ok(builder.from_credentials(credentials).await?);
        }
        let contacts: Vec<String> = contacts.iter().map(|contact| mailto(contact)).collect();
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contacts,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = builder.create(&wanted, directory.clone(), None).await?;
        keep(&path, &serde_json::to_string(&credentials)?)?;
        tracing::info!(directory, "there is an account at the authority");
        Ok(account)
    }

    /// What is known of every name that needs a certificate, or lately did.
    pub fn status(&self) -> Vec<NameStatus> {
        let now = Utc::now();
        let attempts = self.lock().clone();
        let mut names: BTreeSet<String> = attempts.keys().cloned().collect();
        names.extend(self.certificates.managed());
        names.extend(self.settings.names.iter().cloned());
        let status = |name: String| {
            let not_after = self
                .certificates
                .find(&name)
                .map(|found| found.facts.not_after);
            let attempt = attempts.get(&name).cloned().unwrap_or_default();
            NameStatus {
                state: match not_after {
                    None => "missing",
                    Some(end) if end < now => "expired",
                    Some(_) => "active",
                },
                not_after: not_after.map(text),
                reason: attempt.reason,
                next_attempt: attempt.next.map(text),
                name,
            }
        };
        names.into_iter().map(status).collect()
    }

    /// Why the application's names are not known, if they are not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note_trouble(&self, found: Option<String>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = found.as_ref().filter(|_| *trouble != found) {
            tracing::warn!("the application's host names are not known: {text}");
        }
        *trouble = found;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn mailto(contact: &str) -> String {
    match contact.contains(':') {
        true => contact.to_owned(),
        false => format!("mailto:{contact}"),
    }
}

/// Keeps a file for its owner only: whole, or as it was.
fn keep(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut options = std::fs::File::options();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}
