//! The command line.

use crate::host::sqlite_pool::Synchronous;
use crate::serve::client::Network;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::{SocketAddr, ToSocketAddrs};
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
    /// The nodes of an installation; run it where the master's data folder is.
    Node {
        /// Where the master is.
        #[command(flatten)]
        at: AtMaster,
        /// What to do.
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// One sub-account, whosever it is; run it where the master's data folder is.
    Tenant {
        /// Where the master is.
        #[command(flatten)]
        at: AtMaster,
        /// What to do.
        #[command(subcommand)]
        command: TenantCommand,
    },
    /// One person, of whatever account; run it where the master's data folder is.
    Person {
        /// Where the master is.
        #[command(flatten)]
        at: AtMaster,
        /// What to do.
        #[command(subcommand)]
        command: PersonCommand,
    },
    /// Bring the databases of sub-accounts up to date now, on all slaves; they are when next touched anyway.
    Migrate(Migrate),
    /// Make this machine a slave of a master, with a token from `sluice node add`.
    Join(Join),
    /// Compile one component into a cache; `up` calls this, so that the memory goes with the process.
    #[command(hide = true)]
    Compile(Compile),
}

/// Which master, for the operator's commands.
#[derive(Debug, Args)]
pub struct AtMaster {
    /// The master.
    #[arg(long, global = true, default_value = "http://127.0.0.1:3000")]
    pub master: String,
    /// The master's data folder: its secret proves who asks.
    #[arg(long, global = true, default_value = "data")]
    pub data: PathBuf,
}

/// The commands of `person`.
#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// Remove the second factor of somebody who lost it with all recovery codes. Be sure who asks for it.
    ResetFactor {
        /// Their address.
        email: String,
    },
}

/// The commands of `tenant`.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Say how it is.
    Show {
        /// Which.
        id: String,
    },
    /// Let it rest: nothing in it is seen, changed or sent.
    Suspend {
        /// Which.
        id: String,
    },
    /// Let it work again.
    Resume {
        /// Which.
        id: String,
    },
    /// Delete it; it can be brought back for some days.
    Delete {
        /// Which.
        id: String,
        /// For how many days [default: what the master is set to]
        #[arg(long)]
        grace: Option<u32>,
    },
    /// Bring a deleted one back.
    Undelete {
        /// Which.
        id: String,
    },
    /// Move it to another slave; it can be read meanwhile.
    Move {
        /// Which.
        id: String,
        /// The slave, by its id [default: the one with the most free slots]
        #[arg(long, value_name = "NODE")]
        to: Option<String>,
    },
    /// Write all that it holds to one file.
    Archive {
        /// Which.
        id: String,
        /// The file; it must not be there.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Read such a file into an empty sub-account; its profiles are switched off, and what waits to be sent is canceled.
    Restore {
        /// The file.
        from: PathBuf,
        /// The sub-account.
        #[arg(long, value_name = "ID")]
        to: String,
        /// Let what waits go on when its profiles are switched on: the sub-account that was archived is no more.
        #[arg(long)]
        keep_pending: bool,
    },
}

/// The arguments of `migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Where the master is.
    #[command(flatten)]
    pub at: AtMaster,
    /// All sub-accounts of all slaves.
    #[arg(long, required = true)]
    pub all: bool,
}

/// The arguments of `join`.
#[derive(Debug, Args)]
pub struct Join {
    /// The master.
    #[arg(long)]
    pub master: String,
    /// The token; in the environment other users of the machine do not see it.
    #[arg(long, env = "SLUICE_JOIN_TOKEN", hide_env_values = true)]
    pub token: String,
    /// The folder of databases and secrets of this slave.
    #[arg(long, default_value = "data")]
    pub data: PathBuf,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NodeKind {
    /// Hosts sub-accounts.
    Slave,
    /// Does what reaches the outside world, for one slave.
    Worker,
}

impl NodeKind {
    /// The word for it in the API.
    pub fn name(self) -> &'static str {
        match self {
            NodeKind::Slave => "slave",
            NodeKind::Worker => "worker",
        }
    }
}

/// The commands of `node`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Give a token that a new node joins with.
    Add {
        /// What it is.
        #[arg(long)]
        kind: NodeKind,
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
        /// The slave that a worker works for [default: the one beside the master]
        #[arg(long)]
        slave: Option<String>,
        /// The worker works only for profiles that are assigned to it.
        #[arg(long)]
        assigned_only: bool,
    },
    /// List the nodes.
    List,
    /// Give a token with which a node exchanges its credential.
    Rotate {
        /// Which.
        id: String,
    },
    /// End a node for good.
    Revoke {
        /// Which.
        id: String,
    },
    /// Give a node nothing new.
    Drain {
        /// Which.
        id: String,
    },
    /// Let a node work on that was drained.
    Undrain {
        /// Which.
        id: String,
    },
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
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "HOST:PORT", value_parser = address)]
    pub listen: SocketAddr,
    /// The folder of databases, secrets and compiled code.
    #[arg(long, default_value = "data")]
    pub data: PathBuf,
    /// Where to serve /healthz, /metrics and /status [default: the loopback port after the listen port]
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
    /// The port of the page that shows the installation's own mails; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    pub mail_page: u16,
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
    /// How the world reaches the host.
    #[command(flatten)]
    pub world: WorldOptions,
    /// The bounds.
    #[command(flatten)]
    pub limits: LimitOptions,
}

/// How the world reaches the host.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct WorldOptions {
    /// Where to serve TLS. Pages asked for without it are sent there, if their host has a certificate.
    #[arg(long)]
    pub tls_listen: Option<SocketAddr>,
    /// The folder of certificates: NAME.crt with NAME.key, or NAME/fullchain.pem with NAME/privkey.pem.
    #[arg(long)]
    pub tls_certs: Option<PathBuf>,
    /// The port that people reach TLS at [default: that of --tls-listen]
    #[arg(long, requires = "tls_listen")]
    pub tls_public_port: Option<u16>,
    /// Seconds for which browsers must come by TLS only; sent as Strict-Transport-Security.
    #[arg(long, requires = "tls_listen")]
    pub hsts: Option<u64>,
    /// The directory of an authority that gives certificates by ACME, for --acme-domain and for the
    /// host names of sub-accounts. It must reach this host at port 80. You agree to its terms.
    #[arg(long, value_name = "URL", requires = "tls_listen")]
    pub acme_directory: Option<String>,
    /// The mail address that the authority may write to.
    #[arg(long, value_name = "ADDRESS", requires = "acme_directory")]
    pub acme_contact: Vec<String>,
    /// A file of certificates (PEM) to trust when talking to the authority, beside the usual ones.
    #[arg(long, value_name = "FILE", requires = "acme_directory")]
    pub acme_root: Option<PathBuf>,
    /// A name to get a certificate for.
    #[arg(long, value_name = "NAME", requires = "acme_directory")]
    pub acme_domain: Vec<String>,
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
    /// Seconds in which a request's head must be there, also on a connection that is kept alive.
    /// HTTP clients usually keep an idle one for less, so that it is not closed under a request.
    #[arg(long, default_value_t = 100)]
    pub head_timeout: u64,
    /// Most open connections of clients.
    #[arg(long, default_value_t = 10_000)]
    pub max_connections: usize,
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
    /// A proxy in front, as an address or a network like 10.0.0.0/8: the client's address is the
    /// last one in its X-Forwarded-For, the scheme that of its X-Forwarded-Proto. May be given
    /// several times.
    #[arg(long, value_name = "ADDRESS")]
    pub trusted_proxy: Vec<Network>,
    /// Threads that serve HTTP [default: one for each core]
    #[arg(long)]
    pub threads: Option<usize>,
    /// How safe a commit is against a power cut.
    #[arg(long, value_enum, default_value = "normal")]
    pub sqlite_synchronous: Synchronous,
    /// Most open SQLite connections.
    #[arg(long, default_value_t = 1024)]
    pub sqlite_connections: usize,
    /// Most open connections to PostgreSQL, over all servers and databases.
    #[arg(long, default_value_t = 64)]
    pub postgres_connections: usize,
    /// A file of certificates (PEM) that PostgreSQL servers may show, beside the usual authorities.
    #[arg(long)]
    pub postgres_roots: Option<PathBuf>,
}

/// A host with its port; a name stands for the first of its addresses.
fn address(text: &str) -> Result<SocketAddr, String> {
    let form = "write HOST:PORT, for instance 127.0.0.1:3000 or localhost:3000";
    let mut found = text.to_socket_addrs().map_err(|e| format!("{e}; {form}"))?;
    found
        .next()
        .ok_or_else(|| format!("it has no address; {form}"))
}

fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("write it as name=value".to_owned()),
    }
}
