//! The XSD export: one global element, nested anonymous types, restrictions of `xsd:string`.

use quick_xml::events::BytesStart;

use crate::document::Kind;
use crate::idoc::control::{CONTROL, SDATA_LENGTH};
use crate::idoc::import::{ANY_NUMBER, Faults, definition_of};
use crate::reading::{Limits, Place, Problem};
use crate::schema::{Element, ElementId, Schema};
use crate::xml::events::{Events, Token};

/// Reads an XSD export.
///
/// What an XSD does not say is filled in: the segment definition by SAP's rule, without a version
/// (readers find every version by the same rule); the level by the nesting.
///
/// # Errors
///
/// What is wrong with the file as XML (the codes of the XML reader), and `no-type`, `bad-number`,
/// `no-length`, `too-long`, `misplaced`.
pub fn xsd(bytes: &[u8]) -> Result<Schema, Vec<Problem>> {
    let limits = Limits { depth: 400, ..Limits::default() };
    let mut events = Events::new(bytes, &limits);
    let mut import = Import {
        schema: Schema::new("", Element::new(Kind::Group, "")),
        open: Vec::new(),
        text: None,
        in_value: false,
        root: None,
        place: Place::default(),
        faults: Faults::new(),
    };
    let mut buffer = Vec::new();
    loop {
        let token = match events.next(&mut buffer) {
            Ok(token) => token,
            Err(error) => {
                import.faults.push(error.place, error.code, error.message);
                break;
            }
        };
        match token {
            Token::Start(start) => {
                import.place = events.spot().place();
                import.start(&start);
            }
            Token::End => import.end(),
            Token::Text(text) => import.put_text(&text),
            Token::Character(character) => import.put_text(character.encode_utf8(&mut [0; 4])),
            Token::Nothing => {}
            Token::Eof => break,
        }
    }
    import.finish()
}

/// An open element of the XSD.
enum Open {
    /// `xsd:element`.
    Declared(Declared),
    Documentation,
    /// `xsd:enumeration`: documentation in it describes a value.
    Value,
    Other,
}

#[derive(Default)]
struct Declared {
    name: String,
    text: String,
    min: u32,
    max: u64,
    length: Option<u32>,
    fixed: Option<String>,
    codes: Vec<(String, String)>,
    /// It has an `xsd:complexType`: the segment it became, if it is one.
    complex: bool,
    id: Option<ElementId>,
}

struct Import {
    schema: Schema,
    open: Vec<Open>,
    /// The documentation being read.
    text: Option<String>,
    in_value: bool,
    /// Name and description of the global element.
    root: Option<(String, String)>,
    place: Place,
    faults: Faults,
}

impl Import {
    fn fault(&mut self, code: &'static str, message: &str) {
        self.faults.push(self.place.clone(), code, message);
    }

    fn start(&mut self, start: &BytesStart<'_>) {
        let attribute = |name: &str| {
            let found = start.try_get_attribute(name).ok().flatten()?;
            found
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .ok()
                .map(|value| value.into_owned())
        };
        let open = match start.local_name().as_ref() {
            "element" => Open::Declared(self.declared(attribute)),
            "complexType" => {
                self.complex_type();
                Open::Other
            }
            "documentation" => {
                self.text = Some(String::new());
                Open::Documentation
            }
            "enumeration" => {
                self.in_value = true;
                if let (Some(value), Some(declared)) = (attribute("value"), self.innermost()) {
                    declared.codes.push((value, String::new()));
                }
                Open::Value
            }
            "maxLength" | "length" => {
                let length = attribute("value").and_then(|value| value.parse().ok());
                match (length, self.innermost()) {
                    (Some(length), Some(declared)) => declared.length = Some(length),
                    (None, _) => self.fault("bad-number", "a length expected"),
                    _ => {}
                }
                Open::Other
            }
            _ => Open::Other,
        };
        self.open.push(open);
    }

    fn declared(&mut self, attribute: impl Fn(&str) -> Option<String>) -> Declared {
        let number = |name: &str| match attribute(name).as_deref() {
            None => Some(1),
            Some("unbounded") => Some(ANY_NUMBER),
            Some(text) => text.parse::<u64>().ok(),
        };
        let (min, max) = (number("minOccurs"), number("maxOccurs"));
        if min.is_none() || max.is_none() {
            self.fault("bad-number", "a number of occurrences expected");
        }
        let name = attribute("name").unwrap_or_default();
        if name.is_empty() {
            self.fault("misplaced", "an element without a name");
        }
        Declared {
            name,
            min: u32::try_from(min.unwrap_or(1)).unwrap_or(u32::MAX),
            max: max.unwrap_or(1).max(1),
            fixed: attribute("fixed"),
            ..Declared::default()
        }
    }

    /// The elements that are open: the type, `IDOC`, then segments.
    fn depth(&self) -> usize {
        self.open.iter().filter(|open| matches!(open, Open::Declared(_))).count()
    }

    fn innermost(&mut self) -> Option<&mut Declared> {
        self.open.iter_mut().rev().find_map(|open| match open {
            Open::Declared(declared) => Some(declared),
            _ => None,
        })
    }

    /// Whether what is open is the control record or something in it.
    fn in_control(&self) -> bool {
        let mut declared = self.open.iter().filter_map(|open| match open {
            Open::Declared(declared) => Some(declared),
            _ => None,
        });
        declared.nth(2).is_some_and(|declared| declared.name == CONTROL)
    }

    /// The element that is open becomes a segment.
    fn complex_type(&mut self) {
        let depth = self.depth();
        let is_segment = depth > 2 && !self.in_control();
        let parent = self.parent();
        let Some(declared) = self.innermost() else { return };
        declared.complex = true;
        if depth == 1 {
            self.root = Some((declared.name.clone(), declared.text.clone()));
            return;
        }
        if !is_segment {
            return;
        }
        let mut element = Element::new(Kind::Segment, declared.name.clone());
        element.definition = Some(definition_of(&declared.name));
        element.text = declared.text.clone();
        (element.min, element.max) = (declared.min, declared.max);
        element.level = u8::try_from(depth - 2).unwrap_or(99).min(99);
        let id = self.schema.add(parent, element);
        if let Some(declared) = self.innermost() {
            declared.id = Some(id);
        }
    }

    /// The segment that the element opened last is in.
    fn parent(&self) -> ElementId {
        let ids = self.open.iter().rev().filter_map(|open| match open {
            Open::Declared(declared) => Some(declared.id),
            _ => None,
        });
        ids.skip(1).flatten().next().unwrap_or(ElementId::ROOT)
    }

    fn put_text(&mut self, text: &str) {
        if let Some(kept) = &mut self.text {
            kept.push_str(text);
        }
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Open::Documentation) => {
                let text = self.text.take().unwrap_or_default();
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let in_value = self.in_value;
                let Some(declared) = self.innermost() else { return };
                match declared.codes.last_mut() {
                    Some((_, kept)) if in_value => *kept = text,
                    _ => declared.text = text,
                }
            }
            Some(Open::Value) => self.in_value = false,
            Some(Open::Declared(declared)) if !declared.complex => self.field(declared),
            _ => {}
        }
    }

    fn field(&mut self, declared: Declared) {
        if self.in_control() {
            // The names are taken from here: the root is named by the extension, if there is one.
            let fixed = declared.fixed.or_else(|| declared.codes.first().map(|c| c.0.clone()));
            match (declared.name.as_str(), fixed) {
                ("IDOCTYP", Some(name)) if !name.is_empty() => self.rename(name, None),
                ("CIMTYP", Some(name)) if !name.is_empty() => {
                    self.rename(String::new(), Some(name))
                }
                _ => {}
            }
            return;
        }
        let longest = declared.codes.iter().map(|(value, _)| value.chars().count() as u32).max();
        let length = declared.length.or(longest).filter(|length| *length > 0);
        if self.depth() < 3 {
            return self.fault("misplaced", "a field outside of a segment");
        }
        if length.is_none_or(|length| length as usize > SDATA_LENGTH) {
            self.fault("no-length", "a field without a length from 1 to 1000");
        }
        let mut element = Element::new(Kind::Field, declared.name);
        (element.text, element.codes, element.length) = (declared.text, declared.codes, length);
        let parent = self.segment();
        self.schema.add(parent, element);
        let fields = self.schema.element(parent).children().iter();
        let total: u32 = fields.filter_map(|id| self.schema.element(*id).length).sum();
        let before = total.saturating_sub(length.unwrap_or(0)) as usize;
        if total as usize > SDATA_LENGTH && before <= SDATA_LENGTH {
            self.fault("too-long", "the fields of the segment are longer than its record");
        }
    }

    /// The segment that is open.
    fn segment(&mut self) -> ElementId {
        self.innermost().and_then(|declared| declared.id).unwrap_or(ElementId::ROOT)
    }

    fn rename(&mut self, basic: String, extension: Option<String>) {
        let known = self.schema.name().to_owned();
        let name = if basic.is_empty() { known } else { basic };
        let mut root = self.schema.element(ElementId::ROOT).clone();
        root.name.clone_from(&name);
        root.definition = extension.or(root.definition);
        self.schema = Schema::new(name, root);
    }

    fn finish(mut self) -> Result<Schema, Vec<Problem>> {
        match self.root.take() {
            None => self.fault("no-type", "no element of an IDoc type"),
            Some((name, text)) => {
                if self.schema.name().is_empty() {
                    self.fault("no-type", "IDOCTYP of EDI_DC40 names no type");
                }
                let schema_name = self.schema.name().to_owned();
                if let Some(root) = self.schema.element_mut(ElementId::ROOT) {
                    (root.min, root.text) = (1, text);
                    if root.definition.is_none() && name != schema_name {
                        root.definition = Some(name);
                    }
                }
            }
        }
        let problems = self.faults.finish();
        if problems.is_empty() { Ok(self.schema) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idoc::write_schema;

    fn field(name: &str, length: u32) -> String {
        format!(
            "<xsd:element name='{name}' minOccurs='0'><xsd:annotation><xsd:documentation>Text of \
             {name}</xsd:documentation></xsd:annotation><xsd:simpleType><xsd:restriction \
             base='xsd:string'><xsd:maxLength value='{length}'/></xsd:restriction></xsd:simpleType>\
             </xsd:element>"
        )
    }

    fn segment(name: &str, occurs: &str, content: &str) -> String {
        format!(
            "<xsd:element name='{name}' {occurs}><xsd:complexType><xsd:sequence>{content}\
             </xsd:sequence><xsd:attribute name='SEGMENT' type='xsd:string' use='required'/>\
             </xsd:complexType></xsd:element>"
        )
    }

    fn export(content: &str) -> String {
        let control = "<xsd:element name='IDOCTYP' type='xsd:string' fixed='ZCLAIM01'/>\
                       <xsd:element name='CIMTYP' type='xsd:string' fixed='ZCLAIMX'/>";
        let control = segment("EDI_DC40", "", &(control.to_owned() + &field("DOCNUM", 16)));
        let idoc = segment("IDOC", "", &(control + content));
        format!(
            "<?xml version='1.0' encoding='utf-8'?><xsd:schema \
             xmlns:xsd='http://www.w3.org/2001/XMLSchema' version='1.0'>{}</xsd:schema>",
            segment("ZCLAIMX", "", &idoc)
        )
    }

    #[test]
    fn the_type_is_the_one_of_the_control_record() {
        let position = segment("Z1CLPOS", "minOccurs='0' maxOccurs='unbounded'", &field("NR", 6));
        let content = field("CLAIM", 10) + &field("STATE", 2) + &position;
        let schema = xsd(export(&segment("Z1CLHDR", "", &content)).as_bytes()).unwrap();
        let expected = "waybill-idoc 1

type ZCLAIM01 extension ZCLAIMX

segment Z1CLHDR Z2CLHDR 1..1 level 1
  field CLAIM 10 : Text of CLAIM
  field STATE 2 : Text of STATE
  segment Z1CLPOS Z2CLPOS 0..* level 2
    field NR 6 : Text of NR
";
        assert_eq!(write_schema(&schema), expected);
    }

    #[test]
    fn what_is_no_export_is_refused() {
        let codes = |text: &str| -> Vec<_> {
            xsd(text.as_bytes()).unwrap_err().iter().map(|problem| problem.code).collect()
        };
        assert_eq!(codes("<a/>"), ["no-type"]);
        assert_eq!(codes(""), ["no-type"]);
        assert_eq!(codes("<!DOCTYPE a><a/>"), ["dtd", "no-type"]);
        let whole = export("");
        assert!(codes(&whole[..whole.len() - 20]).contains(&"not-xml"));
        let long = segment("Z1A", "", &(field("A", 600) + &field("B", 600)));
        assert_eq!(codes(&export(&long)), ["too-long"]);
    }
}
