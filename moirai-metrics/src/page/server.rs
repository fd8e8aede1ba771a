//! The server: one thread, which waits for all sockets at once.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::answer::Answer;
use super::connection::{Connection, Go, Stream};
use super::limits::{EVENT_INTERVAL, EVENT_SHARE};
use super::site::Site;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// How often the server looks whether the executor is still there.
const LOOK: Duration = Duration::from_secs(1);

/// How long it waits after the system has refused it a connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A server that is running. When it is dropped, the server stops: its connections are closed, and its address is free again.
///
/// The server also stops by itself when the executor has stopped, or is gone.
pub struct PageServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl PageServer {
    pub(super) fn start(
        listener: std::net::TcpListener,
        site: Site,
        max_connections: usize,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let stop = Arc::new(AtomicBool::new(false));
        let bound = address.ip();
        let mut connections = Vec::new();
        connections.resize_with(max_connections.max(1), || None);
        let run = Run {
            poll,
            listener,
            bound,
            site,
            connections,
            stop: Arc::clone(&stop),
            next_event: Instant::now(),
            next_look: Instant::now() + LOOK,
            accept_at: None,
        };
        let thread = thread::Builder::new().name("moirai-page".to_owned());
        let thread = thread.spawn(move || run.run())?;
        Ok(Self { address, stop, waker, thread: Some(thread) })
    }

    /// Returns the address at which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the page, for a browser on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            // That stands for all addresses, and a browser needs one.
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}/")
    }

    /// Returns whether it still serves: neither the executor has stopped nor has the server failed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire load in `Run::run`.
        self.stop.store(true, Ordering::Release);
        // If that fails, the server looks within a second.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take()
            // Something that the executor owned, and that ends with it, may own the server.
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for PageServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageServer")
            .field("address", &self.address)
            .field("running", &self.is_running())
            .finish()
    }
}

impl Stream for TcpStream {
    fn close_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// What the thread owns.
struct Run {
    poll: Poll,
    listener: TcpListener,
    bound: IpAddr,
    site: Site,
    /// At the index of their tokens.
    connections: Vec<Option<Connection<TcpStream>>>,
    stop: Arc<AtomicBool>,
    /// When the next event is due, if there is a reader.
    next_event: Instant,
    next_look: Instant,
    /// When to try again to accept a connection, if the system has refused one.
    accept_at: Option<Instant>,
}

impl Run {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            match self.poll.poll(&mut events, Some(self.wait())) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            // Ordering: Acquire pairs with the Release store in the drop of the handle.
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(now),
                    WAKER => {}
                    Token(index) => self.advance(index, now),
                }
            }
            if self.accept_at.is_some_and(|at| at <= now) {
                self.accept_at = None;
                self.accept(now);
            }
            self.expire(now);
            if !self.send_event(now) || !self.look(now) {
                return;
            }
        }
    }

    /// Returns how long to wait for a socket.
    fn wait(&self) -> Duration {
        let open = self.connections.iter().flatten();
        let mut until = open.filter_map(Connection::deadline).fold(self.next_look, Instant::min);
        if let Some(at) = self.accept_at {
            until = until.min(at);
        }
        if self.has_reader() {
            until = until.min(self.next_event);
        }
        until.saturating_duration_since(Instant::now())
    }

    fn has_reader(&self) -> bool {
        self.connections.iter().flatten().any(Connection::is_stream)
    }

    /// Accepts what there is to accept. Who comes when there are as many connections as there may be is told so.
    fn accept(&mut self, now: Instant) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => {
                        // There may be no file descriptor left. Nobody tells when there is one again.
                        self.accept_at = Some(now + ACCEPT_AGAIN);
                        return;
                    }
                },
            };
            match self.connections.iter().position(Option::is_none) {
                Some(index) => self.open(index, stream, now),
                None => refuse(stream),
            }
        }
    }

    fn open(&mut self, index: usize, mut stream: TcpStream, now: Instant) {
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(&mut stream, Token(index), interest).is_err() {
            return;
        }
        let local = stream.local_addr().map_or(self.bound, |address| address.ip());
        self.connections[index] = Some(Connection::new(stream, local, now));
        // What has come already may be announced by no event.
        self.advance(index, now);
    }

    fn advance(&mut self, index: usize, now: Instant) {
        let Some(Some(connection)) = self.connections.get_mut(index) else { return };
        let (site, was_stream) = (&self.site, connection.is_stream());
        let go = connection.advance(now, |request, local| site.answer(request, local));
        if !was_stream && connection.is_stream() {
            // A new reader need not wait for its first event; but many of them do not make more events.
            self.next_event = self.next_event.min(now + EVENT_INTERVAL / 10);
        }
        self.keep(index, go);
    }

    /// Drops a connection that is over.
    fn keep(&mut self, index: usize, go: Go) {
        if go == Go::Over
            && let Some(mut connection) = self.connections[index].take()
        {
            let _ = self.poll.registry().deregister(&mut connection.stream);
        }
    }

    fn expire(&mut self, now: Instant) {
        for index in 0..self.connections.len() {
            if let Some(connection) = &mut self.connections[index] {
                let go = connection.expire(now);
                self.keep(index, go);
            }
        }
    }

    /// Sends an event if one is due, and there is a reader. Returns whether the executor is there.
    fn send_event(&mut self, now: Instant) -> bool {
        if now < self.next_event || !self.has_reader() {
            return true;
        }
        let Some(event) = self.site.event(now) else { return false };
        let event: Arc<[u8]> = event.into();
        let done = Instant::now();
        let took = done.saturating_duration_since(now);
        self.next_event = now + EVENT_INTERVAL.max(took.saturating_mul(EVENT_SHARE));
        for index in 0..self.connections.len() {
            if let Some(connection) = &mut self.connections[index] {
                let go = connection.send(&event, done);
                self.keep(index, go);
            }
        }
        true
    }

    /// Returns whether the executor runs, as far as is known.
    fn look(&mut self, now: Instant) -> bool {
        if now < self.next_look {
            return true;
        }
        self.next_look = now + LOOK;
        self.site.observer.is_running()
    }
}

/// Tells a client that there are too many, as far as that can be done without waiting.
fn refuse(mut stream: TcpStream) {
    let answer = Answer::refusal(
        503,
        "there are too many connections; `Page::max_connections` allows for more",
    );
    let _ = stream.write(&answer.bytes);
    let _ = stream.shutdown(Shutdown::Write);
}
