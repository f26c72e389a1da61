//! A private broker for runs that restart it: a handle on `tests/broker.sh`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::scratch::Scratch;

/// The broker. It stops, and its directory goes, with its owner, however that ends.
pub struct Broker {
    scratch: Scratch,
    url: String,
}

impl Broker {
    /// Starts one; ready when this returns.
    pub fn start() -> Result<Self> {
        let scratch = Scratch::new("broker")?;
        let directory = scratch.path().join("rabbitmq");
        script("start", &directory, Some(std::process::id()))?;
        let url = std::fs::read_to_string(directory.join("url"))
            .context("the broker did not say where it is")?;
        Ok(Self { scratch, url })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it as an operator would.
    pub fn stop(&self) -> Result<()> {
        script("stop", &self.directory(), None)
    }

    /// Kills it as a power cut would.
    pub fn kill(&self) -> Result<()> {
        script("kill", &self.directory(), None)
    }

    /// Starts it again on the same ports with the same data; ready when this returns.
    pub fn restart(&self) -> Result<()> {
        script("restart", &self.directory(), None)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let mut log = String::new();
        let Ok(files) = std::fs::read_dir(self.directory().join("log")) else { return log };
        for file in files.flatten() {
            log.push_str(&std::fs::read_to_string(file.path()).unwrap_or_default());
        }
        log
    }

    /// How many logins it has refused.
    pub fn refused_logins(&self) -> usize {
        self.log().lines().filter(|line| line.contains("login refused")).count()
    }

    fn directory(&self) -> PathBuf {
        self.scratch.path().join("rabbitmq")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn script(verb: &str, directory: &Path, owner: Option<u32>) -> Result<()> {
    let mut command = Command::new(repository().join("tests/broker.sh"));
    command.arg(verb).arg(directory).stdin(Stdio::null());
    command.args(owner.map(|id| id.to_string()));
    let output = command.output().context("cannot run tests/broker.sh")?;
    if !output.status.success() {
        bail!("broker.sh {verb}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
