//! Values that must not be seen: passwords, and URLs that hold them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};

/// Where a secret comes from. It is resolved anew whenever it is used, so that a rotated one
/// needs no restart.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Written in the file itself; for brokers without a password.
    Plain(String),
    /// `{ env: NAME }`.
    Env(String),
    /// `{ file: PATH }`, relative to the configuration file; white space around it is dropped.
    File(String),
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("environment variable {0} is not set")]
    Env(String),
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl Secret {
    /// The value now. `base` is the folder of the configuration file.
    pub fn resolve(&self, base: &Path) -> Result<String, SecretError> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone())),
            Self::File(path) => {
                let path = base.join(path);
                let text = std::fs::read_to_string(&path);
                let text = text.map_err(|error| SecretError::File { path, error })?;
                Ok(text.trim().to_owned())
            }
        }
    }

    /// The value now; what tells it from an earlier one goes into `sum`. A file that was written
    /// anew counts as another one, even with the same text: so an operator says that a refused
    /// login may be tried again.
    pub fn resolve_into(&self, base: &Path, sum: &mut Sha256) -> Result<String, SecretError> {
        let value = self.resolve(base)?;
        sum.update(value.len().to_le_bytes());
        sum.update(&value);
        if let Self::File(path) = self {
            let written = std::fs::metadata(base.join(path)).and_then(|file| file.modified());
            let written = written.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            sum.update(written.unwrap_or_default().as_nanos().to_le_bytes());
        }
        Ok(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("***"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::Plain("amqp://vms:geheim@broker".to_owned());
        assert_eq!(format!("{secret:?}"), "***");
    }

    #[test]
    fn a_secret_file_is_read_anew_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::File("url".to_owned());
        assert!(secret.resolve(folder.path()).unwrap_err().to_string().contains("url"));
        for value in ["one", "two"] {
            std::fs::write(folder.path().join("url"), format!("{value}\n")).unwrap();
            assert_eq!(secret.resolve(folder.path()).unwrap(), value);
        }
    }
}
