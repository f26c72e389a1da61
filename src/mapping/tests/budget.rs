//! What a document may cost, and how the cost grows with it.

use super::super::budget::Work;
use super::*;

/// `Z1TEXT` occurs as often as there are lines, in a schema without its maximum.
fn unbounded(segments: &str) -> Mapping {
    let mut target = target();
    let root = target.root();
    let many = element(&mut target, root, "Z1MANY", 0, u64::MAX);
    field(&mut target, many, "A", 20, DataType::Text);
    field(&mut target, many, "B", 20, DataType::Text);
    let text = format!("{HEAD}  - segment: Z1HEAD\n{segments}");
    let mut problems = Problems::new(SourceFile::new("m.yaml", &*text));
    let file = read(&mut problems).unwrap();
    let source = json::read_schema(SOURCE.as_bytes()).unwrap();
    let csv = SourceFile::new("currency.csv", "from,to\nEuro,EUR\n");
    let table = Table::read("currency", &mut Problems::new(csv)).unwrap();
    let tables = [("currency".to_owned(), Arc::new(table))];
    let inputs = Inputs { source: &source, target: &target, tables: &tables };
    let mapping = compile(&file, &inputs, &mut problems);
    let list = problems.into_list();
    assert!(list.is_empty(), "{list:?}");
    mapping.unwrap()
}

/// `count` items in an open part of the event.
fn items(count: usize) -> String {
    let items: Vec<_> = (0..count).map(|at| format!(r#"{{"a": "x{at}", "b": "y"}}"#)).collect();
    format!(r#"{{"claim": {{"extra": {{"items": [{}]}}}}}}"#, items.join(","))
}

fn cost(mapping: &Mapping, event: &str, budget: Budget) -> (u64, Result<Document, Vec<Fault>>) {
    let reading = json::read(event.as_bytes(), &Limits::default()).unwrap();
    let work = Work::new(budget);
    let made = mapping.run(reading.document.root(), &[("DOCNUM", "1")], &work);
    (work.steps(), made)
}

const FLAT: &str = "  - segment: Z1MANY\n    for_each: claim.extra.items as item\n    \
                    fields: { A: { from: item.a }, B: { expr: 'item.a + item.b' } }\n";

/// For each item, all items.
const CROSSED: &str = "  - segment: Z1MANY\n    for_each: claim.extra.items as item\n    \
                       fields: { A: { from: 'claim.extra.items[4000].a', default: none } }\n";

#[test]
fn the_work_grows_with_the_number_of_items_and_not_with_its_square() {
    let mapping = unbounded(FLAT);
    let (small, made) = cost(&mapping, &items(1_000), Budget::UNLIMITED);
    assert_eq!(made.unwrap().root().children().count(), 2 + 1_000);
    let (large, made) = cost(&mapping, &items(8_000), Budget::UNLIMITED);
    assert_eq!(made.unwrap().root().children().count(), 2 + 8_000);
    assert!((7 * small..9 * small).contains(&large), "{small} and {large} steps");
}

#[test]
fn a_document_that_costs_more_steps_than_its_budget_fails_where_it_had_come_to() {
    let mapping = unbounded(CROSSED);
    let steps = 100_000;
    let (spent, made) = cost(&mapping, &items(4_001), Budget { steps, ..Budget::UNLIMITED });
    let faults = made.unwrap_err();
    let [fault] = &*faults else { panic!("{faults:?}") };
    assert_eq!(
        fault.to_string(),
        "m.yaml:8:14: Z1MANY: mapping this document takes more than 100000 steps (`limits.steps`)"
    );
    assert_eq!(fault.kind, FaultKind::Budget);
    // Not more than one search beyond it.
    assert!(spent < steps + 5_000, "{spent}");
}

#[test]
fn a_document_with_more_nodes_than_its_budget_fails_where_it_had_come_to() {
    let mapping = unbounded(FLAT);
    let budget = Budget { nodes: 100, ..Budget::UNLIMITED };
    let faults = cost(&mapping, &items(1_000), budget).1.unwrap_err();
    let [fault] = &*faults else { panic!("{faults:?}") };
    assert_eq!(
        fault.to_string(),
        "m.yaml:8:14: Z1MANY: the document has more than 100 nodes (`limits.nodes`)"
    );
    assert_eq!(fault.kind, FaultKind::Budget);
}

#[test]
fn a_list_is_left_at_the_first_item_above_the_maximum_of_its_segment() {
    let segments = "    segments:\n      - segment: Z1ITEM\n        \
                    for_each: claim.items as item\n        fields: { POSEX: x }\n";
    let items: Vec<_> = (0..10_000).map(|_| "{}").collect();
    let event = format!(r#"{{"claim": {{"items": [{}]}}}}"#, items.join(","));
    let (spent, made) = cost(&unbounded(segments), &event, Budget::UNLIMITED);
    let faults = made.unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].reason, "occurs more than 3 times, which is the maximum");
    assert!(spent < 100, "{spent}");
}

#[test]
fn a_document_is_given_up_at_its_hundredth_fault() {
    let segments = "  - segment: Z1MANY\n    for_each: claim.extra.items as item\n    \
                    fields: { A: { from: item.missing, required: true } }\n";
    let (spent, made) = cost(&unbounded(segments), &items(10_000), Budget::UNLIMITED);
    assert_eq!(made.unwrap_err().len(), 100);
    assert!(spent < 2_000, "{spent}");
}

#[test]
fn long_texts_count_by_their_bytes_and_joined_ones_are_bounded() {
    let segments = "  - segment: Z1MANY\n    for_each: claim.extra.items as item\n    \
                    when: 'claim.id == item.a'\n    fields: { A: x }\n";
    let id = "x".repeat(640_000);
    let event = items(10).replace(r#"{"claim": {"#, &format!(r#"{{"claim": {{"id": "{id}", "#));
    let (spent, _) = cost(&unbounded(segments), &event, Budget::UNLIMITED);
    assert!(spent > 10 * 10_000, "{spent}");
    let segments = "  - segment: Z1MANY\n    fields: { A: { expr: 'claim.id + claim.id' } }\n";
    let faults = cost(&unbounded(segments), &event, Budget::UNLIMITED).1.unwrap_err();
    assert_eq!(faults[0].reason, "the joined text has more than 1048576 bytes");
}
