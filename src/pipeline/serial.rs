//! How new an IDoc is, so that an older one does not overwrite what a newer one said.
//!
//! Files are dropped late, twice and out of order; master data that goes back in time would stay
//! wrong until the next change. What was taken last is kept as the status of an object, like that
//! of a lifecycle: the journal stores it in the same transaction as the verdict, the events of one
//! batch see each other, a failed event does not move it, and the trail shows it. So nothing in
//! the journal knows of it.

use std::sync::Arc;

use waybill_parsers::Node;

use crate::event::{Transition, Verdict};
use crate::facts::Facts;
use crate::pipeline::Decided;

/// What orders IDocs of one key: a field of the control record and its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Serial {
    text: String,
}

impl Serial {
    /// `SERIAL` where the sender sets it, else when the IDoc was made. `None` where neither is
    /// digits: what cannot be compared is never older.
    pub(super) fn of(control: Node<'_>) -> Option<Self> {
        let text = |name| control.child(name).map_or("", Node::text);
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (serial, date, time) = (text("SERIAL"), text("CREDAT"), text("CRETIM"));
        if is_number(serial) {
            return Some(Self { text: format!("SERIAL {serial}") });
        }
        let made = format!("{date}{time}");
        // Shorter ones lack the time, and would compare wrongly.
        (is_number(&made) && made.len() == 14).then(|| Self { text: format!("CREDAT {made}") })
    }

    /// Whether it comes before `last`, the text of another one. Different fields count differently
    /// and are never compared.
    fn is_before(&self, last: &str) -> bool {
        let (Some((field, own)), Some((other, last))) =
            (self.text.split_once(' '), last.split_once(' '))
        else {
            return false;
        };
        // Counters grow in length: 9 comes before 10.
        let (own, last) = (own.trim_start_matches('0'), last.trim_start_matches('0'));
        field == other && (own.len(), own) < (last.len(), last)
    }
}

/// An IDoc of a key, and how new it is.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    /// The name of the rule: `serial:<source>`.
    pub(super) rule: Arc<str>,
    /// Kind and key.
    pub(super) object: String,
    pub(super) serial: Serial,
}

impl Newest {
    /// The step from what was taken last; the error is the cause why it is not taken.
    pub(super) fn step(&self, last: Option<String>) -> (Transition, Result<(), String>) {
        let older = last.as_deref().filter(|last| self.serial.is_before(last));
        let taken = match older {
            Some(last) => Err(format!(
                "older than what was taken last of its key: {} comes before {last}",
                self.serial.text
            )),
            None => Ok(()),
        };
        let transition = Transition {
            lifecycle: self.rule.clone(),
            object: self.object.clone(),
            to: self.serial.text.clone(),
            // An older IDoc is no fault of anybody.
            legal: true,
            applied: taken.is_ok(),
            from: last,
        };
        (transition, taken)
    }
}

/// Whether an IDoc is newer than what was taken last of its key. An older one is no fault of
/// anybody: it is ignored.
pub(super) fn newest_wins(newest: &Newest, facts: &Facts) -> Decided {
    let last = facts.objects.get(&(newest.rule.clone(), newest.object.clone())).cloned();
    let (transition, taken) = newest.step(last);
    let transition = Some(transition);
    match taken {
        Ok(()) => Decided { transition, ..Decided::default() },
        Err(cause) => Decided {
            verdict: Verdict::Ignored,
            causes: vec![cause],
            transition,
            ..Decided::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use waybill_parsers::{Builder, Kind};

    use super::*;

    fn serial(fields: &[(&str, &str)]) -> Option<String> {
        let mut builder = Builder::new();
        builder.open(Kind::Segment, "EDI_DC40", 0);
        for (name, text) in fields {
            builder.put(Kind::Field, name, text, 0);
        }
        Serial::of(builder.finish().root()).map(|serial| serial.text)
    }

    #[test]
    fn the_serialization_counts_before_the_date() {
        let date = [("CREDAT", "20260301"), ("CRETIM", "102030")];
        assert_eq!(serial(&date).as_deref(), Some("CREDAT 20260301102030"));
        let both = [&date[..], &[("SERIAL", "7")]].concat();
        assert_eq!(serial(&both).as_deref(), Some("SERIAL 7"));
        assert_eq!(serial(&[("CREDAT", "20260301")]), None);
        assert_eq!(serial(&[("SERIAL", "A7")]), None);
    }

    #[test]
    fn only_the_same_field_is_compared_and_as_a_number() {
        let before = |own: &str, last| Serial { text: own.to_owned() }.is_before(last);
        assert!(before("SERIAL 9", "SERIAL 10") && before("SERIAL 0009", "SERIAL 10"));
        assert!(!before("SERIAL 10", "SERIAL 10") && !before("SERIAL 11", "SERIAL 10"));
        assert!(!before("CREDAT 20250101000000", "SERIAL 20260101000000"));
        assert!(!before("SERIAL 9", ""));
    }
}
