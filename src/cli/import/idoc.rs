//! `waybill import idoc`: definitions of IDoc types from what SAP exports.

use std::borrow::Cow;

use std::path::Path;

use serde::Serialize;
use waybill_parsers::definition::import::ImportProblem;
use waybill_parsers::idoc::{self, Column};
use waybill_parsers::{Encoding, Kind, Problem, Schema, Severity};

use crate::cli::args::ImportIdoc;
use crate::cli::import::archive::Entry;
use crate::cli::import::{Fault, entries, fault, show, write};
use crate::cli::output::Output;
use crate::cli::{CliError, Said, output};

/// What was imported of one file, as JSON shows it.
#[derive(Default, Serialize)]
struct Done<'a> {
    from: &'a str,
    source: &'static str,
    #[serde(rename = "type")]
    name: &'a str,
    extension: &'a str,
    segments: usize,
    fields: usize,
    values: usize,
    /// The definition; `null` for records, which are only compared, and where there are problems.
    file: Option<String>,
    bytes: usize,
    problems: Vec<Fault>,
}

/// The layouts of records that every IDoc has. They are built in.
const RECORDS: [(&str, &[Column]); 3] =
    [("EDI_DC40", &idoc::EDI_DC40), ("EDI_DD40", &idoc::EDI_DD40), ("EDI_DS40", &idoc::EDI_DS40)];

/// Imports one file after the other; a line for each says how far it is.
pub(super) fn import(options: &ImportIdoc, out: &mut Output<'_>) -> Result<Said, CliError> {
    let mut said = Said::Yes;
    for entry in entries(&options.files)? {
        let (source, read) = source(&entry.bytes);
        let done = Done { from: &entry.name, source, ..Done::default() };
        let problems = match read(&entry.bytes) {
            Ok(schema) if is_records(&schema) => {
                let problems = differences(&schema);
                if problems.is_empty() {
                    records(&schema, done, options.json, out)?;
                }
                problems
            }
            Ok(schema) => {
                let path = options.to.join(file_name(&schema, &entry)?);
                definition(&schema, done, (&path, options.json), out)?;
                Vec::new()
            }
            Err(problems) => problems,
        };
        if !problems.is_empty() {
            said = Said::No;
            refuse(&entry, source, problems, options.json, out)?;
        }
    }
    Ok(said)
}

type Reader = fn(&[u8]) -> Result<Schema, Vec<Problem>>;

/// What a file is, by its first character.
fn source(bytes: &[u8]) -> (&'static str, Reader) {
    // Marks and the NULs of UTF-16 are no characters.
    let is_blank = |byte: &u8| matches!(byte, 0 | 0xef | 0xbb | 0xbf | 0xff | 0xfe | b' ' | 9..=13);
    match bytes.iter().find(|byte| !is_blank(byte)) {
        Some(b'<') => ("xsd", idoc::import::xsd),
        Some(b'{') => ("read-complete", |bytes| idoc::import::read_complete(&utf8(bytes))),
        _ => ("parser-export", |bytes| idoc::import::parser_export(&utf8(bytes))),
    }
}

/// A text without its mark, and not in UTF-16, in which Windows saves exports.
fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    match Encoding::detect(bytes) {
        Some((Encoding::UTF_8, mark)) => bytes.get(mark..).unwrap_or_default().into(),
        Some((encoding, mark)) => {
            let mut text = String::new();
            encoding.decode(bytes.get(mark..).unwrap_or_default(), &mut text);
            text.into_bytes().into()
        }
        None => bytes.into(),
    }
}

/// Whether a schema holds the records around segments, and no type.
fn is_records(schema: &Schema) -> bool {
    schema.name() == "RECORDS" || RECORDS.iter().any(|(name, _)| *name == schema.name())
}

/// Where the records of an export are not those that are built in.
fn differences(schema: &Schema) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, columns) in RECORDS {
        let record = schema.elements().find(|(_, e)| e.kind == Kind::Segment && e.name == name);
        let Some((_, record)) = record else { continue };
        let fields = record.children().iter().map(|id| schema.element(*id));
        let fields: Vec<_> = fields.map(|e| (e.name.as_str(), e.length.unwrap_or(0))).collect();
        let known: Vec<_> = columns.iter().map(|c| (c.name, c.length as u32)).collect();
        // The data of a segment may stand behind the header of its record.
        let same = fields.iter().zip(&known).take_while(|(a, b)| a == b).count();
        let rest = fields.get(same..).unwrap_or_default();
        if same < known.len() || rest.iter().any(|(field, _)| *field != "SDATA") {
            let (field, length) = rest.first().copied().unwrap_or(("(none)", 0));
            let message = format!(
                "field {} of {name} is {field} with {length} characters, and waybill reads another",
                same + 1
            );
            let severity = Severity::Error;
            let place = Default::default();
            problems.push(Problem { severity, code: "other-record", message, place });
        }
    }
    problems
}

/// `<EXTENSION>.idoc`, else `<TYPE>.idoc`, with `_-` for the slashes of a namespace, as SAP has it.
fn file_name(schema: &Schema, entry: &Entry) -> Result<String, CliError> {
    let name = extension(schema).unwrap_or(schema.name()).replace('/', "_-");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || !name.chars().all(is_plain) {
        let message = format!("{}: the type has a name that no file can have", entry.name);
        return Err(CliError::Refused(message));
    }
    Ok(format!("{name}.idoc"))
}

fn extension(schema: &Schema) -> Option<&str> {
    schema.element(schema.root()).definition.as_deref().filter(|name| !name.is_empty())
}

/// Counts what is in a definition.
fn counted<'a>(schema: &'a Schema, done: Done<'a>) -> Done<'a> {
    let count = |kind| schema.elements().filter(|(_, element)| element.kind == kind).count();
    Done {
        name: schema.name(),
        extension: extension(schema).unwrap_or_default(),
        segments: count(Kind::Segment),
        fields: count(Kind::Field),
        values: schema.elements().map(|(_, element)| element.codes.len()).sum(),
        ..done
    }
}

fn definition(
    schema: &Schema,
    done: Done<'_>,
    (path, is_json): (&Path, bool),
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let text = idoc::write_schema(schema);
    write(path, &text)?;
    let file = Some(path.display().to_string());
    let done = Done { file, bytes: text.len(), ..counted(schema, done) };
    if is_json {
        return Ok(output::json_line(out, &done)?);
    }
    let Done { name, extension, segments, fields, values, source, .. } = &done;
    let extension = match extension.is_empty() {
        true => String::new(),
        false => format!(" with extension {extension}"),
    };
    writeln!(out, "{name}{extension}: {segments} segments, {fields} fields, {values} values")?;
    if *source == "xsd" {
        writeln!(out, "  an XSD has no versions of segments: a parser export has")?;
    }
    Ok(writeln!(out, "{}: {} bytes", path.display(), text.len())?)
}

fn records(
    schema: &Schema,
    done: Done<'_>,
    is_json: bool,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    if is_json {
        return Ok(output::json_line(out, &counted(schema, done))?);
    }
    writeln!(out, "{}: the records are those that are built in; nothing is written", done.from)?;
    Ok(())
}

fn refuse(
    entry: &Entry,
    source: &'static str,
    problems: Vec<Problem>,
    is_json: bool,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let named = |problem| ImportProblem { file: entry.name.clone(), problem };
    let problems: Vec<_> = problems.into_iter().map(named).collect();
    if !is_json {
        return show(&problems, false, out);
    }
    let problems = problems.iter().map(fault).collect();
    Ok(output::json_line(out, &Done { from: &entry.name, source, problems, ..Done::default() })?)
}
