//! `sluice-worker join`: makes a data folder that of a worker the master knows, with a credential of its own; and what
//! that worker tells the master.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Slave;

/// How often the master is told.
const BEAT: Duration = Duration::from_secs(10);

/// What a worker keeps of its joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The master's address.
    pub master_url: String,
    /// The slave's; none when the master did not know it yet.
    pub slave_url: Option<String>,
    /// Who this worker is.
    pub node_id: String,
    /// What it shows.
    pub credential: String,
}

impl Joined {
    /// What the folder `data` keeps, if its worker has joined.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join("node.json");
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(
                serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?,
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Written whole beside the old file and renamed over it, readable by its owner only.
    fn write(&self, data: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(data)?;
        let (path, fresh) = (data.join("node.json"), data.join("node.new"));
        let mut options = fs::File::options();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        Ok(fs::rename(fresh, path)?)
    }
}

/// The arguments of `join`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    master: String,
    token: String,
    slave: Option<String>,
    data: String,
}

impl Arguments {
    /// Reads `--master URL --token TOKEN [--slave URL] [--data DIR]`; the token and the folder may come from the
    /// environment, where other users of the machine do not see them.
    ///
    /// # Errors
    /// A sentence about what is missing or unknown.
    pub fn parse(
        mut arguments: impl Iterator<Item = String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let mut read = Self {
            data: environment("SLUICE_WORKER_DATA").unwrap_or_default(),
            token: environment("SLUICE_JOIN_TOKEN").unwrap_or_default(),
            ..Self::default()
        };
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--master" => read.master = value.trim_end_matches('/').to_owned(),
                "--token" => read.token = value,
                "--slave" => read.slave = Some(value.trim_end_matches('/').to_owned()),
                "--data" => read.data = value,
                other => return Err(format!("{other:?} is not an option of join")),
            }
        }
        for (name, value) in [
            ("--master", &read.master),
            ("--token (or SLUICE_JOIN_TOKEN)", &read.token),
            ("--data (or SLUICE_WORKER_DATA)", &read.data),
        ] {
            if value.is_empty() {
                return Err(format!("{name} is missing"));
            }
        }
        Ok(read)
    }
}

/// Shows the token to the master, and keeps what it answers.
///
/// # Errors
/// When the master does not take the token, or the folder cannot be written.
pub async fn join(arguments: &Arguments) -> anyhow::Result<String> {
    let master = Slave::new(&arguments.master, "")?;
    let body =
        json!({"token": arguments.token, "version": env!("CARGO_PKG_VERSION"), "kind": "worker"});
    let answer = master.node("join", &body).await.context("the master")?;
    let text = |name: &str| answer[name].as_str().map(str::to_owned);
    if text("kind").as_deref() != Some("worker") {
        bail!(
            "this token is for a slave: use it with `sluice join`. This master is older and took it: ask for a new one"
        );
    }
    let joined = Joined {
        master_url: arguments.master.clone(),
        slave_url: arguments.slave.clone().or_else(|| text("slave_url")),
        node_id: text("node_id").context("the master's answer has no node_id")?,
        credential: text("credential").context("the master's answer has no credential")?,
    };
    joined.write(Path::new(&arguments.data))?;
    let rest = match &joined.slave_url {
        Some(slave) => format!("it works for the slave at {slave}"),
        None => "its slave has not reported yet: set SLUICE_SLAVE_URL to its address".to_owned(),
    };
    Ok(format!(
        "joined {} as {}; {rest}. Start it with:\n  SLUICE_WORKER_DATA={} sluice-worker",
        joined.master_url, joined.node_id, arguments.data
    ))
}

/// Tells the master every ten seconds how this worker is. The master being away changes nothing.
pub async fn report(joined: Joined, work: impl Fn() -> Value) {
    let Ok(master) = Slave::new(&joined.master_url, &joined.credential) else {
        return;
    };
    let mut failing = false;
    loop {
        let body = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "work": work(),
            "host": host(),
        });
        match master.node("heartbeat", &body).await {
            Ok(_) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "the master was not told");
            }
            Err(_) => {}
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// This machine, as far as Linux tells without a question that could wait.
fn host() -> Value {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| {
        let line = memory.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load
        .split(' ')
        .next()
        .and_then(|load| load.parse::<f64>().ok());
    json!({
        "cpu": {
            "load": load,
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
        },
        "memory": {
            "total": kib("MemTotal:").map(|k| k * 1024),
            "available": kib("MemAvailable:").map(|k| k * 1024),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, data: Option<&str>) -> Result<Arguments, String> {
        let words = text.split_whitespace().map(str::to_owned);
        Arguments::parse(words, |name| {
            let value = if name.ends_with("DATA") { data } else { None };
            value.map(str::to_owned)
        })
    }

    #[test]
    fn what_is_missing_is_said() {
        let read = parse("--master http://m/ --token slj_x", Some("/d")).unwrap();
        assert_eq!(
            (read.master.as_str(), read.data.as_str()),
            ("http://m", "/d")
        );
        for (text, what) in [
            ("--master http://m --token", "--token needs a value"),
            ("--token x", "--master is missing"),
            (
                "--master http://m --data d",
                "SLUICE_JOIN_TOKEN) is missing",
            ),
            ("--master http://m --token x", "--data"),
            ("--mastr http://m", "not an option"),
        ] {
            let said = parse(text, None).unwrap_err();
            assert!(said.contains(what), "{said}");
        }
    }

    #[test]
    fn what_is_kept_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Joined::read(folder.path()).unwrap(), None);
        let joined = Joined {
            master_url: "http://m".into(),
            slave_url: None,
            node_id: "1".into(),
            credential: "sln_x".into(),
        };
        joined.write(folder.path()).unwrap();
        assert_eq!(Joined::read(folder.path()).unwrap(), Some(joined));
        let mode = folder.path().join("node.json").metadata().unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }
}
