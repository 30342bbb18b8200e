//! Log lines on standard error, as text for people or JSON for machines.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::trace::{self, TraceSettings, Traces};

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    pub format: LogFormat,
    /// Directives of `tracing`'s EnvFilter: `info`, `warn,muster_ingest=debug`.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        // sqlx and apalis tell each statement and each poll at info.
        LogSettings { format: LogFormat::Text, filter: "info,sqlx=warn,apalis=warn".into() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    #[error("the log filter `{filter}` can't be read: {source}")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("this process logs already: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    #[error("traces can't be sent: {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Starts logging and, when a collector is named, tracing, once per process. `service` is what the
/// collector calls this process.
pub fn init(logs: &LogSettings, traces: &TraceSettings, service: &str) -> Result<Traces, LogsError> {
    let settings = logs;
    let filter = parse(&settings.filter)?;
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match settings.format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            fmt::layer().with_ansi(colours).with_writer(std::io::stderr).boxed()
        }
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    let (traces, tracer) = trace::start(traces, service)?;
    // Our own spans only: the exporter's HTTP client must not trace itself.
    let ours = filter_fn(|meta| meta.is_span() && meta.target().starts_with("muster"));
    let spans = tracer.map(|tracer| tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours));
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init()?;
    Ok(traces)
}

fn parse(filter: &str) -> Result<EnvFilter, LogsError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LogsError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_or_refused_by_name() {
        for good in [LogSettings::default().filter.as_str(), "warn,muster_ingest=debug", ""] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let refused = parse("muster=loud").unwrap_err().to_string();
        assert!(refused.contains("muster=loud"), "{refused}");
    }
}
