//! SMTP on one connection, one command at a time, so that the caller decides between them.
//!
//! An own small client, because the steps must be apart (the record of a begin comes between DATA's answer and the
//! text), the text must leave in one write, and what a server sends is bounded before it is stored.

pub mod connect;
pub mod reply;

use std::{future::poll_fn, io, pin::Pin, task::Poll, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout},
};
use worker_api::SmtpSettings;

use crate::{
    mime::Mail,
    outcome::{Fault, Step, Trouble},
};
use reply::{Offers, Reply};

/// Anything that SMTP can be spoken over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a TCP connection.
    pub connect: Duration,
    /// For the answer to a command.
    pub command: Duration,
    /// For the answer to the text (RFC 5321, 4.5.3.2.6: ten minutes).
    pub end: Duration,
}

/// A connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    encrypted: bool,
    buffer: Vec<u8>,
    offers: Offers,
    timeouts: Timeouts,
    /// When it was last handed back.
    pub idle_since: Instant,
}

impl Connection {
    fn new(stream: Box<dyn Stream>, encrypted: bool, timeouts: Timeouts) -> Self {
        let offers = Offers::default();
        Self {
            stream,
            encrypted,
            buffer: Vec::new(),
            offers,
            timeouts,
            idle_since: Instant::now(),
        }
    }

    async fn greeting(&mut self) -> Result<(), Fault> {
        let (reply, _) = self
            .read_reply(Step::Greeting, self.timeouts.command)
            .await?;
        expect(Step::Greeting, reply, 220)
    }

    async fn hello(&mut self, name: &str) -> Result<(), Fault> {
        let (reply, lines) = self.command(Step::Hello, &format!("EHLO {name}")).await?;
        expect(Step::Hello, reply, 250)?;
        self.offers = Offers::read(&lines);
        Ok(())
    }

    async fn authenticate(&mut self, settings: &SmtpSettings) -> Result<(), Fault> {
        let Some(user) = &settings.username else {
            return Ok(());
        };
        let password = settings.password.as_deref().unwrap_or("");
        let reply = if self.offers.auth_plain {
            let secret = STANDARD.encode(format!("\0{user}\0{password}"));
            self.command(Step::Auth, &format!("AUTH PLAIN {secret}"))
                .await?
                .0
        } else if self.offers.auth_login {
            let (reply, _) = self.command(Step::Auth, "AUTH LOGIN").await?;
            expect(Step::Auth, reply, 334)?;
            let (reply, _) = self.command(Step::Auth, &STANDARD.encode(user)).await?;
            expect(Step::Auth, reply, 334)?;
            self.command(Step::Auth, &STANDARD.encode(password))
                .await?
                .0
        } else {
            return Err(Fault::new(
                Step::Auth,
                Trouble::NotOffered("AUTH PLAIN or LOGIN"),
            ));
        };
        expect(Step::Auth, reply, 235)
    }

    /// Goes up to the point where the server waits for the text.
    ///
    /// # Errors
    /// What went wrong, and where. Nothing of the mail itself has been sent then.
    pub async fn envelope(&mut self, mail: &Mail) -> Result<(), Fault> {
        if mail.needs_utf8 && !self.offers.smtputf8 {
            return Err(Fault::new(Step::Mail, Trouble::NotOffered("SMTPUTF8")));
        }
        if let Some(size) = self
            .offers
            .size
            .filter(|&size| mail.wire.len() as u64 > size)
        {
            let why = format!(
                "the mail has {} bytes, and the mail server takes at most {size}",
                mail.wire.len()
            );
            return Err(Fault::new(Step::Mail, Trouble::Unusable(why)));
        }
        let utf8 = if mail.needs_utf8 { " SMTPUTF8" } else { "" };
        let (reply, _) = self
            .command(Step::Mail, &format!("MAIL FROM:<{}>{utf8}", mail.from))
            .await?;
        expect(Step::Mail, reply, 250)?;
        let (reply, _) = self
            .command(Step::Rcpt, &format!("RCPT TO:<{}>", mail.to))
            .await?;
        expect(Step::Rcpt, reply, 250)?;
        let (reply, _) = self.command(Step::Data, "DATA").await?;
        expect(Step::Data, reply, 354)
    }

    /// Sends the text with its end, and waits for what the server says.
    ///
    /// # Errors
    /// A refusal, or [`Step::Body`] when the end certainly did not leave, or [`Step::Final`] when it may have.
    pub async fn text(&mut self, mail: &Mail) -> Result<Reply, Fault> {
        self.expect_silence(Step::Body)?;
        let mut sent = 0;
        let stream = &mut self.stream;
        let wire = &mail.wire;
        let write = async {
            while sent < wire.len() {
                match stream.write(&wire[sent..]).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    n => sent += n,
                }
            }
            stream.flush().await
        };
        if let Err(why) = within(self.timeouts.end, write).await {
            // Without TLS a failed write took nothing, so the count is exact. The end is `. CR LF`.
            let certain = !self.encrypted && sent + 3 <= wire.len();
            return Err(Fault::new(
                if certain { Step::Body } else { Step::Final },
                Trouble::Lost(why),
            ));
        }
        let (reply, _) = self.read_reply(Step::Final, self.timeouts.end).await?;
        if reply.is_positive() {
            Ok(reply)
        } else {
            Err(Fault::new(Step::Final, Trouble::Refused(reply)))
        }
    }

    /// Makes the connection ready for another mail after a refusal; false when it is of no use any more.
    pub async fn reset(&mut self) -> bool {
        matches!(self.command(Step::Mail, "RSET").await, Ok((reply, _)) if reply.is_positive())
    }

    /// Whether an idle connection is still open and the server said nothing on it.
    pub async fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let stream = &mut self.stream;
        self.buffer.is_empty()
            && poll_fn(|cx| {
                let mut buffer = ReadBuf::new(&mut byte);
                Poll::Ready(
                    Pin::new(&mut *stream)
                        .poll_read(cx, &mut buffer)
                        .is_pending(),
                )
            })
            .await
    }

    /// Says goodbye, without waiting long for the answer.
    pub async fn quit(mut self) {
        self.timeouts.command = self.timeouts.command.min(Duration::from_secs(2));
        let _ = self.command(Step::Mail, "QUIT").await;
    }

    async fn command(&mut self, step: Step, line: &str) -> Result<(Reply, Vec<String>), Fault> {
        self.expect_silence(step)?;
        let line = format!("{line}\r\n");
        let stream = &mut self.stream;
        let write = async {
            stream.write_all(line.as_bytes()).await?;
            stream.flush().await
        };
        within(self.timeouts.command, write)
            .await
            .map_err(|why| Fault::new(step, Trouble::Lost(why)))?;
        self.read_reply(step, self.timeouts.command).await
    }

    /// An answer that came before its question belongs to nothing: it could be taken for another one.
    fn expect_silence(&self, step: Step) -> Result<(), Fault> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        Err(Fault::new(
            step,
            Trouble::Garbled("the server spoke before it was asked".into()),
        ))
    }

    async fn read_reply(
        &mut self,
        step: Step,
        limit: Duration,
    ) -> Result<(Reply, Vec<String>), Fault> {
        let (stream, buffer) = (&mut self.stream, &mut self.buffer);
        let read = async {
            loop {
                match reply::parse(buffer) {
                    Err(why) => return Ok(Err(why)),
                    Ok(Some((reply, lines, length))) => {
                        buffer.drain(..length);
                        return Ok(Ok((reply, lines)));
                    }
                    Ok(None) => {}
                }
                if stream.read_buf(buffer).await? == 0 {
                    return Err(io::Error::other("the server closed the connection"));
                }
            }
        };
        match within(limit, read).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(why)) => Err(Fault::new(step, Trouble::Garbled(why))),
            Err(why) => Err(Fault::new(step, Trouble::Lost(why))),
        }
    }
}

fn expect(step: Step, reply: Reply, code: u16) -> Result<(), Fault> {
    // RCPT may be answered with 251, and several servers use other 2yz codes; only intermediate codes are exact.
    let fine = if code < 300 {
        reply.is_positive()
    } else {
        reply.code == code
    };
    match reply.code {
        _ if fine => Ok(()),
        200..=399 => Err(Fault::new(
            step,
            Trouble::Garbled(format!("{reply} instead of {code}")),
        )),
        _ => Err(Fault::new(step, Trouble::Refused(reply))),
    }
}

async fn within<T>(
    limit: Duration,
    future: impl Future<Output = io::Result<T>>,
) -> Result<T, String> {
    match timeout(limit, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs_f32())),
    }
}
