//! Usage and quotas, whichever the database is.

use std::process::ExitCode;
use std::sync::Arc;

use likeness_storage::usage::{Period, Quotas, Usage, Used};
use likeness_testing::{Outcome, Suite, TestDatabase, ensure};

mod support;

use support::{block_on, open};

const TODAY: Period = Period {
    day: 20_782,
    month: 202_611,
};
const TOMORROW: Period = Period { day: 20_783, ..TODAY };

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_databases("units_are_granted_up_to_the_nearer_quota", grants);
    suite.with_databases(
        "services_that_ask_at_the_same_time_get_the_quota_together",
        concurrent,
    );
    suite.with_databases("what_is_counted_is_added_once_and_read", counted);
    suite.run()
}

fn grants(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        let quotas = Quotas {
            daily: Some(10),
            monthly: Some(15),
        };
        let ask = async |period, units| database.reserve_units("acme", period, quotas, units).await;
        ensure!(ask(TODAY, 7).await?.units == 7, "of a new day");
        ensure!(ask(TODAY, 7).await?.units == 3, "what is left of it");
        let none = ask(TODAY, 1).await?;
        ensure!(
            none.units == 0 && none.used == Used { day: 10, month: 10 },
            "{none:?}"
        );
        ensure!(ask(TOMORROW, 7).await?.units == 5, "the rest of the month");
        ensure!(
            database.reserve_units("other", TODAY, quotas, 99).await?.units == 10,
            "another app's"
        );
        let used = database.used_units(TOMORROW).await?;
        let expected = [
            ("acme".to_owned(), Used { day: 5, month: 15 }),
            ("other".to_owned(), Used { day: 0, month: 10 }),
        ];
        ensure!(used == expected, "{used:?}");
        Ok(())
    })
}

fn concurrent(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = Arc::new(open(place).await?);
        let quotas = Quotas {
            daily: Some(50),
            monthly: None,
        };
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let database = Arc::clone(&database);
                tokio::spawn(async move {
                    let mut units = 0;
                    for _ in 0..5 {
                        units += database.reserve_units("acme", TODAY, quotas, 2).await?.units;
                    }
                    Ok::<_, likeness_storage::StorageError>(units)
                })
            })
            .collect();
        let mut units = 0;
        for task in tasks {
            units += task.await??;
        }
        ensure!(units == 50, "{units}");
        Ok(())
    })
}

fn counted(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        let item = |period, units, biometric| Usage {
            app: "acme".to_owned(),
            period,
            units,
            biometric,
            liveness: 2,
            refused: 1,
        };
        database
            .add_usage("one", 1, vec![item(TODAY, 5, 3), item(TOMORROW, 4, 2)])
            .await?;
        database.add_usage("other", 1, vec![item(TODAY, -2, -1)]).await?;
        // Who did not hear that it was added sends it again.
        for batch in [1, 0] {
            database
                .add_usage("one", batch, vec![item(TODAY, 100, 100)])
                .await?;
        }
        let days = database.usage(Some("acme"), TODAY.day, TOMORROW.day).await?;
        let read: Vec<_> = days
            .iter()
            .map(|day| (day.day, day.biometric, day.liveness, day.refused))
            .collect();
        ensure!(
            read == [(TODAY.day, 2, 4, 2), (TOMORROW.day, 2, 2, 1)],
            "{read:?}"
        );
        ensure!(
            database.usage(None, TODAY.day, TODAY.day).await?.len() == 1,
            "one day of all"
        );
        ensure!(
            database.usage(Some("other"), 0, i64::MAX).await?.is_empty(),
            "of nobody"
        );
        let used = database.used_units(TODAY).await?;
        ensure!(
            used == [("acme".to_owned(), Used { day: 3, month: 7 })],
            "{used:?}"
        );
        // Only those that have been silent for long are forgotten.
        database.forget_usage_writers(0).await?;
        database.add_usage("one", 1, vec![item(TODAY, 100, 100)]).await?;
        database.add_usage("one", 2, vec![item(TODAY, 1, 1)]).await?;
        let used = database.used_units(TODAY).await?;
        ensure!(used[0].1.day == 4, "{used:?}");
        Ok(())
    })
}
