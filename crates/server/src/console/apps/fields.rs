//! The form of an app: its fields, and the settings that they say.

use std::str::FromStr;

use likeness_storage::apps::{AppEndpoint, AppLimits, AppSettings};
use maud::{Markup, html};

use super::texts;
use crate::config::{Config, ConfigError};

/// The fields of a form as they were sent, with what is wrong about them.
#[derive(Debug, Default)]
pub(super) struct Fields {
    values: Vec<(String, String)>,
    /// Field and reason.
    pub(super) faults: Vec<(String, String)>,
}

impl Fields {
    pub(super) fn new(values: Vec<(String, String)>) -> Self {
        Self {
            values,
            faults: Vec::new(),
        }
    }

    /// Returns the form that shows these settings.
    pub(super) fn of(settings: &AppSettings) -> Self {
        fn text(value: Option<impl ToString>) -> String {
            value.map(|value| value.to_string()).unwrap_or_default()
        }
        let AppLimits {
            requests_per_second,
            burst,
            concurrent_requests,
            daily_quota,
            monthly_quota,
            ..
        } = settings.limits;
        let single = [
            ("note", settings.note.clone()),
            ("default_profile", text(settings.default_profile.as_ref())),
            (
                "liveness_threshold_floor",
                settings.liveness_threshold_floor.to_string(),
            ),
            ("requests_per_second", text(requests_per_second)),
            ("burst", text(burst)),
            ("concurrent_requests", text(concurrent_requests)),
            ("daily_quota", text(daily_quota)),
            ("monthly_quota", text(monthly_quota)),
        ];
        let profiles = settings
            .profiles
            .iter()
            .flatten()
            .map(|name| ("profiles", name.clone()));
        let endpoints = settings
            .endpoints
            .iter()
            .flatten()
            .map(|name| ("endpoints", name.to_string()));
        let all = single.into_iter().chain(profiles).chain(endpoints);
        Self::new(all.map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Returns the trimmed text of a field; empty where absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.values.iter().filter(move |(found, _)| found == name);
        values.map(|(_, value)| value.trim())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|found| found == value)
    }

    pub(super) fn fault(&mut self, field: &str, reason: impl Into<String>) {
        self.faults.push((field.to_owned(), reason.into()));
    }

    /// Returns the settings that the fields say, or notes what is wrong. `before` are those that have no field.
    pub(super) fn settings(&mut self, before: &AppSettings) -> Option<AppSettings> {
        let mut settings = before.clone();
        let limits = &mut settings.limits;
        limits.requests_per_second = self.number("requests_per_second");
        limits.burst = self.number("burst");
        limits.concurrent_requests = self.number("concurrent_requests");
        limits.daily_quota = self.number("daily_quota");
        limits.monthly_quota = self.number("monthly_quota");
        settings.liveness_threshold_floor = self.number("liveness_threshold_floor").unwrap_or(0.0);
        settings.note = self.text("note").to_owned();
        let default_profile = Some(self.text("default_profile")).filter(|name| !name.is_empty());
        settings.default_profile = default_profile.map(ToOwned::to_owned);
        let profiles: Vec<String> = self.all("profiles").map(ToOwned::to_owned).collect();
        settings.profiles = Some(profiles).filter(|names| !names.is_empty());
        let endpoints: Result<Vec<AppEndpoint>, _> = self.all("endpoints").map(str::parse).collect();
        match endpoints {
            Ok(endpoints) => settings.endpoints = Some(endpoints).filter(|names| !names.is_empty()),
            Err(error) => self.fault("endpoints", error.to_string()),
        }
        self.faults.is_empty().then_some(settings)
    }

    /// Returns the number of a field; `None` where it is empty, or wrong, which is noted.
    fn number<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name).replace(['_', ' '], "");
        if text.is_empty() {
            return None;
        }
        let number = text.parse().ok();
        if number.is_none() {
            self.fault(name, texts::NOT_A_NUMBER);
        }
        number
    }

    /// Notes what the check of the configuration finds wrong about an app.
    pub(super) fn check(&mut self, config: &Config, id: &str, settings: &AppSettings) -> bool {
        let Err(error) = config.check_app(id, settings) else {
            return true;
        };
        if let ConfigError::Invalid { key, reason, .. } = &error {
            let field = key.rsplit([' ', '.']).next().unwrap_or_default();
            self.fault(field, reason.clone());
        } else {
            self.fault("id", error.to_string());
        }
        false
    }

    /// Returns what is wrong about a field.
    fn error(&self, name: &str) -> Option<&str> {
        let found = self.faults.iter().find(|(field, _)| field == name);
        found.map(|(_, reason)| reason.as_str())
    }
}

/// Returns the field of the id of a new app.
pub(super) fn id_field(form: &Fields) -> Markup {
    html! {
        div class="fields" { (input(form, "id", texts::APP_ID, texts::APP_ID_HELP, "text")) }
    }
}

/// Returns the fields of the settings.
pub(super) fn setting_fields(form: &Fields, profiles: &[String]) -> Markup {
    // With those that the app has and the settings do not: left out, they would be lost with the next change.
    let own = form.all("default_profile").chain(form.all("profiles"));
    let mut choosable: Vec<&str> = profiles.iter().map(String::as_str).collect();
    for name in own.filter(|name| !name.is_empty()) {
        if !choosable.contains(&name) {
            choosable.push(name);
        }
    }
    let number = |name, label, help| input(form, name, label, help, "decimal");
    html! {
        div class="fields" {
            (input(form, "note", texts::NOTE, texts::NOTE_HELP, "text"))
            div class="field" {
                label for="default_profile" { (texts::DEFAULT_PROFILE) }
                select #default_profile name="default_profile" aria-describedby="default_profile-help" {
                    option value="" { (texts::SERVICE_DEFAULT) }
                    @for name in &choosable {
                        option value=(name) selected[form.text("default_profile") == *name] { (name) }
                    }
                }
                p class="help" id="default_profile-help" { (texts::DEFAULT_PROFILE_HELP) }
                (error(form, "default_profile"))
            }
            (choices(form, "profiles", texts::ALLOWED_PROFILES, choosable.iter().copied()))
            (choices(form, "endpoints", texts::ALLOWED_ENDPOINTS, ["biometric", "liveness"].into_iter()))
            (number("liveness_threshold_floor", texts::FLOOR, texts::FLOOR_HELP))
            (number("requests_per_second", texts::RATE, texts::UNLIMITED_HELP))
            (number("burst", texts::BURST, texts::BURST_HELP))
            (number("concurrent_requests", texts::CONCURRENT, texts::UNLIMITED_HELP))
            (number("daily_quota", texts::DAILY_QUOTA, texts::QUOTA_HELP))
            (number("monthly_quota", texts::MONTHLY_QUOTA, texts::QUOTA_HELP))
        }
    }
}

/// Returns a text field with its label, help and error. `mode` is the keyboard that it needs.
fn input(form: &Fields, name: &str, label: &str, help: &str, mode: &str) -> Markup {
    let is_wrong = form.error(name).is_some();
    html! {
        div class="field" {
            label for=(name) { (label) }
            input id=(name) name=(name) type="text" inputmode=(mode) autocomplete="off" spellcheck="false"
                value=(form.text(name)) aria-describedby={ (name) "-help " (name) "-error" } aria-invalid=(is_wrong);
            p class="help" id={ (name) "-help" } { (help) }
            (error(form, name))
        }
    }
}

fn choices<'a>(form: &Fields, name: &str, legend: &str, values: impl Iterator<Item = &'a str>) -> Markup {
    html! {
        fieldset class="field" {
            legend { (legend) }
            @for value in values {
                label class="check" {
                    input type="checkbox" name=(name) value=(value) checked[form.has(name, value)];
                    (value)
                }
            }
            p class="help" { (texts::NONE_IS_ALL) }
            (error(form, name))
        }
    }
}

pub(super) fn error(form: &Fields, name: &str) -> Markup {
    html! { p class="error" id={ (name) "-error" } { @if let Some(reason) = form.error(name) { (texts::sentence(reason)) } } }
}

/// Returns the names of the settings that differ.
pub(super) fn differences(before: &AppSettings, after: &AppSettings) -> String {
    let (old, new) = (Fields::of(before), Fields::of(after));
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in old.values.iter().chain(&new.values) {
        if !old.all(name).eq(new.all(name)) && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Fields::new(pairs.iter().map(owned).collect())
    }

    #[test]
    fn a_form_says_the_settings_that_it_was_made_of() {
        let mut settings = AppSettings::default();
        settings.note = "a note".to_owned();
        settings.default_profile = Some("strict-v0".to_owned());
        settings.profiles = Some(vec!["optimal-v0".to_owned(), "strict-v0".to_owned()]);
        settings.endpoints = Some(vec![AppEndpoint::Liveness]);
        settings.liveness_threshold_floor = 0.5;
        settings.limits.requests_per_second = Some(2.5);
        settings.limits.daily_quota = Some(10_000);
        assert_eq!(
            Fields::of(&settings).settings(&AppSettings::default()),
            Some(settings)
        );
    }

    #[test]
    fn a_profile_that_is_not_configured_stays_chosen() {
        let mut settings = AppSettings::default();
        settings.default_profile = Some("bank-default".to_owned());
        settings.profiles = Some(vec!["bank-strict".to_owned(), "bank-default".to_owned()]);
        let shown = setting_fields(&Fields::of(&settings), &["optimal-v0".to_owned()]).into_string();
        for chosen in [
            r#"<option value="bank-default" selected"#,
            r#"value="bank-strict" checked"#,
            r#"value="bank-default" checked"#,
        ] {
            assert!(shown.contains(chosen), "{chosen} is not in {shown}");
        }
    }

    #[test]
    fn an_empty_form_says_the_defaults() {
        assert_eq!(
            fields(&[]).settings(&AppSettings::default()),
            Some(AppSettings::default())
        );
    }

    #[test]
    fn wrong_values_are_noted_by_their_fields() {
        for (name, value) in [
            ("daily_quota", "many"),
            ("daily_quota", "-1"),
            ("burst", "1.5"),
            ("endpoints", "other"),
        ] {
            let mut form = fields(&[(name, value)]);
            assert_eq!(form.settings(&AppSettings::default()), None);
            assert!(form.error(name).is_some(), "{name}={value}");
        }
        let mut form = fields(&[("burst", "3")]);
        let settings = form.settings(&AppSettings::default()).unwrap();
        assert!(!form.check(&Config::default(), "shop", &settings));
        assert_eq!(form.error("burst"), Some("requires requests_per_second"));
        let mut form = fields(&[]);
        assert!(!form.check(&Config::default(), "a b", &AppSettings::default()));
        assert!(form.error("id").is_some());
    }

    #[test]
    fn differences_name_what_was_changed() {
        let before = AppSettings::default();
        let mut after = before.clone();
        after.limits.daily_quota = Some(7);
        after.endpoints = Some(vec![AppEndpoint::Biometric]);
        assert_eq!(differences(&before, &after), "daily_quota, endpoints");
        assert_eq!(differences(&before, &before), "");
    }
}
