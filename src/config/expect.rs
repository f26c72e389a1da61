//! Which system has to answer: the keys `expect` and `expect_at`. One set of files serves
//! development, quality and production; what goes to the wrong one of them cannot be taken back.

use waybill_parsers::Path;

use crate::config::http::{Extract, header_name};
use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{self, Fields, Node};

/// What a web service has to say of itself before anything is sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Where it is asked, at the server of the url; without one, at the url as it is.
    pub path: Option<String>,
    /// What the answer has to say: at least one.
    pub values: Vec<Expected>,
}

/// One thing that an answer has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its name, as it is written.
    pub name: String,
    /// Where the answer holds it.
    pub place: Extract,
    /// What it has to be.
    pub value: String,
}

/// Where names are looked up in an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Json,
    Headers,
}

/// Reads both keys of a web service.
pub(super) fn service(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Expect> {
    let at = fields.optional("expect_at");
    let (path, within) = at.map_or((None, None), |node| place(node, problems));
    let Some(node) = written(fields, problems) else {
        if let (Some(at), false) = (at, fields.has("expect")) {
            problems.advise(at.mark, "expect_at: of no use without `expect`", "write `expect`");
        }
        return None;
    };
    let within = within.unwrap_or(In::Json);
    let entries = yaml::entries(node, "expect", problems);
    if entries.is_empty() && matches!(node.value, yaml::Value::Map(_)) {
        let remedy = "write `expect: { system: Q01 }`";
        problems.advise(node.mark, "expect: it names nothing", remedy);
    }
    let read = |(name, node): &(Spanned<String>, Node)| expected(name, node, within, problems);
    let values: Vec<_> = entries.iter().filter_map(read).collect();
    (!values.is_empty()).then_some(Expect { path, values })
}

/// What is written as `expect`: that it is empty must not mean that anybody will do.
fn written<'a>(fields: &mut Fields<'a>, problems: &mut Problems) -> Option<&'a Node> {
    let node = fields.optional("expect");
    if node.is_none() && fields.has("expect") {
        problems.add(fields.mark(), "expect: it names nothing");
    }
    node
}

fn place(node: &Node, problems: &mut Problems) -> (Option<String>, Option<In>) {
    let Some(mut fields) = Fields::of(node, "expect_at", problems) else { return (None, None) };
    let path = fields.parsed("path", problems, |text| {
        let plain = text.chars().all(|c| c.is_ascii_graphic() && c != '#');
        let remedy = "a path of the same server is expected: `/whoami`";
        if text.starts_with('/') && plain { Ok(text.to_owned()) } else { Err(remedy.to_owned()) }
    });
    let within = fields.choice("in", problems, &[("json", In::Json), ("headers", In::Headers)]);
    fields.finish(problems);
    (path, within)
}

fn expected(
    name: &Spanned<String>,
    node: &Node,
    within: In,
    problems: &mut Problems,
) -> Option<Expected> {
    let place = match within {
        In::Json => Path::parse(&name.value).map(Extract::Json).map_err(|error| error.to_string()),
        In::Headers => header_name(&name.value).map(Extract::Header),
    };
    let place = place.map_err(|why| problems.add(name.mark, format!("expect: {why}"))).ok();
    let value = value(&name.value, node, problems);
    Some(Expected { name: name.value.clone(), place: place?, value: value? })
}

/// Reads `expect: { cluster: NAME }` of a broker.
pub(super) fn broker(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<String> {
    let mut fields = Fields::of(written(fields, problems)?, "expect", problems)?;
    let cluster = fields.required("cluster", problems);
    let cluster = cluster.and_then(|node| value("cluster", node, problems));
    fields.finish(problems);
    cluster
}

fn value(name: &str, node: &Node, problems: &mut Problems) -> Option<String> {
    let text = yaml::text(node, name, problems)?;
    if node.is_null() || text.value.trim().is_empty() {
        problems.add(node.mark, format!("expect: `{name}` has no value"));
        return None;
    }
    Some(text.value)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SourceKind, TargetKind, read};
    use crate::diagnostic::SourceFile;

    use super::*;

    fn config(source: &str, target: &str) -> (Option<Config>, Vec<String>) {
        let text = format!(
            "version: 1
agent: {{ name: test, instance: \"001\", data_dir: data }}
sources: {{ vms: {{ type: amqp, url: x, queue: q, {source} }} }}
targets:
  erp: {{ type: http, url: \"https://erp.example/api\", {target} }}
routes: []
"
        );
        let mut problems = Problems::new(SourceFile::new("waybill.yaml", text));
        let config = read::config(&mut problems);
        (config, problems.into_list().iter().map(ToString::to_string).collect())
    }

    fn read(target: &str) -> Expect {
        let (config, problems) = config("declare: quorum", target);
        assert_eq!(problems, Vec::<String>::new());
        match config.unwrap().targets.remove(0).kind {
            TargetKind::Http(http) => http.expect.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_keep_their_source_text_and_names_are_paths_or_headers() {
        let expect = read("expect: { system: Q01, sap.client: 010 }");
        assert_eq!(expect.path, None);
        let values: Vec<_> = expect.values.iter().map(|one| (&*one.name, &*one.value)).collect();
        assert_eq!(values, [("system", "Q01"), ("sap.client", "010")]);
        assert_eq!(expect.values[1].place, Extract::Json(Path::parse("sap.client").unwrap()));
        let expect = read("expect: { Sap-System: Q01 }, expect_at: { path: /ping, in: headers }");
        assert_eq!(expect.path.as_deref(), Some("/ping"));
        assert_eq!(expect.values[0].place, Extract::Header("Sap-System".to_owned()));
        let (config, problems) = config("expect: { cluster: rabbit@qas }", "method: PUT");
        assert_eq!(problems, Vec::<String>::new());
        let SourceKind::Amqp(amqp) = &config.unwrap().sources[0].kind else { panic!() };
        assert_eq!(amqp.expect.as_deref(), Some("rabbit@qas"));
    }

    #[test]
    fn every_mistake_is_named_with_its_place() {
        for (source, target, said) in [
            ("expect: { cluster: }", "", "3:57: expect: `cluster` is missing"),
            ("expect: { cluster: ' ' }", "", "3:68: expect: `cluster` has no value"),
            ("expect: { clutser: x }", "", "did you mean `cluster`?"),
            ("expect: rabbit", "", "3:57: expect"),
            ("", "expect: {}", ": expect: it names nothing"),
            ("expect: ", "", "expect: it names nothing"),
            ("", "expect: ", "expect: it names nothing"),
            ("", "expect: { system: }", "`system` has no value"),
            ("", "expect: { system: [Q01] }", "system: text is expected"),
            ("", "expect: { system: Q01 }, expect_at: { path: whoami }", "a path of the same"),
            ("", "expect: { system: Q01 }, expect_at: { in: body }", "unknown in `body`"),
            ("", "expect: { a b: Q01 }, expect_at: { in: headers }", "the name of a header"),
            ("", "expect: { system: Q01 }, expect_at: { pfad: /x }", "unknown key of expect_at"),
            ("", "expect_at: { path: /x }", "of no use without `expect`"),
        ] {
            let (_, problems) = config(source, target);
            assert!(problems.iter().any(|line| line.contains(said)), "{said}: {problems:#?}");
        }
    }
}
