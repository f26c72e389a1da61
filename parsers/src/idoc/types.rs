//! The IDoc types that a reader knows, with what it looks up for every record.

use std::collections::HashMap;
use std::sync::Arc;

use crate::document::Layout;
use crate::fixed::index::Index;
use crate::idoc::control::{CONTROL, DATA_HEADER, EDI_DC40};
use crate::schema::{ElementId, Schema};

/// IDoc types by basic type and extension.
#[derive(Clone, Debug, Default)]
pub struct Types {
    types: HashMap<String, Vec<Arc<Index>>>,
}

impl Types {
    /// No types: every document is read with flat, undecoded segments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a type as [`read_schema`](super::read_schema) reads it: the name is the basic type,
    /// the `definition` of the root the extension. A type that is known already is replaced.
    pub fn add(&mut self, schema: Arc<Schema>) {
        let known = self.types.entry(schema.name().to_owned()).or_default();
        known.retain(|other| extension(&other.schema) != extension(&schema));
        let mut control = Layout::named(CONTROL);
        for column in &EDI_DC40 {
            control.add(column.name, column.length);
        }
        known.push(Arc::new(Index::new(schema, DATA_HEADER as u32, control)));
    }

    /// The schema of a type. An extension that is not known is read as its basic type.
    pub fn find(&self, basic: &str, extended: &str) -> Option<&Arc<Schema>> {
        self.lookup(basic, extended).map(|(found, _)| &found.schema)
    }

    /// The type that a root element names: a basic type, or an extension of one.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> (&'a str, &'a str) {
        let is_extension = |found: &&Arc<Index>| extension(&found.schema) == name;
        let all = self.types.values().flatten().filter(is_extension);
        let extended = all.min_by_key(|found| found.schema.name());
        match extended.filter(|_| !name.is_empty() && !self.types.contains_key(name)) {
            Some(found) => (found.schema.name(), name),
            None => (name, ""),
        }
    }

    /// The type, and whether it is the very extension.
    pub(super) fn lookup(&self, basic: &str, extended: &str) -> Option<(&Arc<Index>, bool)> {
        let known = self.types.get(basic)?;
        let named = |name: &str| known.iter().find(|found| extension(&found.schema) == name);
        match named(extended) {
            Some(found) => Some((found, true)),
            None => named("").map(|found| (found, false)),
        }
    }
}

fn extension(schema: &Schema) -> &str {
    schema.element(schema.root()).definition.as_deref().unwrap_or("")
}

/// Where the segment definition `name` is declared; more than once where a segment type is used
/// below several parents.
///
/// The dictionary decides. Only for a definition of another release is the type guessed by SAP's
/// rule: `E1` and `Z1` become `E2` and `Z2`, and later versions add three digits. The rule fails
/// for types that end in three digits themselves (`E1P1000`).
pub(super) fn segments_of<'t>(index: &'t Index, name: &str) -> &'t [ElementId] {
    let found = index.declared(name);
    if !found.is_empty() {
        return found;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let versioned = name.len().checked_sub(3).and_then(|at| name.split_at_checked(at));
    let unversioned = versioned.filter(|(_, end)| digits(end)).map(|(start, _)| start);
    let guesses = [Some(name), unversioned].into_iter().flatten();
    let mut found = guesses.filter_map(|guess| {
        let head = guess.split_at_checked(2);
        let swapped = match head {
            Some(("E2", rest)) => format!("E1{rest}"),
            Some(("Z2", rest)) => format!("Z1{rest}"),
            _ => guess.to_owned(),
        };
        Some(index.declared(&swapped)).filter(|found| !found.is_empty())
    });
    found.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idoc::read_schema;

    fn sample() -> Types {
        let base = "waybill-idoc 1\ntype T01\nsegment E1EDK01 E2EDK01005 1..1\n\
                    segment E1EDK14 E2EDK14 0..9\nsegment E1P1000 E2P1000 0..1\n\
                    segment /NS/E1A /NS/E1A001 0..1\nsegment Z1X Z2X000 0..1";
        let mut types = Types::new();
        types.add(Arc::new(read_schema(base.as_bytes()).unwrap()));
        let extended = base.replace("type T01", "type T01 extension ZT01");
        types.add(Arc::new(read_schema(extended.as_bytes()).unwrap()));
        types
    }

    #[test]
    fn a_definition_of_another_release_is_found_by_the_name_rule() {
        let types = sample();
        let (found, exact) = types.lookup("T01", "").unwrap();
        let name = |definition: &str| {
            let ids = segments_of(found, definition);
            ids.first().map(|id| found.schema.element(*id).name.as_str())
        };
        assert!(exact);
        assert_eq!(name("E2EDK01005"), Some("E1EDK01"));
        assert_eq!(name("E2EDK01007"), Some("E1EDK01"));
        assert_eq!(name("E2EDK01"), Some("E1EDK01"));
        assert_eq!(name("E1EDK14"), Some("E1EDK14"));
        assert_eq!(name("E2P1000"), Some("E1P1000"));
        assert_eq!(name("/NS/E1A002"), Some("/NS/E1A"));
        assert_eq!(name("Z2X"), Some("Z1X"));
        assert_eq!(name("E2EDK02"), None);
        assert_eq!(name("Ü1"), None);
    }

    #[test]
    fn an_unknown_extension_is_read_as_its_basic_type() {
        let types = sample();
        assert!(types.lookup("T01", "ZT01").unwrap().1);
        assert!(!types.lookup("T01", "ZOTHER").unwrap().1);
        assert!(types.find("T02", "").is_none());
    }
}
