//! What `up` and `doctor` do alike: look at everything that serving needs, and collect every fault
//! before giving up.

use crate::acme::Acme;
use crate::cli::Up;
use crate::config::fault::Faults;
use crate::config::manifest::Manifest;
use crate::config::variables::{self, Sources};
use crate::config::{self, App};
use crate::data::{DataFolder, Secrets};
use crate::serve::Shared;
use crate::{admin, databases, demo, load, schedule, worker, world};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that serving needs, checked.
pub struct Prepared {
    /// The locked data folder.
    pub data: DataFolder,
    /// Where to serve.
    pub listener: TcpListener,
    /// Where to serve TLS.
    pub tls: Option<TcpListener>,
    /// The admin port.
    pub admin: TcpListener,
    /// Gets certificates.
    pub acme: Option<Arc<Acme>>,
    /// What opens the slave's door for the node itself; empty when the application has none.
    pub node_secret: String,
    /// The application, compiled and linked.
    pub shared: Arc<Shared>,
    /// The worker to supervise.
    pub worker: Option<worker::Settings>,
    /// The URL that processes on this machine use.
    pub local_url: String,
    /// The password that the demo's log-in page offers; empty without a demo.
    pub demo_password: String,
}

/// Prepares to serve. `None` when there is any fault.
pub fn prepare(options: &Up, faults: &mut Faults) -> Option<Prepared> {
    let data = data_folder(options, faults);
    let ports = Ports::bind(options, faults);
    let worker_program = worker_program(options, faults);
    let mut secrets = data.as_ref().and_then(|data| secrets(data, faults));
    let app = configure(options, &ports, secrets.as_mut(), faults);
    let data = data?;
    let variable = |name: &str| app.variables.get(name).cloned().unwrap_or_default();
    let (demo_password, node_secret) = (variable("demo_password"), variable("node_secret"));
    let worker = worker_program.and_then(|program| worker(program, options, &ports, &app, &data));
    if let Some(Err(what)) = worker.as_ref().map(worker::check) {
        faults.add(
            "the worker",
            what,
            "mend the environment variable that it names",
        );
    }
    databases::check(&app.components, faults);
    if !has_joined(&app, faults) {
        return None;
    }
    if !app
        .components
        .values()
        .all(|component| component.source.is_file())
    {
        return None;
    }
    let edge = world::open(&options.world, ports.tls.as_ref(), &data, faults);
    let acme = world::acme(&options.world, &edge, &data, faults);
    let shared = match load::load(app, &data, edge, &options.limits, faults) {
        Ok(shared) => Arc::new(shared),
        Err(error) => {
            faults.add("the engine", format!("{error:#}"), "lower --max-instances");
            return None;
        }
    };
    check_exports(&shared, faults);
    let local_url = local_url(ports.listen);
    let (listener, admin) = (ports.listener?, ports.admin?);
    faults.is_empty().then_some(Prepared {
        data,
        listener,
        tls: ports.tls,
        admin,
        acme,
        node_secret,
        shared,
        worker,
        local_url,
        demo_password,
    })
}

/// A slave without a master of its own must have joined one; compiling it before is time lost.
fn has_joined(app: &App, faults: &mut Faults) -> bool {
    let runs = |name: &str| app.components.contains_key(name);
    let known = |name: &str| {
        app.variables
            .get(name)
            .is_some_and(|value| !value.is_empty())
    };
    let joined = !runs("slave") || runs("master") || known("node_id");
    if !joined {
        faults.add(
            "this node",
            "it has not joined a master",
            "run `sluice node add` there, and here `sluice join` with the token that it gives, and the same --data",
        );
    }
    joined
}

fn data_folder(options: &Up, faults: &mut Faults) -> Option<DataFolder> {
    let failed = |error: anyhow::Error| {
        let fix = "stop the other host, or pass --data with a folder you may write to";
        faults.add("--data", format!("{error:#}"), fix);
    };
    DataFolder::open(&options.data).map_err(failed).ok()
}

fn secrets(data: &DataFolder, faults: &mut Faults) -> Option<Secrets> {
    let failed = |error: anyhow::Error| {
        let fix = "mend the file, or remove it to have new secrets made";
        faults.add("secrets.toml", format!("{error:#}"), fix);
    };
    data.secrets().map_err(failed).ok()
}

/// The ports, as far as they could be bound.
struct Ports {
    listener: Option<TcpListener>,
    tls: Option<TcpListener>,
    admin: Option<TcpListener>,
    /// Where the application is served.
    listen: SocketAddr,
    /// Where the admin port is.
    told: SocketAddr,
}

impl Ports {
    /// Those that somebody chose come before the admin port, which takes what is free.
    fn bind(options: &Up, faults: &mut Faults) -> Self {
        let wanted = options.listen;
        let listener = bind("--listen", TcpListener::bind(wanted), wanted, faults);
        let address = |bound: &Option<TcpListener>| bound.as_ref()?.local_addr().ok();
        let listen = address(&listener).unwrap_or(wanted);
        let tls = world::bind(&options.world, faults);
        let wanted = options.admin.unwrap_or(listen);
        let admin = admin::bind(options.admin, listen);
        let admin = bind("--admin", admin, wanted, faults);
        Self {
            told: address(&admin).unwrap_or(wanted),
            listener,
            tls,
            admin,
            listen,
        }
    }
}

/// What the worker is to do here; none where there is neither a slave to work for nor a master with mails of its own.
fn worker(
    program: PathBuf,
    options: &Up,
    ports: &Ports,
    app: &App,
    data: &DataFolder,
) -> Option<worker::Settings> {
    let variable = |name: &str| app.variables.get(name).cloned().unwrap_or_default();
    let runs = |name: &str| app.components.contains_key(name);
    let token = runs("slave").then(|| variable("worker_token"));
    let relay = std::env::var("SLUICE_RELAY").ok();
    let outbox = runs("master").then(|| worker::Outbox {
        token: variable("node_secret"),
        relay: relay.filter(|relay| !relay.is_empty()),
        folder: data.mails(),
    });
    (token.is_some() || outbox.is_some()).then(|| worker::Settings {
        program,
        url: local_url(ports.listen),
        token,
        data: data.worker(),
        allow_private: options.allow_private_smtp || is_private(options, ports.listen),
        outbox,
    })
}

fn bind(
    option: &str,
    bound: std::io::Result<TcpListener>,
    address: SocketAddr,
    faults: &mut Faults,
) -> Option<TcpListener> {
    let fix = "stop what uses the port, or choose another one";
    bound
        .map_err(|error| faults.add(option, format!("cannot listen on {address}: {error}"), fix))
        .ok()
}

/// The worker to supervise: the one asked for, or the one beside this program.
fn worker_program(options: &Up, faults: &mut Faults) -> Option<PathBuf> {
    if options.no_worker {
        return None;
    }
    let beside = || {
        std::env::current_exe()
            .ok()
            .map(|path| path.with_file_name("sluice-worker"))
    };
    let program = options.worker.clone().or_else(beside)?;
    if program.is_file() {
        return Some(program);
    }
    let what = format!("there is no worker at {}", program.display());
    faults.add(
        "--worker",
        what,
        "build it with `scripts/build`, or pass --no-worker",
    );
    None
}

/// What `sluice join` keeps among the secrets.
const JOINED: [&str; 4] = [
    "master_url",
    "master_public_key",
    "node_id",
    "node_credential",
];

fn configure(
    options: &Up,
    ports: &Ports,
    mut secrets: Option<&mut Secrets>,
    faults: &mut Faults,
) -> App {
    let public = options
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{}", ports.listen));
    let mut host = vec![
        ("public_url", public),
        ("slave_url", local_url(ports.listen)),
        (
            "host_status_url",
            format!("{}/status", local_url(ports.told)),
        ),
    ];
    if let Some(secrets) = &secrets {
        let joined = JOINED
            .iter()
            .filter_map(|name| Some((*name, secrets.known(name)?.to_owned())));
        host.extend(joined);
    }
    if let Some(secrets) = secrets.as_mut().filter(|_| options.demo) {
        host.push(("demo_email", demo::EMAIL.to_owned()));
        match secrets.get("demo_password") {
            Ok(password) => host.push(("demo_password", password)),
            Err(error) => faults.add(
                "secrets.toml",
                format!("{error:#}"),
                "make the data folder writable",
            ),
        }
    }
    let values = |manifest: &Manifest, faults: &mut Faults| -> BTreeMap<String, String> {
        let mut sources = Sources {
            environment: &|name| std::env::var(name).ok(),
            options: &options.variables,
            host: &host,
            secret: &mut |name| match &mut secrets {
                Some(secrets) => secrets.get(name).map_err(|error| format!("{error:#}")),
                None => Ok(String::new()),
            },
        };
        variables::resolve(manifest, &mut sources, faults)
    };
    config::load(&options.manifest, values, faults)
}

/// Whether only people on this machine reach the application. Strangers must not name mail servers of its network.
fn is_private(options: &Up, listen: SocketAddr) -> bool {
    let loopback = |url: &str| {
        let host = url::Url::parse(url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned));
        let host = host.unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    listen.ip().is_loopback() && options.public_url.as_deref().is_none_or(loopback)
}

/// Every component must export what its triggers call.
fn check_exports(shared: &Arc<Shared>, faults: &mut Faults) {
    let mut wrong =
        |name: &str, error: String, trigger: &str| {
            let what =
                format!("component `{name}` has a {trigger} trigger it cannot answer: {error}");
            faults.add(shared.components[name].grants.config.source.display().to_string(), what, {
            "export `wasi:http/handler@0.3.0`, or Spin's `handle-cron-event`, and build again"
        });
        };
    for (name, _) in &shared.app.crons {
        if let Some(Err(error)) = shared.components.get(name).map(|c| schedule::check(c)) {
            wrong(name, format!("{error:#}"), "cron");
        }
    }
    for name in &shared.app.http_components {
        if let Some(Err(error)) = shared
            .components
            .get(name)
            .map(|c| crate::serve::proxy::check(c))
        {
            wrong(name, format!("{error:#}"), "http");
        }
    }
}

/// The URL that processes on this machine use.
pub fn local_url(listen: SocketAddr) -> String {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_on_all_addresses_is_reached_on_loopback() {
        assert_eq!(
            local_url("0.0.0.0:80".parse().unwrap()),
            "http://127.0.0.1:80"
        );
        assert_eq!(local_url("[::]:81".parse().unwrap()), "http://[::1]:81");
        assert_eq!(
            local_url("10.0.0.1:82".parse().unwrap()),
            "http://10.0.0.1:82"
        );
    }
}
