//! The tables of IDOCTYPE_READ_COMPLETE, as a JSON object.

use crate::document::{Document, Kind, Node};
use crate::idoc::control::SDATA_LENGTH;
use crate::idoc::import::{ANY_NUMBER, Faults, definition_of};
use crate::json;
use crate::reading::{Limits, Place, Problem};
use crate::schema::{DataType, Element, ElementId, Schema};

/// Reads what the function module IDOCTYPE_READ_COMPLETE returned, as JSON:
/// `{"PE_HEADER": {"IDOCTYP", "CIMTYP", "DESCRP"}, "PT_SEGMENTS": [...], "PT_FIELDS": [...],
/// "PT_FVALUES": [...]}`.
///
/// Segments hang below the row of their `PARPNO` (the `NR` of the parent, 0 at the top). Where a
/// segment is the head of a group (`PARFLG` is `X`, or `GRP_OCCMAX` is above 0), the occurrences
/// are those of the group. From `PT_FIELDS` comes what the other exports do not have: the data
/// type.
///
/// # Errors
///
/// What is wrong with the JSON, and `no-type`, `no-parent`, `bad-number`, `too-long`.
pub fn read_complete(bytes: &[u8]) -> Result<Schema, Vec<Problem>> {
    let mut faults = Faults::new();
    let document = match json::read(bytes, &Limits::default()) {
        Ok(reading) => reading.document,
        Err(error) => {
            faults.push(error.place, error.code, error.message);
            return Err(faults.finish());
        }
    };
    let mut import = Import { bytes, document: &document, faults };
    let schema = import.schema();
    let problems = import.faults.finish();
    if problems.is_empty() { Ok(schema) } else { Err(problems) }
}

/// The data types of the ABAP Dictionary whose values have rules.
const TYPES: [(&str, DataType); 10] = [
    ("NUMC", DataType::Digits),
    ("DATS", DataType::Date),
    ("TIMS", DataType::Time),
    ("CURR", DataType::Decimal),
    ("QUAN", DataType::Decimal),
    ("DEC", DataType::Decimal),
    ("INT1", DataType::Decimal),
    ("INT2", DataType::Decimal),
    ("INT4", DataType::Decimal),
    ("FLTP", DataType::Decimal),
];

struct Import<'d> {
    bytes: &'d [u8],
    document: &'d Document,
    faults: Faults,
}

impl<'d> Import<'d> {
    fn fault(&mut self, row: Node<'_>, code: &'static str, message: &str) {
        self.faults.push(Place::in_text(self.bytes, row.offset()), code, message);
    }

    fn rows(&self, table: &str) -> impl Iterator<Item = Node<'d>> + use<'d> {
        let table = self.document.root().child(table);
        table.into_iter().flat_map(Node::children)
    }

    fn number(&mut self, row: Node<'_>, name: &str) -> u64 {
        let text = row.child(name).map_or("", Node::text).trim();
        if text.is_empty() {
            return 0;
        }
        text.parse().unwrap_or_else(|_| {
            self.fault(row, "bad-number", "a number expected");
            0
        })
    }

    fn schema(&mut self) -> Schema {
        let root = self.document.root();
        let header = root.child("PE_HEADER");
        let value = |name: &str| {
            let field = header.and_then(|header| header.child(name)).or_else(|| root.child(name));
            field.map_or("", Node::text).trim().to_owned()
        };
        let name = value("IDOCTYP");
        if name.is_empty() {
            self.fault(root, "no-type", "PE_HEADER-IDOCTYP names no type");
        }
        let extension = value("CIMTYP");
        let mut element = Element::new(Kind::Group, name.clone());
        (element.min, element.text) = (1, value("DESCRP"));
        element.definition = (!extension.is_empty()).then_some(extension);
        let mut schema = Schema::new(name, element);
        let mut rows = Vec::new();
        for row in self.rows("PT_SEGMENTS") {
            let parent = self.number(row, "PARPNO");
            let parent = match rows.iter().find(|(number, _)| *number == parent) {
                _ if parent == 0 => ElementId::ROOT,
                Some((_, id)) => *id,
                None => {
                    self.fault(row, "no-parent", "no row before has the NR of this PARPNO");
                    ElementId::ROOT
                }
            };
            let element = self.segment(row);
            let id = schema.add(parent, element);
            self.fields(&mut schema, id);
            rows.push((self.number(row, "NR"), id));
        }
        schema
    }

    fn segment(&mut self, row: Node<'_>) -> Element {
        let text = |name: &str| row.child(name).map_or("", Node::text).trim();
        let mut element = Element::new(Kind::Segment, text("SEGMENTTYP"));
        element.definition = Some(match text("SEGMENTDEF") {
            "" => definition_of(&element.name),
            definition => definition.to_owned(),
        });
        element.text = text("DESCRP").to_owned();
        element.qualified = text("QUALIFIER") == "X";
        element.level = u8::try_from(self.number(row, "HLEVEL").min(99)).unwrap_or(99);
        let of_group = self.number(row, "GRP_OCCMAX") > 0;
        let prefix = if of_group { "GRP_" } else { "" };
        let (min, max) = (format!("{prefix}OCCMIN"), format!("{prefix}OCCMAX"));
        let mandatory = text(&format!("{prefix}MUSTFL")) == "X";
        let min = u32::try_from(self.number(row, &min)).unwrap_or(u32::MAX);
        element.min = if mandatory { min.max(1) } else { 0 };
        element.max = match self.number(row, &max) {
            0 => ANY_NUMBER,
            max => max,
        };
        element
    }

    fn fields(&mut self, schema: &mut Schema, segment: ElementId) {
        let name = schema.element(segment).name.clone();
        let of_segment = move |row: &Node<'_>| {
            row.child("SEGMENTTYP").is_some_and(|field| field.text().trim() == name)
        };
        let mut rows: Vec<_> = self.rows("PT_FIELDS").filter(|row| of_segment(row)).collect();
        let position = |row: &Node<'_>| {
            let text = row.child("FIELD_POS").map_or("", Node::text).trim();
            text.parse().unwrap_or(0_u32)
        };
        rows.sort_by_key(position);
        let mut total = 0;
        for row in rows {
            let text = |name: &str| row.child(name).map_or("", Node::text).trim();
            let mut element = Element::new(Kind::Field, text("FIELDNAME"));
            element.text = text("DESCRP").to_owned();
            let known = TYPES.iter().find(|(name, _)| *name == text("DATATYPE"));
            element.data = known.map_or(DataType::Text, |(_, data)| *data);
            let length = self.number(row, "EXTLEN");
            if length == 0 || length > SDATA_LENGTH as u64 {
                self.fault(row, "bad-number", "EXTLEN from 1 to 1000 expected");
            }
            total += length;
            if total > SDATA_LENGTH as u64 && total - length <= SDATA_LENGTH as u64 {
                self.fault(row, "too-long", "the fields of the segment are longer than its record");
            }
            element.length = Some(length.min(SDATA_LENGTH as u64) as u32);
            element.codes = self.codes(schema, segment, &element.name);
            schema.add(segment, element);
        }
    }

    fn codes(&self, schema: &Schema, segment: ElementId, field: &str) -> Vec<(String, String)> {
        let text =
            |row: Node<'_>, name: &str| row.child(name).map_or("", Node::text).trim().to_owned();
        let name = &schema.element(segment).name;
        // EDI_IAPI14: the name of its value column was not seen; FLDVALUE_L is that of EDSVS.
        let value = |row: Node<'_>| {
            let names = ["FLDVALUE_L", "FLDVALUE", "VALUE"];
            names.iter().find_map(|name| row.child(name)).map_or("", Node::text).trim().to_owned()
        };
        let rows = self.rows("PT_FVALUES");
        let of_field = |row: &Node<'_>| {
            text(*row, "FIELDNAME") == field
                && (text(*row, "STRNAME") == *name || text(*row, "SEGMENTTYP") == *name)
        };
        rows.filter(of_field).map(|row| (value(row), text(row, "DESCRP"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idoc::write_schema;

    const DUMP: &str = r#"{
      "PE_HEADER": {"IDOCTYP": "ZCLAIM01", "CIMTYP": "", "DESCRP": "Claim"},
      "PT_SEGMENTS": [
        {"NR": "0001", "SEGMENTTYP": "Z1CLHDR", "SEGMENTDEF": "Z2CLHDR001", "PARPNO": "0000",
         "MUSTFL": "X", "OCCMIN": "0000000001", "OCCMAX": "0000000001", "HLEVEL": "01"},
        {"NR": "0002", "SEGMENTTYP": "Z1CLPOS", "SEGMENTDEF": "Z2CLPOS", "PARPNO": "0001",
         "QUALIFIER": "X", "MUSTFL": "X", "OCCMIN": "0000000001", "OCCMAX": "0000000001",
         "GRP_MUSTFL": "", "GRP_OCCMIN": "0000000001", "GRP_OCCMAX": "9999999999",
         "HLEVEL": "02", "DESCRP": "Position"}
      ],
      "PT_FIELDS": [
        {"SEGMENTTYP": "Z1CLHDR", "FIELDNAME": "OPENED", "EXTLEN": "000008", "FIELD_POS": "0002",
         "DATATYPE": "DATS"},
        {"SEGMENTTYP": "Z1CLHDR", "FIELDNAME": "STATE", "EXTLEN": "000002", "FIELD_POS": "0001",
         "DATATYPE": "CHAR", "DESCRP": "State"},
        {"SEGMENTTYP": "Z1CLPOS", "FIELDNAME": "AMOUNT", "EXTLEN": 15, "FIELD_POS": "0001",
         "DATATYPE": "CURR"}
      ],
      "PT_FVALUES": [
        {"STRNAME": "Z1CLHDR", "FIELDNAME": "STATE", "FLDVALUE_L": "01", "DESCRP": "Open"}
      ]
    }"#;

    #[test]
    fn tables_become_the_tree_with_data_types() {
        let expected = "waybill-idoc 1

type ZCLAIM01 : Claim

segment Z1CLHDR Z2CLHDR001 1..1 level 1
  field STATE 2 : State
    value 01 : Open
  field OPENED 8 date
  segment Z1CLPOS Z2CLPOS 0..* level 2 qualified : Position
    field AMOUNT 15 decimal
";
        assert_eq!(write_schema(&read_complete(DUMP.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn a_row_that_does_not_fit_is_named() {
        let text = DUMP.replace("\"PARPNO\": \"0001\"", "\"PARPNO\": \"0007\"");
        let text = text.replace("\"000002\"", "\"x\"");
        let problems = read_complete(text.as_bytes()).unwrap_err();
        let found: Vec<_> = problems.iter().map(|p| (p.code, p.place.line)).collect();
        assert_eq!(found, [("no-parent", 6), ("bad-number", 14), ("bad-number", 14)]);
        assert_eq!(read_complete(b"[").unwrap_err()[0].code, "unexpected-end");
        assert_eq!(read_complete(b"{}").unwrap_err()[0].code, "no-type");
    }
}
