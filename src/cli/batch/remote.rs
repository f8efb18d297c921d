//! Pairs that a running service verifies.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use likeness::EngineLabels;
use likeness::api::{ErrorCode, Meta};
use serde::Deserialize;
use ureq::Agent;
use ureq::http::Uri;

use super::local::read_both;
use super::pairs::Pair;
use super::progress::Warnings;
use super::reply::{CONNECTION_ATTEMPTS, Reply, body, reply};
use super::results::Judged;
use crate::cli::healthcheck::{agent, service_url};
use crate::cli::{Failure, read_limited, warn};

/// Timeout of a request: several of the service's own deadlines (10 s by default), for slow uploads.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Longest wait for one pair that the service may ask for. A day's quota that is used up ends the run instead.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Shortest wait that is reported.
const REPORTED_WAIT: Duration = Duration::from_secs(5);

/// First pause between two attempts, which is doubled each time, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Most bytes of a file: those of a whole request by the service's default.
const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;

/// More than the longest key and a line's end.
const MAX_KEY_BYTES: u64 = 1024;

/// A running service to verify by.
#[derive(Debug, Args)]
#[command(mut_args(|argument| argument.hide_env_values(true)))]
pub(crate) struct RemoteArguments {
    /// Verify by the running service at this URL instead of an engine of this process
    #[arg(long, value_name = "URL", help_heading = "Service")]
    pub(crate) url: Option<String>,
    /// App to send requests as; its key is read from LIKENESS_APP_KEY
    #[arg(long, value_name = "ID", env = "LIKENESS_APP_ID", help_heading = "Service")]
    app_id: Option<String>,
    /// File with the key of the app [default: LIKENESS_APP_KEY]
    #[arg(long, value_name = "FILE", requires = "url", help_heading = "Service")]
    app_key_file: Option<PathBuf>,
    /// Requests to send at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64), help_heading = "Service")]
    pub(crate) concurrent_requests: u8,
    /// CA bundle to trust (PEM) [default: SSL_CERT_FILE, else system store]
    #[arg(long, value_name = "FILE", requires = "url", help_heading = "Service")]
    ca: Option<PathBuf>,
    /// Client certificate (PEM) [default: none]
    #[arg(long, value_name = "FILE", requires_all = ["url", "key"], help_heading = "Service")]
    certificate: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate", help_heading = "Service")]
    key: Option<PathBuf>,
}

impl RemoteArguments {
    fn app_key(&self) -> Result<String, Failure> {
        let key = match &self.app_key_file {
            Some(file) => {
                let bytes = read_limited(file, MAX_KEY_BYTES)?;
                let text = String::from_utf8(bytes).map_err(|_| "the key of the app is not text")?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
            None => std::env::var("LIKENESS_APP_KEY")
                .map_err(|_| "LIKENESS_APP_KEY or --app-key-file must hold the key of the app")?,
        };
        // Not shown, whatever is wrong with it.
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the key of the app is empty, or has characters that no key has".into());
        }
        Ok(key)
    }
}

/// A client of a service. Several threads use it.
pub(crate) struct Remote {
    agent: Agent,
    url: String,
    app_id: String,
    app_key: String,
    root: PathBuf,
    multiface: bool,
    /// Until when the service asked not to send requests.
    resume_at: Mutex<Instant>,
}

impl Remote {
    pub(crate) fn new(
        arguments: &RemoteArguments,
        url: &str,
        root: PathBuf,
        multiface: bool,
    ) -> Result<Self, Failure> {
        let url = service_url(url)?.to_owned();
        let app_id = arguments.app_id.clone().unwrap_or_default();
        if app_id.is_empty() || !app_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("--app-id must name the app to send requests as".into());
        }
        let app_key = arguments.app_key()?;
        if is_exposed(&url) {
            warn("the URL is not https: key and images can be read on the way to the service");
        }
        let identity = arguments.certificate.as_deref().zip(arguments.key.as_deref());
        Ok(Self {
            agent: agent(None, arguments.ca.as_deref(), identity)?,
            url,
            app_id,
            app_key,
            root,
            multiface,
            resume_at: Mutex::new(Instant::now()),
        })
    }

    /// Returns the service's `/info`; `None` where a proxy hides it.
    pub(crate) fn info(&self) -> Result<Option<Info>, Failure> {
        let url = format!("{}/info", self.url);
        let response = self.agent.get(&url).call();
        let mut response = response.map_err(|error| format!("{url}: {error}"))?;
        Ok(body(&mut response).and_then(|body| serde_json::from_slice(&body).ok()))
    }

    /// Verifies a pair.
    ///
    /// # Errors
    /// The service cannot be reached, refuses the credentials, or asks to wait for too long: nothing about this pair.
    pub(crate) fn verify(&self, pair: &Pair, warnings: &Warnings) -> Result<Judged, Failure> {
        let (selfie, photo) = match read_both(&self.root, pair, MAX_FILE_BYTES as u64) {
            Ok(images) => images,
            Err(unreadable) => return Ok(unreadable),
        };
        if selfie.len().max(photo.len()) > MAX_FILE_BYTES {
            let message = format!("a file has more than {MAX_FILE_BYTES} bytes");
            return Ok(Judged::refused(ErrorCode::FileTooLarge.as_str(), message));
        }
        if pair.profile.contains(char::is_control) {
            let message = "the name of the profile has control characters";
            return Ok(Judged::refused(ErrorCode::InvalidParameter.as_str(), message));
        }
        let (content_type, form) = self.form(pair, &selfie, &photo);
        drop((selfie, photo));
        let (mut waited, mut attempts) = (Duration::ZERO, 0);
        loop {
            waited += self.wait_for_turn();
            attempts += 1;
            match self.send(&content_type, &form) {
                Reply::Judged(judged) => return Ok(judged),
                Reply::Stop(reason) => return Err(format!("{}: {reason}", self.url).into()),
                Reply::Wait(time, reason) => {
                    if waited.saturating_add(time) > LONGEST_WAIT {
                        let seconds = time.as_secs();
                        return Err(format!("{}: {reason} Retry in {seconds} s", self.url).into());
                    }
                    self.postpone(time, &reason, warnings);
                    // Other attempts than those that failed.
                    attempts = 0;
                }
                Reply::Retry(most, _, Some(judged)) if attempts >= most => return Ok(judged),
                Reply::Retry(most, reason, None) if attempts >= most => {
                    // The service is alive, so this pair is at fault.
                    return if self.is_alive() {
                        Ok(Judged::refused("NO_RESPONSE", reason))
                    } else {
                        Err(format!("{}: {reason}", self.url).into())
                    };
                }
                Reply::Retry(_, reason, _) => {
                    let pause = PAUSE.0.saturating_mul(1 << (attempts - 1).min(10)).min(PAUSE.1);
                    if pause >= REPORTED_WAIT {
                        warnings.print(format_args!("{reason}; retrying in {} s", pause.as_secs()));
                    }
                    sleep(pause);
                }
            }
        }
    }

    /// Waits for as long as the service has asked for, and returns how long that was.
    fn wait_for_turn(&self) -> Duration {
        let begin = Instant::now();
        loop {
            let resume_at = *self.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
            let left = resume_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return begin.elapsed();
            }
            sleep(left);
        }
    }

    /// Keeps all threads from sending requests for a time.
    fn postpone(&self, time: Duration, reason: &str, warnings: &Warnings) {
        let until = Instant::now() + time;
        let mut resume_at = self.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
        if until <= *resume_at {
            return;
        }
        let is_news = *resume_at <= Instant::now() && time >= REPORTED_WAIT;
        *resume_at = until;
        drop(resume_at);
        if is_news {
            warnings.print(format_args!("{reason} Waiting {} s", time.as_secs()));
        }
    }

    fn is_alive(&self) -> bool {
        let response = self.agent.get(format!("{}/healthz", self.url)).call();
        response.is_ok_and(|response| response.status().is_success())
    }

    /// Returns the content type and the body of a request. The files' own names stay here.
    fn form(&self, pair: &Pair, selfie: &[u8], photo: &[u8]) -> (String, Vec<u8>) {
        // 122 random bits are in no file.
        let boundary = format!("likeness-{}", Meta::now().id);
        let mut form = Vec::with_capacity(selfie.len() + photo.len() + 1024);
        let mut part = |name: &str, of_file: &str, data: &[u8]| {
            form.extend_from_slice(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{of_file}\r\n\r\n")
                    .as_bytes(),
            );
            form.extend_from_slice(data);
            form.extend_from_slice(b"\r\n");
        };
        let of_file = |name: &str| format!("; filename=\"{name}\"\r\nContent-Type: application/octet-stream");
        if !pair.profile.is_empty() {
            part("profile", "", pair.profile.as_bytes());
        }
        if self.multiface {
            part("image_multiface", "", b"true");
        }
        part("selfie", &of_file("selfie"), selfie);
        part("image", &of_file("image"), photo);
        form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), form)
    }

    fn send(&self, content_type: &str, form: &[u8]) -> Reply {
        let request = self
            .agent
            .post(format!("{}/v0.2/biometric-verification", self.url))
            // Proxies drop header names with underscores.
            .header("app-id", &self.app_id)
            .header("app-key", &self.app_key)
            .header("content-type", content_type);
        let request = request.config().timeout_global(Some(TIMEOUT)).build();
        match request.send(form) {
            Ok(mut response) => reply(&mut response),
            Err(error) => Reply::Retry(CONNECTION_ATTEMPTS, format!("no response: {error}"), None),
        }
    }
}

/// The part of a service's `/info` that scores depend on.
#[derive(Debug, Deserialize)]
pub(crate) struct Info {
    pub(crate) version: String,
    pub(crate) provider: String,
    pub(crate) pack: String,
    pub(crate) pack_version: String,
    pub(crate) match_calibration: String,
    pub(crate) liveness_calibration: String,
    pub(crate) cohort: String,
}

impl From<&EngineLabels> for Info {
    /// What a service of this version with the same engine says.
    fn from(labels: &EngineLabels) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            provider: labels.provider.clone(),
            pack: labels.pack.clone(),
            pack_version: labels.pack_version.clone(),
            match_calibration: labels.match_calibration.clone(),
            liveness_calibration: labels.liveness_calibration.clone(),
            cohort: labels.cohort.clone(),
        }
    }
}

/// Whether requests to this URL leave the machine unencrypted.
fn is_exposed(url: &str) -> bool {
    let uri: Uri = url.parse().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("http") && !is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unencrypted_connection_to_another_machine_is_exposed() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", false),
            ("http://[::1]:8080", false),
            ("http://localhost:8080", false),
            ("https://likeness.example", false),
            ("http://likeness.example:8080", true),
            ("http://10.0.0.1", true),
        ] {
            assert_eq!(is_exposed(url), expected, "{url}");
        }
    }
}
