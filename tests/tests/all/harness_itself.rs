//! The mail server and the browser of the harness do what scenarios rely on.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use tests::harness::{Authority, Browser, Sink, SinkOptions};

/// Says the lines one after the other and gives the last reply, or nothing if the connection ended.
fn talk(port: u16, lines: &[&str]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let mut reply = String::new();
    let mut next = |reply: &mut String| loop {
        reply.clear();
        match replies.read_line(reply) {
            Ok(n) if n > 0 => {}
            _ => return false,
        }
        if reply.as_bytes().get(3) == Some(&b' ') {
            return true;
        }
    };
    assert!(next(&mut reply));
    for line in lines {
        stream
            .write_all(line.replace('\n', "\r\n").as_bytes())
            .unwrap();
        stream.write_all(b"\r\n").unwrap();
        if !next(&mut reply) {
            return None;
        }
    }
    Some(reply)
}

fn mail_to(port: u16, to: &str) -> Option<String> {
    let rcpt = format!("RCPT TO:<{to}>");
    let content = "Subject: =?utf-8?q?H=C3=A9?=\n\nA line\n.";
    talk(
        port,
        &["EHLO test", "MAIL FROM:<a@b.test>", &rcpt, "DATA", content],
    )
}

#[test]
fn the_sink_keeps_mails_and_plays_faults() {
    let sink = Sink::start();
    assert!(
        mail_to(sink.port, "plain@x.test")
            .unwrap()
            .starts_with("250")
    );
    assert_eq!(mail_to(sink.port, "drop-data@x.test"), None);
    assert_eq!(mail_to(sink.port, "drop-stored@x.test"), None);
    assert!(
        mail_to(sink.port, "rejectdata@x.test")
            .unwrap()
            .starts_with("554")
    );
    let rcpt = |to: &str| {
        talk(
            sink.port,
            &[
                "EHLO test",
                "MAIL FROM:<a@b.test>",
                &format!("RCPT TO:<{to}>"),
            ],
        )
    };
    assert!(rcpt("reject@x.test").unwrap().starts_with("550"));
    assert!(rcpt("defer@x.test").unwrap().starts_with("451"));
    assert!(rcpt("tempfail-once@x.test").unwrap().starts_with("451"));
    assert!(rcpt("tempfail-once@x.test").unwrap().starts_with("250"));
    assert_eq!(rcpt("drop-rcpt@x.test"), None);

    let mails = sink.wait_for(2);
    assert_eq!(
        mails.iter().map(|m| m.to()).collect::<Vec<_>>(),
        ["plain@x.test", "drop-stored@x.test"]
    );
    assert_eq!(
        (mails[0].header("subject"), mails[0].text().trim()),
        ("Hé", "A line")
    );
}

#[test]
fn the_sink_offers_starttls_and_wants_a_password() {
    let authority = Authority::new();
    let options = SinkOptions {
        tls: Some(("starttls", &authority)),
        auth: Some("ann:secret"),
        ..Default::default()
    };
    let sink = Sink::with(&options);
    assert!(
        talk(sink.port, &["EHLO test", "MAIL FROM:<a@b.test>"])
            .unwrap()
            .starts_with("530")
    );
    assert!(
        talk(sink.port, &["EHLO test", "STARTTLS"])
            .unwrap()
            .starts_with("220")
    );
}

#[test]
fn the_browser_types_and_clicks() {
    let browser = Browser::start();
    let mut page = browser.page(390, 800);
    page.open("data:text/html,<form><input name=who><button onclick=\"document.body.append('Hello ' + who.value);return false\">Go</button></form>");
    page.fill("[name=who]", "Hé");
    page.click("button");
    page.wait_for_text("Hello Hé");
    assert!(!page.is_too_wide());
    page.screenshot("harness");
    assert_eq!(page.faults(), [] as [String; 0]);
}
