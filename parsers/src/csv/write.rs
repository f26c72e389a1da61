//! Documents to rows.

use std::borrow::Cow;
use std::collections::HashMap;

use ::csv::{QuoteStyle, Terminator, WriterBuilder};

use crate::document::{Document, Kind, Node};
use crate::encoding::Encoding;
use crate::reading::{Limits, Place, Problem, Problems, Severity};

/// The shape of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// The delimiter.
    pub delimiter: u8,
    /// The quote, around fields that need one.
    pub quote: u8,
    /// Whether the first row names the columns.
    pub header: bool,
    /// `\r\n` after each row, as RFC 4180 has it.
    pub crlf: bool,
    /// The encoding.
    pub encoding: Encoding,
    /// An apostrophe in front of fields that a spreadsheet takes for a formula: those that begin with
    /// `=`, `+`, `-`, `@`, a tab or a carriage return. Reading the file back, it is part of the text.
    pub spreadsheet: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: b'"',
            header: true,
            crlf: false,
            encoding: Encoding::UTF_8,
            spreadsheet: false,
        }
    }
}

/// Appends a row for each of `documents`. The columns are `columns`, or where there are none all
/// names of the documents in the order in which they appear.
///
/// # Errors
///
/// Every problem; `out` is then as it was. Codes: `unknown-field`, `duplicate-field`,
/// `not-a-field` for what has children, `not-encodable`. The segment of a place is the row.
pub fn write(
    documents: &[&Document],
    columns: &[&str],
    options: WriteOptions,
    out: &mut Vec<u8>,
) -> Vec<Problem> {
    let mut problems = Problems::new(Limits::default().problems);
    let mut names: Vec<&str> = columns.to_vec();
    // A row of JSON may have a million names.
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (at, name) in columns.iter().enumerate() {
        places.entry(name).or_insert(at);
    }
    if columns.is_empty() {
        let fields = documents.iter().flat_map(|document| document.root().children());
        for name in fields.map(Node::name) {
            places.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            });
        }
    }
    let mut builder = WriterBuilder::new();
    builder.delimiter(options.delimiter).quote(options.quote).quote_style(QuoteStyle::Necessary);
    let end = if options.crlf { Terminator::CRLF } else { Terminator::Any(b'\n') };
    let mut writer = builder.terminator(end).flexible(true).from_writer(Vec::new());
    if options.header && !names.is_empty() {
        // Writing to memory does not fail.
        let _ = writer.write_record(names.iter().map(|name| field(name, options).into_owned()));
    }
    for (number, document) in documents.iter().enumerate() {
        let row = row(document.root(), &places, (number, names.len()), &mut problems);
        let _ = writer.write_record(row.iter().map(|text| field(text, options).into_owned()));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    if let Some(at) = options.encoding.lacks(&text) {
        let message =
            format!("{} has no character {} of the file", options.encoding.name(), at + 1);
        let (severity, place) = (Severity::Error, Place::default());
        problems.push(severity, || Problem { severity, code: "not-encodable", message, place });
    }
    let problems = problems.finish();
    if problems.is_empty() {
        let _ = options.encoding.encode(&text, out);
    }
    problems
}

/// A field as it is written.
fn field(text: &str, options: WriteOptions) -> Cow<'_, str> {
    if options.spreadsheet && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return Cow::Owned(format!("'{text}"));
    }
    Cow::Borrowed(text)
}

/// Row `number`, of `count` columns, which have these places.
fn row<'d>(
    root: Node<'d>,
    places: &HashMap<&str, usize>,
    (number, count): (usize, usize),
    problems: &mut Problems,
) -> Vec<&'d str> {
    let mut row = vec![""; count];
    let mut given = vec![false; count];
    for child in root.children() {
        let name = child.name();
        let mut fault = |code: &'static str, message: &str| {
            let segment = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let place = Place { segment, path: name.to_owned(), ..Place::default() };
            let (severity, message) = (Severity::Error, message.to_owned());
            problems.push(severity, || Problem { severity, code, message, place });
        };
        if child.children().next().is_some()
            || matches!(child.kind(), Kind::Group | Kind::Segment | Kind::List)
        {
            fault("not-a-field", "a column has no children");
            continue;
        }
        let at = places.get(name).copied();
        match at.and_then(|at| Some((row.get_mut(at)?, given.get_mut(at)?))) {
            Some((_, true)) => fault("duplicate-field", "occurs more than once"),
            Some((field, given)) => (*field, *given) = (child.text(), true),
            None => fault("unknown-field", "no column of that name"),
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Builder;

    fn written(spreadsheet: bool) -> String {
        let mut builder = Builder::new();
        builder.open(Kind::Group, "row", 0);
        let fields = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "a=1", "'=1", "1-1", ""];
        for (at, text) in fields.into_iter().enumerate() {
            builder.put(Kind::Text, &format!("{}{at}", ["=", "c"][at.min(1)]), text, 0);
        }
        let options = WriteOptions { spreadsheet, ..WriteOptions::default() };
        let mut out = Vec::new();
        assert_eq!(write(&[&builder.finish()], &[], options, &mut out), []);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_field_that_a_spreadsheet_would_compute_gets_an_apostrophe_where_asked() {
        let text = written(true);
        assert!(text.starts_with("'=0,c1,c2,"), "{text}");
        let row = text.split_once('\n').unwrap().1;
        assert_eq!(row, "'=1+1,'+1,'-1,'@SUM(A1),'\t=1,\"'\r=1\",a=1,'=1,1-1,\n");
        assert!(written(false).contains("\n=1+1,+1,-1,@SUM(A1),"));
    }
}
