use super::door::Door;
use super::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// A certificate that signs itself and its key, in PEM.
fn made(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn put(folder: &Path, name: &str, (certificate, key): &(String, String)) {
    std::fs::write(folder.join(format!("{name}.crt")), certificate).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key).unwrap();
}

struct Fixture {
    own: tempfile::TempDir,
    managed: tempfile::TempDir,
    certificates: Arc<Certificates>,
}

fn fixture() -> Fixture {
    let (own, managed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let certificates = Certificates::new(Some(own.path().to_owned()), managed.path().to_owned());
    Fixture {
        certificates: Arc::new(certificates),
        own,
        managed,
    }
}

impl Fixture {
    fn names(&self, host: &str) -> Option<Vec<String>> {
        self.certificates
            .find(host)
            .map(|found| found.facts.names.clone())
    }
}

#[test]
fn a_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let fixture = fixture();
    put(
        fixture.own.path(),
        "a.example",
        &made(&["a.example", "www.a.example"]),
    );
    put(fixture.own.path(), "wild", &made(&["*.b.example"]));
    let folder = fixture.own.path().join("c.example");
    std::fs::create_dir(&folder).unwrap();
    let (certificate, key) = made(&["c.example"]);
    std::fs::write(folder.join("fullchain.pem"), certificate).unwrap();
    std::fs::write(folder.join("privkey.pem"), key).unwrap();
    let (certificate, key) = made(&["d.example", "a.example"]);
    std::fs::write(
        fixture.managed.path().join("d.example.pem"),
        key + &certificate,
    )
    .unwrap();
    std::fs::write(fixture.own.path().join("README"), "").unwrap();
    assert_eq!(fixture.certificates.refresh(), [] as [String; 0]);
    assert_eq!(fixture.names("WWW.a.example.").unwrap()[0], "a.example");
    assert_eq!(fixture.names("x.b.example").unwrap(), ["*.b.example"]);
    assert_eq!(fixture.names("y.x.b.example"), None);
    assert_eq!(fixture.names("b.example"), None);
    assert_eq!(fixture.names("c.example").unwrap(), ["c.example"]);
    assert!(fixture.certificates.find("d.example").unwrap().managed);
    assert!(
        !fixture.certificates.find("a.example").unwrap().managed,
        "the operator's wins"
    );
    assert_eq!(fixture.names("e.example"), None);
}

#[test]
fn changed_files_are_read_and_broken_ones_change_nothing() {
    let fixture = fixture();
    let path = fixture.own.path();
    put(path, "a.example", &made(&["a.example", "first.example"]));
    assert_eq!(fixture.certificates.refresh(), [] as [String; 0]);
    let next = made(&["a.example", "second.example"]);
    // In the middle of being replaced, the two do not belong together.
    std::fs::write(path.join("a.example.crt"), &next.0).unwrap();
    let wrong = fixture.certificates.refresh();
    assert!(
        wrong[0].contains("is the key of another certificate"),
        "{wrong:?}"
    );
    assert_eq!(fixture.names("a.example").unwrap()[1], "first.example");
    assert_eq!(
        fixture.certificates.refresh(),
        [] as [String; 0],
        "said once"
    );
    std::fs::write(path.join("a.example.key"), &next.1).unwrap();
    assert_eq!(fixture.certificates.refresh(), [] as [String; 0]);
    assert_eq!(fixture.names("a.example").unwrap()[1], "second.example");
    assert_eq!(fixture.names("first.example"), None);
    std::fs::write(path.join("b.example.crt"), "nothing").unwrap();
    let wrong = fixture.certificates.refresh();
    assert!(wrong[0].contains("holds no certificate"), "{wrong:?}");
    std::fs::remove_file(path.join("a.example.crt")).unwrap();
    fixture.certificates.refresh();
    assert_eq!(fixture.names("a.example"), None);
}

#[test]
fn a_folder_that_cannot_be_read_takes_no_certificate_away() {
    let fixture = fixture();
    put(fixture.own.path(), "a.example", &made(&["a.example"]));
    assert!(fixture.certificates.is_empty());
    fixture.certificates.refresh();
    let away = fixture.own.path().with_extension("away");
    std::fs::rename(fixture.own.path(), &away).unwrap();
    let wrong = fixture.certificates.refresh();
    assert!(wrong[0].contains("No such file"), "{wrong:?}");
    assert_eq!(fixture.names("a.example").unwrap(), ["a.example"]);
    std::fs::rename(&away, fixture.own.path()).unwrap();
    assert_eq!(fixture.certificates.refresh(), [] as [String; 0]);
}

/// Serves one echo after another behind a door.
async fn serve(door: Arc<Door>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let door = door.clone();
            tokio::spawn(async move {
                if let Some(mut stream) = door.admit(stream).await {
                    let mut bytes = [0; 5];
                    stream.read_exact(&mut bytes).await.unwrap();
                    stream.write_all(&bytes).await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            });
        }
    });
    address
}

async fn call(address: std::net::SocketAddr, root: &str, name: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(b"hello").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn clients_get_the_certificate_of_the_host_they_name() {
    let fixture = fixture();
    let (one, two) = (made(&["a.example"]), made(&["b.example", "127.0.0.1"]));
    put(fixture.own.path(), "a.example", &one);
    put(fixture.own.path(), "default", &two);
    fixture.certificates.refresh();
    let address = serve(Arc::new(Door::new(fixture.certificates.clone()).unwrap())).await;
    assert_eq!(call(address, &one.0, "a.example").await.unwrap(), "hello");
    assert_eq!(call(address, &two.0, "b.example").await.unwrap(), "hello");
    assert_eq!(call(address, &two.0, "127.0.0.1").await.unwrap(), "hello");
    assert!(call(address, &one.0, "b.example").await.is_err());
    let asked = fixture.certificates.asked.notified();
    assert!(call(address, &one.0, "c.example").await.is_err());
    tokio::time::timeout(Duration::from_secs(1), asked)
        .await
        .unwrap();
    let renewed = made(&["a.example"]);
    put(fixture.own.path(), "a.example", &renewed);
    fixture.certificates.refresh();
    assert_eq!(
        call(address, &renewed.0, "a.example").await.unwrap(),
        "hello"
    );
}

#[tokio::test]
async fn silent_clients_are_sent_away_and_hold_nobody_up() {
    let fixture = fixture();
    let one = made(&["a.example"]);
    put(fixture.own.path(), "a.example", &one);
    fixture.certificates.refresh();
    let door = Door::patient(fixture.certificates.clone(), Duration::from_millis(300)).unwrap();
    let address = serve(Arc::new(door)).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(call(address, &one.0, "a.example").await.unwrap(), "hello");
    let started = Instant::now();
    let mut rest = Vec::new();
    silent[0].read_to_end(&mut rest).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "sent away");
}
