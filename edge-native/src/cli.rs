//! The command line.

use crate::host::sqlite_pool::Synchronous;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The embedded host of Sluice.
#[derive(Debug, Parser)]
#[command(name = "sluice", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the application, fire its schedules and supervise a local worker.
    Up(Box<Up>),
    /// Check everything that `up` needs, and say how to mend what is wrong.
    Doctor(Box<Up>),
    /// Compile one component into a cache; `up` calls this, so that the memory goes with the process.
    #[command(hide = true)]
    Compile(Compile),
}

/// The arguments of `compile`.
#[derive(Debug, Args)]
pub struct Compile {
    /// The component.
    pub source: PathBuf,
    /// The cache's folder.
    pub cache: PathBuf,
    /// Most memory of one instance, in bytes.
    pub memory: usize,
    /// Most instances alive at once.
    pub instances: u32,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The options of `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// The application.
    #[arg(long, default_value = "spin.toml")]
    pub manifest: PathBuf,
    /// Where to serve.
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
    /// The folder of databases, secrets and compiled code.
    #[arg(long, default_value = "data")]
    pub data: PathBuf,
    /// Where to serve /healthz and /metrics [default: the loopback port after the listen port]
    #[arg(long)]
    pub admin: Option<SocketAddr>,
    /// The URL that people use [default: http://LISTEN]
    #[arg(long)]
    pub public_url: Option<String>,
    /// The worker to supervise [default: `sluice-worker` beside this program]
    #[arg(long, conflicts_with = "no_worker")]
    pub worker: Option<PathBuf>,
    /// Supervise no worker.
    #[arg(long)]
    pub no_worker: bool,
    /// Let the worker talk to mail servers at private addresses, although strangers may reach the
    /// application: it listens on another address than loopback, or has a public URL.
    #[arg(long)]
    pub allow_private_smtp: bool,
    /// The value of a variable: `name=value`.
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = name_value)]
    pub variables: Vec<(String, String)>,
    /// Fill a demo agency and catch its mails.
    #[arg(long)]
    pub demo: bool,
    /// The port of the demo's SMTP server; 0 picks a free one.
    #[arg(long, default_value_t = 0, requires = "demo")]
    pub demo_smtp: u16,
    /// The port of the demo's mail page; 0 picks a free one.
    #[arg(long, default_value_t = 0, requires = "demo")]
    pub demo_mail_page: u16,
    /// How log lines look.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// The least level that is logged: error, warn, info, debug or trace.
    #[arg(long, default_value = "info")]
    pub log_level: tracing::Level,
    /// The bounds.
    #[command(flatten)]
    pub limits: LimitOptions,
}

/// The bounds of serving.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitOptions {
    /// Most bytes of a request's body.
    #[arg(long, default_value_t = 4 << 30)]
    pub max_body: u64,
    /// Most bytes of a request's headers.
    #[arg(long, default_value_t = 32 << 10)]
    pub max_head: usize,
    /// Seconds until a request must have its answer; an upload that moves counts anew.
    #[arg(long, default_value_t = 30)]
    pub deadline: u64,
    /// Seconds that an answer may stream.
    #[arg(long, default_value_t = 3600)]
    pub max_stream: u64,
    /// Most requests being served at once; fewer than instances, as calls between components and
    /// schedules need some too.
    #[arg(long, default_value_t = 800)]
    pub max_requests: usize,
    /// Most memory of one instance, in MB.
    #[arg(long, default_value_t = 256)]
    pub instance_memory: usize,
    /// Most instances alive at once.
    #[arg(long, default_value_t = 1000)]
    pub max_instances: u32,
    /// Requests that one instance serves at once. A trap ends all requests of its instance, and a
    /// synchronous database call holds all of them up, so more than one wants a reason.
    #[arg(long, default_value_t = 1)]
    pub instance_concurrency: usize,
    /// Requests that one instance serves in its life.
    #[arg(long, default_value_t = 1000)]
    pub instance_reuse: usize,
    /// Threads that serve HTTP [default: one for each core]
    #[arg(long)]
    pub threads: Option<usize>,
    /// How safe a commit is against a power cut.
    #[arg(long, value_enum, default_value = "normal")]
    pub sqlite_synchronous: Synchronous,
    /// Most open SQLite connections.
    #[arg(long, default_value_t = 1024)]
    pub sqlite_connections: usize,
}

fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("write it as name=value".to_owned()),
    }
}
