//! What will be published: a seeded list of messages, each with the verdict it deserves.

use serde_json::{Value, json};

use crate::random::Random;
use crate::vehicle::{self, Status};

/// How many events over how many vehicles, and how many of them are not as they should be.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Messages in all.
    pub events: usize,
    /// Vehicles that they are about.
    pub vins: usize,
    /// The seed of everything random.
    pub seed: u64,
    /// Per mille of messages that repeat an earlier one, byte for byte.
    pub redelivered: u32,
    /// Per mille that reuse an earlier id with other bytes.
    pub reused: u32,
    /// Per mille that are not JSON.
    pub malformed: u32,
    /// Per mille that ask for a transition the lifecycle forbids.
    pub illegal: u32,
}

impl Workload {
    /// The mix of the proof: 2 % redelivered, 1 % reused ids, 1 % malformed, 3 % illegal.
    pub fn new(events: usize, vins: usize, seed: u64) -> Self {
        Self {
            events,
            vins: vins.max(1),
            seed,
            redelivered: 20,
            reused: 10,
            malformed: 10,
            illegal: 30,
        }
    }

    /// The same without anything wrong in it.
    pub fn clean(events: usize, vins: usize, seed: u64) -> Self {
        Self {
            redelivered: 0,
            reused: 0,
            malformed: 0,
            illegal: 0,
            ..Self::new(events, vins, seed)
        }
    }

    /// The messages, in the order in which they are published.
    pub fn messages(&self) -> Vec<Message> {
        Author::new(self).write()
    }
}

/// What a message is, and so what must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A new event with a legal transition: exactly one file.
    Fresh,
    /// An earlier message again: no further file.
    Redelivery,
    /// An earlier id with other bytes: failed, no file.
    ReusedId,
    /// Not JSON: failed, no file.
    Malformed,
    /// A forbidden transition: refused, no file, no change of status.
    Illegal,
}

/// One message to publish.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The CloudEvents id; empty for a malformed message.
    pub event_id: String,
    /// The vehicle; empty for a malformed message.
    pub vin: String,
    /// The status code that its file must carry; empty for a malformed message.
    pub code: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

struct Vehicle {
    vin: String,
    model: usize,
    plant: usize,
    mileage: u64,
    status: Option<Status>,
}

struct Author<'a> {
    workload: &'a Workload,
    random: Random,
    vehicles: Vec<Vehicle>,
    messages: Vec<Message>,
    /// Indexes of messages that carry an id.
    identified: Vec<usize>,
}

impl<'a> Author<'a> {
    fn new(workload: &'a Workload) -> Self {
        let mut random = Random::seeded(workload.seed);
        let vehicles = (0..workload.vins)
            .map(|serial| Vehicle {
                vin: vehicle::vin(&mut random, serial),
                model: random.below(MODELS.len()),
                plant: random.below(PLANTS.len()),
                mileage: 4 + random.below(20) as u64,
                status: None,
            })
            .collect();
        Self { workload, random, vehicles, messages: Vec::new(), identified: Vec::new() }
    }

    fn write(mut self) -> Vec<Message> {
        while self.messages.len() < self.workload.events {
            let kind = self.next_kind();
            let message = self.message(kind).or_else(|| self.message(Kind::Fresh));
            let Some(message) = message else { break };
            if matches!(message.kind, Kind::Fresh | Kind::Illegal) {
                self.identified.push(self.messages.len());
            }
            self.messages.push(message);
        }
        self.messages
    }

    fn next_kind(&mut self) -> Kind {
        let Workload { redelivered, reused, malformed, illegal, .. } = *self.workload;
        let mut dice = (self.random.bits() % 1000) as u32;
        for (kind, share) in [
            (Kind::Redelivery, redelivered),
            (Kind::ReusedId, reused),
            (Kind::Malformed, malformed),
            (Kind::Illegal, illegal),
        ] {
            if dice < share {
                return kind;
            }
            dice -= share;
        }
        Kind::Fresh
    }

    fn message(&mut self, kind: Kind) -> Option<Message> {
        match kind {
            Kind::Fresh => self.fresh(),
            Kind::Illegal => self.illegal(),
            Kind::Redelivery => {
                let earlier = self.earlier()?;
                Some(Message { kind, ..self.messages[earlier].clone() })
            }
            Kind::ReusedId => self.reused(),
            Kind::Malformed => {
                let bytes = self.broken()?;
                Some(Message { kind, event_id: String::new(), vin: String::new(), code: "", bytes })
            }
        }
    }

    /// An earlier message with an id; the younger ones more often, as brokers do it.
    fn earlier(&mut self) -> Option<usize> {
        let near = self.random.chance(700);
        let window = if near { self.identified.len().min(200) } else { self.identified.len() };
        let back = self.random.below(window);
        self.identified.len().checked_sub(back + 1).map(|index| self.identified[index])
    }

    fn fresh(&mut self) -> Option<Message> {
        let index = self.random.below(self.vehicles.len());
        let to = match self.vehicles.get(index)?.status {
            Some(status) => *self.random.pick(status.next())?,
            // A vehicle that was alive before the agent is met in the middle of its life.
            None if self.random.chance(100) => *self.random.pick(&Status::ALL)?,
            None => Status::Ordered,
        };
        self.vehicles[index].status = Some(to);
        self.vehicles[index].mileage += 1 + self.random.below(90) as u64;
        let id = self.random.uuid();
        Some(self.event(Kind::Fresh, index, (id, to)))
    }

    fn illegal(&mut self) -> Option<Message> {
        let known: Vec<usize> =
            (0..self.vehicles.len()).filter(|&i| self.vehicles[i].status.is_some()).collect();
        let index = *self.random.pick(&known)?;
        let forbidden = self.vehicles[index].status?.forbidden();
        let to = *self.random.pick(&forbidden)?;
        let id = self.random.uuid();
        Some(self.event(Kind::Illegal, index, (id, to)))
    }

    /// The id of an earlier event over another, by itself legal, event of the same vehicle.
    fn reused(&mut self) -> Option<Message> {
        let earlier = self.earlier()?;
        let Message { event_id, vin, .. } = self.messages[earlier].clone();
        let index = self.vehicles.iter().position(|vehicle| vehicle.vin == vin)?;
        let to = *self.random.pick(self.vehicles[index].status?.next())?;
        self.vehicles[index].mileage += 1;
        Some(self.event(Kind::ReusedId, index, (event_id, to)))
    }

    /// A truncated event, or something that never was one. Never the same twice: without an id
    /// only its bytes tell it from a redelivery.
    fn broken(&mut self) -> Option<Vec<u8>> {
        loop {
            let earlier = *self.random.pick(&self.identified)?;
            let whole = &self.messages[earlier].bytes;
            let bytes = match self.random.below(4) {
                0 => format!("VIN;STATUS;{}\r\n", self.random.bits()).into_bytes(),
                1 => [&[0xFF, 0xFE, 0x00, 0x7B], &self.random.bits().to_be_bytes()[..]].concat(),
                _ => whole[..1 + self.random.below(whole.len() - 2)].to_vec(),
            };
            if !self.messages.iter().any(|message| message.bytes == bytes) {
                return Some(bytes);
            }
        }
    }

    fn event(&mut self, kind: Kind, index: usize, (id, to): (String, Status)) -> Message {
        let vin = self.vehicles[index].vin.clone();
        let bytes = self.body(index, &id, to).into_bytes();
        Message { kind, event_id: id, vin, code: to.code(), bytes }
    }

    fn body(&mut self, index: usize, id: &str, to: Status) -> String {
        let vehicle = &self.vehicles[index];
        let (vin, mileage) = (vehicle.vin.clone(), vehicle.mileage);
        let (model, plant) = (MODELS[vehicle.model], PLANTS[vehicle.plant]);
        let partners: Vec<Value> =
            ["dealer", "buyer", "keeper"].iter().map(|role| self.partner(role)).collect();
        let options: Vec<Value> = (0..1 + self.random.below(4)).map(|n| self.option(n)).collect();
        json!({
            "specversion": "1.0",
            "id": id,
            "source": "/vms/1",
            "type": "vehicle.status.changed",
            "time": timestamp(self.messages.len()),
            "data": {
                "vin": vin,
                "status": to.word(),
                "plant": plant,
                "model": model,
                "color": COLORS[self.random.below(COLORS.len())],
                "mileage": mileage,
                "partners": partners,
                "options": options,
                "note": self.note(),
            }
        })
        .to_string()
    }

    fn partner(&mut self, role: &str) -> Value {
        let (base, list) = if role == "dealer" { (70_000, DEALERS) } else { (90_000, BUYERS) };
        let which = self.random.below(list.len());
        let (name, city, country) = list[which];
        let number = (base + which).to_string();
        json!({ "role": role, "number": number, "name": name, "city": city, "country": country })
    }

    fn option(&mut self, n: usize) -> Value {
        let (code, text) = OPTIONS[(n * 5 + self.random.below(5)) % OPTIONS.len()];
        let price = (self.random.below(4000) as f64) + 0.5;
        json!({ "code": code, "text": text, "price": price, "currency": "EUR" })
    }

    /// Up to 132 characters, one line of a text segment.
    fn note(&mut self) -> String {
        let first = NOTES[self.random.below(NOTES.len())];
        let second = NOTES[self.random.below(NOTES.len())];
        format!("{first}. {second}.")
    }
}

/// One message every 1.5 s from 2026-03-02 06:00 on, in RFC 3339. The month has days enough for
/// 1.7 million messages.
fn timestamp(n: usize) -> String {
    let millis = 6 * 3_600_000 + n * 1500;
    let (seconds, days) = (millis / 1000 % 86_400, millis / 86_400_000);
    format!(
        "2026-03-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        2 + days % 29,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        millis % 1000
    )
}

const MODELS: [&str; 5] =
    ["KOMET-5D-150", "KOMET-SW-110", "SEGLER-LWB-204", "FALKE-EV-77", "FALKE-EV-58"];
const PLANTS: [&str; 4] = ["EM01", "EM02", "ZW10", "MB30"];
const COLORS: [&str; 5] = ["B4B4", "0Q0Q", "2T2T", "C9X1", "P8Y"];
const DEALERS: [(&str, &str, &str); 4] = [
    ("Autohaus Hölzl & Söhne GmbH", "Linz", "AUT"),
    ("Garage Müller AG", "Zürich", "CHE"),
    ("Bilcenter Åse A/S", "Aarhus", "DNK"),
    ("Concessionnaire Lefèvre SARL", "Nîmes", "FRA"),
];
const BUYERS: [(&str, &str, &str); 4] = [
    ("Jana Nováková", "Brno", "CZE"),
    ("Fuhrpark Nord eG", "Kiel", "DEU"),
    ("Søren Kjær", "Odense", "DNK"),
    ("Hotel Seeblick KG", "Bregenz", "AUT"),
];
const OPTIONS: [(&str, &str); 8] = [
    ("1AT", "Towing hitch, swivelling"),
    ("2ZH", "Heated steering wheel"),
    ("3FU", "Panoramic glass roof"),
    ("4A3", "Heated front seats"),
    ("6XN", "Folding mirrors"),
    ("7X5", "Park assist"),
    ("8T8", "Adaptive cruise control"),
    ("9WP", "Discount: fleet"),
];
const NOTES: [&str; 6] = [
    "Customer asks for delivery before noon",
    "Winter tyres are stored with the dealer",
    "Registration papers go to the leasing company",
    "Second key was handed over with the vehicle",
    "Transport damage at the left rear door was repaired in the port",
    "Price agreed on 14 February; see the order confirmation",
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn the_same_seed_writes_the_same_messages() {
        let bytes = |seed| -> Vec<_> {
            Workload::new(300, 20, seed).messages().into_iter().map(|m| m.bytes).collect()
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn the_mix_is_what_was_asked_for() {
        let messages = Workload::new(20_000, 500, 42).messages();
        let share = |kind| messages.iter().filter(|m| m.kind == kind).count();
        assert_eq!(messages.len(), 20_000);
        assert!((340..460).contains(&share(Kind::Redelivery)), "{}", share(Kind::Redelivery));
        assert!((150..250).contains(&share(Kind::ReusedId)));
        assert!((150..250).contains(&share(Kind::Malformed)));
        assert!((520..680).contains(&share(Kind::Illegal)));
        let vins: BTreeSet<_> = messages.iter().map(|m| &m.vin).filter(|v| !v.is_empty()).collect();
        assert_eq!(vins.len(), 500);
        let mean = messages.iter().map(|m| m.bytes.len()).sum::<usize>() / messages.len();
        assert!((850..1200).contains(&mean), "an event has {mean} bytes on average");
    }

    #[test]
    fn fresh_events_walk_the_lifecycle_and_malformed_ones_are_not_json() {
        let mut states: BTreeMap<String, Status> = BTreeMap::new();
        for message in Workload::new(5_000, 50, 9).messages() {
            let parsed: Result<Value, _> = serde_json::from_slice(&message.bytes);
            if message.kind == Kind::Malformed {
                assert!(parsed.is_err());
                continue;
            }
            let event = parsed.unwrap();
            assert_eq!(event["id"], message.event_id.as_str());
            assert!(message.event_id.len() <= 40);
            let to = Status::of_word(event["data"]["status"].as_str().unwrap()).unwrap();
            let from = states.get(&message.vin).copied();
            match message.kind {
                Kind::Fresh => {
                    assert!(from.is_none_or(|from| from.next().contains(&to)));
                    states.insert(message.vin, to);
                }
                Kind::Illegal => assert!(!from.unwrap().next().contains(&to)),
                _ => {}
            }
        }
    }

    #[test]
    fn a_reused_id_never_repeats_the_bytes_and_a_redelivery_always_does() {
        let messages = Workload::new(5_000, 50, 11).messages();
        let mut first: BTreeMap<&str, &[u8]> = BTreeMap::new();
        for message in messages.iter().filter(|m| m.kind != Kind::Malformed) {
            match message.kind {
                Kind::Redelivery => assert_eq!(first[message.event_id.as_str()], message.bytes),
                Kind::ReusedId => assert_ne!(first[message.event_id.as_str()], message.bytes),
                _ => assert!(first.insert(&message.event_id, &message.bytes).is_none()),
            }
        }
    }
}
