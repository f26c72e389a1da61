//! What reading takes of memory: the peak of a process that reads a gigabyte, less that of one that
//! reads a few documents of the same kind.
//!
//! `cargo bench -p waybill-parsers --bench memory [-- [MEGABYTES] [--waybill PROGRAM]]`. Inputs are
//! generated while they are read, so that nothing else takes memory. With a program, `waybill show`
//! and `waybill convert` read the same from standard input.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may end")]

use std::io::{self, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use waybill_parsers::segment::{Part, Segments, Separators};
use waybill_parsers::{FrameError, Limits, Reading, edifact, fixed, idoc, vda, x12};

/// Bytes that the process for comparison reads.
const FEW: u64 = 200_000;

/// An input, and how it is read.
struct Case {
    name: &'static str,
    /// The format for `--format`, and what it is converted to; nothing where it is no file for these.
    convert: Option<(&'static str, &'static str)>,
    head: String,
    unit: fn(u64, &mut String),
    tail: &'static str,
    /// Of the bytes that were asked for, this share is read.
    share: f64,
    read: fn(Input) -> String,
}

fn cases() -> Vec<Case> {
    let isa = format!(
        "ISA*00*{:10}*00*{:10}*ZZ*{:15}*ZZ*{:15}*261122*1200*U*00401*000000001*0*P*>~\
         GS*SH*A*B*20261122*1200*1*X*004010~",
        "", "", "SENDERID", "RECEIVERID"
    );
    let unb = "UNB+UNOA:3+A+B+261122:1200+1'".to_owned();
    let unh = unb.clone() + "UNH+1+INVOIC:D:96A:UN'";
    let case = |name, (convert, share), (head, unit, tail), read| Case {
        name,
        convert,
        head,
        unit,
        tail,
        share,
        read,
    };
    let whole = |from, to| (Some((from, to)), 1.0);
    let (part, full) = ((None, 0.1), (None, 1.0));
    let nothing = || String::new();
    vec![
        case("EDIFACT, messages", whole("edifact", "json"), (unb, message, "UNZ+1+1'"), edifact),
        case("X12, sets", whole("x12", "json"), (isa.clone(), set, "GE*1*1~IEA*1*000000001~"), x12),
        case("IDoc", whole("idoc", "idoc-xml"), (nothing(), records, ""), flat),
        case(
            "IDoc-XML",
            whole("idoc-xml", "idoc"),
            ("<ZVEHREG01>".into(), tree, "</ZVEHREG01>"),
            xml,
        ),
        // Not by the program: these records lack most fields, and it shows the line of each.
        case("VDA 4913", full, (nothing(), transmission, ""), fixed_records),
        case(
            "one EDIFACT message, segments",
            part,
            (unh.clone(), line, "UNT+1+1'"),
            segments::<false>,
        ),
        case(
            "one X12 set, segments",
            part,
            (isa + "ST*856*0001~", hierarchy, ""),
            segments::<true>,
        ),
        case("one EDIFACT segment", full, (unh.clone() + "FTX+", letters, ""), edifact),
        case("ten million empty segments", (None, 0.01), (unh, terminators, ""), edifact),
    ]
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).map(String::as_str)
    };
    if let Some(number) = after("--case") {
        let bytes = after("--bytes").unwrap().parse().unwrap();
        let case = cases().swap_remove(number.parse().unwrap());
        let said = (case.read)(Input::new(case, bytes));
        return println!("{} {said}", peak("self"));
    }
    let megabytes = words.iter().find_map(|word| word.parse::<u64>().ok()).unwrap_or(1000);
    for (number, case) in cases().into_iter().enumerate() {
        let bytes = (megabytes as f64 * 1e6 * case.share) as u64;
        let run = |bytes: u64| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--case", &number.to_string(), "--bytes", &bytes.to_string()]);
            let output = command.output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let (peak, said) = text.trim().split_once(' ').unwrap();
            (peak.parse::<u64>().unwrap(), said.to_owned())
        };
        let ((base, _), (most, said)) = (run(FEW), run(bytes));
        print_row(case.name, bytes, (base, most), &said);
        let (Some(program), Some((from, to))) = (after("--waybill"), case.convert) else {
            continue;
        };
        for (command, arguments) in [
            ("show", vec!["--format", from, "-"]),
            ("convert", vec!["--format", from, "--to", to, "--anyway", "-"]),
        ] {
            let begun = Instant::now();
            let run = |bytes: u64| piped(Path::new(program), command, &arguments, number, bytes);
            let (base, most) = (run(FEW), run(bytes));
            let said = format!("{:.0} s", begun.elapsed().as_secs_f64());
            print_row(&format!("  waybill {command}"), bytes, (base, most), &said);
        }
    }
}

fn print_row(name: &str, bytes: u64, (base, most): (u64, u64), said: &str) {
    let more = (most.saturating_sub(base)) as f64 / 1e3;
    println!(
        "{name:32} {:5} MB: base {:5.1} MB, peak {:5.1} MB, {more:+5.1} MB  {said}",
        bytes / 1_000_000,
        base as f64 / 1e3,
        most as f64 / 1e3,
    );
}

/// The peak of a command that reads from standard input, once all was written.
fn piped(program: &Path, command: &str, arguments: &[&str], number: usize, bytes: u64) -> u64 {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mappings/schemas/idoc");
    let mut child = Command::new(program)
        .arg(command)
        .args(arguments)
        .arg("--schemas")
        .arg(schemas)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut input = Input::new(cases().swap_remove(number), bytes);
    io::copy(&mut input, &mut stdin).unwrap();
    stdin.flush().unwrap();
    let peak = peak(&child.id().to_string());
    drop(stdin);
    child.wait().unwrap();
    peak
}

/// The most that a process had in memory, in kB.
fn peak(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The head, units until there are enough bytes, and the tail.
struct Input {
    case: Case,
    left: u64,
    number: u64,
    buffer: String,
    at: usize,
}

impl Input {
    fn new(case: Case, bytes: u64) -> Self {
        let buffer = case.head.clone();
        Self { case, left: bytes, number: 0, buffer, at: 0 }
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.buffer.len() {
            (self.at, self.number) = (0, self.number + 1);
            self.buffer.clear();
            match self.left {
                0 if self.case.tail.is_empty() => return Ok(0),
                0 => self.buffer.push_str(std::mem::take(&mut self.case.tail)),
                _ => (self.case.unit)(self.number, &mut self.buffer),
            }
            self.left = self.left.saturating_sub(self.buffer.len() as u64);
        }
        let rest = &self.buffer.as_bytes()[self.at..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

fn message(number: u64, out: &mut String) {
    *out += &format!("UNH+{number}+INVOIC:D:96A:UN'BGM+380+{number}+9'DTM+137:20261122:102'");
    for at in 1..=20 {
        line(at, out);
    }
    *out += &format!("CNT+2:20'UNT+{}+{number}'", 20 * 4 + 5);
}

fn line(number: u64, out: &mut String) {
    *out += &format!(
        "LIN+{number}++4012345000009:EN'QTY+47:{number}:PCE'PRI+AAA:12.50::NTP'\
         FTX+AAI+++NO?'NE OF THEM'"
    );
}

fn set(number: u64, out: &mut String) {
    *out += &format!("ST*856*{number:04}~BSN*00*{number}*20261122*1200~");
    (1..=30).for_each(|at| hierarchy(at, out));
    *out += &format!("CTT*30~SE*{}*{number:04}~", 30 * 2 + 4);
}

fn hierarchy(number: u64, out: &mut String) {
    *out += &format!("HL*{number}*1*I*0~LIN*{number}*BP*12345678*VN*WAY1ZZZA6TB000017~");
}

fn records(number: u64, out: &mut String) {
    let control = format!("{:39}{:30}", "EDI_DC40", "ZVEHREG01");
    let header = format!("{:63}WAY1ZZZA6TB{:06}", "Z2VHHDR000", number % 1_000_000);
    *out += &format!("{control:524}\n{header:1063}\n");
    (0..8).for_each(|_| *out += &format!("{:1063}\n", format!("{:63}a text", "Z2VHTXT000")));
}

fn tree(number: u64, out: &mut String) {
    *out += "<IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"><IDOCTYP>ZVEHREG01</IDOCTYP></EDI_DC40>\n";
    *out += &format!("<Z1VHHDR SEGMENT=\"1\"><VIN>WAY1ZZZA6TB{:06}</VIN>", number % 1_000_000);
    (0..20).for_each(|_| *out += "<Z1VHTXT SEGMENT=\"1\"><TDLINE>a text</TDLINE></Z1VHTXT>\n");
    *out += "</Z1VHHDR></IDOC>\n";
}

fn transmission(_: u64, out: &mut String) {
    *out += &format!("{:128}\n{:128}\n{:128}\n", "71103", "71203", "71303");
    (0..20).for_each(|_| *out += &format!("{:128}\n", "71401"));
    *out += &format!("{:128}\n", "71902");
}

fn letters(_: u64, out: &mut String) {
    *out += &"x".repeat(1000);
}

fn terminators(_: u64, out: &mut String) {
    *out += &"'".repeat(1000);
}

/// Reads everything, and says what there was of it.
fn drain<T>(
    readings: impl Iterator<Item = Result<T, FrameError>>,
    mut reading: impl FnMut(&T) -> &Reading,
) -> String {
    let (mut documents, mut problems, mut end) = (0, 0, String::new());
    for found in readings {
        match found {
            Ok(found) => {
                documents += 1;
                problems += reading(&found).problems.len();
            }
            Err(error) => end = format!("; {}: {error}", error.code),
        }
    }
    format!("{documents} documents, {problems} problems{end}")
}

fn edifact(input: Input) -> String {
    drain(edifact::Reader::new(input, edifact::ReadOptions::default()), Part::reading)
}

fn x12(input: Input) -> String {
    drain(x12::Reader::new(input, x12::ReadOptions::default()), Part::reading)
}

fn types() -> Arc<idoc::Types> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../mappings/schemas/idoc/ZVEHREG01.idoc");
    let mut types = idoc::Types::new();
    types.add(Arc::new(idoc::read_schema(&std::fs::read(file).unwrap()).unwrap()));
    Arc::new(types)
}

fn flat(input: Input) -> String {
    drain(idoc::Reader::new(BufReader::new(input), types(), Limits::default()), |reading| reading)
}

fn xml(input: Input) -> String {
    let input = BufReader::new(input);
    drain(idoc::xml::Reader::new(input, types(), Limits::default()), |reading| reading)
}

fn fixed_records(input: Input) -> String {
    let input = BufReader::new(input);
    drain(fixed::Reader::new(input, Arc::new(vda::types()), Limits::default()), |reading| reading)
}

fn segments<const X12: bool>(input: Input) -> String {
    let separators = if X12 { Separators::X12 } else { Separators::EDIFACT };
    let mut segments = Segments::new(input, separators, &Limits::default());
    let (mut count, mut elements) = (0_u64, 0);
    while let Some(segment) = segments.next().unwrap() {
        count += 1;
        elements += segment.elements().count();
    }
    format!("{count} segments, {elements} elements")
}
