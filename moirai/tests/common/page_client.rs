//! A client of the live page.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use moirai::metrics::page::PageServer;
use serde_json::Value;

use super::STEP_TIMEOUT;

/// Any free port of the loopback interface.
pub(crate) const ANY: &str = "127.0.0.1:0";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(STEP_TIMEOUT / 2)).unwrap();
    stream
}

/// Sends the bytes, and reads until the server closes. `None` if there is no answer.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    // The server may have answered, and closed, before it has everything.
    let _ = stream.write_all(bytes);
    answer_on(&mut stream)
}

pub(crate) fn answer_on(stream: &mut TcpStream) -> Option<Answer> {
    let mut read = Vec::new();
    if let Err(error) = stream.read_to_end(&mut read) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    let text = String::from_utf8(read).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

pub(crate) fn request(address: SocketAddr, line: &str, headers: &[(&str, &str)]) -> Answer {
    let host = address.to_string();
    let has_host = headers.iter().any(|(name, _)| *name == "Host");
    let host = [("Host", &*host)].into_iter().filter(|_| !has_host);
    let headers = host.chain(headers.iter().copied());
    let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("{line} HTTP/1.1\r\n{headers}\r\n");
    exchange(address, text.as_bytes()).expect("every request is answered")
}

pub(crate) fn get(server: &PageServer, target: &str) -> Answer {
    request(server.address(), &format!("GET {target}"), &[])
}

/// Returns the token that the page has.
pub(crate) fn token_of(server: &PageServer) -> String {
    let page = get(server, "/").body;
    let (_, rest) = page.split_once("name=\"moirai-token\" content=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Returns the origin of the page.
pub(crate) fn origin_of(server: &PageServer) -> String {
    server.url().trim_end_matches('/').to_owned()
}

/// A reader of events.
pub(crate) struct Events {
    stream: TcpStream,
    read: String,
}

impl Events {
    pub(crate) fn open(server: &PageServer) -> Self {
        let mut stream = connect(server.address());
        let host = server.address();
        write!(stream, "GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        Self { stream, read: String::new() }
    }

    /// Returns the next event; `None` when the stream ends.
    pub(crate) fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.rsplit('\n').next().and_then(|line| line.strip_prefix("data: "));
                let data = data.map(|data| serde_json::from_str(data).unwrap());
                self.read = rest.to_owned();
                if data.is_some() {
                    return data;
                }
                continue;
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.read.push_str(str::from_utf8(&buffer[..count]).unwrap()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Returns the first event that is as it should be.
    pub(crate) fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + STEP_TIMEOUT / 2;
        while Instant::now() < deadline {
            let event = self.next().expect("the stream goes on");
            if is_it(&event) {
                return event;
            }
        }
        panic!("no event in time: {what}");
    }
}
