//! The profiles that the slave assigned to this worker, each with its connections.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};
use worker_api::{Outcome, ProfileKind, SmtpSettings};

use crate::{
    client::{CallError, Listing, Slave},
    outcome::{self, Fault},
    smtp::{Connection, connect::Connector},
};

/// Connections of one profile at once.
const CONNECTIONS: usize = 4;

/// How long a connection is kept without work.
const IDLE: Duration = Duration::from_secs(20);

/// For so long after a server could not be used, the profile's other requests share its outcome.
const PAUSE: Duration = Duration::from_secs(1);

/// One mail sender.
pub struct Sender {
    /// Where and how it sends.
    pub settings: SmtpSettings,
    /// A permit for each connection that may be in use.
    pub permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
    pause: Mutex<Option<(Instant, Outcome)>>,
}

impl Sender {
    fn new(settings: SmtpSettings) -> Self {
        Self {
            settings,
            permits: Semaphore::new(CONNECTIONS),
            idle: Mutex::default(),
            pause: Mutex::default(),
        }
    }

    /// The outcome that all requests of this profile share for a moment after its server could not be used.
    pub fn paused(&self) -> Option<Outcome> {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause
            .as_ref()
            .filter(|(since, _)| since.elapsed() < PAUSE)
            .map(|(_, outcome)| outcome.clone())
    }

    /// An idle connection that is still good, if there is one.
    pub async fn idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.connections().pop()?;
            if connection.idle_since.elapsed() < IDLE && connection.is_quiet().await {
                return Some(connection);
            }
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// What went wrong; it pauses the profile for a moment.
    pub async fn connect(&self, connector: &Connector) -> Result<Connection, Fault> {
        connector
            .connect(&self.settings)
            .await
            .inspect_err(|fault| {
                let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
                *pause = Some((Instant::now(), outcome::of_fault(fault)));
            })
    }

    /// Takes a connection back that is ready for another mail.
    pub fn keep(&self, mut connection: Connection) {
        connection.idle_since = Instant::now();
        self.connections().push(connection);
    }

    fn close_idle(&self, all: bool) {
        let mut connections = self.connections();
        let (old, kept) = connections
            .drain(..)
            .partition(|c| all || c.idle_since.elapsed() >= IDLE);
        *connections = kept;
        drop(connections);
        for connection in Vec::from_iter::<Vec<Connection>>(old) {
            tokio::spawn(connection.quit());
        }
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Key = (String, i64);

/// All senders.
#[derive(Default)]
pub struct Profiles {
    senders: Mutex<HashMap<Key, Arc<Sender>>>,
    /// The tag of what is held; locked while it is fetched.
    tag: tokio::sync::Mutex<Option<String>>,
}

impl Profiles {
    /// A profile's sender, asking the slave when it is not known.
    pub async fn find(&self, slave: &Slave, subaccount: &str, id: i64) -> Option<Arc<Sender>> {
        let key = (subaccount.to_owned(), id);
        if let Some(sender) = self.get(&key) {
            return Some(sender);
        }
        if let Err(error) = self.refresh(slave).await {
            tracing::warn!(%error, "profiles could not be fetched");
        }
        self.get(&key)
    }

    /// Fetches the profiles if they changed; whether all are known now. A sender whose settings stayed keeps its
    /// connections.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn refresh(&self, slave: &Slave) -> Result<bool, CallError> {
        let mut tag = self.tag.lock().await;
        let Some(listing) = slave.profiles(tag.as_deref()).await? else {
            return Ok(true);
        };
        let (profiles, partial) = (listing.profiles.len(), listing.partial);
        tracing::info!(profiles, partial, "profiles fetched");
        *tag = listing.tag.clone();
        self.replace(listing);
        Ok(!partial)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.senders().len()
    }

    /// Closes connections that idled long.
    pub fn tidy(&self) {
        for sender in self.senders().values() {
            sender.close_idle(false);
        }
    }

    fn replace(&self, listing: Listing) {
        let mut senders = self.senders();
        let mut old = std::mem::take(&mut *senders);
        let told: HashSet<String> = match listing.partial {
            true => listing
                .profiles
                .iter()
                .map(|p| p.subaccount.clone())
                .collect(),
            false => HashSet::new(),
        };
        for profile in listing.profiles {
            let ProfileKind::Smtp(settings) = profile.kind;
            let key = (profile.subaccount, profile.id);
            let sender = match old.remove(&key) {
                Some(sender) if sender.settings == settings => sender,
                _ => Arc::new(Sender::new(settings)),
            };
            senders.insert(key, sender);
        }
        // Of a sub-account that the slave could not look into nothing is new.
        let gone = |(subaccount, _): &Key| !listing.partial || told.contains(subaccount);
        let (gone, kept): (Vec<_>, Vec<_>) = old.into_iter().partition(|(key, _)| gone(key));
        senders.extend(kept);
        drop(senders);
        for (_, sender) in gone {
            sender.close_idle(true);
        }
    }

    fn get(&self, key: &Key) -> Option<Arc<Sender>> {
        self.senders().get(key).cloned()
    }

    fn senders(&self) -> MutexGuard<'_, HashMap<Key, Arc<Sender>>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
