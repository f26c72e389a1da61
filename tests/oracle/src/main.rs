//! The command line of the oracle.

#![allow(clippy::print_stdout, reason = "the verdict is what this program is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use waybill_oracle::bare;
use waybill_oracle::broker::{Broker, repository};
use waybill_oracle::crash::{self, Plan};
use waybill_oracle::faults::{self, Trial};
use waybill_oracle::flood;
use waybill_oracle::large;
use waybill_oracle::prove::{self, Proof};
use waybill_oracle::queue::Queue;
use waybill_oracle::receiver::Way;
use waybill_oracle::reload;
use waybill_oracle::run::program;
use waybill_oracle::weather::{self, Scenario};
use waybill_oracle::web;
use waybill_oracle::workload::Workload;

/// Vehicles of the runs with faults.
const FEW_VINS: usize = 60;

/// Publishes events, takes the files as SAP would, and judges the agent by both logs alone.
#[derive(Parser)]
#[command(name = "waybill-oracle", version)]
struct Cli {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// The whole mix through one agent: verdict, order, throughput, latency, memory, CPU.
    Prove(Prove),
    /// The mix while the agent is killed and the broker restarted.
    Crash(Crash),
    /// A large dropped file: speed, memory, kills, and the status events beside it.
    Large(Large),
    /// Configurations taken over and refused while events flow: none by halves.
    Reload(Paced),
    /// Events beside clients that abuse the port: probes, memory, latency, with and without.
    Flood(Paced),
    /// Runs each deliberate fault; fails unless the judge finds every one.
    Faults(Faults),
    /// Broker absent, wrong password, queue deleted, large and costly events, disk full, an event
    /// that kills.
    Weather(Weather),
    /// Web services that fail, lose answers and lock users; throughput beside bare loads.
    Http(Http),
    /// The bare lapin + SQLite loop (`prove` runs it beside the agent).
    Bare(Bare),
}

#[derive(Args)]
struct Size {
    /// Messages.
    #[arg(long, default_value_t = 20_000)]
    events: usize,
    /// Vehicles.
    #[arg(long, default_value_t = 500)]
    vins: usize,
    /// The seed of everything random.
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

#[derive(Args)]
struct Output {
    /// Also write the report as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Args)]
struct Prove {
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    output: Output,
    /// The agent.
    #[arg(long, env = "WAYBILL_BIN", default_value_os_t = built("release"))]
    agent: PathBuf,
    /// The broker; without one, a private broker is started.
    #[arg(long, env = "WAYBILL_TEST_AMQP", hide_env_values = true)]
    url: Option<String>,
    /// Messages per second of the latency run; 0 leaves it out.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Run the bare loop beside the agent.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    beside_bare: bool,
}

#[derive(Args)]
struct Crash {
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    output: Output,
    /// An agent built with `--features seeded-faults`.
    #[arg(long, env = "WAYBILL_FAULTY_BIN", default_value_os_t = built("faulty/debug"))]
    faulty_agent: PathBuf,
    /// Kills of the agent: every second one at a named point.
    #[arg(long, default_value_t = 30)]
    kills: usize,
    /// Restarts of the broker.
    #[arg(long, default_value_t = 2)]
    broker_restarts: usize,
    /// The way out of the agent.
    #[arg(long, value_enum, default_value_t)]
    way: Way,
}

#[derive(Args)]
struct Large {
    #[command(flatten)]
    output: Output,
    /// The agent.
    #[arg(long, env = "WAYBILL_BIN", default_value_os_t = built("release"))]
    agent: PathBuf,
    /// The broker; without one, a private broker is started.
    #[arg(long, env = "WAYBILL_TEST_AMQP", hide_env_values = true)]
    url: Option<String>,
    /// The size of the file in MiB.
    #[arg(long, default_value_t = 1024)]
    mebibytes: u64,
    /// Status events per second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// How long they come without the file, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

#[derive(Args)]
struct Paced {
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    output: Output,
    /// The agent.
    #[arg(long, env = "WAYBILL_BIN", default_value_os_t = built("release"))]
    agent: PathBuf,
    /// The broker; without one, a private broker is started.
    #[arg(long, env = "WAYBILL_TEST_AMQP", hide_env_values = true)]
    url: Option<String>,
    /// Messages per second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
}

#[derive(Args)]
struct Faults {
    #[command(flatten)]
    output: Output,
    /// An agent built with `--features seeded-faults`.
    #[arg(long, env = "WAYBILL_FAULTY_BIN", default_value_os_t = built("faulty/debug"))]
    faulty_agent: PathBuf,
    /// The broker; without one, a private broker is started.
    #[arg(long, env = "WAYBILL_TEST_AMQP", hide_env_values = true)]
    url: Option<String>,
    /// Messages per fault.
    #[arg(long, default_value_t = 1500)]
    events: usize,
    /// The first seed.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[derive(Args)]
struct Weather {
    /// Scenarios; all of them when none is named.
    #[arg(value_parser = Scenario::ALL.map(Scenario::name))]
    scenarios: Vec<String>,
    #[command(flatten)]
    output: Output,
    /// The agent.
    #[arg(long, env = "WAYBILL_BIN", default_value_os_t = built("release"))]
    agent: PathBuf,
}

#[derive(Args)]
struct Http {
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    output: Output,
    /// The agent.
    #[arg(long, env = "WAYBILL_BIN", default_value_os_t = built("release"))]
    agent: PathBuf,
    /// The broker; without one, a private broker is started.
    #[arg(long, env = "WAYBILL_TEST_AMQP", hide_env_values = true)]
    url: Option<String>,
    /// Documents of the throughput run; 0 leaves it out.
    #[arg(long, default_value_t = 10_000)]
    load: usize,
}

#[derive(Args)]
struct Bare {
    /// The broker.
    #[arg(long)]
    url: String,
    /// The queue; it has to be there.
    #[arg(long)]
    queue: String,
    /// Where its files go.
    #[arg(long)]
    directory: PathBuf,
    /// Ends after so many messages.
    #[arg(long)]
    events: usize,
    /// Also append the records to a file and fdatasync it.
    #[arg(long)]
    append: bool,
}

fn main() -> ExitCode {
    // One thread: the agent is told to die with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.context("no runtime").and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("waybill-oracle: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is as it has to be.
async fn run() -> Result<bool> {
    match Cli::parse().command {
        What::Prove(arguments) => prove(arguments).await,
        What::Crash(arguments) => crash(arguments).await,
        What::Large(arguments) => large(arguments).await,
        What::Reload(arguments) => reload(arguments).await,
        What::Flood(arguments) => flood(arguments).await,
        What::Faults(arguments) => faults(arguments).await,
        What::Weather(arguments) => weather(arguments).await,
        What::Http(arguments) => http(arguments).await,
        What::Bare(arguments) => bare(arguments).await,
    }
}

async fn prove(arguments: Prove) -> Result<bool> {
    let Prove { size, output, agent, url, rate, beside_bare } = arguments;
    let (agent, workload) = (program(&agent)?, Workload::new(size.events, size.vins, size.seed));
    let (_broker, url) = broker(url)?;
    let beside_bare = beside_bare.then(std::env::current_exe).transpose()?;
    let report = prove::prove(&Proof { agent, url, workload, rate, beside_bare }).await?;
    println!("{report}");
    output.write(&report)?;
    Ok(report.is_clean())
}

async fn crash(arguments: Crash) -> Result<bool> {
    let Crash { size, output, faulty_agent, kills, broker_restarts, way } = arguments;
    let workload = Workload::new(size.events, size.vins, size.seed);
    let agent = program(&faulty_agent)?;
    let report = crash::crash(&Plan { agent, workload, kills, broker_restarts, way }).await?;
    println!("{report}");
    output.write(&report)?;
    Ok(report.is_clean())
}

async fn large(arguments: Large) -> Result<bool> {
    let Large { output, agent, url, mebibytes, rate, seconds } = arguments;
    let agent = program(&agent)?;
    let (_broker, url) = broker(url)?;
    let report = large::large(&large::Plan { agent, url, mebibytes, rate, seconds }).await?;
    println!("{report}");
    output.write(&report)?;
    Ok(report.is_clean())
}

async fn reload(arguments: Paced) -> Result<bool> {
    let Paced { size, output, agent, url, rate } = arguments;
    let (agent, workload) = (program(&agent)?, Workload::new(size.events, size.vins, size.seed));
    let (_broker, url) = broker(url)?;
    let report = reload::reload(&reload::Plan { agent, url, workload, rate }).await?;
    println!("{report}");
    output.write(&report)?;
    Ok(report.is_clean())
}

async fn flood(arguments: Paced) -> Result<bool> {
    let Paced { size, output, agent, url, rate } = arguments;
    let (agent, workload) = (program(&agent)?, Workload::new(size.events, size.vins, size.seed));
    let (_broker, url) = broker(url)?;
    let report = flood::flood(&flood::Plan { agent, url, workload, rate }).await?;
    println!("{report}");
    output.write(&report)?;
    Ok(report.is_clean())
}

async fn faults(arguments: Faults) -> Result<bool> {
    let Faults { output, faulty_agent, url, events, seed } = arguments;
    let agent = program(&faulty_agent)?;
    let (_broker, url) = broker(url)?;
    let workload = Workload::new(events, FEW_VINS, seed);
    let proof = web::Proof { agent: agent.clone(), url: url.clone(), workload, load: 0 };
    let mut outcomes = faults::faults(&Trial { agent, url, events, seed }).await?;
    outcomes.extend(web::faults(&proof).await?);
    for outcome in &outcomes {
        println!("{outcome}");
        if !outcome.as_expected {
            print!("{}", outcome.judgement);
        }
    }
    output.write(&outcomes)?;
    Ok(outcomes.iter().all(|outcome| outcome.as_expected))
}

async fn weather(arguments: Weather) -> Result<bool> {
    let Weather { scenarios, output, agent } = arguments;
    let agent = program(&agent)?;
    let mut reports = Vec::new();
    for scenario in Scenario::ALL {
        if scenarios.is_empty() || scenarios.iter().any(|name| name == scenario.name()) {
            let report = weather::weather(scenario, &agent)
                .await
                .with_context(|| format!("scenario {}", scenario.name()))?;
            println!("{report}");
            reports.push(report);
        }
    }
    output.write(&reports)?;
    Ok(reports.iter().all(weather::Report::is_fine))
}

async fn http(arguments: Http) -> Result<bool> {
    let Http { size, output, agent, url, load } = arguments;
    let (agent, workload) = (program(&agent)?, Workload::new(size.events, size.vins, size.seed));
    let (_broker, url) = broker(url)?;
    let report = web::prove(&web::Proof { agent, url, workload, load }).await?;
    println!("{report}");
    output.write(&report)?;
    Ok(report.is_clean())
}

async fn bare(arguments: Bare) -> Result<bool> {
    let Bare { url, queue, directory, events, append } = arguments;
    let queue = Queue { url, name: queue };
    let report = bare::consume(&queue, &directory, events, append).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(true)
}

/// The broker named, or a private one that lives as long as the first value.
fn broker(url: Option<String>) -> Result<(Option<Broker>, String)> {
    if let Some(url) = url {
        return Ok((None, url));
    }
    let broker = Broker::start()?;
    let url = broker.url().to_owned();
    Ok((Some(broker), url))
}

/// Where cargo puts the agent.
fn built(profile: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| repository().join("target"));
    Path::new(&target).join(profile).join("waybill")
}

impl Output {
    fn write(&self, report: &impl Serialize) -> Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        let text = serde_json::to_string_pretty(report)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}
