//! What `up` and `doctor` look at before the world is let in: the TLS port and its certificates.

use crate::acme::{Acme, Settings, is_provable};
use crate::cli::WorldOptions;
use crate::config::fault::Faults;
use crate::data::DataFolder;
use crate::serve::edge::{Edge, Tls};
use crate::tls::Certificates;
use crate::tls::door::Door;
use http::HeaderValue;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the files of certificates are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Binds the TLS port.
pub fn bind(options: &WorldOptions, faults: &mut Faults) -> Option<TcpListener> {
    let Some(address) = options.tls_listen else {
        if options.tls_certs.is_some() {
            let fix = "say where to serve TLS: --tls-listen 0.0.0.0:443";
            faults.add("--tls-certs", "certificates are for --tls-listen", fix);
        }
        return None;
    };
    let failed = |error| {
        let what = format!("cannot listen on {address}: {error}");
        let fix = "stop what uses the port, or choose another one";
        faults.add("--tls-listen", what, fix);
    };
    TcpListener::bind(address).map_err(failed).ok()
}

/// Reads the certificates for the TLS port, which was bound as `bound`.
pub fn open(
    options: &WorldOptions,
    bound: Option<&TcpListener>,
    data: &DataFolder,
    faults: &mut Faults,
) -> Edge {
    let mut edge = Edge::default();
    let Some(address) = options.tls_listen else {
        return edge;
    };
    let certificates = certificates(options, data, faults);
    let bound = bound.and_then(|listener| listener.local_addr().ok());
    let hsts = |seconds: u64| HeaderValue::try_from(format!("max-age={seconds}")).ok();
    match Door::new(certificates.clone()) {
        Ok(door) => {
            edge.tls = Some(Tls {
                door,
                certificates,
                port: (options.tls_public_port).unwrap_or(bound.unwrap_or(address).port()),
                hsts: options.hsts.and_then(hsts),
            });
        }
        Err(error) => faults.add("--tls-listen", format!("{error:#}"), "update the host"),
    }
    edge
}

fn certificates(
    options: &WorldOptions,
    data: &DataFolder,
    faults: &mut Faults,
) -> Arc<Certificates> {
    let certificates = Certificates::new(options.tls_certs.clone(), data.certs());
    let wrong = certificates.refresh();
    if wrong.is_empty() && certificates.is_empty() && options.acme_directory.is_none() {
        let fix = "put certificates into a folder and name it with --tls-certs, or have them made with --acme-directory";
        faults.add("--tls-listen", "there is no certificate to show", fix);
    }
    for what in wrong {
        let fix = "put a certificate chain and its key there, in PEM, or take the files away";
        faults.add("--tls-certs", what, fix);
    }
    Arc::new(certificates)
}

/// Who gets certificates, if somebody is asked for them.
pub fn acme(
    options: &WorldOptions,
    edge: &Edge,
    data: &DataFolder,
    faults: &mut Faults,
) -> Option<Arc<Acme>> {
    let (directory, tls) = (options.acme_directory.clone()?, edge.tls.as_ref()?);
    if !directory.starts_with("https://") {
        let fix = "write the https:// address of its directory";
        faults.add(
            "--acme-directory",
            "an authority is reached by https only",
            fix,
        );
    }
    for name in options.acme_domain.iter().filter(|name| !is_provable(name)) {
        let what = format!("`{name}` is no name that an authority looks up");
        faults.add("--acme-domain", what, "write a name like leads.example.org");
    }
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| (path.clone(), error));
    let roots = match options.acme_root.as_ref().map(read).transpose() {
        Ok(roots) => roots.unwrap_or_default(),
        Err((path, error)) => {
            let what = format!("{} cannot be read: {error}", path.display());
            faults.add("--acme-root", what, "name a file with certificates in PEM");
            return None;
        }
    };
    let settings = Settings {
        directory,
        contacts: options.acme_contact.clone(),
        roots,
        names: options
            .acme_domain
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect(),
        folder: data.certs(),
    };
    Some(Acme::new(settings, tls.certificates.clone()))
}

/// Reads certificates again whenever their files change.
pub async fn watch(certificates: Arc<Certificates>) {
    loop {
        tokio::time::sleep(LOOK).await;
        for what in certificates.refresh() {
            tracing::warn!("a certificate cannot be used: {what}");
        }
    }
}
