//! What the events of a source are written in, and where each format holds what orders them.

use waybill_parsers::Path;

use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{self, Fields, Node};

/// The format of a source's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceFormat {
    /// One JSON text each; [`EventPaths`](crate::config::EventPaths) says where it holds what.
    Json,
    /// One IDoc each, as a flat file. Its control record identifies it.
    Idoc(IdocSource),
}

/// `format: idoc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdocSource {
    /// Message types, and where their IDocs hold the business object that orders them. IDocs of
    /// other message types are ordered by nothing: their key is their own `DOCNUM`.
    pub keys: Vec<(Spanned<String>, Path)>,
    /// Message types of which an IDoc that is older than the last one of its key is ignored.
    pub newest_wins: Vec<Spanned<String>>,
}

/// Reads `format` and the keys that belong to it. Default JSON.
pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> SourceFormat {
    let words = [("json", false), ("idoc", true)];
    if !fields.choice("format", problems, &words).unwrap_or(false) {
        return SourceFormat::Json;
    }
    let keys = fields.optional("keys").map(|node| keys(node, problems)).unwrap_or_default();
    let mut newest_wins = Vec::new();
    for node in fields.optional("newest_wins").into_iter().flat_map(yaml::items) {
        let Some(message) = yaml::text(node, "newest_wins", problems) else { continue };
        if keys.iter().any(|(other, _)| other.value == message.value) {
            newest_wins.push(message);
            continue;
        }
        // Under its own number as key, an IDoc is never older than another one.
        let what = "message type with an entry in `keys`";
        let names = keys.iter().map(|(name, _)| name.value.as_str());
        problems.unknown(message.mark, what, &message.value, names);
    }
    if let Some(node) = fields.optional("event") {
        let remedy = "the control record identifies an IDoc; `keys` says what orders it";
        problems.advise(node.mark, "event: only for `format: json`", remedy);
    }
    SourceFormat::Idoc(IdocSource { keys, newest_wins })
}

fn keys(node: &Node, problems: &mut Problems) -> Vec<(Spanned<String>, Path)> {
    let mut keys = Vec::new();
    for (message, node) in yaml::entries(node, "keys", problems) {
        let Some(written) = yaml::text(node, &message.value, problems) else { continue };
        match Path::parse(&written.value) {
            // Its mark is that of the path, where the plan reports that no type declares it.
            Ok(path) => {
                keys.push((Spanned { value: message.value.clone(), mark: written.mark }, path));
            }
            Err(error) => problems.add(written.mark, format!("{}: {error}", message.value)),
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

    fn read_text(text: &str) -> (SourceFormat, Vec<String>) {
        let mut problems = Problems::new(SourceFile::new("s.yaml", text));
        let node = yaml::read(&mut problems).unwrap();
        let mut fields = Fields::of(&node, "source", &mut problems).unwrap();
        let format = read(&mut fields, &mut problems);
        fields.finish(&mut problems);
        (format, problems.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_idoc_source_names_its_keys() {
        let text = "format: idoc\nkeys: { DEBMAS: E1KNA1M/KUNNR }\nnewest_wins: DEBMAS\n";
        let (format, problems) = read_text(text);
        assert_eq!(problems, Vec::<String>::new());
        let SourceFormat::Idoc(idoc) = format else { panic!("not IDoc") };
        assert_eq!(idoc.keys[0].1.to_string(), "E1KNA1M.KUNNR");
        assert_eq!(idoc.newest_wins[0].value, "DEBMAS");
    }

    #[test]
    fn what_makes_no_sense_beside_the_format_is_named() {
        let text = "format: idoc\nkeys: { DEBMAS: E1KNA1M//KUNNR, MATMAS: A/B }\n\
                    newest_wins: [MATMASS]\nevent: { id: x }\n";
        assert_eq!(
            read_text(text).1,
            [
                "s.yaml:2:17: DEBMAS: name expected at character 9 of path `E1KNA1M//KUNNR`",
                "s.yaml:3:15: unknown message type with an entry in `keys` `MATMASS`; did you mean `MATMAS`?",
                "s.yaml:4:8: event: only for `format: json`; the control record identifies an IDoc; `keys` says what orders it",
            ]
        );
        let problems = read_text("keys: { DEBMAS: A/B }\n").1;
        assert_eq!(problems, ["s.yaml:1:1: unknown key of source `keys`; known: format"]);
    }
}
