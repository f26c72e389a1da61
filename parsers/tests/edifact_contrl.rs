//! CONTRL: every defect is answered at its level, with a code that is allowed there.

#![allow(clippy::print_stdout, reason = "figures are shown")]
#![expect(clippy::unwrap_used, reason = "a test ends where its input is not as it expects")]

use waybill_parsers::edifact::{
    Action, Contrl, ContrlOptions, ContrlVersion, ReadOptions, Reader, WriteOptions, read_contrl,
    syntax_error_text, write,
};
use waybill_parsers::segment::{Mode, Part};

const GOOD: &str = "UNA:+.? 'UNB+UNOC:3+SENDER:14+RECEIVER:ZZ+261122:1200+REF1++++1'\
    UNH+1+IFTSTA:D:10B:UN'BGM+23+77+9'DTM+137:20261122:102'UNT+4+1'\
    UNH+2+IFTSTA:D:10B:UN'BGM+23+78+9'DTM+137:20261122:102'UNT+4+2'UNZ+2+REF1'";

const GROUPED: &str = "UNB+UNOC:3+SENDER:14+RECEIVER:ZZ+261122:1200+REF1'\
    UNG+IFTSTA+A+B+261122:1200+G1+UN+D:10B'UNH+1+IFTSTA:D:10B:UN'BGM+23+77+9'UNT+3+1'UNE+1+G1'\
    UNG+IFTSTA+A+B+261122:1200+G2+UN+D:10B'UNH+2+IFTSTA:D:10B:UN'BGM+23+78+9'UNT+3+2'UNE+1+G2'\
    UNZ+2+REF1'";

fn options() -> ContrlOptions<'static> {
    ContrlOptions { reference: "ACK1", date: "20261122", time: "1201", ..ContrlOptions::default() }
}

/// The answers to an input, as text.
fn answers(input: &[u8], options: &ContrlOptions<'_>) -> Vec<String> {
    let read = ReadOptions { mode: Mode::Strict, ..ReadOptions::default() };
    let mut contrl = Contrl::new();
    let mut answers = Vec::new();
    for part in Reader::new(input, read) {
        if let Some(document) = contrl.part(&part.unwrap(), options) {
            let mut out = Vec::new();
            assert_eq!(write(&document, &WriteOptions::default(), &mut out), vec![]);
            answers.push(String::from_utf8(out).unwrap());
        }
    }
    answers
}

/// The segments between UNH and UNT of the only answer.
fn report(input: &str) -> String {
    let answers = answers(input.as_bytes(), &options());
    assert_eq!(answers.len(), 1, "{input}");
    let segments: Vec<_> = answers[0].split_terminator('\'').collect();
    segments[2..segments.len() - 2].join("|")
}

#[test]
fn an_interchange_without_faults_is_acknowledged_with_all_in_it() {
    let answers = answers(GOOD.as_bytes(), &options());
    let expected = "UNB+UNOC:3+RECEIVER:ZZ+SENDER:14+261122:1201+ACK1'UNH+1+CONTRL:D:3:UN'\
        UCI+REF1+SENDER:14+RECEIVER:ZZ+7'UNT+3+1'UNZ+1+ACK1'";
    assert_eq!(answers, [expected]);
}

#[test]
fn every_defect_is_answered_at_its_level_with_a_code_for_it() {
    let uci = |rest: &str| format!("UCI+REF1+SENDER:14+RECEIVER:ZZ+{rest}");
    let ucm = |rest: &str| format!("{}|UCM+1+IFTSTA:D:10B:UN+4{rest}", uci("7"));
    let cases: &[(&str, &str, String)] = &[
        // At the interchange.
        ("UNZ+2+", "UNZ+3+", uci("4+29+UNZ+2")),
        ("UNZ+2+REF1", "UNZ+2+REF2", uci("4+28+UNZ+3")),
        ("UNZ+2+", "UNZ+two+", uci("4+37+UNZ+2:1")),
        ("UNZ+2+REF1'", "", uci("4+13+UNZ")),
        ("UNOC:3", "UNOC:9", uci("4+2+UNB")),
        ("261122:1200", "261122:12000", uci("4+39+UNB+5:2")),
        ("261122:1200", "2611:1200", uci("4+40+UNB+5:1")),
        ("261122:1200", "26112A:1200", uci("4+37+UNB+5:1")),
        ("+REF1++++1'", "+REF1++++1++++'UNX+1'", uci("4+33+UNX")),
        ("REF1++++1'", "REF1++++1+++x'", uci("4+16+UNB+13")),
        ("SENDER:14+", "SENDER:14:A:B:C+", "UCI+REF1+SENDER:14:A+RECEIVER:ZZ+4+16+UNB+3:5".into()),
        ("UNA:", "\u{feff}UNA:", uci("4+21")),
        ("UNA:", " UNA:", uci("4+21")),
        ("'UNB", "' UNB", uci("4+21")),
        ("REF1++++1'", "REF1++++1'X+1'", uci("4+33")),
        ("'UNZ", "'UNT+1+1'UNZ", uci("4+33+UNT")),
        ("REF1++++1'", "REF1++++1''", uci("4+13")),
        // At a message.
        ("UNT+4+1", "UNT+5+1", ucm("+29+UNT+2")),
        ("UNT+4+1", "UNT+4+9", ucm("+28+UNT+3")),
        ("UNT+4+1", "UNT+x+1", ucm("+37+UNT+2:1")),
        ("UNT+4+1'", "", ucm("+13+UNT")),
        ("UNH+1+IFTSTA:D:10B:UN", "UNH+1+IFTSTA:D:10B:UN:ASSOC-TOO-LONG", {
            format!("{}|UCM+1+IFTSTA:D:10B:UN:ASSOC-TOO-LONG+4+39+UNH+3:5", uci("7"))
        }),
        ("UNH+1+IFTSTA:D:10B:UN", "UNH+1+IFTSTA:D::UN", {
            format!("{}|UCM+1+IFTSTA:D::UN+4+13+UNH+3:3", uci("7"))
        }),
        ("UNH+2", "UNH+1", format!("{}|UCM+1+IFTSTA:D:10B:UN+4+26+UNH", uci("7"))),
        // At a segment or an element.
        ("BGM+23+77", "BGM+23+7\u{7}7", ucm("|UCS+2|UCD+21+3:1")),
        ("BGM+23+77", "bgm+23+77", ucm("|UCS+2+21")),
        ("BGM+23+77", "B-M+23+77", ucm("|UCS+2+21")),
        ("BGM+23+77", "BGM+23+?77", ucm("|UCS+2+22")),
        ("BGM+23+77+9'", "BGM+23+77+9''", ucm("|UCS+3+13")),
        (
            "DTM+137:20261122:102'UNT+4+1'",
            "DTM+137\n:20261122:102'UNT+4+1'",
            ucm("|UCS+3|UCD+21+2:1"),
        ),
    ];
    for (from, to, expected) in cases {
        let mut input = GOOD.replacen(from, to, 1);
        if *to == "UNH+1" {
            input = input.replace("UNT+4+2", "UNT+4+1");
        }
        assert_ne!(input, GOOD);
        assert_eq!(report(&input), *expected, "{from} -> {to}");
    }
    println!("{} defects", cases.len() + 6);
}

#[test]
fn defects_of_groups_are_answered_at_groups() {
    let uci = "UCI+REF1+SENDER:14+RECEIVER:ZZ+7";
    for (from, to, expected) in [
        ("UNE+1+G1", "UNE+2+G1", "UCF+G1+A+B+4+29+UNE+2"),
        ("UNE+1+G1", "UNE+1+G3", "UCF+G1+A+B+4+28+UNE+3"),
        ("UNE+1+G1'", "", "UCF+G1+A+B+4+13+UNE"),
        (
            "'BGM+23+78+9'UNT+3+2",
            "'BGM+23+78+9'UNT+4+2",
            "UCF+G2+A+B+7|UCM+2+IFTSTA:D:10B:UN+4+29+UNT+2",
        ),
        ("UNH+1+IFTSTA:D:10B:UN'BGM+23+77+9'UNT+3+1'UNE+1", "UNE+0", "UCF+G1+A+B+4+32"),
        ("'UNH+1+IFTSTA", "'UNH+9+ORDERS:D:10B:UN'BGM'UNT+3+9'UNH+1+IFTSTA", "UCF+G1+A+B+4+31+UNH"),
    ] {
        let mut input = GROUPED.replacen(from, to, 1);
        if expected.ends_with("31+UNH") {
            input = input.replacen("UNE+1+G1", "UNE+2+G1", 1);
        }
        assert_eq!(report(&input), format!("{uci}|{expected}"), "{from} -> {to}");
    }
}

#[test]
fn what_was_received_before_is_said_to_be() {
    let options = ContrlOptions { is_duplicate: true, ..options() };
    let answers = answers(GOOD.as_bytes(), &options);
    assert!(answers[0].contains("'UCI+REF1+SENDER:14+RECEIVER:ZZ+4+26+UNB+6'"), "{answers:?}");
}

#[test]
fn receipt_alone_is_reported_where_nothing_is_wrong() {
    let options = ContrlOptions { receipt_only: true, ..options() };
    assert!(answers(GOOD.as_bytes(), &options)[0].contains("+8'UNT"));
    let bad = GOOD.replace("UNT+4+1", "UNT+5+1");
    assert!(answers(bad.as_bytes(), &options)[0].contains("+7'UCM+1"));
}

#[test]
fn an_acknowledgement_is_never_acknowledged() {
    let answer = answers(GOOD.as_bytes(), &options()).remove(0);
    assert_eq!(answers(answer.as_bytes(), &options()), Vec::<String>::new());
    let bare = "UNH+1+IFTSTA:D:10B:UN'BGM+23'UNT+3+1'";
    assert_eq!(answers(bare.as_bytes(), &options()), Vec::<String>::new());
}

#[test]
fn each_interchange_of_a_file_has_its_answer() {
    let bad = GOOD.replace("UNT+4+1", "UNT+5+1");
    let file = [GOOD, &bad, GROUPED].concat();
    let answers = answers(file.as_bytes(), &options());
    let refused: Vec<_> = answers.iter().map(|answer| answer.matches("UCM").count()).collect();
    assert_eq!(refused, [0, 1, 0]);
}

#[test]
fn reports_of_both_versions_read_back() {
    let bad = GOOD.replace("UNT+4+1", "UNT+5+1").replace("BGM+23+78", "BGM+23+7\u{7}8");
    for version in [ContrlVersion::V3, ContrlVersion::V4] {
        let answer = answers(bad.as_bytes(), &ContrlOptions { version, ..options() }).remove(0);
        let mut reader = Reader::new(
            answer.as_bytes(),
            ReadOptions { mode: Mode::Strict, ..ReadOptions::default() },
        );
        let Part::Message(reading) = reader.next().unwrap().unwrap() else { panic!("no message") };
        assert_eq!(reading.problems, []);
        let found = read_contrl(&reading.document).unwrap();
        assert_eq!(
            (found.interchange.reference.as_str(), found.interchange.action),
            ("REF1", Action::Accepted)
        );
        let messages: Vec<_> =
            found.messages.iter().map(|m| (m.reference.as_str(), m.action)).collect();
        assert_eq!(messages, [("1", Action::Refused), ("2", Action::Refused)]);
        let (count, text) = (&found.messages[0].errors[0], &found.messages[1].errors[0]);
        assert_eq!((count.code, count.tag.as_str(), count.element), (29, "UNT", 1));
        assert_eq!((text.code, text.segment, text.element, text.component), (21, 2, 2, 1));
        assert!(
            found
                .messages
                .iter()
                .flat_map(|m| &m.errors)
                .all(|e| syntax_error_text(e.code).is_some())
        );
        let rest: Vec<_> = reader.map(|part| part.unwrap().reading().problems.len()).collect();
        assert_eq!(rest, [0]);
    }
}
