//! Answers, as the bytes that are sent.

use std::fmt::Write;

/// The scripts, styles and pictures of the page are the server's own, and it talks to nobody else.
const SECURITY: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
     X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
     Cross-Origin-Opener-Policy: same-origin\r\n";

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// Whether events follow.
    pub(super) is_stream: bool,
}

impl Answer {
    /// Creates an answer with a body.
    pub(super) fn new(status: u16, content_type: &str, body: &[u8]) -> Self {
        let mut head = head(status, content_type);
        // Writing to a `String` does not fail.
        let _ = write!(head, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        Self { bytes, is_stream: false }
    }

    /// Creates an answer of JSON.
    pub(super) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string().as_bytes())
    }

    /// Creates an answer that says why there is no other.
    pub(super) fn refusal(status: u16, why: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{why}\n").as_bytes())
    }

    /// Creates the beginning of a stream of events.
    pub(super) fn stream() -> Self {
        let mut head = head(200, "text/event-stream");
        head.push_str("Connection: close\r\n\r\nretry: 1000\n\n");
        Self { bytes: head.into_bytes(), is_stream: true }
    }

    /// Leaves the body out, as for a request with the method `HEAD`.
    pub(super) fn without_body(mut self) -> Self {
        if let Some(end) = self.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            self.bytes.truncate(end + 4);
        }
        self.is_stream = false;
        self
    }
}

fn head(status: u16, content_type: &str) -> String {
    let reason = match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        _ => "Service Unavailable",
    };
    let allow = if status == 405 { "Allow: GET, HEAD, POST\r\n" } else { "" };
    let again = if status == 503 { "Retry-After: 1\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nCache-Control: no-store\r\n{allow}{again}{SECURITY}"
    )
}
