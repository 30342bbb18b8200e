//! A collector of traces: takes OTLP over HTTP as collectors do and appends each span to a file, one JSON
//! object a line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use prost::Message;
use serde_json::{Value, json};

pub struct Collector {
    pub endpoint: String,
    file: PathBuf,
}

impl Collector {
    /// Listens until the process ends.
    pub fn start(file: &Path) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let out = std::fs::File::options().create(true).append(true).open(file).unwrap();
        let out = Arc::new(Mutex::new(out));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let out = out.clone();
                std::thread::spawn(move || serve(connection.unwrap(), &out));
            }
        });
        Collector { endpoint, file: file.to_owned() }
    }

    /// The spans in the file so far.
    pub fn spans(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Requests of one connection, until it is closed.
fn serve(connection: TcpStream, out: &Mutex<std::fs::File>) {
    let mut reader = BufReader::new(connection);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        if length == 0 {
            return;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        for span in spans(&ExportTraceServiceRequest::decode(&body[..]).unwrap()) {
            writeln!(out.lock().unwrap(), "{span}").unwrap();
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<Value> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut spans = Vec::new();
    for of_process in &request.resource_spans {
        let attributes = of_process.resource.iter().flat_map(|resource| &resource.attributes);
        let named = attributes.filter(|attribute| attribute.key == "service.name");
        let service = named.filter_map(|attribute| attribute.value.as_ref()?.value.clone()).next_back();
        let Some(AnyValue::StringValue(service)) = service else { panic!("a process without a name") };
        for span in of_process.scope_spans.iter().flat_map(|scope| &scope.spans) {
            spans.push(json!({
                "service": service, "name": span.name, "trace": hex(&span.trace_id), "span": hex(&span.span_id),
                "parent": hex(&span.parent_span_id), "kind": span.kind,
                "micros": span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1_000,
            }));
        }
    }
    spans
}
