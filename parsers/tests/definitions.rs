//! Definitions of EDIFACT and X12: imports of files written for this test, in the layouts of three
//! generations of directories; the file format; nesting and checking of messages.

#![expect(clippy::unwrap_used, reason = "a test ends where its files are not as it expects")]

use waybill_parsers::definition::import::{SourceFile, edifact, x12};
use waybill_parsers::definition::{
    Class, Definition, Level, Standard, check, nest, read_definition, release_of, write_definition,
};
use waybill_parsers::edifact::{ReadOptions, Reader, WriteOptions, write};
use waybill_parsers::segment::Part;
use waybill_parsers::{Kind, Node, Problem, Reading};

/// A message in the oldest layout: box drawings of code page 437, positions of four digits.
const MESSAGE_1996: &str = "
                 Vehicle report message

                                            Message Type : VEHREP
                                            Version      : D
                                            Release      : 96A
4.3.1  Segment table

Pos    Tag Name                                      S   R

0010   UNH Message header                            M   1     
0020 + BGM Beginning of message                      M   1     

0030     ───── Segment group 1  ────────────────── C   9───────────┐
0040   RFF Reference                                 M   1           │
0050 * SPS Sampling parameters for summary                           │
              statistics                             C   2           │
                                                                     │
0060     ───── Segment group 2  ────────────────── M   99─────────┐│
0070   STS Status                                    M   1          ││
0080   DTM Date/time/period                          C   9──────────┴┘
0090   UNT Message trailer                           M   1     
";

const MESSAGE_2021: &str = "
                 Vehicle report message

                                            Message Type : VEHREP
                                            Version      : D
                                            Release      : 21B
Pos     Tag Name                                     S   R

00010   UNH Message header                           M   1     
00020   BGM Beginning of message                     M   1     

00030       ---- Segment group 1  ------------------ C   9----------------+
00040   RFF Reference                                M   1                |
                                                                          |
00050       ---- Segment group 2  ------------------ M   99--------------+|
00060 X STS Status                                   M   1               ||
00070   DTM Date/time/period                         C   9---------------++
00080   UNT Message trailer                          M   1     
";

const SEGMENTS_1996: &str = "2.   Segment specifications

----------------------------------------------------------------------

      BGM    BEGINNING OF MESSAGE

      Function: To begin.

010   C002  DOCUMENT NAME                                  C  
      1001   Document name, coded                          C  an..3

020 + 1004  DOCUMENT NUMBER                                C  an..35

----------------------------------------------------------------------

*     RFF    REFERENCE

      Function: To refer.

010   C506  REFERENCE                                      M  

----------------------------------------------------------------------

      STS    STATUS

      Function: To say.

010   9015  A NAME THAT IS TOO LONG FOR ITS LINE AND GOES
            ON IN THE NEXT                                 M  an..3

020   4405  STATUS                                         C  an..3

030   4405  STATUS                                         C  an..3

----------------------------------------------------------------------

      DTM    DATE

      Function: To say when.

010   2380  DATE                                           M  n8
----------------------------------------------------------------------

      SPS    SAMPLING

      Function: To sample.

010   2380  DATE                                           M  n8
";

const SEGMENTS_2021: &str = "2.   Segment specifications

----------------------------------------------------------------------

       BGM  BEGINNING OF MESSAGE

       Function: To begin.

010    C002 DOCUMENT NAME                              C    1
       1001  Document name code                        C      an..3

020 |  1004 DOCUMENT NUMBER                            C    1 an..35

----------------------------------------------------------------------

       RFF  REFERENCE

       Function: To refer.

010    C506 REFERENCE                                  M    1

----------------------------------------------------------------------

       STS  STATUS

       Function: To say.

010    9015 CATEGORY                                   M    1 an..3

020    4405 STATUS                                     C    2 an..3

----------------------------------------------------------------------

       DTM  DATE

       Function: To say when.

010    2380 DATE                                       M    1 n8
";

const COMPOSITES: &str = "2.   Composite specifications

----------------------------------------------------------------------

       C002 DOCUMENT NAME

       Desc: A name.

010    1001  Document name code                        C      an..3
020  X 1131  Code list                                 C      an..17

----------------------------------------------------------------------

       C506 REFERENCE

       Desc: A reference.

010    1153  Reference code qualifier                  M      an..3
020    1154  Reference
             identifier                                C      an..70
";

const ELEMENTS: &str = "2.   Data element specifications

----------------------------------------------------------------------

     1001  Document name code                                      [C]

     Desc: A code.

     Repr: an..3

----------------------------------------------------------------------

     1004  Document number                                         [B]

     Repr: an..35

----------------------------------------------------------------------

#    1131  Code list                                               [C]

     Repr: an..17

----------------------------------------------------------------------

     1153  Reference code qualifier                                [C]

     Repr: an..3

----------------------------------------------------------------------

     1154  Reference identifier                                    [C]

     Repr: an..70

----------------------------------------------------------------------

     2380  Date                                                    [B]

     Repr: n8

----------------------------------------------------------------------

     4405  Status                                                  [B]

     Repr: an..3

----------------------------------------------------------------------

     9015  Category                                                [B]

     Repr: an..3
";

const CODES_1996: &str = "1.   Code lists

----------------------------------------------------------------------

* 1153  Reference code qualifier

  Desc: A code that says what
        is referred to.

  Repr: an..3

  Note: One may read of
        X in a note.

        1 Order number
             That of an order.
+      20 Contract number
             That of a contract.
+  AK     Vehicle identification number, of which the name goes on
          in the next line
             That of a vehicle.
#| BJ     Serial shipping container code
             Two signs.
+  A      Free-form long description
             A letter behind its sign.
   X      Free of
             It looks like a sign.
X  XX     Withdrawn
             A value of signs behind a sign.
";

const CODES_2021: &str = "1.   Code list UNCL

----------------------------------------------------------------------

*    1153  Reference code qualifier                                [C]

     Desc: A code.

     Repr: an..3

     Note:
          1 Recommended use.

     1     Order number
              That of an order.

+    20    Contract number
              That of a contract.

+    AK    Vehicle identification number, of which the name goes on
           in the next line
              That of a vehicle.

#|   BJ    Serial shipping container code
              Two signs.

+    A     Free-form long description
              A letter behind its sign.

     X     Free of
              It looks like a sign.

X    XX    Withdrawn
              A value of signs behind a sign.
";

/// Box drawings as code page 437 has them.
fn code_page_437(text: &str) -> Vec<u8> {
    let byte = |c| match c {
        '─' => 0xc4,
        '│' => 0xb3,
        '┐' => 0xbf,
        '┘' => 0xd9,
        '┴' => 0xc1,
        c => u8::try_from(c).unwrap(),
    };
    text.chars().map(byte).collect()
}

fn import(message: &str, segments: &str, codes: &str) -> (Definition, Vec<String>) {
    let message = code_page_437(message);
    let files = [
        ("VEHREP_D", message.as_slice()),
        ("SD", segments.as_bytes()),
        ("CD", COMPOSITES.as_bytes()),
        ("ED", ELEMENTS.as_bytes()),
        ("CL", codes.as_bytes()),
        ("README", b"Nothing of the directory"),
    ];
    let files: Vec<_> = files.iter().map(|(name, bytes)| SourceFile { name, bytes }).collect();
    let imported = edifact(&files).unwrap();
    let problems = imported.problems.iter().map(ToString::to_string).collect();
    (imported.definition, problems)
}

/// The table of a message as one line.
fn shape(definition: &Definition, kind: &str) -> String {
    let message = &definition.messages[kind];
    let mut shape = String::new();
    for (at, item) in message.items.iter().enumerate() {
        let closed = message.items.iter().filter(|group| group.is_group() && group.end == at);
        shape += &")".repeat(closed.count());
        let times = format!("{}..{}", item.min, item.max);
        let times = if times == "1..1" { String::new() } else { format!("[{times}]") };
        let open = if item.is_group() { "(" } else { "" };
        shape += &format!(" {}{times}{open}", item.name);
    }
    shape
}

#[test]
fn both_layouts_of_a_message_give_its_groups() {
    let (old, problems) = import(MESSAGE_1996, SEGMENTS_1996, CODES_1996);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(old.release, "D.96A");
    assert_eq!(
        shape(&old, "VEHREP"),
        " UNH BGM 1[0..9]( RFF SPS[0..2] 2[1..99]( STS DTM[0..9])) UNT"
    );
    let (new, problems) = import(MESSAGE_2021, SEGMENTS_2021, CODES_2021);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(new.release, "D.21B");
    assert_eq!(shape(&new, "VEHREP"), " UNH BGM 1[0..9]( RFF 2[1..99]( STS DTM[0..9])) UNT");
    assert_eq!(new.messages["VEHREP"].text, "Vehicle report message");
}

#[test]
fn elements_have_their_form_and_their_values() {
    for (message, segments, codes) in
        [(MESSAGE_1996, SEGMENTS_1996, CODES_1996), (MESSAGE_2021, SEGMENTS_2021, CODES_2021)]
    {
        let (definition, _) = import(message, segments, codes);
        let element = &definition.elements["1153"];
        assert_eq!((element.class, element.min, element.max), (Class::Any, 1, 3));
        let values: Vec<_> = element.codes.iter().map(|(v, t)| format!("{v}={t}")).collect();
        let vin = "AK=Vehicle identification number, of which the name goes on in the next line";
        let others = ["BJ=Serial shipping container code", "X=Free of", "XX=Withdrawn"];
        let first = ["1=Order number", "20=Contract number", "A=Free-form long description", vin];
        assert_eq!(values, [first.as_slice(), &others].concat());
        let date = &definition.elements["2380"];
        assert_eq!((date.class, date.min, date.max), (Class::Number, 8, 8));
        assert_eq!(definition.segment_text("BGM"), "Beginning of message");
        assert_eq!(definition.composites["C506"].uses.len(), 2);
        assert_eq!(definition.elements["1131"].text, "Code list");
        // A status may be given twice in both: by positions in the old one, by number in the new.
        for (at, id) in [(0, Some("9015")), (1, Some("4405")), (2, Some("4405")), (3, None)] {
            let place = definition.place_of("STS", at, false);
            assert_eq!(place.map(|place| place.id.as_str()), id);
        }
    }
}

#[test]
fn a_message_with_a_broken_table_is_left_out_and_its_line_named() {
    let broken = MESSAGE_2021.replace("9---------------++", "9---------------+|");
    let other = MESSAGE_2021.replace("VEHREP", "VEHOTH");
    let files = [("A", broken.as_bytes()), ("B", other.as_bytes())];
    let files: Vec<_> = files.iter().map(|(name, bytes)| SourceFile { name, bytes }).collect();
    let imported = edifact(&files).unwrap();
    assert_eq!(imported.messages, 2);
    assert_eq!(imported.definition.messages.keys().collect::<Vec<_>>(), ["VEHOTH"]);
    let first: Vec<_> = imported.problems.iter().filter(|p| p.file == "A").collect();
    assert_eq!(first[0].to_string(), "A:18:1: error: 0 lines are drawn and 1 groups are open");
    let undefined = imported.problems.iter().filter(|p| p.problem.code == "unknown-segment");
    assert_eq!(undefined.count(), 4, "BGM, DTM, RFF and STS are used and not defined");
}

#[test]
fn what_is_no_directory_is_refused() {
    let file = SourceFile { name: "x.txt", bytes: b"Some text\n" };
    assert_eq!(edifact(&[file]).unwrap_err()[0].problem.code, "no-message");
    assert_eq!(edifact(&[]).unwrap_err()[0].problem.code, "no-message");
}

#[test]
fn a_definition_is_read_as_it_is_written() {
    let (mut definition, _) = import(MESSAGE_1996, SEGMENTS_1996, CODES_1996);
    let element = definition.elements.get_mut("1153").unwrap();
    element.codes.push(("a 'b':#".to_owned(), "odd : # text".to_owned()));
    element.sort_codes();
    definition.is_profile = true;
    let text = write_definition(&definition);
    let again = read_definition(text.as_bytes()).unwrap();
    assert_eq!(again, definition, "{text}");
    assert_eq!(write_definition(&again), text);
}

#[test]
fn every_mistake_of_a_definition_is_named_with_its_line() {
    let text = "waybill-edi 1\nedifact D.21B\nmessage A\n UNH\n group 1\n  BGM 2..1\n   RFF\n\
                segmnt B\nelement 1 an..x\n = X\n Y\nelement 1 an3\n'\ncomposite C\n 1 0..1 z\n";
    let problems = read_definition(text.as_bytes()).unwrap_err();
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "6:3: error: occurrences are written min..max, such as 0..9 or 1..*",
            "7:4: error: indented below nothing: one blank for each group",
            "8:1: error: a group of the message above is empty",
            "8:1: error: unknown keyword `segmnt`; one of message, segment, composite, element expected",
            "9:1: error: a form such as an..35, n8, AN2..80 or DT8 expected",
            "11:2: error: a value is written `= VALUE : its meaning`",
            "13:1: error: `'` is not closed",
            "13:1: error: what ends here is defined twice",
            "13:1: error: unknown keyword ``; one of message, segment, composite, element expected",
            "15:2: error: unknown word `z`",
        ]
    );
    for text in ["", "waybill-edi 2\nx12 1", "waybill-edi 1\nd96a"] {
        assert!(read_definition(text.as_bytes()).is_err());
    }
    assert_eq!(read_definition(b"waybill-edi 1\n\xff").unwrap_err()[0].code, "invalid-utf8");
}

const RELEASE: &str = r#"{
  "Release": "00401",
  "Qualifiers": { "Deck": { "L": "Lower", "U": "Upper" } },
  "Segments": {
    "VC": { "Desc": "Vehicle", "Elements": [
      { "Id": "539", "Desc": "VIN", "DataType": "AN", "Required": true, "MinLength": 1, "MaxLength": 25 },
      { "Id": "836", "Desc": "Deck", "Required": false, "QualifierRef": "Deck" },
      { "Id": "C040", "Desc": "Reference", "Required": false, "Components": [
        { "Id": "128", "Desc": "Qualifier", "DataType": "ID", "Required": true, "MinLength": 2, "MaxLength": 3 }
      ] } ] }
  }
}"#;

const SETS: &str = r#"{ "Release": "00401", "DocumentTypes": {
  "00401_121": { "DocumentType": "121", "TransactionSet": [
    { "Id": "ST" }, { "Id": "N7", "Min": 0 },
    { "Id": "VCLoop1", "Max": "unbounded", "Loop": [ { "Id": "VC" }, { "Id": "DTM", "Min": 0, "Max": 3 } ] },
    { "Id": "SE" } ] },
  "00401_122": { "DocumentType": "122", "TransactionSet": [ { "Min": 0 } ] }
} }"#;

#[test]
fn a_release_of_x12_is_put_together_from_its_files() {
    let files = [("sets.json", SETS), ("release.json", RELEASE)];
    let files: Vec<_> =
        files.iter().map(|(name, text)| SourceFile { name, bytes: text.as_bytes() }).collect();
    let imported = x12(&files).unwrap();
    let problems: Vec<_> = imported.problems.iter().map(ToString::to_string).collect();
    let message = "a row needs an Id, and numbers as Min and Max";
    assert_eq!(problems, [format!("sets.json:6:1: error: {message}")]);
    let definition = imported.definition;
    assert_eq!((definition.standard, &*definition.release), (Standard::X12, "004010"));
    assert_eq!(shape(&definition, "121"), " ST N7[0..1] VCLoop1[1..4294967295]( VC DTM[0..3]) SE");
    assert_eq!(definition.code_text("836", "U"), Some("Upper"));
    assert_eq!(definition.composites["C040"].uses[0].id, "128");
    let again = read_definition(write_definition(&definition).as_bytes()).unwrap();
    assert_eq!(again, definition);
    assert!(
        x12(&[SourceFile { name: "x", bytes: b"{\n]" }]).unwrap_err()[0].problem.place.line == 2
    );
}

fn read(body: &str) -> Reading {
    let count = body.matches('\'').count() + 2;
    let text =
        format!("UNB+UNOC:3+A+B+261123:1200+1'UNH+1+VEHREP:D:96A:UN'{body}UNT+{count}+1'UNZ+1+1'");
    let mut reader = Reader::new(text.as_bytes(), ReadOptions::default());
    let Some(Ok(Part::Message(reading))) = reader.next() else { panic!("no message") };
    assert_eq!(reading.problems, Vec::<Problem>::new());
    reading
}

fn problems(body: &str, level: Level) -> Vec<String> {
    let (definition, _) = import(MESSAGE_1996, SEGMENTS_1996, CODES_1996);
    let reading = read(body);
    let found = check(&reading, "VEHREP", &definition, level, false);
    let line = |p: &Problem| format!("{} {} {}", p.place.segment, p.place.path, p.code);
    found.iter().map(line).collect()
}

const GOOD: &str = "BGM+351+7'RFF+AK:VIN'STS+1+2'DTM+20261123'STS+1'RFF+1:4711'SPS+20261123'STS+3'";

/// Names of segments, groups with what is in them.
fn tree(node: Node<'_>) -> String {
    if node.kind() != Kind::Group {
        return format!("{} ", node.name());
    }
    let inner = node.children().filter(|child| child.name() != "envelope").map(tree);
    format!("{}({}) ", node.name(), inner.collect::<String>())
}

#[test]
fn segments_are_nested_in_their_groups_and_written_the_same() {
    let (definition, _) = import(MESSAGE_1996, SEGMENTS_1996, CODES_1996);
    let reading = read(GOOD);
    let found = release_of(&reading.document).unwrap();
    assert_eq!((found.message.as_str(), found.release.as_str()), ("VEHREP", "D.96A"));
    let nested = nest(&reading.document, &definition.messages["VEHREP"], found.standard);
    assert_eq!(
        tree(nested.root()),
        "VEHREP(UNH BGM SG1(RFF SG2(STS DTM ) SG2(STS ) ) SG1(RFF SPS SG2(STS ) ) UNT ) "
    );
    let path = waybill_parsers::Path::parse("SG1[1].RFF[0][0][1]").unwrap();
    assert_eq!(path.text(nested.root()), Some("4711"));
    let (mut flat, mut again) = (Vec::new(), Vec::new());
    assert_eq!(write(&reading.document, &WriteOptions::default(), &mut flat), vec![]);
    assert_eq!(write(&nested, &WriteOptions::default(), &mut again), vec![]);
    assert_eq!(flat, again);
}

#[test]
fn a_message_that_keeps_the_rules_has_no_problem() {
    assert_eq!(problems(GOOD, Level::Codes), Vec::<String>::new());
}

#[test]
fn every_broken_rule_is_reported_at_its_segment() {
    for (body, expected) in [
        // A segment that must be there is missed behind the one before (ISO 9735-4, 0096).
        ("RFF+1:2'STS+1'", vec!["1 BGM missing-segment"]),
        ("BGM+351+7'RFF+1:2'", vec!["3 STS missing-segment"]),
        ("BGM+351+7'BGM+351+7'", vec!["3 BGM too-many-segments"]),
        ("BGM+351+7'RFF+1:2'STS+1'BGM+351'", vec!["5 BGM wrong-order"]),
        ("BGM+351+7'LIN+1'RFF+1:2'STS+1'", vec!["3 LIN unknown-segment"]),
        ("BGM+1:2:3+7+8'", vec!["2 BGM/1/3 too-many-elements", "2 BGM/3 too-many-elements"]),
        ("BGM+3511+7'", vec!["2 BGM/1/1 too-long"]),
        ("BGM+351'RFF+:1'STS'", vec!["3 RFF/1/1 missing-element", "4 STS/1 missing-element"]),
        ("BGM'RFF+1:1'STS+1'DTM+2026112'", vec!["5 DTM/1 too-short"]),
        ("BGM'RFF+1:1'STS+1'DTM+2026112X'", vec!["5 DTM/1 wrong-type"]),
        ("BGM'RFF+ZZ:1'STS+1+2+3+4'", vec!["3 RFF/1/1 unknown-value", "4 STS/4 too-many-elements"]),
        ("BGM'RFF+1:1'STS+1:2'", vec!["4 STS/1/2 too-many-elements"]),
    ] {
        assert_eq!(problems(body, Level::Codes), expected, "{body}");
    }
}

#[test]
fn a_level_checks_what_it_names_and_all_before_it() {
    let body = "RFF+ZZ:1'STS+1234'";
    assert_eq!(problems(body, Level::Syntax).len(), 0);
    assert_eq!(problems(body, Level::Format), ["3 STS/1 too-long"]);
    assert_eq!(problems(body, Level::Structure), ["1 BGM missing-segment", "3 STS/1 too-long"]);
    assert_eq!(problems(body, Level::Codes).len(), 3);
    assert_eq!(Level::of(4), Some(Level::Profile));
    assert_eq!(Level::of(5), None);
}

#[test]
fn groups_that_occur_too_often_are_reported_once_each() {
    let body = format!("BGM+351'{}", "RFF+1:2'STS+1'".repeat(10));
    assert_eq!(problems(&body, Level::Structure), ["21 RFF too-many-groups"]);
    // A group that ends with what it began with.
    let body = format!("BGM+351'{}", "RFF+1:2'".repeat(10));
    let found = problems(&body, Level::Structure);
    assert_eq!(found.last().unwrap(), "12 STS missing-segment");
    assert_eq!(found.iter().filter(|one| one.ends_with("RFF too-many-groups")).count(), 1);
}

/// Numbers that look like chance and are always the same.
fn chance(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize
}

#[test]
fn no_cut_or_mutation_breaks_an_import_or_a_definition() {
    let (definition, _) = import(MESSAGE_1996, SEGMENTS_1996, CODES_1996);
    let written = write_definition(&definition).into_bytes();
    let message = code_page_437(MESSAGE_1996);
    let inputs = [
        written.as_slice(),
        message.as_slice(),
        MESSAGE_2021.as_bytes(),
        SEGMENTS_1996.as_bytes(),
        SEGMENTS_2021.as_bytes(),
        COMPOSITES.as_bytes(),
        ELEMENTS.as_bytes(),
        CODES_1996.as_bytes(),
        CODES_2021.as_bytes(),
        RELEASE.as_bytes(),
        SETS.as_bytes(),
    ];
    let mut seed = 4711;
    let all = |bytes: &[u8]| {
        let files = [SourceFile { name: "x", bytes }];
        let imported = [edifact(&files), x12(&files)].into_iter().flatten();
        for definition in imported.map(|it| it.definition).chain(read_definition(bytes)) {
            for (kind, message) in &definition.messages {
                let reading = read(GOOD);
                nest(&reading.document, message, definition.standard);
                check(&reading, kind, &definition, Level::Profile, true);
            }
        }
    };
    for input in inputs {
        (0..=input.len()).step_by(7).for_each(|end| all(&input[..end]));
        for _ in 0..200 {
            let mut bytes = input.to_vec();
            for _ in 0..=chance(&mut seed) % 4 {
                let at = chance(&mut seed) % bytes.len();
                match chance(&mut seed) % 3 {
                    0 => bytes[at] = chance(&mut seed) as u8,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b" 0123456789+-|'\n{}"[chance(&mut seed) % 18]),
                }
            }
            all(&bytes);
        }
    }
}

#[test]
fn names_that_look_like_something_else_and_descriptions_with_controls_read_back() {
    // Found by the fuzz target `definitions`.
    let text = "waybill-edi 1\nx12 '004 010' profile\nmessage '#1' : a\u{1}b \u{1}\n 'group' 0..2\n \
                group 'group'\n  ': '\n element\nsegment 'it''s' : \u{1}name\n '' 0..1\n";
    let read = read_definition(text.as_bytes()).unwrap();
    let items = &read.messages["#1"].items;
    let groups: Vec<_> = items.iter().map(|item| (item.name.as_str(), item.is_group())).collect();
    assert_eq!(groups, [("group", false), ("group", true), (": ", false), ("element", false)]);
    assert_eq!(read.messages["#1"].text, "a b");
    assert_eq!(read_definition(write_definition(&read).as_bytes()).unwrap(), read);
}

#[test]
fn rows_that_cannot_be_written_are_not_imported() {
    let json = r#"{"Release": "00401",
        "DocumentTypes": {
            "1": {"TransactionSet": [{"Id": "S\u0001"}]},
            "2": {"TransactionSet": [{"Id": "ST", "Min": 3, "Max": 2}]},
            "a\u0002": {"TransactionSet": []},
            "4": {"TransactionSet": [{"Id": "group"}]}
        },
        "Segments": {"A\nB": {"Elements": []}}}"#;
    let imported = x12(&[SourceFile { name: "r.json", bytes: json.as_bytes() }]).unwrap();
    let codes: Vec<_> = imported.problems.iter().map(|problem| problem.problem.code).collect();
    assert_eq!(codes, ["bad-number", "bad-number", "no-name", "no-name"]);
    assert_eq!(imported.definition.messages.keys().collect::<Vec<_>>(), ["4"]);
    let text = write_definition(&imported.definition);
    assert_eq!(read_definition(text.as_bytes()).unwrap(), imported.definition);
}
