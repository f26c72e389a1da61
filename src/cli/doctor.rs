//! `waybill doctor`: everything that the configuration names, tried once.

use std::path::Path;

use jiff::Timestamp;

use crate::cli::args::Doctor;
use crate::cli::output::Output;
use crate::cli::{CliError, Said, check, output};
use crate::doctor::{self, Grade, Options};

pub(super) fn examine(
    path: &Path,
    options: &Doctor,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let (written, _) = check::compiled(path)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let closely = Options { deep: options.deep };
    let findings = runtime.block_on(doctor::examine(&written, closely, clock));
    runtime.shutdown_background();
    if options.json {
        findings.iter().try_for_each(|finding| output::json_line(out, finding))?;
    } else {
        let rows: Vec<_> = findings
            .iter()
            .map(|it| {
                let (result, check) = (it.result.as_str().to_owned(), it.check.to_owned());
                vec![result, it.part.clone(), check, it.found.clone()]
            })
            .collect();
        output::table(out, &["result", "part", "check", "found"], &rows)?;
        for finding in &findings {
            if let Some(remedy) = &finding.remedy {
                let (part, check) = (&finding.part, finding.check);
                writeln!(out, "{}: {part}, {check}: {remedy}", finding.result.as_str())?;
            }
        }
    }
    let fails = findings.iter().any(|finding| finding.result == Grade::Fail);
    Ok(if fails { Said::No } else { Said::Yes })
}
