//! EDIFACT and X12 beside what anybody could use instead, and beside what is possible.
//!
//! `cargo bench -p waybill-parsers --bench segments [-- MEGABYTES]`. All figures are CPU time of
//! one run, medians; only their ratios mean something. The references are here: `memchr` for the
//! segment ends, and a tokenizer by hand (memchr for the end of a segment, a loop over its bytes)
//! that counts elements and components and keeps nothing.
//!
//! The crate `edi` (X12) is under the GPL and cannot be a dependency, not even of a bench; measured
//! apart, on the same file, it does a tenth of the hand tokenizer.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may end")]

use std::fmt::Write as _;
use std::hint::black_box;

use edifact_parser::{EdifactHandler, EdifactStreamParser};
use rustix::time::{ClockId, clock_gettime};
use waybill_parsers::segment::{Part, Segments, Separators};
use waybill_parsers::{Document, Limits, edifact, x12};

/// Runs of each, of which the median counts.
const RUNS: usize = 9;

fn main() {
    let size = std::env::args().filter_map(|arg| arg.parse::<usize>().ok()).next().unwrap_or(10);
    let bytes = edifact_file(size << 20);
    println!("EDIFACT, {} bytes", bytes.len());
    let mut table = Table::new(bytes.len());
    table.row("memchr, segment ends", || memchr::memchr_iter(b'\'', &bytes).count());
    table.row("hand tokenizer", || hand::<b'+', b':', b'?', b'\''>(&bytes));
    table.row("Segments", || segments(&bytes, Separators::EDIFACT));
    table.row("edifact::Reader, full documents", || edifact_documents(&bytes, |_| 1));
    table.row("  and every element read", || edifact_documents(&bytes, walked));
    table.row("crate edifact-parser, events", || edifact_parser_events(&bytes));
    table.row("crate edifact-rs, segments", || edifact_rs_segments(&bytes));
    let documents = edifact_messages(&bytes);
    table.row("edifact::Writer", || edifact_written(&documents));
    table.print();

    let bytes = x12_file(size << 20);
    println!("X12, {} bytes", bytes.len());
    let mut table = Table::new(bytes.len());
    table.row("memchr, segment ends", || memchr::memchr_iter(b'~', &bytes).count());
    table.row("hand tokenizer", || hand::<b'*', b'>', b'~', b'~'>(&bytes));
    table.row("Segments", || segments(&bytes, Separators::X12));
    table.row("x12::Reader, full documents", || x12_documents(&bytes, |_| 1));
    table.row("  and every element read", || x12_documents(&bytes, walked));
    let documents = x12_sets(&bytes);
    table.row("x12::Writer", || x12_written(&documents));
    table.print();
}

/// Times in one run, and their ratios to the second row.
struct Table {
    bytes: usize,
    rows: Vec<(&'static str, f64, usize)>,
}

impl Table {
    fn new(bytes: usize) -> Self {
        Self { bytes, rows: Vec::new() }
    }

    fn row(&mut self, name: &'static str, mut run: impl FnMut() -> usize) {
        let mut times = Vec::new();
        let mut result = 0;
        for _ in 0..RUNS {
            let start = cpu_seconds();
            result = black_box(run());
            times.push(cpu_seconds() - start);
        }
        times.sort_by(f64::total_cmp);
        self.rows.push((name, times[RUNS / 2], result));
    }

    fn print(&self) {
        let reference = self.rows[1].1;
        println!("{:34} {:>12} {:>9} {:>12}", "", "MB per CPU-s", "to hand", "result");
        for (name, time, result) in &self.rows {
            let rate = self.bytes as f64 / 1e6 / time;
            println!("{name:34} {rate:12.0} {:9.3} {result:12}", reference / time);
        }
        println!();
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The reference: memchr for the end of a segment, a loop over its bytes inside.
/// Its separators are known when it is compiled, as nobody's are.
fn hand<const ELEMENT: u8, const COMPONENT: u8, const RELEASE: u8, const TERMINATOR: u8>(
    bytes: &[u8],
) -> usize {
    let (mut elements, mut components, mut count, mut at) = (0_usize, 0_usize, 0_usize, 0);
    while at < bytes.len() {
        let mut from = at;
        let end = loop {
            match memchr::memchr2(TERMINATOR, RELEASE, &bytes[from..]) {
                Some(i) if bytes[from + i] == TERMINATOR => break from + i,
                Some(i) => from += i + 2,
                None => break bytes.len(),
            }
        };
        let segment = &bytes[at..end];
        let mut i = 0;
        while i < segment.len() {
            match segment[i] {
                byte if byte == ELEMENT => elements += 1,
                byte if byte == COMPONENT => components += 1,
                byte if byte == RELEASE => i += 1,
                _ => {}
            }
            i += 1;
        }
        count += 1;
        at = end + 1;
    }
    black_box((elements, components));
    count
}

fn segments(bytes: &[u8], separators: Separators) -> usize {
    let mut segments = Segments::new(bytes, separators, &Limits::default());
    let (mut count, mut tags) = (0, 0);
    while let Some(segment) = segments.next().unwrap() {
        count += 1;
        tags += segment.tag().len();
    }
    black_box(tags);
    count
}

fn edifact_documents(bytes: &[u8], of: fn(&Document) -> usize) -> usize {
    let reader = edifact::Reader::new(bytes, edifact::ReadOptions::default());
    reader.map(|part| of(black_box(&part.unwrap().reading().document))).sum()
}

fn x12_documents(bytes: &[u8], of: fn(&Document) -> usize) -> usize {
    let reader = x12::Reader::new(bytes, x12::ReadOptions::default());
    reader.map(|part| of(black_box(&part.unwrap().reading().document))).sum()
}

/// The text of every node of a document, which is what a reader of it can do most.
fn walked(document: &Document) -> usize {
    document.root().descendants().map(|node| black_box(node.text()).len()).sum()
}

struct Counter(usize);

impl EdifactHandler for Counter {
    fn on_segment(
        &mut self,
        segment: &edifact_primitives::RawSegment<'_>,
    ) -> edifact_primitives::Control {
        black_box(segment);
        self.0 += 1;
        edifact_primitives::Control::Continue
    }
}

fn edifact_parser_events(bytes: &[u8]) -> usize {
    let mut counter = Counter(0);
    let _ = EdifactStreamParser::parse(bytes, &mut counter);
    counter.0
}

fn edifact_rs_segments(bytes: &[u8]) -> usize {
    // It takes a second UNA for a segment and ends, so it is given one interchange at a time.
    let starts: Vec<_> = memchr::memmem::find_iter(bytes, b"UNA:+.? 'UNB").collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let interchanges = starts.iter().zip(ends).map(|(start, end)| &bytes[*start..end]);
    interchanges.map(|part| edifact_rs::from_bytes(part).filter(Result::is_ok).count()).sum()
}

fn edifact_messages(bytes: &[u8]) -> Vec<Document> {
    let reader = edifact::Reader::new(bytes, edifact::ReadOptions::default());
    reader.filter_map(|part| Some(part.unwrap().into_message()?.document)).collect()
}

fn edifact_written(documents: &[Document]) -> usize {
    let mut out = Vec::new();
    let mut writer = edifact::Writer::new(edifact::WriteOptions::default(), &mut out);
    assert!(documents.iter().all(|document| writer.message(document).is_empty()));
    assert!(writer.finish().is_empty());
    out.len()
}

fn x12_sets(bytes: &[u8]) -> Vec<Document> {
    let reader = x12::Reader::new(bytes, x12::ReadOptions::default());
    let sets = reader.map(|part| part.unwrap()).filter_map(Part::into_message);
    sets.map(|reading| reading.document).collect()
}

fn x12_written(documents: &[Document]) -> usize {
    let mut out = Vec::new();
    let mut writer = x12::Writer::new(x12::WriteOptions::default(), &mut out);
    assert!(documents.iter().all(|document| writer.set(document).is_empty()));
    assert!(writer.finish().is_empty());
    out.len()
}

/// xorshift64*: the same file on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }

    fn digits(&mut self, count: u32) -> u64 {
        let least = 10_u64.pow(count - 1);
        least + self.below(least * 9)
    }
}

const NAMES: &[&str] = &[
    "AUTOHAUS M?+S GMBH",
    "O?'BRIEN MOTORS",
    "GARAGE DU LAC SA",
    "NORDIC CAR IMPORT AS",
    "WHAT?? MOTORS",
    "CENTRAL PARTS DEPOT",
];
const ITEMS: &[&str] = &[
    "BRAKE PAD SET FRONT",
    "OIL FILTER",
    "HEADLAMP LED LEFT",
    "CONTROL UNIT ABS/ESP",
    "SEAL RING",
];
const CITIES: &[&str] =
    &["BERLIN++10115+DE", "GENEVE++1201+CH", "OSLO++0150+NO", "MADRID++28001+ES"];

/// Interchanges of invoices, despatch advices and status messages, each with its own UNA.
fn edifact_file(size: usize) -> Vec<u8> {
    let (mut random, mut file, mut number) = (Random(1), String::new(), 0);
    while file.len() < size {
        number += 1;
        write!(
            file,
            "UNA:+.? 'UNB+UNOC:3+4012345000009:14+4098765000005:14+261122:1200+{number}++++++1'"
        )
        .unwrap();
        for message in 1..=50 {
            let (kind, lines, count, line_of): (_, _, _, Line) = match random.below(10) {
                0..5 => ("INVOIC:D:96A:UN:EAN008", 3 + random.below(27), 10, invoice_line),
                5..8 => ("DESADV:D:96A:UN:EAN005", 2 + random.below(18), 8, despatch_line),
                _ => ("IFTSTA:D:96A:UN", 1 + random.below(9), 6, status_line),
            };
            write!(
                file,
                "UNH+{message}+{kind}'BGM+380+{}+9'DTM+137:20261122:102'",
                random.digits(10)
            )
            .unwrap();
            for party in ["BY", "SU", "DP"] {
                let (id, name, city) = (random.digits(13), random.pick(NAMES), random.pick(CITIES));
                write!(file, "NAD+{party}+{id}::9++{name}+HAUPTSTRASSE 12+{city}'").unwrap();
            }
            for line in 1..=lines {
                line_of(&mut random, line, &mut file);
            }
            write!(file, "CNT+2:{lines}'UNT+{}+{message}'", lines * count + 8).unwrap();
        }
        write!(file, "UNZ+50+{number}'").unwrap();
    }
    file.into_bytes()
}

type Line = fn(&mut Random, u64, &mut String);

fn invoice_line(random: &mut Random, line: u64, file: &mut String) {
    let (gtin, part, item) = (random.digits(13), random.digits(9), random.pick(ITEMS));
    let (quantity, price, order) = (random.below(50) + 1, random.digits(4), random.digits(10));
    write!(
        file,
        "LIN+{line}++{gtin}:EN'PIA+1+{part}A:SA::91'IMD+F++:::{item}'QTY+47:{quantity}:PCE'\
        DTM+35:20261122:102'MOA+203:{price}.50'PRI+AAA:{price}.50::NTP'RFF+ON:{order}:{line}'\
        TAX+7+VAT+++:::19+S'MOA+124:{price}.19'"
    )
    .unwrap();
}
fn despatch_line(random: &mut Random, line: u64, file: &mut String) {
    let (weight, sscc, gtin) = (random.digits(4), random.digits(18), random.digits(13));
    let quantity = random.below(99) + 1;
    write!(
        file,
        "CPS+{line}'PAC+1++CT'MEA+PD+AAB+KGM:{weight}'PCI+33E'GIN+BJ+{sscc}'\
        LIN+{line}++{gtin}:EN'QTY+12:{quantity}:PCE'GIR+1+WAY1ZZZA6TB{:06}:VV'",
        random.digits(6)
    )
    .unwrap();
}
fn status_line(random: &mut Random, line: u64, file: &mut String) {
    let (reference, vin, bay) = (random.digits(10), random.digits(6), random.below(400));
    write!(
        file,
        "CNI+{line}+{reference}'STS+1+21+++'RFF+VV:WAY1ZZZA6TB{vin}'DTM+334:202611221530:203'\
        LOC+14+DEBER::6:BERLIN'FTX+AAI+++VEHICLE MOVED TO COMPOUND 7?, BAY {bay}'"
    )
    .unwrap();
}

/// Interchanges of purchase orders, ship notices and shipment status, in groups.
fn x12_file(size: usize) -> Vec<u8> {
    let (mut random, mut file, mut number) = (Random(3), String::new(), 0);
    while file.len() < size {
        number += 1;
        write!(
            file,
            "ISA*00*{:10}*00*{:10}*ZZ*{:15}*ZZ*{:15}*261122*1200*U*00401*{number:09}*0*P*>~",
            "", "", "SENDERID", "RECEIVERID"
        )
        .unwrap();
        for (group, (id, set, count)) in
            [("PO", "850", 25), ("SH", "856", 15), ("QM", "214", 10)].into_iter().enumerate()
        {
            let group = group + 1;
            write!(file, "GS*{id}*SENDERID*RECEIVERID*20261122*1200*{group}*X*004010~").unwrap();
            for control in 1..=count {
                let lines = 2 + random.below(20);
                write!(
                    file,
                    "ST*{set}*{control:04}~BEG*00*SA*{}**20261122~REF*DP*{}~",
                    random.digits(9),
                    random.digits(3)
                )
                .unwrap();
                for line in 1..=lines {
                    let (price, part, vin) = (random.digits(4), random.digits(8), random.digits(6));
                    write!(
                        file,
                        "PO1*{line}*{}*EA*{price}.50*WE*BP*{part}*VP*A1234~PID*F****{}~\
                        LIN*{line}*BP*{part}*VN*WAY1ZZZA6TB{vin}~AT7*X3*NS***20261122*1530*ET~",
                        random.below(99) + 1,
                        random.pick(ITEMS)
                    )
                    .unwrap();
                }
                write!(file, "CTT*{lines}~SE*{}*{control:04}~", lines * 4 + 5).unwrap();
            }
            write!(file, "GE*{count}*{group}~").unwrap();
        }
        write!(file, "IEA*3*{number:09}~").unwrap();
    }
    file.into_bytes()
}
