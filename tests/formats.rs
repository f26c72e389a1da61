//! `waybill import`, `show`, `convert` and `ack` for every format: what they print, and which code
//! they end with. The directory of this test is written for it; that of the corpus is only measured.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not seen as tests")]
#![allow(clippy::print_stdout, reason = "a test that skips says so, and figures are read")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A place without any configuration, with definitions of its own.
struct Site {
    folder: TempDir,
}

struct Said {
    code: i32,
    out: Vec<u8>,
    err: String,
}

impl Said {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Site {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn with_definitions() -> Self {
        let site = Self::new();
        site.write("d21b.zip", &directory());
        assert_eq!(site.run(&["import", "edifact", "d21b.zip"], b"").code, 0);
        site
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path().join(name), content).unwrap();
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
        command.args(arguments).current_dir(self.path()).env_remove("WAYBILL_CONFIG");
        command.env("WAYBILL_DEFINITIONS", self.definitions());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that ends before it reads its input closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        Said { code: output.status.code().unwrap(), out: output.stdout, err }
    }

    fn definitions(&self) -> PathBuf {
        let folder = self.path().join("definitions");
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}

/// An archive of these files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const MESSAGE: &str = "
                 Vehicle report message

                                            Message Type : VEHREP
                                            Version      : D
                                            Release      : 21B
Pos     Tag Name                                     S   R

00010   UNH Message header                           M   1     
00020   BGM Beginning of message                     M   1     

00030       ---- Segment group 1  ------------------ C   2----------------+
00040   RFF Reference                                M   1                |
00050   DTM Date                                     C   9----------------+
00060   UNT Message trailer                          M   1     
";

const SEGMENTS: &str = "2.   Segment specifications

----------------------------------------------------------------------

       BGM  BEGINNING OF MESSAGE

       Function: To begin.

010    1004 DOCUMENT NUMBER                            M    1 an..9

----------------------------------------------------------------------

       RFF  REFERENCE

       Function: To refer.

010    C506 REFERENCE                                  M    1

----------------------------------------------------------------------

       DTM  DATE

       Function: To say when.

010    1004 DATE                                       M    1 an..9
";

const COMPOSITES: &str = "2.   Composite specifications

----------------------------------------------------------------------

       C506 REFERENCE

       Desc: A reference.

010    1153  Reference code qualifier                  M      an..3
020    1154  Reference identifier                      C      an..70
";

const CODES: &str = "1.   Code list UNCL

----------------------------------------------------------------------

     1004  Document number                                         [C]

     Repr: an..9

----------------------------------------------------------------------

     1153  Reference code qualifier                                [C]

     Repr: an..3

     AKG   Vehicle identification number
              That of a vehicle.

----------------------------------------------------------------------

     1154  Reference identifier                                    [C]

     Repr: an..70
";

/// A directory as the United Nations publish it, with archives in the archive.
fn directory() -> Vec<u8> {
    let inner = [("EDMD.ZIP", "VEHREP_D.21B", MESSAGE), ("EDSD.ZIP", "EDSD.21B", SEGMENTS)];
    let more = [("EDCD.ZIP", "EDCD.21B", COMPOSITES), ("UNCL.ZIP", "UNCL.21B", CODES)];
    let inner = inner.into_iter().chain(more);
    let inner: Vec<_> =
        inner.map(|(zipped, name, text)| (zipped, zip(&[(name, text.as_bytes())]))).collect();
    let files: Vec<_> = inner.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    zip(&files)
}

/// An interchange with a message of the directory.
fn interchange(reference: &str, body: &str) -> String {
    let count = body.matches('\'').count() + 2;
    format!(
        "UNB+UNOC:3+SND+RCV+261123:1200+{reference}'UNH+1+VEHREP:D:21B:UN'{body}UNT+{count}+1'\
         UNZ+1+{reference}'"
    )
}

const GOOD: &str = "BGM+4711'RFF+AKG:WBL1A2B37T4000017'DTM+1'RFF+AKG:X'";

fn isa(number: &str, body: &str) -> String {
    format!(
        "ISA*00*          *00*          *ZZ*SND            *ZZ*RCV            *261123*1200*U*00401*\
         {number}*0*P*>~GS*SM*SND*RCV*20261123*1200*1*X*004010~{body}GE*1*1~IEA*1*{number}~"
    )
}

// --- import -----------------------------------------------------------------------------------

#[test]
fn a_directory_is_compiled_and_named_by_its_release() {
    let site = Site::new();
    site.write("d21b.zip", &directory());
    let said = site.run(&["import", "edifact", "d21b.zip", "--json"], b"");
    assert_eq!(said.code, 0, "{}", said.err);
    let done = &said.lines()[0];
    for (name, value) in [("messages", 1), ("clean", 1), ("segments", 3), ("composites", 1)] {
        assert_eq!(done[name], value, "{name}");
    }
    assert_eq!((&done["elements"], &done["codes"]), (&3.into(), &1.into()));
    let file = site.definitions().join("edifact-D.21B.edidef");
    assert_eq!(fs::metadata(&file).unwrap().len(), done["bytes"].as_u64().unwrap());
    assert!(fs::read_to_string(file).unwrap().contains("\n group 1 0..2\n  RFF\n  DTM 0..9\n"));
    assert!(!site.definitions().join("edifact-D.21B.new").exists());
}

#[test]
fn what_cannot_be_imported_says_why() {
    let site = Site::new();
    let broken = MESSAGE.replace("9----------------+", "9----------------|");
    site.write("broken.zip", &zip(&[("A_D.21B", broken.as_bytes())]));
    let said = site.run(&["import", "edifact", "broken.zip"], b"");
    assert_eq!(said.code, 1);
    assert!(said.text().contains("A_D.21B:15:1: error: 0 lines are drawn"), "{}", said.text());
    site.write("cut.zip", &directory()[..200]);
    let said = site.run(&["import", "edifact", "cut.zip"], b"");
    assert_eq!(said.code, 3);
    assert_eq!(said.err, "waybill: cut.zip: no zip archive, or a broken one\n");
    assert_eq!(site.run(&["import", "edifact", "nowhere.zip"], b"").code, 3);
    site.write("release.json", b"{\n \"Release\": \"00401\",\n]");
    let said = site.run(&["import", "x12", "release.json"], b"");
    assert_eq!(said.code, 1);
    assert!(said.text().contains("release.json:3:1: error:"), "{}", said.text());
}

#[test]
fn directories_of_the_corpus_import_without_a_problem() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/defs");
    for (name, messages) in [("d96a", 125), ("d01b", 208), ("d21b", 210)] {
        let zip = corpus.join(format!("{name}.zip"));
        if !zip.is_file() {
            println!("skipped: no {}", zip.display());
            continue;
        }
        let site = Site::new();
        let said = site.run(&["import", "edifact", zip.to_str().unwrap(), "--json"], b"");
        println!("{name}: {}", said.text());
        let done = &said.lines()[0];
        assert_eq!((&done["messages"], &done["clean"]), (&messages.into(), &messages.into()));
        assert_eq!(done["problems"], serde_json::json!([]));
    }
}

// --- show -------------------------------------------------------------------------------------

#[test]
fn a_message_is_a_tree_of_groups_with_names_and_code_texts() {
    let site = Site::with_definitions();
    let said = site.run(&["show", "-"], interchange("77", GOOD).as_bytes());
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    for line in [
        "Message 1 VEHREP D:21B:UN 1 from SND to RCV (byte 34)",
        "UNH  Message header",
        "  2.1        VEHREP                    Type of the message",
        "BGM  Beginning of message",
        "  1          4711                      Document number",
        "SG1",
        "  RFF  Reference",
        "    1.1        AKG                       Reference code qualifier: Vehicle identification number",
        "    1.2        WBL1A2B37T4000017         Reference identifier",
        "1 messages, 0 errors, 0 warnings",
    ] {
        assert!(said.text().lines().any(|found| found == line), "{line}\n{}", said.text());
    }
}

#[test]
fn a_problem_has_its_line_and_a_caret_below_the_byte() {
    let site = Site::with_definitions();
    let file = interchange("77", "BGM+4711'\nRFF+A:ß+X'").replace("UNZ+1", "\nUNZ+2");
    let said = site.run(&["show", "-"], file.as_bytes());
    assert_eq!(said.code, 1);
    let expected = "\
! 2:9: segment 3: RFF/2: error: more than 1 elements
  | RFF+A:ß+X'UNT+4+1'
  |         ^
";
    assert!(said.text().contains(expected), "{}", said.text());
    assert!(said.text().contains("Interchange 77 from SND to RCV (byte 0)\n"), "{}", said.text());
    assert!(said.text().contains("2 messages, there are 1\n  | UNZ+2+77'\n  |     ^\n"));
}

#[test]
fn each_level_finds_what_it_names() {
    let site = Site::with_definitions();
    let file = interchange("77", "RFF+ZZZZ:1'BGM+4711'RFF+QQ:1'");
    for (level, codes) in [
        ("0", vec![]),
        ("1", vec!["too-long"]),
        ("2", vec!["missing-segment", "too-long", "wrong-order"]),
        ("3", vec!["missing-segment", "too-long", "wrong-order", "unknown-value"]),
    ] {
        let said = site.run(&["show", "--json", "--level", level, "-"], file.as_bytes());
        let objects = said.lines();
        let problems = objects[0]["problems"].as_array().unwrap();
        let found: Vec<_> = problems.iter().map(|p| p["code"].as_str().unwrap()).collect();
        assert_eq!(found, codes, "level {level}");
        assert_eq!(said.code, i32::from(!codes.is_empty()));
    }
    site.write(
        "own.edidef",
        b"waybill-edi 1\nedifact D.21B profile\nmessage VEHREP\n UNH\n BGM\n UNT\n",
    );
    let good = interchange("77", GOOD);
    assert_eq!(site.run(&["show", "-"], good.as_bytes()).code, 0);
    let arguments = ["show", "--json", "--level", "4", "--profile", "own.edidef", "-"];
    let said = site.run(&arguments, good.as_bytes());
    assert_eq!(said.lines()[0]["problems"][0]["code"], "unknown-segment");
    assert_eq!(site.run(&["show", "--level", "5", "-"], b"").code, 2);
}

#[test]
fn json_says_what_a_message_is_and_where_its_parts_stand() {
    let site = Site::with_definitions();
    let said = site.run(&["show", "--json", "-"], interchange("77", GOOD).as_bytes());
    let objects = said.lines();
    assert_eq!(objects.len(), 2, "a message and its interchange");
    let message = &objects[0];
    assert_eq!((&message["format"], &message["part"]), (&"edifact".into(), &"message".into()));
    assert_eq!((&message["type"], &message["version"]), (&"VEHREP".into(), &"D:21B:UN".into()));
    assert_eq!(message["references"]["interchange"], "77");
    assert_eq!(message["envelope"][0]["segment"], "UNB");
    let group = &message["segments"][2];
    assert_eq!(group["group"], "SG1");
    let rff = &group["segments"][0];
    assert_eq!((&rff["segment"], &rff["index"]), (&"RFF".into(), &3.into()));
    assert_eq!(rff["text"], "Reference");
    assert_eq!(rff["elements"][0][1], "WBL1A2B37T4000017");
    assert_eq!(objects[1]["part"], "interchange");
}

#[test]
fn every_format_of_the_test_data_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let site = Site::new();
    let csv = b"dealer;name\n1;A\n".as_slice();
    let vda = format!("{:128}\n{:128}\n", "71103", "71902");
    for (format, input, expected) in [
        ("csv", csv, "dealer     1"),
        ("json", b"{\"a\": {\"b\": [1, 2.50]}}".as_slice(), "b"),
        ("jsonl", b"{\"a\": 1}\n{\"a\": 2}\n".as_slice(), "2 documents,"),
        ("xml", b"<a x='1'><b>t</b></a>".as_slice(), "b          t"),
        ("vda", vda.as_bytes(), "711"),
        ("x12", isa("000000001", "ST*214*0001~B10*1*2*3~SE*3*0001~").as_bytes(), "ST  Set header"),
    ] {
        let named = ["show", "--format", format, "-"];
        let told = if format == "csv" { named.to_vec() } else { vec!["show", "-"] };
        let said = site.run(&told, input);
        assert!(said.text().contains(expected), "{format}: {}{}", said.text(), said.err);
        let said = site.run(&["show", "--json", "--format", format, "-"], input);
        assert_eq!(said.lines()[0]["format"], format);
    }
    for folder in ["edifact", "x12", "idoc", "idoc-xml", "vda"] {
        for case in fs::read_dir(root.join("testdata").join(folder)).unwrap() {
            for file in fs::read_dir(case.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                if path.file_stem().is_none_or(|stem| stem != "input") {
                    continue;
                }
                let name = path.to_str().unwrap();
                let said = site.run(&["show", "--json", "--format", folder, name], b"");
                assert!(said.code == 0 || said.code == 1, "{name}: {}", said.err);
                said.lines();
            }
        }
    }
}

// --- convert ----------------------------------------------------------------------------------

#[test]
fn messages_come_back_from_json() {
    let site = Site::with_definitions();
    let two = interchange("77", GOOD) + &interchange("78", GOOD);
    let version_4 = "UNB+UNOC:4+SND+RCV+20261123:1200+1'UNH+1+VEHREP:D:96A:UN'IMD+a*b:c**d+?+?''\
                     UNT+3+1'UNZ+1+1'";
    let odd = "UNA:+,? 'UNB+UNOC:3+SND+RCV+261123:1200+1'UNG+ODDMSG+A+B+261123:1200+9+UN+D:21B'\
               UNH+1+ODDMSG:D:21B:UN'BGM+?'??'SEG:1:2+x'UNT+4+1'UNE+1+9'UNZ+1+1'";
    let x12 = isa("000000001", "ST*214*0001~B10*1**3~AT7*X1*NS>b~SE*4*0001~");
    let again = x12.clone() + &x12;
    // TA1 stands beside the groups of an interchange, or alone.
    let (head, rest) = x12.split_at(106);
    let ta1 = "TA1*000000905*261122*1200*A*000~";
    let services = format!("{head}{ta1}{rest}{head}{ta1}IEA*0*000000001~");
    for (format, file) in [
        ("edifact", two.as_str()),
        ("edifact", version_4),
        ("edifact", odd),
        ("x12", &x12),
        ("x12", &again),
        ("x12", &services),
    ] {
        let json = site.run(&["convert", "--to", "json", "-"], file.as_bytes());
        assert_eq!((json.code, json.err.as_str()), (0, ""), "{file}");
        let back = site.run(&["convert", "--to", format, "--format", "json", "-"], &json.out);
        assert_eq!(back.text(), file, "{}{}", json.text(), back.err);
        // What `show` prints can be written as well.
        let shown = site.run(&["show", "--json", "-"], file.as_bytes());
        let back = site.run(&["convert", "--to", format, "--format", "jsonl", "-"], &shown.out);
        assert_eq!((back.text(), back.err.as_str()), (file, ""));
    }
}

#[test]
fn idocs_go_between_flat_xml_and_json() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schemas = root.join("mappings/schemas/idoc");
    let case = "mappings/customer-changed/cases/dealer-with-everything/event.idoc";
    let flat = fs::read(root.join(case)).unwrap();
    let site = Site::new();
    let two = [flat.as_slice(), &flat].concat();
    let convert = |to: &str, input: &[u8]| {
        let schemas = schemas.to_str().unwrap();
        let said = site.run(&["convert", "--schemas", schemas, "--to", to, "-"], input);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "to {to}");
        said.out
    };
    let xml = convert("idoc-xml", &two);
    assert_eq!(String::from_utf8_lossy(&xml).matches("<IDOC ").count(), 2);
    assert_eq!(convert("idoc", &two), two);
    let schema = schemas.to_str().unwrap();
    let anew = ["convert", "--rewrite", "--schemas", schema, "--to", "idoc", "-"];
    let normal = site.run(&anew, &two).out;
    assert_eq!(convert("idoc", &xml), normal);
    assert_eq!(convert("idoc", &convert("json", &two)), normal);
    assert_eq!(convert("idoc", &convert("json", &xml)), normal);
    assert_eq!(convert("idoc-xml", &convert("json", &xml)), xml);
}

#[test]
fn a_flat_idoc_without_a_definition_is_written_as_it_came() {
    let site = Site::new();
    // Of another release than any definition, trimmed, with a mark, and blanks at the end.
    let idoc = |line_end: &str| {
        format!(
            "\u{feff}EDI_DC40{:31}ORDERS05{line_end}E2EDK01003{:39}000007000003  EUR{line_end}\
             EDI_DC40{:31}ORDERS05{line_end}E2EDK01003 {line_end}{line_end}\u{1a}",
            "", "", ""
        )
    };
    for line_end in ["\n", "\r\n"] {
        let said = site.run(&["convert", "--to", "idoc", "-"], idoc(line_end).as_bytes());
        assert_eq!((said.code, said.text()), (0, idoc(line_end).as_str()), "{}", said.err);
    }
    let anew = site.run(&["convert", "--to", "idoc", "--rewrite", "-"], idoc("\n").as_bytes());
    assert_eq!(anew.code, 1, "without a definition nothing can be made anew");
    // A document with an error is left out, and only that.
    let (broken, good) = (format!("{:1063}\u{7}x\n", "E2EDK01003"), "EDI_DC40\nE2EDK14\n");
    let file = format!("{good}EDI_DC40\n{broken}{good}");
    let said = site.run(&["convert", "--to", "idoc", "-"], file.as_bytes());
    assert_eq!((said.code, said.text()), (1, good.repeat(2).as_str()), "{}", said.err);
}

#[test]
fn every_flat_idoc_of_the_corpus_is_written_as_it_came() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/idoc/flat");
    let Ok(entries) = fs::read_dir(&corpus) else {
        println!("skipped: no {}", corpus.display());
        return;
    };
    let site = Site::new();
    let mut count = 0;
    for file in entries.map(|entry| entry.unwrap().path()) {
        let said = site.run(&["convert", "--to", "idoc", file.to_str().unwrap()], b"");
        assert_eq!(said.code, 0, "{}: {}", file.display(), said.err);
        assert!(said.out == fs::read(&file).unwrap(), "{}", file.display());
        count += 1;
    }
    println!("{count} flat IDoc files, byte for byte");
}

#[test]
fn rows_and_values_go_between_csv_json_and_xml() {
    let site = Site::new();
    let csv = b"dealer,name\n0001,\"A, B\"\n0002,C\n";
    let json = site.run(&["convert", "--format", "csv", "--to", "json", "-"], csv);
    assert_eq!(
        json.text(),
        "{\"dealer\":\"0001\",\"name\":\"A, B\"}\n{\"dealer\":\"0002\",\"name\":\"C\"}\n"
    );
    assert_eq!(site.run(&["convert", "--to", "csv", "-"], &json.out).out, csv);
    let xml = site.run(&["convert", "--to", "xml", "-"], b"{\"a\": [1, 2.50]}");
    assert!(xml.text().contains("<a>1</a><a>2.50</a>"), "{}", xml.text());
    let said = site.run(&["convert", "--to", "xml", "-"], b"{\"a\": 1}\n{\"a\": 2}\n");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("an XML file holds one document"), "{}", said.err);
}

#[test]
fn cells_that_a_spreadsheet_would_compute_are_neutralised_where_asked() {
    let site = Site::new();
    let rows = b"{\"=a\":\"=cmd|' /C calc'!A0\",\"b\":\"-1\"}\n";
    let convert = ["convert", "--format", "jsonl", "--to", "csv", "-"];
    assert_eq!(site.run(&convert, rows).text(), "=a,b\n=cmd|' /C calc'!A0,-1\n");
    let asked = [&convert[..], &["--spreadsheet"]].concat();
    assert_eq!(site.run(&asked, rows).text(), "'=a,b\n'=cmd|' /C calc'!A0,'-1\n");
}

#[test]
fn xml_declares_nothing_includes_nothing_and_is_bounded() {
    let site = Site::new();
    site.write("secret", b"geheim");
    let entities: String = (1..10)
        .map(|at| format!("<!ENTITY e{at} \"{}\">", format!("&e{};", at - 1).repeat(10)))
        .collect();
    let names: String = (0..100).map(|at| format!("<n{at}:a xmlns:n{at}=\"u:{at}\">")).collect();
    for (bomb, code) in [
        (format!("<!DOCTYPE a [<!ENTITY e0 \"x\">{entities}]><a>&e9;</a>"), "dtd"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM \"secret\">]><a>&x;</a>".to_owned(), "dtd"),
        ("<!DOCTYPE a SYSTEM \"secret\"><a/>".to_owned(), "dtd"),
        ("<a>&x;</a>".to_owned(), "unknown-entity"),
        ("<a>".repeat(100_000), "too-deep"),
        (names, "too-deep"),
        (format!("<a b=\"{}\"/>", "x".repeat(17 << 20)), "too-long"),
    ] {
        let said = site.run(&["show", "--format", "xml", "--json", "-"], bomb.as_bytes());
        assert_eq!(said.code, 1, "{code}");
        assert_eq!(said.lines()[0]["problems"][0]["code"], code);
        assert!(!said.text().contains("geheim") && said.out.len() < 2000, "{}", said.text());
    }
    let include = br#"<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="secret" parse="text"/></a>"#;
    for arguments in [&["show", "-"][..], &["convert", "--to", "json", "-"]] {
        let said = site.run(arguments, include);
        assert!(said.code == 0 && !said.text().contains("geheim"), "{}", said.text());
    }
}

#[test]
fn what_is_faulty_is_left_out_unless_it_is_wanted() {
    let site = Site::with_definitions();
    let faulty = interchange("77", "RFF+AKG:1'");
    let said = site.run(&["convert", "--to", "json", "-"], faulty.as_bytes());
    assert_eq!((said.code, said.text()), (1, ""));
    assert!(said.err.contains("mandatory segment BGM is missing"), "{}", said.err);
    let said = site.run(&["convert", "--anyway", "--to", "json", "-"], faulty.as_bytes());
    assert_eq!((said.code, said.lines().len()), (0, 2), "the message and its interchange");
    let said = site.run(&["convert", "--to", "x12", "-"], faulty.as_bytes());
    assert_eq!(said.code, 2);
    assert!(said.err.contains("edifact cannot become x12"), "{}", said.err);
    let said = site.run(&["convert", "--to", "edifact", "-"], b"{\"segments\": [{\"x\": 1}]}");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("one of `segment`, `group` and `field` expected"), "{}", said.err);
    let unknown = site.run(&["convert", "--to", "idoc", "-"], b"{\"segments\": []}");
    assert!(unknown.err.contains("name a folder with --schemas"), "{}", unknown.err);
}

// --- ack --------------------------------------------------------------------------------------

/// The answer without its date and time.
fn undated(text: &str) -> String {
    let elements: Vec<_> = text.split('+').collect();
    elements.into_iter().filter(|part| !is_date(part)).collect::<Vec<_>>().join("+")
}

fn is_date(part: &str) -> bool {
    part.len() == 11 && part.as_bytes()[6] == b':'
}

#[test]
fn an_interchange_is_answered_by_what_is_wrong_with_it() {
    let site = Site::with_definitions();
    let said = site.run(&["ack", "-"], interchange("77", GOOD).as_bytes());
    assert_eq!(said.code, 0);
    assert_eq!(
        undated(said.text()),
        "UNB+UNOC:3+RCV+SND+1'UNH+1+CONTRL:D:3:UN'UCI+77+SND+RCV+7'UNT+3+1'UNZ+1+1'\n"
    );
    let faulty = interchange("77", "BGM+4711'RFF+AKG:1'RFF+AKG:1'RFF+AKG:1+2'");
    let said = site.run(&["ack", "--control-number", "5", "-"], faulty.as_bytes());
    assert_eq!(said.code, 1);
    let answer = undated(said.text());
    assert!(answer.contains("UCM+1+VEHREP:D:21B:UN+4'UCS+5+36'UCD+16+3'"), "{answer}");
    assert!(answer.ends_with("UNZ+1+5'\n"), "{answer}");
    let said = site.run(&["ack", "--kind", "contrl4", "-"], interchange("77", GOOD).as_bytes());
    assert!(said.text().contains("UNH+1+CONTRL:4:1:UN'"), "{}", said.text());
}

#[test]
fn an_interchange_that_was_seen_before_is_refused_as_such() {
    let site = Site::new();
    let file = interchange("77", GOOD);
    let said = site.run(&["ack", "--seen", "76", "--seen", "77", "-"], file.as_bytes());
    assert_eq!(said.code, 1);
    assert!(said.text().contains("UCI+77+SND+RCV+4+26+UNB+6'"), "{}", said.text());
    // Twice in one file is seen, too; the same number of another sender is another interchange.
    let other = file.replace("+SND+", "+OTH+");
    let said = site.run(&["ack", "--json", "-"], format!("{file}{other}{file}").as_bytes());
    let texts: Vec<_> =
        said.lines().iter().map(|one| one["text"].as_str().unwrap().to_owned()).collect();
    let refused: Vec<_> = texts.iter().map(|text| text.contains("+4+26+UNB+6'")).collect();
    assert_eq!(refused, [false, false, true]);
    site.write("received.txt", b"1\n\n000000042\n");
    let file = isa("000000042", "ST*214*0001~B10*1*2*3~SE*3*0001~");
    for seen in [vec!["--seen", "42"], vec!["--seen-in", "received.txt"]] {
        let arguments = [vec!["ack"], seen, vec!["-"]].concat();
        let said = site.run(&arguments, file.as_bytes());
        assert_eq!(said.code, 1);
        assert!(said.text().contains("TA1*000000042*261123*1200*R*025~"), "{}", said.text());
        assert!(!said.text().contains("ST*997"), "its groups are not answered again");
    }
}

#[test]
fn sets_are_answered_by_997_or_999() {
    let site = Site::new();
    let file = isa("000000001", "ST*214*0001~B10*1*2*3~SE*4*0001~");
    let said = site.run(&["ack", "--lenient", "-"], file.as_bytes());
    assert_eq!(said.code, 0, "a wrong count is a warning where that is asked for");
    assert!(said.text().contains("AK2*214*0001~AK5*E*4~AK9*"), "{}", said.text());
    let said = site.run(&["ack", "-"], file.as_bytes());
    assert_eq!(said.code, 1);
    assert!(said.text().contains("AK2*214*0001~AK5*R*4~AK9*R*1*1*0~"), "{}", said.text());
    let said = site.run(&["ack", "--strict", "--kind", "999", "--newline", "-"], file.as_bytes());
    assert!(said.text().contains("IK5*R*4~\nAK9*"), "{}", said.text());
    let asks = file.replace("*0*P*", "*1*P*").replace("SE*4", "SE*3");
    let said = site.run(&["ack", "--json", "-"], asks.as_bytes());
    let lines = said.lines();
    let kinds: Vec<_> = lines.iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!((said.code, kinds), (0, vec!["997", "interchange"]));
    assert_eq!(lines[1]["answers"]["interchange"], "000000001");
}

#[test]
fn an_interchange_that_cannot_be_answered_leaves_the_others_theirs() {
    let site = Site::new();
    let anonymous = interchange("76", GOOD).replace("+SND+", "++");
    let long = interchange("77", GOOD).replace("+SND+", &format!("+{:036}+", 1));
    let file = [anonymous, long, interchange("78", GOOD)].concat();
    let said = site.run(&["ack", "-"], file.as_bytes());
    assert_eq!(said.code, 1);
    let answers: Vec<_> = said.text().lines().collect();
    assert!(answers.len() == 1 && answers[0].contains("UCI+78+"), "{answers:?}");
    assert!(
        said.err.contains("byte 0: an interchange without sender or recipient"),
        "{}",
        said.err
    );
    assert!(said.err.contains("cannot be written: byte"), "{}", said.err);
}

#[test]
fn an_acknowledgement_is_never_acknowledged() {
    let site = Site::with_definitions();
    let answer = site.run(&["ack", "-"], interchange("77", GOOD).as_bytes());
    let said = site.run(&["ack", "-"], &answer.out);
    assert_eq!((said.code, said.text()), (0, ""));
    assert_eq!(said.err, "waybill: nothing to acknowledge\n");
    let sets = isa("000000001", "ST*214*0001~B10*1*2*3~SE*3*0001~");
    let answer = site.run(&["ack", "-"], sets.as_bytes());
    assert!(answer.text().contains("ST*997"));
    assert_eq!(site.run(&["ack", "-"], &answer.out).text(), "");
    let said = site.run(&["ack", "--requested", "-"], interchange("77", GOOD).as_bytes());
    assert_eq!((said.code, said.text()), (0, ""), "the sender did not ask for it");
    assert_eq!(site.run(&["ack", "-"], b"{}").code, 3);
}

// --- damage -----------------------------------------------------------------------------------

/// An interchange of three orders, and what becomes of it when a text in it is replaced.
fn orders(from: &str, to: &str) -> String {
    let order = |n| format!("UNH+{n}+ORDERS:D:96A:UN'BGM+220+{n}00+9'UNT+3+{n}'");
    let all = [1, 2, 3].map(order).concat();
    let whole = format!("UNB+UNOC:3+SND+RCV+261123:1200+77'{all}UNZ+3+77'");
    let damaged = whole.replacen(from, to, 1);
    assert_ne!(damaged, whole, "{from} is replaced");
    damaged
}

/// Damage, and what a CONTRL says of it (ISO 9735-4, code list 0085).
const DAMAGED_ORDERS: &[(&str, &str, &str)] = &[
    (
        "UNH+2+ORDERS:D:96A:UN'BGM+220+200+9'UNT+3+2'UNH+3+ORDERS:D:96A:UN'BGM+220+300+9'UNT+3+3'UNZ+3+77'",
        "",
        "UCI+77+SND+RCV+4+13+UNZ'",
    ),
    ("UNZ+3+77'", "", "UCI+77+SND+RCV+4+13+UNZ'"),
    ("UNZ+3", "UNZ+4", "UCI+77+SND+RCV+4+29+UNZ+2'"),
    ("UNZ+3+77", "UNZ+3+78", "UCI+77+SND+RCV+4+28+UNZ+3'"),
    ("UNT+3+1", "UNT+9+1", "UCM+1+ORDERS:D:96A:UN+4+29+UNT+2'"),
    ("UNT+3+1", "UNT+3+9", "UCM+1+ORDERS:D:96A:UN+4+28+UNT+3'"),
    ("UNT+3+1'", "", "UCM+1+ORDERS:D:96A:UN+4+13+UNT'"),
];

#[test]
fn damage_of_an_interchange_is_not_acknowledged() {
    let site = Site::new();
    for (from, to, answer) in DAMAGED_ORDERS {
        let said = site.run(&["ack", "-"], orders(from, to).as_bytes());
        assert_eq!(said.code, 1, "{from} -> {to}");
        assert!(said.text().contains(answer), "{from} -> {to}: {}", said.text());
        for command in ["show", "convert"] {
            let to_edifact = if command == "convert" { &["--to", "edifact"][..] } else { &[] };
            let arguments = [&[command, "-"], to_edifact].concat();
            let code = site.run(&arguments, orders(from, to).as_bytes()).code;
            assert_eq!(code, 1, "{command}: {from} -> {to}");
        }
    }
}

#[test]
fn damage_of_an_x12_interchange_is_not_acknowledged() {
    let site = Site::new();
    let set = |n| format!("ST*850*000{n}~BEG*00*NE*{n}**20261123~SE*3*000{n}~");
    let whole = isa("000000007", &[set(1), set(2)].concat()).replace("*0*P*", "*1*P*");
    let end = whole.find("~GE*").unwrap();
    let trailers = &whole[end + 1..];
    for (from, to, answers) in [
        (trailers, "", ["~AK9*R*2*2*0*3~", "TA1*000000007*261123*1200*R*023~"]),
        ("SE*3*0001", "SE*4*0001", ["~AK5*R*4~", "TA1*000000007*261123*1200*A*000~"]),
        ("SE*3*0001", "SE*3*0009", ["~AK5*R*3~", "TA1*000000007*261123*1200*A*000~"]),
    ] {
        let said = site.run(&["ack", "-"], whole.replacen(from, to, 1).as_bytes());
        assert_eq!(said.code, 1, "{from} -> {to}");
        for answer in answers {
            assert!(said.text().contains(answer), "{from} -> {to}: {}", said.text());
        }
    }
}

#[test]
fn what_only_a_count_says_is_accepted_where_that_is_asked_for() {
    let site = Site::new();
    let said = site.run(&["ack", "--lenient", "-"], orders("UNZ+3", "UNZ+4").as_bytes());
    assert_eq!(said.code, 0);
    assert!(said.text().contains("UCI+77+SND+RCV+7'"), "{}", said.text());
    let said = site.run(&["show", "--lenient", "--strict", "-"], b"");
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn an_interchange_that_lost_a_message_is_not_written_as_a_whole_one() {
    let site = Site::new();
    let convert = |file: &str, more: &[&str]| {
        site.run(&[&["convert", "--to", "edifact", "-"], more].concat(), file.as_bytes())
    };
    for (from, to) in [("UNH+1", "NH+1"), ("UNT+3+1", "UNT+9+1"), ("UNT+3+3'", "")] {
        let file = orders(from, to);
        let said = convert(&file, &[]);
        assert_eq!((said.code, said.text()), (1, ""), "{from} -> {to}");
        assert!(said.err.contains("it is not written; --anyway writes what is left of it"));
        let last = said.err.lines().last().unwrap();
        let expected = if from == "UNH+1" {
            "2 documents read, 2 left out"
        } else {
            "3 documents read, 3 left out"
        };
        assert!(last.contains(expected), "{from} -> {to}: {last}");
        let said = convert(&file, &["--anyway"]);
        assert!(said.text().starts_with("UNB+"), "{}", said.text());
    }
    // An interchange without any message left is none.
    let one = "UNB+UNOC:3+SND+RCV+261123:1200+77'UNH+1+ORDERS:D:96A:UN'BGM+220'UNZ+1+77'";
    assert_eq!(convert(one, &[]).text(), "");
}
