//! A resolver of the DNS over HTTPS (RFC 8484), in plain HTTP on loopback, that knows what a test tells it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use simple_dns::rdata::{RData, TXT};
use simple_dns::{CLASS, Packet, ResourceRecord};

type Records = Arc<Mutex<HashMap<String, String>>>;

/// The running resolver.
pub struct Resolver {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    texts: Records,
}

impl Resolver {
    /// A resolver that knows nothing.
    pub fn start() -> Resolver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let texts = Records::default();
        let known = texts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &known);
            }
        });
        Resolver { port, texts }
    }

    /// Where it answers: `/dns-query` below this.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on a name has this TXT record.
    pub fn set(&self, name: &str, text: &str) {
        let mut texts = self.texts.lock().expect("no panic");
        texts.insert(name.to_owned(), text.to_owned());
    }
}

/// One request a connection is enough.
fn answer(mut stream: TcpStream, texts: &Records) {
    let Some(query) = body(&mut stream) else {
        return;
    };
    let Ok(packet) = Packet::parse(&query) else {
        return;
    };
    let mut reply = Packet::new_reply(packet.id());
    for question in &packet.questions {
        let texts = texts.lock().expect("no panic");
        if let Some(text) = texts.get(&question.qname.to_string()) {
            let text = TXT::new().with_string(text).expect("a text").into_owned();
            let name = question.qname.clone().into_owned();
            reply
                .answers
                .push(ResourceRecord::new(name, CLASS::IN, 60, RData::TXT(text)));
        }
    }
    let reply = reply.build_bytes_vec().expect("a message");
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/dns-message\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        reply.len()
    );
    // Whoever hung up has their reasons.
    let _ = stream.write_all(&[head.as_bytes(), &reply].concat());
}

fn body(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&part[..read]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        assert!(head.starts_with("post /dns-query"), "{head}");
        let length = head.lines().find_map(|l| {
            l.strip_prefix("content-length:")?
                .trim()
                .parse::<usize>()
                .ok()
        });
        match length {
            Some(length) if bytes.len() >= end + 4 + length => {
                return Some(bytes[end + 4..].to_vec());
            }
            None if bytes.ends_with(b"0\r\n\r\n") => return chunks(&bytes[end + 4..]),
            _ => {}
        }
    }
}

/// A body in chunks (RFC 9112, 7.1).
fn chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|w| w == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(end + 2..end + 2 + length)?);
        bytes = bytes.get(end + 2 + length + 2..)?;
    }
}
