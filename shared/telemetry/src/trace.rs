//! Traces: spans sent to an OpenTelemetry collector, and the context that ties the spans of several
//! processes, and of a job, into one trace (W3C `traceparent`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use serde::Deserialize;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

static TRACED: AtomicBool = AtomicBool::new(false);

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceSettings {
    /// Base address of a collector that takes OTLP over HTTP, `http://localhost:4318`; empty: no traces.
    pub endpoint: String,
    /// The share of traces that are sent, 0 to 1. A request that comes with a sampled `traceparent` is
    /// always traced.
    pub sample: f64,
}

impl Default for TraceSettings {
    fn default() -> Self {
        TraceSettings { endpoint: String::new(), sample: 1.0 }
    }
}

/// Sends what is left when it is dropped or told to [`Traces::flush`].
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends the spans that have ended. Blocks for as long as the collector takes.
    pub fn flush(&self) {
        if let Some(provider) = &self.0 {
            let _ = provider.force_flush();
        }
    }
}

/// A collector that is away costs requests nothing: spans wait in a bounded buffer, then they are dropped.
pub(crate) fn start(
    settings: &TraceSettings,
    service: &str,
) -> Result<(Traces, Option<SdkTracer>), opentelemetry_otlp::ExporterBuildError> {
    if settings.endpoint.is_empty() {
        return Ok((Traces(None), None));
    }
    TRACED.store(true, Ordering::Relaxed);
    let endpoint = format!("{}/v1/traces", settings.endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample))))
        .with_resource(Resource::builder().with_service_name(service.to_owned()).build())
        .build();
    let tracer = provider.tracer("muster");
    Ok((Traces(Some(provider)), Some(tracer)))
}

/// Whether spans go to a collector. While they don't, nobody needs what only a collector reads.
pub fn traced() -> bool {
    TRACED.load(Ordering::Relaxed)
}

/// Gives a span the name that the collector shows, once it is known.
pub fn name(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// The current span as a W3C `traceparent`, to be handed to another process or kept with a job. None
/// while nothing is traced.
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes `span` a child of what `traceparent` names; anything unreadable is ignored.
pub fn continue_trace(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract(&carrier);
    if parent.span().span_context().is_valid() {
        // It fails only for a span that has begun to be exported, or when nothing is traced.
        let _ = span.set_parent(parent);
    }
}
