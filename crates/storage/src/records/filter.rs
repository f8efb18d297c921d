//! Selections of audit records, and positions among them.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use super::sql::{Statement, Value};

/// A selection of the records of verifications. Everything that is set must be as the record has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct RecordsFilter {
    /// Not before this time, in microseconds since 1970-01-01 UTC.
    pub since: Option<i64>,
    /// Before this time, likewise.
    pub until: Option<i64>,
    /// The app.
    pub app: Option<String>,
    /// The endpoint.
    pub endpoint: Option<String>,
    /// The profile.
    pub profile: Option<String>,
    /// The outcome of the decision, or `error`.
    pub outcome: Option<String>,
    /// One of the codes.
    pub code: Option<String>,
    /// `api_req_uid` of the response.
    pub request_id: Option<String>,
    /// The client's own id of the request.
    pub correlation_id: Option<String>,
}

/// The position of a record in the order of time. Its text is `TIME.CHAIN.NUMBER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    /// Time of the record, in microseconds since 1970-01-01 UTC.
    pub time: i64,
    /// The number of its instance in the search.
    pub chain: i64,
    /// The number of the record in its instance.
    pub seq: i64,
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.time, self.chain, self.seq)
    }
}

impl FromStr for RecordKey {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let mut parts = text.splitn(3, '.').map(str::parse);
        let mut next = || parts.next().unwrap_or_else(|| "".parse());
        Ok(Self {
            time: next()?,
            chain: next()?,
            seq: next()?,
        })
    }
}

/// Where a page begins; the latest records come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageStart {
    /// At the latest record.
    #[default]
    Latest,
    /// At the next older record than this one.
    OlderThan(RecordKey),
    /// So that it ends with the next newer record than this one.
    NewerThan(RecordKey),
}

impl PageStart {
    pub(super) fn is_backwards(self) -> bool {
        matches!(self, Self::NewerThan(_))
    }
}

impl RecordsFilter {
    /// Adds the tables, and the conditions of this selection.
    pub(super) fn push_to(&self, statement: &mut Statement) {
        // The time is that of the table whose index has to give the order.
        match &self.code {
            Some(code) => {
                let tables = " FROM audit_codes k CROSS JOIN audit_search s WHERE s.chain = k.chain AND s.seq = k.seq \
                              AND k.code = ?";
                statement.push(tables, [Value::from(&**code)]);
                self.push_period_to(statement, "k.time");
            }
            None => {
                statement.push(" FROM audit_search s WHERE 1 = 1", []);
                self.push_period_to(statement, "s.time");
            }
        }
        self.push_columns_to(
            statement,
            self.request_id.is_some() || self.correlation_id.is_some(),
        );
    }

    /// Adds the table, and the conditions of the records of this selection that are in a sample of one in 2^`class`, or only in
    /// that one.
    pub(super) fn push_class_to(&self, statement: &mut Statement, class: i64, is_only: bool) {
        let sign = if is_only { "=" } else { ">=" };
        let table = format!(" FROM audit_search s WHERE s.sample {sign} ?");
        statement.push(&table, [class.into()]);
        self.push_period_to(statement, "s.time");
        self.push_columns_to(statement, true);
        if let Some(code) = &self.code {
            let has_code = " AND REPLACE(' ' || s.codes || ' ', ?, '') <> ' ' || s.codes || ' '";
            statement.push(has_code, [Value::from(&*format!(" {code} "))]);
        }
    }

    fn push_period_to(&self, statement: &mut Statement, time: &str) {
        if let Some(since) = self.since {
            statement.push(&format!(" AND {time} >= ?"), [since.into()]);
        }
        if let Some(until) = self.until {
            statement.push(&format!(" AND {time} < ?"), [until.into()]);
        }
    }

    /// Adds the conditions of columns. Where the records are few or come from another index, theirs are not to be used.
    fn push_columns_to(&self, statement: &mut Statement, has_better_index: bool) {
        let no_index = if has_better_index { " || ''" } else { "" };
        for (column, no_index, value) in [
            ("request_id", "", &self.request_id),
            ("correlation_id", "", &self.correlation_id),
            ("app", no_index, &self.app),
            ("endpoint", no_index, &self.endpoint),
            ("profile", no_index, &self.profile),
            ("outcome", no_index, &self.outcome),
        ] {
            if let Some(value) = value {
                let condition = format!(" AND s.{column}{no_index} = ?");
                statement.push(&condition, [Value::from(&**value)]);
            }
        }
    }

    /// Adds the order by time, from a position on, and the length of the page.
    pub(super) fn push_page_to(&self, statement: &mut Statement, from: PageStart, count: i64) {
        let table = if self.code.is_some() { "k" } else { "s" };
        let mut after = |key: RecordKey, sign: char| {
            // The first condition is the one that an index begins with.
            let condition = format!(
                " AND {table}.time {sign}= ? AND ({table}.time {sign} ? OR {table}.chain {sign} ? OR \
                 ({table}.chain = ? AND {table}.seq {sign} ?))"
            );
            let RecordKey { time, chain, seq } = key;
            statement.push(&condition, [time, time, chain, chain, seq].map(Value::from));
        };
        match from {
            PageStart::Latest => {}
            PageStart::OlderThan(key) => after(key, '<'),
            PageStart::NewerThan(key) => after(key, '>'),
        }
        let order = if from.is_backwards() { "" } else { " DESC" };
        let end = format!(" ORDER BY {table}.time{order}, {table}.chain{order}, {table}.seq{order} LIMIT ?");
        statement.push(&end, [count.into()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_parsed_as_it_is_printed() {
        let key = RecordKey {
            time: -3,
            chain: 2,
            seq: i64::MAX,
        };
        assert_eq!(key.to_string().parse(), Ok(key));
        for wrong in [
            "",
            "1",
            "1.2",
            "1.2.x",
            "1.2.3.4",
            "1..3",
            "9223372036854775808.1.1",
        ] {
            assert!(wrong.parse::<RecordKey>().is_err(), "{wrong}");
        }
    }
}
