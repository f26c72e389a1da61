//! Inputs without an end, without a shape and without a bottom: a clear error with its place, after
//! no more bytes than a limit allows. What is read is generated, so that nothing else takes memory.

#![expect(clippy::unwrap_used, reason = "a test ends where its files are not as it expects")]

use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use waybill_parsers::segment::Part;
use waybill_parsers::{
    Builder, FrameError, Kind, Limits, Reading, csv, edifact, fixed, idoc, json, vda, x12, xml,
};

/// Limits that a debug build reaches soon. The bounds in the tests are multiples of them.
const LIMITS: Limits =
    Limits { document: 4 << 20, record: 1 << 20, depth: 64, nodes: 100_000, problems: 100 };

/// A beginning, and then the same again and again, so many times.
struct Flood<'a> {
    head: &'a [u8],
    unit: &'a [u8],
    left: u64,
    at: usize,
    /// Bytes that were read of it.
    read: &'a std::cell::Cell<u64>,
}

impl Read for Flood<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let mut count = 0;
        while count < out.len() && (!self.head.is_empty() || self.left > 0) {
            if self.head.is_empty() && self.at == 0 && self.unit.len() == 1 {
                // One byte again and again is most of what is read here.
                let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len() - count);
                out[count..count + most].fill(self.unit[0]);
                (count, self.left) = (count + most, self.left - most as u64);
                continue;
            }
            let from = if self.head.is_empty() { &self.unit[self.at..] } else { self.head };
            let taken = from.len().min(out.len() - count);
            out[count..count + taken].copy_from_slice(&from[..taken]);
            count += taken;
            if !self.head.is_empty() {
                self.head = &self.head[taken..];
            } else if self.at + taken < self.unit.len() {
                self.at += taken;
            } else {
                (self.at, self.left) = (0, self.left - 1);
            }
        }
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

/// The readers, as functions of an input.
#[derive(Clone, Copy, Debug)]
enum Format {
    Edifact,
    X12,
    Idoc,
    IdocXml,
    Vda,
    Csv,
    Lines,
}

/// What came of an input.
struct Outcome {
    documents: usize,
    /// Problems of the document that has most.
    problems: usize,
    /// Nodes of the document that has most.
    nodes: usize,
    error: Option<FrameError>,
    read: u64,
}

fn idoc_types() -> Arc<idoc::Types> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../mappings/schemas/idoc/ZVEHREG01.idoc");
    let mut types = idoc::Types::new();
    types.add(Arc::new(idoc::read_schema(&std::fs::read(file).unwrap()).unwrap()));
    Arc::new(types)
}

fn drain(readings: impl Iterator<Item = Result<Reading, FrameError>>) -> Outcome {
    let mut outcome = Outcome { documents: 0, problems: 0, nodes: 0, error: None, read: 0 };
    for reading in readings {
        match reading {
            Ok(Reading { document, problems, .. }) => {
                outcome.documents += 1;
                outcome.problems = outcome.problems.max(problems.len());
                outcome.nodes = outcome.nodes.max(document.len());
            }
            Err(error) => outcome.error = Some(error),
        }
    }
    outcome
}

fn reading(part: Result<Part, FrameError>) -> Result<Reading, FrameError> {
    part.map(|part| part.reading().clone())
}

fn read(format: Format, head: &str, unit: &str, times: u64) -> Outcome {
    let count = std::cell::Cell::new(0);
    let (head, unit) = (head.as_bytes(), unit.as_bytes());
    let input = BufReader::new(Flood { head, unit, left: times, at: 0, read: &count });
    let outcome = match format {
        Format::Edifact => {
            let options = edifact::ReadOptions { limits: LIMITS, ..Default::default() };
            drain(edifact::Reader::new(input, options).map(reading))
        }
        Format::X12 => {
            let options = x12::ReadOptions { limits: LIMITS, ..Default::default() };
            drain(x12::Reader::new(input, options).map(reading))
        }
        Format::Idoc => drain(idoc::Reader::new(input, idoc_types(), LIMITS)),
        Format::IdocXml => drain(idoc::xml::Reader::new(input, idoc_types(), LIMITS)),
        Format::Vda => drain(fixed::Reader::new(input, Arc::new(vda::types()), LIMITS)),
        Format::Csv => drain(csv::Reader::new(input, csv::ReadOptions::default(), LIMITS)),
        Format::Lines => drain(json::Lines::new(input, LIMITS)),
    };
    Outcome { read: count.get(), ..outcome }
}

const FOREVER: u64 = 1 << 40;

const UNH: &str = "UNB+UNOA:3+A+B+261122:1200+1'UNH+1+INVOIC:D:96A:UN'";
const ISA: &str = "ISA*00*          *00*          *ZZ*SENDERID       *ZZ*RECEIVERID     *261122*1200\
                   *U*00401*000000001*0*P*>~";
const ST: &str = "GS*SH*A*B*20261122*1200*1*X*004010~ST*856*0001~";
const SEGMENT: &str = "<ZVEHREG01><IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"><IDOCTYP>ZVEHREG01\
                       </IDOCTYP></EDI_DC40><Z1VHHDR SEGMENT=\"1\">";
const ROWS: &str = "<soap><idocData><ZVEHREG01><Z2VHHDR000GRP><Z2VHHDR000>";

/// An input that never ends, and the code of the error that ends its reader.
fn endless(format: Format, head: &str, unit: &str, code: &str) {
    let outcome = read(format, head, unit, FOREVER);
    let shown: String = format!("{format:?}: {head}{unit}...").chars().take(200).collect();
    let error = outcome.error.unwrap_or_else(|| panic!("{shown}: no error"));
    assert_eq!(error.code, code, "{shown}: {error}");
    let place = &error.place;
    assert!(place.offset <= outcome.read, "{shown}: {error}");
    assert!(place.line > 0 || place.offset > 0 || head.is_empty(), "{shown}: no place: {error}");
    // A window may be twice as large as the longest record, and is filled.
    let most = (LIMITS.document + 4 * LIMITS.record) as u64;
    assert!(outcome.read <= most, "{shown}: {} bytes read", outcome.read);
    assert!(outcome.nodes <= LIMITS.nodes + 2000, "{shown}: {} nodes", outcome.nodes);
}

#[test]
fn a_segment_without_an_end_is_refused() {
    use Format::{Edifact, X12};
    for (format, head) in [(Edifact, UNH.to_owned()), (X12, [ISA, ST].concat())] {
        let open = |tag: &str| [&head, tag].concat();
        endless(format, &open("FTX"), "x", "too-long");
        endless(format, &open("FTX+*"), "+*", "too-many-elements");
        endless(format, &open("FTX+*A"), ":>", "too-many-elements");
        endless(format, &open("FTX"), "\n", "too-long");
        endless(format, &open("FTX"), "\u{e9}", "too-long");
    }
    endless(Edifact, &[UNH, "FTX+"].concat(), "?'", "too-long");
    endless(Edifact, "UNB", "+", "too-many-elements");
    endless(Edifact, "UNB+UNOA:3+A+B+261122:1200+1'UNO+1+++999999999999999'", "x", "too-long");
    endless(X12, &[ISA, ST, "BIN*99999999999*"].concat(), "x", "too-long");
}

/// Every message has a copy of its headers: one of a megabyte, and a file of ten thousand small
/// messages would be as many megabytes.
#[test]
fn a_header_that_is_too_long_to_be_copied_is_refused() {
    let isx = ISA.replace("00401", "00704");
    for (format, head, end) in [
        (Format::Edifact, "UNB+UNOA:3+".to_owned(), "'"),
        (Format::Edifact, "UNB+UNOA:3+A+B+261122:1200+1'UNG+".to_owned(), "'"),
        (Format::X12, [ISA, "GS*"].concat(), "~"),
        (Format::X12, [&isx, "ISX*"].concat(), "~"),
    ] {
        let code = |length: usize| {
            let text = [&head, &"x".repeat(length), end].concat();
            read(format, &text, "", 0).error.map(|error| error.code)
        };
        assert_eq!((code(1500), code(2500)), (None, Some("too-long")), "{head}");
    }
}

#[test]
fn a_message_without_an_end_is_refused() {
    endless(Format::Edifact, UNH, "RFF+ON:12345'", "too-many-nodes");
    endless(Format::Edifact, UNH, &format!("FTX+AAI+++{}'", "x".repeat(900)), "too-large");
    endless(Format::Edifact, UNH, &format!("FTX+AAI+++{}'", "\u{e9}".repeat(400)), "too-large");
    endless(Format::X12, &[ISA, ST].concat(), "HL*2*1*20*1~", "too-many-nodes");
    endless(Format::X12, &[ISA, ST].concat(), "TA1*0~", "too-many-nodes");
}

#[test]
fn services_without_an_end_are_refused() {
    for unit in ["TA1*000000001*261122*1200*A*000~", "ISX~", "ISB*1~"] {
        endless(Format::X12, ISA, unit, "too-many-nodes");
    }
}

#[test]
fn idocs_without_an_end_are_refused() {
    let control = format!("{:39}{:30}{:455}\n", "EDI_DC40", "ZVEHREG01", "");
    let open = |record: &str| [&control, record].concat();
    endless(Format::Idoc, &open("Z2VHHDR000"), "x", "too-long");
    endless(Format::Idoc, &open("Z2VHHDR000"), " ", "too-long");
    let record = |name: &str, text: &str| format!("{name:63}{text}\n");
    endless(
        Format::Idoc,
        &open(&record("Z2VHHDR000", "V")),
        &record("Z2VHTXT000", "a"),
        "too-many-nodes",
    );
    endless(Format::Idoc, &open(""), &record("?", &"a".repeat(900)), "too-large");
    // Without line ends everything is a record.
    endless(Format::Idoc, control.trim_end_matches('\n'), "x", "too-large");
    endless(Format::Idoc, "EDI_DC40 ", "x", "too-large");
    endless(Format::Idoc, "", "x", "not-idoc");
}

#[test]
fn idoc_xml_without_an_end_or_a_bottom_is_refused() {
    let open = |text: &str| [SEGMENT, text].concat();
    endless(Format::IdocXml, "<a>", "<a>", "too-deep");
    endless(Format::IdocXml, SEGMENT, "<Z1VHHDR SEGMENT=\"1\">", "too-deep");
    endless(Format::IdocXml, SEGMENT, "<VIN>", "too-deep");
    endless(Format::IdocXml, SEGMENT, "<VIN>X</VIN>", "too-many-nodes");
    endless(Format::IdocXml, SEGMENT, "<VIN><!-- -->X</VIN>\n", "too-many-nodes");
    endless(Format::IdocXml, SEGMENT, "<NOSUCH>X</NOSUCH>", "too-many-nodes");
    endless(Format::IdocXml, SEGMENT, "<EVTID/>", "too-large");
    endless(Format::IdocXml, SEGMENT, " ", "too-long");
    endless(Format::IdocXml, &open("<VIN>"), "x", "too-long");
    endless(Format::IdocXml, &open("<VIN>"), "&lt;", "too-large");
    endless(Format::IdocXml, &open("<VIN>"), "<![CDATA[xxxxxxxxxxxxxxxx]]>", "too-large");
    endless(Format::IdocXml, &open("<VIN"), "x", "too-long");
    endless(Format::IdocXml, &open("<VIN"), " a=\"b\"", "too-long");
    endless(Format::IdocXml, &open("<!--"), "x", "too-long");
    let control = "<Z><IDOC><EDI_DC40>";
    endless(Format::IdocXml, control, "<DOCNUM>1</DOCNUM>", "too-many-nodes");
    endless(Format::IdocXml, "<Z><IDOC><Z1VHHDR>", "<Z1VHTXT></Z1VHTXT>", "too-large");
    endless(Format::IdocXml, ROWS, "<VIN>X</VIN>", "too-many-nodes");
    endless(Format::IdocXml, ROWS, "<VIN>", "too-deep");
    endless(Format::IdocXml, &[ROWS, "<VIN>"].concat(), "&lt;", "too-large");
    endless(Format::IdocXml, "<soap><idocData>", "&lt;", "too-large");
    endless(Format::IdocXml, "<!DOCTYPE a [", "<!ENTITY a \"aaaaaaaaaa\">", "too-long");
}

#[test]
fn records_and_rows_without_an_end_are_refused() {
    let header = format!("{:128}\n", "71103");
    endless(Format::Vda, &[&header, "712"].concat(), "x", "too-long");
    endless(Format::Vda, &header, &format!("{:128}\n", "71503"), "too-large");
    endless(Format::Vda, "71103", "x", "too-large");
    endless(Format::Csv, "a,b\n1,", "x", "too-long");
    endless(Format::Csv, "a,b\n1,\"", "\n", "too-long");
    endless(Format::Csv, "a,b\n1", ",", "too-long");
    endless(Format::Csv, "a", ",b", "too-long");
    endless(Format::Lines, "[", "[", "too-large");
    endless(Format::Lines, "\"", "x", "too-large");
}

fn ten_million_empty_segments(format: Format, head: &str, unit: &str) {
    let outcome = read(format, head, unit, 10_000_000);
    assert_eq!(outcome.error, None);
    assert!(outcome.problems <= LIMITS.problems + 1, "{} problems", outcome.problems);
    assert!(outcome.nodes < 100, "{} nodes", outcome.nodes);
    // The message, its group if there is one, and the interchange.
    assert!(outcome.documents <= 3, "{} documents", outcome.documents);
}

#[test]
fn ten_million_empty_segments_of_edifact_are_a_hundred_problems() {
    ten_million_empty_segments(Format::Edifact, UNH, "'");
}

#[test]
fn ten_million_empty_segments_of_x12_are_a_hundred_problems() {
    ten_million_empty_segments(Format::X12, &[ISA, ST].concat(), "~");
}

#[test]
fn blanks_between_records_are_no_memory() {
    for (format, unit) in [
        (Format::Edifact, "\r\n"),
        (Format::X12, " "),
        (Format::Idoc, "\n"),
        (Format::Vda, " \n"),
        (Format::Lines, "\n"),
    ] {
        let outcome = read(format, "", unit, 3_000_000);
        assert!(outcome.documents <= 1 && outcome.nodes <= 2, "{format:?}");
    }
}

/// Nesting is refused where it is too deep, before it can take the stack.
#[test]
fn a_depth_bomb_has_its_place() {
    let code = |error: FrameError| (error.code, error.place.line, error.place.offset);
    let million = |unit: &str| unit.repeat(1_000_000).into_bytes();
    let limits = Limits::default();
    let error = |read: Result<Reading, FrameError>| code(read.unwrap_err());
    assert_eq!(error(json::read(&million("["), &limits)), ("too-deep", 1, 64));
    assert_eq!(error(json::read(&million("{\"a\":"), &limits)), ("too-deep", 1, 5 * 64));
    assert_eq!(error(xml::read(&million("<a>"), &limits)), ("too-deep", 1, 3 * 64));
    assert_eq!(error(xml::read(&million("<a>\n"), &limits)), ("too-deep", 65, 4 * 64));
}

/// Headers that are skipped are skipped one by one, and not each inside of the one before.
#[test]
fn twenty_thousand_headers_that_cannot_be_used_are_skipped() {
    let bad = "UNA++++++UNB+";
    for (format, head, unit) in
        [(Format::X12, ISA, "ISA*"), (Format::X12, ISA, "~ISA*A*"), (Format::Edifact, bad, bad)]
    {
        let outcome = read(format, head, unit, 20_000);
        assert_eq!(outcome.error, None, "{unit}");
        assert!(outcome.documents > 1000, "{unit}: {}", outcome.documents);
    }
}

/// A hierarchy of X12 is a chain of segments, however deep it says that it is.
#[test]
fn a_hierarchy_of_ten_thousand_levels_is_no_depth() {
    let mut text = [ISA, ST].concat();
    for level in 2..10_002 {
        text += &format!("HL*{level}*{}*I*1~", level - 1);
    }
    text += "SE*10002*0001~GE*1*1~IEA*1*000000001~";
    let reader = x12::Reader::new(text.as_bytes(), x12::ReadOptions::default());
    let set = reader.filter_map(|part| part.unwrap().into_message()).next().unwrap();
    assert_eq!(set.problems, []);
    // The envelope, and every segment below the root.
    assert_eq!(set.document.root().children().count(), 10_003);
}

/// Nothing stands for empty elements that nothing follows. Two million of them took minutes while
/// their separators were written and taken back for each.
#[test]
fn two_million_empty_elements_are_written_as_soon_as_they_are_read() {
    let limits = Limits { nodes: 4 << 20, ..Limits::default() };
    let options = edifact::ReadOptions { limits, ..Default::default() };
    for element in ["+", "+:", ":"] {
        let body = element.repeat(2_000_000 / element.len());
        let text = [UNH, "BGM+1", &body, "'UNT+3+1'UNZ+1+1'"].concat();
        let reader = edifact::Reader::new(text.as_bytes(), options);
        let message = reader.filter_map(|part| part.unwrap().into_message()).next().unwrap();
        let mut out = Vec::new();
        let problems = edifact::write(&message.document, &Default::default(), &mut out);
        assert_eq!(problems, []);
        assert!(out.len() < 200, "{} bytes", out.len());
    }
}

/// A million columns, and half a million elements side by side. Either took hours while each was
/// compared with, or counted among, all before it.
#[test]
fn many_columns_and_many_elements_are_read_in_time_linear_in_their_number() {
    let columns = [",".repeat(1_000_000), "\n1\n".to_owned()].concat();
    let outcome = drain(csv::Reader::new(columns.as_bytes(), csv::ReadOptions::default(), LIMITS));
    assert_eq!(outcome.error.map(|error| error.code), Some("too-many-nodes"));
    let limits = Limits { nodes: 2 << 20, ..LIMITS };
    let outcome = drain(csv::Reader::new(columns.as_bytes(), csv::ReadOptions::default(), limits));
    assert_eq!((outcome.error, outcome.documents), (None, 1));
    let mut builder = Builder::new();
    builder.open(Kind::Group, "row", 0);
    for column in 0..300_000 {
        builder.put(Kind::Text, &format!("c{column}"), "1", 0);
    }
    let (row, mut out) = (builder.finish(), Vec::new());
    assert_eq!(csv::write(&[&row], &[], csv::WriteOptions::default(), &mut out), []);
    let elements = ["<a>", &"<b/>".repeat(500_000), "</a>"].concat();
    let document = xml::read(elements.as_bytes(), &limits).unwrap().document;
    assert_eq!(document.len(), 500_001);
}
