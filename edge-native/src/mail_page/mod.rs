//! A page on loopback that shows the mails of a folder. What a mail says is only ever shown as text.

mod mails;

pub use mails::Mails;

use crate::text_server;
use anyhow::{Context, Result};
use askama::Template;
use http::{HeaderValue, Request, Response, StatusCode, header};
use mail_parser::{Address, MessageParser};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;

/// How many mails the list shows.
const LISTED: usize = 200;

#[derive(Template)]
#[template(path = "mail_page/list.html")]
struct List<'a> {
    title: &'a str,
    count: usize,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    from: String,
    to: String,
    subject: String,
    date: String,
}

#[derive(Template)]
#[template(path = "mail_page/mail.html")]
struct Mail {
    row: Row,
    headers: Vec<(String, String)>,
    text: String,
}

/// Serves until dropped, under a title.
pub async fn serve(listener: TcpListener, title: &'static str, mails: Arc<Mails>) {
    text_server::serve(listener, move |request: Request<_>| {
        let host = request.headers().get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let mut response = match is_loopback(host) {
            true => answer(request.uri().path(), title, &mails),
            false => {
                let text = "This page is for this machine alone.\n".to_owned();
                text_server::response(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", text)
            }
        };
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        let policy = HeaderValue::from_static(policy);
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
        let nosniff = HeaderValue::from_static("nosniff");
        response
            .headers_mut()
            .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        response
    })
    .await;
}

/// Whether a `Host` names this machine. Another name that leads here is a trick to read these mails from a page elsewhere.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn answer(path: &str, title: &str, mails: &Mails) -> Response<String> {
    if path == "/" {
        let rows = mails.newest(LISTED).into_iter();
        let rows = rows.filter_map(|name| {
            let mail = mails.read(&name)?;
            Some(row(name, &mail))
        });
        return html(&List {
            title,
            count: mails.count(),
            rows: rows.collect(),
        });
    }
    let name = path.strip_prefix("/mail/").unwrap_or_default();
    let raw = name.strip_suffix(".eml");
    let name = raw.unwrap_or(name);
    match mails.read(name) {
        Some(mail) if raw.is_some() => {
            let text = String::from_utf8_lossy(&mail).into_owned();
            text_server::response(StatusCode::OK, "text/plain; charset=utf-8", text)
        }
        Some(mail) => html(&show(name, &mail)),
        None => {
            let text = "There is no such mail.\n".to_owned();
            text_server::response(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text)
        }
    }
}

fn html(page: &impl Template) -> Response<String> {
    match page.render() {
        Ok(text) => text_server::response(StatusCode::OK, "text/html; charset=utf-8", text),
        Err(error) => {
            let text = error.to_string();
            text_server::response(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", text)
        }
    }
}

fn row(name: String, mail: &[u8]) -> Row {
    let message = MessageParser::new().parse_headers(mail).unwrap_or_default();
    Row {
        name,
        from: addresses(message.from()),
        to: addresses(message.to()),
        subject: message.subject().unwrap_or("(no subject)").to_owned(),
        date: message
            .date()
            .map(|date| date.to_rfc822())
            .unwrap_or_default(),
    }
}

fn show(name: &str, mail: &[u8]) -> Mail {
    let message = MessageParser::new().parse(mail).unwrap_or_default();
    let headers = message.headers_raw();
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    Mail {
        row: row(name.to_owned(), mail),
        headers: headers.collect(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
    }
}

fn addresses(addresses: Option<&Address>) -> String {
    let Some(addresses) = addresses else {
        return String::new();
    };
    let one = |one: &mail_parser::Addr| match (one.name(), one.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (None, Some(address)) => address.to_owned(),
        (name, None) => name.unwrap_or_default().to_owned(),
    };
    addresses.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A listener on a loopback port: the one that was asked for, else the one of the last time, else any. A profile that
/// was made for one port should find its server there again.
pub fn bind(asked: u16, memory: &Path) -> Result<TcpListener> {
    let last = std::fs::read_to_string(memory)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let listen = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = match (asked, last) {
        (0, Some(last)) => listen(last).or_else(|_| listen(0)),
        (port, _) => listen(port),
    };
    let listener = listener.with_context(|| format!("nothing can listen on port {asked}"))?;
    std::fs::write(memory, listener.local_addr()?.port().to_string())?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_shown_as_text_and_never_as_markup() {
        let folder = tempfile::tempdir().unwrap();
        let mails = Mails::open(folder.path()).unwrap();
        let mail = "From: \"<b>A</b>\" <a@x.org>\r\nTo: b@x.org\r\nSubject: =?utf-8?q?h=C3=A9?= <i>\r\n\
                    \r\n<script>alert(1)</script>\r\n";
        mails.add(mail.as_bytes()).unwrap();
        let list = answer("/", "Mails", &mails).into_body();
        assert!(list.contains("hé &#60;i&#62;"), "{list}");
        let shown = answer("/mail/00000001", "Mails", &mails).into_body();
        assert!(shown.contains("&#60;script&#62;"), "{shown}");
        assert!(!shown.contains("<script>"), "{shown}");
        assert_eq!(
            answer("/mail/00000001.eml", "Mails", &mails).into_body(),
            mail
        );
        assert_eq!(answer("/mail/2", "Mails", &mails).status(), 404);
        assert_eq!(answer("/../x", "Mails", &mails).status(), 404);
    }

    #[test]
    fn the_page_answers_to_names_of_this_machine_only() {
        for host in [
            "127.0.0.1:4000",
            "localhost:4000",
            "localhost",
            "[::1]:4000",
            "127.0.0.1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.test:4000",
            "127.0.0.1.evil.test",
            "10.0.0.1:4000",
            "localhost.evil.test",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
