//! The filter of the pages, as their URLs have it.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use likeness_engine::decision::Code;
use likeness_storage::records::RecordsFilter;
use likeness_storage::{Database, StorageError};
use maud::{Markup, html};
use serde::Deserialize;

use super::texts;
use crate::endpoint::Endpoint;

/// Apps and profiles to choose from, at most.
const CHOICES: i64 = 1_000;
/// Outcomes, as records have them.
const OUTCOMES: [&str; 7] = ["pass", "warning", "review", "reject", "live", "not live", "error"];

/// The fields of the filter. An empty one selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct RecordsQuery {
    pub(super) since: String,
    pub(super) until: String,
    pub(super) app: String,
    pub(super) endpoint: String,
    pub(super) profile: String,
    pub(super) outcome: String,
    pub(super) code: String,
    /// Of a request or of a client's.
    pub(super) id: String,
}

/// A field that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidTime(pub(super) &'static str);

/// Returns a time in microseconds since 1970: that of a day's beginning, `days` later, or an exact one.
fn time(name: &'static str, text: &str, days: i64) -> Result<Option<i64>, InvalidTime> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let day = |date: Date| {
        let date = date.checked_add(jiff::Span::new().try_days(days)?)?;
        TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))
    };
    let time = text
        .parse::<Timestamp>()
        .or_else(|_| text.parse::<Date>().and_then(day));
    time.map(|time| Some(time.as_microsecond()))
        .map_err(|_| InvalidTime(name))
}

impl RecordsQuery {
    /// Returns the selection. An id is that of a request, or else one of a client's.
    pub(super) async fn filter(
        &self,
        database: &Database,
    ) -> Result<Result<RecordsFilter, InvalidTime>, StorageError> {
        let mut filter = match self.without_id() {
            Ok(filter) => filter,
            Err(invalid) => return Ok(Err(invalid)),
        };
        if let Some(id) = set(&self.id) {
            let by_request = RecordsFilter {
                request_id: Some(id.clone()),
                ..RecordsFilter::default()
            };
            let found = database.find_records(&by_request, likeness_storage::records::PageStart::Latest, 1);
            if found.await?.is_empty() {
                filter.correlation_id = Some(id);
            } else {
                filter.request_id = Some(id);
            }
        }
        Ok(Ok(filter))
    }

    pub(super) fn without_id(&self) -> Result<RecordsFilter, InvalidTime> {
        Ok(RecordsFilter {
            since: time("since", &self.since, 0)?,
            until: time("until", &self.until, 1)?,
            app: set(&self.app),
            endpoint: set(&self.endpoint),
            profile: set(&self.profile),
            outcome: set(&self.outcome),
            code: set(&self.code),
            ..RecordsFilter::default()
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn fields(&self) -> [(&'static str, &str); 8] {
        [
            ("since", &self.since),
            ("until", &self.until),
            ("app", &self.app),
            ("endpoint", &self.endpoint),
            ("profile", &self.profile),
            ("outcome", &self.outcome),
            ("code", &self.code),
            ("id", &self.id),
        ]
    }

    /// Returns the URL of a page with this filter and more fields.
    pub(super) fn link(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut fields = form_urlencoded::Serializer::new(String::new());
        let own = self.fields().into_iter().filter(|(_, value)| !value.is_empty());
        let fields = fields.extend_pairs(own).extend_pairs(more).finish();
        if fields.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{fields}")
        }
    }

    /// Returns the form, which works without a script.
    pub(super) async fn form(
        &self,
        path: &str,
        database: &Database,
        invalid: Option<InvalidTime>,
    ) -> Result<Markup, StorageError> {
        let (apps, profiles) = tokio::try_join!(
            database.recorded_apps(CHOICES),
            database.recorded_profiles(CHOICES)
        )?;
        let endpoints = Endpoint::ALL.map(Endpoint::as_str);
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        Ok(html! {
            form class="panel" method="get" action=(path) aria-label=(texts::FILTER) {
                div class="fields" {
                    (time_field("since", texts::SINCE, &self.since, invalid))
                    (time_field("until", texts::UNTIL, &self.until, invalid))
                    (choice("app", texts::APP, &self.app, &apps))
                    (choice("outcome", texts::OUTCOME, &self.outcome, &OUTCOMES))
                    (choice("code", texts::CODE, &self.code, &codes))
                    (choice("profile", texts::PROFILE, &self.profile, &profiles))
                    (choice("endpoint", texts::ENDPOINT, &self.endpoint, &endpoints))
                    div class="field" {
                        label for="id" { (texts::ID) }
                        input #id name="id" type="search" maxlength="128" autocomplete="off" spellcheck="false" value=(self.id);
                    }
                }
                div class="row" {
                    button type="submit" class="primary" { (texts::SHOW) }
                    @if !self.is_empty() { a class="button" href=(path) { (texts::CLEAR_FILTER) } }
                }
            }
        })
    }
}

fn set(field: &str) -> Option<String> {
    // PostgreSQL takes no NUL; no record has one.
    let field = field.trim().replace('\0', "\u{fffd}");
    (!field.is_empty()).then_some(field)
}

/// Returns a field for a day; for a time of that day if the URL has one.
pub(super) fn time_field(
    name: &'static str,
    label: &str,
    value: &str,
    invalid: Option<InvalidTime>,
) -> Markup {
    let is_invalid = invalid == Some(InvalidTime(name));
    let is_day = value.is_empty() || value.parse::<Date>().is_ok();
    let kind = if is_day { "date" } else { "text" };
    html! {
        div class="field" {
            label for=(name) { (label) }
            input id=(name) name=(name) type=(kind) value=(value) maxlength="32"
                aria-invalid=[is_invalid.then_some("true")] aria-describedby=[is_invalid.then(|| format!("{name}-error"))];
            @if is_invalid { p class="error" id={ (name) "-error" } role="alert" { (texts::NO_TIME) } }
        }
    }
}

/// Returns a field with a choice. A value of the URL that is not among them stays chosen.
pub(super) fn choice(name: &str, label: &str, value: &str, choices: &[impl AsRef<str>]) -> Markup {
    let is_known = value.is_empty() || choices.iter().any(|choice| choice.as_ref() == value);
    html! {
        div class="field" {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { (texts::ALL) }
                @if !is_known { option value=(value) selected { (value) } }
                @for choice in choices {
                    option value=(choice.as_ref()) selected[choice.as_ref() == value] { (choice.as_ref()) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(since: &str, until: &str) -> RecordsQuery {
        RecordsQuery {
            since: since.to_owned(),
            until: until.to_owned(),
            ..RecordsQuery::default()
        }
    }

    #[test]
    fn the_last_day_is_included() {
        let filter = query("2026-11-25", "2026-11-25").without_id().unwrap();
        let (since, until) = (filter.since.unwrap(), filter.until.unwrap());
        assert_eq!(until - since, 86_400_000_000);
        let exact = query("2026-11-25T08:00:00Z", "").without_id().unwrap();
        assert_eq!(
            (exact.since.unwrap() - since, exact.until),
            (8 * 3_600_000_000, None)
        );
    }

    #[test]
    fn what_is_no_time_is_an_error_of_its_field() {
        for wrong in ["yesterday", "2026-13-01", "9999-12-31", "-9999999-01-01"] {
            assert_eq!(
                query("", wrong).without_id(),
                Err(InvalidTime("until")),
                "{wrong}"
            );
        }
        assert_eq!(query("x", "").without_id(), Err(InvalidTime("since")));
    }

    #[test]
    fn a_link_has_the_filter_encoded() {
        let query = RecordsQuery {
            app: "a&b=\"c\"".to_owned(),
            ..RecordsQuery::default()
        };
        assert_eq!(
            query.link("/p", &[("after", "1.2.3")]),
            "/p?app=a%26b%3D%22c%22&after=1.2.3"
        );
        assert_eq!(RecordsQuery::default().link("/p", &[]), "/p");
    }
}
