//! The queue that a run publishes to: where it is, how deep, whether it is there at all.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::time::timeout;

/// A broker that does not answer for this long is not there.
const CONNECT: Duration = Duration::from_secs(5);

/// A queue of a broker.
#[derive(Clone, Debug)]
pub struct Queue {
    /// The broker.
    pub url: String,
    /// The queue.
    pub name: String,
}

impl Queue {
    /// A queue whose name no other run has.
    pub fn unique(url: &str, label: &str) -> Self {
        let name = format!("oracle.{label}.{}.{}", std::process::id(), crate::evidence::now());
        Self { url: url.to_owned(), name }
    }

    /// Connects.
    pub async fn connect(&self) -> Result<Connection> {
        timeout(CONNECT, Connection::connect(&self.url, ConnectionProperties::default()))
            .await
            .map_err(|_| anyhow!("the broker does not answer"))?
            .context("cannot connect to the broker")
    }

    /// Makes a durable quorum queue, for the bare loop; the agent makes its own.
    pub async fn declare(&self) -> Result<()> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(self.name.as_str().into(), durable, arguments).await?;
        close(&connection).await;
        Ok(())
    }

    /// The messages that wait in it; `None` when there is no such queue.
    pub async fn depth(&self) -> Result<Option<u32>> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        let depth = passive(&channel, &self.name).await;
        close(&connection).await;
        Ok(depth)
    }

    /// Deletes it, with everything in it. One that is not there is no error.
    pub async fn delete(&self) -> Result<()> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        channel
            .queue_delete(self.name.as_str().into(), QueueDeleteOptions::default())
            .await
            .with_context(|| format!("cannot delete the queue {}", self.name))?;
        close(&connection).await;
        Ok(())
    }
}

/// The depth of a queue by a passive declaration; a queue that is not there closes the channel.
pub(crate) async fn passive(channel: &Channel, name: &str) -> Option<u32> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare(name.into(), options, FieldTable::default()).await.ok()?;
    Some(queue.message_count())
}

/// Says good bye; a broker that is gone already need not hear it.
pub(crate) async fn close(connection: &Connection) {
    let _ = timeout(CONNECT, connection.close(200, "done".into())).await;
}
