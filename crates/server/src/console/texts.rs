//! The texts of the pages, in one place. Those of scripts are in `assets/console/texts.js`.

pub(super) mod records;

pub(super) const BRAND: &str = "Likeness";
pub(super) const NAVIGATION: &str = "Pages";
pub(super) const SKIP: &str = "Skip to content";

pub(super) const TRY: &str = "Try";
pub(super) const SYSTEM: &str = "System";

pub(super) const LOG_IN: &str = "Log in";
pub(super) const LOG_OUT: &str = "Log out";
pub(super) const USERNAME: &str = "console";
pub(super) const TOKEN: &str = "Console token";
pub(super) const TOKEN_HELP: &str = "The value of console.token in the settings of this service.";
pub(super) const WRONG_TOKEN: &str = "This is not the token of the console.";
pub(super) const TOO_MANY_LOGINS: &str = "Too many failed logins. Wait a minute, then try again.";
pub(super) const SESSION_ENDED: &str = "The session has ended. Log in again.";

pub(super) const REFUSED: &str = "Request refused";
pub(super) const WRONG_HOST: &str = "This host name is not allowed. Open the console by an IP address or as localhost, or add \
    the name to console.allowed_hosts.";
pub(super) const WRONG_ORIGIN: &str = "The request comes from a page that is not part of this console.";
pub(super) const NO_CSRF: &str = "The form has expired. Go back, reload the page and try again.";
pub(super) const NO_AUDIT: &str =
    "The audit log cannot be written, so nothing is changed. System shows its state.";
pub(super) const NOT_FOUND: &str = "Page not found";
pub(super) const NO_PAGE: &str = "The console has no such page.";

pub(super) const TRY_LEAD: &str = "Verify a selfie against a photo with the models and profiles of this service, and see the \
    scores, findings and times of the decision. The images stay in this page and in the request; nothing of them is stored, and no quota is used.";
pub(super) const TRY_NEEDS_SCRIPT: &str = "This page needs JavaScript.";
pub(super) const SELFIE: &str = "Selfie";
pub(super) const PHOTO: &str = "Photo to compare with";
pub(super) const CAMERA: &str = "Use the camera";
pub(super) const CHOOSE_SELFIE: &str = "Choose a selfie";
pub(super) const CHOOSE_PHOTO: &str = "Choose a photo";
pub(super) const DROP: &str = "or drop an image here";
pub(super) const PROFILE: &str = "Decision profile";
pub(super) const PHOTO_FACES: &str = "Faces in the photo";
pub(super) const MULTIFACE: &str = "Compare with every face";
pub(super) const VERIFY: &str = "Verify";
pub(super) const CLEAR: &str = "Clear";
pub(super) const UPLOAD: &str = "Upload";

pub(super) const APPS: &str = "Apps";
pub(super) const APPS_LEAD: &str =
    "Apps are the clients of the API: each has an id, a key, and limits of its own.";
pub(super) const ALL_APPS: &str = "All apps";
pub(super) const APP: &str = "App";
pub(super) const STATE: &str = "State";
pub(super) const ENABLED: &str = "Enabled";
pub(super) const DISABLED: &str = "Disabled";
pub(super) const PROFILE_MISSING: &str = "Refused: a profile is not configured";
pub(super) const TODAY: &str = "Today";
pub(super) const THIS_MONTH: &str = "This month";
pub(super) const LAST_30_DAYS: &str = "30 days";
pub(super) const LIVE_KEYS: &str = "Live keys";
pub(super) const NOTE: &str = "Note";
pub(super) const FROM_CONFIGURATION: &str = "From the configuration; change it there.";
pub(super) const NO_APPS: &str = "There is no app yet, so every request to the API is refused.";
pub(super) const NO_APPS_HELP: &str = "Create one below: its key is shown once, to be given to the client.";
pub(super) const NEW_APP: &str = "New app";
pub(super) const CREATE_APP: &str = "Create app";
pub(super) const APP_ID: &str = "App id";
pub(super) const APP_ID_HELP: &str =
    "The value of the header app_id. Printable ASCII without space, colon and comma.";
pub(super) const NOTE_HELP: &str = "For operators, such as the owner of the app.";
pub(super) const DEFAULT_PROFILE: &str = "Default profile";
pub(super) const DEFAULT_PROFILE_HELP: &str = "For requests that name none.";
pub(super) const SERVICE_DEFAULT: &str = "The service's default (optimal-v0)";
pub(super) const ALLOWED_PROFILES: &str = "Profiles that requests may name";
pub(super) const ALLOWED_ENDPOINTS: &str = "Endpoints";
pub(super) const NONE_IS_ALL: &str = "None ticked: all.";
pub(super) const FLOOR: &str = "Liveness threshold floor";
pub(super) const FLOOR_HELP: &str = "Lowest threshold of liveness verifications, 0 to 1.";
pub(super) const RATE: &str = "Requests per second";
pub(super) const UNLIMITED_HELP: &str = "Empty: unlimited.";
pub(super) const BURST: &str = "Burst";
pub(super) const BURST_HELP: &str = "Requests at once after a pause. Needs requests per second.";
pub(super) const CONCURRENT: &str = "Concurrent requests";
pub(super) const DAILY_QUOTA: &str = "Daily quota";
pub(super) const MONTHLY_QUOTA: &str = "Monthly quota";
pub(super) const QUOTA_HELP: &str = "Requests, counted in UTC. Empty: unlimited.";
pub(super) const NO_QUOTA: &str = "no quota";
pub(super) const NOT_A_NUMBER: &str = "must be a number";
pub(super) const ID_EXISTS: &str = "there is an app of this id already";
pub(super) const ID_IN_CONFIGURATION: &str =
    "the configuration has an app of this id, which overrides the database's";
pub(super) const NO_SUCH_APP: &str = "The database has no such app.";
pub(super) const CHANGED: &str = "Changed";
pub(super) const CREATED: &str = "Created";
pub(super) const ENABLE: &str = "Enable";
pub(super) const DISABLE: &str = "Disable";
pub(super) const CONFIRM_DISABLE: &str = "All requests of this app will be refused. Disable it?";
pub(super) const USAGE_BY_DAY: &str = "Requests by day";
pub(super) const NO_USAGE: &str = "No requests in the last 30 days.";
pub(super) const ACCEPTED: &str = "accepted";
pub(super) const REFUSED_BY_LIMIT: &str = "refused by a limit";
pub(super) const REFUSED_BY_LIMIT_HEAD: &str = "Refused by a limit";
pub(super) const AS_TABLE: &str = "As a table";
pub(super) const DAY_UTC: &str = "Day (UTC)";
pub(super) const BIOMETRIC: &str = "Biometric";
pub(super) const LIVENESS: &str = "Liveness";
pub(super) const KEYS: &str = "Keys";
pub(super) const LABEL: &str = "Label";
pub(super) const ACCEPTED_KEY: &str = "Accepted";
pub(super) const ACCEPTED_UNTIL: &str = "Accepted until";
pub(super) const EXPIRED: &str = "Expired";
pub(super) const REVOKED: &str = "Revoked";
pub(super) const GRACE: &str = "Previous key accepted for";
pub(super) const GRACE_HELP: &str = "Long enough for the client to change over.";
/// Hours and names.
pub(super) const GRACES: [(u32, &str); 5] = [
    (168, "7 days"),
    (24, "1 day"),
    (1, "1 hour"),
    (720, "30 days"),
    (0, "not at all: it ends now"),
];
pub(super) const TWO_KEYS: &str = "Two keys are live";
pub(super) const FORCE: &str = "End the older one now";
pub(super) const TOO_MANY_KEYS: &str = "This app has two live keys already: the grace period of its last rotation has not ended. \
    Wait until the older one has expired, or end it now.";
pub(super) const ROTATE: &str = "Rotate key";
pub(super) const SETTINGS: &str = "Settings";
pub(super) const SAVE: &str = "Save";
pub(super) const COPY: &str = "Copy";
pub(super) const CREATED_APP: &str = "App created";
pub(super) const ROTATED_APP: &str = "Key rotated";
pub(super) const KEY_ONCE: &str =
    "The key is shown only now: the database has its digest alone. Copy it before you leave this page.";
pub(super) const KEY_HELP: &str = "Requests send both as headers. This service accepts the key at once, others on the same \
    database within database.refresh_seconds.";
pub(super) const TO_APP: &str = "Open the app";
pub(super) const DATABASE_FAILED: &str = "The database failed";
pub(super) const TRY_AGAIN: &str = "Try again";

/// Returns what a change has done, by the word in the address.
pub(super) fn done(word: &str) -> Option<&'static str> {
    match word {
        "saved" => Some("Settings saved."),
        "disabled" => Some("App disabled: its requests are refused."),
        "enabled" => Some("App enabled."),
        _ => None,
    }
}

/// Returns "of N".
pub(super) fn of(total: &str) -> String {
    format!("of {total}")
}

/// Returns a reason as a sentence.
pub(super) fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

pub(super) const SERVICE: &str = "Service";
pub(super) const READY: &str = "Ready";
pub(super) const NOT_READY: &str = "Not ready";
pub(super) const VERSION: &str = "Version";
pub(super) const ADDRESS: &str = "Public listener";
pub(super) const UPTIME: &str = "Running for";
pub(super) const WORKERS: &str = "Workers";
pub(super) const WORKERS_BUSY: &str = "Busy workers";
pub(super) const QUEUED: &str = "Waiting in the queue";
pub(super) const ADMITTED: &str = "Admitted requests";
pub(super) const CONNECTIONS: &str = "Open connections";
pub(super) const MEMORY: &str = "Memory";
pub(super) const PEAK: &str = "peak";
pub(super) const AT_MOST: &str = "sized for at most";
pub(super) const MODELS: &str = "Models";
pub(super) const RELOAD: &str = "Reload";
pub(super) const RELOAD_HELP: &str =
    "Reads settings and models again. Requests continue with the current ones meanwhile.";
pub(super) const RELOADED: &str = "Reloaded: new models are in use.";
pub(super) const NOT_RELOADED: &str = "Read again: the models have not changed.";
pub(super) const RELOAD_FAILED: &str = "The reload failed; the current settings and models stay.";
pub(super) const SETTINGS_CHANGED: &str = "Changed settings in force:";
pub(super) const SETTINGS_NEED_RESTART: &str = "Changed settings that need a restart:";
pub(super) const PACK: &str = "Model pack";
pub(super) const DIGEST: &str = "Digest";
pub(super) const MATCH_CALIBRATION: &str = "Match calibration";
pub(super) const LIVENESS_CALIBRATION: &str = "Liveness calibration";
pub(super) const COHORT: &str = "Cohort";
pub(super) const LICENCES: &str = "Licences";
pub(super) const COMMERCIAL: &str = "Commercial use allowed";
pub(super) const NOT_COMMERCIAL: &str = "Not for commercial use";
pub(super) const RUNTIME: &str = "Runtime";
pub(super) const PROVIDER: &str = "Execution provider";
pub(super) const ONNX_RUNTIME: &str = "ONNX Runtime";
pub(super) const LIBRARY: &str = "Library";
pub(super) const DATABASE_AND_AUDIT: &str = "Database and audit";
pub(super) const DATABASE: &str = "Database";
pub(super) const DATABASE_UP: &str = "Works";
pub(super) const DATABASE_DOWN: &str = "Does not respond";
pub(super) const FAILED_CALLS: &str = "Failed operations";
pub(super) const AUDIT: &str = "Audit log";
pub(super) const AUDIT_ON: &str = "Works";
pub(super) const AUDIT_OFF: &str = "Off (audit.enabled = false)";
pub(super) const AUDIT_REFUSES: &str = "Cannot be written: requests are refused";
pub(super) const AUDIT_LAG: &str = "Delay until stored";
pub(super) const AUDIT_PENDING: &str = "Records not yet stored";
pub(super) const AUDIT_LOST: &str = "Lost records";
pub(super) const CHECKS: &str = "Checks";
pub(super) const CHECKS_HELP: &str = "The checks of likeness doctor: processor, ONNX Runtime, models with their self-tests, \
    settings. Takes some seconds.";
pub(super) const RUN_CHECKS: &str = "Run the checks";
pub(super) const CHECKS_RUNNING: &str =
    "The checks did not run: they are running already, or failed. Wait a moment, then try again.";
pub(super) const CHECK_GOOD: &str = "OK";
pub(super) const CHECK_NOTE: &str = "Note";
pub(super) const CHECK_BAD: &str = "Problem";

/// Returns the name of a listener, by its label in metrics.
pub(super) fn listener(label: &str) -> &'static str {
    match label {
        "operators" => "Admin:",
        _ => "Public:",
    }
}
