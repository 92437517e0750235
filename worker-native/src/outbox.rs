//! The installation's own mails: claimed from the master, handed to a relay or laid into a folder, and reported.
//!
//! Apart from the requests of sub-accounts: these mails have no profile and no quota, and are repeatable.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use worker_api::{
    OutboxClaim, OutboxClaimed, OutboxMail, OutboxReport, OutboxResults, OutboxVerdicts, Outcome,
    SmtpSettings,
};

use crate::{
    client::{CALL, CallError, Slave},
    mime::{self, Mail},
    outcome::{self, of_acceptance, of_fault},
    smtp::connect::Connector,
};

/// How often the master is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How long the worker waits after a failure, at most.
const SLOWEST: Duration = Duration::from_secs(30);
/// Mails of one claim.
const MOST: u32 = 20;
/// How long one mail may take; the master's lease holds longer than all of a claim.
const PATIENCE: Duration = Duration::from_secs(60);
/// The oldest files go when the folder has more.
const KEPT: usize = 2000;

/// How mails leave.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// By a server that takes them on.
    Relay(SmtpSettings),
    /// As files in a folder, for an installation that has no relay yet.
    Folder(PathBuf),
}

/// What the loop needs.
#[derive(Clone)]
pub struct Settings {
    /// Where the master answers.
    pub master_url: String,
    /// What it knows this worker by.
    pub token: String,
    /// How mails leave.
    pub way: Way,
}

/// Claims, sends and reports until `stop` says so; then it finishes the mail that is out and gives the rest back.
///
/// # Errors
/// When the token cannot be sent.
pub async fn run(
    settings: Settings,
    connector: Connector,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let master = Slave::master(&settings.master_url, &settings.token)?;
    let mut pause = EVERY;
    while !*stop.borrow() {
        match turn(&master, &settings.way, &connector, &stop).await {
            Ok(0) => pause = EVERY,
            Ok(count) => {
                tracing::info!(count, "mails of the installation were handled");
                continue;
            }
            Err(error) => {
                if pause == EVERY {
                    tracing::warn!(%error, "the installation's mails wait");
                }
                pause = (pause * 2).min(SLOWEST);
            }
        }
        let _ = timeout(pause, stop.wait_for(|stop| *stop)).await;
    }
    Ok(())
}

/// One claim and its mails, each reported when it is done; says how many were handled.
async fn turn(
    master: &Slave,
    way: &Way,
    connector: &Connector,
    stop: &watch::Receiver<bool>,
) -> Result<usize, CallError> {
    let ask = OutboxClaim { max: MOST };
    let claimed: OutboxClaimed = master.post("outbox/claim", &ask, CALL).await?;
    // A claim of nothing but slow mails must not outlive its lease.
    let until = Instant::now() + PATIENCE * 3;
    let (mut count, mut released) = (0, Vec::new());
    for mail in claimed.mails {
        let go_on = Instant::now() < until && !*stop.borrow();
        let outcome = match go_on {
            true => send(&mail, way, connector).await,
            false => Outcome::Released,
        };
        let said = OutboxReport {
            id: mail.id,
            lease_token: mail.lease_token,
            outcome,
        };
        if !go_on {
            released.push(said);
        } else if report(master, vec![said]).await {
            count += 1;
        } else {
            // What else was claimed would go out without anybody knowing: its lease ends by itself.
            return Ok(count);
        }
    }
    if !released.is_empty() {
        report(master, released).await;
    }
    Ok(count)
}

/// What was sent must not be sent again only because the report met a closed door. Says whether it was taken.
async fn report(master: &Slave, results: Vec<OutboxReport>) -> bool {
    let results = OutboxResults { results };
    for pause in [1, 2, 5, 10, 30, 60] {
        let told = master.post::<OutboxVerdicts>("outbox/results", &results, CALL);
        match told.await {
            Ok(_) => return true,
            Err(error) if error.is_refusal() => {
                tracing::error!(%error, "the master does not take the report on its mails");
                return false;
            }
            Err(error) => tracing::warn!(%error, "the report on mails waits"),
        }
        sleep(Duration::from_secs(pause)).await;
    }
    false
}

async fn send(mail: &OutboxMail, way: &Way, connector: &Connector) -> Outcome {
    let built = match mime::build(&mail.from, &mail.message) {
        Ok(built) => built,
        Err(error) => {
            return Outcome::Failed {
                error: outcome::tidy(&error),
            };
        }
    };
    match way {
        Way::Folder(folder) => lay(folder, &mail.id, &built),
        Way::Relay(settings) => {
            match timeout(PATIENCE, hand_over(settings, connector, &built)).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::Retry {
                    error: format!("the relay took longer than {} s", PATIENCE.as_secs()),
                    after_ms: None,
                },
            }
        }
    }
}

async fn hand_over(settings: &SmtpSettings, connector: &Connector, mail: &Mail) -> Outcome {
    let mut connection = match connector.connect(settings).await {
        Ok(connection) => connection,
        Err(fault) => return of_fault(&fault),
    };
    if let Err(fault) = connection.envelope(mail).await {
        return of_fault(&fault);
    }
    match connection.text(mail).await {
        Ok(reply) => {
            connection.quit().await;
            of_acceptance(&reply)
        }
        Err(fault) => of_fault(&fault),
    }
}

/// Lays a mail into a folder. The same mail again takes the place of the first.
fn lay(folder: &Path, id: &str, mail: &Mail) -> Outcome {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !plain || id.is_empty() {
        return Outcome::Failed {
            error: "its id cannot be the name of a file".to_owned(),
        };
    }
    match write(folder, id, &mail.text()) {
        Ok(()) => Outcome::Performed {
            detail: "in the folder".to_owned(),
        },
        Err(error) => Outcome::Retry {
            error: outcome::tidy(&format!("{}: {error}", folder.display())),
            after_ms: None,
        },
    }
}

/// For their owner's eyes: links in these mails open accounts.
fn write(folder: &Path, id: &str, text: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let fresh = folder.join(format!("{id}.new"));
    let mut file = fs::File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(format!("{id}.eml")))?;
    forget_oldest(folder)
}

/// Ids begin with their time, so the order of names is that of the mails.
fn forget_oldest(folder: &Path) -> io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "eml"))
        .collect();
    names.sort();
    let surplus = names.len().saturating_sub(KEPT);
    for path in names.into_iter().take(surplus) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Reads `smtp[s]://user:password@host:port`; `?tls=none` is for a relay on this very machine.
///
/// # Errors
/// What is wrong, and how to put it right.
pub fn relay(text: &str) -> Result<SmtpSettings, String> {
    const FORM: &str =
        "write it like smtps://user:password@mail.example.com:465, or smtp://… for STARTTLS";
    let url = url::Url::parse(text).map_err(|e| format!("it is no address ({e}); {FORM}"))?;
    let plain = url.query() == Some("tls=none");
    let (tls, port) = match url.scheme() {
        "smtps" => (worker_api::Tls::Tls, 465),
        "smtp" if plain => (worker_api::Tls::None, 25),
        "smtp" => (worker_api::Tls::Starttls, 587),
        other => return Err(format!("{other:?} is not a way to hand mails over; {FORM}")),
    };
    if url.query().is_some() && !(plain && url.scheme() == "smtp") {
        return Err(format!(
            "only smtp:// takes a query, and only ?tls=none; {FORM}"
        ));
    }
    let host = url.host_str().filter(|h| !h.is_empty());
    let host = host.ok_or_else(|| format!("it names no server; {FORM}"))?;
    let text = |part: &str| {
        percent(part).ok_or_else(|| format!("its user or password is no UTF-8; {FORM}"))
    };
    Ok(SmtpSettings {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(port),
        tls,
        username: Some(text(url.username())?).filter(|u| !u.is_empty()),
        password: url.password().map(text).transpose()?,
        from: String::new(),
    })
}

/// Decodes `%41` and its like.
fn percent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use worker_api::{Message, Tls};

    fn message(text: &str) -> OutboxMail {
        OutboxMail {
            id: "0198a7c0-0000-7000-8000-000000000009".into(),
            lease_token: "t".into(),
            attempt: 1,
            from: "Sluice <no-reply@sluice.example>".into(),
            message: Message {
                message_id: "0198a7c0@sluice.example".into(),
                date: 1_700_000_000_000,
                to: "ann@agency.example".into(),
                to_name: None,
                subject: "Confirm your address".into(),
                text: text.into(),
                html: None,
                headers: vec![("Auto-Submitted".into(), "auto-generated".into())],
            },
        }
    }

    #[test]
    fn a_relay_is_read_from_one_line() {
        let all = relay("smtps://ann%40x.test:p%3Aw@mail.x.test").unwrap();
        assert_eq!(
            (all.host.as_str(), all.port, all.tls),
            ("mail.x.test", 465, Tls::Tls)
        );
        assert_eq!(all.username.as_deref(), Some("ann@x.test"));
        assert_eq!(all.password.as_deref(), Some("p:w"));
        let plain = relay("smtp://[::1]:2525?tls=none").unwrap();
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.tls, plain.username),
            ("::1", 2525, Tls::None, None)
        );
        assert_eq!(relay("smtp://mail.x.test").unwrap().tls, Tls::Starttls);
        for wrong in [
            "",
            "mail.x.test:25",
            "http://x.test",
            "smtps://x.test?tls=none",
            "smtp:///",
        ] {
            assert!(relay(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mail_lies_in_the_folder_once_and_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("mails");
        let mail = message("Here:\n\n.hidden\nhttps://sluice.example/confirm?token=x\n");
        let built = mime::build(&mail.from, &mail.message).unwrap();
        for _ in 0..2 {
            assert!(matches!(
                lay(&folder, &mail.id, &built),
                Outcome::Performed { .. }
            ));
        }
        let files: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(files.len(), 1);
        let path = files[0].as_ref().unwrap().path();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let raw = fs::read(path).unwrap();
        let parsed = mail_parser::MessageParser::new().parse(&raw).unwrap();
        assert_eq!(parsed.subject(), Some("Confirm your address"));
        let body = parsed.body_text(0).unwrap();
        assert!(
            body.contains("\n.hidden") && body.contains("token=x"),
            "{body}"
        );
        assert!(matches!(
            lay(&folder, "../x", &built),
            Outcome::Failed { .. }
        ));
    }
}
