//! Which configuration a command works with.

use std::path::{Path, PathBuf};

use crate::cli::CliError;
use crate::cli::args::Args;

impl Args {
    /// The configuration file: the command's own argument, `--config`, or `waybill.yaml`.
    pub(in crate::cli) fn config(&self, own: Option<&Path>) -> PathBuf {
        let given = own.map(Path::to_path_buf).or_else(|| self.config.clone());
        given.unwrap_or_else(|| PathBuf::from("waybill.yaml"))
    }

    /// The same where there is nothing to do without it.
    ///
    /// # Errors
    ///
    /// It is not there, or must not be read; with the ways to name another one.
    pub(in crate::cli) fn needed_config(&self, own: Option<&Path>) -> Result<PathBuf, CliError> {
        let path = self.config(own);
        match std::fs::File::open(&path) {
            Ok(_) => Ok(path),
            Err(error) => Err(CliError::Refused(format!(
                "{}: {error}; name the configuration with --config FILE or WAYBILL_CONFIG",
                path.display()
            ))),
        }
    }
}
