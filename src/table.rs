//! Tables: what a code of one system is in another, from CSV text.
//!
//! The first line names the columns: `from`, `to` and, if wanted, `text` for the people who look
//! after the table. Fields are separated by `,` or, as spreadsheets of half of Europe write them,
//! by `;`; the header tells which. A field in quotes (`"`) may hold separators, and `""` for a
//! quote; blanks around unquoted fields do not count. Empty lines do not count either.
//!
//! The reader is written here rather than taken from the `csv` crate: it is sixty lines, and every
//! problem has to name line and column of its field, as in all files that people write.

use std::collections::BTreeMap;

use crate::diagnostic::{Mark, Problems, Spanned};

/// A code translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    name: String,
    entries: BTreeMap<String, String>,
}

impl Table {
    /// Reads the file that `problems` are about as the table `name`; `None` where it got problems.
    pub fn read(name: &str, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let text = problems.file().text.clone();
        let mut lines = lines(text.strip_prefix('\u{feff}').unwrap_or(&text), &text);
        let Some((start, number, header)) = lines.next() else {
            let mark = Mark { line: 1, column: 1, ..Mark::default() };
            problems.advise(mark, "the table is empty", "its first line is `from,to`");
            return None;
        };
        let separator = if header.contains(';') { ';' } else { ',' };
        let header = record(header, separator, start, number, problems);
        let columns = Columns::of(&header, problems)?;
        let mut entries: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for (start, number, line) in lines {
            let fields = record(line, separator, start, number, problems);
            let Some((from, to)) = columns.pick(&fields, problems) else {
                continue;
            };
            if let Some((_, line)) = entries.get(&from.value) {
                let message = format!("`{}` was translated in line {line} already", from.value);
                problems.add(from.mark, message);
                continue;
            }
            entries.insert(from.value.clone(), (to.value.clone(), number));
        }
        let entries = entries.into_iter().map(|(from, (to, _))| (from, to)).collect();
        (problems.len() == before).then(|| Self { name: name.to_owned(), entries })
    }

    /// What the table is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The code that `from` is on the other side.
    pub fn lookup(&self, from: &str) -> Option<&str> {
        self.entries.get(from).map(String::as_str)
    }

    /// All translations, by their `from`.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.entries.iter().map(|(from, to)| (from.as_str(), to.as_str()))
    }
}

/// The lines of `text` that hold something, each with its first byte in `whole` and its number.
fn lines<'t>(text: &'t str, whole: &str) -> impl Iterator<Item = (usize, usize, &'t str)> {
    let mut start = whole.len() - text.len();
    let numbered = text.split('\n').enumerate().map(move |(at, line)| {
        let begin = start;
        start += line.len() + 1;
        (begin, at + 1, line.strip_suffix('\r').unwrap_or(line))
    });
    numbered.filter(|(_, _, line)| !line.trim().is_empty())
}

/// The fields of one line. A broken quote is a problem, and the rest of the line is its field.
fn record(
    line: &str,
    separator: char,
    start: usize,
    number: usize,
    problems: &mut Problems,
) -> Vec<Spanned<String>> {
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let rest = &line[at..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let quoted = rest[blank..].starts_with('"');
        let (value, len, sound) =
            if quoted { unquoted(&rest[blank..]) } else { (String::new(), 0, true) };
        let behind = &rest[blank + len..];
        let end = behind.find(separator).unwrap_or(behind.len());
        let column = line[..at + blank].chars().count() + 1;
        let begin = start + at + blank;
        let mark = Mark { start: begin, end: begin + len + end, line: number, column };
        if !sound {
            problems.add(mark, "the quote is not closed in this line");
        } else if quoted && !behind[..end].trim().is_empty() {
            problems.advise(
                mark,
                "text behind a closing quote",
                "a quote inside is written `\"\"`",
            );
        }
        let value = if quoted { value } else { behind[..end].trim().to_owned() };
        fields.push(Spanned { value, mark });
        at += blank + len + end;
        if at >= line.len() {
            return fields;
        }
        at += separator.len_utf8();
    }
}

/// The text of a quoted field, the bytes it takes with its quotes, and whether it is closed.
fn unquoted(text: &str) -> (String, usize, bool) {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != '"' {
            value.push(character);
        } else if matches!(characters.peek(), Some((_, '"'))) {
            value.push('"');
            characters.next();
        } else {
            return (value, at + 1, true);
        }
    }
    (value, text.len(), false)
}

/// Which field of a line is which.
struct Columns {
    from: usize,
    to: usize,
    count: usize,
}

impl Columns {
    fn of(header: &[Spanned<String>], problems: &mut Problems) -> Option<Self> {
        const KNOWN: [&str; 3] = ["from", "to", "text"];
        for (at, name) in header.iter().enumerate() {
            if !KNOWN.contains(&name.value.as_str()) {
                problems.unknown(name.mark, "column", &name.value, KNOWN);
            } else if header[..at].iter().any(|other| other.value == name.value) {
                problems.add(name.mark, format!("column `{}` is there twice", name.value));
            }
        }
        let position = |name| header.iter().position(|column| column.value == name);
        let (from, to) = (position("from"), position("to"));
        let (Some(from), Some(to)) = (from, to) else {
            let mark = header.first().map_or_else(Mark::default, |first| first.mark);
            let remedy = "the first line names the columns: `from,to`";
            problems.advise(mark, "column `from` or `to` is missing", remedy);
            return None;
        };
        Some(Self { from, to, count: header.len() })
    }

    fn pick<'f>(
        &self,
        fields: &'f [Spanned<String>],
        problems: &mut Problems,
    ) -> Option<(&'f Spanned<String>, &'f Spanned<String>)> {
        let mark = fields.first().map_or_else(Mark::default, |first| first.mark);
        // A text may be left away at the end of a line; more fields than columns are a mistake.
        let (from, to) = (fields.get(self.from), fields.get(self.to));
        let (Some(from), Some(to)) = (from, to) else {
            problems.add(mark, format!("{} columns are expected", self.count));
            return None;
        };
        if fields.len() > self.count {
            let (found, count) = (fields.len(), self.count);
            let remedy = "a field that holds a separator is written in quotes";
            problems.advise(mark, format!("{found} fields in {count} columns"), remedy);
            return None;
        }
        for (field, column) in [(from, "from"), (to, "to")] {
            if field.value.is_empty() {
                problems.add(field.mark, format!("`{column}` is empty"));
                return None;
            }
        }
        Some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

    fn read(text: &str) -> (Option<Table>, Vec<String>) {
        let mut problems = Problems::new(SourceFile::new("t.csv", text));
        let table = Table::read("t", &mut problems);
        (table, problems.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn codes_are_translated_as_they_are_written() {
        let text = "\u{feff}from,to,text\r\n0010, NO ,Norway\r\n\r\n\"a,b\",\"say \"\"x\"\"\"\n";
        let (table, problems) = read(text);
        assert_eq!(problems, Vec::<String>::new());
        let table = table.unwrap();
        assert_eq!(table.lookup("0010"), Some("NO"));
        assert_eq!(table.lookup("a,b"), Some("say \"x\""));
        assert_eq!(table.lookup("10"), None);
        assert_eq!(table.entries().len(), 2);
        let (table, _) = read("to;from\nDE;Germany, Federal Republic of\n");
        assert_eq!(table.unwrap().lookup("Germany, Federal Republic of"), Some("DE"));
    }

    #[test]
    fn every_bad_line_is_reported_with_its_place() {
        let text = "from,to,txt\na,1\nb\nc,3,x,y\na,4\nd,\n\"e,5\n\"f\"g,6\n";
        let (table, problems) = read(text);
        assert_eq!(table, None);
        let expected = [
            "t.csv:1:9: unknown column `txt`; did you mean `text`?",
            "t.csv:3:1: 3 columns are expected",
            "t.csv:4:1: 4 fields in 3 columns; a field that holds a separator is written in quotes",
            "t.csv:5:1: `a` was translated in line 2 already",
            "t.csv:6:3: `to` is empty",
            "t.csv:7:1: the quote is not closed in this line",
            "t.csv:7:1: 3 columns are expected",
            "t.csv:8:1: text behind a closing quote; a quote inside is written `\"\"`",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_table_without_its_columns_is_no_table() {
        assert!(read("").1[0].contains("the table is empty"));
        assert!(read("a,b\n").1.iter().any(|p| p.contains("`from` or `to` is missing")));
        assert!(read("from,from,to\n").1[0].contains("there twice"));
    }
}
