//! The routing key of a message: a template, `sap.{kind}.{key}`.

/// The most bytes of a routing key (AMQP 0-9-1: a short string).
const LONGEST: usize = 255;
/// The most characters that one value takes of it.
const LONGEST_VALUE: usize = 100;

/// A routing key with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingKey {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Kind,
    Key,
    MessageType,
    Type,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Value),
}

/// What a [`RoutingKey`] may show.
#[derive(Clone, Copy, Debug)]
pub struct RoutingValues<'a> {
    /// The kind of the event that came in.
    pub kind: &'a str,
    /// The business object.
    pub key: &'a str,
    /// The message type of the document.
    pub message_type: &'a str,
    /// The type of the message that goes out.
    pub event_type: &'a str,
}

impl RoutingKey {
    const PLACEHOLDERS: [(&'static str, Value); 4] = [
        ("kind", Value::Kind),
        ("key", Value::Key),
        ("message_type", Value::MessageType),
        ("type", Value::Type),
    ];

    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (word, behind) = after.split_once('}').ok_or("`{` is not closed")?;
            let known = Self::PLACEHOLDERS.iter().find(|(name, _)| *name == word);
            let (_, value) = known.ok_or_else(|| {
                let names: Vec<_> = Self::PLACEHOLDERS.iter().map(|(name, _)| *name).collect();
                format!("unknown placeholder `{{{word}}}`; known: {}", names.join(", "))
            })?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Value(*value));
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        if text.len() > LONGEST {
            return Err(format!("a routing key has at most {LONGEST} bytes"));
        }
        if text.contains(['*', '#']) {
            return Err("`*` and `#` belong into a binding, not into a routing key".to_owned());
        }
        Ok(Self { parts })
    }

    /// The key with its values. Dots of a kind or type stay, because they part the words of a
    /// topic; in other values they would add words, and become `_` as everything else that is not
    /// a letter, a digit, `-` or `_`.
    pub fn fill(&self, values: RoutingValues<'_>) -> String {
        let mut key = String::with_capacity(64);
        for part in &self.parts {
            let (value, dots) = match part {
                Part::Text(text) => {
                    key.push_str(text);
                    continue;
                }
                Part::Value(Value::Kind) => (values.kind, true),
                Part::Value(Value::Type) => (values.event_type, true),
                Part::Value(Value::Key) => (values.key, false),
                Part::Value(Value::MessageType) => (values.message_type, false),
            };
            key.extend(value.chars().take(LONGEST_VALUE).map(|c| safe(c, dots)));
        }
        let end = key.floor_char_boundary(LONGEST);
        key.truncate(end);
        key
    }
}

/// A name as it may stand in an id or a URI: letters, digits, `-` and `_`, everything else `_`.
pub fn plain(name: &str) -> String {
    name.chars().take(LONGEST_VALUE).map(|c| safe(c, true)).collect()
}

fn safe(c: char, dots: bool) -> char {
    let plain = c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || (dots && c == '.');
    if plain { c } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: RoutingValues<'_> = RoutingValues {
        kind: "idoc.DEBMAS",
        key: "00.47 #11*",
        message_type: "DEBMAS",
        event_type: "customer.changed",
    };

    #[test]
    fn a_routing_key_is_filled_and_no_value_adds_a_word_by_accident() {
        let key = RoutingKey::parse("sap.{kind}.{key}.{message_type}.{type}").unwrap();
        assert_eq!(key.fill(VALUES), "sap.idoc.DEBMAS.00_47__11_.DEBMAS.customer.changed");
    }

    #[test]
    fn a_routing_key_never_grows_beyond_what_amqp_allows() {
        let key = RoutingKey::parse(&format!("{}{{key}}{{key}}", "x".repeat(200))).unwrap();
        assert_eq!(key.fill(RoutingValues { key: &"ü".repeat(500), ..VALUES }).len(), LONGEST);
    }

    #[test]
    fn a_template_with_an_unknown_word_or_a_wildcard_is_refused() {
        for text in ["{vin}", "sap.{key", "sap.#", "sap.*.x"] {
            assert!(RoutingKey::parse(text).is_err(), "{text}");
        }
    }
}
