//! Protected connections against a server with a certificate of its own authority.

use std::{path::PathBuf, sync::Arc};

use tempfile::{TempDir, tempdir};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};
use worker_api::{Outcome, SmtpSettings, Tls};

use crate::{
    slave::Slave,
    smtp::{Say, Server},
    worker::{Worker, command},
};

/// A certificate for localhost, and the file that makes it trusted.
fn certificate(folder: &TempDir) -> (TlsAcceptor, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), path)
}

fn settings(server: &Server, host: &str, tls: Tls) -> SmtpSettings {
    let (host, port, from) = (host.into(), server.address.port(), "ann@agency.test".into());
    SmtpSettings {
        host,
        port,
        tls,
        username: Some("ann".into()),
        password: Some("x".into()),
        from,
    }
}

#[tokio::test]
async fn mails_leave_over_tls_and_starttls_to_a_trusted_server_only() {
    let (slave, data, folder) = (Slave::start().await, tempdir().unwrap(), tempdir().unwrap());
    let (acceptor, ca) = certificate(&folder);
    let (stranger, _) = certificate(&folder_of_another());
    let direct = Server::start_with(Some(acceptor.clone()), true).await;
    let upgraded = Server::start_with(Some(acceptor), false).await;
    upgraded.state().offers = vec!["STARTTLS".into(), "AUTH PLAIN".into()];
    direct.state().offers = vec!["AUTH PLAIN".into()];
    let plain = Server::start().await;
    let untrusted = Server::start_with(Some(stranger), true).await;
    slave.profile(1, settings(&direct, "localhost", Tls::Tls));
    slave.profile(2, settings(&upgraded, "localhost", Tls::Starttls));
    slave.profile(3, settings(&plain, "localhost", Tls::Starttls));
    slave.profile(4, settings(&plain, "localhost", Tls::Tls));
    slave.profile(5, settings(&untrusted, "localhost", Tls::Tls));
    slave.profile(6, settings(&direct, "127.0.0.1", Tls::Tls));
    (1..=6).for_each(|id| slave.request(id, id));
    let mut command = command(&slave, data.path());
    command.env("SLUICE_SMTP_CA", &ca);
    let _worker = Worker::spawn(command);
    for id in 1..=2 {
        let outcome = slave.outcome(id).await;
        assert!(
            matches!(outcome, Outcome::Performed { .. }),
            "{id}: {outcome:?}"
        );
    }
    for (id, words) in [
        (3, "does not offer STARTTLS"),
        (4, "no TLS with"),
        (5, "certificate is not good for"),
        (6, "certificate is not good for"),
    ] {
        let outcome = slave.outcome(id).await;
        assert!(
            matches!(&outcome, Outcome::Retry { error, .. } if error.contains(words)),
            "{id}: {outcome:?}"
        );
    }
    // No credentials in plain text.
    assert!(!plain.state().commands.iter().any(|c| c.starts_with("AUTH")));
    let commands = upgraded.state().commands.clone();
    assert_eq!(commands[1], "STARTTLS", "{commands:?}");
    assert!(commands[2].starts_with("EHLO"), "{commands:?}");
}

fn folder_of_another() -> TempDir {
    tempdir().unwrap()
}

#[tokio::test]
async fn what_is_slipped_in_before_the_handshake_is_refused() {
    let (slave, data, folder) = (Slave::start().await, tempdir().unwrap(), tempdir().unwrap());
    let (acceptor, ca) = certificate(&folder);
    let server = Server::start_with(Some(acceptor), false).await;
    server.state().offers = vec!["STARTTLS".into()];
    server.script("starttls", &[Say("220 go\r\n250-evil\r\n250 AUTH PLAIN")]);
    slave.profile(1, settings(&server, "localhost", Tls::Starttls));
    slave.request(1, 1);
    let mut command = command(&slave, data.path());
    command.env("SLUICE_SMTP_CA", &ca);
    let _worker = Worker::spawn(command);
    let outcome = slave.outcome(1).await;
    assert!(
        matches!(&outcome, Outcome::Retry { error, .. } if error.contains("before it was asked")),
        "{outcome:?}"
    );
}
