//! What of the bridge does not compile.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// `cargo lambda watch` builds what does not compile again every few seconds: an older error has been mended.
const FRESH: Duration = Duration::from_secs(5);

/// A package that does not compile, and the compiler's words.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    package: String,
    pub(crate) error: String,
    at: Instant,
}

impl Broken {
    /// Whether this keeps a function from running: its own package, or one that it is made of.
    fn stops(&self, function: &str) -> bool {
        let is_function = ["start-chat", "receive-message", "deliver-message", "receive-reply", "send-reply"];
        self.package == function || !is_function.contains(&self.package.as_str())
    }
}

/// What does not compile now.
#[derive(Debug)]
pub(crate) struct Builds(watch::Sender<Option<Broken>>);

impl Default for Builds {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Builds {
    /// The compiler has refused a package.
    pub(crate) fn refused(&self, package: &str, error: String) {
        self.0.send_replace(Some(Broken { package: package.to_owned(), error, at: Instant::now() }));
    }

    /// An error that stops a function, if it is fresh.
    pub(crate) fn broken(&self, function: &str) -> Option<Broken> {
        self.0.borrow().clone().filter(|broken| broken.stops(function) && broken.at.elapsed() < FRESH)
    }

    /// Waits for an error that stops a function.
    pub(crate) async fn breaks(&self, function: &str) -> Broken {
        let mut follower = self.0.subscribe();
        loop {
            // The sender lives in self.
            if follower.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(broken) = self.broken(function) {
                return broken;
            }
        }
    }

    /// A function has answered: it compiles.
    pub(crate) fn works(&self, function: &str) {
        self.0.send_if_modified(|broken| {
            let mended = broken.as_ref().is_some_and(|broken| broken.stops(function));
            if mended {
                *broken = None;
            }
            mended
        });
    }
}
