//! How a command prints: lines and tables for people, lines of JSON for programs.
//!
//! [`Output`] is no [`Write`]: `writeln!` on it prints one line in which text from outside is made
//! [visible](crate::visible), whatever it holds, so that no call can forget it. Documents for
//! programs go through [`Output::write_document`], and what brings escape sequences of its own
//! through [`Output::rendered`].

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::visible::{columns, cut, json, visible};

/// Bytes that are written to a program at once.
const BUFFERED: usize = 1 << 16;
/// Columns of a cell, and of the last one of a row, which has the reason or the name.
const MOST_COLUMNS: usize = 64;
const MOST_COLUMNS_LAST: usize = 240;

/// How a piece of a line looks where the output is a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// What a line is about.
    Name,
    /// What something means.
    Meaning,
    Error,
    Warning,
}

impl Style {
    fn sequence(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Name => "\x1b[1m",
            Self::Meaning => "\x1b[2m",
            Self::Error => "\x1b[31m",
            Self::Warning => "\x1b[33m",
        }
    }
}

/// Where a command prints to.
pub(super) struct Output<'a> {
    to: Box<dyn Write + 'a>,
    is_terminal: bool,
    is_coloured: bool,
    is_wide: bool,
}

impl<'a> Output<'a> {
    /// Standard output; with `wide` no cell of a table is cut.
    pub(super) fn standard(wide: bool) -> Output<'static> {
        let screen = io::stdout();
        let is_terminal = screen.is_terminal();
        // A person sees each line when it is there; a program gets many at once, for one system call.
        let to: Box<dyn Write> = match is_terminal {
            true => Box::new(screen.lock()),
            false => Box::new(BufWriter::with_capacity(BUFFERED, screen.lock())),
        };
        Output { is_wide: wide, ..Output::on(to, is_terminal) }
    }

    /// Standard error.
    pub(super) fn errors() -> Output<'static> {
        let screen = io::stderr();
        let is_terminal = screen.is_terminal();
        Output::on(Box::new(screen), is_terminal)
    }

    fn on(to: Box<dyn Write + 'a>, is_terminal: bool) -> Self {
        // https://no-color.org
        let is_coloured = is_terminal && std::env::var_os("NO_COLOR").is_none();
        Self { to, is_terminal, is_coloured, is_wide: false }
    }

    /// Whether a person looks at it.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether it may have colours.
    pub(super) fn is_coloured(&self) -> bool {
        self.is_coloured
    }

    /// What `write!` and `writeln!` call: prints one line, and only one.
    pub(super) fn write_fmt(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        let line = line.to_string();
        let line = line.strip_suffix('\n').unwrap_or(&line);
        writeln!(self.to, "{}", visible(line))
    }

    /// Prints one line of pieces. Blanks at its end are left out where nothing has a style.
    pub(super) fn styled(&mut self, pieces: &[(Style, &str)]) -> io::Result<()> {
        let mut line = String::new();
        for (style, text) in pieces {
            let sequence = if self.is_coloured { style.sequence() } else { "" };
            line.push_str(sequence);
            line.push_str(&visible(text));
            if !sequence.is_empty() {
                line.push_str("\x1b[0m");
            }
        }
        writeln!(self.to, "{}", line.trim_end())
    }

    /// Prints text of several lines.
    pub(super) fn lines(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| writeln!(self, "{line}"))
    }

    /// Prints what was made visible before it got its lines and colours.
    pub(super) fn rendered(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.to, "{text}")
    }

    /// Writes bytes for programs as they are; to a terminal, their lines made visible.
    pub(super) fn write_document(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.is_terminal {
            return self.to.write_all(bytes);
        }
        for line in String::from_utf8_lossy(bytes).split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            write!(self.to, "{}{end}", visible(line))?;
        }
        Ok(())
    }

    /// Shows how far something is, in place of what was shown before; nothing at last.
    pub(super) fn progress(&mut self, text: &str) -> io::Result<()> {
        write!(self.to, "\r{}\x1b[K", visible(text))?;
        self.to.flush()
    }

    /// Hands on what is buffered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn cell(&self, text: &str, most: usize) -> String {
        let shown = visible(text);
        if self.is_wide { shown.into_owned() } else { cut(&shown, most).into_owned() }
    }
}

/// Prints rows under their headings, each column as wide as its widest cell. A cell that is too wide
/// is cut, unless the output is wide.
pub(super) fn table(
    out: &mut Output<'_>,
    headings: &[&str],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let most = |at: usize| if at + 1 < headings.len() { MOST_COLUMNS } else { MOST_COLUMNS_LAST };
    let headings = headings.iter().map(|text| text.to_uppercase()).collect();
    let cells = |row: &Vec<String>| -> Vec<String> {
        row.iter().enumerate().map(|(at, text)| out.cell(text, most(at))).collect()
    };
    let rows: Vec<_> = std::iter::once(headings).chain(rows.iter().map(cells)).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        rows.iter().filter_map(|row| row.get(at)).map(|cell| columns(cell.as_str())).max()
    };
    let widths: Vec<usize> = (0..count).map(|at| width(at).unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A text with blanks up to so many columns.
pub(super) fn padded(text: &str, width: usize) -> String {
    let shown = visible(text);
    let blanks = width.saturating_sub(columns(&shown));
    format!("{shown}{:blanks$}", "")
}

/// Writes one value as one line of JSON. No character in it acts on a terminal.
pub(super) fn json_line(out: &mut Output<'_>, value: &impl Serialize) -> io::Result<()> {
    let mut to = serde_json::Serializer::with_formatter(&mut out.to, Visible);
    value.serialize(&mut to)?;
    out.to.write_all(b"\n")
}

/// Compact JSON with escapes for what JSON allows raw.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        writer.write_all(json(fragment).as_bytes())
    }

    fn write_raw_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        writer.write_all(json(fragment).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(is_wide: bool, print: impl FnOnce(&mut Output<'_>) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        print(&mut Output { is_wide, ..Output::on(Box::new(&mut bytes), false) }).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_stays_one_line_whatever_is_in_it() {
        let key = "K1\n2  forged\u{1b}[2J\u{202e}\n";
        let text = printed(false, |out| writeln!(out, "event 1: {key}"));
        assert_eq!(text, "event 1: K1\\n2  forged\\u{1b}[2J\\u{202e}\\n\n");
        assert_eq!(printed(false, |out| write!(out, "{key}")).lines().count(), 1);
        assert_eq!(printed(false, |out| writeln!(out)), "\n");
    }

    #[test]
    fn cells_are_cut_and_stand_below_each_other() {
        let long = "x".repeat(5000);
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let rows = [row("東京", "1"), row("ab\n", "2"), row(&long, &long)];
        let text = printed(false, |out| table(out, &["key", "name"], &rows));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(columns(lines[3]), 64 + 2 + 240);
        assert!(lines[3].contains("x…  x") && lines[3].ends_with('…'));
        let before = |line: &str, end: char| columns(&line[..line.rfind(end).unwrap()]);
        assert_eq!((before(lines[1], '1'), before(lines[2], '2')), (66, 66), "{text}");
        let text = printed(true, |out| table(out, &["key", "name"], &rows));
        assert_eq!(text.lines().last().unwrap().len(), 5000 + 2 + 5000);
    }

    #[test]
    fn a_style_is_for_terminals_and_a_value_has_none() {
        let pieces = [(Style::Name, "N\u{1b}[31m"), (Style::Plain, " v  ")];
        assert_eq!(printed(false, |out| out.styled(&pieces)), "N\\u{1b}[31m v\n");
        let coloured = printed(false, |out| {
            out.is_coloured = true;
            out.styled(&pieces)
        });
        assert_eq!(coloured, "\u{1b}[1mN\\u{1b}[31m\u{1b}[0m v\n");
    }

    #[test]
    fn a_document_is_made_visible_for_a_terminal_only() {
        let bytes = b"a\x1b[31m\nb";
        assert_eq!(printed(false, |out| out.write_document(bytes)).as_bytes(), bytes);
        let shown = printed(false, |out| {
            out.is_terminal = true;
            out.write_document(bytes)
        });
        assert_eq!(shown, "a\\u{1b}[31m\nb");
    }

    #[test]
    fn json_has_no_raw_control() {
        let raw = serde_json::value::RawValue::from_string("\"\u{9b}\"".to_owned()).unwrap();
        let value = ("\u{7f}\u{202e}\n", raw);
        let text = printed(false, |out| json_line(out, &value));
        assert_eq!(text, "[\"\\u007f\\u202e\\n\",\"\\u009b\"]\n");
    }
}
