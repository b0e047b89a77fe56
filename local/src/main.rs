//! `local`: the stand-in on a port, until Ctrl-C.

use std::{
    env, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::ExitCode,
};

use local::{Bridge, Config, Pipeline, StandIn, Terminal};
use reqwest::Url;
use serde_json::Value;
use shared::settings::Settings;

const USAGE: &str = "usage: local [--port PORT]    (or LOCAL_PORT; default 9100, 0 for a free one)
BRIDGE_SETTINGS and PUBLIC_BASE_URL are read as the functions read them.
LOCAL_FUNCTIONS: the functions' URL, for the page's widget and phone
LOCAL_WATCH: the URL of `cargo lambda watch`; then requests to LOCAL_FUNCTIONS are passed on to it from here
LOCAL_LOG: a named pipe with what the functions print; LOG=json prints it as it is
LOCAL_AWS: the URL of an AWS stand-in; then queues and table are made there, and the queues polled for the functions
--check: say whether BRIDGE_SETTINGS can be used, and end
LOCAL_READY: a file into which the URL of queues and table is written once all is there";
const DEFAULT_PORT: u16 = 9100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("local: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    if env::args().nth(1).as_deref() == Some("--check") {
        return settings(&variable("BRIDGE_SETTINGS").unwrap_or_else(|| "{}".to_owned())).map(drop);
    }
    let Some(port) = port(env::args().skip(1), env::var("LOCAL_PORT").ok())? else {
        println!("{USAGE}");
        return Ok(());
    };
    let functions = variable("LOCAL_FUNCTIONS");
    let bridge = functions.as_deref().map(bridge).transpose()?;
    let config =
        Config { address: SocketAddr::from(([127, 0, 0, 1], port)), bridge: bridge.clone(), ..Config::default() };
    let stand_in = StandIn::start_with(config).await.map_err(|error| listening(port, "LOCAL_PORT", &error))?;
    println!("Amazon Connect stand-in at {}", stand_in.url());
    warn_of_real_texts(bridge.as_ref(), stand_in.url());
    let terminal = Terminal::new();
    if let (Some(watch), Some(bridge)) = (variable("LOCAL_WATCH"), &bridge) {
        open_front(&stand_in, bridge, &watch, terminal).await?;
    }
    if let Some(pipe) = variable("LOCAL_LOG") {
        stand_in.read_log(pipe.into(), terminal);
    }
    let pipeline = match (variable("LOCAL_AWS"), &functions) {
        (Some(aws), Some(functions)) => {
            let watch = variable("LOCAL_WATCH");
            let pipeline = Pipeline::start(&aws, watch.as_deref().unwrap_or(functions)).await?;
            println!("SQS and DynamoDB at {}", pipeline.endpoint());
            Some(pipeline)
        }
        _ => None,
    };
    if let Some(file) = variable("LOCAL_READY") {
        let endpoint = pipeline.as_ref().map(Pipeline::endpoint).unwrap_or_default();
        std::fs::write(&file, endpoint).map_err(|error| format!("can't write {file}: {error}"))?;
    }
    let work = async {
        match &pipeline {
            Some(pipeline) => pipeline.run(&stand_in).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = work => (),
        stop = tokio::signal::ctrl_c() => stop.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?,
    }
    stand_in.stop().await;
    Ok(())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn listening(port: u16, variable: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::AddrInUse {
        format!("port {port} is in use; choose another with {variable}")
    } else {
        format!("cannot listen on port {port}: {error}")
    }
}

/// Requests to the functions' URL come in here.
async fn open_front(stand_in: &StandIn, bridge: &Bridge, watch: &str, terminal: Terminal) -> Result<(), String> {
    let port = Url::parse(&bridge.functions).ok().and_then(|url| url.port());
    let port = port.ok_or("LOCAL_FUNCTIONS has no port")?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let opened = stand_in.open_front(address, watch, &bridge.public_base_url, terminal).await;
    opened.map_err(|error| listening(port, "FUNCTIONS_PORT", &error))
}

/// The bridge that the page talks to.
fn bridge(functions: &str) -> Result<Bridge, String> {
    let functions = functions.trim_end_matches('/').to_owned();
    Ok(Bridge {
        public_base_url: variable("PUBLIC_BASE_URL").unwrap_or_else(|| functions.clone()),
        functions,
        settings: settings(&variable("BRIDGE_SETTINGS").unwrap_or_else(|| "{}".to_owned()))?,
    })
}

/// The settings document, as far as the bridge itself takes it.
fn settings(document: &str) -> Result<Value, String> {
    let document = document.trim();
    if !document.starts_with('{') && Path::new(document).exists() {
        let example = format!("BRIDGE_SETTINGS=\"$(cat {document})\" make dev");
        return Err(format!("BRIDGE_SETTINGS is the path of a file, and must be what is in it: {example}"));
    }
    Settings::from_json(document.as_bytes())
        .map_err(|error| format!("BRIDGE_SETTINGS can't be used: {}", cause(&error)))?;
    // It is JSON, as the line above has found.
    serde_json::from_str(document).map_err(|_| "BRIDGE_SETTINGS is not JSON".to_owned())
}

/// The cause in full: it names fields, lines and columns, and never quotes a value.
fn cause(error: &shared::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn warn_of_real_texts(bridge: Option<&Bridge>, url: &str) {
    for account in bridge.into_iter().flat_map(|bridge| sending_elsewhere(&bridge.settings)) {
        eprintln!(
            "local: answers by the account {account} go to its provider, and to real telephones. With \"send_base_url\": \
             \"{url}/_phone/{account}\" in its settings they come to the phone here."
        );
    }
}

/// The accounts whose texts leave this machine.
fn sending_elsewhere(settings: &Value) -> Vec<&str> {
    let is_here = |url: &str| {
        let url = Url::parse(url).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    let accounts = settings.get("accounts").and_then(Value::as_array).into_iter().flatten();
    accounts
        .filter(|account| {
            // A `webhook` account names the whole URL, or only receives.
            let name =
                if account.get("provider").is_some_and(|it| it == "webhook") { "send_url" } else { "send_base_url" };
            !account.get(name).and_then(Value::as_str).is_some_and(is_here)
        })
        .filter_map(|account| {
            let text = |field| account.get(field).and_then(Value::as_str);
            text("name").or_else(|| text("provider"))
        })
        .collect()
}

/// The port to use; `None`: help was asked for.
fn port(mut arguments: impl Iterator<Item = String>, variable: Option<String>) -> Result<Option<u16>, String> {
    let mut named = variable.filter(|value| !value.is_empty()).map(|value| ("LOCAL_PORT", value));
    while let Some(argument) = arguments.next() {
        match argument.split_once('=').map_or((argument.as_str(), None), |(name, value)| (name, Some(value))) {
            ("-h" | "--help", None) => return Ok(None),
            ("--port", Some(value)) => named = Some(("--port", value.to_owned())),
            ("--port", None) => named = Some(("--port", arguments.next().ok_or("--port needs a number")?)),
            _ => return Err(format!("unknown argument {argument}; {USAGE}")),
        }
    }
    let Some((name, value)) = named else { return Ok(Some(DEFAULT_PORT)) };
    value.parse().map(Some).map_err(|_| format!("{name} must be a port number, not {value}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn accounts_whose_texts_leave_this_machine() {
        let own = serde_json::from_str(include_str!("../settings.json")).unwrap();
        assert_eq!(sending_elsewhere(&own), [""; 0]);
        assert_eq!(sending_elsewhere(&json!({ "widget": {} })), [""; 0]);
        let settings = json!({ "accounts": [
            { "provider": "twilio", "name": null },
            { "provider": "meta", "name": "shop", "send_base_url": "https://graph.example" },
            { "provider": "vonage", "name": "a", "send_base_url": "http://localhost.example:9100" },
            { "provider": "vonage", "name": "b", "send_base_url": "http://127.0.0.1@example" },
            { "provider": "vonage", "name": "c", "send_base_url": "127.0.0.1:9100" },
            { "provider": "vonage", "name": "d", "send_base_url": null },
            { "provider": "vonage", "send_base_url": "http://127.0.0.1:9100/_phone/vonage" },
            { "provider": "vonage", "name": "e", "send_base_url": "http://LOCALHOST:1" },
            { "provider": "vonage", "name": "f", "send_base_url": "http://[::1]:9100" },
        ] });
        assert_eq!(sending_elsewhere(&settings), ["twilio", "shop", "a", "b", "c", "d"]);
    }

    #[test]
    fn ports() {
        let port = |arguments: &str, variable: Option<&str>| {
            port(arguments.split_whitespace().map(str::to_owned), variable.map(str::to_owned))
        };
        assert_eq!(port("", None), Ok(Some(9100)));
        assert_eq!(port("", Some("")), Ok(Some(9100)));
        assert_eq!(port("", Some("81")), Ok(Some(81)));
        assert_eq!(port("--port 82", Some("81")), Ok(Some(82)));
        assert_eq!(port("--port=83", None), Ok(Some(83)));
        assert_eq!(port("--help", None), Ok(None));
        for (arguments, variable) in [("--port", None), ("--port x", None), ("", Some("70000")), ("9100", None)] {
            assert!(port(arguments, variable).is_err(), "{arguments} {variable:?}");
        }
    }
}
