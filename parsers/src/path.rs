//! Paths into a [`Document`](crate::Document): `claim.items[0].price`, `E1KNA1M/KUNNR`.
//!
//! Steps are separated by `.` or `/`; a step in back quotes is taken as it stands, for names that
//! hold a separator: `` `/RB04/YP3_E1EDK01`/BELNR ``. `[n]` counts children of that name (or list
//! items) from 0. A step that meets a list looks into its first item, as a name that repeats means
//! its first occurrence.

use std::fmt;

use crate::document::{Kind, Node};

/// A compiled path. See the [module](self) for its notation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    steps: Vec<Step>,
}

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The first child of that name.
    Name(String),
    /// Among the items of a list, or among the siblings of the same name, the one at this index.
    Index(usize),
}

/// Why a text is not a path, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at character {column} of path `{path}`")]
pub struct PathError {
    /// The text that was given.
    pub path: String,
    /// The character, from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: &'static str,
}

impl Path {
    /// Reads the notation of the [module](self).
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let error = |at: usize, reason| PathError {
            path: text.to_owned(),
            column: text.get(..at).map_or(0, |head| head.chars().count()) + 1,
            reason,
        };
        let mut steps = Vec::new();
        let mut at = 0;
        loop {
            at = name_step(text, at, &mut steps).map_err(|(at, reason)| error(at, reason))?;
            while text[at..].starts_with('[') {
                let close = text[at..].find(']').ok_or_else(|| error(at, "`[` is not closed"))?;
                let index = text[at + 1..at + close].parse();
                steps.push(Step::Index(index.map_err(|_| error(at + 1, "not an index"))?));
                at += close + 1;
            }
            match text[at..].chars().next() {
                None => return Ok(Self { steps }),
                Some('.' | '/') => at += 1,
                Some(_) => return Err(error(at, "`.` or `/` expected")),
            }
        }
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// A path of these steps.
    pub fn from_steps(steps: Vec<Step>) -> Self {
        Self { steps }
    }

    /// The node that the path leads to from `start`, if there is one.
    pub fn find<'a>(&self, start: Node<'a>) -> Option<Node<'a>> {
        self.find_counting(start, &mut 0)
    }

    /// As [`find`](Self::find). Adds to `visited` the number of nodes it looked at, which is how a
    /// caller that follows many paths bounds its work: a step looks at each child of a node until
    /// one has the name.
    pub fn find_counting<'a>(&self, start: Node<'a>, visited: &mut u64) -> Option<Node<'a>> {
        let mut node = start;
        let mut steps = self.steps.iter().peekable();
        while let Some(step) = steps.next() {
            let mut children = node.children().inspect(|_| *visited += 1);
            node = match step {
                Step::Index(index) => children.nth(*index)?,
                Step::Name(name) => {
                    let holder = if node.kind() == Kind::List { children.next()? } else { node };
                    let mut children = holder.children().inspect(|_| *visited += 1);
                    let found = children.find(|child| child.name() == name)?;
                    match steps.peek() {
                        // An index counts the items of a list, or else the siblings of that name.
                        Some(Step::Index(index)) if found.kind() != Kind::List => {
                            steps.next();
                            let mut siblings = children.filter(|child| child.name() == name);
                            match index.checked_sub(1) {
                                Some(later) => siblings.nth(later)?,
                                None => found,
                            }
                        }
                        _ => found,
                    }
                }
            };
        }
        Some(node)
    }

    /// The text at the end of the path; `None` for a missing node, a null and a container.
    pub fn text<'a>(&self, start: Node<'a>) -> Option<&'a str> {
        self.find(start).filter(|node| node.is_scalar()).map(Node::text)
    }

    /// Every node that the path means when its last step repeats: the items of a list, or all
    /// siblings of that name.
    pub fn all<'a>(&self, start: Node<'a>) -> Vec<Node<'a>> {
        let Some((Step::Name(last), head)) = self.steps.split_last() else {
            return self.find(start).into_iter().collect();
        };
        let head = Self { steps: head.to_vec() };
        let Some(holder) = head.find(start) else {
            return Vec::new();
        };
        let holder = if holder.kind() == Kind::List { holder.nth(0) } else { Some(holder) };
        let Some(holder) = holder else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for child in holder.children().filter(|child| child.name() == last) {
            if child.kind() == Kind::List {
                found.extend(child.children());
            } else {
                found.push(child);
            }
        }
        found
    }
}

fn name_step(text: &str, at: usize, steps: &mut Vec<Step>) -> Result<usize, (usize, &'static str)> {
    let rest = &text[at..];
    if let Some(quoted) = rest.strip_prefix('`') {
        let close = quoted.find('`').ok_or((at, "back quote is not closed"))?;
        if close == 0 {
            return Err((at, "empty name"));
        }
        steps.push(Step::Name(quoted[..close].to_owned()));
        return Ok(at + close + 2);
    }
    let end = rest.find(['.', '/', '[', ']', '`']).unwrap_or(rest.len());
    if end == 0 {
        return Err((at, "name expected"));
    }
    steps.push(Step::Name(rest[..end].to_owned()));
    Ok(at + end)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    if name.contains(['.', '/', '[', ']']) {
                        write!(f, "`{name}`")?;
                    } else {
                        f.write_str(name)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Appends a name to the path of a problem: `E1EDK01/CURCY`, `` `/NS/E1A`/BELNR ``.
///
/// Names can come from the input. They are cut at 60 characters and hold no control characters, so
/// that no message breaks the line of a log.
pub(crate) fn append_name(path: &mut String, name: &str) {
    if !path.is_empty() && !name.is_empty() {
        path.push('/');
    }
    let quote = if name.contains(['.', '/', '[', ']']) { "`" } else { "" };
    path.push_str(quote);
    path.extend(name.chars().take(60).map(|c| if c.is_control() { '?' } else { c }));
    path.push_str(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Builder, Document};

    fn repeated() -> Document {
        let mut builder = Builder::new();
        builder.open(Kind::Group, "", 0);
        for (partner, name) in [("AG", "Importer"), ("WE", "Dealer")] {
            builder.open(Kind::Segment, "E1EDKA1", 0);
            builder.put(Kind::Field, "PARVW", partner, 0);
            builder.put(Kind::Field, "NAME1", name, 0);
            builder.close();
        }
        builder.open(Kind::List, "items", 0);
        builder.put(Kind::Number, "", "10", 0);
        builder.put(Kind::Number, "", "20", 0);
        builder.finish()
    }

    #[test]
    fn both_separators_and_indexes_find_the_same_node() {
        let document = repeated();
        let text = |path: &str| Path::parse(path).unwrap().text(document.root()).map(str::to_owned);
        assert_eq!(text("E1EDKA1/NAME1").as_deref(), Some("Importer"));
        assert_eq!(text("E1EDKA1[1].NAME1").as_deref(), Some("Dealer"));
        assert_eq!(text("items[1]").as_deref(), Some("20"));
        assert_eq!(text("E1EDKA1[2].NAME1"), None);
        assert_eq!(text("E1EDKA1"), None);
    }

    #[test]
    fn a_search_counts_every_node_that_it_looks_at() {
        let document = repeated();
        let visited = |path: &str| {
            let mut visited = 0;
            let _ = Path::parse(path).unwrap().find_counting(document.root(), &mut visited);
            visited
        };
        assert_eq!((visited("E1EDKA1"), visited("items"), visited("nothing")), (1, 3, 3));
        assert_eq!((visited("E1EDKA1[1].NAME1"), visited("items[1]")), (2 + 2, 3 + 2));
    }

    #[test]
    fn a_last_step_that_repeats_means_all_its_nodes() {
        let document = repeated();
        let count = |path: &str| Path::parse(path).unwrap().all(document.root()).len();
        assert_eq!((count("E1EDKA1"), count("items"), count("nothing")), (2, 2, 0));
    }

    #[test]
    fn a_bad_path_names_the_character() {
        for (text, column) in [("", 1), ("a..b", 3), ("a[x]", 3), ("a[0", 2), ("a]b", 2), ("`a", 1)]
        {
            assert_eq!(Path::parse(text).unwrap_err().column, column, "{text}");
        }
    }

    #[test]
    fn a_path_is_displayed_as_it_is_read() {
        for text in ["a.b[3].c", "`/RB04/YP3_E1EDK01`.BELNR", "items[0][1]"] {
            let path = Path::parse(text).unwrap();
            assert_eq!(path.to_string(), text);
            assert_eq!(Path::parse(&path.to_string()).unwrap(), path);
        }
    }
}
