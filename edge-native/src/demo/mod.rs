//! The demo: an SMTP server that keeps every mail to itself, a page to read them, and an agency
//! worth looking at.

mod mails;
mod page;
mod smtp;

use crate::cli::Up;
use anyhow::{Context, Result};
use mails::Mails;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

/// A running demo.
#[derive(Debug, Clone, Copy)]
pub struct Demo {
    /// Where mails are handed in.
    pub smtp: SocketAddr,
    /// Where they are read.
    pub page: SocketAddr,
}

/// Starts the SMTP server and the mail page, both on loopback.
pub fn start(options: &Up, folder: &Path) -> Result<Demo> {
    let mails = Arc::new(Mails::open(folder).context("the demo's mails")?);
    let bind = |port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("the demo cannot listen on port {port}"))
    };
    let smtp = bind(options.demo_smtp)?;
    let page = bind(options.demo_mail_page)?;
    let demo = Demo {
        smtp: smtp.local_addr()?,
        page: page.local_addr()?,
    };
    tokio::spawn(smtp::serve(smtp, mails.clone()));
    tokio::spawn(page::serve(page, mails));
    Ok(demo)
}

/// Fills the demo agency, once.
pub async fn seed(demo: &Demo, url: &str) {
    tracing::info!(smtp = %demo.smtp, app = url, "the demo's mails: http://{}", demo.page);
}
