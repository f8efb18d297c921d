//! Sessions, in memory only.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::access::console_token::TokenDigest;

/// The cookie with the id of a session.
pub(super) const COOKIE: &str = "likeness_console";
/// A session ends this long after its last request.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends this long after its login.
pub(super) const LONGEST: Duration = Duration::from_secs(12 * 3_600);
/// Most sessions; a login beyond it ends the one that was idle for longest.
const MOST: usize = 64;
/// Random bytes of an id: 256 bits.
const ID_BYTES: usize = 32;

/// What a handler knows of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// What every change must bring.
    pub(super) csrf: String,
    /// Names the session in the audit log; it does not open it.
    pub(super) label: String,
}

/// The sessions, by the digests of their ids.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Entry>>,
}

#[derive(Debug)]
struct Entry {
    session: Session,
    /// Of the token that it was begun with.
    token: TokenDigest,
    begun: Instant,
    used: Instant,
}

impl Entry {
    fn is_open(&self, token: Option<TokenDigest>, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE
            && now.duration_since(self.begun) < LONGEST
            && token == Some(self.token)
    }
}

impl Sessions {
    /// Begins a session with this token and returns its id, which only the cookie has.
    pub(super) fn begin(&self, token: TokenDigest) -> Result<(String, Session), getrandom::Error> {
        let mut random = [0; 2 * ID_BYTES];
        getrandom::fill(&mut random)?;
        let (id, csrf) = random.split_at(ID_BYTES);
        let id = hex::encode(id);
        let digest = digest(&id);
        let session = Session {
            csrf: hex::encode(csrf),
            label: hex::encode(&digest[..4]),
        };
        let now = Instant::now();
        let mut open = self.open.lock();
        open.retain(|_, entry| entry.is_open(Some(token), now));
        while open.len() >= MOST
            && let Some(oldest) = open.iter().min_by_key(|(_, entry)| entry.used).map(|(id, _)| *id)
        {
            open.remove(&oldest);
        }
        let entry = Entry {
            session: session.clone(),
            token,
            begun: now,
            used: now,
        };
        open.insert(digest, entry);
        Ok((id, session))
    }

    /// Returns the session of this id if it has not ended; it is used now.
    pub(super) fn find(&self, id: &str, token: Option<TokenDigest>) -> Option<Session> {
        let now = Instant::now();
        let mut open = self.open.lock();
        let key = digest(id);
        let entry = open.get_mut(&key)?;
        if entry.is_open(token, now) {
            entry.used = now;
            return Some(entry.session.clone());
        }
        open.remove(&key);
        None
    }

    /// Ends the session of this id.
    pub(super) fn end(&self, id: &str) {
        self.open.lock().remove(&digest(id));
    }
}

/// Returns the id of a session that the cookies have.
pub(super) fn session_id(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, id)| id)
}

/// Ids are looked up by their digests, so that the time of a look-up tells nothing of an id.
fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const TOKEN: TokenDigest = [7; 32];
    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_half_an_hour_without_a_request() {
        let sessions = Sessions::default();
        let (id, session) = sessions.begin(TOKEN).unwrap();
        assert_eq!(id.len(), 64);
        for _ in 0..3 {
            advance(29 * MINUTE).await;
            assert_eq!(sessions.find(&id, Some(TOKEN)).as_ref(), Some(&session));
        }
        advance(30 * MINUTE).await;
        assert_eq!(sessions.find(&id, Some(TOKEN)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_twelve_hours() {
        let sessions = Sessions::default();
        let (id, _) = sessions.begin(TOKEN).unwrap();
        for _ in 0..12 * 3 - 1 {
            advance(20 * MINUTE).await;
            assert!(sessions.find(&id, Some(TOKEN)).is_some());
        }
        advance(20 * MINUTE).await;
        assert_eq!(sessions.find(&id, Some(TOKEN)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_with_its_token_and_by_a_logout() {
        let sessions = Sessions::default();
        let (id, _) = sessions.begin(TOKEN).unwrap();
        let (other, _) = sessions.begin(TOKEN).unwrap();
        sessions.end(&id);
        assert_eq!(sessions.find(&id, Some(TOKEN)), None);
        assert!(sessions.find(&other, Some(TOKEN)).is_some());
        assert_eq!(sessions.find(&other, Some([8; 32])), None);
        assert_eq!(sessions.find(&other, Some(TOKEN)), None, "it has ended for good");
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_are_bounded_in_number() {
        let sessions = Sessions::default();
        let (first, _) = sessions.begin(TOKEN).unwrap();
        for _ in 0..MOST {
            advance(Duration::from_millis(1)).await;
            sessions.begin(TOKEN).unwrap();
        }
        assert_eq!(sessions.open.lock().len(), MOST);
        assert_eq!(sessions.find(&first, Some(TOKEN)), None);
    }
}
