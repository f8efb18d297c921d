//! The program under images that cost much: its memory, its responses, and that its workers are free again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use likeness::imaging::ImageLimits;
use likeness_testing::http::Form;
use likeness_testing::{Failed, Outcome, Suite, ensure, shared};

use support::TIMEOUT;
use support::image;
use support::server::{APP, Server};

mod support;

const WORKERS: u64 = 2;
/// Of v0.1, which takes images of up to 10,000 pixels a side.
const BIOMETRIC: &str = "/v0.1/biometric-verification";
/// As a container of 1 GiB.
const CONTAINER_BYTES: u64 = 1 << 30;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("two_hostile_requests_at_a_time_stay_within_four_budgets", memory);
    if let Some(folder) = container() {
        // It is made again by the test, which may not be among those that are run.
        let _ = fs::remove_dir(folder);
        suite.with_shared_and_models("a_container_of_a_gibibyte_survives_hostile_images", contained);
    }
    suite.with_shared_and_models("no_request_holds_a_worker_after_its_deadline", deadline);
    suite.run()
}

/// The files, each with the outcomes that are allowed.
fn files(shared: &Path) -> Result<Vec<(String, Vec<u8>, String)>, Failed> {
    let folder = shared.join("data/hostile");
    fs::read_to_string(folder.join("expected.csv"))?
        .lines()
        .skip(1)
        .map(|line| {
            let [name, _, size, expected] = line.split(',').map(str::trim).collect::<Vec<_>>()[..] else {
                return Err(format!("{line:?} is no line of expected.csv").into());
            };
            // The smaller ones meet the limits of the version first.
            let small = size
                .split('x')
                .any(|side| side.parse().is_ok_and(|side: u32| side < 480));
            let expected = if small { "IMAGE_TOO_SMALL" } else { expected };
            Ok((name.to_owned(), fs::read(folder.join(name))?, expected.to_owned()))
        })
        .collect()
}

fn start() -> Result<Server, Failed> {
    Server::start(|command| {
        command
            .args(["--workers", &WORKERS.to_string()])
            .env("LIKENESS__ADMIN__LISTEN", "127.0.0.1:0");
    })
}

/// Sends as many requests as there are workers, each with the file twice, and checks the responses.
fn send(server: &Server, name: &str, bytes: &[u8], expected: &str, multiface: bool) -> Outcome {
    let mut form = Form::pair(bytes, bytes);
    if multiface {
        form = form.text("image_multiface", "true");
    }
    let responses: Vec<_> = thread::scope(|scope| {
        let requests: Vec<_> = (0..WORKERS)
            .map(|_| scope.spawn(|| server.post(BIOMETRIC, &form)))
            .collect();
        requests.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for response in responses {
        let response = response.map_err(|_| "a client panicked")??;
        let body = String::from_utf8_lossy(&response.body).into_owned();
        let found = if response.status == 200 {
            "ok"
        } else {
            expected
                .split(" or ")
                .find(|code| body.contains(&format!("\"{code}\"")))
                .unwrap_or("another error")
        };
        ensure!(
            expected.split(" or ").any(|allowed| allowed == found),
            "{name}: {} {body} instead of {expected}",
            response.status
        );
    }
    Ok(())
}

fn memory(shared: &Path) -> Outcome {
    let server = start()?;
    let budgets = 2 * WORKERS * ImageLimits::default().max_decode_bytes;
    // The service at rest, before anything was sent: what ONNX Runtime keeps after it is not given in addition.
    let rest = server.resident_bytes()?;
    for (name, bytes, expected) in files(shared)? {
        for multiface in [false, true] {
            send(&server, &name, &bytes, &expected, multiface)?;
            let most = most_resident_bytes(server.id())?;
            ensure!(
                most < rest + budgets,
                "{name}: {} MiB at most, {} MiB at rest",
                most >> 20,
                rest >> 20
            );
        }
        ensure!(server.get("/readyz")?.status == 200, "{name}: not ready after it");
    }
    still_serves(&server, shared)
}

fn contained(shared: &Path) -> Outcome {
    let folder = container().ok_or("no control group can be made")?;
    let server = start()?;
    fs::write(folder.join("memory.limit_in_bytes"), CONTAINER_BYTES.to_string())?;
    fs::write(folder.join("cgroup.procs"), server.id().to_string())?;
    for (name, bytes, expected) in files(shared)? {
        send(&server, &name, &bytes, &expected, true)
            .map_err(|failure| format!("{name}: {}", failure.message().unwrap_or_default()))?;
    }
    still_serves(&server, shared)?;
    server.kill();
    server.wait()?;
    fs::remove_dir(&folder)?;
    Ok(())
}

/// A folder for a control group with a limit on memory, where one can be made here.
fn container() -> Option<PathBuf> {
    let folder = PathBuf::from(format!(
        "/sys/fs/cgroup/memory/likeness-test-{}",
        std::process::id()
    ));
    shared()?;
    (folder.is_dir() || fs::create_dir(&folder).is_ok())
        .then_some(folder)
        .filter(|folder| folder.join("memory.limit_in_bytes").is_file())
}

/// Requests that are given much less time than they take end all the same, and their workers with them.
fn deadline(shared: &Path) -> Outcome {
    let server = Server::start(|command| {
        command
            .args(["--workers", &WORKERS.to_string()])
            .env("LIKENESS__ADMIN__LISTEN", "127.0.0.1:0")
            .env("LIKENESS__REQUEST_LIMITS__DEADLINE_SECONDS", "0.3");
    })?;
    for (name, bytes, _) in files(shared)? {
        // Any response is allowed, in time or not.
        let form = Form::pair(&bytes, &bytes).text("image_multiface", "true");
        thread::scope(|scope| {
            let requests: Vec<_> = (0..WORKERS)
                .map(|_| scope.spawn(|| server.post(BIOMETRIC, &form)))
                .collect();
            requests
                .into_iter()
                .try_for_each(|request| request.join().map_err(|_| "a client panicked")?.map(drop))
        })?;
        // The documentation promises half a second; the machine may be busy with other tests.
        let begin = Instant::now();
        while gauge(&server, "likeness_workers_busy")? > 0.0 {
            ensure!(
                begin.elapsed() < 10 * Duration::from_millis(500),
                "{name}: a worker is still busy"
            );
        }
        ensure!(
            gauge(&server, "likeness_workers_overdue")? == 0.0,
            "{name}: a worker is overdue"
        );
        ensure!(server.get("/readyz")?.status == 200, "{name}: not ready after it");
    }
    Ok(())
}

fn gauge(server: &Server, name: &str) -> Result<f64, Failed> {
    let response = server.operate("GET", "/metrics", "")?;
    let text = String::from_utf8_lossy(&response.body).into_owned();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .ok_or_else(|| format!("no {name} in the metrics"))?;
    Ok(value.parse()?)
}

/// The most that the process ever had in memory.
fn most_resident_bytes(id: u32) -> Result<u64, Failed> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .ok_or("no VmHWM")?
        .trim()
        .parse()?;
    Ok(kib << 10)
}

fn still_serves(server: &Server, shared: &Path) -> Outcome {
    let (selfie, photo) = (
        image(shared, "faces/img2.jpg")?,
        image(shared, "faces/img11.jpg")?,
    );
    let begin = Instant::now();
    let response = server.send(&Form::pair(&selfie, &photo).request(BIOMETRIC, &APP.headers()))?;
    ensure!(response.status == 200, "an ordinary request gets {response:?}");
    ensure!(begin.elapsed() < TIMEOUT, "an ordinary request waits");
    Ok(())
}
