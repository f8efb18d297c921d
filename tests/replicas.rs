//! Two replicas behind nginx, on one PostgreSQL, under load: one is killed, one is drained, one is upgraded.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use likeness_testing::{Failed, Outcome, Postgres, Suite, ensure, ensure_eq};

use cluster::{CLIENTS, Cluster, Record};
use load::{Received, under_load};
use support::process::likeness;

#[path = "replicas/cluster.rs"]
mod cluster;
#[path = "replicas/load.rs"]
mod load;
mod support;

const NGINX: &str = "nginx";

/// Names the build with another migration: `make test-replicas` makes it.
const NEXT_BUILD: &str = "LIKENESS_NEXT_BUILD";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_any_models_postgres_and_program(
        "a_killed_replica_costs_its_in_flight_requests_and_a_second_of_counts_alone",
        NGINX,
        killed,
    );
    suite.with_any_models_postgres_and_program("a_drained_replica_costs_no_request", NGINX, drained);
    match std::env::var_os(NEXT_BUILD).filter(|path| !path.is_empty()) {
        Some(next) => suite.with_any_models_postgres_and_program(
            "an_upgrade_costs_no_request_and_the_old_build_serves_with_the_newer_tables",
            NGINX,
            move |postgres, nginx| upgraded(postgres, nginx, &PathBuf::from(next)),
        ),
        None => suite.leave_out(
            "an_upgrade_costs_no_request_and_the_old_build_serves_with_the_newer_tables",
            "needs a second build: make test-replicas",
        ),
    }
    suite.run()
}

/// Results that are received before anything happens, and after it.
const SOME: usize = 30;

#[expect(clippy::print_stdout, reason = "the figures of `make test-replicas`")]
fn say(text: &str) {
    println!("{text}");
}

fn killed(postgres: &Postgres, nginx: &Path) -> Outcome {
    let mut cluster = Cluster::start(postgres, nginx)?;
    let killed = cluster.replicas[0].address.to_string();
    let mut at = Timestamp::now();
    let received = under_load(cluster.proxy.address, CLIENTS, |load| {
        load.wait_for(SOME)?;
        at = Timestamp::now();
        cluster.replicas[0].kill();
        load.wait_for(SOME)?;
        cluster.replicas[0].start(likeness())?;
        cluster.replicas[0].wait_until_it_serves()?;
        // The rest of a quota, to its end.
        let used = cluster.usage()?.used;
        cluster.apps(&[
            "set",
            "partner",
            "--daily-quota",
            &(used + 2 * SOME as u64).to_string(),
        ])?;
        load.wait_until_refused()
    })?;
    cluster.stop()?;

    let failed = failed(&received);
    ensure!(
        failed.len() <= CLIENTS,
        "more requests failed than were in flight: {failed:?}"
    );
    let requests = cluster.proxy.requests()?;
    for one in &failed {
        let request = requests.iter().find(|request| request.id == one.id);
        let request = request.ok_or_else(|| format!("{one:?} never reached nginx"))?;
        ensure!(
            one.status == 502 && request.attempts == [(killed.clone(), "502".to_owned())],
            "{one:?}: {request:?}"
        );
    }
    let records = cluster.records()?;
    let instances = never_twice(&received, &records)?;
    ensure_eq!(instances, 2);
    cluster.verify_audit(instances)?;

    let (usage, granted) = (cluster.usage()?, records.len() as u64);
    ensure!(
        granted <= usage.used && usage.used <= usage.quota,
        "granted {granted}, {usage:?}"
    );
    let of_killed = cluster.replicas[0].records()?;
    let before = |seconds: i64| {
        let within =
            |record: &&Record| (at.as_second() - seconds..=at.as_second()).contains(&record.time.as_second());
        of_killed.iter().filter(within).count() as u64
    };
    let (units, counts) = (usage.used - granted, granted.saturating_sub(usage.counted));
    // A request in flight has a unit and no record. A second ends with a flush, which takes time; what is reserved follows
    // from the requests that have begun in one, those in flight included.
    let (reserved, second) = (units.saturating_sub(failed.len() as u64), before(2));
    ensure!(
        reserved <= second + CLIENTS as u64 && counts <= second,
        "lost {reserved} reserved units and {counts} counts; {second} requests in the last two seconds"
    );
    let [sent, in_flight] = [received.len(), failed.len()];
    say(&format!(
        "killed: {sent} requests, {in_flight} failed, all in flight there; granted {granted} of {}, lost {reserved} reserved \
         units and {counts} counts of the {} requests in its last second; {instances} chains verified",
        usage.quota,
        before(1)
    ));
    Ok(())
}

fn drained(postgres: &Postgres, nginx: &Path) -> Outcome {
    let mut cluster = Cluster::start(postgres, nginx)?;
    let received = under_load(cluster.proxy.address, CLIENTS, |load| {
        load.wait_for(SOME)?;
        for replica in &mut cluster.replicas {
            replica.server()?.terminate()?;
            replica.server()?.log.wait_for("that it drains", |line| {
                line.contains("draining in-flight requests")
            })?;
            let unready = replica.server()?.get("/readyz")?;
            ensure!(
                unready.status == 503 && unready.header("connection") == Some("close"),
                "{unready:?}"
            );
            replica.wait_for_end()?;
            load.wait_for(SOME)?;
            replica.start(likeness())?;
            replica.wait_until_it_serves()?;
        }
        load.wait_for(SOME)
    })?;
    cluster.stop()?;
    nothing_lost(&cluster, &received, "drained")
}

fn upgraded(postgres: &Postgres, nginx: &Path, next: &Path) -> Outcome {
    let mut cluster = Cluster::start(postgres, nginx)?;
    let received = under_load(cluster.proxy.address, CLIENTS, |load| {
        load.wait_for(SOME)?;
        // One is upgraded, and migrates the tables while the other serves.
        cluster.replicas[1].restart(support::process::build(next))?;
        cluster.replicas[1].wait_until_it_serves()?;
        load.wait_for(SOME)?;
        // The other still has the old build after a restart.
        cluster.replicas[0].restart(likeness())?;
        cluster.replicas[0]
            .server()?
            .log
            .wait_for("that the tables are newer", |line| {
                line.contains("the database has newer tables, which this program can use")
            })?;
        cluster.replicas[0].wait_until_it_serves()?;
        cluster.apps(&["set", "partner", "--note", "of the old build"])?;
        load.wait_for(SOME)?;
        // And goes back to it, which is a rollback.
        cluster.replicas[1].restart(likeness())?;
        cluster.replicas[1].wait_until_it_serves()?;
        load.wait_for(SOME)
    })?;
    cluster.stop()?;
    nothing_lost(&cluster, &received, "upgraded")
}

/// Checks that every request was served, once, and that every count is there.
fn nothing_lost(cluster: &Cluster, received: &[Received], what: &str) -> Outcome {
    let failed = failed(received);
    ensure!(failed.is_empty(), "{failed:?}\n{}", cluster.proxy.log());
    let records = cluster.records()?;
    let instances = never_twice(received, &records)?;
    ensure_eq!(instances, 2);
    cluster.verify_audit(instances)?;
    let usage = cluster.usage()?;
    let granted = records.len() as u64;
    ensure!(
        usage.used == granted && usage.counted == granted,
        "granted {granted}, {usage:?}"
    );
    say(&format!(
        "{what}: {} requests, none failed; {granted} granted and counted; {instances} chains verified",
        received.len()
    ));
    Ok(())
}

/// Returns what was received that is neither a result nor the refusal of a quota.
fn failed(received: &[Received]) -> Vec<&Received> {
    let is_failed = |one: &&Received| one.status != 200 && one.code != "LIMIT_EXCEEDED";
    received.iter().filter(is_failed).collect()
}

/// Checks that every result has one record, and that no request has two. Returns the number of instances.
fn never_twice(received: &[Received], records: &[Record]) -> Result<usize, Failed> {
    let mut ids: Vec<&str> = records.iter().map(|record| &*record.id).collect();
    ids.sort_unstable();
    let twice: Vec<_> = ids.windows(2).filter(|two| two[0] == two[1]).collect();
    ensure!(twice.is_empty(), "verified twice: {twice:?}");
    for one in received.iter().filter(|one| one.status == 200) {
        ensure!(ids.binary_search(&&*one.id).is_ok(), "{one:?} has no record");
    }
    let mut instances: Vec<&str> = records.iter().map(|record| &*record.instance).collect();
    instances.sort_unstable();
    instances.dedup();
    Ok(instances.len())
}
