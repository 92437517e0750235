//! Where the world meets the host: TLS, hosts, and requests that nobody honest sends.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::harness::{Authority, Http, Options, Sluice, free_port};

/// Sends bytes and reads until the other end closes, or has said nothing for so long.
fn exchange(address: &str, bytes: &[u8], silence: Duration) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(silence)).unwrap();
    // Who is refused early may not get everything sent.
    let _ = stream.write_all(bytes);
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn ask(address: &str, request: &str) -> String {
    exchange(address, request.as_bytes(), Duration::from_secs(3))
}

/// The statuses of the answers in what came back.
fn statuses(answer: &str) -> Vec<&str> {
    let lines = answer.lines().filter(|line| line.starts_with("HTTP/1."));
    lines.filter_map(|line| line.split(' ').nth(1)).collect()
}

fn address(sluice: &Sluice) -> String {
    sluice.url().trim_start_matches("http://").to_owned()
}

#[test]
fn what_nobody_honest_sends_gets_a_safe_answer() {
    let sluice = Options::default()
        .no_worker()
        .argument("--head-timeout=2")
        .argument("--deadline=3")
        .argument("--max-body=100000")
        .start();
    let at = address(&sluice);
    let end = "Connection: close\r\n\r\n";

    let hosts = [
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "",
        "Host: a b\r\n",
        "Host: evil/path\r\n",
        "Host: user@evil\r\n",
        "Host: a:99999\r\n",
        "Host: a,b\r\n",
    ];
    for host in hosts {
        let answer = ask(&at, &format!("GET /login HTTP/1.1\r\n{host}{end}"));
        assert_eq!(statuses(&answer), ["400"], "{host:?}: {answer}");
    }
    let other = ask(
        &at,
        &format!("GET http://evil/login HTTP/1.1\r\nHost: {at}\r\n{end}"),
    );
    assert_eq!(statuses(&other), ["400"], "{other}");
    let good = ask(&at, &format!("GET /login HTTP/1.1\r\nHost: {at}\r\n{end}"));
    assert_eq!(statuses(&good), ["200"], "{good}");

    let large = [
        format!("X-Large: {}\r\n", "a".repeat(40 << 10)),
        format!("X-Large: {}\r\n", "a".repeat(2 << 20)),
        (0..250).map(|n| format!("X-{n}: 1\r\n")).collect(),
    ];
    for headers in large {
        let request = format!("GET /login HTTP/1.1\r\nHost: {at}\r\n{headers}{end}");
        let answer = ask(&at, &request);
        assert_eq!(
            statuses(&answer),
            ["431"],
            "{} bytes: {answer}",
            headers.len()
        );
    }
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: {at}\r\n{end}",
        "a".repeat(100 << 10)
    );
    let answer = ask(&at, &long);
    assert!(["414", "431"].contains(&statuses(&answer)[0]), "{answer}");

    let broken = [
        "X-A: a\r\n folded\r\n",
        "X-A : a\r\n",
        "X-A: a\0b\r\n",
        "X-A: a\rX-B: b\r\n",
        ": a\r\n",
        "X A: a\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 1, 1, 2\r\n",
        "Transfer-Encoding: gzip\r\n",
    ];
    for headers in broken {
        let request = format!("POST /login HTTP/1.1\r\nHost: {at}\r\n{headers}{end}");
        let answer = ask(&at, &request);
        assert_eq!(statuses(&answer), ["400"], "{headers:?}: {answer}");
    }
    // What follows a chunked body must not be taken for another request when a length says otherwise.
    let smuggled = format!(
        "POST /login HTTP/1.1\r\nHost: {at}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: {at}\r\n\r\n"
    );
    assert!(statuses(&ask(&at, &smuggled)).len() <= 1);

    for path in [
        "/login?next=%0d%0aX-Injected:%201",
        "/%0d%0aX-Injected:%201",
        "//evil.example/%0d%0a",
    ] {
        let answer = ask(&at, &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n{end}"));
        assert!(
            !answer.to_ascii_lowercase().contains("\r\nx-injected"),
            "{answer}"
        );
    }

    let post = |length: usize| {
        format!(
            "POST /api/v1/login HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let answer = ask(&at, &post(100_001));
    assert_eq!(statuses(&answer), ["413"], "{answer}");

    // A head that never ends, and one that comes byte by byte.
    let started = Instant::now();
    let never = exchange(
        &at,
        b"GET /login HTTP/1.1\r\nHost: a",
        Duration::from_secs(20),
    );
    assert!(
        statuses(&never)
            .iter()
            .all(|status| status.starts_with('4')),
        "{never}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    let dripping = drip(
        &at,
        &format!(
            "GET /login HTTP/1.1\r\nHost: {at}\r\nX-Slow: {}",
            "a".repeat(60)
        ),
    );
    assert!(!statuses(&dripping).contains(&"200"), "{dripping}");

    // A body that comes byte by byte.
    let slow = drip(&at, &(post(90_000) + &"{".repeat(90_000)));
    assert_eq!(statuses(&slow), ["408"], "{slow}");
    assert!(slow.contains("connection: close"), "{slow}");

    assert_eq!(sluice.http().get("/login").status, 200);
}

/// Sends the head of a request at once when it is whole, and the rest byte by byte until the other
/// end has enough.
fn drip(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = request.find("\r\n\r\n").map_or(0, |end| end + 4);
    stream.write_all(&request.as_bytes()[..head]).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    let until = Instant::now() + Duration::from_secs(20);
    for byte in request.as_bytes()[head..].iter() {
        let gone = stream.write_all(&[*byte]).is_err();
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(_) if !gone => {}
            Err(_) => break,
        }
        if answer.ends_with(b"}") {
            break;
        }
        assert!(Instant::now() < until, "nobody ever has enough");
    }
    let _ = stream.shutdown(Shutdown::Both);
    String::from_utf8_lossy(&answer).into_owned()
}

/// One request over TLS, checked against an authority.
fn secure(authority: &Authority, port: u16, name: &str, request: &str) -> String {
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-verify_hostname",
            name,
        ])
        .args([
            "-servername",
            name,
            "-connect",
            &format!("127.0.0.1:{port}"),
            "-CAfile",
        ])
        .arg(authority.ca())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client
        .stdin
        .take()
        .unwrap()
        .write_all(request.as_bytes())
        .unwrap();
    let output = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.is_empty() {
        true => String::from_utf8_lossy(&output.stderr).into_owned(),
        false => said,
    }
}

#[test]
fn pages_travel_by_tls_and_certificates_change_without_a_restart() {
    let (first, port) = (Authority::new(), free_port());
    let folder = tempfile::tempdir().unwrap();
    let put = |authority: &Authority| {
        std::fs::copy(authority.key(), folder.path().join("localhost.key")).unwrap();
        std::fs::copy(authority.cert(), folder.path().join("localhost.crt")).unwrap();
    };
    put(&first);
    let sluice = Options::default()
        .no_worker()
        .argument(format!("--tls-listen=127.0.0.1:{port}"))
        .argument("--tls-certs")
        .argument(folder.path())
        .argument("--hsts=600")
        .argument(format!("--public-url=https://localhost:{port}"))
        .start();
    let request =
        format!("GET /login HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let page = secure(&first, port, "localhost", &request);
    assert_eq!(statuses(&page), ["200"], "{page}");
    assert!(
        page.contains("strict-transport-security: max-age=600"),
        "{page}"
    );
    let stranger = secure(&first, port, "elsewhere.example", &request);
    assert_eq!(statuses(&stranger), [] as [&str; 0], "{stranger}");

    let at = address(&sluice);
    let plain = |method: &str, path: &str, host: &str| {
        ask(
            &at,
            &format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        )
    };
    let moved = plain("GET", "/login?a=b", "LOCALHOST:80");
    assert_eq!(statuses(&moved), ["308"], "{moved}");
    let target = format!("location: https://localhost:{port}/login?a=b\r\n");
    assert!(moved.contains(&target), "{moved}");
    assert!(!moved.contains("strict-transport"), "{moved}");
    assert_eq!(statuses(&plain("HEAD", "/", "localhost")), ["308"]);
    let refused = plain("POST", "/login", "localhost");
    assert_eq!(statuses(&refused), ["403"], "{refused}");
    assert!(refused.contains("application/problem+json"), "{refused}");
    assert_eq!(
        statuses(&plain("GET", "/login", &at)),
        ["200"],
        "by address, as processes here do"
    );

    let second = Authority::new();
    put(&second);
    let until = Instant::now() + Duration::from_secs(20);
    while statuses(&secure(&second, port, "localhost", &request)) != ["200"] {
        assert!(Instant::now() < until, "the new certificate never comes");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(statuses(&secure(&first, port, "localhost", &request)).is_empty());
}

#[test]
fn the_admin_port_tells_how_the_machine_fares() {
    let admin = free_port();
    let _sluice = Options::default()
        .no_worker()
        .argument(format!("--admin=127.0.0.1:{admin}"))
        .start();
    let status: Value = Http::new(&format!("http://127.0.0.1:{admin}"))
        .get("/status")
        .json();
    let number = |path: &str| status.pointer(path).and_then(Value::as_f64).unwrap_or(-1.0);
    assert!((0.0..=1.0).contains(&number("/cpu")), "{status}");
    assert!(
        number("/memory/rss") > 1e6 && number("/memory/rss") < number("/memory/used"),
        "{status}"
    );
    assert!(number("/memory/used") < number("/memory/total"), "{status}");
    assert!(
        number("/disk/free") > 0.0 && number("/disk/free") <= number("/disk/total"),
        "{status}"
    );
    assert!(number("/uptime_s") >= 0.0, "{status}");
    assert!(status["version"].is_string(), "{status}");
}
