//! Clients that send verifications through the proxy, one after the other.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use image::ImageFormat;
use likeness_testing::http::{Connection, Form};
use likeness_testing::{Failed, Outcome, ensure, workspace};

use crate::cluster::PARTNER;
use crate::support::TIMEOUT;

/// The requests that a client sends at most, and for how long.
const MOST: (usize, std::time::Duration) = (4000, std::time::Duration::from_secs(240));

/// Refusals by a quota in a row, after which a client ends.
const REFUSALS: usize = 5;

/// What a client received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The client's own id of the request.
    pub(crate) id: String,
    /// 0: no response.
    pub(crate) status: u16,
    /// Of an error.
    pub(crate) code: String,
}

/// The clients, as the test sees them.
pub(crate) struct Load {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    running: usize,
    is_over: bool,
}

/// Runs `exercise` while so many clients send requests, and returns what they received.
pub(crate) fn under_load(
    address: SocketAddr,
    clients: usize,
    exercise: impl FnOnce(&Load) -> Outcome,
) -> Result<Vec<Received>, Failed> {
    let form = Form::pair(&small("obama.jpg")?, &small("obama2.jpg")?);
    let load = Load {
        state: Mutex::new(State {
            running: clients,
            ..State::default()
        }),
        changed: Condvar::new(),
    };
    let outcome = std::thread::scope(|scope| {
        for client in 0..clients {
            let (load, form) = (&load, &form);
            scope.spawn(move || load.client(client, address, form));
        }
        let outcome = exercise(&load);
        load.lock().is_over = true;
        outcome
    });
    outcome?;
    let state = load.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(state.received)
}

/// An image that set-up has brought, as small as a phone's preview.
fn small(name: &str) -> Result<Vec<u8>, Failed> {
    let path = workspace().join(".setup/images").join(name);
    let bytes = std::fs::read(&path)
        .map_err(|error| format!("{}: {error}; `scripts/setup.py images` brings it", path.display()))?;
    let mut encoded = Cursor::new(Vec::new());
    image::load_from_memory(&bytes)?
        .thumbnail(640, 640)
        .to_rgb8()
        .write_to(&mut encoded, ImageFormat::Jpeg)?;
    Ok(encoded.into_inner())
}

impl Load {
    /// Waits for so many more results.
    pub(crate) fn wait_for(&self, more: usize) -> Outcome {
        let results = |state: &State| state.received.iter().filter(|one| one.status == 200).count();
        let wanted = results(&self.lock()) + more;
        self.wait_until("results", |state| results(state) >= wanted)
    }

    /// Waits until every client is refused by its quota, time and again.
    pub(crate) fn wait_until_refused(&self) -> Outcome {
        self.wait_until("refusals", |state| state.running == 0)
    }

    fn wait_until(&self, what: &str, ready: impl Fn(&State) -> bool) -> Outcome {
        let deadline = Instant::now() + TIMEOUT;
        let mut state = self.lock();
        while !ready(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            let is_possible = !left.is_zero() && state.running > 0;
            ensure!(is_possible, "no more {what} after {:?}", state.received.last());
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    fn client(&self, number: usize, address: SocketAddr, form: &Form) {
        let deadline = Instant::now() + MOST.1;
        let mut connection = None;
        let mut refusals = 0;
        for request in 0..MOST.0 {
            if self.lock().is_over || refusals == REFUSALS || Instant::now() > deadline {
                break;
            }
            let id = format!("load-{number}-{request}");
            let headers = format!("{}X-Request-ID: {id}\r\n", PARTNER.headers());
            let bytes = form.request("/v0.2/biometric-verification", &headers);
            let one = send(&mut connection, address, id, &bytes);
            // A defect of the test: no replica is the reason.
            let is_useless = (400..500).contains(&one.status) && one.code != "LIMIT_EXCEEDED";
            refusals = if one.code == "LIMIT_EXCEEDED" {
                refusals + 1
            } else {
                0
            };
            self.lock().received.push(one);
            self.changed.notify_all();
            if is_useless {
                break;
            }
        }
        self.lock().running -= 1;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a request on the connection if there is one, else on a new one; keeps it while both ends do.
fn send(kept: &mut Option<Connection>, address: SocketAddr, id: String, bytes: &[u8]) -> Received {
    let mut exchange = || -> Result<_, Failed> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(address)?,
        };
        connection.send(bytes)?;
        let response = connection.admin_response()?;
        Ok((connection, response))
    };
    match exchange() {
        Ok((connection, response)) => {
            // After an error of its own nginx may not have read the request to its end, and then closes.
            let is_of_replica = [200, 403].contains(&response.status);
            if is_of_replica && response.header("connection") != Some("close") {
                *kept = Some(connection);
            }
            let code = response.json().ok();
            let code = code.and_then(|json| json.text("error.code").ok().map(str::to_owned));
            Received {
                id,
                status: response.status,
                code: code.unwrap_or_default(),
            }
        }
        Err(failure) => Received {
            id,
            status: 0,
            code: failure.message().unwrap_or_default().to_owned(),
        },
    }
}
