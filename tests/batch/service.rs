//! Batches that a running service verifies.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use likeness_testing::http::{APP, WRONG_KEY};
use likeness_testing::{Failed, Outcome, ensure, ensure_eq};

use super::support::TIMEOUT;
use super::support::process::{Process, likeness};
use super::support::server::{SECRETS, Server};
use super::{Batch, GENUINE, cells, list};

/// Returns the command that has a service verify.
fn by(batch: &Batch, address: impl Display, key: &str, arguments: &[&str]) -> Command {
    let mut command = batch.command(arguments);
    command.arg(format!("--url=http://{address}"));
    command.args(["--app-id", APP.id]).env("LIKENESS_APP_KEY", key);
    command
}

pub(crate) fn by_service(shared: &Path) -> Outcome {
    let text = "selfie,photo,id,profile\n\
        faces/img2.jpg,faces/img11.jpg,genuine,\n\
        faces/img2.jpg,faces/img30.jpg,impostor,strict-v0\n\
        liveness/nuaa/live/0004_01_00_02_459.jpg,liveness/nuaa/live/0004_01_00_01_176.jpg,unsure,\n\
        awkward-faces/text.jpg,faces/img11.jpg,text,\n\
        faces/img11.jpg,awkward-faces/empty.jpg,empty,\n\
        faces/img11.jpg,faces/img11.jpg,lax,lax\n\
        faces/absent.jpg,faces/img11.jpg,absent,\n\
        faces/img11.jpg,groups/selfie-many-people.jpg,many,\n";
    let (local, remote) = (Batch::of(shared, text)?, Batch::of(shared, text)?);
    let ended = local.run(&["--multiface"])?;
    ensure!(ended.code == Some(1), "{ended:?}");

    let server = Server::start(|command| {
        command.args(["--workers", "2"]);
    })?;
    // A wrong key ends the run before anything is a result.
    let refused = Process::run(&mut by(&remote, server.address, WRONG_KEY, &[]))?;
    ensure!(
        refused.code == Some(1)
            && refused.stderr.contains("INVALID_CREDENTIALS: ")
            && refused.stderr.contains("0 of 8 pairs are in "),
        "{refused:?}"
    );
    let mut process = Process::start(&mut by(&remote, server.address, APP.key, &["--multiface"]))?;
    let command_line = std::fs::read_to_string(format!("/proc/{}/cmdline", process.id()));
    let status = process.wait()?;
    let said = process.stdout.text() + &process.stderr.text();
    ensure!(status.code() == Some(1), "{status}: {said}");
    let results = std::fs::read_to_string(remote.out())?;
    for text in [refused.stderr, said, results, command_line?, server.log.text()] {
        for secret in SECRETS {
            ensure!(!text.contains(secret), "a key is in {text}");
        }
    }
    // The service is asked for the app's own profile, and knows no files.
    let columns = [
        "id",
        "outcome",
        "face_match",
        "liveness",
        "codes",
        "error",
        "engine",
    ];
    let (local, remote) = (local.rows()?, remote.rows()?);
    for (local, remote) in local.iter().zip(&remote) {
        ensure_eq!(cells(remote, &columns), cells(local, &columns));
        let is_named = !remote["request_id"].is_empty();
        ensure!(is_named != (remote["id"] == "absent"), "{remote:?}");
        if remote["outcome"] == "error" && remote["id"] != "lax" {
            ensure_eq!(remote["message"], local["message"]);
        }
    }
    ensure_eq!((local.len(), remote.len()), (8, 8));
    ensure_eq!(cells(&remote[0], &["profile", "error"]), ["", ""]);
    // The best of all faces in the photo is the person's; the largest is another's.
    ensure!(remote[7]["face_match"].parse::<f64>()? > 0.85, "{:?}", remote[7]);
    Ok(())
}

const ANY_PORT: &str = "127.0.0.1:0";

/// A service on this address whose only app has these limits.
fn limited_at(address: &str, limits: &str) -> Result<(tempfile::TempDir, Server), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("likeness.toml");
    std::fs::write(
        &file,
        format!("[[apps]]\nid = \"{}\"\nlimits = {{ {limits} }}\n", APP.id),
    )?;
    let mut command = likeness();
    command
        .args(["serve", "--listen", address, "--config"])
        .arg(&file);
    command.env("LIKENESS_APPS", format!("{}:{}", APP.id, APP.key));
    let server = Server::start_command(&mut command)?;
    Ok((folder, server))
}

pub(crate) fn rate_limit(shared: &Path) -> Outcome {
    let (_folder, server) = limited_at(ANY_PORT, "requests_per_second = 2, burst = 1")?;
    let ids = ["1", "2", "3", "4", "5"];
    let batch = Batch::of(shared, &list(&ids.map(|id| (id, GENUINE))))?;
    let ended = Process::run(&mut by(&batch, server.address, APP.key, &[]))?;
    ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
    let outcomes: Vec<String> = batch.rows()?.iter().map(|row| row["outcome"].clone()).collect();
    ensure_eq!(outcomes, ids.map(|_| "pass"));
    Ok(())
}

pub(crate) fn quota(shared: &Path) -> Outcome {
    let (_folder, server) = limited_at(ANY_PORT, "monthly_quota = 3")?;
    let pairs = ["1", "2", "3", "4", "5"].map(|id| (id, GENUINE));
    let batch = Batch::of(shared, &list(&pairs))?;
    for _ in 0..2 {
        let arguments = ["--concurrent-requests", "1"];
        let ended = Process::run(&mut by(&batch, server.address, APP.key, &arguments))?;
        ensure!(
            ended.code == Some(1)
                && ended.stderr.contains("LIMIT_EXCEEDED: ")
                && ended.stderr.contains("Retry in ")
                && ended.stderr.contains("3 of 5 pairs are in "),
            "{ended:?}"
        );
        ensure_eq!(batch.rows()?.len(), 3);
    }
    Ok(())
}

pub(crate) fn restart(shared: &Path) -> Outcome {
    const MANY: &str = "requests_per_second = 1_000";
    let (_folder, first) = limited_at(ANY_PORT, MANY)?;
    let address = first.address.to_string();
    let ids = ["1", "2", "3", "4", "5", "6"];
    let batch = Batch::of(shared, &list(&ids.map(|id| (id, GENUINE))))?;
    let mut process = Process::start(&mut by(
        &batch,
        first.address,
        APP.key,
        &["--concurrent-requests", "1"],
    ))?;
    let deadline = Instant::now() + TIMEOUT;
    // A header and a result.
    let lines = || std::fs::read_to_string(batch.out()).map_or(0, |text| text.lines().count());
    while lines() < 2 {
        ensure!(Instant::now() < deadline, "no result: {}", process.stderr.text());
        std::thread::sleep(Duration::from_millis(1));
    }
    first.kill();
    let (_folder, _second) = limited_at(&address, MANY)?;
    let status = process.wait()?;
    ensure!(status.code() == Some(0), "{status}: {}", process.stderr.text());
    let outcomes: Vec<String> = batch.rows()?.iter().map(|row| row["outcome"].clone()).collect();
    ensure_eq!(outcomes, ids.map(|_| "pass"));
    Ok(())
}

/// Reads a request whole and returns its first line.
fn request(stream: &mut BufReader<TcpStream>) -> Result<String, Failed> {
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    Ok(first)
}

/// Accepts a connection, reads its request and responds. Returns the request's first line and when it came.
fn answer(
    listener: &TcpListener,
    status: &str,
    header: &str,
    body: &str,
) -> Result<(String, Instant), String> {
    let text = |error: std::io::Error| error.to_string();
    let (stream, _) = listener.accept().map_err(text)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(text)?;
    let mut stream = BufReader::new(stream);
    let first = request(&mut stream).map_err(|error| format!("{error:?}"))?;
    let came = Instant::now();
    let response = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{header}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.get_mut().write_all(response.as_bytes()).map_err(text)?;
    Ok((first, came))
}

pub(crate) fn endless_wait(shared: &Path) -> Outcome {
    const BODY: &str = r#"{"error":{"code":"OVERLOADED","message":"\u001b[31mFull.\n"}}"#;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let serve = std::thread::spawn(move || -> Result<(), String> {
        answer(&listener, "404 Not Found", "", "")?;
        for seconds in [1, u64::MAX] {
            let header = format!("retry-after: {seconds}\r\n");
            answer(&listener, "503 Service Unavailable", &header, BODY)?;
        }
        Ok(())
    });
    let batch = Batch::of(shared, &list(&[("one", GENUINE)]))?;
    let ended = Process::run(&mut by(&batch, address, APP.key, &[]))?;
    serve.join().map_err(|_| "the service panicked")??;
    ensure!(
        ended.code == Some(1)
            && ended.stderr.contains("OVERLOADED:  [31mFull.")
            && ended.stderr.contains("the same command resumes there"),
        "{ended:?}"
    );
    Ok(())
}

pub(crate) fn kept_wait(shared: &Path) -> Outcome {
    const BODY: &str = r#"{"response_data":{"biometric":{"face_match_confidence":0.75,"selfie":{"faces_liveness":0.5}},"decision":{"details":[{"code":"FAILED_SELFIE_LIVENESS","decision":"review"}]}}}"#;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // `/info`, which a proxy hides; a verification that is to wait; and the same again.
    let serve = std::thread::spawn(move || -> Result<(String, Duration), String> {
        answer(&listener, "404 Not Found", "", "")?;
        let (_, refused) = answer(&listener, "503 Service Unavailable", "retry-after: 1\r\n", "")?;
        let (first, came) = answer(&listener, "201 Created", "", BODY)?;
        Ok((first, came - refused))
    });
    let batch = Batch::of(shared, &list(&[("one", GENUINE)]))?;
    let ended = Process::run(&mut by(&batch, address, APP.key, &[]))?;
    ensure!(ended.code == Some(3), "{ended:?}");
    let (first, waited) = serve.join().map_err(|_| "the service panicked")??;
    ensure!(first.starts_with("POST /v0.2/biometric-verification "), "{first}");
    ensure!(waited >= Duration::from_secs(1), "after {waited:?}");
    let columns = ["outcome", "face_match", "liveness", "codes", "engine"];
    let rows = batch.rows()?;
    ensure_eq!(
        cells(&rows[0], &columns),
        ["review", "0.75", "0.5", "FAILED_SELFIE_LIVENESS", "unknown"]
    );
    Ok(())
}
