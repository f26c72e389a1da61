//! Cases name what CEL (cel-spec, `cel-go` with its checker) gives where this language differs.

use waybill_parsers::{Builder, Document, Element, Kind, Schema};

use super::*;
use crate::diagnostic::{Mark, SourceFile, Spanned};
use crate::mapping::budget::{Budget, Work};

/// `text`, `num`, `big`, `flag`, `none`, `list`, `group.in-ner`; `open` may be anything.
fn schema() -> Schema {
    let mut schema = Schema::new("t", Element::new(Kind::Group, ""));
    let root = schema.root();
    for (name, kind) in [
        ("text", Kind::Text),
        ("num", Kind::Number),
        ("big", Kind::Number),
        ("flag", Kind::Bool),
        ("none", Kind::Number),
        ("nothing", Kind::Text),
        ("unknown", Kind::Bool),
        ("far", Kind::Number),
    ] {
        schema.add(root, Element::new(kind, name));
    }
    let list = schema.add(root, Element::new(Kind::List, "list"));
    schema.add(list, Element::new(Kind::Number, ""));
    let group = schema.add(root, Element::new(Kind::Group, "group"));
    schema.add(group, Element::new(Kind::Text, "in-ner"));
    let mut open = Element::new(Kind::Text, "open");
    open.open = true;
    schema.add(root, open);
    schema
}

fn document() -> Document {
    let mut builder = Builder::new();
    builder.open(Kind::Group, "", 0);
    builder.put(Kind::Text, "text", "Köln", 0);
    builder.put(Kind::Number, "num", "1.50", 0);
    builder.put(Kind::Number, "big", "79228162514264337593543950335", 0);
    builder.put(Kind::Bool, "flag", "true", 0);
    builder.put(Kind::Null, "none", "", 0);
    // The sender broke the schema.
    builder.put(Kind::Text, "far", "far", 0);
    builder.open(Kind::List, "list", 0);
    builder.put(Kind::Number, "", "10", 0);
    builder.put(Kind::Number, "", "20", 0);
    builder.close();
    builder.open(Kind::Group, "group", 0);
    builder.put(Kind::Text, "in-ner", "x", 0);
    builder.close();
    builder.open(Kind::Group, "open", 0);
    builder.put(Kind::Text, "text", "7", 0);
    builder.put(Kind::Text, "word", "seven", 0);
    builder.put(Kind::Number, "num", "7", 0);
    builder.put(Kind::Bool, "flag", "false", 0);
    builder.finish()
}

/// The result as text: a number and a text differ by quotes. Mistakes and stops begin with `!`.
fn run(expression: &str) -> String {
    // The blank keeps an expression that begins with a quote from looking like a quoted scalar.
    let scalar = format!(" {expression}");
    let mark = Mark { start: 0, end: scalar.len(), line: 1, column: 0 };
    let mut problems = Problems::new(SourceFile::new("e", scalar.as_str()));
    let written = Spanned { value: scalar, mark };
    let schema = schema();
    let text = Written::new(&written, &problems).part(1..written.value.len());
    let expr = Expr::compile(&text, &Names::of(&schema), &mut problems);
    let mistakes: Vec<String> = problems.into_list().iter().map(ToString::to_string).collect();
    let Some(expr) = expr else {
        assert!(!mistakes.is_empty(), "{expression}");
        return format!("!{}", mistakes.join(" | "));
    };
    assert!(mistakes.is_empty(), "{expression}");
    let document = document();
    let work = Work::new(Budget::UNLIMITED);
    let result = expr.value(&Scope::new(document.root(), &work));
    match result {
        Ok(Value::Missing) => "missing".to_owned(),
        Ok(Value::Text(text)) => format!("'{text}'"),
        Ok(Value::Source(text)) => text.to_owned(),
        Ok(Value::Number(number)) => number.to_string(),
        Ok(Value::Bool(value)) => value.to_string(),
        Err(stop) => format!("!{}: {}", stop.spot.column, stop.reason),
    }
}

#[test]
fn results_are_those_of_cel() {
    for (expression, expected) in [
        ("text", "'Köln'"),
        ("num", "1.50"),
        ("flag", "true"),
        ("list[1]", "20"),
        ("group.`in-ner`", "'x'"),
        ("open.num", "7"),
        ("'it''s'.x", "!e:1:5: an operator is expected, not `'s'`"),
        (r"'a\'b\n\x41\u00e4\U0001F697\101'", "'a'b\nAä🚗A'"),
        (r#""say \"x\"" + ' ' + text"#, "'say \"x\" Köln'"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 2 - 3", "5"),
        ("-num + .5", "-1.00"),
        ("2 - -2", "4"),
        ("num == 1.5", "true"),
        ("num != 1.5", "false"),
        ("1 < 2 && 2 <= 2 && 3 > 2 && 2 >= 2", "true"),
        ("'a' < 'b' && 'Z' < 'a' && 'z' < 'ä'", "true"),
        ("!flag || num > 1", "true"),
        ("!(flag && false)", "true"),
        ("flag == true", "true"),
        ("1 < 2 == true", "true"),
        ("true || false && false", "true"),
        ("string(num)", "'1.50'"),
        ("string(flag) + string('x')", "'truex'"),
        ("null == null", "true"),
    ] {
        assert_eq!(run(expression), expected, "{expression}");
    }
}

#[test]
fn numbers_are_exact_where_cel_has_floating_point() {
    for (expression, expected, _cel) in [
        ("0.1 + 0.1 + 0.1 == 0.3", "true", "false"),
        ("1 + 0.5", "1.5", "no such overload: int + double"),
        ("string(1.0)", "'1.0'", "'1'"),
        ("num * 43277.31", "64915.9650", "64915.965"),
        ("string(list[0] * 10)", "'100'", "'100'"),
        ("1e3", "1000", "1000.0"),
        ("9007199254740993 == 9007199254740992", "false", "false as int, true as double"),
    ] {
        assert_eq!(run(expression), expected, "{expression}");
    }
}

#[test]
fn what_does_not_fit_stops_with_its_place() {
    for (expression, expected) in [
        ("big + 1", "!5: the result has more digits than are computed exactly"),
        ("big * big", "!5: the result has more digits than are computed exactly"),
        ("-big - big - big", "!6: the result has more digits than are computed exactly"),
        ("1 + far * 2", "!5: `far` is not a number"),
        ("1 + open.word", "!5: `open.word` is not a number"),
        ("open.flag * 2", "!1: `open.flag` is not a number"),
        ("open + 'x'", "!1: `open` is not a single value"),
        ("open.num + 'x'", "!1: `open.num` is not text; `string()` makes it so"),
        ("open.num == 'x'", "!10: the two values are not of one type"),
        ("open.flag == open.text", "!11: the two values are not of one type"),
        ("open.num && true", "!1: `open.num` is not true or false"),
        ("!open.text", "!2: `open.text` is not true or false"),
    ] {
        assert_eq!(run(expression), expected, "{expression}");
    }
}

#[test]
fn an_open_value_is_what_its_operator_needs() {
    for (expression, expected, _cel) in [
        ("open.text * 2", "14", "no such overload: string * int"),
        ("open.text == 7", "true", "false"),
        ("open.text < 10", "true", "no such overload"),
        ("open.text + open.text", "'77'", "'77'"),
        ("open.num + open.num", "14", "14"),
        ("open.num == open.text", "true", "false"),
        ("open.text + 'x'", "'7x'", "'7x'"),
        ("open.flag == false", "true", "true"),
        ("open.flag || true", "true", "true"),
    ] {
        assert_eq!(run(expression), expected, "{expression}");
    }
}

#[test]
fn missing_values_propagate_where_cel_has_an_error() {
    for (expression, expected, _cel) in [
        ("none", "missing", "null"),
        ("nothing", "missing", "no such key"),
        ("open.nothing.at.all", "missing", "no such key"),
        ("list[7]", "missing", "index out of bounds"),
        ("none + 1", "missing", "no such overload"),
        ("nothing + 'x'", "missing", "no such key"),
        ("-none", "missing", "no such overload"),
        ("string(none)", "missing", "no such overload"),
        ("none < 1", "missing", "no such overload"),
        ("!unknown", "missing", "no such key"),
        ("none == null", "true", "true"),
        ("nothing == null", "true", "no such key"),
        ("nothing == open.nothing", "true", "no such key"),
        ("nothing == ''", "false", "no such key"),
        ("none != 0", "true", "true"),
        ("num == null", "false", "false"),
        ("unknown && false", "false", "false"),
        ("false && unknown", "false", "false"),
        ("unknown && true", "missing", "no such key"),
        ("true && unknown", "missing", "no such key"),
        ("unknown || true", "true", "true"),
        ("unknown || false", "missing", "no such key"),
        ("false || unknown", "missing", "no such key"),
        ("true || far > 1", "true", "true"),
        ("false && far > 1", "false", "false"),
    ] {
        assert_eq!(run(expression), expected, "{expression}");
    }
}

#[test]
fn what_is_not_supported_yet_is_named_with_its_place() {
    for (expression, column, what) in [
        ("num / 2", 5, "division `/`"),
        ("num % 2", 5, "the remainder `%`"),
        ("flag ? 1 : 2", 6, "the conditional `?`"),
        ("text in ['a']", 6, "the operator `in`"),
        ("['a'] == text", 1, "a list `[…]`"),
        ("{'a': 1}", 1, "a map `{`"),
        ("text + upper(text)", 8, "the function `upper()`"),
        ("text.startsWith('K')", 6, "the function `startsWith()`"),
        ("has(text)", 1, "the macro `has()`"),
        ("list.exists(x, x > 1)", 6, "the macro `exists()`"),
        ("r'raw'", 1, "a raw text literal `r'…'`"),
        ("b'raw'", 1, "a bytes literal `b'…'`"),
        ("'''x'''", 1, "a text literal in three quotes `'''`"),
        ("1 + 5u", 5, "an unsigned number `5u`"),
        ("0x1F", 1, "a hexadecimal number `0x…`"),
    ] {
        assert_eq!(run(expression), format!("!e:1:{column}: {what} is not supported yet"));
    }
    assert!(run("list['a']").contains(":6: an index other than a whole number"));
    assert!(run("list[num]").contains(":6: an index other than a whole number"));
}

#[test]
fn every_mistake_of_types_and_paths_is_reported_at_once() {
    for (expression, expected) in [
        ("txet + 'x'", "e:1:1: unknown field `txet`; did you mean `text`?"),
        (
            "group.inner == text && num == text",
            "e:1:1: unknown field `group.inner`; did you mean `in-ner`? | e:1:28: a number cannot be compared with text",
        ),
        ("num + text", "e:1:1: `+` cannot join text and a number; write `string(…)` around it"),
        ("flag + 1", "e:1:6: `+` adds two numbers or joins two texts"),
        ("text * 2", "e:1:1: `*` needs a number, but this is text"),
        ("-text", "e:1:2: `-` needs a number, but this is text"),
        ("!num", "e:1:2: `!` needs true or false, but this is a number"),
        ("flag && text", "e:1:9: `&&` needs true or false, but this is text"),
        ("flag < flag", "e:1:6: true or false has no order to compare"),
        ("null < 1", "e:1:6: null cannot be compared with a number"),
        ("null + 1", "e:1:6: `+` adds two numbers or joins two texts"),
        (
            "list + 1",
            "e:1:1: `list` is a list, so it means no single value; loop over it with `for_each`, or take one by its index: `[0]`",
        ),
        ("group + 'x'", "e:1:1: `group` is not a single value; it holds in-ner"),
        (
            "100000000000000000000000000000 > 1",
            "e:1:1: `100000000000000000000000000000` has more digits than the 28 that are computed exactly",
        ),
    ] {
        assert_eq!(run(expression), format!("!{expected}"), "{expression}");
    }
}

#[test]
fn broken_syntax_names_the_character() {
    for (expression, expected) in [
        ("", "1:1: a value is expected at the end"),
        ("num +", "1:6: a value is expected at the end"),
        ("num = 1", "1:5: `=` is no operator; did you mean `==`?"),
        ("flag & flag", "1:6: `&` is no operator; did you mean `&&`?"),
        ("flag and flag", "1:6: `and` is no operator; did you mean `&&`?"),
        ("(num", "1:1: `(` is not closed"),
        ("num)", "1:4: an operator is expected, not `)`"),
        ("num num", "1:5: an operator is expected, not `num`"),
        ("* 2", "1:1: a value is expected, not `*`"),
        ("'open", "1:1: the text literal is not closed"),
        (r"'a\qb'", "1:3: unknown escape in a text literal"),
        (r"'\ud800'", "1:2: unknown escape in a text literal"),
        ("`open", "1:1: the name in back quotes is empty or not closed"),
        ("text.", "1:6: a name is expected after `.`"),
        ("list[0", "1:7: `]` is expected"),
        ("12abc", "1:3: `a` cannot follow a number"),
        ("1.5e", "1:4: `e` cannot follow a number"),
        ("string(1, 2)", "1:9: `string()` takes one value"),
        (
            "while == 1",
            "1:1: `while` is a word that CEL keeps for itself; a field of that name is written in back quotes",
        ),
        ("'äöü' § 1", "1:7: `§` has no meaning here"),
        ("“x”", "1:1: `“` is no operator; text stands between `'` or `\"`"),
    ] {
        assert_eq!(run(expression), format!("!e:{expected}"), "{expression}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let nested = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(run(&nested).contains("longer than 4096 bytes"));
    let nested = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    assert!(run(&nested).contains("nested more than 32 deep"));
    let nots = format!("{}flag", "!".repeat(1000));
    assert!(run(&nots).contains("nested more than 32 deep"));
    let chain = vec!["1"; 1000].join("+");
    assert!(run(&chain).contains("more than 256 operators and operands"));
    assert_eq!(run(&vec!["1"; 100].join("+")), "100");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,40}") {
        run(&text);
    }

    #[test]
    fn no_combination_of_tokens_makes_it_panic(
        tokens in proptest::collection::vec(
            proptest::sample::select(vec![
                "text", "num", "big", "flag", "none", "far", "open", "list", ".", "[0]", "(", ")",
                "+", "-", "*", "!", "==", "<", ">=", "&&", "||", "'x'", "1.5", "null", "string(",
                "`in-ner`", "group", "1e28", "true", " ",
            ]),
            0..24,
        )
    ) {
        run(&tokens.concat());
        run(&tokens.join(" "));
    }
}
