//! The agent's own port over TLS: who is let in, certificates that are rotated while it is scraped,
//! and what `check` and `doctor` say of them. No broker is needed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/pki.rs"]
mod pki;
#[path = "support/monitoring.rs"]
#[allow(dead_code, reason = "helpers of several tests; each uses a part of them")]
mod watchers;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use waybill::agent::Setup;
use waybill::config::tls::ServerTls;
use waybill::diagnostic::{Mark, Spanned};
use waybill::http::door::Door;
use waybill::http::{Answer, Handler, Limits, Listener, Server, serve};
use waybill::metrics::Metrics;
use waybill::tls::provider;

use pki::{Authority, Certificate, San, Says};
use watchers::{Prometheus, free_address, is_installed, until};

const FAR: &str = "20991231235959Z";
const CERTIFIED: &str = "cert: cert.pem, key: key.pem";
const ASKING: &str = "cert: cert.pem, key: key.pem, client_ca: clients.pem";

/// A folder with a configuration and certificates.
struct Site {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Site {
    fn new(tls: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        for name in ["in", "out"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let text = format!(
            "version: 1
agent: {{ name: test, instance: \"007\", data_dir: data }}
http:
  listen: \"{address}\"
  tls: {{ {tls} }}
journal: {{ min_free: 1MiB }}
sources: {{ drop: {{ type: folder, path: in, format: idoc }} }}
targets: {{ sap: {{ type: file, path: out, name: \"{{docnum}}\" }} }}
routes: []
"
        );
        fs::write(folder.path().join("waybill.yaml"), text).unwrap();
        Self { folder, address: address.parse().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn show(&self, own: &Certificate) {
        self.write("cert.pem", &own.pem);
        self.write("key.pem", &own.key);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_remove("WAYBILL_LISTEN").env_remove("WAYBILL_HOME");
        command
    }

    /// What a command says as lines of JSON.
    fn say(&self, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
        let output = self.command(arguments).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        (output.status.code(), lines.collect())
    }

    /// What the doctor says of the port.
    fn doctor(&self) -> (String, String) {
        self.finding("certificate")
    }

    fn finding(&self, check: &str) -> (String, String) {
        let (_, said) = self.say(&["doctor", "--json"]);
        let of = |one: &&Value| one["part"] == "http" && one["check"] == check;
        let finding = said.iter().find(of).unwrap();
        let text = |key: &str| finding[key].as_str().unwrap().to_owned();
        (text("result"), text("found"))
    }

    async fn start(&self) -> Agent<'_> {
        let log = fs::File::create(self.path("log")).unwrap();
        let child = self.command(&["run"]).stderr(log).spawn().unwrap();
        let agent = Agent { site: self, child };
        until("it works", || agent.log().contains("ready to work")).await;
        agent
    }

    async fn get(&self, client: &Client, path: &str) -> Result<reqwest::Response, reqwest::Error> {
        client.get(format!("https://{}{path}", self.address)).send().await
    }

    async fn status(&self, client: &Client, path: &str) -> Option<StatusCode> {
        self.get(client, path).await.ok().map(|answer| answer.status())
    }

    /// The certificate that is shown to a new connection.
    async fn shown(&self, authority: &Authority) -> Vec<u8> {
        let answer = self.get(&client(authority, None), "/healthz").await.unwrap();
        let info = answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap();
        info.peer_certificate().unwrap().to_vec()
    }

    /// Waits until that certificate is shown.
    async fn until_shown(&self, authority: &Authority, own: &Certificate) {
        let (wanted, asked) = (certificates(&own.pem).remove(0), Instant::now());
        while self.shown(authority).await != *wanted {
            assert!(asked.elapsed() < Duration::from_secs(20), "the certificate is never shown");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// An agent at work.
struct Agent<'a> {
    site: &'a Site,
    child: Child,
}

impl Agent<'_> {
    fn log(&self) -> String {
        fs::read_to_string(self.site.path("log")).unwrap()
    }

    fn says(&self, words: &str) -> usize {
        self.log().lines().filter(|line| line.contains(words)).count()
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

fn believing(authority: &Authority, own: Option<&Certificate>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates(&authority.pem));
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(store);
    match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(certificates(&own.pem), key).unwrap()
        }
    }
}

/// Who makes a new connection for each request.
fn client(authority: &Authority, own: Option<&Certificate>) -> Client {
    let client = Client::builder().tls_backend_preconfigured(believing(authority, own));
    client.no_proxy().tls_info(true).pool_max_idle_per_host(0).build().unwrap()
}

/// Who keeps his connection.
fn keeping(authority: &Authority) -> Client {
    let client = Client::builder().tls_backend_preconfigured(believing(authority, None));
    client.no_proxy().build().unwrap()
}

#[tokio::test]
async fn who_believes_the_authority_is_served_and_nobody_else() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let site = Site::new(CERTIFIED);
    site.show(&ours.issue("waybill", FAR));
    let agent = site.start().await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(site.status(&client(&ours, None), path).await, Some(StatusCode::OK), "{path}");
    }
    let error = site.get(&client(&others, None), "/metrics").await.unwrap_err();
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    // Plain HTTP gets no answer, and as often as anybody tries, the log does not grow by it.
    let before = agent.log();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(site.address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // The connection may also be reset: what was sent is not read.
        let _ended = stream.read_to_end(&mut answer);
        assert!(!answer.windows(4).any(|four| four == b"HTTP"), "{answer:?}");
    }
    assert_eq!(agent.log(), before);
}

#[tokio::test]
async fn one_protocol_is_spoken_and_what_is_agreed_on_says_so() {
    let ours = Authority::new("ours");
    let site = Site::new(CERTIFIED);
    site.show(&ours.issue("waybill", FAR));
    let _agent = site.start().await;
    for (offered, agreed) in [(&["h2", "http/1.1"][..], true), (&["h2"][..], false)] {
        let mut config = believing(&ours, None);
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = tokio::net::TcpStream::connect(site.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let protocol = stream.ok().and_then(|one| one.get_ref().1.alpn_protocol().map(Vec::from));
        assert_eq!(protocol, agreed.then(|| b"http/1.1".to_vec()));
    }
}

#[tokio::test]
async fn metrics_are_for_clients_with_a_certificate_and_probes_need_none() {
    let (ours, clients, others) =
        (Authority::new("ours"), Authority::new("clients"), Authority::new("others"));
    let site = Site::new(ASKING);
    site.show(&ours.issue("waybill", FAR));
    site.write("clients.pem", &clients.pem);
    let _agent = site.start().await;
    let (probe, known) = (client(&ours, None), clients.issue("prometheus", FAR));
    assert_eq!(site.status(&probe, "/healthz").await, Some(StatusCode::OK));
    assert_eq!(site.status(&probe, "/readyz").await, Some(StatusCode::OK));
    let refused = site.get(&probe, "/metrics").await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(!refused.text().await.unwrap().contains("waybill_events"));
    let known = client(&ours, Some(&known));
    assert_eq!(site.status(&known, "/metrics").await, Some(StatusCode::OK));
    let stranger = client(&ours, Some(&others.issue("prometheus", FAR)));
    assert_eq!(site.status(&stranger, "/healthz").await, None);
    // Other authorities, without a restart.
    site.write("clients.pem", &others.pem);
    let asked = Instant::now();
    while site.status(&stranger, "/metrics").await != Some(StatusCode::OK) {
        assert!(asked.elapsed() < Duration::from_secs(20), "never let in");
    }
    assert_eq!(site.status(&known, "/metrics").await, None);
}

#[tokio::test]
async fn a_client_is_known_by_a_name_of_its_certificate_letter_by_letter() {
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let names = "client_names: [prometheus.example, xn--bcher-kva.example, \"spiffe://example/p\"]";
    let site = Site::new(&format!("{ASKING}, {names}"));
    site.show(&ours.issue("waybill", FAR));
    site.write("clients.pem", &clients.pem);
    let _agent = site.start().await;
    let good: &[&[San<'_>]] = &[
        &[San::Dns(b"prometheus.example")],
        &[San::Dns(b"PROMETHEUS.example")],
        &[San::Dns(b"other.example"), San::Dns(b"prometheus.example")],
        &[San::Dns(b"xn--bcher-kva.example")],
        &[San::Uri("spiffe://example/p")],
    ];
    let bad: &[&[San<'_>]] = &[
        &[San::Dns(b"other.example")],
        &[San::Dns(b"*.example")],
        &[San::Dns(b"prometheus.example.evil.example")],
        &[San::Dns(b"evil.prometheus.example")],
        &[San::Dns(b"prometheus.example\0.evil.example")],
        &[San::Dns(b"prometheus.example\0")],
        &[San::Dns("b\u{fc}cher.example".as_bytes())],
        &[San::Uri("spiffe://example/P")],
        &[San::Uri("spiffe://example/p/q")],
        &[San::Uri("prometheus.example/")],
        &[San::Address([127, 0, 0, 1])],
        &[],
    ];
    for (names, known) in good.iter().map(|it| (it, true)).chain(bad.iter().map(|it| (it, false))) {
        // What the common name says counts for nothing.
        let own = clients.certify(Says::name("prometheus.example"), names);
        let status = site.status(&client(&ours, Some(&own)), "/metrics").await;
        assert_eq!(status, known.then_some(StatusCode::OK), "{names:?}");
    }
    // Probes have no certificate and no name.
    assert_eq!(site.status(&client(&ours, None), "/healthz").await, Some(StatusCode::OK));
}

#[tokio::test]
async fn a_revoked_client_is_kept_out_and_a_list_that_is_not_renewed_keeps_all_out() {
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let site = Site::new(&format!("{ASKING}, client_crl: revoked.pem"));
    site.show(&ours.issue("waybill", FAR));
    site.write("clients.pem", &clients.pem);
    let (one, two) = (clients.issue("one", FAR), clients.issue("two", FAR));
    let old = "20200101000000Z";
    let expired = clients.certify(Says { to: old, ..Says::name("old") }, &[]);
    let early = clients.certify(Says { from: "20980101000000Z", ..Says::name("early") }, &[]);
    site.write("revoked.pem", &clients.revoke(&[&one], FAR));
    let _agent = site.start().await;
    let status = async |own: &Certificate| site.status(&client(&ours, Some(own)), "/metrics").await;
    assert_eq!((status(&one).await, status(&two).await), (None, Some(StatusCode::OK)));
    assert_eq!((status(&expired).await, status(&early).await), (None, None));
    // Taken over as certificates are.
    let until = async |own: &Certificate, known: Option<StatusCode>| {
        let asked = Instant::now();
        while status(own).await != known {
            assert!(asked.elapsed() < Duration::from_secs(20), "never {known:?}");
        }
    };
    site.write("revoked.pem", &clients.revoke(&[&two], FAR));
    until(&two, None).await;
    assert_eq!(status(&one).await, Some(StatusCode::OK));
    // A list of another authority says nothing of ours.
    site.write("revoked.pem", &Authority::new("others").revoke(&[], FAR));
    until(&one, None).await;
    site.write("revoked.pem", &clients.revoke(&[], FAR));
    until(&two, Some(StatusCode::OK)).await;
    site.write("revoked.pem", &clients.revoke(&[], "20210101000000Z"));
    until(&two, None).await;
    assert_eq!(site.status(&client(&ours, None), "/healthz").await, Some(StatusCode::OK));
    assert!(site.finding("revocation list").1.contains("was due at 2021-01-01T00:00:00Z"));
}

#[test]
fn a_revocation_list_that_is_none_is_named_where_it_is_written() {
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let site = Site::new(&format!("{ASKING}, client_crl: revoked.pem"));
    site.show(&ours.issue("waybill", FAR));
    site.write("clients.pem", &clients.pem);
    let nonsense = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n";
    for (text, words) in [
        ("", "no revocation list in PEM form is in it"),
        (&clients.pem, "no revocation list in PEM form is in it"),
        (nonsense, "revocation list: "),
    ] {
        site.write("revoked.pem", text);
        let (code, said) = site.say(&["check", "--json"]);
        let message = said[0]["message"].as_str().unwrap();
        assert!(code == Some(1) && message.contains(words), "{said:?}");
        assert_eq!((said.len(), said[0]["line"].as_u64()), (1, Some(5)));
    }
    site.write("revoked.pem", &clients.revoke(&[], FAR));
    assert_eq!(site.say(&["check", "--json"]), (Some(0), Vec::new()));
}

/// Scrapes until it is told to stop; how often, and the first failure.
fn scraping(
    site: &Site,
    client: Client,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<Result<usize, String>> {
    let url = format!("https://{}/metrics", site.address);
    tokio::spawn(async move {
        for count in 0.. {
            if stop.has_changed().unwrap() {
                stop.mark_unchanged();
                return Ok(count);
            }
            let answer = client.get(&url).send().await.map_err(|error| format!("{error:?}"))?;
            let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
            assert!(text.contains("waybill_start_time_seconds"), "{text}");
        }
        Ok(0)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_rotated_under_load_without_a_failed_request() {
    let ours = Authority::new("ours");
    let site = Site::new(CERTIFIED);
    site.show(&ours.issue("waybill", "20310101000000Z"));
    let agent = site.start().await;
    let (stop, stopped) = watch::channel(false);
    let clients = [client(&ours, None), keeping(&ours), keeping(&ours)];
    let scrapers = clients.map(|client| scraping(&site, client, stopped.clone()));
    for year in ["2032", "2033"] {
        let (before, own) =
            (site.shown(&ours).await, ours.issue("waybill", &format!("{year}0101000000Z")));
        // One file after the other; half of it is not used, and the log says so once.
        site.write("cert.pem", &own.pem);
        let said = agent.says("the old one is shown");
        until("it says so", || agent.says("the old one is shown") > said).await;
        assert_eq!(site.shown(&ours).await, before);
        assert!(agent.log().contains("KeyMismatch"), "{}", agent.log());
        site.write("key.pem", &own.key);
        site.until_shown(&ours, &own).await;
        assert_eq!(agent.says("the old one is shown"), said + 1, "{}", agent.log());
        until_metric(&site, &ours, &format!("{year}-01-01T00:00:00Z")).await;
    }
    stop.send_replace(true);
    for scraper in scrapers {
        assert!(scraper.await.unwrap().unwrap() > 10);
    }
}

/// Waits until the metric agrees with the end of the certificate.
async fn until_metric(site: &Site, authority: &Authority, ends: &str) {
    let ends: jiff::Timestamp = ends.parse().unwrap();
    let asked = Instant::now();
    loop {
        let answer = site.get(&client(authority, None), "/metrics").await.unwrap();
        let text = answer.text().await.unwrap();
        let series = "waybill_credential_expiry_seconds{name=\"http\"} ";
        let left = text.lines().find_map(|line| line.strip_prefix(series)).unwrap();
        let expected = ends.duration_since(jiff::Timestamp::now()).as_secs_f64();
        if (left.parse::<f64>().unwrap() - expected).abs() < 60.0 {
            return;
        }
        assert!(asked.elapsed() < Duration::from_secs(20), "never so: {left}");
    }
}

#[tokio::test]
async fn an_agent_works_without_its_certificate_and_opens_when_there_is_one() {
    let ours = Authority::new("ours");
    let site = Site::new(CERTIFIED);
    let agent = site.start().await;
    assert_eq!(site.status(&client(&ours, None), "/healthz").await, None);
    assert_eq!(agent.says("nobody is let in until one can"), 1, "{}", agent.log());
    let own = ours.issue("waybill", FAR);
    site.show(&own);
    let asked = Instant::now();
    while site.status(&client(&ours, None), "/healthz").await != Some(StatusCode::OK) {
        assert!(asked.elapsed() < Duration::from_secs(20), "never opened");
    }
    assert_eq!(agent.says("nobody is let in until one can"), 1, "{}", agent.log());
}

#[test]
fn check_names_the_files_that_are_missing_or_do_not_match_where_they_are_written() {
    let ours = Authority::new("ours");
    let site = Site::new(ASKING);
    site.write("key.pem", "nothing");
    let (code, said) = site.say(&["check", "--json"]);
    assert_eq!(code, Some(1));
    let number = |one: &Value, key: &str| one[key].as_u64().unwrap();
    let places: Vec<_> =
        said.iter().map(|one| (number(one, "line"), number(one, "column"))).collect();
    assert_eq!(places, [(5, 16), (5, 31), (5, 51)], "{said:#?}");
    assert!(said[1]["message"].as_str().unwrap().ends_with("no key in PEM form is in it"));
    site.show(&ours.issue("waybill", FAR));
    site.write("key.pem", &ours.issue("waybill", FAR).key);
    site.write("clients.pem", &ours.pem);
    let (_, said) = site.say(&["check", "--json"]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0]["message"].as_str().unwrap().contains("KeyMismatch"), "{said:?}");
    assert_eq!(site.doctor().0, "fail");
    site.show(&ours.issue("waybill", FAR));
    assert_eq!(site.say(&["check", "--json"]), (Some(0), Vec::new()));
    let (result, found) = site.doctor();
    assert!(result == "ok" && found.contains("ends at 2099-12-31T23:59:59Z"), "{result} {found}");
    site.show(&ours.issue("waybill", "20200101000000Z"));
    assert_eq!(site.doctor(), ("fail".into(), "ended at 2020-01-01T00:00:00Z".into()));
}

#[test]
fn an_address_from_the_command_line_does_not_open_a_plain_port() {
    let site = Site::new(ASKING);
    let listen = Some("0.0.0.0:9464".parse().unwrap());
    let loaded = Setup { path: site.path("waybill.yaml"), listen }.load(1).unwrap();
    let http = loaded.written.config.http.unwrap();
    assert_eq!((Some(http.address.value), http.tls.is_some()), (listen, true));
}

// The clock stands still but for the server's own timers.
#[tokio::test(start_paused = true)]
async fn who_does_not_finish_his_handshake_is_not_waited_for() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let own = ours.issue("waybill", FAR);
    fs::write(folder.path().join("cert.pem"), &own.pem).unwrap();
    fs::write(folder.path().join("key.pem"), &own.key).unwrap();
    let name = |name: &str| Spanned { value: name.to_owned(), mark: Mark::default() };
    let tls = ServerTls {
        cert: name("cert.pem"),
        key: name("key.pem"),
        client_ca: None,
        client_names: Vec::new(),
        client_crl: None,
    };
    let (door, _keeper) = Door::new(tls, folder.path().to_owned());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler: Handler =
        Arc::new(|_| Box::pin(async { Answer::text(StatusCode::OK, "never asked") }));
    let (_stop, stopped) = watch::channel(false);
    let server = Server {
        listener: Listener::Tcp(listener, Some(door)),
        handler,
        limits: Limits::port(8, 8),
        closed: Metrics::new().unwrap().http_connections_closed,
    };
    let closed = server.closed.with_label_values(&["http", "slow"]);
    let serving = tokio::spawn(serve(server, stopped));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    let waited = begun.elapsed();
    assert!((9..=11).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(closed.get(), 1);
    serving.abort();
}

#[tokio::test]
async fn prometheus_scrapes_with_a_certificate_of_its_own() {
    if !is_installed("prometheus") {
        assert!(std::env::var_os("WAYBILL_TEST_REQUIRED").is_none(), "prometheus is missing");
        return;
    }
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let site = Site::new(ASKING);
    site.show(&ours.issue("waybill", FAR));
    site.write("clients.pem", &clients.pem);
    let _agent = site.start().await;
    let folder = tempfile::tempdir().unwrap();
    let own = clients.issue("prometheus", FAR);
    for (name, text) in
        [("ca.crt", &ours.pem), ("prometheus.crt", &own.pem), ("prometheus.key", &own.key)]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::write(folder.path().join("prometheus.yml"), scrape_config(&site)).unwrap();
    let prometheus = Prometheus::run(folder.path());
    until("it is scraped", || prometheus.knows("up{job=\"waybill\"} == 1")).await;
    assert!(prometheus.knows("waybill_credential_expiry_seconds{name=\"http\"} > 0"));
}

/// The example of the manual, with our address.
fn scrape_config(site: &Site) -> String {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations/tls.md");
    let manual = fs::read_to_string(manual).unwrap();
    let (_, example) = manual.split_once("```yaml\nscrape_configs:").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert!(example.contains("agent.example:9464") && example.contains("/etc/prometheus/tls/"));
    let example = example.replace("agent.example:9464", &site.address.to_string());
    let example = example.replace("/etc/prometheus/tls/", "");
    format!("global: {{ scrape_interval: 1s }}\nscrape_configs:{example}")
}
