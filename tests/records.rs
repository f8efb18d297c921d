//! Recorded verifications in the console of the real binary: table, filters, record, export, distributions and what if.

use std::process::ExitCode;

use likeness::server::audit::audit_row;
use likeness::server::storage::{Database, Place, Settings};
use likeness_testing::http::{Form, captures, flat};
use likeness_testing::{Failed, Outcome, Suite, TestDatabase, ensure, ensure_eq};
use serde_json::Value;

use support::console::{Client, TOKEN, serve};
use support::eventually;
use support::image;
use support::process::{Process, likeness};
use support::responses::SAME_PERSON;
use support::server::{APP, BRANCH, Server};
use support::storage::Storage;

mod support;

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";
/// A profile that reviews what `optimal-v0` passes and passes what it rejects.
const OWN: &str = r#"
[[profiles]]
name = "own"
face_match = { reject_below = 0.001, review_below = 0.999 }
liveness = { reject_below = 0.02, review_below = 0.04 }
"#;
/// The same thresholds as fields of What if.
const OWN_FIELDS: &str =
    "face_match_reject=0.001&face_match_review=0.999&liveness_reject=0.02&liveness_review=0.04";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_any_models_and_databases("a_record_is_found_by_everything_that_is_filtered_by", found);
    suite.with_any_models_and_databases("pages_and_exports_have_every_record_once", paged);
    suite.with_any_models("a_record_shows_its_place_in_the_chain", in_chain);
    suite.with_any_models("an_empty_audit_says_what_to_do_first", empty);
    suite.with_any_models("an_audit_that_is_off_is_said", off);
    suite.with_any_models_and_databases("records_of_an_earlier_version_become_searchable", earlier);
    suite.with_shared_and_models("what_if_counts_as_the_other_profile_has_decided", what_if);
    suite.run()
}

/// A service with this database.
fn serve_at(storage: &Storage) -> Result<(Server, Client), Failed> {
    let server = serve(|command| storage.set_for(command))?;
    let client = Client::logged_in(&server)?;
    Ok((server, client))
}

/// Sends a pair of images in which there is no face. Returns the id of the request.
fn send(server: &Server, app: &str, form: &Form) -> Result<String, Failed> {
    let response = server.send(&form.request(BIOMETRIC, app))?;
    let id = response.header("x-request-id").ok_or("no X-Request-ID")?;
    Ok(id.to_owned())
}

/// The paths of the records on a page of the table.
fn paths(page: &str) -> Vec<&str> {
    let rows = page.split("<td><a href=\"").skip(1);
    rows.filter_map(|row| row.split_once('"'))
        .map(|(path, _)| path)
        .collect()
}

/// The number of records on a page of the table.
fn rows(page: &str) -> usize {
    paths(page).len()
}

/// Reads the table until it has so many records.
fn table(client: &Client, query: &str, count: usize) -> Result<String, Failed> {
    let path = format!("/console/verifications{query}");
    eventually(&format!("{count} records of {query}"), || {
        let response = client.get(&path)?;
        response.expect(200)?;
        let page = response.text();
        Ok((rows(&page) == count).then_some(page))
    })
}

fn found(place: &TestDatabase) -> Outcome {
    let storage = Storage::of(place)?;
    let (server, client) = serve_at(&storage)?;
    let blank = flat(400, 400)?;
    let pair = || Form::pair(&blank, &blank);
    let app = APP.headers();
    let faceless = send(&server, &format!("{app}X-Request-ID: order-77\r\n"), &pair())?;
    let strict = send(&server, &app, &pair().text("profile", "strict-v0"))?;
    let refused = send(&server, &app, &Form::pair(b"no image", b"none either"))?;
    let branch = send(&server, &BRANCH.headers(), &pair())?;
    let live = server.send(&Form::new().file("selfie", &blank).request(LIVENESS, &app))?;
    let live = live.header("x-request-id").ok_or("no X-Request-ID")?;
    client.try_pair(&pair())?.expect(200)?;

    let all = table(&client, "", 6)?;
    for id in [&*faceless, &strict, &refused, &branch, live] {
        ensure!(all.contains(id), "{id} is missing");
    }
    for (query, ids) in [
        (format!("?app={}", BRANCH.id), vec![&*branch]),
        ("?outcome=error".to_owned(), vec![&refused]),
        ("?outcome=not+live".to_owned(), vec![live]),
        ("?endpoint=liveness-verification".to_owned(), vec![live]),
        (format!("?app={}&profile=strict-v0", APP.id), vec![&*strict]),
        (
            "?profile=strict-v0&outcome=reject".to_owned(),
            vec![&strict, &branch],
        ),
        (
            format!("?app={}&profile=optimal-v0&code=NO_FACE_IN_IMAGE", APP.id),
            vec![&faceless],
        ),
        (format!("?id={strict}"), vec![&strict]),
        ("?id=order-77".to_owned(), vec![&faceless]),
        ("?id=order-7".to_owned(), vec![]),
        ("?since=2020-01-01&until=2020-01-02".to_owned(), vec![]),
        ("?app=%27+OR+1%3D1".to_owned(), vec![]),
    ] {
        let page = client.get(&format!("/console/verifications{query}"))?;
        page.expect(200)?;
        let page = page.text();
        ensure_eq!((&*query, rows(&page)), (&*query, ids.len()));
        for id in ids {
            ensure!(page.contains(id), "{id} is missing from {query}");
        }
    }
    let tried = client.get("/console/verifications?app=%28console%29")?.text();
    ensure_eq!(rows(&tried), 1);
    let wrong = client.get("/console/verifications?since=yesterday")?.text();
    ensure!(
        wrong.contains("id=\"since-error\"") && wrong.contains("value=\"yesterday\""),
        "{wrong}"
    );
    let charts = client.get("/console/verifications/distributions?profile=strict-v0")?;
    charts.expect(200)?;
    let charts = charts.text();
    ensure!(
        charts.contains("reject below 0.56") && charts.contains("All records that match: 2<"),
        "{charts}"
    );
    Ok(())
}

fn paged(place: &TestDatabase) -> Outcome {
    let storage = Storage::of(place)?;
    let (server, client) = serve_at(&storage)?;
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.push(send(&server, &APP.headers(), &Form::new())?);
    }
    ids.reverse();
    let query = format!("?app={}", APP.id);
    let first = eventually("the last record", || {
        let page = client.get(&format!("/console/verifications{query}"))?.text();
        Ok(page.contains(&ids[0]).then_some(page))
    })?;
    let next = |page: &str, rel: &str| -> Result<String, Failed> {
        let pattern = format!("*rel=\"{rel}\" href=\"*\">*");
        let found = captures(&pattern, page).ok_or_else(|| format!("no link {rel}"))?;
        Ok(found[1].replace("&amp;", "&"))
    };
    let older = client.get(&next(&first, "next")?)?.text();
    ensure_eq!((rows(&first), rows(&older)), (50, 10));
    for (index, id) in ids.iter().enumerate() {
        let page = if index < 50 { &first } else { &older };
        ensure!(page.contains(id), "record {index} is not on its page");
    }
    let newer = client.get(&next(&older, "prev")?)?.text();
    ensure!(ids[..50].iter().all(|id| newer.contains(id)), "back");

    let lines = client.get(&format!("/console/verifications/export{query}&format=jsonl"))?;
    lines.expect(200)?;
    let exported: Vec<String> = lines.text().lines().map(str::to_owned).collect();
    let mut command = storage.command(&["audit", "export", "--since", "2020-01-01", "--app", APP.id]);
    let by_command = Process::run(&mut command)?.stdout;
    let mut by_command: Vec<String> = by_command.lines().map(str::to_owned).collect();
    by_command.reverse();
    ensure_eq!(exported, by_command);
    let csv = client.get(&format!("/console/verifications/export{query}"))?;
    ensure_eq!(
        csv.header("content-disposition"),
        Some("attachment; filename=\"verifications.csv\"")
    );
    let csv = csv.text();
    ensure!(csv.starts_with("instance,seq,prev,hash,"), "{csv}");
    ensure_eq!(csv.lines().count(), 61);
    Ok(())
}

fn in_chain() -> Outcome {
    let storage = Storage::new()?;
    let (server, client) = serve_at(&storage)?;
    for _ in 0..3 {
        send(
            &server,
            &format!("{}X-Request-ID: =1+1\r\n", APP.headers()),
            &Form::new(),
        )?;
    }
    let page = table(&client, &format!("?app={}", APP.id), 3)?;
    let paths = paths(&page);
    let middle = client.get(paths[1])?;
    middle.expect(200)?;
    let text = middle.text();
    ensure_eq!(text.matches("Linked: the hashes match.").count(), 2);
    ensure!(text.contains("The hash is that of the record."), "{text}");
    ensure!(
        text.contains("&quot;correlation_id&quot;: &quot;=1+1&quot;"),
        "{text}"
    );
    let (chain, _) = paths[1].rsplit_once('/').ok_or("no number")?;
    let first = client.get(&format!("{chain}/1"))?.text();
    ensure!(first.contains("this is the first record of its chain"), "{first}");
    for absent in ["0", "999", "x", "99999999999999999999", "-9223372036854775808"] {
        client.get(&format!("{chain}/{absent}"))?.expect(404)?;
    }
    client.get("/console/verifications/nosuch/1")?.expect(404)?;
    let csv = client.get("/console/verifications/export")?.text();
    ensure!(
        csv.contains(",'=1+1,") && !csv.contains(",=1+1"),
        "a formula: {csv}"
    );
    Ok(())
}

fn empty() -> Outcome {
    let storage = Storage::new()?;
    let (_server, client) = serve_at(&storage)?;
    let page = client.get("/console/verifications")?.text();
    ensure!(page.contains("No verification has been recorded yet."), "{page}");
    ensure!(page.contains("href=\"/console/try\""), "{page}");
    let page = client.get("/console/what-if")?.text();
    ensure!(
        page.contains("No biometric verification with this profile"),
        "{page}"
    );
    client.get("/console/verifications/distributions")?.expect(200)?;
    let filtered = client.get("/console/verifications?app=x")?.text();
    ensure!(filtered.contains("No record matches this filter."), "{filtered}");
    Ok(())
}

fn off() -> Outcome {
    let server = serve(|command| {
        command.args(["--set", "audit.enabled=false"]);
    })?;
    let client = Client::logged_in(&server)?;
    let page = client.get("/console/verifications")?;
    page.expect(200)?;
    ensure!(page.text().contains("audit.enabled = false"), "{page:?}");
    Ok(())
}

/// Adds the rows of a service of an earlier version, which has written only the table of that time.
async fn add_earlier(place: &TestDatabase, count: i64) -> Outcome {
    let settings = Settings::new(Place::from_url(&place.url().into())?);
    let database = Database::open(&settings).await?;
    let rows = (1..=count).map(|seq| {
        let event = serde_json::json!({
            "v": 1,
            "time": "2020-01-01T00:00:00Z",
            "kind": "verification",
            "request_id": format!("old-{seq}"),
            "app": "branch office",
            "outcome": "pass",
            "codes": [],
            "status": 200,
        });
        let hash = "0".repeat(64);
        let line =
            format!(r#"{{"instance":"old","seq":{seq},"prev":"{hash}","hash":"{hash}","event":{event}}}"#);
        Ok(audit_row(&line)?)
    });
    database.add_audit(rows.collect::<Result<_, Failed>>()?).await?;
    database.close().await;
    Ok(())
}

fn earlier(place: &TestDatabase) -> Outcome {
    let storage = Storage::of(place)?;
    tokio::runtime::Runtime::new()?.block_on(add_earlier(place, 1_200))?;
    let server = serve(|command| {
        storage.set_for(command);
        command.args(["--set", "audit.enabled=false"]);
    })?;
    let page = Client::logged_in(&server)?.get("/console/verifications")?.text();
    ensure!(page.contains("1,200 / 1,200 left"), "{page}");
    server.terminate()?;
    server.wait()?;
    let (_server, client) = serve_at(&storage)?;
    eventually("the end of the backfill", || {
        let page = client.get("/console/verifications?app=branch+office")?.text();
        Ok((rows(&page) == 50 && !page.contains("id=\"backfill\"")).then_some(()))
    })?;
    let export = client.get("/console/verifications/export?app=branch+office&format=jsonl")?;
    ensure_eq!(export.text().lines().count(), 1_200);
    ensure_eq!(rows(&client.get("/console/verifications?id=old-1")?.text()), 1);
    Ok(())
}

/// The outcomes of recorded verifications with a profile, counted from the export.
fn recorded(client: &Client, profile: &str) -> Result<Value, Failed> {
    let path = format!(
        "/console/verifications/export?format=jsonl&endpoint=biometric-verification&profile={profile}"
    );
    let mut counts = serde_json::json!({ "pass": 0, "warning": 0, "review": 0, "reject": 0 });
    for line in client.get(&path)?.text().lines() {
        let record: Value = serde_json::from_str(line)?;
        if let Some(outcome) = record["event"]["outcome"].as_str() {
            counts[outcome] = (counts[outcome].as_u64().unwrap_or(0) + 1).into();
        }
    }
    Ok(counts)
}

fn what_if(shared: &std::path::Path) -> Outcome {
    let storage = Storage::new()?;
    let settings = storage.folder().join("own.toml");
    std::fs::write(&settings, OWN)?;
    let mut command = likeness();
    command
        .args([
            "serve",
            "--workers",
            "1",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ])
        .args(["--set", "console.enabled=true", "--config"])
        .arg(&settings)
        .env("LIKENESS_CONSOLE_TOKEN", TOKEN)
        .env("LIKENESS_APPS", format!("{}:{}", APP.id, APP.key));
    storage.set_for(&mut command);
    let server = Server::start_command(&mut command)?;
    let client = Client::logged_in(&server)?;
    let one = image(shared, SAME_PERSON.0)?;
    let same = image(shared, SAME_PERSON.1)?;
    let other = image(shared, "faces/img10.jpg")?;
    let blank = flat(400, 400)?;
    let pairs = [
        (&one, &same),
        (&one, &other),
        (&one, &blank),
        (&one, &one),
        (&other, &same),
    ];
    for profile in ["optimal-v0", "own"] {
        for (selfie, photo) in pairs {
            let form = Form::pair(selfie, photo).text("profile", profile);
            server
                .send(&form.request(BIOMETRIC, &APP.headers()))?
                .expect(200)?;
        }
    }
    table(&client, "?profile=own", pairs.len())?;
    let counts = client.get(&format!(
        "/console/what-if/counts?profile=optimal-v0&{OWN_FIELDS}"
    ))?;
    counts.expect(200)?;
    let counts: Value = serde_json::from_str(&counts.text())?;
    let (optimal, own) = (recorded(&client, "optimal-v0")?, recorded(&client, "own")?);
    ensure!(optimal != own, "the profiles decide alike: {optimal}");
    ensure_eq!((&counts["recorded"], &counts["now"]), (&optimal, &optimal));
    ensure_eq!(counts["chosen"], own);
    ensure_eq!(
        (&counts["one_in"], &counts["unknown"]),
        (&Value::from(1), &Value::from(0))
    );
    let toml = counts["toml"].as_str().ok_or("no TOML")?;
    ensure!(
        toml.contains("[[profiles]]")
            && toml.contains("name = \"optimal-v0-adjusted\"")
            && toml.contains("0.999"),
        "{toml}"
    );
    // The page has the same numbers without a script.
    let page = client
        .get(&format!("/console/what-if?profile=optimal-v0&{OWN_FIELDS}"))?
        .text();
    for outcome in ["pass", "warning", "review", "reject"] {
        let cell = format!("<span id=\"chosen-{outcome}\">{}</span>", own[outcome]);
        ensure!(page.contains(&cell), "{cell} in {page}");
    }
    for (query, field) in [
        ("face_match_reject=2", "face_match_reject"),
        ("face_match_reject=0.9&face_match_review=0.1", "face_match_reject"),
        ("liveness_review=x", "liveness_review"),
        ("profile=nosuch", "profile"),
        ("since=x", "since"),
    ] {
        let refused = client.get(&format!("/console/what-if/counts?{query}"))?;
        refused.expect(400)?;
        ensure_eq!(refused.json()?.text("field")?, field);
        client.get(&format!("/console/what-if?{query}"))?.expect(200)?;
    }
    Ok(())
}
