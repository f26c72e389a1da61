//! Documents of which nobody but the receiver knows whether they arrived, and the person who looks
//! there and decides.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::service::Log;
use crate::site::Site;

/// A delivery as the agent lists it.
pub(crate) struct Listed {
    number: u64,
    /// Its id.
    pub(crate) name: String,
}

/// Somebody at the command line.
pub(crate) struct Operator<'a> {
    pub(crate) agent: &'a Path,
    pub(crate) site: &'a Site,
}

impl Operator<'_> {
    /// The deliveries in a state.
    pub(crate) fn list(&self, state: &str) -> Result<Vec<Listed>> {
        let said = self.say(&["list", "--json", "--limit", "1000000", "--state", state])?;
        let read = |line: &str| {
            let row: Value = serde_json::from_str(line).ok()?;
            let name = row["name"].as_str()?.to_owned();
            Some(Listed { number: row["delivery"].as_u64()?, name })
        };
        said.lines()
            .map(|line| read(line).with_context(|| format!("no delivery: {line}")))
            .collect()
    }

    /// Decides, after a look at the receiver.
    pub(crate) fn resolve(&self, doubt: &Listed, there: bool) -> Result<()> {
        let verb = if there { "discard" } else { "release" };
        let why = if there { "the receiver has it" } else { "the receiver has it not" };
        self.say(&[verb, &doubt.number.to_string(), "--why", why]).map(|_| ())
    }

    fn say(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(self.agent);
        command.args(["deliveries"]).args(words).arg("--config").arg(self.site.config());
        let output = command.current_dir(self.site.directory()).output()?;
        // 1 says that nothing was found.
        if !matches!(output.status.code(), Some(0 | 1)) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("deliveries {}: {said}", words.join(" "));
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// What became of doubts where the receiver knows no ids.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Doubts {
    /// Begun and not settled when the agent was killed.
    pub left: BTreeSet<String>,
    /// Listed for a person.
    pub listed: BTreeSet<String>,
    /// The receiver had them.
    pub discarded: usize,
    /// The receiver had them not.
    pub released: usize,
}

impl Doubts {
    /// Looks at what a dead agent left, and decides about what was listed since.
    pub(crate) fn look(&mut self, operator: &Operator<'_>, log: &Log) -> Result<()> {
        self.left.extend(operator.list("prepared")?.into_iter().map(|one| one.name));
        self.resolve(operator, log).map(|_| ())
    }

    /// Decides about everything that is listed; how much that was.
    pub(crate) fn resolve(&mut self, operator: &Operator<'_>, log: &Log) -> Result<usize> {
        let doubts = operator.list("in-doubt")?;
        for doubt in &doubts {
            let there = log.has(&doubt.name);
            operator.resolve(doubt, there)?;
            *if there { &mut self.discarded } else { &mut self.released } += 1;
        }
        let count = doubts.len();
        self.listed.extend(doubts.into_iter().map(|one| one.name));
        Ok(count)
    }

    /// Those that were left and that nobody was asked about.
    pub fn unlisted(&self) -> usize {
        self.left.difference(&self.listed).count()
    }
}

impl fmt::Display for Doubts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.unlisted() == 0 { "doubts" } else { "WRONG: doubts" };
        let (left, listed) = (self.left.len(), self.listed.len());
        let Self { discarded, released, .. } = self;
        write!(
            f,
            "  {word}: {left} left by kills, {} of them never listed; {listed} listed, {discarded} \
             discarded because the receiver had them, {released} released",
            self.unlisted()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_that_nobody_was_asked_about_is_wrong() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        let mut doubts = Doubts { left: names(&["a", "b"]), ..Doubts::default() };
        doubts.listed = names(&["a", "c"]);
        assert_eq!(doubts.unlisted(), 1);
        assert!(doubts.to_string().contains("WRONG"));
        doubts.listed = names(&["a", "b", "c"]);
        assert_eq!(doubts.unlisted(), 0);
        assert!(!doubts.to_string().contains("WRONG"));
    }
}
