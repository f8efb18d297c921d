//! What the commands print, and how they end.

use likeness_testing::{Outcome, Suite, TestDatabase, ensure};

use crate::support::for_each;
use crate::support::process::Process;
use crate::support::storage::{Storage, text};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_databases("commands::a_key_is_shown_once_and_never_again", shown_once);
    suite.with_databases("commands::set_changes_what_it_names_and_nothing_else", set);
    suite.with_databases("commands::a_third_live_key_takes_force", third_key);
    suite.with_any_models_and_databases("commands::usage_says_what_is_left_of_the_quotas", usage_left);
    suite.test("commands::a_key_that_is_brought_along_is_not_repeated", imported);
    suite.test("commands::what_cannot_be_done_is_said", refusals);
    suite.test("commands::without_a_storage_nothing_is_made_up", no_storage);
}

fn shown_once(database: &TestDatabase) -> Outcome {
    let storage = Storage::of(database)?;
    let created = storage.apps(&["create", "acme", "--note", "ACME bank", "--no-wait"])?;
    ensure!(
        created.code == Some(0) && created.stderr.is_empty(),
        "{created:?}"
    );
    let key = created
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("app_key: "))
        .ok_or_else(|| format!("no key in {created:?}"))?;
    ensure!(key.len() == 67 && key.starts_with("lk_"), "{key:?}");
    ensure!(created.stdout.contains("app_id:  acme"), "{created:?}");

    let rotated = storage.json(&["rotate", "acme", "--grace", "1h", "--no-wait"])?;
    let other = text(&rotated, "key")?;
    ensure!(other != key && rotated["before"][0]["live"] == true, "{rotated}");
    let secrets = [key, other.as_str()].map(|key| &key[3..]);
    let commands: [&[&str]; 7] = [
        &["list"],
        &["list", "--json"],
        &["show", "acme"],
        &["show", "acme", "--json"],
        &["disable", "acme", "--no-wait"],
        &["enable", "acme", "--no-wait", "--json"],
        &[
            "set",
            "acme",
            "--burst",
            "2",
            "--requests-per-second",
            "1",
            "--no-wait",
        ],
    ];
    for_each(commands.map(|command| (command.join(" "), command)), |command| {
        let ended = storage.apps(command)?;
        ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
        ensure!(ended.stdout.contains("acme"), "{ended:?}");
        ensure!(
            !secrets.iter().any(|secret| ended.stdout.contains(secret)),
            "{ended:?}"
        );
        Ok(())
    })?;
    let list = storage.apps(&["list"])?.stdout;
    ensure!(
        list.contains("acme  enabled          2  ACME bank"),
        "two keys are live: {list}"
    );
    let deleted = storage.apps(&["delete", "acme", "--no-wait"])?;
    ensure!(deleted.code == Some(0), "{deleted:?}");
    ensure!(
        storage.json(&["list"])? == serde_json::json!([]),
        "it is still there"
    );
    Ok(())
}

fn set(database: &TestDatabase) -> Outcome {
    let storage = Storage::of(database)?;
    storage.json(&[
        "create",
        "acme",
        "--default-profile",
        "strict-v0",
        "--profiles",
        "optimal-v0,permissive-v0",
        "--endpoints",
        "liveness",
        "--liveness-threshold-floor",
        "0.4",
        "--daily-quota",
        "1000",
        "--no-wait",
    ])?;
    let changed = storage.json(&[
        "set",
        "acme",
        "--monthly-quota",
        "20000",
        "--concurrent-requests",
        "4",
        "--unset",
        "daily-quota,endpoints",
        "--no-wait",
    ])?;
    let expected = serde_json::json!({
        "disabled": false,
        "default_profile": "strict-v0",
        "profiles": ["optimal-v0", "permissive-v0"],
        "endpoints": null,
        "liveness_threshold_floor": 0.4,
        "limits": { "concurrent_requests": 4, "monthly_quota": 20_000 },
        "note": "",
    });
    ensure!(changed["settings"] == expected, "{changed}");
    ensure!(
        storage.json(&["show", "acme"])? == changed,
        "show says something else"
    );
    Ok(())
}

fn third_key(database: &TestDatabase) -> Outcome {
    let storage = Storage::of(database)?;
    let first = text(&storage.json(&["create", "acme", "--no-wait"])?, "label")?;
    storage.json(&["rotate", "acme", "--no-wait"])?;
    let refused = storage.apps(&["rotate", "acme", "--no-wait"])?;
    ensure!(
        refused.code == Some(1) && refused.stdout.is_empty(),
        "{refused:?}"
    );
    ensure!(
        refused.stderr.contains(&first) && refused.stderr.contains("--force"),
        "{refused:?}"
    );
    storage.json(&["rotate", "acme", "--no-wait", "--force"])?;
    storage.json(&["rotate", "acme", "--no-wait", "--grace", "0"])?;
    let live = storage.json(&["show", "acme"])?["keys"]
        .as_array()
        .map(|keys| keys.iter().filter(|key| key["live"] == true).count());
    ensure!(live == Some(1), "{live:?} keys are live");
    Ok(())
}

fn imported() -> Outcome {
    let storage = Storage::of(&TestDatabase::sqlite()?)?;
    let key = "0f3a9c5b7d1e24680f3a9c5b7d1e2468";
    let created = storage.apps_with_input(
        &["create", "mover", "--key-stdin", "--no-wait"],
        &format!("{key}\n"),
    )?;
    ensure!(
        created.code == Some(0) && !created.stdout.contains(key),
        "{created:?}"
    );
    for (input, why) in [
        ("0123456789abcde", "fewer than 16"),
        ("a key with spaces in it", "printable ASCII"),
    ] {
        let refused = storage.apps_with_input(&["create", "other", "--key-stdin", "--no-wait"], input)?;
        ensure!(
            refused.code == Some(1) && refused.stderr.contains(why),
            "{refused:?}"
        );
        ensure!(!refused.stderr.contains(input), "{refused:?}");
    }
    ensure!(
        storage.apps(&["show", "other"])?.code == Some(1),
        "it was made all the same"
    );

    // The one rule, and the one setting that lifts it, hold for a rotation too.
    let weak = "0123456789abcde";
    for arguments in [
        ["create", "other", "--key-stdin", "--no-wait"],
        ["rotate", "mover", "--key-stdin", "--no-wait"],
    ] {
        let refused = storage.apps_with_input(&arguments, weak)?;
        ensure!(
            refused.code == Some(1) && refused.stderr.contains("allow_weak_keys"),
            "{refused:?}"
        );
        let config = storage.folder().join("weak.toml");
        std::fs::write(&config, "allow_weak_keys = true\n")?;
        let config = config.display().to_string();
        let allowed = storage.apps_with_input(&[&arguments[..], &["--config", &config]].concat(), weak)?;
        ensure!(allowed.code == Some(0), "{allowed:?}");
    }
    Ok(())
}

fn refusals() -> Outcome {
    let storage = Storage::of(&TestDatabase::sqlite()?)?;
    storage.json(&["create", "acme", "--no-wait"])?;
    let cases: [(&[&str], i32, &str); 11] = [
        (&["create", "acme"], 1, "app `acme` already exists"),
        (&["create", "a:b"], 1, "must be printable ASCII"),
        (
            &["create", "configured"],
            1,
            "the configuration has an app `configured`, which overrides",
        ),
        (
            &["create", "x", "--profiles", "none-v1"],
            1,
            "there is no profile `none-v1`",
        ),
        (
            &["create", "x", "--daily-quota", "0"],
            1,
            "limits.daily_quota: must be more than 0",
        ),
        (
            &["create", "x", "--endpoints", "face"],
            2,
            "must be `biometric` or `liveness`",
        ),
        (&["set", "acme", "--burst", "3"], 1, "limits.burst"),
        (&["set", "acme", "--unset", "key"], 2, "invalid value 'key'"),
        (&["show", "none"], 1, "there is no app `none` in the database"),
        (&["rotate", "acme", "--grace", "7w"], 2, "such as 7d or 12h"),
        (&["delete", "none"], 1, "there is no app `none` in the database"),
    ];
    for_each(
        cases.map(|case| (case.0.join(" "), case)),
        |(arguments, code, why)| {
            let mut command = storage.command(&[&["apps"], arguments].concat());
            command.env("LIKENESS_APPS", "configured:0123456789abcdef");
            let ended = Process::run(&mut command)?;
            ensure!(ended.code == Some(code) && ended.stdout.is_empty(), "{ended:?}");
            ensure!(ended.stderr.contains(why), "{why:?} is not in {ended:?}");
            Ok(())
        },
    )
}

fn no_storage() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("absent/likeness.db");
    let absent = Storage::at(&format!("sqlite:{}", file.display()))?;
    for command in [&["list"][..], &["rotate", "acme"]] {
        let ended = absent.apps(command)?;
        ensure!(
            ended.code == Some(1) && ended.stderr.contains("--config") && !file.exists(),
            "{ended:?}"
        );
    }
    let memory = Storage::at("sqlite::memory:")?.apps(&["create", "acme"])?;
    ensure!(
        memory.code == Some(1) && memory.stderr.contains("memory"),
        "{memory:?}"
    );
    let mut nowhere =
        Storage::at("postgres://likeness:s3cret@127.0.0.1:1/likeness")?.command(&["apps", "list"]);
    nowhere.env("LIKENESS__DATABASE__START_SECONDS", "0");
    let ended = Process::run(&mut nowhere)?;
    ensure!(
        ended.code == Some(1)
            && ended.stderr.contains("postgres://likeness@127.0.0.1:1/likeness")
            && !ended.stderr.contains("s3cret"),
        "{ended:?}"
    );
    Ok(())
}

fn usage_left(database: &TestDatabase) -> Outcome {
    let storage = Storage::of(database)?;
    let limited = [
        "create",
        "acme",
        "--daily-quota",
        "30",
        "--monthly-quota",
        "500",
        "--requests-per-second",
        "2.5",
        "--no-wait",
    ];
    storage.json(&limited)?;
    storage.json(&["create", "free", "--no-wait"])?;
    // Pending usage of a service of version 0.1.0 that was killed: the next one migrates its file.
    let now = jiff::Timestamp::now();
    let today = jiff::tz::TimeZone::UTC.to_datetime(now).date();
    let pending = serde_json::json!([{ "writer": "before", "number": 7, "counted": [{
        "app": "acme", "day": now.as_second().div_euclid(86_400),
        "month": i32::from(today.year()) * 100 + i32::from(today.month()),
        "units": 12, "biometric": 5, "liveness": 7, "refused": 3,
    }] }]);
    std::fs::write(storage.folder().join("usage-owed.json"), pending.to_string())?;
    let server = storage.serve(|command| {
        command.env("LIKENESS_APPS", "from-config:0123456789abcdef");
    })?;
    server.terminate()?;
    ensure!(server.wait()?.code() == Some(0), "it does not end well");

    let run = |arguments: &[&str]| Process::run(&mut storage.command(&[&["usage"], arguments].concat()));
    let ended = run(&["--json"])?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let json: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    let expected = serde_json::json!([
        {
            "app": "acme", "biometric": 5, "liveness": 7, "refused": 3,
            "today": { "used": 12, "quota": 30, "left": 18 },
            "this_month": { "used": 12, "quota": 500, "left": 488 },
            "requests_per_second": 2.5, "burst": null, "concurrent_requests": null,
        },
        {
            "app": "free", "biometric": 0, "liveness": 0, "refused": 0,
            "today": { "used": 0, "quota": null, "left": null },
            "this_month": { "used": 0, "quota": null, "left": null },
            "requests_per_second": null, "burst": null, "concurrent_requests": null,
        },
    ]);
    ensure!(json["apps"] == expected, "{json}");
    ensure!(json["days"][0]["day"] == today.to_string(), "{json}");
    let table = run(&["--app", "acme"])?.stdout;
    ensure!(
        table.contains("12 (18)")
            && table.contains("12 (488)")
            && table.contains(" 2.5 ")
            && !table.contains("free"),
        "{table}"
    );
    ensure!(
        run(&["--json", "--format", "csv"])?.code == Some(2),
        "of two forms"
    );
    Ok(())
}
