//! The terminal of `make dev`: one readable line for each request and each item that did something.

use std::io::{IsTerminal as _, Write as _};

use jiff::Zoned;
use serde_json::Value;

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    colours: bool,
    json: bool,
}

impl Terminal {
    /// Standard output, with colours where it is a terminal and `NO_COLOR` is not set; the functions' own JSON lines
    /// where `LOG=json` asks for them.
    #[expect(clippy::new_without_default, reason = "it reads the environment")]
    pub fn new() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        Self {
            colours: std::io::stdout().is_terminal() && variable("NO_COLOR").is_empty(),
            json: variable("LOG") == "json",
        }
    }

    /// Whether the functions' lines are printed as they are.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A line as it is.
    pub(crate) fn print(self, line: &str) {
        // Nobody may be reading any more.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }

    /// A request: time, method, path, status, milliseconds, then what else there is to say.
    pub(crate) fn request(self, method: &str, path: &str, status: u16, milliseconds: u64, more: &[String]) {
        let status = self.coloured(&status.to_string(), if status < 400 { GREEN } else { RED });
        let words = printable(path);
        self.line(&format!("{method} {words} {status} {milliseconds} ms"), more);
    }

    /// What more there is to say of the line before.
    pub(crate) fn hint(self, text: &str) {
        self.print(&format!("         {}", self.coloured(text, YELLOW)));
    }

    /// A function's log line of a queue item, where the item was processed.
    pub(crate) fn item(self, line: &Value) {
        let text = |name: &str| line.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let number = |name: &str| line.get(name).and_then(Value::as_u64);
        let called = number("connect_calls").unwrap_or_default() + number("provider_calls").unwrap_or_default();
        let code = text("code").filter(|code| *code != "OK");
        if called == 0 && code.is_none() {
            return;
        }
        let outcome = text("outcome").unwrap_or_default();
        let coloured = self.coloured(outcome, if code.is_none() { GREEN } else { RED });
        let took = number("duration_ms").unwrap_or_default();
        let mut more = Vec::new();
        more.extend(code.map(str::to_owned));
        more.extend(text("cause").map(str::to_owned));
        more.extend(number("receipts").filter(|tries| *tries > 1).map(|tries| format!("try {tries}")));
        more.extend(text("notes").map(str::to_owned));
        more.extend(text("contact_id").map(|id| format!("contact {}", short(id))));
        self.line(&format!("{} {coloured} {took} ms", text("service").unwrap_or_default()), &more);
    }

    fn line(self, what: &str, more: &[String]) {
        let time = Zoned::now().strftime("%H:%M:%S");
        let more: String = more.iter().map(|one| format!(" · {}", printable(one))).collect();
        self.print(&format!("{} {what}{more}", self.coloured(&time.to_string(), GREY)));
    }

    fn coloured(self, text: &str, colour: u8) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

const GREEN: u8 = 32;
const RED: u8 = 31;
const YELLOW: u8 = 33;
const GREY: u8 = 90;

/// The first part of an id is enough to find it again.
pub(crate) fn short(id: &str) -> &str {
    id.split('-').next().unwrap_or(id)
}

/// Text of a caller's cannot move the cursor or change colours.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
