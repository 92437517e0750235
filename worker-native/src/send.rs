//! One request, in the order that neither sends twice nor loses: everything up to DATA's answer, then both records of
//! the begin (journal and slave), then the mark that the text leaves, then the text, then the outcome.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep, sleep_until},
};
use worker_api::{Lease, Message, Outcome, Task, Work};

use crate::{
    begin::{Answer, Begins},
    client::Slave,
    journal::Journal,
    mime::{self, Mail},
    outcome::{self, tidy},
    profiles::{Profiles, Sender},
    report::Reporter,
    smtp::{Connection, connect::Connector},
};

/// Not before this long for a request whose profile is not here, in milliseconds.
const ELSEWHERE_MS: i64 = 30_000;

/// How long nothing is claimed after a record could not be made.
const REST: Duration = Duration::from_secs(2);

/// A mail that takes longer than this gives its place to another one: a slow server must not hold up the others.
pub const SLOW: Duration = Duration::from_secs(2);

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Work as usual.
    Running,
    /// Finish what has a connection, give the rest back.
    Draining,
    /// Give back whatever has not begun to leave.
    Stopped,
}

/// What performing a request needs.
pub struct Shell {
    /// The slave.
    pub slave: Arc<Slave>,
    /// The journal.
    pub journal: Journal,
    /// Where outcomes go.
    pub reporter: Arc<Reporter>,
    /// Where begins are asked for.
    pub begins: Begins,
    /// The senders.
    pub profiles: Profiles,
    /// Opens connections.
    pub connector: Connector,
    /// A permit for each mail that may be in flight.
    pub slots: Semaphore,
    /// Whether to go on.
    pub phase: watch::Sender<Phase>,
    /// Until when nothing is claimed.
    pub rest_until: watch::Sender<Instant>,
}

impl Shell {
    /// Performs a request and hands its outcome over for reporting.
    pub async fn perform(&self, task: Task) {
        let Task {
            lease,
            profile_id,
            work,
            ..
        } = task;
        let Work::Outreach { message } = work;
        let outcome = match self
            .profiles
            .find(&self.slave, &lease.subaccount, profile_id)
            .await
        {
            Some(sender) => self.outreach(&lease, &sender, &message).await,
            None => Some(Outcome::Retry {
                error: "the worker that took this request does not hold its profile".into(),
                after_ms: Some(ELSEWHERE_MS),
            }),
        };
        match outcome {
            Some(outcome) => self.reporter.ended(lease, outcome),
            None => self.reporter.forget(&lease),
        }
    }

    /// The outcome, or none when the lease is not this worker's any more.
    async fn outreach(&self, lease: &Lease, sender: &Sender, message: &Message) -> Option<Outcome> {
        let mail = match mime::build(&sender.settings.from, message) {
            Ok(mail) => mail,
            Err(why) => return Some(Outcome::Failed { error: tidy(&why) }),
        };
        let _permit = tokio::select! {
            biased;
            () = self.reached(Phase::Draining) => return Some(Outcome::Released),
            permit = sender.permits.acquire() => permit,
        };
        let slot = tokio::select! {
            biased;
            () = self.reached(Phase::Draining) => return Some(Outcome::Released),
            slot = self.slots.acquire() => slot,
        };
        let sent = self.hand_over(lease, sender, &mail);
        tokio::pin!(sent);
        tokio::select! {
            outcome = &mut sent => return outcome,
            () = sleep(SLOW) => drop(slot),
        }
        sent.await
    }

    /// Sends the mail, with all that must be on record before it leaves.
    async fn hand_over(&self, lease: &Lease, sender: &Sender, mail: &Mail) -> Option<Outcome> {
        let ready = tokio::select! {
            biased;
            () = self.reached(Phase::Stopped) => return Some(Outcome::Released),
            ready = self.approach(lease, sender, mail) => ready,
        };
        let mut connection = match ready {
            Ok(connection) => connection,
            Err(outcome) => return outcome,
        };
        // From here to the write nothing waits: a process that dies before this line has certainly not sent.
        if let Err(error) = self.journal.sending(lease) {
            tracing::error!(%error, "not sent");
            return Some(self.give_back());
        }
        Some(match connection.text(mail).await {
            Ok(reply) => {
                sender.keep(connection);
                outcome::of_acceptance(&reply)
            }
            Err(fault) => {
                // A refusal of the text ends the transaction, not the connection.
                if !fault.ends_connection() {
                    sender.keep(connection);
                }
                outcome::of_fault(&fault)
            }
        })
    }

    /// A connection on which the server waits for the text, with both records made; or the outcome.
    async fn approach(
        &self,
        lease: &Lease,
        sender: &Sender,
        mail: &Mail,
    ) -> Result<Connection, Option<Outcome>> {
        let connection = self.envelope(sender, mail).await.map_err(Some)?;
        // Dropping the connection without the final dot takes the mail back: the server must discard it.
        let mark = self.journal.begun(lease).map_err(|error| {
            tracing::error!(%error, "not sent");
            Some(self.give_back())
        })?;
        let (durable, answer) = tokio::join!(self.journal.durable(mark), self.begins.begin(lease));
        match (durable, answer) {
            (Ok(()), Answer::Go) => Ok(connection),
            (_, Answer::Refused(reason)) => {
                tracing::info!(subaccount = %lease.subaccount, request = lease.id, reason, "not sent: the slave refused the begin");
                Err(None)
            }
            (Err(error), _) => {
                tracing::error!(%error, "not sent");
                Err(Some(self.give_back()))
            }
            (_, Answer::Unknown(why)) => {
                tracing::warn!(subaccount = %lease.subaccount, request = lease.id, why, "not sent: the begin could not be recorded");
                Err(Some(self.give_back()))
            }
        }
    }

    /// Goes up to DATA's answer, on an idle connection if there is one, and on a fresh one if that turns out closed.
    async fn envelope(&self, sender: &Sender, mail: &Mail) -> Result<Connection, Outcome> {
        if let Some(outcome) = sender.paused() {
            return Err(outcome);
        }
        if let Some(mut connection) = sender.idle().await {
            match connection.envelope(mail).await {
                Ok(()) => return Ok(connection),
                Err(fault) if fault.is_stale_connection() => {}
                Err(fault) => {
                    if !fault.ends_connection() && connection.reset().await {
                        sender.keep(connection);
                    }
                    return Err(outcome::of_fault(&fault));
                }
            }
        }
        let mut connection = sender
            .connect(&self.connector)
            .await
            .map_err(|fault| outcome::of_fault(&fault))?;
        match connection.envelope(mail).await {
            Ok(()) => Ok(connection),
            Err(fault) => {
                if !fault.ends_connection() && connection.reset().await {
                    sender.keep(connection);
                }
                Err(outcome::of_fault(&fault))
            }
        }
    }

    /// The outcome when a record could not be made. What is given back may be claimed again at once, so the worker
    /// rests for a moment: mail servers should not see the same aborted attempt many times a second.
    fn give_back(&self) -> Outcome {
        self.rest_until.send_replace(Instant::now() + REST);
        Outcome::Released
    }

    /// Waits while the worker rests.
    pub async fn rest(&self) {
        let until = *self.rest_until.borrow();
        sleep_until(until).await;
    }

    /// Waits until `phase` or a later one is reached.
    pub async fn reached(&self, phase: Phase) {
        let mut phases = self.phase.subscribe();
        if phases.wait_for(|&now| now >= phase).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
