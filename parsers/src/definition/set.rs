//! Which definition a message asks for.

use crate::definition::model::Standard;
use crate::document::{Document, Node};
use crate::segment::ENVELOPE;

/// What a message says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The standard.
    pub standard: Standard,
    /// Its type: `IFTSTA`, `214`.
    pub message: String,
    /// Its release: `D.21B`, `004010`.
    pub release: String,
}

/// The standard, type and release of a message, by UNH, or by ST and GS; `None` where the document
/// is no message.
pub fn release_of(document: &Document) -> Option<Found> {
    let root = document.root();
    if let Some(unh) = root.child("UNH") {
        let kind = unh.nth(1)?;
        let part = |at| kind.nth(at).map_or("", Node::text);
        let release = format!("{}.{}", part(1), part(2));
        return Some(Found { standard: Standard::Edifact, message: part(0).to_owned(), release });
    }
    let st = root.child("ST")?;
    let text = |segment: Node<'_>, at| segment.nth(at).map_or("", Node::text).trim().to_owned();
    let envelope = root.child(ENVELOPE);
    let header = |tag| envelope.and_then(|envelope| envelope.child(tag));
    let group = header("GS").map(|gs| text(gs, 7)).filter(|version| version.len() >= 6);
    // ISA12 has five digits: 00401 for 004010.
    let version = group.or_else(|| header("ISA").map(|isa| format!("{}0", text(isa, 11))));
    let release: String = version.unwrap_or_default().chars().take(6).collect();
    Some(Found { standard: Standard::X12, message: text(st, 0), release })
}

/// Releases that are at hand.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    releases: Vec<(Standard, String)>,
}

impl Definitions {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a release.
    pub fn add(&mut self, standard: Standard, release: impl Into<String>) {
        self.releases.push((standard, release.into()));
        self.releases.sort_by_key(|(standard, release)| (*standard, order(release)));
        self.releases.dedup();
    }

    /// The release that a message is best understood by: its own, else the next newer one, which
    /// has all that the older one had, else the newest.
    pub fn nearest(&self, standard: Standard, release: &str) -> Option<&str> {
        let wanted = order(release);
        let mut of = self.releases.iter().filter(|(known, _)| *known == standard);
        let mut newer = of.clone().filter(|(_, known)| order(known) >= wanted);
        newer.next().or_else(|| of.next_back()).map(|(_, release)| release.as_str())
    }
}

/// Releases in the order of time: D.99B is before D.00A.
fn order(release: &str) -> (u32, String) {
    let short = release.rsplit('.').next().unwrap_or(release);
    let digits: String = short.chars().take_while(char::is_ascii_digit).collect();
    let number: u32 = digits.parse().unwrap_or(0);
    let is_year = release.contains('.') && digits.len() == 2;
    let number = if is_year && number >= 80 { 1900 + number } else { number };
    let number = if is_year && number < 80 { 2000 + number } else { number };
    (number, short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_understood_by_its_own_release_or_the_next_newer() {
        let mut known = Definitions::new();
        for release in ["D.21B", "D.96A", "D.01B"] {
            known.add(Standard::Edifact, release);
        }
        known.add(Standard::X12, "004010");
        let nearest = |release| known.nearest(Standard::Edifact, release).unwrap();
        assert_eq!(nearest("D.96A"), "D.96A");
        assert_eq!(nearest("D.96B"), "D.01B");
        assert_eq!(nearest("D.99B"), "D.01B");
        assert_eq!(nearest("D.23A"), "D.21B");
        assert_eq!(nearest("S.93A"), "D.96A");
        assert_eq!(known.nearest(Standard::X12, "005010"), Some("004010"));
        assert_eq!(Definitions::new().nearest(Standard::X12, "005010"), None);
    }
}
