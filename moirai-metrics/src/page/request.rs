//! Reading a request.

use super::limits::{HEADERS, REQUEST_BYTES};

/// What of a request is of use here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path, decoded.
    pub(super) path: String,
    /// The parameters, decoded, in the order in which they were given.
    pub(super) query: Vec<(String, String)>,
    pub(super) host: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) fetch_site: Option<String>,
    pub(super) accept: Option<String>,
    pub(super) token: Option<String>,
}

/// What has been read so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// The request is not over.
    Partial,
    Request(Box<Request>),
    /// It is none, or too long: the status to answer with, and why.
    Bad(u16, &'static str),
}

impl Request {
    /// Parses the beginning of what a client has sent. Bodies are not read: no request needs one.
    pub(super) fn parse(bytes: &[u8]) -> Parsed {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) if bytes.len() < REQUEST_BYTES => return Parsed::Partial,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Parsed::Bad(431, "the request is too long");
            }
            Err(_) => return Parsed::Bad(400, "this is not a request of HTTP/1.1"),
        }
        let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
            return Parsed::Bad(400, "this is not a request of HTTP/1.1");
        };
        if !target.starts_with('/') {
            return Parsed::Bad(400, "the target must be a path");
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Self {
            method: method.to_owned(),
            path: decode(path, false),
            query: query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (decode(key, true), decode(value, true)))
                .collect(),
            ..Self::default()
        };
        for header in parsed.headers.iter() {
            let field = match &*header.name.to_ascii_lowercase() {
                "host" => &mut request.host,
                "origin" => &mut request.origin,
                "sec-fetch-site" => &mut request.fetch_site,
                "accept" => &mut request.accept,
                "x-moirai-token" => &mut request.token,
                _ => continue,
            };
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            match field {
                // Several lines of `Accept` are one list.
                Some(before) if header.name.eq_ignore_ascii_case("accept") => {
                    *before = format!("{before},{value}");
                }
                Some(_) => return Parsed::Bad(400, "a header is there twice"),
                None => *field = Some(value),
            }
        }
        Parsed::Request(Box::new(request))
    }

    /// Returns the first parameter with this name.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }
}

/// Decodes what is percent-encoded. In a query, `+` stands for a space.
fn decode(text: &str, in_query: bool) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let rest = bytes.as_slice();
        match (byte, rest) {
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    bytes.nth(1);
                }
                _ => decoded.push(byte),
            },
            (b'+', _) if in_query => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        match Request::parse(text.as_bytes()) {
            Parsed::Request(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_read_and_decoded() {
        let text = "GET /tasks?filter=na%C3%AFve+%22x%22&sort=-busy&flag&%zz=%4 HTTP/1.1\r\nHost: localhost\r\n\
                    ACCEPT: a\r\naccept: b\r\nOther: x\r\n\r\nbody";
        let request = request(text);
        assert_eq!((&*request.method, &*request.path), ("GET", "/tasks"));
        assert_eq!(request.parameter("filter"), Some("naïve \"x\""));
        assert_eq!(request.parameter("sort"), Some("-busy"));
        assert_eq!((request.parameter("flag"), request.parameter("%zz")), (Some(""), Some("%4")));
        assert_eq!(request.host.as_deref(), Some("localhost"));
        assert_eq!(request.accept.as_deref(), Some("a,b"));
        for end in 0..text.len() - "body".len() {
            assert_eq!(Request::parse(&text.as_bytes()[..end]), Parsed::Partial, "{end}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (text, status) in [
            ("GET http://evil.example/ HTTP/1.1\r\n\r\n", 400),
            ("GET * HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/2\r\n\r\n", 400),
            ("\u{16}\u{3}\u{1}", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            (&*format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1)), 431),
            (&*format!("GET /{}", "x".repeat(REQUEST_BYTES)), 431),
        ] {
            assert!(
                matches!(Request::parse(text.as_bytes()), Parsed::Bad(found, _) if found == status),
                "{text}"
            );
        }
    }
}
