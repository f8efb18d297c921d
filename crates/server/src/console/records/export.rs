//! The export of all records that match a filter, as they are read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use likeness_storage::records::{PageStart, RecordKey, RecordsFilter};
use likeness_storage::{Database, StorageError};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::failed;
use super::query::RecordsQuery;
use crate::audit::{csv_cells, csv_columns};
use crate::console::sessions::Session;
use crate::console::{Console, VERIFICATIONS};

pub(super) const PATH: &str = "/console/verifications/export";
/// Records that are read at once.
const PAGE: i64 = 500;
/// Pages that wait for a slow reader, beside the one that is being read.
const WAITING: usize = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Csv,
    Jsonl,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    format: Format,
}

type Line = (RecordKey, Option<String>);

pub(super) async fn export(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Query(query): Query<RecordsQuery>,
    Query(Choice { format }): Query<Choice>,
) -> Response {
    let database = console.admin.service.database.clone();
    let first = async {
        let Ok(filter) = query.filter(&database).await? else {
            return Ok(None);
        };
        let lines = database.find_lines(&filter, PageStart::Latest, PAGE).await?;
        Ok(Some((filter, lines)))
    };
    let (filter, lines) = match first.await {
        Ok(Some(found)) => found,
        // The form says what is wrong.
        Ok(None) => {
            return axum::response::Redirect::to(&query.link(VERIFICATIONS.path, &[])).into_response();
        }
        Err(error) => return failed(&session, VERIFICATIONS, &error),
    };
    let (sender, rows) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        if let Err(error) = send(&database, &filter, lines, format, &sender).await {
            tracing::warn!(%error, "cannot complete an export of audit records");
            // Cuts the response, so that its reader knows.
            drop(sender.send(Err(error)).await);
        }
    });
    let (kind, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "verifications.csv"),
        Format::Jsonl => ("application/jsonl", "verifications.jsonl"),
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (StatusCode::OK, headers, Body::new(Rows(rows))).into_response()
}

/// Sends page by page until all are sent, or the reader has gone.
async fn send(
    database: &Database,
    filter: &RecordsFilter,
    mut lines: Vec<Line>,
    format: Format,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let mut is_first = true;
    loop {
        let text = text(&lines, format, is_first)?;
        let last = lines.last().map(|(key, _)| *key);
        if sender.send(Ok(text.into())).await.is_err() {
            return Ok(());
        }
        let Some(last) = last.filter(|_| lines.len() as i64 == PAGE) else {
            return Ok(());
        };
        is_first = false;
        let next = database
            .find_lines(filter, PageStart::OlderThan(last), PAGE)
            .await;
        lines = next.map_err(|error: StorageError| io::Error::other(error))?;
    }
}

fn text(lines: &[Line], format: Format, is_first: bool) -> io::Result<Vec<u8>> {
    let lines = lines.iter().filter_map(|(_, line)| line.as_deref());
    match format {
        Format::Jsonl => Ok(lines.flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()),
        Format::Csv => {
            let mut rows = csv::Writer::from_writer(Vec::new());
            if is_first {
                rows.write_record(csv_columns())?;
            }
            for line in lines {
                rows.write_record(csv_cells(line)?)?;
            }
            rows.into_inner()
                .map_err(|error| io::Error::other(error.to_string()))
        }
    }
}

/// A response body of pages as they come.
struct Rows(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Rows {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = self.0.poll_recv(context);
        next.map(|next| next.map(|next| next.map(Frame::data)))
    }
}
