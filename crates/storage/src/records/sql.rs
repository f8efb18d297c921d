//! Statements whose text depends on what is asked for.

use sqlx::any::{Any, AnyArguments};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, query};

/// A value of a statement.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Integer(Option<i64>),
    Number(Option<f64>),
    Text(Option<String>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Self {
        Self::Number(value)
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

/// A statement that is being built. Values are never part of its text.
#[derive(Debug, Default)]
pub(super) struct Statement {
    text: String,
    values: Vec<Value>,
}

impl Statement {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    /// Adds text of the program's own, in which each `?` stands for the next of these values.
    pub(super) fn push(&mut self, text: &str, values: impl IntoIterator<Item = Value>) {
        let mut values = values.into_iter();
        for (number, part) in text.split('?').enumerate() {
            if number > 0 {
                self.values.extend(values.next());
                self.text.push('$');
                self.text.push_str(&self.values.len().to_string());
            }
            self.text.push_str(part);
        }
    }

    pub(super) fn query(self) -> Query<'static, Any, AnyArguments> {
        let mut query = query(AssertSqlSafe(self.text));
        for value in self.values {
            query = match value {
                Value::Integer(value) => query.bind(value),
                Value::Number(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        query
    }
}

/// Returns statements that insert rows, some at a time; rows that exist stay as they are.
pub(super) fn insert(
    table_and_columns: &str,
    rows: impl IntoIterator<Item = Vec<Value>>,
) -> impl Iterator<Item = Statement> {
    /// Values of a statement: an older SQLite takes 999, and the text of each is parsed anew.
    const VALUES: usize = 800;
    let mut rows = rows.into_iter().peekable();
    std::iter::from_fn(move || {
        let width = rows.peek()?.len().max(1);
        let mut statement = Statement::new("INSERT INTO ");
        statement.push(table_and_columns, []);
        let mut separator = " VALUES (";
        for row in rows.by_ref().take((VALUES / width).max(1)) {
            statement.push(separator, []);
            let places = vec!["?"; row.len()].join(", ");
            statement.push(&places, row);
            separator = "), (";
        }
        statement.push(") ON CONFLICT DO NOTHING", []);
        Some(statement)
    })
}
