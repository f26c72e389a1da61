//! Laws of IDoc files and definitions over generated ones.

#![expect(clippy::unwrap_used, reason = "a test ends where its input is not as it expects")]

use std::sync::Arc;

use proptest::prelude::*;
use waybill_parsers::idoc::{Newline, RecordLength, WriteOptions};
use waybill_parsers::{
    Builder, DataType, Document, Element, ElementId, Kind, Limits, Schema, Severity, idoc,
};

#[derive(Clone, Debug)]
struct Segment {
    level: u8,
    qualified: bool,
    min: u32,
    fields: Vec<(u32, DataType)>,
    children: Vec<Self>,
}

fn data_type() -> impl Strategy<Value = DataType> {
    prop::sample::select(vec![
        DataType::Text,
        DataType::Digits,
        DataType::Decimal,
        DataType::Bool,
        DataType::Date,
        DataType::Time,
    ])
}

fn segment() -> impl Strategy<Value = Segment> {
    let fields = || prop::collection::vec((1_u32..60, data_type()), 0..8);
    let leaf = (0_u8..10, any::<bool>(), 0_u32..3, fields()).prop_map(
        |(level, qualified, min, fields)| Segment {
            level,
            qualified,
            min,
            fields,
            children: vec![],
        },
    );
    leaf.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..3))
            .prop_map(|(head, children)| Segment { children, ..head })
    })
}

fn schema(segments: &[Segment], extension: bool) -> Schema {
    fn add(schema: &mut Schema, parent: ElementId, segment: &Segment, number: &mut u32) {
        *number += 1;
        let mut element = Element::new(Kind::Segment, format!("Z1S{number}"));
        element.definition = Some(format!("Z2S{number}000"));
        element.text = format!("segment {number} : # 'x'");
        (element.min, element.max) = (segment.min, u64::from(segment.min.max(1)) + 2);
        (element.level, element.qualified) = (segment.level, segment.qualified);
        let id = schema.add(parent, element);
        for (at, (length, data)) in segment.fields.iter().enumerate() {
            let mut field = Element::new(Kind::Field, format!("F{at}"));
            (field.length, field.data) = (Some(*length), *data);
            if at == 1 {
                field.codes =
                    vec![(String::new(), "none".to_owned()), ("'".to_owned(), String::new())];
            }
            schema.add(id, field);
        }
        for child in &segment.children {
            add(schema, id, child, number);
        }
    }
    let mut root = Element::new(Kind::Group, "ZTEST01");
    (root.min, root.text) = (1, "generated".to_owned());
    root.definition = extension.then(|| "ZTESTX".to_owned());
    let mut schema = Schema::new("ZTEST01", root);
    let root = schema.root();
    let mut number = 0;
    for segment in segments {
        add(&mut schema, root, segment, &mut number);
    }
    schema
}

/// A document that keeps the rules of the schema, with values from the seed.
fn document(schema: &Schema, values: &[String]) -> Document {
    fn put(
        schema: &Schema,
        id: ElementId,
        values: &mut dyn Iterator<Item = &String>,
        builder: &mut Builder,
    ) {
        for child in schema.element(id).children() {
            let element = schema.element(*child);
            if element.kind == Kind::Field {
                let length = element.length.unwrap() as usize;
                let text: String = values.next().unwrap().chars().take(length).collect();
                let text = text.trim_end_matches(' ');
                // The sign of a decimal is notation; the other tests are about it.
                let text = text.trim_start_matches('-').trim_end_matches(' ');
                if !text.is_empty() {
                    builder.put(Kind::Field, &element.name, text, 0);
                }
                continue;
            }
            let more = values.next().unwrap().len() as u64 % 3;
            for _ in 0..(u64::from(element.min) + more).min(element.max) {
                builder.open(Kind::Segment, &element.name, 0);
                put(schema, *child, values, builder);
                builder.close();
            }
        }
    }
    let mut builder = Builder::new();
    builder.open(Kind::Group, schema.name(), 0);
    builder.open(Kind::Segment, "EDI_DC40", 0);
    builder.put(Kind::Field, "TABNAM", "EDI_DC40", 0);
    builder.put(Kind::Field, "MANDT", "100", 0);
    builder.put(Kind::Field, "DOCNUM", "0000000000000001", 0);
    builder.put(Kind::Field, "IDOCTYP", schema.name(), 0);
    if let Some(extension) = &schema.element(schema.root()).definition {
        builder.put(Kind::Field, "CIMTYP", extension, 0);
    }
    builder.close();
    put(schema, schema.root(), &mut values.iter().cycle(), &mut builder);
    builder.finish()
}

fn shapes() -> impl Iterator<Item = WriteOptions> {
    let lengths = [RecordLength::Full, RecordLength::Segment, RecordLength::Trimmed];
    let all = lengths.into_iter().flat_map(|record_length| {
        [Newline::Lf, Newline::CrLf, Newline::None].map(|newline| WriteOptions {
            record_length,
            newline,
            ..WriteOptions::default()
        })
    });
    all.filter(|o| o.newline != Newline::None || o.record_length == RecordLength::Full)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_definition_reads_back_as_it_was_written(
        segments in prop::collection::vec(segment(), 1..4),
        extension: bool,
    ) {
        let schema = schema(&segments, extension);
        let text = idoc::write_schema(&schema);
        prop_assert_eq!(idoc::read_schema(text.as_bytes()).unwrap(), schema);
    }

    #[test]
    fn a_document_reads_back_in_every_shape(
        segments in prop::collection::vec(segment(), 1..4),
        extension: bool,
        values in prop::collection::vec("[ -~é日🚗]{0,70}", 1..20),
    ) {
        let schema = Arc::new(schema(&segments, extension));
        let document = document(&schema, &values);
        let mut types = idoc::Types::new();
        types.add(Arc::clone(&schema));
        let types = Arc::new(types);
        for options in shapes() {
            let mut out = Vec::new();
            for _ in 0..2 {
                prop_assert_eq!(idoc::write(&document, &schema, options, &mut out), vec![]);
            }
            let reader = idoc::Reader::new(out.as_slice(), Arc::clone(&types), Limits::default());
            let readings: Vec<_> = reader.collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(readings.len(), 2);
            for reading in readings {
                prop_assert_eq!(&reading.problems, &vec![]);
                prop_assert_eq!(&reading.document, &document);
            }
        }
    }

    #[test]
    fn no_text_breaks_the_definition_reader(text in "(waybill-idoc 1\ntype T\n)?([ \t]{0,4}(segment|field|value|type|sgment|#|:|'|0\\.\\.|[A-Z1*]{1,4}| |\n){0,9}\n){0,6}") {
        if let Err(problems) = idoc::read_schema(text.as_bytes()) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| problem.severity == Severity::Error));
        }
    }
}
