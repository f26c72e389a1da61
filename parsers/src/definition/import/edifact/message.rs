//! The segment table of a message.

use crate::definition::import::Faults;
use crate::definition::import::edifact::text::{is_sign, name};
use crate::definition::model::{Item, Message};

/// A message file.
pub(super) struct MessageFile {
    pub(super) name: String,
    /// `D.21B`.
    pub(super) release: String,
    /// `None` where its table could not be read.
    pub(super) message: Option<Message>,
}

/// The last segment of a message.
const TRAILERS: [&str; 2] = ["UNT", "UIT"];

/// Reads a message file.
pub(super) fn read(text: &str, faults: &mut Faults<'_>) -> MessageFile {
    let value = |word: &str| {
        let line = text.lines().take(90).find_map(|line| line.trim().strip_prefix(word));
        let value = line.and_then(|line| line.trim_start().strip_prefix(':'));
        value.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    let kind = value("Message Type");
    let release = format!("{}.{}", value("Version"), value("Release"));
    let lines: Vec<&str> = text.lines().collect();
    let Some(from) = lines.iter().rposition(|line| is_heading(line)) else {
        faults.push("no-table", 0, format!("message {kind} has no segment table"));
        return MessageFile { name: kind, release, message: None };
    };
    let mut table = Table::default();
    let mut is_good = true;
    for (at, line) in lines.iter().enumerate().skip(from + 1) {
        match table.line(line) {
            Ok(true) => {
                is_good &= table.is_whole(at + 1, faults);
                break;
            }
            Ok(false) => {}
            Err((code, message)) => {
                faults.push(code, at + 1, message);
                is_good = false;
            }
        }
    }
    if !table.is_ended {
        faults.push("no-trailer", lines.len(), "the segment table has no trailer");
        is_good = false;
    }
    if kind.is_empty() {
        faults.push("no-name", 1, "the message has no name");
        is_good = false;
    }
    let message = Message { text: title(&lines, &kind), items: table.items };
    MessageFile { name: kind, release, message: is_good.then_some(message) }
}

/// `Pos  Tag Name  S  R`
fn is_heading(line: &str) -> bool {
    let words: Vec<String> = line.split_whitespace().map(str::to_ascii_lowercase).collect();
    words.get(..3).is_some_and(|words| words == ["pos", "tag", "name"])
}

/// The title in the middle of the first page.
fn title(lines: &[&str], kind: &str) -> String {
    let known = ["UN/EDIFACT", "UNITED NATIONS", "DRAFT RECOMMENDATION", "INTERACTIVE"];
    let title = lines
        .iter()
        .take_while(|line| !line.trim().starts_with("Message Type"))
        .map(|line| line.trim())
        .find(|line| {
            !line.is_empty() && !known.iter().any(|k| line.to_ascii_uppercase().starts_with(k))
        });
    title.filter(|line| line.len() > 3 && !line.starts_with("--")).map_or(kind.to_owned(), name)
}

/// The rows so far.
#[derive(Default)]
struct Table {
    items: Vec<Item>,
    /// The groups that are open, from the outside in.
    open: Vec<usize>,
    /// The tag of a row whose name goes on in the next line.
    pending: Option<String>,
    is_ended: bool,
}

type Fault = (&'static str, String);

impl Table {
    /// Takes a line; says whether it was the trailer.
    fn line(&mut self, line: &str) -> Result<bool, Fault> {
        let trimmed = line.trim_end();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let is_row = (4..=5).contains(&digits) && trimmed.as_bytes().get(digits) == Some(&b' ');
        if !is_row {
            let Some(tag) = self.pending.take_if(|_| !is_drawing(trimmed)) else {
                return Ok(false);
            };
            let end = Ending::of(trimmed);
            let end = end.ok_or_else(|| ("no-status", format!("{tag} has no status")))?;
            return self.segment(tag, &end);
        }
        let row = trimmed.get(digits..).unwrap_or_default();
        if let Some(tag) = self.pending.take() {
            return Err(("no-status", format!("{tag} has no status")));
        }
        // The name of the segment GRU has these words, too; a group has a line before them.
        let is_ruled = |at: &usize| {
            let mut before = row.get(..*at).unwrap_or_default().split_whitespace();
            before.any(|word| word.chars().count() > 2 && is_drawing(word))
        };
        match row.find("Segment group").filter(is_ruled) {
            Some(at) => self.group(row.get(at + 13..).unwrap_or_default()).map(|()| false),
            None => {
                let mut words = row.split_whitespace().skip_while(|word| is_sign(word));
                let tag = words.next().unwrap_or_default();
                let is_tag = tag.len() == 3
                    && tag.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
                if !is_tag {
                    return Ok(false);
                }
                match Ending::of(row) {
                    Some(end) => self.segment(tag.to_owned(), &end),
                    None => {
                        self.pending = Some(tag.to_owned());
                        Ok(false)
                    }
                }
            }
        }
    }

    fn group(&mut self, rest: &str) -> Result<(), Fault> {
        let number: String =
            rest.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        let end = Ending::of(rest).filter(|_| !number.is_empty());
        let end =
            end.ok_or_else(|| ("no-status", "a group without number or status".to_owned()))?;
        let at = self.items.len();
        let parent = self.open.last().copied();
        // It ends behind itself until something is in it.
        let item = Item { name: number, min: end.min(), max: end.max, parent, end: at + 1 };
        self.items.push(item);
        self.open.push(at);
        if end.lines() == self.open.len() {
            return Ok(());
        }
        let (drawn, open) = (end.lines(), self.open.len());
        Err(("group-lines", format!("{drawn} lines are drawn and {open} groups are open")))
    }

    fn segment(&mut self, tag: String, end: &Ending) -> Result<bool, Fault> {
        let at = self.items.len();
        let parent = self.open.last().copied();
        let is_trailer = TRAILERS.contains(&tag.as_str());
        self.is_ended |= is_trailer;
        self.items.push(Item { name: tag, min: end.min(), max: end.max, parent, end: 0 });
        for group in &self.open {
            if let Some(group) = self.items.get_mut(*group) {
                group.end = at + 1;
            }
        }
        let (drawn, open) = (end.lines(), self.open.len());
        if drawn != open {
            return Err((
                "group-lines",
                format!("{drawn} lines are drawn and {open} groups are open"),
            ));
        }
        for _ in 0..end.closes {
            self.open.pop();
        }
        Ok(is_trailer)
    }

    /// Whether every group has ended, and has something in it.
    fn is_whole(&self, line: usize, faults: &mut Faults<'_>) -> bool {
        let is_closed = self.open.is_empty();
        if !is_closed {
            faults.push("group-lines", line, "a group does not end before the trailer");
        }
        let mut groups = self.items.iter().enumerate().filter(|(_, item)| item.is_group());
        let empty = groups.find(|(at, group)| group.end == at + 1);
        if let Some((_, group)) = empty {
            faults.push("no-group", line, format!("group {} is empty", group.name));
        }
        is_closed && empty.is_none()
    }
}

/// The right side of a row: status, occurrences, and the lines of the groups.
struct Ending {
    mandatory: bool,
    max: u32,
    /// Groups that end here.
    closes: usize,
    /// Groups that begin here, or go on.
    others: usize,
}

impl Ending {
    fn of(row: &str) -> Option<Self> {
        let tail_at = row.trim_end_matches(|c: char| is_line(c) || c.is_whitespace()).len();
        let (head, tail) = row.split_at(tail_at);
        let name = head.trim_end_matches(|c: char| c.is_ascii_digit());
        let max: u32 = head.get(name.len()..)?.parse().ok()?;
        let name = name.trim_end();
        let mandatory = name.ends_with(" M");
        if !(mandatory || name.ends_with(" C")) || max == 0 {
            return None;
        }
        // In ASCII a plus ends a group, or begins it in the row of the group itself.
        let closes = tail.chars().filter(|c| matches!(c, '┘' | '┴' | '+' | '┤' | '╝')).count();
        let others = tail.chars().filter(|c| matches!(c, '│' | '|' | '┐' | '║')).count();
        Some(Self { mandatory, max, closes, others })
    }

    fn min(&self) -> u32 {
        u32::from(self.mandatory)
    }

    fn lines(&self) -> usize {
        self.closes + self.others
    }
}

fn is_line(c: char) -> bool {
    matches!(c, '-' | '─' | '│' | '|' | '┐' | '┘' | '┴' | '┤' | '+' | '║' | '╝')
}

fn is_drawing(line: &str) -> bool {
    line.chars().all(|c| is_line(c) || c.is_whitespace())
}
