//! One connection: it reads a request, writes the answer, and closes. No step waits.
//!
//! A connection is in one of four states, and each of them ends by itself: *reading* and *lingering* at a deadline, *writing* when the
//! client does not go on to read, and *streaming* when an event is not read in time.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::answer::Answer;
use super::limits::{
    ANSWER_TIME, LINGER_BYTES, LINGER_TIME, REQUEST_BYTES, REQUEST_TIME, STALL_TIME,
};
use super::request::{Parsed, Request};

/// A stream of which one direction can be closed.
pub(super) trait Stream: Read + Write {
    /// Tells the client that nothing follows.
    fn close_write(&self) -> io::Result<()>;
}

/// One connection.
pub(super) struct Connection<S> {
    pub(super) stream: S,
    /// The address at which the client has reached the server.
    local: IpAddr,
    state: State,
}

enum State {
    Reading {
        bytes: Vec<u8>,
        until: Instant,
    },
    Writing {
        bytes: Arc<[u8]>,
        at: usize,
        then: Then,
        stall: Instant,
        until: Instant,
    },
    /// Every event has been written.
    Streaming,
    Lingering {
        bytes: usize,
        until: Instant,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Stream,
    Close,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Go {
    On,
    /// It must be dropped.
    Over,
}

impl<S: Stream> Connection<S> {
    pub(super) fn new(stream: S, local: IpAddr, now: Instant) -> Self {
        let state = State::Reading { bytes: Vec::new(), until: now + REQUEST_TIME };
        Self { stream, local, state }
    }

    /// Does what can be done without waiting. `answer` answers a request.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        mut answer: impl FnMut(&Request, IpAddr) -> Answer,
    ) -> Go {
        loop {
            let step = match &mut self.state {
                State::Reading { .. } => self.read(now, &mut answer),
                State::Writing { .. } => self.write(now),
                // A client that reads events says nothing more.
                State::Streaming => drain(&mut self.stream, &mut 0, 0),
                State::Lingering { bytes, .. } => drain(&mut self.stream, bytes, LINGER_BYTES),
            };
            match step {
                Ok(true) => {}
                Ok(false) => return Go::On,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Go::Over,
            }
        }
    }

    /// Reads, and turns to writing when the request is there. Returns whether there is more to do now.
    fn read(
        &mut self,
        now: Instant,
        answer: &mut impl FnMut(&Request, IpAddr) -> Answer,
    ) -> io::Result<bool> {
        let State::Reading { bytes, .. } = &mut self.state else { return Ok(false) };
        let mut buffer = [0; 2048];
        let room = buffer.len().min(REQUEST_BYTES - bytes.len());
        match self.stream.read(&mut buffer[..room]) {
            // It ends before the request does.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let answer = match Request::parse(bytes) {
            Parsed::Partial => return Ok(true),
            Parsed::Request(request) => answer(&request, self.local),
            Parsed::Bad(status, why) => Answer::refusal(status, why),
        };
        self.begin(answer, now);
        Ok(true)
    }

    fn begin(&mut self, answer: Answer, now: Instant) {
        let then = if answer.is_stream { Then::Stream } else { Then::Close };
        self.state = State::Writing {
            bytes: answer.bytes.into(),
            at: 0,
            then,
            stall: now + STALL_TIME,
            until: now + ANSWER_TIME,
        };
    }

    /// Writes. Returns whether there is more to do now.
    fn write(&mut self, now: Instant) -> io::Result<bool> {
        let State::Writing { bytes, at, then, stall, .. } = &mut self.state else {
            return Ok(false);
        };
        match self.stream.write(&bytes[*at..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                *at += written;
                *stall = now + STALL_TIME;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        if *at == bytes.len() {
            self.state = match then {
                Then::Stream => State::Streaming,
                Then::Close => {
                    self.stream.close_write()?;
                    State::Lingering { bytes: 0, until: now + LINGER_TIME }
                }
            };
        }
        Ok(true)
    }

    /// Returns whether it takes events.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.state, State::Streaming | State::Writing { then: Then::Stream, .. })
    }

    /// Writes an event. One that comes before the last one has been read is left out.
    pub(super) fn send(&mut self, event: &Arc<[u8]>, now: Instant) -> Go {
        if !matches!(self.state, State::Streaming) {
            return Go::On;
        }
        let until = now + STALL_TIME;
        let bytes = Arc::clone(event);
        self.state = State::Writing { bytes, at: 0, then: Then::Stream, stall: until, until };
        self.advance(now, refuse)
    }

    /// Returns when [`expire`](Self::expire) must be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Reading { until, .. } | State::Lingering { until, .. } => Some(until),
            State::Writing { stall, until, .. } => Some(stall.min(until)),
            State::Streaming => None,
        }
    }

    /// Ends what has taken too long.
    pub(super) fn expire(&mut self, now: Instant) -> Go {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Go::On;
        }
        match &self.state {
            State::Reading { bytes, .. } if !bytes.is_empty() => {
                self.begin(Answer::refusal(408, "the request did not come in time"), now);
                self.advance(now, refuse)
            }
            _ => Go::Over,
        }
    }
}

/// Answers no request: for a connection that has had its one.
fn refuse(_: &Request, _: IpAddr) -> Answer {
    Answer::refusal(400, "a connection is for one request")
}

/// Reads what nobody wants, at most `most` bytes. Returns whether there may be more, and an error when the client has closed its end.
fn drain(stream: &mut impl Read, drained: &mut usize, most: usize) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(read) => {
            *drained += read;
            if *drained > most { Err(io::ErrorKind::Other.into()) } else { Ok(true) }
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    /// A client that sends what is in `sent` and reads `window` bytes.
    #[derive(Default)]
    struct Client {
        sent: Vec<u8>,
        is_closed: bool,
        window: usize,
        read: Vec<u8>,
    }

    impl Read for Client {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.sent.len());
            if count == 0 && !buffer.is_empty() {
                return if self.is_closed { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
            }
            buffer[..count].copy_from_slice(&self.sent[..count]);
            self.sent.drain(..count);
            Ok(count)
        }
    }

    impl Write for Client {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.window);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.window -= count;
            self.read.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Client {
        fn close_write(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn connect(request: &str, window: usize, now: Instant) -> Connection<Client> {
        let client = Client { sent: request.into(), window, ..Client::default() };
        Connection::new(client, Ipv4Addr::LOCALHOST.into(), now)
    }

    fn hello(request: &Request, _: IpAddr) -> Answer {
        if request.path == "/events" { Answer::stream() } else { Answer::refusal(404, "hello") }
    }

    const GET: &str = "GET / HTTP/1.1\r\n\r\n";
    const EVENTS: &str = "GET /events HTTP/1.1\r\n\r\n";

    #[test]
    fn a_request_is_answered_and_the_client_closes() {
        let now = Instant::now();
        let mut connection = connect(GET, usize::MAX, now);
        assert_eq!(connection.advance(now, hello), Go::On);
        assert!(connection.stream.read.ends_with(b"\r\n\r\nhello\n"));
        connection.stream.is_closed = true;
        assert_eq!(connection.advance(now, hello), Go::Over);
    }

    #[test]
    fn a_client_that_does_not_close_is_not_waited_for() {
        let now = Instant::now();
        let mut connection = connect(GET, usize::MAX, now);
        assert_eq!(connection.advance(now, hello), Go::On);
        assert_eq!(connection.expire(now + LINGER_TIME / 2), Go::On);
        assert_eq!(connection.expire(now + LINGER_TIME), Go::Over);

        let mut flood = connect(&format!("{GET}{}", "x".repeat(2 * LINGER_BYTES)), usize::MAX, now);
        assert_eq!(flood.advance(now, hello), Go::Over);
    }

    #[test]
    fn a_request_that_does_not_end_is_refused_in_time() {
        let now = Instant::now();
        let mut connection = connect("GET / HT", usize::MAX, now);
        assert_eq!(connection.advance(now, hello), Go::On);
        assert_eq!(connection.expire(now + REQUEST_TIME / 2), Go::On);
        // Another byte does not put it off.
        connection.stream.sent = b"TP".into();
        assert_eq!(connection.advance(now + REQUEST_TIME / 2, hello), Go::On);
        assert_eq!(connection.expire(now + REQUEST_TIME), Go::On);
        assert!(connection.stream.read.starts_with(b"HTTP/1.1 408 "));

        let mut silent = connect("", usize::MAX, now);
        assert_eq!(silent.expire(now + REQUEST_TIME), Go::Over);
        let mut ended = connect("GET /", usize::MAX, now);
        ended.stream.is_closed = true;
        assert_eq!(ended.advance(now, hello), Go::Over);
    }

    #[test]
    fn a_reader_that_does_not_take_an_event_is_let_go() {
        let now = Instant::now();
        let mut connection = connect(EVENTS, 1 << 20, now);
        assert_eq!(connection.advance(now, hello), Go::On);
        assert!(connection.is_stream() && connection.deadline().is_none());
        let event: Arc<[u8]> = vec![b'x'; 1_000].into();
        assert_eq!(connection.send(&event, now), Go::On);
        assert!(connection.stream.read.ends_with(&event));

        // A byte now and then is not enough.
        connection.stream.window = 1;
        assert_eq!(connection.send(&event, now), Go::On);
        let halfway = now + STALL_TIME / 2;
        connection.stream.window = 1;
        assert_eq!(connection.advance(halfway, hello), Go::On);
        // Another event is left out, and does not begin in the middle of the first.
        let before = connection.stream.read.len();
        assert_eq!(connection.send(&event, halfway), Go::On);
        assert_eq!(connection.stream.read.len(), before);
        assert_eq!(connection.expire(now + STALL_TIME - Duration::from_millis(1)), Go::On);
        assert_eq!(connection.expire(now + STALL_TIME), Go::Over);
    }

    #[test]
    fn a_reader_of_events_that_goes_or_talks_is_let_go() {
        let now = Instant::now();
        let mut gone = connect(EVENTS, 1 << 20, now);
        assert_eq!(gone.advance(now, hello), Go::On);
        gone.stream.is_closed = true;
        assert_eq!(gone.advance(now, hello), Go::Over);

        let mut talks = connect(EVENTS, 1 << 20, now);
        assert_eq!(talks.advance(now, hello), Go::On);
        talks.stream.sent = GET.into();
        assert_eq!(talks.advance(now, hello), Go::Over);
    }

    #[test]
    fn an_answer_that_is_not_read_ends() {
        let now = Instant::now();
        let mut connection = connect(GET, 10, now);
        assert_eq!(connection.advance(now, hello), Go::On);
        assert_eq!(connection.expire(now + STALL_TIME), Go::Over);
        // Slowly is not for ever.
        let mut slow = connect(GET, 1, now);
        let mut at = now;
        while slow.advance(at, hello) == Go::On && slow.expire(at) == Go::On {
            at += STALL_TIME / 2;
            slow.stream.window = 1;
        }
        assert!(at <= now + ANSWER_TIME + STALL_TIME);
    }
}
