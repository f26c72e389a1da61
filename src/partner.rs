//! Who a document is from and to: the identities of each side and what was agreed with them.

use std::sync::Arc;

use crate::diagnostic::Problems;
use crate::yaml::{self, Fields};

/// A trading partner (in SAP: the partner profile of WE20 and the port of WE21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Its name, which routes use.
    pub name: Arc<str>,
    /// Fields of the IDoc control record, in the order of the record.
    pub idoc: Vec<(&'static str, String)>,
}

/// The control record fields that belong to a partner agreement: name and length in characters.
/// The others are the document's (type, number, time). Offsets and lengths: EDI_DC40.
const CONTROL_FIELDS: [(&str, usize); 23] = [
    ("MANDT", 3),
    ("DOCREL", 4),
    ("OUTMOD", 1),
    ("EXPRSS", 1),
    ("TEST", 1),
    ("CIMTYP", 30),
    ("MESCOD", 3),
    ("MESFCT", 3),
    ("STD", 1),
    ("STDVRS", 6),
    ("STDMES", 6),
    ("SNDPOR", 10),
    ("SNDPRT", 2),
    ("SNDPFC", 2),
    ("SNDPRN", 10),
    ("SNDSAD", 21),
    ("SNDLAD", 70),
    ("RCVPOR", 10),
    ("RCVPRT", 2),
    ("RCVPFC", 2),
    ("RCVPRN", 10),
    ("RCVSAD", 21),
    ("RCVLAD", 70),
];

/// What SAP asks of every control record (mandatory in the XSD exports).
const REQUIRED: [&str; 5] = ["SNDPOR", "SNDPRT", "SNDPRN", "RCVPOR", "RCVPRN"];

impl Partner {
    /// Reads a partner file. `None` where it cannot be used; all reasons are in `problems`.
    pub fn read(problems: &mut Problems) -> Option<Self> {
        let node = yaml::read(problems)?;
        let before = problems.len();
        let mut fields = Fields::of(&node, "partner file", problems)?;
        yaml::version(&mut fields, problems);
        let name = fields.required_text("partner", problems);
        let idoc = fields.optional("idoc");
        fields.finish(problems);
        let mut control = Vec::new();
        if let Some(node) = idoc {
            let mut fields = Fields::of(node, "idoc", problems)?;
            for (field, length) in CONTROL_FIELDS {
                let written = if REQUIRED.contains(&field) {
                    fields.required_text(field, problems)
                } else {
                    fields.text(field, problems)
                };
                let Some(written) = written else { continue };
                let characters = written.value.chars().count();
                if characters > length {
                    problems.add(
                        written.mark,
                        format!("{field}: {characters} characters; the field holds {length}"),
                    );
                }
                control.push((field, written.value));
            }
            fields.finish(problems);
        }
        (problems.len() == before).then_some(())?;
        Some(Self { name: name?.value.into(), idoc: control })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

    #[test]
    fn a_partner_names_both_sides_of_the_control_record() {
        let text = "version: 1\npartner: sap\nidoc: { SNDPOR: WAYBILL, SNDPRT: LS, SNDPRN: VMS, \
                    RCVPOR: SAPQ01, RCVPRT: LS, RCVPRN: Q01CLNT100, MANDT: 100 }\n";
        let mut problems = Problems::new(SourceFile::new("p.yaml", text));
        let partner = Partner::read(&mut problems).unwrap();
        assert_eq!(partner.idoc[0], ("MANDT", "100".to_owned()));
        assert_eq!(partner.idoc.len(), 7);
    }

    #[test]
    fn missing_unknown_and_overlong_fields_are_all_named() {
        let text = "version: 1\npartner: sap\n\
                    idoc: { SNDPOR: WAYBILL-PORT-1, SNDPRT: LS, RCVPRT: LS, RCVPRM: X, RCVPOR: A }\n";
        let mut problems = Problems::new(SourceFile::new("p.yaml", text));
        assert!(Partner::read(&mut problems).is_none());
        let list: Vec<_> = problems.into_list().iter().map(ToString::to_string).collect();
        assert_eq!(
            list,
            [
                "p.yaml:3:7: idoc: `SNDPRN` is missing",
                "p.yaml:3:7: idoc: `RCVPRN` is missing",
                "p.yaml:3:17: SNDPOR: 14 characters; the field holds 10",
                "p.yaml:3:57: unknown key of idoc `RCVPRM`; did you mean `RCVPRN`?",
            ]
        );
    }
}
