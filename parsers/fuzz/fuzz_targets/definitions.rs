//! Definition files, directories of EDIFACT and releases of X12 from any bytes; and messages held
//! against what came out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waybill_parsers::definition::import::{SourceFile, edifact, x12};
use waybill_parsers::definition::{
    Definition, Level, Standard, check, nest, read_definition, write_definition,
};
use waybill_parsers::segment::Part;
use waybill_parsers::{Reading, edifact as messages, x12 as sets};

const MESSAGE: &[u8] =
    b"UNB+UNOA:3+A+B+261122:1200+1'UNH+1+IFTSTA:D:01B:UN'BGM+23+1+9'DTM+9:2026:102'\
    CNI+1+X'STS+1+2'RFF+AKG:W'DTM+7'LOC+5+D:1'CNI+2'STS'UNT+11+1'UNZ+1+1'";
const SET: &[u8] = b"ISA*00*          *00*          *ZZ*A              *ZZ*B              *261122*1200*U\
    *00401*000000001*0*P*:~GS*VB*A*B*20261122*1200*1*X*004010~ST*121*0001~BVS*S~N1*A*B~VC*W~DTM*1*2~\
    VC*X~SE*7*0001~GE*1*1~IEA*1*000000001~";

fuzz_target!(|bytes: &[u8]| {
    // Several files in one input, as the files of an archive.
    let files: Vec<SourceFile> =
        bytes.split(|byte| *byte == 0).map(|bytes| SourceFile { name: "FILE", bytes }).collect();
    let definitions = [
        read_definition(bytes).ok(),
        edifact(&files).ok().map(|imported| imported.definition),
        x12(&files).ok().map(|imported| imported.definition),
    ];
    for definition in definitions.into_iter().flatten() {
        hold(&definition);
    }
});

fn hold(definition: &Definition) {
    // What names no release has no file.
    if definition.release.is_empty() {
        return;
    }
    let text = write_definition(definition);
    let again =
        read_definition(text.as_bytes()).map_err(|problems| format!("{problems:?}\n{text}"));
    assert_eq!(write_definition(&again.expect("what is written is read")), text);
    let reading = match definition.standard {
        Standard::Edifact => message(messages::Reader::new(MESSAGE, Default::default())),
        Standard::X12 => message(sets::Reader::new(SET, Default::default())),
    };
    let kind = reading.document.root().name();
    let problems = check(&reading, kind, definition, Level::Profile, true);
    assert!(problems.len() <= 101, "{}", problems.len());
    for table in definition.messages.values() {
        let _ = nest(&reading.document, table, definition.standard);
    }
}

fn message(mut parts: impl Iterator<Item = Result<Part, waybill_parsers::FrameError>>) -> Reading {
    parts.find_map(|part| part.ok()?.into_message()).expect("the message is whole")
}
