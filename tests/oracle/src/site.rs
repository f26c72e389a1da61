//! A place where an agent runs: a directory with a configuration, a journal, and the folder that the
//! consumer empties.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::broker::repository;
use crate::queue::Queue;
use crate::receiver::Way;
use crate::scratch::Scratch;
use crate::subscriber::exchange;

/// Requests that an agent of [`Site::send_to`] has under way at most.
pub(crate) const IN_FLIGHT: usize = 16;

/// How the agent learns where the broker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// From `AMQP_URL` in its environment.
    Environment,
    /// From a secret file, which may be rewritten while it runs.
    SecretFile,
}

/// The place.
#[derive(Debug)]
pub struct Site {
    _scratch: Option<Scratch>,
    directory: PathBuf,
    http: SocketAddr,
    queue: Queue,
}

impl Site {
    /// A new site for an agent that reads from `queue`.
    pub fn new(queue: &Queue) -> Result<Self> {
        let scratch = Scratch::new("site")?;
        let directory = scratch.path().to_owned();
        Self::build(Some(scratch), directory, queue, Address::Environment)
    }

    /// A new site for an agent that reads from `queue` and writes files or messages.
    pub fn on_way(queue: &Queue, way: Way) -> Result<Self> {
        let site = Self::new(queue)?;
        if way == Way::Messages {
            let exchange = exchange(queue);
            site.replace_target(&format!(
                "type: amqp, url: {{ env: AMQP_URL }}, exchange: {exchange}, \
                 routing_key: \"sap.{{type}}.{{key}}\""
            ))?;
        }
        Ok(site)
    }

    /// A new site with copies of the mappings below its directory, which may be changed.
    pub fn with_own_mappings(queue: &Queue) -> Result<Self> {
        let site = Self::new(queue)?;
        let shipped = repository().canonicalize()?.join("mappings");
        let own = site.directory.join("mappings");
        copy(&shipped, &own)?;
        let text = site.configuration(Address::Environment)?;
        let text = text.replace(&shipped.display().to_string(), &own.display().to_string());
        fs::write(site.config(), text).context("cannot write the config")?;
        Ok(site)
    }

    /// A new site for an agent that reads from `queue`, and customers from files that are dropped
    /// into [`Site::dropped`]; it says what they are to the queue `<queue>.customers`.
    pub fn with_drop(queue: &Queue) -> Result<Self> {
        let site = Self::new(queue)?;
        let mappings = repository().canonicalize()?.join("mappings");
        let (mappings, folder, name) = (mappings.display(), site.dropped(), &queue.name);
        fs::create_dir_all(&folder)?;
        let mut text = site.configuration(Address::Environment)?;
        for (place, more) in [
            (
                "targets:",
                format!(
                    "  drop: {{ type: folder, path: {}, format: idoc, keys: {{ DEBMAS: E1KNA1M/KUNNR }} }}\n",
                    folder.display()
                ),
            ),
            (
                "partners:",
                format!(
                    "  customers: {{ type: amqp, url: {{ env: AMQP_URL }}, exchange: \"\", routing_key: {name}.customers }}\n"
                ),
            ),
        ] {
            text = text.replacen(place, &format!("{more}{place}"), 1);
        }
        let mapping = format!("{mappings}/vehicle-registration/mapping.yaml");
        let both = format!("{mapping}, {mappings}/customer-changed/mapping.yaml");
        text = text.replacen(&mapping, &both, 1);
        text.push_str(
            "  - { on: idoc.DEBMAS, mapping: customer-changed, as: customer.changed, to: [customers] }\n",
        );
        fs::write(site.config(), text).context("cannot write the config")?;
        Ok(site)
    }

    /// A new site for an agent that reads from `queue` and sends to a web service; `keys` are
    /// further keys of its target.
    pub fn over_http(queue: &Queue, service: SocketAddr, keys: &str) -> Result<Self> {
        let site = Self::new(queue)?;
        site.replace_target(&format!(
            "type: http, url: \"http://{service}\", path: /idocs, {keys}, \
             timeouts: {{ connect: 1s, first_byte: 1s, total: 2s }}, \
             retry: {{ attempts: 30, first: 100ms, most: 1s }}"
        ))?;
        Ok(site)
    }

    /// Makes the agent of this site send to a web service from its next start on. Nothing but a kill
    /// shall be a reason to send twice: the agent waits long for answers.
    pub(crate) fn send_to(&self, service: SocketAddr, keys: &str) -> Result<()> {
        self.replace_target(&format!(
            "type: http, url: \"http://{service}\", path: /idocs, {keys}, in_flight: {IN_FLIGHT}, \
             timeouts: {{ connect: 10s, first_byte: 30s, total: 40s }}"
        ))
    }

    fn replace_target(&self, keys: &str) -> Result<()> {
        let text = self.configuration(Address::Environment)?;
        let line = |line: &str| match line.starts_with("  sap-file:") {
            true => format!("  sap-file: {{ {keys} }}\n"),
            false => format!("{line}\n"),
        };
        let text: String = text.lines().map(line).collect();
        fs::write(self.config(), text).context("cannot write the config")
    }

    /// A site in a directory that somebody else made and removes.
    pub fn within(directory: &Path, queue: &Queue) -> Result<Self> {
        Self::build(None, directory.to_owned(), queue, Address::Environment)
    }

    /// A site whose agent reads the broker's address from [`Site::secret`].
    pub fn with_secret_file(queue: &Queue) -> Result<Self> {
        let scratch = Scratch::new("site")?;
        let directory = scratch.path().to_owned();
        Self::build(Some(scratch), directory, queue, Address::SecretFile)
    }

    fn build(
        scratch: Option<Scratch>,
        directory: PathBuf,
        queue: &Queue,
        address: Address,
    ) -> Result<Self> {
        let http = free_address()?;
        let site = Self { _scratch: scratch, directory, http, queue: queue.clone() };
        fs::create_dir_all(site.out())?;
        fs::create_dir_all(site.data())?;
        fs::write(site.config(), site.configuration(address)?)
            .context("cannot write the config")?;
        Ok(site)
    }

    /// The queue that the agent reads.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The directory that holds everything.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The agent's configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory.join("waybill.yaml")
    }

    /// The folder with the finished files.
    pub fn out(&self) -> PathBuf {
        self.directory.join("out")
    }

    /// The folder that others drop files into.
    pub fn dropped(&self) -> PathBuf {
        self.directory.join("in")
    }

    /// The agent's own directory.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.data().join("journal.db")
    }

    /// What the agent prints, over all its lives here.
    pub fn log(&self) -> PathBuf {
        self.directory.join("agent.log")
    }

    /// The file with the broker's address, where the configuration asks for one.
    pub fn secret(&self) -> PathBuf {
        self.directory.join("amqp-url")
    }

    /// Where the agent answers over HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    fn configuration(&self, address: Address) -> Result<String> {
        let repository = repository().canonicalize()?;
        let (directory, mappings) =
            (self.directory.display(), repository.join("mappings").display().to_string());
        let url = match address {
            Address::Environment => "{ env: AMQP_URL }".to_owned(),
            Address::SecretFile => format!("{{ file: {} }}", self.secret().display()),
        };
        Ok(format!(
            "version: 1
agent: {{ name: proof, instance: \"001\", data_dir: {directory}/data }}
http: {{ listen: \"{http}\" }}
journal: {{ url: \"sqlite:journal.db\" }}
sources:
  vms: {{ type: amqp, url: {url}, queue: {queue}, declare: quorum, format: json, event: {{ key: data.vin }} }}
targets:
  sap-file: {{ type: file, path: {directory}/out, name: \"{{message_type}}_{{docnum}}.idoc\" }}
partners: [ {mappings}/partners/*.yaml ]
lifecycles: [ {mappings}/lifecycles/vehicle.yaml ]
mappings: [ {mappings}/vehicle-registration/mapping.yaml ]
routes:
  - {{ on: vehicle.status.changed, mapping: vehicle-registration, partner: sap-importer, to: [sap-file] }}
",
            http = self.http,
            queue = self.queue.name,
        ))
    }
}

/// Copies a folder with everything below it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A port on loopback that nobody uses now.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?)
}
