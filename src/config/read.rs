//! Reads a configuration file; every mistake is reported.

use std::time::Duration;

use waybill_parsers::Path;

use crate::config::secret::Secret;
use crate::config::{
    Agent, Amqp, Config, Declare, EventPaths, FileTarget, Journal, NameTemplate, OnDead, OnFailed,
    Reload, Retry, Route, Source, SourceFormat, SourceKind, Target, TargetKind, exchange, expect,
    folder, format, http as http_target, limits, listen, unit,
};
use crate::diagnostic::{Mark, Problems, Spanned};
use crate::yaml::{self, Fields, Node};

/// Reads the configuration file that `problems` is about. `None` where nothing can be made of it;
/// a `Config` with problems beside it must not be run, but shows further mistakes.
pub fn config(problems: &mut Problems) -> Option<Config> {
    let node = yaml::read(problems)?;
    let mut fields = Fields::of(&node, "configuration", problems)?;
    yaml::version(&mut fields, problems);
    // Without a usable agent nothing runs, but the mistakes of all other files still show.
    let agent = fields.required("agent", problems).and_then(|node| agent(node, problems));
    let agent = agent.unwrap_or_else(Agent::unusable);
    let http = fields.optional("http").and_then(|node| listen::read(node, problems));
    let journal = journal(fields.optional("journal"), problems);
    let limits = limits::read(fields.optional("limits"), problems);
    let (sources, _) = named(fields.required("sources", problems), "sources", problems, source);
    let targets = named(fields.required("targets", problems), "targets", problems, target);
    let (targets, broken_targets) = targets;
    let mut patterns = |key, problems: &mut Problems| {
        let node: Option<&Node> = fields.optional(key);
        node.map(|node| texts(node, key, problems)).unwrap_or_default()
    };
    let partners = patterns("partners", problems);
    let lifecycles = patterns("lifecycles", problems);
    let mappings = patterns("mappings", problems);
    let schemas = patterns("schemas", problems);
    let routes = fields.required("routes", problems).map(|node| {
        yaml::items(node).iter().filter_map(|route| self::route(route, problems)).collect()
    });
    fields.finish(problems);
    Some(Config {
        agent,
        http,
        journal,
        limits,
        sources,
        targets,
        broken_targets,
        partners,
        lifecycles,
        mappings,
        schemas,
        routes: routes.unwrap_or_default(),
    })
}

fn agent(node: &Node, problems: &mut Problems) -> Option<Agent> {
    let mut fields = Fields::of(node, "agent", problems)?;
    let name = fields.required_text("name", problems);
    let data_dir = fields.required_text("data_dir", problems);
    let drain = fields.parsed("drain", problems, unit::duration);
    let words = [("on-signal", Reload::OnSignal), ("on-change", Reload::OnChange)];
    let reload = fields.choice("reload", problems, &words);
    // One name for development, quality and production, so that one set of files serves all.
    fields.text("landscape", problems);
    let instance = fields.parsed("instance", problems, |text| unit::count(text, 0, 999));
    if fields.optional("instance").is_none() {
        problems.advise(
            fields.mark(),
            "agent: `instance` is missing",
            "give each agent that feeds the same SAP client three digits of its own, such as \
             `instance: \"001\"`; document numbers begin with them",
        );
    }
    fields.finish(problems);
    Some(Agent {
        name: name?.value.into(),
        instance: u16::try_from(instance?).ok()?,
        data_dir: data_dir?.value,
        drain: drain.unwrap_or(Duration::from_secs(20)),
        reload: reload.unwrap_or(Reload::OnSignal),
    })
}

fn journal(node: Option<&Node>, problems: &mut Problems) -> Journal {
    let mut journal = Journal { file: "journal.db".to_owned(), min_free: 64 << 20 };
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "journal", problems)) else {
        return journal;
    };
    let file = fields.parsed("url", problems, |url| match url.strip_prefix("sqlite:") {
        Some(file) if !file.is_empty() && !file.contains('/') => Ok(file.to_owned()),
        Some(_) => Err("a file name below `data_dir` is expected: `sqlite:journal.db`".to_owned()),
        None => Err("only `sqlite:` is known".to_owned()),
    });
    let min_free = fields.parsed("min_free", problems, unit::size);
    fields.finish(problems);
    journal.file = file.unwrap_or(journal.file);
    journal.min_free = min_free.unwrap_or(journal.min_free);
    journal
}

/// The entries of a mapping whose keys are names, and the names of those that cannot be used.
/// Names appear in metrics, so they are plain.
fn named<T>(
    node: Option<&Node>,
    what: &str,
    problems: &mut Problems,
    read: impl Fn(&Spanned<String>, &Node, &mut Problems) -> Option<T>,
) -> (Vec<T>, Vec<String>) {
    let Some(node) = node else { return (Vec::new(), Vec::new()) };
    let (mut list, mut broken) = (Vec::new(), Vec::new());
    for (name, node) in yaml::entries(node, what, problems) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.value.is_empty() || name.value.len() > 64 || !name.value.chars().all(plain) {
            let remedy = "use up to 64 letters, digits, `-` and `_`";
            problems.advise(name.mark, format!("`{}` is no name", name.value), remedy);
        }
        match read(name, node, problems) {
            Some(entry) => list.push(entry),
            None => broken.push(name.value.clone()),
        }
    }
    (list, broken)
}

fn source(name: &Spanned<String>, node: &Node, problems: &mut Problems) -> Option<Source> {
    let what = format!("source {}", name.value);
    let mut fields = Fields::of(node, &what, problems)?;
    let kind = fields
        .required("type", problems)
        .and_then(|_| fields.choice("type", problems, &[("amqp", false), ("folder", true)]));
    let format = format::read(&mut fields, problems);
    let event = event_paths(fields.optional("event"), problems);
    let read = match kind? {
        false => amqp(&mut fields, problems).map(SourceKind::Amqp),
        true => folder::read(&mut fields, problems).map(SourceKind::Folder),
    };
    if matches!((kind, &format), (Some(true), SourceFormat::Json)) {
        let remedy = "write `format: idoc`";
        problems.advise(name.mark, format!("{what}: a folder takes IDocs"), remedy);
    }
    fields.finish(problems);
    let kind = read?;
    Some(Source { name: name.value.as_str().into(), mark: name.mark, kind, format, event })
}

fn amqp(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Amqp> {
    let (url, tls) = exchange::access(fields, problems);
    let expect = expect::broker(fields, problems);
    let queue = fields.required_text("queue", problems);
    let words =
        [("passive", Declare::Passive), ("quorum", Declare::Quorum), ("classic", Declare::Classic)];
    let declare = fields.choice("declare", problems, &words);
    let single_active = fields.flag("single_active", problems);
    let prefetch =
        fields.parsed("prefetch", problems, |text| unit::count(text, 1, u64::from(u16::MAX)));
    let in_flight = fields.parsed("in_flight", problems, unit::size);
    let max_message = fields.parsed("max_message", problems, unit::size);
    Some(Amqp {
        url: url?,
        tls,
        expect,
        queue: queue?.value,
        declare: declare.unwrap_or(Declare::Quorum),
        single_active: single_active.unwrap_or(true),
        prefetch: prefetch.and_then(|count| u16::try_from(count).ok()).unwrap_or(500),
        in_flight: in_flight.unwrap_or(16 << 20),
        max_message: max_message.unwrap_or(16 << 20),
    })
}

fn event_paths(node: Option<&Node>, problems: &mut Problems) -> EventPaths {
    let mut fields = node.and_then(|node| Fields::of(node, "event", problems));
    let mut path = |key: &'static str, default: &str| {
        let written = fields.as_mut().and_then(|fields| {
            fields.parsed(key, problems, |text| Path::parse(text).map_err(|e| e.to_string()))
        });
        let step = waybill_parsers::Step::Name(default.to_owned());
        written.unwrap_or_else(|| Path::from_steps(vec![step]))
    };
    let paths = EventPaths {
        id: path("id", "id"),
        kind: path("kind", "type"),
        key: path("key", "subject"),
        time: path("time", "time"),
    };
    if let Some(fields) = fields {
        fields.finish(problems);
    }
    paths
}

/// The types of targets.
const TARGETS: [(&str, &str); 3] = [("file", "file"), ("amqp", "amqp"), ("http", "http")];

fn target(name: &Spanned<String>, node: &Node, problems: &mut Problems) -> Option<Target> {
    let what = format!("target {}", name.value);
    let mut fields = Fields::of(node, &what, problems)?;
    let kind =
        fields.required("type", problems).and_then(|_| fields.choice("type", problems, &TARGETS));
    let retry = retry(fields.optional("retry"), problems);
    let in_flight = fields.parsed("in_flight", problems, |text| unit::count(text, 1, 10_000));
    let words = [("hold", OnDead::Hold), ("skip", OnDead::Skip)];
    let on_dead = fields.choice("on_dead", problems, &words);
    let is = kind.and_then(|kind| match kind {
        "file" => file_target(&mut fields, problems).map(TargetKind::File),
        "amqp" => exchange::target(&mut fields, problems).map(TargetKind::Amqp),
        _ => http_target::target(&mut fields, problems).map(|http| TargetKind::Http(http.into())),
    });
    let usual = if kind == Some("http") { 16 } else { 256 };
    if kind.is_some() {
        fields.finish(problems);
    }
    Some(Target {
        name: name.value.as_str().into(),
        mark: name.mark,
        kind: is?,
        retry,
        in_flight: in_flight.and_then(|count| usize::try_from(count).ok()).unwrap_or(usual),
        on_dead: on_dead.unwrap_or(OnDead::Hold),
    })
}

fn file_target(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<FileTarget> {
    let path = fields.required_text("path", problems);
    fields.required("name", problems);
    let name = fields.parsed("name", problems, NameTemplate::parse);
    let mode = fields.parsed("mode", problems, unit::file_mode);
    Some(FileTarget { path: path?.value, name: name?, mode: mode.unwrap_or(0o640) })
}

fn retry(node: Option<&Node>, problems: &mut Problems) -> Retry {
    let mut retry = Retry::default();
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "retry", problems)) else {
        return retry;
    };
    let attempts = fields.parsed("attempts", problems, |text| unit::count(text, 1, 10_000));
    let first = fields.parsed("first", problems, unit::duration);
    let most = fields.parsed("most", problems, unit::duration);
    fields.finish(problems);
    retry.attempts = attempts.and_then(|n| u32::try_from(n).ok()).unwrap_or(retry.attempts);
    retry.first = first.unwrap_or(retry.first);
    retry.most = most.unwrap_or(retry.most);
    retry
}

fn route(node: &Node, problems: &mut Problems) -> Option<Route> {
    let mut fields = Fields::of(node, "route", problems)?;
    let on = fields.required("on", problems).map(|node| texts(node, "on", problems));
    let when = fields.text("when", problems);
    let mapping = fields.required_text("mapping", problems);
    let kind = fields.text("as", problems);
    let partner = fields.text("partner", problems);
    let to = fields.required("to", problems).map(|node| texts(node, "to", problems));
    let words = [("park", OnFailed::Park), ("pass", OnFailed::Pass)];
    let on_failed = fields.choice("on_failed", problems, &words);
    let mark: Mark = fields.mark();
    fields.finish(problems);
    Some(Route {
        on: on?.into_iter().map(|kind| kind.value).collect(),
        when,
        mapping: mapping?,
        kind,
        partner,
        to: to?,
        on_failed: on_failed.unwrap_or(OnFailed::Park),
        mark,
    })
}

/// A secret: text, `{ env: NAME }` or `{ file: PATH }`.
pub(super) fn secret(node: &Node, what: &str, problems: &mut Problems) -> Option<Secret> {
    if let Some(text) = node.text() {
        return Some(Secret::Plain(text.to_owned()));
    }
    let mut fields = Fields::of(node, what, problems)?;
    let env = fields.text("env", problems);
    let file = fields.text("file", problems);
    let mark = fields.mark();
    fields.finish(problems);
    match (env, file) {
        (Some(name), None) => Some(Secret::Env(name.value)),
        (None, Some(path)) => Some(Secret::File(path.value)),
        _ => {
            problems.add(mark, format!("{what}: either `env` or `file` is expected"));
            None
        }
    }
}

fn texts(node: &Node, what: &str, problems: &mut Problems) -> Vec<Spanned<String>> {
    yaml::items(node).iter().filter_map(|item| yaml::text(item, what, problems)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeclareExchange, Mode, OnDoubt};
    use crate::diagnostic::SourceFile;

    fn read(text: &str) -> (Option<Config>, Vec<String>) {
        let mut problems = Problems::new(SourceFile::new("waybill.yaml", text));
        let config = config(&mut problems);
        (config, problems.into_list().iter().map(ToString::to_string).collect())
    }

    const GOOD: &str = r#"
version: 1
agent: { name: vms-1, instance: "001", data_dir: var }
http: { listen: "127.0.0.1:9464" }
sources:
  vms: { type: amqp, url: { env: AMQP_URL }, queue: vms.status, event: { key: data.vin } }
targets:
  sap-file: { type: file, path: out, name: "{message_type}_{docnum}.idoc", retry: { first: 2s } }
routes:
  - { on: vehicle.status.changed, mapping: registration, partner: sap, to: [sap-file] }
"#;

    #[test]
    fn defaults_stand_where_nothing_is_written() {
        let (config, problems) = read(GOOD);
        assert_eq!(problems, Vec::<String>::new());
        let config = config.unwrap();
        assert_eq!(config.agent.instance, 1);
        let SourceKind::Amqp(amqp) = &config.sources[0].kind else { panic!("not AMQP") };
        assert_eq!((amqp.prefetch, amqp.in_flight, amqp.declare), (500, 16 << 20, Declare::Quorum));
        assert_eq!(config.sources[0].event.id.to_string(), "id");
        assert_eq!(config.sources[0].event.key.to_string(), "data.vin");
        assert_eq!(config.targets[0].retry.first, Duration::from_secs(2));
        assert_eq!(config.routes[0].on_failed, OnFailed::Park);
    }

    #[test]
    fn all_mistakes_of_a_file_are_found_at_once() {
        let text = GOOD
            .replace("instance: \"001\", ", "")
            .replace("127.0.0.1:9464", "localhost")
            .replace("queue: vms.status", "qeue: vms.status, prefetch: many")
            .replace("{docnum}", "{number}")
            .replace("on: vehicle", "onn: vehicle");
        let (_, problems) = read(&text);
        let found: Vec<_> = problems.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
        assert_eq!(problems.len(), 8, "{problems:#?}");
        assert!(problems[0].contains("`instance` is missing"), "{found:?}");
        assert!(problems.iter().any(|line| line.contains("did you mean `queue`?")));
        assert!(problems.iter().any(|line| line.contains("unknown placeholder")));
    }

    #[test]
    fn an_exchange_is_read_with_its_defaults_and_its_mistakes_are_named() {
        let file = "sap-file: { type: file, path: out, name: \"{message_type}_{docnum}.idoc\", retry: { first: 2s } }";
        let good = "vms-in: { type: amqp, url: { env: AMQP_URL }, exchange: vms.in, routing_key: \"sap.{type}.{key}\" }";
        let (config, problems) = read(&GOOD.replace(file, good));
        assert_eq!(problems, Vec::<String>::new());
        let TargetKind::Amqp(amqp) = &config.unwrap().targets[0].kind else { panic!() };
        let default = (DeclareExchange::Passive, true, Mode::Structured, OnDoubt::Resend);
        assert_eq!((amqp.declare, amqp.mandatory, amqp.mode, amqp.on_doubt), default);
        let bad = good.replace("{key}", "{vin}").replace("exchange: vms.in", "mode: jumbled");
        let (_, problems) = read(&GOOD.replace(file, &bad));
        for part in ["unknown placeholder `{vin}`", "`exchange` is missing", "jumbled"] {
            assert!(problems.iter().any(|line| line.contains(part)), "{part}: {problems:#?}");
        }
    }
}
