//! TA1, 997 and 999: every defect is answered at its level, with a code that is allowed there.

#![allow(clippy::print_stdout, reason = "figures are shown")]
#![expect(clippy::unwrap_used, reason = "a test ends where its input is not as it expects")]

use waybill_parsers::segment::{Mode, Part};
use waybill_parsers::x12::{
    AckOptions, AckSet, Acks, ReadOptions, Reader, Status, WriteOptions, Writer, read_ack, read_ta1,
};

fn good() -> String {
    let isa = format!(
        "ISA*00*{:10}*00*{:10}*ZZ*{:15}*ZZ*{:15}*261122*1200*^*00501*000000001*1*P*:~",
        "", "", "SENDER", "RECEIVER"
    );
    isa + "GS*VB*S*R*20261122*1200*7*X*005010~\
        ST*121*0001~BVS*SCAC~VC*WAY1ZZZA6TB000017~SE*4*0001~\
        ST*121*0002~BVS*SCAC~VC*WAY1ZZZA6TB000017~SE*4*0002~GE*2*7~IEA*1*000000001~"
}

fn options() -> AckOptions<'static> {
    AckOptions { control_number: "55", date: "20261122", time: "1201", ..AckOptions::default() }
}

/// The answers to an input, as text, without their envelopes.
fn answers(input: &str, options: &AckOptions<'_>, mode: Mode) -> Vec<String> {
    let read = ReadOptions { mode, ..ReadOptions::default() };
    let mut acks = Acks::new();
    let mut answers = Vec::new();
    for part in Reader::new(input.as_bytes(), read) {
        let Some(document) = acks.part(&part.unwrap(), options) else { continue };
        let mut out = Vec::new();
        let mut writer = Writer::new(WriteOptions::default(), &mut out);
        let problems = match document.root().name() {
            "interchange" => writer.services(&document),
            _ => writer.set(&document),
        };
        assert_eq!(problems, vec![]);
        assert_eq!(writer.finish(), vec![]);
        answers.push(String::from_utf8(out).unwrap());
    }
    answers
}

/// The segments that matter of all answers.
fn report(input: &str) -> String {
    let answers = answers(input, &options(), Mode::Strict);
    let segments = answers.iter().flat_map(|answer| answer.split_terminator('~'));
    let is_report = |s: &&str| s.starts_with("TA1") || s.starts_with("AK") || s.starts_with("IK");
    segments.filter(is_report).collect::<Vec<_>>().join("|")
}

const AK1: &str = "AK1*VB*7|";
const GOOD_SETS: &str = "AK2*121*0001|AK5*A|AK2*121*0002|AK5*A|";
const SECOND: &str = "AK2*121*0002|AK5*A|";
const PARTLY: &str = "AK9*P*2*2*1|";
const TA1: &str = "TA1*000000001*261122*1200*A*000";

#[test]
fn an_interchange_without_faults_is_accepted() {
    assert_eq!(report(&good()), format!("{AK1}{GOOD_SETS}AK9*A*2*2*2|{TA1}"));
    let full = answers(&good(), &options(), Mode::Strict);
    assert!(
        full[0].contains(
            "*ZZ*RECEIVER       *ZZ*SENDER         *261122*1201*^*00501*000000055*0*P*:~"
        )
    );
    assert!(full[0].contains("GS*FA*R*S*20261122*1201*55*X*005010~ST*997*0001~"), "{}", full[0]);
    assert!(full[1].ends_with("~IEA*0*000000055~"), "{}", full[1]);
}

#[test]
fn every_defect_is_answered_at_its_level_with_a_code_for_it() {
    let note = |code: &str| format!("TA1*000000001*261122*1200*R*{code}");
    let whole = |ta1: String| format!("{AK1}{GOOD_SETS}AK9*A*2*2*2|{ta1}");
    let set = |fault: &str| format!("{AK1}AK2*121*0001|{fault}|{SECOND}{PARTLY}{TA1}");
    let group = |end: &str| format!("{AK1}{GOOD_SETS}AK9*{end}|{TA1}");
    let cases: &[(&str, &str, String)] = &[
        // At the interchange.
        ("IEA*1*000000001", "IEA*1*000000002", whole(note("001"))),
        ("IEA*1*", "IEA*2*", whole(note("021"))),
        ("IEA*1*000000001~", "", whole(note("023"))),
        ("*261122*", "*261322*", whole(note("014").replace("261122", "261322"))),
        ("*1200*^", "*2560*^", whole(note("015").replace("1200", "2560"))),
        ("*00501*", "*0050A*", whole(note("017"))),
        ("*000000001*1*P", "*00000000A*1*P", whole(note("018").replace("000000001", "00000000A"))),
        ("*1*P*", "*2*P*", whole(note("019"))),
        ("*1*P*", "*1*Q*", whole(note("020"))),
        ("ISA*00", "\u{feff}ISA*00", whole(note("022"))),
        ("ISA*00*", "ISA*000*", whole(note("022"))),
        ("~GS", "~N1*X~GS", whole(note("022"))),
        ("~IEA", "~GE*1*1~IEA", whole(note("022"))),
        ("~IEA", "~TA3*A\u{7}~IEA", whole(note("024"))),
        (":~GS", ": ~GS", whole(note("004"))),
        // At the group.
        ("GE*2*7", "GE*3*7", group("R*3*2*0*5")),
        ("GE*2*7", "GE*2*8", group("R*2*2*0*4")),
        ("GE*2*7~", "", group("R*2*2*0*3")),
        ("*X*005010~", "*X~", group("R*2*2*0*2")),
        ("*1200*7*X", "*1200**X", format!("AK1*VB|{GOOD_SETS}AK9*R*2*2*0*6*4|{TA1}")),
        // At the set.
        ("SE*4*0001", "SE*5*0001", set("AK5*R*4")),
        ("SE*4*0001", "SE*4*0009", set("AK5*R*3")),
        ("SE*4*0001~", "", set("AK5*R*2")),
        ("ST*121*0002", "ST*121*0001", {
            format!("{AK1}AK2*121*0001|AK5*A|AK2*121*0001|AK5*R*23|{PARTLY}{TA1}")
        }),
        ("ST*121*0001", "ST**0001", format!("{AK1}AK2**0001|AK5*R*6|{SECOND}{PARTLY}{TA1}")),
        // At a segment or an element.
        ("BVS*SCAC", "bvs*SCAC", set("AK3*bvs*2**1|AK5*R*5")),
        ("BVS*SCAC", "B-S*SCAC", set("AK3*?*2**1|AK5*R*5")),
        ("BVS*SCAC~", "BVS*SCAC~~", set("AK3**3**1|AK5*R*5")),
        ("BVS*SCAC", "BVS*S\nAC", set("AK3*BVS*2**8|AK4*1**6|AK5*R*5")),
        ("BVS*SCAC", "BIN*9*A", set("AK3*BIN*2**8|AK5*R*5")),
    ];
    for (from, to, expected) in cases {
        let mut input = good().replacen(from, to, 1);
        if *to == "ST*121*0001" {
            input = input.replace("SE*4*0002", "SE*4*0001");
        }
        assert_ne!(input, good());
        assert_eq!(report(&input), *expected, "{from} -> {to}");
    }
    println!("{} defects", cases.len());
}

#[test]
fn a_lenient_reader_accepts_with_errors() {
    let input = good().replacen("SE*4*0001", "SE*5*0001", 1);
    let answers = answers(&input, &options(), Mode::Lenient);
    assert!(answers[0].contains("~AK5*E*4~"), "{}", answers[0]);
    assert!(answers[0].contains("~AK9*A*2*2*2~"));
}

#[test]
fn an_answer_has_a_version_and_a_usage_where_the_interchange_has_none() {
    for (from, to, expected) in [
        ("*^*00501*", "*^*0050A*", "*^*00501*"),
        ("*^*00501*", "*U*     *", "*U*00401*"),
        ("*1*P*", "*1*Q*", "*0*P*"),
        ("*1*P*", "*1*T*", "*0*T*"),
    ] {
        let input = good().replacen(from, to, 1);
        for answer in answers(&input, &options(), Mode::Strict) {
            assert!(answer.starts_with("ISA*") && answer.contains(expected), "{to}: {answer}");
            assert_eq!(answers(&answer, &options(), Mode::Strict), [""; 0], "{answer}");
        }
    }
}

#[test]
fn what_was_received_before_is_said_to_be() {
    let options = AckOptions { is_duplicate: true, ..options() };
    let answers = answers(&good(), &options, Mode::Strict);
    assert!(answers[1].contains("~TA1*000000001*261122*1200*R*025~"), "{}", answers[1]);
}

#[test]
fn ta1_is_sent_where_it_is_asked_for_or_needed() {
    let silent = good().replace("*1*P*:", "*0*P*:");
    assert_eq!(answers(&silent, &options(), Mode::Strict).len(), 1);
    let wrong = silent.replace("IEA*1*", "IEA*2*");
    assert_eq!(answers(&wrong, &options(), Mode::Strict).len(), 2);
}

#[test]
fn an_acknowledgement_is_never_acknowledged() {
    for answer in answers(&good(), &options(), Mode::Strict) {
        assert_eq!(answers(&answer, &options(), Mode::Strict), Vec::<String>::new());
    }
}

#[test]
fn acknowledgements_of_both_kinds_read_back() {
    let input =
        good().replacen("SE*4*0001", "SE*5*0001", 1).replace("0002~BVS*SCAC", "0002~BVS*S\nAC");
    for set in [AckSet::Functional, AckSet::Implementation] {
        let options = AckOptions { set, ..options() };
        let answers = answers(&input, &options, Mode::Strict);
        let mut reader = Reader::new(
            answers[0].as_bytes(),
            ReadOptions { mode: Mode::Strict, ..ReadOptions::default() },
        );
        let Part::Message(reading) = reader.next().unwrap().unwrap() else { panic!("no set") };
        assert_eq!(reading.problems, []);
        let ack = read_ack(&reading.document).unwrap();
        assert_eq!((ack.functional_id.as_str(), ack.control_number.as_str()), ("VB", "7"));
        assert_eq!((ack.status, ack.counts), (Status::Refused, [2, 2, 0]));
        let statuses: Vec<_> =
            ack.sets.iter().map(|set| (set.status, set.codes.join(","))).collect();
        assert_eq!(
            statuses,
            [(Status::Refused, "4".to_owned()), (Status::Refused, "5".to_owned())]
        );
        let errors: Vec<_> =
            ack.sets[1].errors.iter().map(|e| (e.segment, e.element, e.code.as_str())).collect();
        assert_eq!(errors, [(2, 0, "8"), (2, 1, "6")]);
        assert!(reader.all(|part| part.unwrap().reading().problems.is_empty()));

        let Part::Interchange(reading) =
            Reader::new(answers[1].as_bytes(), ReadOptions::default()).next().unwrap().unwrap()
        else {
            panic!("no interchange")
        };
        let ta1 = read_ta1(&reading.document);
        assert_eq!(
            (ta1[0].control_number.as_str(), ta1[0].status),
            ("000000001", Status::Accepted)
        );
    }
}

#[test]
fn an_answer_has_the_separators_of_the_interchange_though_they_are_above_ascii() {
    let input = good().replace('~', "\u{a7}").replace('*', "\u{f7}");
    let bytes: Vec<u8> = input.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let mut acks = Acks::new();
    let mut out = Vec::new();
    for part in Reader::new(bytes.as_slice(), ReadOptions::default()) {
        let Some(document) = acks.part(&part.unwrap(), &options()) else { continue };
        if document.root().name() == "997" {
            let mut writer = Writer::new(WriteOptions::default(), &mut out);
            assert_eq!(writer.set(&document), vec![]);
            assert_eq!(writer.finish(), vec![]);
        }
    }
    assert_eq!((out[3], out[105]), (0xf7, 0xa7));
    let read = Reader::new(out.as_slice(), ReadOptions::default());
    let sets: Vec<_> = read.filter_map(|part| part.unwrap().into_message()).collect();
    assert_eq!(read_ack(&sets[0].document).unwrap().status, Status::Accepted);
}
