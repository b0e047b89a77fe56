//! What `cargo lambda watch` and the functions print: log lines become rows and readable lines, compile errors are kept for
//! the front, and what means nothing here is left out.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use super::terminal::Terminal;
use crate::service::Service;
use serde_json::Value;

/// The compiler prints an error at once.
const BURST: Duration = Duration::from_secs(1);

/// Reads a named pipe, or a file, in a thread of its own until it ends.
pub(crate) fn read(path: PathBuf, service: Arc<Service>, terminal: Terminal) {
    let (lines, printed) = mpsc::channel();
    std::thread::spawn(move || {
        let Ok(file) = File::open(path) else {
            terminal.print("local: what the functions print can't be read");
            return;
        };
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            if lines.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        let mut reader = Reader { service, terminal, block: Vec::new(), told: None };
        loop {
            match printed.recv_timeout(BURST) {
                Ok(line) => reader.line(&line),
                Err(mpsc::RecvTimeoutError::Timeout) => reader.flush(),
                Err(mpsc::RecvTimeoutError::Disconnected) => return reader.flush(),
            }
        }
    });
}

struct Reader {
    service: Arc<Service>,
    terminal: Terminal,
    /// Lines that may be a compile error which is not complete yet.
    block: Vec<String>,
    /// The error that was printed last: it comes again every few seconds.
    told: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(line) {
            self.flush();
            self.json(line, &value);
        } else if let Some(rest) = line.strip_prefix("error: could not compile `") {
            self.broken(rest.split('`').next().unwrap_or_default());
        } else if !self.block.is_empty() || line.starts_with("error") {
            self.block.push(line.to_owned());
        } else if !line.is_empty() && !is_noise(line) {
            self.terminal.print(line);
        }
    }

    /// Prints what turned out to be no compile error.
    fn flush(&mut self) {
        for line in self.block.drain(..) {
            self.terminal.print(&line);
        }
    }

    fn json(&self, line: &str, value: &Value) {
        if self.terminal.is_json() {
            self.terminal.print(line);
        }
        // Metrics in CloudWatch's embedded format, and what means nothing here.
        let message = value.get("message").and_then(Value::as_str).unwrap_or_default();
        if value.get("_aws").is_some() || is_noise(message) {
            return;
        }
        self.service.rows().log(value);
        if self.terminal.is_json() {
            return;
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        if value.get("outcome").is_some() {
            self.terminal.item(value);
        } else if value.get("status").is_none() && text("level") != "INFO" {
            // Neither a request nor an item, so the whole of it is the message.
            self.terminal.print(&format!("         {} {}", text("level").to_lowercase(), said(value)));
        } else if value.get("status").is_some() && ["ERROR", "WARN"].contains(&text("level")) {
            self.terminal.hint(&format!("{}: {}", text("service"), text("cause")));
        }
    }

    fn broken(&mut self, package: &str) {
        let error = std::mem::take(&mut self.block).join("\n");
        if self.told.as_ref() != Some(&error) {
            self.terminal.print(&error);
            self.terminal.print(&format!("error: could not compile {package}; requests are answered so until it does"));
            self.told = Some(error.clone());
        }
        self.service.builds().refused(package, error);
    }
}

/// A line without its time and level, as `name=value` after the message.
fn said(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !["timestamp", "level", "message"].contains(&name.as_str()));
    let fields: String = fields
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!(" {name}={text}"),
            None => format!(" {name}={value}"),
        })
        .collect();
    format!("{}{fields}", value.get("message").and_then(Value::as_str).unwrap_or_default())
}

/// What says nothing to whoever runs `make dev`.
fn is_noise(line: &str) -> bool {
    let is_tool = [" INFO ", " WARN ", "ERROR ", " ERROR "].iter().any(|level| line.starts_with(level));
    line.contains("AWS_LAMBDA_MAX_CONCURRENCY")
        || (is_tool
            && ["starting", "spawning", "ForceStop", "terminating", "stopping"].iter().any(|word| line.contains(word)))
}
