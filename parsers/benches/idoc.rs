//! IDoc and VDA beside what a hand would write: CPU time of one thread, medians, in one run.
//!
//! `cargo bench -p waybill-parsers --bench idoc [-- MEGABYTES]`. Ratios are what counts: absolute
//! figures are those of the machine and of the moment.

#![expect(clippy::unwrap_used, reason = "a benchmark ends where its input is not as it expects")]
#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::events::Event;
use waybill_parsers::{Document, Kind, Limits, Reading, Schema, fixed, idoc, vda};

const ROUNDS: usize = 7;

fn main() {
    let megabytes = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(20);
    let size = megabytes << 20;
    flat(size, "ZVEHREG01");
    flat(size, "DEBMAS07");
    xml(size);
    fixed_records(size);
}

/// Nanoseconds that this thread was on a processor.
fn cpu() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

/// The median CPU time of some runs, in MB a second. A run is repeated until it is long beside the
/// clock, which ticks in milliseconds.
fn speed(bytes: usize, mut run: impl FnMut() -> usize) -> f64 {
    let mut speeds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let (start, mut runs) = (cpu(), 0);
            loop {
                black_box(run());
                runs += 1;
                let time = cpu() - start;
                if time > 100_000_000 {
                    return (runs * bytes) as f64 / 1e6 / (time as f64 / 1e9);
                }
            }
        })
        .collect();
    speeds.sort_unstable_by(f64::total_cmp);
    speeds[ROUNDS / 2]
}

fn report(name: &str, speed: f64, reference: f64) {
    println!("{name:44} {speed:8.0} MB/CPU-s  {:.2} of the reference", speed / reference);
}

fn definition(name: &str) -> Arc<Schema> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mappings/schemas/idoc");
    let text = fs::read(root.join(name).with_extension("idoc")).unwrap();
    Arc::new(idoc::read_schema(&text).unwrap())
}

fn json(text: &str) -> Document {
    waybill_parsers::json::read(text.as_bytes(), &Limits::default()).unwrap().document
}

/// An IDoc of 12 segments in which about 9 fields of each are filled, as real ones are.
fn sample(name: &str) -> Document {
    let control = format!(
        r#""EDI_DC40": {{"MANDT": "100", "DOCNUM": "0000000000000042", "MESTYP": "{}",
            "DIRECT": "2", "SNDPOR": "WAYBILL", "SNDPRT": "LS", "SNDPRN": "VMS1",
            "RCVPOR": "SAPQ01", "RCVPRT": "LS", "RCVPRN": "Q01CLNT100", "CREDAT": "20260302"}}"#,
        name.trim_end_matches(|c: char| c.is_ascii_digit())
    );
    let partner = r#"{"PARVW": "AG", "PARTN": "0000104711", "NAME1": "Autohaus Beispiel und Sohn",
        "CITY1": "Wolfsburg", "LAND1": "DE"}"#;
    let option = r#"{"OPTCODE": "NAV01", "OPTTEXT": "Navigation with traffic", "PRICE": "1850.00",
        "CURCY": "EUR"}"#;
    let area = r#"{"MSGFN": "005", "VKORG": "1000", "VTWEG": "10", "SPART": "00", "KDGRP": "01",
        "INCO1": "EXW", "INCO2": "Wolfsburg", "WAERS": "EUR", "ZTERM": "0001", "VWERK": "DE01",
        "E1KNVPM": [{"MSGFN": "005", "PARVW": "AG", "KUNN2": "0000104711", "PARZA": "000"}]}"#;
    let body = match name {
        "ZVEHREG01" => format!(
            r#""Z1VHHDR": {{"VIN": "WAY1ZZZA6TB000017", "EVTID": "evt-2026-00042", "STATUS": "DLVD",
                "STATUSDAT": "20260302", "STATUSTIM": "081500", "PLANT": "DE01",
                "MODEL": "KOMBI-A4", "COLOR": "LY9B", "MILEAGE": "12.50",
                "Z1VHPRT": [{partner}, {partner}, {partner}], "Z1VHOPT": [{}]}}"#,
            [option; 8].join(",")
        ),
        _ => format!(
            r#""E1KNA1M": {{"MSGFN": "005", "KUNNR": "0000104711", "ANRED": "Firma",
                "KTOKD": "KUNA", "LAND1": "DE", "NAME1": "Autohaus Beispiel und Sohn",
                "ORT01": "Wolfsburg", "PSTLZ": "38440", "STRAS": "Teststrasse 7",
                "SPRAS_ISO": "DE", "E1KNVVM": [{}]}}"#,
            [area; 5].join(",")
        ),
    };
    json(&format!("{{{control}, {body}}}"))
}

fn file(name: &str, schema: &Schema, size: usize) -> Vec<u8> {
    let mut one = Vec::new();
    let problems = idoc::write(&sample(name), schema, idoc::WriteOptions::default(), &mut one);
    assert_eq!(problems, []);
    one.repeat(size.div_ceil(one.len()))
}

/// Every field of every record by hand: split at line ends, address by offset, trim.
fn sliced(bytes: &[u8], layouts: &HashMap<&[u8], Vec<(usize, usize)>>) -> usize {
    let (mut sum, mut start) = (0, 0);
    for end in memchr::memchr_iter(b'\n', bytes) {
        let record = &bytes[start..end];
        start = end + 1;
        let name = record[..30].trim_ascii_end();
        if let Some(fields) = layouts.get(name) {
            for (from, to) in fields {
                let field = &record[*from..(*to).min(record.len())];
                let length = field.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
                sum += length;
                black_box(&field[..length]);
            }
        }
    }
    sum
}

fn layouts(schema: &Schema, header: usize) -> HashMap<&[u8], Vec<(usize, usize)>> {
    let segments = schema.elements().filter(|(_, element)| element.kind == Kind::Segment);
    let layout = |(_, segment): (_, &'_ waybill_parsers::Element)| {
        let mut at = header;
        let fields = segment.children().iter().map(|id| schema.element(*id));
        let fields = fields.filter(|field| field.kind == Kind::Field).map(|field| {
            let from = at;
            at += field.length.unwrap_or(0) as usize;
            (from, at)
        });
        fields.collect()
    };
    let name = |element: &'_ waybill_parsers::Element| {
        element.definition.clone().unwrap_or_else(|| element.name.clone())
    };
    segments.map(|found| (name(found.1).leak().as_bytes(), layout(found))).collect()
}

/// Reads everything, and drops each document before the next one comes.
fn read<E: std::fmt::Debug>(reader: impl Iterator<Item = Result<Reading, E>>) -> usize {
    reader.map(|reading| usize::from(!black_box(reading.unwrap()).document.is_empty())).sum()
}

/// Reads everything, and name and text of every node, which is the most that a reader can do.
fn walk<E: std::fmt::Debug>(reader: impl Iterator<Item = Result<Reading, E>>) -> usize {
    let visited = |document: &Document| -> usize {
        let nodes = document.root().descendants();
        nodes.map(|node| black_box(node.name()).len() + black_box(node.text()).len()).sum()
    };
    reader.map(|reading| visited(&reading.unwrap().document)).sum()
}

/// Reads everything and keeps it.
fn all<E: std::fmt::Debug>(reader: impl Iterator<Item = Result<Reading, E>>) -> Vec<Document> {
    reader.map(|reading| reading.unwrap().document).collect()
}

fn flat(size: usize, name: &str) {
    let schema = definition(name);
    let bytes = file(name, &schema, size);
    let layouts = layouts(&schema, 63);
    let mut types = idoc::Types::new();
    types.add(Arc::clone(&schema));
    let types = Arc::new(types);
    let limits = Limits::default();
    println!("IDoc flat, {name}, {} MB", bytes.len() / 1_000_000);
    let hand = speed(bytes.len(), || sliced(&bytes, &layouts));
    report("  hand slicing (the reference)", hand, hand);
    let reader = || idoc::Reader::new(bytes.as_slice(), Arc::clone(&types), limits);
    report("  bytes -> Document", speed(bytes.len(), || read(reader())), hand);
    report("    and every field read", speed(bytes.len(), || walk(reader())), hand);
    let options = idoc::ReadOptions {
        values: Some(waybill_parsers::Severity::Warning),
        ..Default::default()
    };
    let checked = speed(bytes.len(), || {
        let types = Arc::clone(&types);
        read(idoc::Reader::with_options(bytes.as_slice(), types, limits, options))
    });
    report("  bytes -> Document, values checked", checked, hand);
    let (documents, other) = (all(reader()), [sample(name)]);
    let mut out = Vec::with_capacity(2 * bytes.len());
    let mut encode = |documents: &[Document]| {
        speed(bytes.len(), || {
            out.clear();
            for document in documents.iter().cycle() {
                if out.len() >= bytes.len() {
                    break;
                }
                idoc::write(document, &schema, idoc::WriteOptions::default(), &mut out);
            }
            out.len()
        })
    };
    report("  Document -> bytes", encode(&documents), hand);
    report("  Document of JSON -> bytes", encode(&other), hand);
}

fn xml(size: usize) {
    let schema = definition("ZVEHREG01");
    let document = sample("ZVEHREG01");
    let mut one = Vec::new();
    let options = idoc::xml::WriteOptions { pretty: true, ..Default::default() };
    assert_eq!(idoc::xml::write(&[&document], &schema, options, &mut one), []);
    let count = size.div_ceil(one.len());
    let documents = vec![&document; count];
    let mut bytes = Vec::new();
    assert_eq!(idoc::xml::write(&documents, &schema, options, &mut bytes), []);
    let mut types = idoc::Types::new();
    types.add(Arc::clone(&schema));
    let types = Arc::new(types);
    println!("IDoc-XML, ZVEHREG01, {} MB", bytes.len() / 1_000_000);
    let events = speed(bytes.len(), || {
        let mut reader = Reader::from_reader(BufReader::new(bytes.as_slice()));
        let (mut buffer, mut sum) = (Vec::new(), 0);
        loop {
            match reader.read_event_into(&mut buffer).unwrap() {
                Event::Start(start) => sum += start.name().as_ref().len(),
                Event::Text(text) => sum += text.len(),
                Event::Eof => return sum,
                _ => {}
            }
            buffer.clear();
        }
    });
    report("  quick-xml BufReader loop (the reference)", events, events);
    let reader = || {
        let input = BufReader::new(bytes.as_slice());
        idoc::xml::Reader::new(input, Arc::clone(&types), Limits::default())
    };
    report("  bytes -> Document", speed(bytes.len(), || read(reader())), events);
    report("    and every field read", speed(bytes.len(), || walk(reader())), events);
    let mut out = Vec::with_capacity(bytes.len());
    let encode = speed(bytes.len(), || {
        out.clear();
        idoc::xml::write(&documents, &schema, options, &mut out);
        out.len()
    });
    report("  Document -> bytes", encode, events);
}

/// VDA 4913 with one delivery note of twenty items.
fn despatch_advice() -> Document {
    let item = r#"{"VERSION": "01", "CUSTOMER_PART": "1514280009100", "SUPPLIER_PART": "X-17",
        "COUNTRY_OF_ORIGIN": "276", "DELIVERY_QUANTITY_1": "250000", "UNIT_1": "ST",
        "DELIVERY_NOTE_LINE_ITEM_NUMBER": "1", "USAGE_CODE": "S", "PREFERENCE_STATUS": "P",
        "DUTIABLE_GOODS": "N", "INVENTORY_STATUS": "A", "MODIFIED_VERSION_CODE": "01",
        "715": [{"VERSION": "01", "CUSTOMER_PACKAGE": "006280", "SUPPLIER_PACKAGE": "006280",
            "NUMBER_OF_PACKAGES": "5", "DELIVERY_NOTE_LINE_ITEM_NUMBER": "1"}]}"#;
    json(&format!(
        r#"{{"711": {{"VERSION": "03", "CUSTOMER_NUMBER": "WAY000001", "SUPPLIER_NUMBER": "S00004711",
            "OLD_TRANSMISSION_NUMBER": "16", "NEW_TRANSMISSION_NUMBER": "17",
            "TRANSMISSION_DATE": "260302"}},
        "712": [{{"VERSION": "03", "CONSIGNMENT_NUMBER": "31353330", "CARRIER": "SPED1",
            "HANDED_OVER_DATE": "260302", "HANDED_OVER_TIME": "1045",
            "SHIPMENT_GROSS_WEIGHT": "1250", "MEANS_OF_TRANSPORT": "01",
            "MEANS_OF_TRANSPORT_NUMBER": "WOB-XX 815", "QUALIFIER": "2",
            "713": [{{"VERSION": "03", "DELIVERY_NOTE_NUMBER": "815", "DESPATCH_DATE": "260302",
                "UNLOADING_POINT": "13", "DISPATCH_TYPE": "01", "CUSTOMER_PLANT": "010",
                "SUPPLIER_ID": "S00004711", "714": [{}]}}]}}],
        "719": {{"VERSION": "03"}}}}"#,
        [item; 20].join(",")
    ))
}

fn fixed_records(size: usize) {
    let types = Arc::new(vda::types());
    let schema = types.find("VDA4913").unwrap();
    let document = despatch_advice();
    let mut one = Vec::new();
    let problems = fixed::write(&document, schema, fixed::WriteOptions::default(), &mut one);
    let mut named = String::new();
    problems.iter().for_each(|problem| writeln!(named, "{problem}").unwrap());
    assert_eq!(named, "");
    let bytes = one.repeat(size.div_ceil(one.len()));
    println!("VDA 4913, {} MB", bytes.len() / 1_000_000);
    let layouts = layouts(schema, 0);
    let hand = speed(bytes.len(), || {
        let (mut sum, mut start) = (0, 0);
        for end in memchr::memchr_iter(b'\n', &bytes) {
            let record = &bytes[start..end];
            start = end + 1;
            for (from, to) in layouts.get(&record[..3]).into_iter().flatten() {
                let field = &record[*from..*to];
                let length = field.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
                sum += length;
                black_box(&field[..length]);
            }
        }
        sum
    });
    report("  hand slicing (the reference)", hand, hand);
    let reader = || fixed::Reader::new(bytes.as_slice(), Arc::clone(&types), Limits::default());
    report("  bytes -> Document", speed(bytes.len(), || read(reader())), hand);
    report("    and every field read", speed(bytes.len(), || walk(reader())), hand);
    let (documents, other) = (all(reader()), [document]);
    let mut out = Vec::with_capacity(2 * bytes.len());
    let mut encode = |documents: &[Document]| {
        speed(bytes.len(), || {
            out.clear();
            for document in documents.iter().cycle() {
                if out.len() >= bytes.len() {
                    break;
                }
                fixed::write(document, schema, fixed::WriteOptions::default(), &mut out);
            }
            out.len()
        })
    };
    report("  Document -> bytes", encode(&documents), hand);
    report("  Document of JSON -> bytes", encode(&other), hand);
}
