//! The worker's settings: environment variables, read once, all mistakes told at once.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    join::Joined,
    outbox::{self, Way},
    smtp::Timeouts,
};

/// Everything that can be set.
pub struct Config {
    /// Whom it works for; none when it only sends the mails of a master on its own.
    pub slave: Option<Home>,
    /// What `sluice-worker join` kept in the folder; the address and the token come from it when they are not set.
    pub joined: Option<Joined>,
    /// `SLUICE_WORKER_DATA`: the folder of the journal.
    pub data: PathBuf,
    /// `SLUICE_WORKER_NAME`: unique for the slave, stable over restarts.
    pub name: String,
    /// `SLUICE_ALLOW_PRIVATE`: whether mail servers may be on this machine or in private networks.
    pub allow_private: bool,
    /// `SLUICE_SUPERVISED`: whether the end of standard input ends the worker.
    pub supervised: bool,
    /// `SLUICE_CONCURRENCY`: mails in flight at once.
    pub concurrency: usize,
    /// `SLUICE_SMTP_CA`: a PEM file's content, for mail servers with private certificates.
    pub extra_ca: Option<Vec<u8>>,
    /// `SLUICE_EHLO_NAME`, or this host's name when it has a domain.
    pub hello: Option<String>,
    /// `SLUICE_SMTP_TIMEOUT_S` and `SLUICE_SMTP_END_TIMEOUT_S`.
    pub timeouts: Timeouts,
    /// `SLUICE_MASTER_URL`, `SLUICE_MASTER_TOKEN`, `SLUICE_RELAY` and `SLUICE_OUTBOX`: whose own mails it sends, and how.
    pub outbox: Option<outbox::Settings>,
    /// `SLUICE_LOG`: error, warn, info, debug or trace.
    pub log: tracing::level_filters::LevelFilter,
}

/// The slave that a worker works for.
pub struct Home {
    /// `SLUICE_SLAVE_URL`: where it answers.
    pub url: String,
    /// `SLUICE_WORKER_TOKEN`: what it knows this worker by.
    pub token: String,
}

/// A setting that cannot be used, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it, and how to put it right.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

/// The variables and what they are for: `--help` prints them.
pub const HELP: &str = "\
SLUICE_SLAVE_URL          where the slave answers, http:// or https:// (required, unless joined or for a master only)
SLUICE_WORKER_TOKEN       the worker token that the slave gave (required, unless joined or for a master only)
SLUICE_WORKER_DATA        folder for the journal; each worker has its own (required)
SLUICE_WORKER_NAME        name at the slave; default: host name and a mark of the folder
SLUICE_ALLOW_PRIVATE      1: mail servers may be at loopback or private addresses; default 0
SLUICE_SUPERVISED         1: end when standard input ends; default 0
SLUICE_CONCURRENCY        mails in flight at once, 1 to 256; default 16
SLUICE_SMTP_CA            PEM file of further certificate authorities for mail servers
SLUICE_SMTP_TIMEOUT_S     seconds to wait for a mail server's answer; default 60
SLUICE_SMTP_END_TIMEOUT_S seconds to wait for its answer to the mail's text; default 600
SLUICE_EHLO_NAME          name in EHLO; default: the host's name, or its address
SLUICE_MASTER_URL         where the master answers, to send the installation's own mails too
SLUICE_MASTER_TOKEN       what the master knows this worker by
SLUICE_RELAY              smtp[s]://user:password@host:port that takes those mails; default: a folder
SLUICE_OUTBOX             that folder; default: outbox in the worker's folder
SLUICE_LOG                error, warn, info, debug or trace; default info";

impl Config {
    /// Reads the settings through `get`.
    ///
    /// # Errors
    /// Every mistake.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Mistake>> {
        let mut reader = Reader {
            get: &get,
            mistakes: Vec::new(),
        };
        let data = reader.folder("SLUICE_WORKER_DATA");
        let joined = reader.joined(&data);
        let slave = reader.slave(joined.as_ref());
        let host = host_name();
        let name = reader.text("SLUICE_WORKER_NAME").unwrap_or_else(|| {
            let place = fs::canonicalize(&data).unwrap_or_else(|_| data.clone());
            let mark = crc32fast::hash(place.as_os_str().as_encoded_bytes());
            format!("{}-{mark:08x}", host.as_deref().unwrap_or("worker"))
        });
        let hello = reader.text("SLUICE_EHLO_NAME");
        if hello
            .as_ref()
            .is_some_and(|h| h.chars().any(|c| !c.is_ascii_graphic()))
        {
            reader.mistake("SLUICE_EHLO_NAME", "it must be one host name in ASCII");
        }
        let outbox = reader.outbox(&data);
        let config = Self {
            slave,
            outbox,
            joined,
            name,
            allow_private: reader.flag("SLUICE_ALLOW_PRIVATE"),
            supervised: reader.flag("SLUICE_SUPERVISED"),
            concurrency: reader.number("SLUICE_CONCURRENCY", 16, 1, 256) as usize,
            extra_ca: reader.file("SLUICE_SMTP_CA"),
            hello: hello.or(host.filter(|h| h.contains('.'))),
            timeouts: {
                let command =
                    Duration::from_secs(reader.number("SLUICE_SMTP_TIMEOUT_S", 60, 1, 3600));
                let end =
                    Duration::from_secs(reader.number("SLUICE_SMTP_END_TIMEOUT_S", 600, 1, 7200));
                Timeouts {
                    connect: command.min(Duration::from_secs(20)),
                    command,
                    end,
                }
            },
            log: reader.level("SLUICE_LOG"),
            data,
        };
        if reader.mistakes.is_empty() {
            Ok(config)
        } else {
            Err(reader.mistakes)
        }
    }
}

struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn mistake(&mut self, name: &'static str, text: impl Into<String>) {
        self.mistakes.push(Mistake {
            name,
            text: text.into(),
        });
    }

    fn text(&self, name: &str) -> Option<String> {
        (self.get)(name)
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
    }

    fn required(&mut self, name: &'static str, what: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.mistake(name, format!("it is not set; set it to {what}"));
            String::new()
        })
    }

    fn url(&mut self, name: &'static str) -> String {
        let url = self.required(
            name,
            "the slave's address, for instance http://127.0.0.1:3000",
        );
        if url.is_empty() {
            return url;
        }
        let parsed = url.parse::<http::Uri>();
        let fine = parsed.is_ok_and(|u| {
            matches!(u.scheme_str(), Some("http" | "https"))
                && u.host().is_some_and(|h| !h.is_empty())
                && u.query().is_none()
        });
        if !fine {
            self.mistake(name, format!("{url:?} is not an http:// or https:// address without a query; write it like http://127.0.0.1:3000"));
        }
        url
    }

    /// Nothing is missing where a master is named and nothing about a slave.
    fn slave(&mut self, joined: Option<&Joined>) -> Option<Home> {
        let (url, token) = (
            self.text("SLUICE_SLAVE_URL"),
            self.text("SLUICE_WORKER_TOKEN"),
        );
        let nowhere = joined.is_none() && url.is_none() && token.is_none();
        if nowhere && self.text("SLUICE_MASTER_URL").is_some() {
            return None;
        }
        let known = joined.filter(|_| token.is_none());
        let url = match known.and_then(|joined| joined.slave_url.clone()) {
            Some(known) if url.is_none() => known,
            _ => self.url("SLUICE_SLAVE_URL"),
        };
        let token = match known {
            Some(joined) => joined.credential.clone(),
            None => self.required(
                "SLUICE_WORKER_TOKEN",
                "the worker token that the slave gave, or join a master with `sluice-worker join`",
            ),
        };
        if token.chars().any(|c| !c.is_ascii_graphic()) {
            let text = "it has characters that no token has; copy it again";
            self.mistake("SLUICE_WORKER_TOKEN", text);
        }
        Some(Home { url, token })
    }

    fn outbox(&mut self, data: &std::path::Path) -> Option<outbox::Settings> {
        self.text("SLUICE_MASTER_URL")?;
        let master_url = self.url("SLUICE_MASTER_URL");
        let token = self.required("SLUICE_MASTER_TOKEN", "what the master gave this worker");
        let way = match self.text("SLUICE_RELAY").map(|text| outbox::relay(&text)) {
            Some(Ok(settings)) => Way::Relay(settings),
            Some(Err(why)) => {
                self.mistake("SLUICE_RELAY", why);
                return None;
            }
            None => {
                let folder = self.text("SLUICE_OUTBOX").map(PathBuf::from);
                Way::Folder(folder.unwrap_or_else(|| data.join("outbox")))
            }
        };
        Some(outbox::Settings {
            master_url,
            token,
            way,
        })
    }

    fn folder(&mut self, name: &'static str) -> PathBuf {
        let folder = PathBuf::from(self.required(
            name,
            "a folder that the worker may write to and no other worker uses",
        ));
        if !folder.as_os_str().is_empty()
            && let Err(error) = fs::create_dir_all(&folder)
        {
            self.mistake(
                name,
                format!(
                    "{} cannot be made ({error}); name a folder that this user may write to",
                    folder.display()
                ),
            );
        }
        folder
    }

    fn joined(&mut self, data: &Path) -> Option<Joined> {
        Joined::read(data).unwrap_or_else(|error| {
            let text = format!("{error:#}; mend the file node.json, or join again");
            self.mistake("SLUICE_WORKER_DATA", text);
            None
        })
    }

    fn file(&mut self, name: &'static str) -> Option<Vec<u8>> {
        let path = self.text(name)?;
        match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.mistake(
                    name,
                    format!("{path} cannot be read ({error}); name a PEM file, or leave it unset"),
                );
                None
            }
        }
    }

    fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name).as_deref() {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(other) => {
                self.mistake(name, format!("{other:?} is neither 0 nor 1"));
                false
            }
        }
    }

    fn number(&mut self, name: &'static str, default: u64, min: u64, max: u64) -> u64 {
        let Some(text) = self.text(name) else {
            return default;
        };
        match text.parse() {
            Ok(n) if (min..=max).contains(&n) => n,
            _ => {
                self.mistake(
                    name,
                    format!("{text:?} is not a number from {min} to {max}"),
                );
                default
            }
        }
    }

    fn level(&mut self, name: &'static str) -> tracing::level_filters::LevelFilter {
        let text = self.text(name).unwrap_or_else(|| "info".into());
        text.parse().unwrap_or_else(|_| {
            self.mistake(
                name,
                format!("{text:?} is none of error, warn, info, debug, trace"),
            );
            tracing::level_filters::LevelFilter::INFO
        })
    }
}

fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .ok()?;
    let name = name.trim();
    let fine = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    fine.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
        Config::read(|name| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn three_variables_are_enough() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deep/er");
        let config = read(&[
            ("SLUICE_SLAVE_URL", "http://127.0.0.1:3000"),
            ("SLUICE_WORKER_TOKEN", "t"),
            ("SLUICE_WORKER_DATA", data.to_str().unwrap()),
        ])
        .map_err(|m| format!("{m:?}"))
        .unwrap();
        assert_eq!(
            (config.concurrency, config.allow_private, config.supervised),
            (16, false, false)
        );
        assert_eq!(config.timeouts.end, Duration::from_secs(600));
        assert!(data.is_dir());
        assert!(config.name.len() > 9, "{}", config.name);
    }

    #[test]
    fn who_names_a_master_sends_its_mails() {
        let folder = tempfile::tempdir().unwrap();
        let mut pairs = vec![
            ("SLUICE_SLAVE_URL", "http://127.0.0.1:3000"),
            ("SLUICE_WORKER_TOKEN", "t"),
            ("SLUICE_WORKER_DATA", folder.path().to_str().unwrap()),
        ];
        assert!(read(&pairs).ok().unwrap().outbox.is_none());
        pairs.push(("SLUICE_MASTER_URL", "http://127.0.0.1:3000"));
        let mistakes = read(&pairs).err().unwrap();
        assert_eq!(mistakes[0].name, "SLUICE_MASTER_TOKEN");
        pairs.push(("SLUICE_MASTER_TOKEN", "t"));
        let outbox = read(&pairs).ok().unwrap().outbox.unwrap();
        assert_eq!(outbox.way, Way::Folder(folder.path().join("outbox")));
        pairs.push(("SLUICE_RELAY", "smtp://127.0.0.1:25?tls=none"));
        let outbox = read(&pairs).ok().unwrap().outbox.unwrap();
        assert!(matches!(outbox.way, Way::Relay(relay) if relay.port == 25));
        let alone = read(&pairs[2..]).ok().unwrap();
        assert!(alone.slave.is_none() && alone.outbox.is_some());
        assert!(read(&pairs[1..]).err().unwrap()[0].name == "SLUICE_SLAVE_URL");
        pairs.push(("SLUICE_RELAY", "mail.x.test"));
        pairs.swap_remove(5);
        assert_eq!(read(&pairs).err().unwrap()[0].name, "SLUICE_RELAY");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mistakes = read(&[
            ("SLUICE_SLAVE_URL", "localhost:3000"),
            ("SLUICE_WORKER_DATA", "/proc/nothing/here"),
            ("SLUICE_ALLOW_PRIVATE", "yes please"),
            ("SLUICE_CONCURRENCY", "0"),
            ("SLUICE_SMTP_CA", "/nowhere.pem"),
            ("SLUICE_LOG", "loud"),
        ])
        .err()
        .unwrap();
        let names: Vec<&str> = mistakes.iter().map(|m| m.name).collect();
        assert_eq!(
            names,
            [
                "SLUICE_WORKER_DATA",
                "SLUICE_SLAVE_URL",
                "SLUICE_WORKER_TOKEN",
                "SLUICE_ALLOW_PRIVATE",
                "SLUICE_CONCURRENCY",
                "SLUICE_SMTP_CA",
                "SLUICE_LOG"
            ]
        );
        assert!(read(&[]).err().unwrap().len() == 3);
    }
}
