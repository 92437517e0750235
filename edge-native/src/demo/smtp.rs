//! An SMTP server that takes every mail and delivers none. The protocol is smtp-proto's; here is
//! only the conversation.

use crate::mail_page::Mails;
use smtp_proto::request::receiver::{BdatReceiver, DataReceiver, RequestReceiver};
use smtp_proto::{Error, Request};
use std::io::Result;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest mail taken.
const LARGEST: usize = 32 << 20;
/// A client that is silent for this long is left.
const SILENCE: Duration = Duration::from_secs(300);

/// Serves until dropped.
pub async fn serve(listener: TcpListener, mails: Arc<Mails>) {
    let listener = listener.set_nonblocking(true).map(|()| listener);
    let Ok(listener) = listener.and_then(tokio::net::TcpListener::from_std) else {
        return;
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let session = Session {
            stream,
            mails: mails.clone(),
            mail: Vec::new(),
            sender: false,
        };
        tokio::spawn(async move {
            if let Err(error) = session.run().await {
                tracing::debug!(%error, "a mail session ended");
            }
        });
    }
}

struct Session {
    stream: TcpStream,
    mails: Arc<Mails>,
    mail: Vec<u8>,
    sender: bool,
}

/// What the bytes that come next are.
enum Reading {
    Commands,
    Data(DataReceiver),
    Chunk(BdatReceiver),
    End,
}

impl Session {
    async fn run(mut self) -> Result<()> {
        self.stream
            .write_all(b"220 sluice demo, every mail stays here\r\n")
            .await?;
        let mut commands = RequestReceiver::default();
        let mut reading = Reading::Commands;
        let mut buffer = vec![0; 16 << 10];
        while !matches!(reading, Reading::End) {
            let read = tokio::time::timeout(SILENCE, self.stream.read(&mut buffer)).await??;
            if read == 0 {
                return Ok(());
            }
            let mut replies = String::new();
            let mut bytes = buffer[..read].iter();
            while !bytes.as_slice().is_empty() && !matches!(reading, Reading::End) {
                reading = match reading {
                    Reading::Commands => match commands.ingest(&mut bytes) {
                        Ok(request) => self.command(&request, &mut replies),
                        Err(Error::NeedsMoreData { .. }) => Reading::Commands,
                        Err(error) => {
                            replies.push_str(&format!("500 5.5.1 {error:?}\r\n"));
                            Reading::Commands
                        }
                    },
                    Reading::Data(mut data) => match data.ingest(&mut bytes, &mut self.mail) {
                        true => self.keep(&mut replies),
                        false => Reading::Data(data),
                    },
                    Reading::Chunk(mut chunk) => match chunk.ingest(&mut bytes, &mut self.mail) {
                        true if chunk.is_last => self.keep(&mut replies),
                        true => {
                            replies.push_str("250 2.0.0 go on\r\n");
                            Reading::Commands
                        }
                        false => Reading::Chunk(chunk),
                    },
                    Reading::End => Reading::End,
                };
                if self.mail.len() > LARGEST {
                    replies.push_str("552 5.3.4 the mail is too large\r\n");
                    reading = Reading::End;
                }
            }
            self.stream.write_all(replies.as_bytes()).await?;
        }
        self.stream.shutdown().await
    }

    fn command(
        &mut self,
        request: &Request<std::borrow::Cow<'_, str>>,
        replies: &mut String,
    ) -> Reading {
        let reply = match request {
            Request::Ehlo { .. } | Request::Lhlo { .. } => &format!(
                "250-sluice\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE {LARGEST}\r\n"
            ),
            Request::Auth {
                initial_response, ..
            } if initial_response.is_empty() => "504 5.5.4 send the initial response with AUTH\r\n",
            Request::Auth { .. } => "235 2.7.0 welcome\r\n",
            Request::Mail { .. } => {
                self.reset();
                self.sender = true;
                "250 2.1.0 ok\r\n"
            }
            Request::Rcpt { .. } if self.sender => "250 2.1.5 ok\r\n",
            Request::Data if self.sender => {
                replies.push_str("354 go on\r\n");
                return Reading::Data(DataReceiver::new());
            }
            Request::Bdat {
                chunk_size,
                is_last,
            } if self.sender => {
                return match chunk_size {
                    0 if *is_last => self.keep(replies),
                    _ => Reading::Chunk(BdatReceiver::new(*chunk_size, *is_last)),
                };
            }
            Request::Rcpt { .. } | Request::Data | Request::Bdat { .. } => {
                "503 5.5.1 MAIL comes first\r\n"
            }
            Request::Rset => {
                self.reset();
                "250 2.0.0 ok\r\n"
            }
            Request::Quit => {
                replies.push_str("221 2.0.0 bye\r\n");
                return Reading::End;
            }
            Request::StartTls => "454 4.7.0 no TLS in the demo\r\n",
            Request::Helo { .. } | Request::Noop { .. } => "250 2.0.0 ok\r\n",
            Request::Vrfy { .. } => "252 2.5.2 perhaps\r\n",
            _ => "502 5.5.1 not here\r\n",
        };
        replies.push_str(reply);
        Reading::Commands
    }

    fn keep(&mut self, replies: &mut String) -> Reading {
        match self.mails.add(&self.mail) {
            Ok(number) => replies.push_str(&format!("250 2.0.0 kept as {number}\r\n")),
            Err(error) => replies.push_str(&format!("451 4.3.0 {error}\r\n")),
        }
        self.reset();
        Reading::Commands
    }

    fn reset(&mut self) {
        self.mail = Vec::new();
        self.sender = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn talk(lines: &str) -> (String, Arc<Mails>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mails = Arc::new(Mails::open(folder.path()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, mails.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(lines.as_bytes()).await.unwrap();
        let mut replies = String::new();
        client.read_to_string(&mut replies).await.unwrap();
        (replies, mails, folder)
    }

    #[tokio::test]
    async fn a_mail_is_kept_as_it_came_without_its_dots_stuffed() {
        let (replies, mails, _folder) = talk(
            "EHLO me\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<b@x.org>\r\nDATA\r\n\
             Subject: hi\r\n\r\n..dot\r\nbye\r\n.\r\nQUIT\r\n",
        )
        .await;
        assert!(
            replies.contains("250 2.0.0 kept as 00000001\r\n221 2.0.0 bye"),
            "{replies}"
        );
        assert_eq!(
            mails.read(&mails.newest(1)[0]).unwrap(),
            b"Subject: hi\r\n\r\n.dot\r\nbye\r\n"
        );
    }

    #[tokio::test]
    async fn data_without_a_sender_is_refused() {
        let (replies, mails, _folder) = talk("HELO me\r\nDATA\r\nNONSENSE\r\nQUIT\r\n").await;
        assert!(replies.contains("503 5.5.1"), "{replies}");
        assert!(replies.contains("500 5.5.1"), "{replies}");
        assert_eq!(mails.count(), 0);
    }
}
