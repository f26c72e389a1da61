//! The log of the agent, on standard error: one event is one line, and no text in it acts on what
//! shows it.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt as lines};

use crate::cli::CliError;
use crate::cli::args::{LogFormat, Run};
use crate::visible::{json, visible};

/// Starts the log; what is logged before is lost.
pub(super) fn start(options: &Run) -> Result<(), CliError> {
    known(&options.log)?;
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|error| CliError::Refused(format!("--log {}: {error}", options.log)))?;
    // The AMQP library logs a message that comes back with its payload, whatever the level.
    let quiet = "lapin::returned_messages=off".parse();
    let quiet = quiet.map_err(|error| CliError::Refused(format!("log filter: {error}")))?;
    let filter = filter.add_directive(quiet).and(filter_fn(may_speak));
    let layer = match options.log_format {
        LogFormat::Text => text(io::stderr, io::stderr().is_terminal()),
        LogFormat::Json => objects(io::stderr),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    Ok(())
}

/// Refuses a word that is no level. The filter would take it for the name of a module, and be silent.
fn known(filter: &str) -> Result<(), CliError> {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let is_known = |part: &str| {
        let word = part.trim().to_ascii_lowercase();
        word.is_empty() || word.contains(['=', '[']) || levels.contains(&word.as_str())
    };
    match filter.split(',').find(|part| !is_known(part)) {
        None => Ok(()),
        Some(part) => Err(CliError::Refused(format!(
            "--log (WAYBILL_LOG): `{part}` is no level; write one of {}, or MODULE=LEVEL, such as \
             `info,waybill::intake=debug`",
            levels.join(", ")
        ))),
    }
}

/// Libraries trace what travels: logins and messages. No level that is asked for shows it.
fn may_speak(line: &Metadata<'_>) -> bool {
    let ours = line.target().split("::").next() == Some("waybill");
    ours || *line.level() < Level::TRACE
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// Lines for people.
fn text<W: Write + 'static>(to: impl Fn() -> W + Send + Sync + 'static, ansi: bool) -> Boxed {
    lines::layer().with_writer(to).with_ansi(ansi).fmt_fields(VisibleFields).boxed()
}

/// Lines of JSON.
fn objects<W: Write + 'static>(to: impl Fn() -> W + Send + Sync + 'static) -> Boxed {
    lines::layer().with_writer(move || Escaped(to())).json().boxed()
}

/// Fields in the usual format, made visible.
struct VisibleFields;

impl<'w> FormatFields<'w> for VisibleFields {
    fn format_fields<R: RecordFields>(&self, mut to: Writer<'w>, fields: R) -> fmt::Result {
        let mut text = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut text), fields)?;
        to.write_str(&visible(&text))
    }
}

/// Lines of JSON, each written at once, with escapes for what JSON allows raw.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(json(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const HOSTILE: &str =
        "K\n2026-12-01 ERROR forged\u{1b}]0;t\u{7}\u{9b}31m\u{202e}\u{200b}\0\u{7f}\u{2028}";

    /// What is logged of a key that was written by somebody else, in each way in which it can be.
    fn logged(layer: impl FnOnce(Arc<Mutex<Vec<u8>>>) -> Boxed) -> String {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::registry().with(layer(Arc::clone(&bytes)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(key = HOSTILE, shown = %HOSTILE, debug = ?HOSTILE, "of {HOSTILE}");
            let error: Box<dyn std::error::Error> = HOSTILE.into();
            tracing::info_span!("s", span = %HOSTILE)
                .in_scope(|| tracing::info!(error = &*error, "in"));
        });
        let bytes = bytes.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Neither of what hides nor of what acts, beside the ends of lines.
    fn is_tame(text: &str) -> bool {
        text.lines().all(|line| visible(line) == line)
    }

    #[test]
    fn an_event_is_one_line_of_text_that_acts_on_nothing() {
        let log = logged(|bytes| text(move || Shared(Arc::clone(&bytes)), false));
        assert_eq!(log.lines().count(), 2, "{log:?}");
        assert!(is_tame(&log), "{log:?}");
        let log = logged(|bytes| text(move || Shared(Arc::clone(&bytes)), true));
        assert_eq!(log.lines().count(), 2, "{log:?}");
        let colours =
            ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[3m", "\u{1b}[31m", "\u{1b}[32m"];
        let log = colours.iter().fold(log, |log, colour| log.replace(colour, ""));
        assert!(is_tame(&log), "{log:?}");
    }

    #[test]
    fn an_event_is_one_line_of_json_that_acts_on_nothing() {
        let log = logged(|bytes| objects(move || Shared(Arc::clone(&bytes))));
        assert_eq!(log.lines().count(), 2, "{log:?}");
        assert!(is_tame(&log), "{log:?}");
        let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(first["fields"]["shown"], HOSTILE, "JSON keeps what was written");
    }
}
