//! A real SMTP server at the other end: aiosmtpd, run by `tests/sink.py`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, root};
use super::{Authority, LONG, SOON, eventually};

/// How the server talks.
#[derive(Default)]
pub struct SinkOptions<'a> {
    /// `none` (the default), `starttls` or `tls`, with a certificate of this authority.
    pub tls: Option<(&'static str, &'a Authority)>,
    /// `user:password`: then AUTH is required.
    pub auth: Option<&'static str>,
    /// Milliseconds before a mail is kept and answered.
    pub delay_ms: u32,
}

/// The running server.
pub struct Sink {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    tls: &'static str,
    dir: TempDir,
    _process: Process,
}

impl Sink {
    /// A server in plain text that wants no AUTH.
    pub fn start() -> Sink {
        Sink::with(&SinkOptions::default())
    }

    /// A server as asked for.
    pub fn with(options: &SinkOptions<'_>) -> Sink {
        let dir = TempDir::new().expect("a folder");
        let mut command = Command::new(python());
        command
            .arg(root().join("tests/sink.py"))
            .arg("--dir")
            .arg(dir.path());
        command.args(["--delay", &options.delay_ms.to_string()]);
        let mut tls = "none";
        if let Some((mode, authority)) = options.tls {
            tls = mode;
            command
                .args(["--tls", mode])
                .arg("--cert")
                .arg(authority.cert())
                .arg("--key")
                .arg(authority.key());
        }
        if let Some(auth) = options.auth {
            command.args(["--auth", auth]);
        }
        let mark = dir.path().display().to_string();
        let mut process = Process::spawn(command, &mark, &dir.path().join("log"));
        let line = process.line_with("\"port\"", 0, SOON);
        let port = serde_json::from_str::<Value>(&line).expect("a port")["port"].as_u64();
        let port = u16::try_from(port.expect("a number")).expect("a port");
        Sink {
            port,
            tls,
            dir,
            _process: process,
        }
    }

    /// Settings of a profile that sends here.
    pub fn settings(&self) -> Value {
        json!({"host": "127.0.0.1", "port": self.port, "tls": self.tls, "from": "Ann <ann@agency.test>"})
    }

    /// All mails so far, in order of arrival.
    pub fn mails(&self) -> Vec<Mail> {
        let text = fs::read_to_string(self.dir.path().join("mails.jsonl")).unwrap_or_default();
        // The last line may be half written.
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .map(Mail)
            .collect()
    }

    /// The mails as soon as there are `count` of them.
    pub fn wait_for(&self, count: usize) -> Vec<Mail> {
        eventually(&format!("{count} mails at the sink"), LONG, || {
            let mails = self.mails();
            (mails.len() >= count).then_some(mails)
        })
    }
}

impl Sink {
    /// The newest mail to an address with a subject, as soon as there is one.
    #[track_caller]
    pub fn mail_to(&self, to: &str, subject: &str) -> Mail {
        eventually(&format!("\"{subject}\" to {to}"), SOON, || {
            let is_it = |m: &Mail| m.to() == to && m.header("Subject") == subject;
            self.mails().into_iter().rfind(is_it)
        })
    }

    /// What makes it the relay of a host: the value of `SLUICE_RELAY`.
    pub fn relay(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.port)
    }
}

/// One mail as it arrived.
#[derive(Debug)]
pub struct Mail(Value);

impl Mail {
    /// The envelope's only recipient.
    pub fn to(&self) -> &str {
        assert_eq!(
            self.0["to"].as_array().map(Vec::len),
            Some(1),
            "one recipient: {}",
            self.0["to"]
        );
        self.0["to"][0].as_str().expect("an address")
    }

    /// The envelope's sender.
    pub fn from(&self) -> &str {
        self.0["from"].as_str().expect("an address")
    }

    /// The only header field of that name, unfolded and decoded.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let fields = self.0["headers"].as_array().into_iter().flatten();
        let found: Vec<_> = fields
            .filter(|field| {
                field[0]
                    .as_str()
                    .is_some_and(|n| n.eq_ignore_ascii_case(name))
            })
            .collect();
        assert_eq!(found.len(), 1, "one {name} in {}", self.0["headers"]);
        found[0][1].as_str().expect("text")
    }

    /// The decoded plain text.
    pub fn text(&self) -> &str {
        self.0["text"].as_str().unwrap_or_default()
    }

    /// The bytes as they came (as far as they are UTF-8).
    pub fn raw(&self) -> &str {
        self.0["raw"].as_str().unwrap_or_default()
    }

    /// Whether it came over TLS.
    pub fn by_tls(&self) -> bool {
        self.0["tls"] == json!(true)
    }

    /// Who logged in.
    pub fn login(&self) -> Option<&str> {
        self.0["login"].as_str()
    }

    /// The link in the text.
    #[track_caller]
    pub fn link(&self) -> String {
        let mut words = self.text().split_whitespace();
        let link = words.find(|word| word.starts_with("http"));
        link.unwrap_or_else(|| panic!("a link in {}", self.text()))
            .to_owned()
    }

    /// The secret part of the link.
    #[track_caller]
    pub fn token(&self) -> String {
        let link = self.link();
        let (_, token) = link.split_once("?token=").expect("a token in the link");
        token.to_owned()
    }

    /// The URL of `List-Unsubscribe`.
    #[track_caller]
    pub fn unsubscribe_url(&self) -> String {
        let field = self.header("List-Unsubscribe");
        let urls = field
            .split(',')
            .map(|part| part.trim().trim_matches(['<', '>']));
        let url = urls.into_iter().find(|url| url.starts_with("http"));
        url.unwrap_or_else(|| panic!("a link in {field}"))
            .to_owned()
    }
}

/// The Python of `scripts/test`'s environment.
fn python() -> PathBuf {
    let python = root().join(".cache/venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: scripts/test makes it",
        python.display()
    );
    python
}
