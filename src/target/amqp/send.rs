//! A group of messages on its way: sent one after the other, confirmed in any order.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::time::sleep;

use crate::amqp;
use crate::cloudevent::{self, Envelope};
use crate::config::Mode;
use crate::delivery::{Consignment, DeliveryId};
use crate::target::amqp::Publisher;
use crate::target::amqp::session::{Session, SessionError};
use crate::target::{Answer, Why};

/// The longest time without any confirmation while some are due. While the broker has blocked the
/// connection it is not counted: what it has not read yet it will.
pub const CONFIRM: Duration = Duration::from_secs(30);

/// What became of a message, before it is known which ones came back.
#[derive(Debug)]
enum Fate {
    Confirmed,
    Nacked,
    /// Not all of it left this process, so that it is no message for anybody.
    NotWritten(String),
    /// Written, and no answer.
    Lost(String),
    /// The channel was closed over it or over a neighbour.
    Closed(AMQPSoftError, String),
    /// Its text is no message.
    Impossible(String),
}

impl Publisher {
    /// Sends a group. One answer for each.
    pub(in crate::target) async fn send(
        &self,
        list: Vec<Consignment>,
    ) -> Vec<(DeliveryId, Answer)> {
        let mut answers = Vec::with_capacity(list.len());
        let mut down: Option<Answer> = None;
        for turn in self.turns(list) {
            let ids: Vec<_> = turn.iter().map(|one| one.id).collect();
            let answered = match &down {
                Some(why) => same(ids, why),
                None => match self.turn(&turn).await {
                    Ok(answered) => answered,
                    Err(why) => same(ids, &why),
                },
            };
            let unavailable = answered.iter().find(|(_, a)| matches!(a, Answer::Unavailable(_)));
            down = unavailable.map(|(_, why)| why.clone()).or(down);
            answers.extend(answered);
        }
        answers
    }

    /// What goes alone, one after the other, then the rest at once. Alone go the suspects, and the
    /// first message of a session: a right that is missing shows without putting others in doubt.
    fn turns(&self, list: Vec<Consignment>) -> Vec<Vec<Consignment>> {
        let suspects = self.shared.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let (alone, mut rest): (Vec<_>, Vec<_>) =
            list.into_iter().partition(|one| suspects.contains(&one.id));
        drop(suspects);
        let mut turns: Vec<_> = alone.into_iter().map(|one| vec![one]).collect();
        let proven = self.session().is_ok_and(|session| session.is_proven());
        if turns.is_empty() && !proven && rest.len() > 1 {
            let others = rest.split_off(1);
            turns.push(rest);
            rest = others;
        }
        if !rest.is_empty() {
            turns.push(rest);
        }
        turns
    }

    async fn turn(&self, turn: &[Consignment]) -> Result<Vec<(DeliveryId, Answer)>, Answer> {
        let session = self.session()?;
        let unavailable = |error: SessionError| Answer::Unavailable(error.to_string().into());
        let channel = session.channel().await.map_err(unavailable)?;
        let mut window = Window::default();
        self.fly(&session, &channel, turn, &mut window).await;
        let answers = window.answers(turn);
        if window.is_complete(turn.len()) {
            session.give_back(channel);
        }
        let mut suspects = self.shared.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, (id, answer)) in answers.iter().enumerate() {
            let closed = matches!(window.fates.get(&at), Some(Fate::Closed(..)));
            if closed && matches!(answer, Answer::InDoubt(_)) {
                suspects.insert(*id);
            } else if !matches!(answer, Answer::Unavailable(_)) {
                suspects.remove(id);
            }
        }
        Ok(answers)
    }

    /// Sends all of a turn and waits for the answers.
    async fn fly(
        &self,
        session: &Session,
        channel: &Channel,
        turn: &[Consignment],
        window: &mut Window,
    ) {
        let flights = turn
            .iter()
            .enumerate()
            .map(|(at, one)| async move { (at, self.one(session, channel, one).await) });
        let mut flights: FuturesUnordered<_> = flights.collect();
        loop {
            tokio::select! {
                flight = flights.next() => match flight {
                    Some((at, (fate, returned))) => window.add(at, fate, returned),
                    None => return,
                },
                () = sleep(CONFIRM) => if !session.is_blocked() { return },
            }
        }
    }

    async fn one(
        &self,
        session: &Session,
        channel: &Channel,
        consignment: &Consignment,
    ) -> (Fate, Option<BasicReturnMessage>) {
        let (routing_key, body, properties) = match self.message(consignment) {
            Ok(message) => message,
            Err(why) => return (Fate::Impossible(why), None),
        };
        if session.is_blocked() || !channel.status().connected() {
            return (Fate::NotWritten(SessionError::Gone.to_string()), None);
        }
        let config = &self.shared.config;
        let options = BasicPublishOptions { mandatory: config.mandatory, immediate: false };
        let exchange = config.exchange.as_str().into();
        let sent =
            channel.basic_publish(exchange, routing_key.into(), options, &body, properties).await;
        let confirm = match sent {
            Ok(confirm) => confirm,
            // The last frame was never handed to the network.
            Err(error) => return (Fate::NotWritten(error.to_string()), None),
        };
        crate::fault::point("after-publish");
        match confirm.await {
            Ok(Confirmation::Ack(returned)) => (Fate::Confirmed, returned),
            Ok(Confirmation::Nack(returned)) => (Fate::Nacked, returned),
            Ok(Confirmation::NotRequested) => {
                (Fate::Lost("the channel gives no confirmations".to_owned()), None)
            }
            Err(error) => match amqp::soft(&error) {
                Some(soft) => (Fate::Closed(soft, error.to_string()), None),
                None => (Fate::Lost(error.to_string()), None),
            },
        }
    }

    /// What travels: routing key, body, properties.
    fn message(
        &self,
        consignment: &Consignment,
    ) -> Result<(String, Vec<u8>, BasicProperties), String> {
        let envelope = Envelope::read(&consignment.document)?;
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(consignment.name.as_str().into());
        let routing_key = envelope.routing_key.to_string();
        let mut headers = FieldTable::default();
        let text = |value: &str| AMQPValue::LongString(value.into());
        for (name, value) in envelope.trace() {
            headers.insert(name.into(), text(value));
        }
        let (media, body) = match self.shared.config.mode {
            Mode::Structured => (cloudevent::STRUCTURED, consignment.document.clone()),
            Mode::Binary => {
                for (name, value) in envelope.headers() {
                    headers.insert(format!("cloudEvents:{name}").into(), text(value));
                }
                (&*envelope.media, envelope.data().into_owned())
            }
        };
        let mut properties = properties.with_content_type(media.into());
        if !headers.inner().is_empty() {
            properties = properties.with_headers(headers);
        }
        Ok((routing_key, body, properties))
    }
}

/// The answers of one turn.
#[derive(Debug, Default)]
struct Window {
    fates: HashMap<usize, Fate>,
    /// What the broker said of messages that it gave back, by their ids. The library hangs a
    /// message that came back on whatever confirmation follows it, which may be a neighbour's.
    returned: HashMap<String, String>,
}

impl Window {
    fn add(&mut self, at: usize, fate: Fate, returned: Option<BasicReturnMessage>) {
        self.fates.insert(at, fate);
        if let Some(message) = returned {
            let id = message.properties.message_id().as_ref().map(ToString::to_string);
            let why = format!("{} {}", message.reply_code, message.reply_text);
            self.returned.insert(id.unwrap_or_default(), why);
        }
    }

    /// Whether every message has the broker's own answer.
    fn is_complete(&self, count: usize) -> bool {
        let answered = |fate: &&Fate| matches!(fate, Fate::Confirmed | Fate::Nacked);
        self.fates.values().filter(answered).count() == count
    }

    fn answers(&self, turn: &[Consignment]) -> Vec<(DeliveryId, Answer)> {
        let complete = self.is_complete(turn.len());
        let alone = turn.len() == 1;
        let answer = |(at, one): (usize, &Consignment)| {
            if let Some(why) = self.returned.get(&one.name) {
                let what = format!("the broker gave it back: {why}; is a queue bound for it?");
                return (one.id, Answer::Reject(what.into()));
            }
            let answer = match self.fates.get(&at) {
                // One that came back may hang on a confirmation that never came.
                Some(Fate::Confirmed) if !complete && !self.returned.is_empty() => {
                    Answer::InDoubt("confirmed; whether a queue took it is not known".into())
                }
                Some(Fate::Confirmed) => Answer::Delivered { reference: String::new() },
                Some(Fate::Nacked) => {
                    let reason = "the broker said no: is a queue full?".into();
                    Answer::Retry { why: Why::Nack, reason, after: None }
                }
                Some(Fate::NotWritten(why)) => Answer::Unavailable(why.as_str().into()),
                Some(Fate::Impossible(why)) => Answer::Reject(why.as_str().into()),
                Some(Fate::Closed(soft, why)) if alone => closed_over(soft, why),
                Some(Fate::Lost(why) | Fate::Closed(_, why)) => {
                    Answer::InDoubt(format!("no confirmation: {why}").into())
                }
                None => Answer::InDoubt(format!("no confirmation within {CONFIRM:?}").into()),
            };
            (one.id, answer)
        };
        turn.iter().enumerate().map(answer).collect()
    }
}

/// A channel was closed over the only message on it, so it was not taken.
fn closed_over(soft: &AMQPSoftError, why: &str) -> Answer {
    match soft {
        AMQPSoftError::NOTFOUND | AMQPSoftError::ACCESSREFUSED => Answer::Unavailable(why.into()),
        _ => Answer::Reject(why.into()),
    }
}

fn same(ids: Vec<DeliveryId>, answer: &Answer) -> Vec<(DeliveryId, Answer)> {
    ids.into_iter().map(|id| (id, answer.clone())).collect()
}
