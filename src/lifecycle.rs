//! Which status may follow which, for one kind of object.
//!
//! A lifecycle has its own object key: a claim, not the VIN that the claim names. The pure
//! question is [`Lifecycle::step`]; what the object's status was is a fact that the journal knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use waybill_parsers::Path;

use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{self, Fields, Node};

/// A declared lifecycle.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// Its name.
    pub name: Arc<str>,
    /// The kinds of events that carry its statuses.
    pub on: Vec<String>,
    /// Where the event holds the object's key.
    pub object: Path,
    /// Where the event holds the status asked for.
    pub status: Path,
    /// What an illegal transition does.
    pub mode: Mode,
    /// What the first event of an object that nobody knows does.
    pub unknown_object: UnknownObject,
    initial: Vec<String>,
    transitions: BTreeMap<String, Vec<String>>,
}

/// What an illegal transition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is counted, nothing else: to learn what the VMS really does.
    Shadow,
    /// It is counted and written into the verdict.
    Warn,
    /// The event is refused and the status stays.
    Enforce,
}

/// What the first event of an unknown object does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownObject {
    /// The object was alive before us: its first status is taken as it is.
    Adopt,
    /// It must begin with an initial status.
    Initial,
}

/// Whether a step is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is.
    Legal,
    /// It is not; the mode says that it happens all the same and is counted, nothing else.
    Shadowed,
    /// It is not, for this reason; the mode says that it happens all the same.
    Noted(String),
    /// It is not, for this reason.
    Refused(String),
}

impl Lifecycle {
    /// Reads a lifecycle file. `None` where it cannot be used; all reasons are in `problems`.
    pub fn read(problems: &mut Problems) -> Option<Self> {
        let node = yaml::read(problems)?;
        let before = problems.len();
        let mut fields = Fields::of(&node, "lifecycle file", problems)?;
        yaml::version(&mut fields, problems);
        let name = fields.required_text("lifecycle", problems);
        let on = fields.required("on", problems).map(|node| words(node, "on", problems));
        let object = path(&mut fields, "object", problems);
        let status = path(&mut fields, "status", problems);
        let modes = [("shadow", Mode::Shadow), ("warn", Mode::Warn), ("enforce", Mode::Enforce)];
        let mode = fields.choice("mode", problems, &modes);
        let unknown = [("adopt", UnknownObject::Adopt), ("initial", UnknownObject::Initial)];
        let unknown_object = fields.choice("unknown_object", problems, &unknown);
        let initial = fields.required("initial", problems).map(|n| words(n, "initial", problems));
        let last = fields.optional("final").map(|node| words(node, "final", problems));
        let transitions = fields.required("transitions", problems);
        let transitions = transitions.map(|node| read_transitions(node, problems));
        fields.finish(problems);
        let (initial, transitions) = (initial?, transitions?);
        check_statuses(&initial, &transitions, last.as_deref(), problems);
        if problems.len() > before {
            return None;
        }
        let plain =
            |words: Vec<Spanned<String>>| words.into_iter().map(|word| word.value).collect();
        Some(Self {
            name: name?.value.into(),
            on: plain(on?),
            object: object?,
            status: status?,
            mode: mode.unwrap_or(Mode::Enforce),
            unknown_object: unknown_object.unwrap_or(UnknownObject::Adopt),
            initial: plain(initial),
            transitions: transitions
                .into_iter()
                .map(|(from, to)| (from.value, plain(to)))
                .collect(),
        })
    }

    /// Whether an object may go `from` one status `to` another; `from` is `None` for an object
    /// that is not known. The reason names statuses, which the lifecycle file declares, and quotes
    /// an undeclared one only as such.
    pub fn step(&self, from: Option<&str>, to: &str) -> Step {
        let reason = match from {
            None if self.unknown_object == UnknownObject::Adopt => {
                if self.declares(to) {
                    return Step::Legal;
                }
                format!("{}: the status asked for is not declared", self.name)
            }
            None if self.initial.iter().any(|status| status == to) => return Step::Legal,
            None => format!(
                "{}: a new object begins with {}, not with {}",
                self.name,
                self.initial.join(" or "),
                self.declared(to)
            ),
            Some(from) => {
                let next = self.transitions.get(from).map(Vec::as_slice).unwrap_or_default();
                if next.iter().any(|status| status == to) {
                    return Step::Legal;
                }
                let allowed =
                    if next.is_empty() { "nothing".to_owned() } else { next.join(" or ") };
                format!(
                    "{}: {from} -> {} is illegal; {from} may be followed by {allowed}",
                    self.name,
                    self.declared(to)
                )
            }
        };
        match self.mode {
            Mode::Enforce => Step::Refused(reason),
            Mode::Warn => Step::Noted(reason),
            Mode::Shadow => Step::Shadowed,
        }
    }

    fn declares(&self, status: &str) -> bool {
        self.transitions.contains_key(status)
            || self.initial.iter().any(|other| other == status)
            || self.transitions.values().flatten().any(|other| other == status)
    }

    /// A declared status as it is; anything else is payload and stays out of messages.
    fn declared<'a>(&self, status: &'a str) -> &'a str {
        if self.declares(status) { status } else { "an undeclared status" }
    }
}

type Transitions = Vec<(Spanned<String>, Vec<Spanned<String>>)>;

fn read_transitions(node: &Node, problems: &mut Problems) -> Transitions {
    yaml::entries(node, "transitions", problems)
        .iter()
        .map(|(from, to)| (from.clone(), words(to, "transitions", problems)))
        .collect()
}

/// A status that nothing leads to or from is a misspelling; where `final` lists the statuses that
/// end a life, so is one that leads nowhere and is not listed.
fn check_statuses(
    initial: &[Spanned<String>],
    transitions: &Transitions,
    last: Option<&[Spanned<String>]>,
    problems: &mut Problems,
) {
    let from: Vec<&str> = transitions.iter().map(|(from, _)| from.value.as_str()).collect();
    let targets = || transitions.iter().flat_map(|(_, to)| to);
    for status in initial {
        if !from.contains(&status.value.as_str()) {
            problems.unknown(status.mark, "initial status", &status.value, from.iter().copied());
        }
    }
    for (status, _) in transitions {
        let reached = targets().any(|to| to.value == status.value);
        if !reached && !initial.iter().any(|first| first.value == status.value) {
            problems.advise(
                status.mark,
                format!("status `{}` is never reached", status.value),
                "add a transition to it or list it in `initial`",
            );
        }
    }
    let Some(last) = last else { return };
    for status in targets() {
        let known = from.contains(&status.value.as_str())
            || last.iter().any(|end| end.value == status.value);
        if !known {
            let names = from.iter().copied().chain(last.iter().map(|end| end.value.as_str()));
            problems.unknown(status.mark, "status", &status.value, names);
        }
    }
}

fn words(node: &Node, what: &str, problems: &mut Problems) -> Vec<Spanned<String>> {
    yaml::items(node).iter().filter_map(|item| yaml::text(item, what, problems)).collect()
}

fn path<'a>(fields: &mut Fields<'a>, key: &'a str, problems: &mut Problems) -> Option<Path> {
    let written = fields.required_text(key, problems)?;
    Path::parse(&written.value)
        .map_err(|error| problems.add(written.mark, format!("{key}: {error}")))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

    const CLAIM: &str = "
version: 1
lifecycle: claim
on: [claim.status.changed]
object: data.claim.id
status: data.status
initial: [draft]
final: [paid]
transitions: { draft: [submitted], submitted: [approved, returned], approved: [paid], returned: [submitted] }
";

    fn read(text: &str) -> (Option<Lifecycle>, Vec<String>) {
        let mut problems = Problems::new(SourceFile::new("l.yaml", text));
        let lifecycle = Lifecycle::read(&mut problems);
        (lifecycle, problems.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_declared_transition_is_legal_and_another_names_what_may_follow() {
        let claim = read(CLAIM).0.unwrap();
        assert_eq!(claim.step(Some("draft"), "submitted"), Step::Legal);
        let reason = "claim: draft -> paid is illegal; draft may be followed by submitted";
        assert_eq!(claim.step(Some("draft"), "paid"), Step::Refused(reason.to_owned()));
        let reason = "claim: paid -> draft is illegal; paid may be followed by nothing";
        assert_eq!(claim.step(Some("paid"), "draft"), Step::Refused(reason.to_owned()));
    }

    #[test]
    fn an_unknown_object_is_adopted_with_any_declared_status() {
        let claim = read(CLAIM).0.unwrap();
        assert_eq!(claim.step(None, "approved"), Step::Legal);
        assert!(matches!(claim.step(None, "WVWZZZ"), Step::Refused(r) if !r.contains("WVWZZZ")));
    }

    #[test]
    fn an_unknown_object_may_have_to_begin_at_the_beginning() {
        let claim = read(&format!("{CLAIM}unknown_object: initial\n")).0.unwrap();
        assert_eq!(claim.step(None, "draft"), Step::Legal);
        assert!(matches!(claim.step(None, "approved"), Step::Refused(_)));
    }

    #[test]
    fn the_mode_decides_what_an_illegal_step_does() {
        let mode = |mode| read(&format!("{CLAIM}mode: {mode}\n")).0.unwrap();
        assert_eq!(mode("shadow").step(Some("draft"), "paid"), Step::Shadowed);
        assert_eq!(mode("shadow").step(Some("draft"), "submitted"), Step::Legal);
        assert!(matches!(mode("warn").step(Some("draft"), "paid"), Step::Noted(_)));
    }

    #[test]
    fn every_mistake_of_the_file_is_named() {
        let text = "version: 2\nlifecycle: claim\non: x\nobject: data..id\nmode: enforced\n\
                    initial: [drafd]\nfinal: [paid]\n\
                    transitions: { draft: [submited], submitted: [paid], lost: [paid] }\n";
        let problems = read(text).1;
        let expected = [
            "l.yaml:1:1: lifecycle file: `status` is missing",
            "l.yaml:1:10: version 2 is not known; write `version: 1`",
            "l.yaml:4:9: object: name expected at character 6 of path `data..id`",
            "l.yaml:5:7: unknown mode `enforced`; did you mean `enforce`?",
            "l.yaml:6:11: unknown initial status `drafd`; did you mean `draft`?",
            "l.yaml:8:16: status `draft` is never reached; add a transition to it or list it in `initial`",
            "l.yaml:8:24: unknown status `submited`; did you mean `submitted`?",
            "l.yaml:8:35: status `submitted` is never reached; add a transition to it or list it in `initial`",
            "l.yaml:8:54: status `lost` is never reached; add a transition to it or list it in `initial`",
        ];
        assert_eq!(problems, expected);
    }
}
