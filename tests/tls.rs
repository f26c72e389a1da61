//! TLS against real servers: private authorities, client certificates, and both of them rotated
//! while documents travel.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/pki.rs"]
mod pki;
#[path = "support/http.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use waybill::delivery::State;
use waybill::tls::{expiry, provider};

use pki::{Authority, Certificate, San, Says};
use support::{Reply, Seen, Service, World, of, target, until};

const FAR: &str = "20991231235959Z";
const TLS: &str = "dedupes: none, tls: { ca: ca.pem, cert: cert.pem, key: key.pem }";

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

/// A server's side; with `clients`, whoever connects needs a certificate of that authority.
fn server(own: &Certificate, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(certificates(&authority.pem));
            let verifier = WebPkiClientVerifier::builder_with_provider(store.into(), provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(certificates(&own.pem), key).unwrap())
}

fn write(world: &World, authority: &Authority, own: &Certificate) {
    for (name, text) in [("ca.pem", &authority.pem), ("cert.pem", &own.pem), ("key.pem", &own.key)]
    {
        std::fs::write(world.path(name), text).unwrap();
    }
}

fn secure(service: &Service, keys: &str) -> World {
    of(target(&format!("https://localhost:{}", service.address.port()), keys))
}

#[tokio::test]
async fn a_private_authority_and_a_client_certificate_let_documents_through() {
    let (ours, theirs) = (Authority::new("clients"), Authority::new("servers"));
    let (_keep, tls) = watch::channel(server(&theirs.issue("erp", FAR), Some(&ours)));
    let service = Service::start_tls(tls, |_| Reply::Status(200)).await;
    let mut world = secure(&service, TLS);
    write(&world, &theirs, &ours.issue("waybill", FAR));
    world.many(&[("a", "x"), ("a", "x"), ("b", "x")]).await;
    let running = world.start();
    world.until_done().await;
    running.stop().await;
    assert_eq!(service.count(), 3);
}

#[tokio::test]
async fn whom_we_do_not_trust_gets_nothing_and_it_is_no_doubt() {
    let (ours, theirs) = (Authority::new("clients"), Authority::new("servers"));
    let (_keep, tls) = watch::channel(server(&theirs.issue("erp", FAR), Some(&ours)));
    let service = Service::start_tls(tls, |_| Reply::Status(200)).await;
    let mut world = secure(&service, TLS);
    write(&world, &Authority::new("others"), &ours.issue("waybill", FAR));
    let id = world.due("a", "x").await;
    let running = world.start();
    until("the target is down", || async { !world.up() }).await;
    assert_eq!((service.count(), world.attempts(id)), (0, 0));
    // The right authority, without a restart.
    write(&world, &theirs, &ours.issue("waybill", FAR));
    world.until_state(id, State::Delivered).await;
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_and_named() {
    const HERE: [San<'_>; 1] = [San::Dns(b"localhost")];
    let (theirs, says) = (Authority::new("servers"), Says::name("localhost"));
    let of = |says, names: &[San<'_>]| theirs.certify(says, names);
    for (own, why) in [
        (Certificate::self_signed("localhost"), "UnknownIssuer"),
        // Another authority of the same name.
        (Authority::new("servers").issue("localhost", FAR), "BadSignature"),
        (of(says, &[San::Dns(b"other.example")]), "not valid for name \"localhost\""),
        // The common name says localhost.
        (of(says, &[]), "not valid for name \"localhost\""),
        (of(says, &[San::Dns(b"localhost\0.example")]), "not valid for name \"localhost\""),
        (of(says, &[San::Dns(b"*")]), "not valid for name \"localhost\""),
        (of(Says { to: "20210101000000Z", ..says }, &HERE), "certificate expired"),
        (of(Says { from: "20980101000000Z", ..says }, &HERE), "certificate not valid yet"),
        (of(Says { sha1: true, ..says }, &HERE), "UnsupportedSignatureAlgorithm"),
    ] {
        let (_keep, tls) = watch::channel(server(&own, None));
        let service = Service::start_tls(tls, |_| Reply::Status(200)).await;
        let mut world = secure(&service, "dedupes: none, tls: { ca: ca.pem }");
        std::fs::write(world.path("ca.pem"), &theirs.pem).unwrap();
        let id = world.due("a", "x").await;
        let running = world.start();
        let said =
            || world.metrics.reasons.of("target erp").map_or_else(String::new, |it| it.detail);
        until("it says why", || async { said().contains("certificate") }).await;
        assert!(said().contains(why), "{why}: {}", said());
        assert_eq!((service.count(), world.attempts(id), world.state(id)), (0, 0, State::Due));
        running.stop().await;
    }
}

/// A server with an RSA key of so many bits that openssl made, and its authority.
fn rsa(folder: &Path, bits: &str, port: u16) -> Child {
    let openssl = |words: &str| {
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let subject = "-subj /CN=ca -days 30 -addext basicConstraints=critical,CA:TRUE";
    let authority =
        format!("req -x509 -newkey rsa:{bits} -nodes {subject} -keyout ca.key -out ca.pem");
    let names = "-subj /CN=localhost -days 30 -addext subjectAltName=DNS:localhost";
    let names =
        format!("{names} -addext basicConstraints=critical,CA:FALSE -CA ca.pem -CAkey ca.key");
    let own = format!("req -x509 -newkey rsa:{bits} -nodes {names} -keyout own.key -out own.pem");
    for words in [authority, own] {
        assert!(openssl(&words).status().unwrap().success(), "openssl {words}");
    }
    let accept = format!("s_server -accept {port} -cert own.pem -key own.key -www -quiet");
    openssl(&format!("{accept} -cipher ALL:@SECLEVEL=0")).spawn().unwrap()
}

#[tokio::test]
async fn a_short_key_is_refused_and_a_long_one_is_not() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("WAYBILL_TEST_REQUIRED").is_none(), "openssl is missing");
        return;
    }
    for (bits, short) in [("1024", true), ("2048", false)] {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut server = rsa(folder.path(), bits, port);
        let url = format!("https://localhost:{port}");
        let mut world = of(target(&url, "dedupes: none, tls: { ca: ca.pem }"));
        std::fs::copy(folder.path().join("ca.pem"), world.path("ca.pem")).unwrap();
        let id = world.due("a", "x").await;
        let running = world.start();
        let said =
            || world.metrics.reasons.of("target erp").map_or_else(String::new, |it| it.detail);
        // The server knows no POST: a document that reaches it gets no answer, and counts.
        let refused = || said().contains("certificate: BadSignature");
        until("it is decided", || async { refused() || world.attempts(id) > 0 }).await;
        assert_eq!((refused(), world.attempts(id)), (short, u32::from(!short)), "{}", said());
        running.stop().await;
        server.kill().unwrap();
        server.wait().unwrap();
    }
}

#[tokio::test]
async fn who_does_not_trust_us_has_read_nothing_and_it_is_no_doubt() {
    let (ours, theirs) = (Authority::new("clients"), Authority::new("servers"));
    let (_keep, tls) = watch::channel(server(&theirs.issue("erp", FAR), Some(&ours)));
    let service = Service::start_tls(tls, |_| Reply::Status(200)).await;
    let mut world = secure(&service, TLS);
    write(&world, &theirs, &Authority::new("others").issue("waybill", FAR));
    let id = world.due("a", "x").await;
    let running = world.start();
    // One round of refusals; each of them says so with an alert, after we sent the request.
    let watched = Instant::now();
    until("the target is down", || async {
        !world.up() && watched.elapsed() > Duration::from_millis(500)
    })
    .await;
    assert_eq!((service.count(), world.state(id)), (0, State::Due));
    write(&world, &theirs, &ours.issue("waybill", FAR));
    world.until_state(id, State::Delivered).await;
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_refused_later_leaves_in_doubt_only_what_was_under_way() {
    let (ours, theirs) = (Authority::new("clients"), Authority::new("servers"));
    let (rotate, tls) = watch::channel(server(&theirs.issue("erp", FAR), Some(&ours)));
    let service = Service::start_tls(tls, |_| Reply::Full(200, "connection", "close", "")).await;
    let mut world = secure(&service, TLS);
    write(&world, &theirs, &ours.issue("waybill", FAR));
    let running = world.start();
    let first = world.due("a", "x").await;
    world.until_state(first, State::Delivered).await;
    let others = Authority::new("others");
    rotate.send_replace(server(&theirs.issue("erp", FAR), Some(&others)));
    let second = world.due("b", "x").await;
    world.until_state(second, State::InDoubt).await;
    let third = world.due("c", "x").await;
    until("the target is down", || async { !world.up() }).await;
    assert_eq!((service.count(), world.attempts(third)), (1, 0));
    rotate.send_replace(server(&theirs.issue("erp", FAR), Some(&ours)));
    world.until_state(third, State::Delivered).await;
    running.stop().await;
}

#[tokio::test]
async fn an_alert_that_is_about_no_certificate_leaves_a_document_in_doubt() {
    let (ours, theirs) = (Authority::new("clients"), Authority::new("servers"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let read = Arc::new(AtomicUsize::new(0));
    let tls = server(&theirs.issue("erp", FAR), Some(&ours));
    let task = tokio::spawn(stumble(listener, tls, read.clone()));
    let mut world = of(target(&url, TLS));
    write(&world, &theirs, &ours.issue("waybill", FAR));
    let id = world.due("a", "x").await;
    let running = world.start();
    until("it is settled", || async { world.attempts(id) == 1 }).await;
    running.stop().await;
    task.abort();
    assert_eq!((world.state(id), read.load(Ordering::Acquire)), (State::InDoubt, 1));
    assert!(world.reason(id).contains("BadRecordMac"), "{}", world.reason(id));
}

/// Reads the request of each connection, and then ends it as who cannot decrypt what comes next.
async fn stumble(listener: TcpListener, tls: Arc<ServerConfig>, read: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(tls.clone()).accept(stream).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "no whole request");
        }
        read.fetch_add(1, Ordering::AcqRel);
        let (socket, tls) = stream.get_mut();
        let noise = [&[23, 3, 3, 0, 32][..], &[0; 32]].concat();
        tls.read_tls(&mut &*noise).unwrap();
        tls.process_new_packets().unwrap_err();
        let mut alert = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut alert).unwrap();
        }
        socket.write_all(&alert).await.unwrap();
        socket.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn certificates_of_both_sides_are_rotated_under_load_without_an_error() {
    let (ours, theirs) = (Authority::new("clients"), Authority::new("servers"));
    let (rotate, tls) = watch::channel(server(&theirs.issue("erp", FAR), Some(&ours)));
    let service = Service::start_tls(tls, |_| Reply::Status(200)).await;
    let mut world = secure(&service, TLS);
    write(&world, &theirs, &ours.issue("waybill", FAR));
    let running = world.start();
    let (mut made, mut connections) = (load(&mut world, 1).await, 1);
    for _ in 0..3 {
        // The server's certificate, then ours: its two files one after the other, as people do it.
        rotate.send_replace(server(&theirs.issue("erp", FAR), Some(&ours)));
        let own = ours.issue("waybill", FAR);
        std::fs::write(world.path("cert.pem"), &own.pem).unwrap();
        made += load(&mut world, 20).await;
        std::fs::write(world.path("key.pem"), &own.key).unwrap();
        let rotated = Instant::now();
        while last_connection(&service) <= connections {
            assert!(rotated.elapsed() < Duration::from_secs(20), "no new connection");
            made += load(&mut world, 5).await;
        }
        connections = last_connection(&service);
    }
    world.until_done().await;
    running.stop().await;
    let seen = service.seen();
    let ids: BTreeSet<_> = seen.iter().map(Seen::id).collect();
    assert_eq!((seen.len(), ids.len()), (made, made));
    assert!((1..=made as u64).all(|id| world.attempts(id) == 1), "an attempt failed");
}

fn last_connection(service: &Service) -> usize {
    service.seen().iter().map(|one| one.connection).max().unwrap_or(0)
}

async fn load(world: &mut World, count: usize) -> usize {
    let names: Vec<_> = (0..count).map(|n| format!("k{n}")).collect();
    let list: Vec<_> = names.iter().map(|key| (key.as_str(), "x")).collect();
    let ids = world.many(&list).await;
    for id in ids {
        world.until_state(id, State::Delivered).await;
    }
    count
}

#[test]
fn when_a_certificate_ends_is_read_from_it() {
    let authority = Authority::new("clients");
    let (near, far) = (authority.issue("near", "20270102030405Z"), authority.issue("far", FAR));
    let both = format!("{}{}", far.pem, near.pem);
    let earliest = expiry::earliest(both.as_bytes()).unwrap();
    assert_eq!(earliest.to_string(), "2027-01-02T03:04:05Z");
    assert_eq!(expiry::earliest(b"no certificate"), None);
    for cut in 0..200 {
        let der = certificates(&far.pem).remove(0);
        assert_eq!(expiry::not_after(&der[..cut]), None);
    }
}

#[test]
fn when_a_revocation_list_is_due_is_read_from_it() {
    let authority = Authority::new("clients");
    let pem = authority.revoke(&[&authority.issue("one", FAR)], "20270102030405Z");
    let list = rustls::pki_types::CertificateRevocationListDer::from_pem_slice(pem.as_bytes());
    let list = list.unwrap();
    assert_eq!(expiry::next_update(&list).unwrap().to_string(), "2027-01-02T03:04:05Z");
    for cut in 0..60 {
        assert_eq!(expiry::next_update(&list[..cut]), None);
    }
}
