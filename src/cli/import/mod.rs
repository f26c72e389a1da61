//! `waybill import`: definitions from what others publish, compiled on this machine.

mod archive;
mod idoc;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use waybill_parsers::definition::import::{ImportProblem, Imported, SourceFile, edifact, x12};
use waybill_parsers::definition::write_definition;

use crate::cli::args::{Import, ImportCommand};
use crate::cli::output::Output;
use crate::cli::{CliError, Said, definitions, output};
use archive::Entry;

/// What was imported, as JSON shows it.
#[derive(Serialize)]
struct Done<'a> {
    standard: &'a str,
    release: &'a str,
    file: String,
    messages: usize,
    /// Messages whose segment groups are consistent; the others are left out.
    clean: usize,
    segments: usize,
    composites: usize,
    elements: usize,
    code_lists: usize,
    codes: usize,
    bytes: usize,
    seconds: f64,
    problems: Vec<Fault>,
}

#[derive(Serialize)]
struct Fault {
    file: String,
    line: u64,
    code: &'static str,
    message: String,
}

/// Bytes of a file that is imported; the largest directory of the United Nations has 3 MB.
const MOST_BYTES: u64 = 128 << 20;

/// Problems that are shown one by one to people.
const MOST_SHOWN: usize = 20;

pub(super) fn import(
    options: &Import,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let begun = clock();
    let (entries, target, is_json, read): (_, _, _, Reader) = match &options.command {
        ImportCommand::Edifact(it) => {
            (entries(std::slice::from_ref(&it.archive))?, &it.to, it.json, edifact)
        }
        ImportCommand::X12(it) => (entries(&it.files)?, &it.to, it.json, x12),
        ImportCommand::Idoc(it) => return idoc::import(it, out),
    };
    let files: Vec<_> =
        entries.iter().map(|entry| SourceFile { name: &entry.name, bytes: &entry.bytes }).collect();
    let imported = match read(&files) {
        Ok(imported) => imported,
        Err(problems) => {
            show(&problems, is_json, out)?;
            return Ok(Said::No);
        }
    };
    let text = write_definition(&imported.definition);
    let folder = definitions::folder(target.as_deref())?;
    let name = definitions::file_name(imported.definition.standard, &imported.definition.release);
    let path = folder.join(name.ok_or_else(|| {
        CliError::Refused("the release is not named in what was imported".to_owned())
    })?);
    write(&path, &text)?;
    let took = Duration::try_from(clock().duration_since(begun)).unwrap_or_default();
    report(&imported, (&path, text.len(), took), is_json, out)?;
    Ok(if imported.problems.is_empty() { Said::Yes } else { Said::No })
}

type Reader = fn(&[SourceFile<'_>]) -> Result<Imported, Vec<ImportProblem>>;

/// The files, and those in archives.
fn entries(paths: &[PathBuf]) -> Result<Vec<Entry>, CliError> {
    let mut entries = Vec::new();
    for path in paths {
        let refused = |error: String| CliError::Refused(format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(|error| refused(error.to_string()))?;
        let mut bytes = Vec::new();
        let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| refused(error.to_string()))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(refused(format!("larger than {} MiB", MOST_BYTES >> 20)));
        }
        if archive::is_zip(&bytes) {
            let name = path.display().to_string();
            let unpacked = archive::unpack(&name, &bytes);
            entries.extend(unpacked.map_err(|error| CliError::Refused(error.to_string()))?);
        } else {
            entries.push(Entry { name: path.display().to_string(), bytes });
        }
    }
    Ok(entries)
}

/// Writes beside and renames: a reader never sees half a definition.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let refused = |error: std::io::Error| CliError::Refused(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(refused)?;
    }
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).map_err(refused)?;
    std::fs::rename(&beside, path).map_err(refused)
}

fn report(
    imported: &Imported,
    (path, bytes, took): (&Path, usize, Duration),
    is_json: bool,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let definition = &imported.definition;
    let lists = definition.elements.values().filter(|element| !element.codes.is_empty());
    let done = Done {
        standard: definition.standard.name(),
        release: &definition.release,
        file: path.display().to_string(),
        messages: imported.messages,
        clean: definition.messages.len(),
        segments: definition.segments.len(),
        composites: definition.composites.len(),
        elements: definition.elements.len(),
        code_lists: lists.clone().count(),
        codes: lists.map(|element| element.codes.len()).sum(),
        bytes,
        seconds: took.as_secs_f64(),
        problems: imported.problems.iter().map(fault).collect(),
    };
    if is_json {
        output::json_line(out, &done)?;
        return Ok(());
    }
    show(&imported.problems, false, out)?;
    let Done { standard, release, messages, clean, segments, composites, .. } = &done;
    let Done { elements, code_lists, codes, bytes, seconds, .. } = &done;
    writeln!(out, "{standard} {release}: {clean} of {messages} messages, {segments} segments,")?;
    writeln!(
        out,
        "  {composites} composites, {elements} elements, {code_lists} code lists with {codes} codes"
    )?;
    writeln!(out, "{}: {bytes} bytes, {seconds:.2} s", path.display())?;
    Ok(())
}

fn show(problems: &[ImportProblem], is_json: bool, out: &mut Output<'_>) -> Result<(), CliError> {
    if is_json {
        for problem in problems {
            output::json_line(out, &fault(problem))?;
        }
        return Ok(());
    }
    for problem in problems.iter().take(MOST_SHOWN) {
        writeln!(out, "{problem}")?;
    }
    if problems.len() > MOST_SHOWN {
        writeln!(out, "and {} more; --json has them all", problems.len() - MOST_SHOWN)?;
    }
    Ok(())
}

fn fault(problem: &ImportProblem) -> Fault {
    Fault {
        file: problem.file.clone(),
        line: problem.problem.place.line,
        code: problem.problem.code,
        message: problem.problem.message.clone(),
    }
}
