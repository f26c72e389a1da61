//! Keys that occur again in their object, on the paths to values that must be unmistakable.

use crate::document::{Kind, Node};
use crate::json::read::read_all;
use crate::path::{Path, Step};
use crate::reading::Limits;

/// The paths of `paths` on which a key occurs more than once in its object, so that peers disagree
/// on the value. [`read`](crate::json::read) takes the first one.
///
/// It reads `bytes` again, so ask it only about a text with a warning `duplicate-key`; however many
/// warnings there were, none of these paths is missed. A text that is not JSON has none.
pub fn ambiguous<'p>(bytes: &[u8], limits: &Limits, paths: &[&'p Path]) -> Vec<&'p Path> {
    let Ok(document) = read_all(bytes, limits) else { return Vec::new() };
    paths.iter().copied().filter(|path| is_ambiguous(path, document.root())).collect()
}

fn is_ambiguous(path: &Path, root: Node<'_>) -> bool {
    let mut node = root;
    for step in path.steps() {
        let next = match step {
            Step::Index(index) => node.nth(*index),
            Step::Name(name) => {
                let holder = if node.kind() == Kind::List { node.nth(0) } else { Some(node) };
                let named = holder.into_iter().flat_map(Node::children);
                let mut named = named.filter(|child| child.name() == name);
                let first = named.next();
                if named.next().is_some() {
                    return true;
                }
                first
            }
        };
        let Some(next) = next else { return false };
        node = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_occurs_again_on_a_path_makes_it_ambiguous() {
        let paths = ["data.vin", "data.items[1].no", "id"].map(|path| Path::parse(path).unwrap());
        let found = |text: &str| {
            let found = ambiguous(text.as_bytes(), &Limits::default(), &paths.each_ref());
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for (text, ways) in [
            (r#"{"id":1,"data":{"vin":1,"x":1,"x":2}}"#, &[][..]),
            (r#"{"id":1,"data":{"vin":1,"vin":1}}"#, &["data.vin"]),
            (r#"{"id":1,"data":{"vin":1,"v\u0069n":null}}"#, &["data.vin"]),
            (r#"{"data":{"vin":1},"id":1,"data":3}"#, &["data.vin", "data.items[1].no"]),
            (r#"{"id":null,"id":1}"#, &["id"]),
            (r#"{"data":[{"vin":1,"vin":2}]}"#, &["data.vin"]),
            (r#"{"data":{"items":[{"no":1,"no":2},{"no":1}]}}"#, &[]),
            (r#"{"data":{"items":[{"no":1},{"no":1,"no":2}]}}"#, &["data.items[1].no"]),
            (r#"{"id":1,"id":"#, &[]),
        ] {
            assert_eq!(found(text), ways, "{text}");
        }
    }

    #[test]
    fn no_number_of_other_warnings_hides_one() {
        let many = r#""x":1,"#.repeat(1000);
        let text = format!(r#"{{"data":{{{many}"y":1}},"id":1,"id":2}}"#);
        let limits = Limits { problems: 1, ..Limits::default() };
        let id = Path::parse("id").unwrap();
        assert_eq!(ambiguous(text.as_bytes(), &limits, &[&id]), [&id]);
    }
}
