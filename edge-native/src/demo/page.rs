//! The page that shows the demo's mails. What a mail says is only ever shown as text.

use super::mails::Mails;
use crate::text_server;
use askama::Template;
use http::{HeaderValue, Request, Response, StatusCode, header};
use mail_parser::{Address, MessageParser};
use std::net::TcpListener;
use std::sync::Arc;

/// How many mails the list shows.
const LISTED: usize = 200;

#[derive(Template)]
#[template(path = "demo/list.html")]
struct List {
    count: usize,
    rows: Vec<Row>,
}

struct Row {
    number: u64,
    from: String,
    to: String,
    subject: String,
    date: String,
}

#[derive(Template)]
#[template(path = "demo/mail.html")]
struct Mail {
    row: Row,
    headers: Vec<(String, String)>,
    text: String,
}

/// Serves until dropped.
pub async fn serve(listener: TcpListener, mails: Arc<Mails>) {
    text_server::serve(listener, move |request: Request<_>| {
        let mut response = answer(request.uri().path(), &mails);
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

fn answer(path: &str, mails: &Mails) -> Response<String> {
    if path == "/" {
        let rows = mails.newest(LISTED).into_iter();
        let rows = rows.filter_map(|number| Some(row(number, &mails.read(number)?)));
        return html(&List {
            count: mails.count(),
            rows: rows.collect(),
        });
    }
    let number = path.strip_prefix("/mail/");
    let raw = number.and_then(|number| number.strip_suffix(".eml"));
    let number = raw.or(number).and_then(|number| number.parse::<u64>().ok());
    match number.and_then(|number| Some((number, mails.read(number)?))) {
        Some((_, mail)) if raw.is_some() => {
            let text = String::from_utf8_lossy(&mail).into_owned();
            text_server::response(StatusCode::OK, "text/plain; charset=utf-8", text)
        }
        Some((number, mail)) => html(&show(number, &mail)),
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

fn row(number: u64, mail: &[u8]) -> Row {
    let message = MessageParser::new().parse_headers(mail).unwrap_or_default();
    Row {
        number,
        from: addresses(message.from()),
        to: addresses(message.to()),
        subject: message.subject().unwrap_or("(no subject)").to_owned(),
        date: message
            .date()
            .map(|date| date.to_rfc822())
            .unwrap_or_default(),
    }
}

fn show(number: u64, mail: &[u8]) -> Mail {
    let message = MessageParser::new().parse(mail).unwrap_or_default();
    let headers = message.headers_raw();
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    Mail {
        row: row(number, mail),
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
        let list = answer("/", &mails).into_body();
        assert!(list.contains("hé &#60;i&#62;"), "{list}");
        let shown = answer("/mail/1", &mails).into_body();
        assert!(shown.contains("&#60;script&#62;"), "{shown}");
        assert!(!shown.contains("<script>"), "{shown}");
        assert_eq!(answer("/mail/1.eml", &mails).into_body(), mail);
        assert_eq!(answer("/mail/2", &mails).status(), 404);
        assert_eq!(answer("/../x", &mails).status(), 404);
    }
}
