//! The demo: an SMTP server that keeps every mail to itself, a page to read them, and an agency
//! worth looking at.

mod api;
mod history;
mod people;
mod seed;
mod smtp;

pub use seed::EMAIL;

use crate::cli::Up;
use crate::mail_page::{self, Mails, bind};
use anyhow::{Context, Result};
use std::net::SocketAddr;
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
    let smtp = bind(options.demo_smtp, &folder.with_file_name("smtp-port"))?;
    let page = bind(options.demo_mail_page, &folder.with_file_name("page-port"))?;
    let demo = Demo {
        smtp: smtp.local_addr()?,
        page: page.local_addr()?,
    };
    tokio::spawn(smtp::serve(smtp, mails.clone()));
    tokio::spawn(mail_page::serve(page, "Caught mails", mails));
    Ok(demo)
}

/// Fills the demo agency, once, and says where to look.
pub async fn seed(demo: &Demo, url: &str, password: &str, databases: &Path) {
    if let Err(error) = seed::fill(demo, url, password, databases).await {
        tracing::error!("the demo is not filled: {error:#}; start again with an empty data folder");
    }
    tracing::info!("the demo's mails are at http://{}", demo.page);
}
