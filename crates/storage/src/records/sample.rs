//! Samples of audit records.

use std::time::{Duration, Instant};

use sqlx::Row;

use super::filter::RecordsFilter;
use super::sql::Statement;
use crate::{Database, Result};

/// The highest class of records that are sampled: one of 2^30.
const HIGHEST: i64 = 30;

/// What is known of a record in a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledRecord {
    /// Time of the record, in microseconds since 1970-01-01 UTC.
    pub time: i64,
    /// The outcome of the decision, or `error`.
    pub outcome: String,
    /// The codes, separated by spaces.
    pub codes: String,
    /// Match confidence, 0..=1.
    pub face_match: Option<f64>,
    /// Liveness score, 0..=1.
    pub liveness: Option<f64>,
}

/// Records of a selection, all or some.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// The records, in no order.
    pub records: Vec<SampledRecord>,
    /// Each record stands for so many: 1, if these are all.
    pub one_in: u64,
}

impl Database {
    /// Returns the records of a selection, or a sample of them if there are more than `most`: each record is in it with the same
    /// probability. The same ones are sampled each time, as far as `within` that time they can be: where many records have to be
    /// read for one that is selected, the sample is smaller.
    pub async fn sample_records(
        &self,
        filter: &RecordsFilter,
        most: usize,
        within: Duration,
    ) -> Result<Sample> {
        if self.count(filter, None, most).await? <= most {
            let records = self.sampled(filter, None).await?;
            return Ok(Sample { records, one_in: 1 });
        }
        let began = Instant::now();
        let (mut room, mut lowest) = (most, HIGHEST + 1);
        while lowest > 0 {
            let begun = Instant::now();
            let count = self.count(filter, Some(lowest - 1), room).await?;
            if count > room {
                break;
            }
            (room, lowest) = (room - count, lowest - 1);
            // The next class has twice the records.
            if began.elapsed() + begun.elapsed() * 2 > within {
                break;
            }
        }
        Ok(Sample {
            records: self.sampled(filter, Some(lowest)).await?,
            one_in: 1 << lowest,
        })
    }

    /// Counts the records of a selection, or of one class of it: up to one more than `most`.
    async fn count(&self, filter: &RecordsFilter, class: Option<i64>, most: usize) -> Result<usize> {
        let mut statement = Statement::new("SELECT COUNT(*) AS found FROM (SELECT 1 AS one");
        match class {
            Some(class) => filter.push_class_to(&mut statement, class, true),
            None => filter.push_to(&mut statement),
        }
        let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
        statement.push(" LIMIT ?) AS records", [limit.into()]);
        let count = self.search_all(statement.query(), |row| row.try_get::<i64, _>("found"));
        Ok(usize::try_from(count.await?.pop().unwrap_or(0)).unwrap_or(usize::MAX))
    }

    /// Returns the records of a selection, or those of a sample of one in 2^`class`.
    async fn sampled(&self, filter: &RecordsFilter, class: Option<i64>) -> Result<Vec<SampledRecord>> {
        let mut statement = Statement::new(
            "SELECT s.time AS time, s.outcome AS outcome, s.codes AS codes, s.face_match AS face_match, \
             s.liveness AS liveness",
        );
        match class {
            Some(class) => filter.push_class_to(&mut statement, class, false),
            None => filter.push_to(&mut statement),
        }
        self.search_all(statement.query(), |row| {
            Ok(SampledRecord {
                time: row.try_get("time")?,
                outcome: row.try_get("outcome")?,
                codes: row.try_get("codes")?,
                face_match: row.try_get("face_match")?,
                liveness: row.try_get("liveness")?,
            })
        })
        .await
    }
}
