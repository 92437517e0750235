//! A mail server that follows a script at each step and remembers what it accepted.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What the server does at a step instead of what it usually does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Says this.
    Say(&'static str),
    /// Closes the connection.
    Close,
    /// Accepts the mail and closes without a word.
    AcceptAndClose,
    /// Says nothing more.
    Hang,
    /// Waits until [`Server::release`] and goes on.
    Hold,
}
pub use Action::*;

#[derive(Default)]
pub struct State {
    /// By step (greeting, ehlo, starttls, auth, mail, rcpt, data, text, rset): what to do the next times.
    pub script: HashMap<&'static str, VecDeque<Action>>,
    /// The text of every mail that was accepted.
    pub mails: Vec<String>,
    /// How many texts came whole, accepted or not.
    pub texts: usize,
    pub connections: usize,
    pub open: usize,
    /// Every command.
    pub commands: Vec<String>,
    /// Offers after the greeting line of EHLO.
    pub offers: Vec<String>,
    /// Connections end after so many mails.
    pub mails_a_connection: Option<usize>,
    pub holding: usize,
    /// How long each answer takes.
    pub delay: Duration,
}

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    released: tokio::sync::watch::Sender<bool>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(None, false).await
    }

    /// A server with TLS, from the first byte or after STARTTLS.
    pub async fn start_with(tls: Option<TlsAcceptor>, at_once: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let released = tokio::sync::watch::channel(false).0;
        let server = Self {
            address,
            state: Arc::default(),
            released,
        };
        let shared = server.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let _ = tcp.set_nodelay(true);
                let (server, tls) = (shared.clone(), tls.clone());
                tokio::spawn(async move {
                    server.state().connections += 1;
                    server.state().open += 1;
                    match (tls, at_once) {
                        (Some(tls), true) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                server.talk(Box::new(stream), None, true).await;
                            }
                        }
                        (tls, _) => {
                            server.talk(Box::new(tcp), tls, true).await;
                        }
                    };
                    server.state().open -= 1;
                });
            }
        });
        server
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn script(&self, step: &'static str, actions: &[Action]) {
        self.state()
            .script
            .insert(step, actions.iter().cloned().collect());
    }

    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// How often each Message-ID was accepted.
    pub fn accepted(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for mail in &self.state().mails {
            let id = mail
                .lines()
                .find_map(|l| l.strip_prefix("Message-ID: <"))
                .unwrap()
                .trim_end_matches('>');
            *counts.entry(id.to_owned()).or_default() += 1;
        }
        counts
    }

    async fn talk(&self, stream: Box<dyn Io>, tls: Option<TlsAcceptor>, greet: bool) -> Option<()> {
        let mut stream = BufReader::new(stream);
        if greet {
            self.answer(&mut stream, "greeting", "220 test").await?;
        }
        let mut mails = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            self.state().commands.push(line.trim().to_owned());
            let word = line
                .split([' ', '\r'])
                .next()
                .unwrap_or("")
                .to_ascii_lowercase();
            match word.as_str() {
                "ehlo" => {
                    let offers = self.state().offers.clone();
                    let mut text = String::from("250-test");
                    for offer in offers {
                        text = format!("{text}\r\n250-{offer}");
                    }
                    self.answer(&mut stream, "ehlo", &format!("{text}\r\n250 HELP"))
                        .await?;
                }
                "starttls" => {
                    self.answer(&mut stream, "starttls", "220 go").await?;
                    let secure = tls.clone()?.accept(stream.into_inner()).await.ok()?;
                    return Box::pin(self.talk(Box::new(secure), None, false)).await;
                }
                "auth" => self.answer(&mut stream, "auth", "235 welcome").await?,
                "mail" => self.answer(&mut stream, "mail", "250 sender").await?,
                "rcpt" => self.answer(&mut stream, "rcpt", "250 recipient").await?,
                "rset" => self.answer(&mut stream, "rset", "250 reset").await?,
                "data" => {
                    if !self.answer_is(&mut stream, "data", "354 go").await? {
                        continue;
                    }
                    let text = read_text(&mut stream).await?;
                    self.state().texts += 1;
                    let action = self.next("text");
                    let taken = matches!(
                        action,
                        None | Some(AcceptAndClose | Hold | Say("2" | "250" | "what?"))
                    );
                    if taken {
                        self.state().mails.push(text);
                    }
                    self.delay().await;
                    match action {
                        None => say(&mut stream, "250 queued").await?,
                        Some(action) => self.act(&mut stream, action, "250 queued").await?,
                    };
                    mails += 1;
                    if self.state().mails_a_connection == Some(mails) {
                        return None;
                    }
                }
                "quit" => {
                    say(&mut stream, "221 bye").await?;
                    return None;
                }
                _ => say(&mut stream, "500 what?").await?,
            }
        }
    }

    async fn delay(&self) {
        let delay = self.state().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    fn next(&self, step: &str) -> Option<Action> {
        self.state()
            .script
            .get_mut(step)
            .and_then(VecDeque::pop_front)
    }

    async fn answer<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        step: &str,
        usual: &str,
    ) -> Option<()> {
        self.answer_is(stream, step, usual).await.map(|_| ())
    }

    /// Whether the usual answer was given.
    async fn answer_is<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        step: &str,
        usual: &str,
    ) -> Option<bool> {
        self.delay().await;
        match self.next(step) {
            None => {
                say(stream, usual).await?;
                Some(true)
            }
            Some(action) => {
                let hold = matches!(action, Hold);
                self.act(stream, action, usual).await?;
                Some(hold)
            }
        }
    }

    async fn act<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        action: Action,
        usual: &str,
    ) -> Option<()> {
        match action {
            Say(text) => say(stream, text).await,
            Close | AcceptAndClose => None,
            Hang => std::future::pending().await,
            Hold => {
                self.state().holding += 1;
                let _ = self.released.subscribe().wait_for(|&go| go).await;
                self.state().holding -= 1;
                say(stream, usual).await
            }
        }
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) -> Option<()> {
    stream
        .write_all(format!("{text}\r\n").as_bytes())
        .await
        .ok()?;
    stream.flush().await.ok()
}

/// The text up to its end, or none when the connection ends before it.
async fn read_text<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut text = Vec::new();
    loop {
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
        if text.ends_with(b"\r\n.\r\n") {
            text.truncate(text.len() - 3);
            return String::from_utf8(text).ok();
        }
    }
}
