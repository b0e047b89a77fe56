//! Lambda's Runtime API for one process: the real binary runs against it and its output is kept.
//!
//! Only what the runtime client uses: "Using the Lambda runtime API for custom runtimes", AWS Lambda developer guide.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::{mpsc, oneshot},
};

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Result<Value, Value>>>>>;

struct Shared {
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<(String, String)>>,
    waiting: Waiting,
}

/// A function's binary, running.
pub struct Binary {
    events: mpsc::UnboundedSender<(String, String)>,
    waiting: Waiting,
    output: Arc<Mutex<Vec<String>>>,
    sent: u32,
    process: Child,
}

impl Binary {
    /// Starts `target/<profile>/<name>`, the function `bridge-<name>`, with `environment` and nothing else.
    pub async fn start(name: &str, environment: &[(&str, String)]) -> Self {
        let (events, received) = mpsc::unbounded_channel();
        let waiting = Waiting::default();
        let shared = Arc::new(Shared { events: received.into(), waiting: Arc::clone(&waiting) });
        let api = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, api).await });

        let path = built(name);
        let mut process = Command::new(&path)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", format!("bridge-{name}"))
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}; run `cargo build --bins` first, as `make test` does", path.display())
            });
        let output = Arc::new(Mutex::new(Vec::new()));
        let stdout = process.stdout.take().unwrap();
        let stderr = process.stderr.take().unwrap();
        let lines = Arc::clone(&output);
        tokio::spawn(async move {
            let mut stdout = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = stdout.next_line().await {
                lines.lock().unwrap().push(line);
            }
        });
        let lines = Arc::clone(&output);
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = stderr.next_line().await {
                lines.lock().unwrap().push(line);
            }
        });
        Self { events, waiting, output, sent: 0, process }
    }

    /// Hands it one event: `Err` holds what the function told the runtime as its error.
    pub async fn invoke(&mut self, event: &Value) -> Result<Value, Value> {
        self.sent += 1;
        let id = format!("invocation-{}", self.sent);
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id.clone(), answer);
        self.events.send((id, event.to_string())).unwrap();
        tokio::time::timeout(Duration::from_secs(60), answered).await.expect("an answer within a minute").unwrap()
    }

    /// What it has printed since the last call: something, and then nothing more for a while.
    pub async fn output(&self) -> Vec<String> {
        let mut seen = 0;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.output.lock().unwrap().len();
            if now > 0 && now == seen {
                break;
            }
            seen = now;
        }
        std::mem::take(&mut *self.output.lock().unwrap())
    }

    /// What it printed before it ended by itself.
    pub async fn last_words(&mut self) -> Vec<String> {
        tokio::time::timeout(Duration::from_secs(60), self.process.wait()).await.expect("it ends").unwrap();
        self.output().await
    }
}

fn built(name: &str) -> PathBuf {
    // target/debug/deps/stories-… → target/debug/<name>
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(|deps| deps.parent()).unwrap().join(name)
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let Some((id, event)) = shared.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let deadline = (now + Duration::from_secs(20)).as_millis();
    let mut headers = HeaderMap::new();
    headers.insert("lambda-runtime-aws-request-id", id.parse().unwrap());
    headers.insert("lambda-runtime-deadline-ms", deadline.to_string().parse().unwrap());
    headers.insert(
        "lambda-runtime-invoked-function-arn",
        "arn:aws:lambda:us-east-1:123456789012:function:f".parse().unwrap(),
    );
    (headers, event).into_response()
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    finish(&shared, &id, Ok(serde_json::from_slice(&body).unwrap()))
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    finish(&shared, &id, Err(serde_json::from_slice(&body).unwrap()))
}

fn finish(shared: &Shared, id: &str, outcome: Result<Value, Value>) -> StatusCode {
    if let Some(waiting) = shared.waiting.lock().unwrap().remove(id) {
        let _ = waiting.send(outcome);
    }
    StatusCode::ACCEPTED
}
