//! What follows the address of a web service: a template, `/vehicles/{key}`.

/// The most bytes of a path.
const LONGEST_PATH: usize = 2000;

/// What follows the address, with placeholders: `/vehicles/{key}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(usize),
}

/// The placeholders of a [`PathTemplate`], in the order of the values that fill it.
const PLACEHOLDERS: [&str; 6] = ["kind", "key", "message_type", "type", "docnum", "partner"];

impl PathTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (word, behind) = after.split_once('}').ok_or("`{` is not closed")?;
            let value = PLACEHOLDERS.iter().position(|name| *name == word).ok_or_else(|| {
                format!("unknown placeholder `{{{word}}}`; known: {}", PLACEHOLDERS.join(", "))
            })?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Value(value));
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        if !text.is_empty() && !text.starts_with(['/', '?']) {
            return Err("a path begins with `/` or `?`".to_owned());
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '#' || !c.is_ascii()) {
            return Err("a path holds no blank, no `#` and only ASCII".to_owned());
        }
        Ok(Self { parts })
    }

    /// The path with its values (`kind`, `key`, `message_type`, `type`, `docnum`, `partner`),
    /// each percent-encoded, so that no value adds a segment or a parameter. The error names the
    /// placeholder, not its value.
    pub fn fill(&self, values: [&str; 6]) -> Result<String, String> {
        let mut path = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Value(at) if values[*at].is_empty() => {
                    return Err(format!("`{{{}}}` of the path is empty", PLACEHOLDERS[*at]));
                }
                Part::Value(at) => encode(values[*at], &mut path),
            }
        }
        let dots = |segment: &str| segment == "." || segment == "..";
        if path.split(['/', '?']).any(dots) {
            return Err("a segment of the path is `.` or `..`".to_owned());
        }
        if path.len() > LONGEST_PATH {
            return Err(format!("the path has more than {LONGEST_PATH} bytes"));
        }
        Ok(path)
    }
}

fn encode(value: &str, path: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [&str; 6] =
        ["vehicle.sold", "W 0/L?ü", "ZVEHREG", "sold", "0010000000000001", "sap"];

    #[test]
    fn a_path_is_filled_and_no_value_adds_a_segment_or_a_parameter() {
        let path = PathTemplate::parse("/v1/{type}/{key}?number={docnum}&to={partner}").unwrap();
        let filled = path.fill(VALUES).unwrap();
        assert_eq!(filled, "/v1/sold/W%200%2FL%3F%C3%BC?number=0010000000000001&to=sap");
    }

    #[test]
    fn a_path_that_would_lead_elsewhere_is_refused_without_quoting_the_value() {
        let path = PathTemplate::parse("/v1/{key}").unwrap();
        for value in ["..", ".", "", &"x".repeat(2000)] {
            let error = path.fill(["a", value, "a", "a", "a", "a"]).unwrap_err();
            assert!(!error.contains("xxx"), "{error}");
        }
    }

    #[test]
    fn a_template_that_is_none_is_refused() {
        for text in ["v1", "/{vin}", "/{key", "/a b", "/a#b", "/ü"] {
            assert!(PathTemplate::parse(text).is_err(), "{text}");
        }
        assert_eq!(PathTemplate::parse("").unwrap().fill(VALUES).unwrap(), "");
    }
}
