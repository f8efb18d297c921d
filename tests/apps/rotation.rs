//! A key is replaced while it is in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use jiff::Timestamp;
use likeness_testing::{Failed, Outcome, Suite, TestDatabase, ensure};

use crate::support::TIMEOUT;
use crate::support::server::Server;
use crate::support::storage::{Storage, text};
use likeness_testing::http::{Form, flat};

const LIVENESS: &str = "/v0.2/liveness-verification";
const CLIENTS: usize = 4;

/// Answers that the clients must have had with each key.
const ANSWERS: usize = 20;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models_and_databases("rotation::no_request_fails_while_a_key_is_replaced", under_load);
}

pub(crate) fn headers(app: &str, key: &str) -> String {
    format!("app_id: {app}\r\napp_key: {key}\r\n")
}

/// The status of a verification.
pub(crate) fn ask(server: &Server, headers: &str) -> Result<u16, Failed> {
    let form = Form::new().file("selfie", &flat(320, 320)?);
    Ok(server.send(&form.request(LIVENESS, headers))?.status)
}

/// Asks until a service has noticed an app or a key.
pub(crate) fn wait_until_accepted(server: &Server, headers: &str) -> Outcome {
    let deadline = Instant::now() + TIMEOUT;
    while ask(server, headers)? != 200 {
        ensure!(Instant::now() < deadline, "it is never let in");
    }
    Ok(())
}

/// What the clients share.
struct Load<'a> {
    server: &'a Server,
    /// The key, and how many answers were had with it.
    key: Mutex<(String, usize)>,
    answered: Condvar,
    ended: AtomicBool,
}

impl Load<'_> {
    /// Asks until told to end, always with the key that is the newest.
    fn client(&self) -> Result<(), String> {
        while !self.ended.load(Ordering::Relaxed) {
            let key = self.lock().0.clone();
            let status = ask(self.server, &headers("acme", &key))
                .map_err(|failure| failure.message().unwrap_or_default().to_owned())?;
            if status != 200 {
                return Err(format!("{status} at {}", Timestamp::now()));
            }
            let mut state = self.lock();
            if state.0 == key {
                state.1 += 1;
            }
            self.answered.notify_all();
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (String, usize)> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the clients have had enough answers with the key that they have.
    fn wait_for_answers(&self) -> Outcome {
        let (state, _) = self
            .answered
            .wait_timeout_while(self.lock(), TIMEOUT, |(_, answers)| *answers < ANSWERS)
            .unwrap_or_else(PoisonError::into_inner);
        ensure!(state.1 >= ANSWERS, "the clients get no answers");
        Ok(())
    }
}

fn under_load(database: &TestDatabase) -> Outcome {
    let storage = Storage::of(database)?;
    let old = text(&storage.json(&["create", "acme", "--no-wait"])?, "key")?;
    let server = storage.serve(|_| {})?;
    let load = Load {
        server: &server,
        key: Mutex::new((old.clone(), 0)),
        answered: Condvar::new(),
        ended: AtomicBool::new(false),
    };
    let rotated = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| load.client())).collect();
        let rotate = || {
            load.wait_for_answers()?;
            // It ends when the service knows the new key.
            let rotated = storage.json(&["rotate", "acme", "--grace", "10m"])?;
            *load.lock() = (text(&rotated, "key")?, 0);
            load.wait_for_answers()?;
            Ok::<_, Failed>(rotated)
        };
        let rotated = rotate();
        load.ended.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        rotated
    })?;
    ensure!(rotated["before"][0]["live"] == true, "{rotated}");
    ensure!(
        ask(&server, &headers("acme", &old))? == 200,
        "the old key has no grace"
    );

    // The same with an end that comes while the service runs.
    let next = storage.json(&["rotate", "acme", "--grace", "2s", "--force", "--no-wait"])?;
    let new = text(&next, "key")?;
    let before = headers("acme", &text(&rotated, "key")?);
    let deadline = Instant::now() + TIMEOUT;
    while ask(&server, &before)? != 401 {
        ensure!(Instant::now() < deadline, "the old key never ends");
    }
    let expires: Timestamp = next["before"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|key| key["revoked"].is_null())
        .find_map(|key| key["expires"].as_str())
        .ok_or_else(|| format!("no end in {next}"))?
        .parse()?;
    ensure!(Timestamp::now() >= expires, "the old key ended before its time");
    ensure!(
        ask(&server, &headers("acme", &new))? == 200,
        "the new key is refused"
    );
    Ok(())
}
