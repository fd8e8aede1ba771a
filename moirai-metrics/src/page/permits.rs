//! What the page may do, and the token without which nobody does it.

use std::io;

use super::host;
use super::request::Request;

/// What the page may do.
pub(super) struct Permits {
    /// Whether it may cancel tasks.
    pub(super) cancel: bool,
    /// Whether it may retry jobs.
    pub(super) retry: bool,
    /// What the page has and others do not, if it may do something. It says who asks, and not what for.
    token: Option<String>,
}

impl Permits {
    pub(super) fn new(cancel: bool, retry: bool) -> io::Result<Self> {
        let token = if cancel || retry { Some(token()?) } else { None };
        Ok(Self { cancel, retry, token })
    }

    /// Returns the token, which is empty if the page may do nothing.
    pub(super) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Returns the names of what the page may do.
    pub(super) const fn names(&self) -> &'static str {
        match (self.cancel, self.retry) {
            (false, false) => "",
            (true, false) => "cancel",
            (false, true) => "retry",
            (true, true) => "cancel retry",
        }
    }

    /// Returns whether the page itself has sent the request.
    pub(super) fn is_from_page(&self, request: &Request) -> bool {
        let is_token = match (&self.token, &request.token) {
            (Some(token), Some(given)) => is_same(token, given),
            _ => false,
        };
        is_token && host::is_same_origin(request)
    }
}

/// Returns a token that nobody guesses.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Compares two texts in a time that does not depend on where they differ.
fn is_same(token: &str, given: &str) -> bool {
    let differences = token.bytes().zip(given.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    token.len() == given.len() && differences == 0
}
