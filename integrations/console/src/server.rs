//! The thread that serves a console, and the handle to it.

use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use console_api::instrument::instrument_server::InstrumentServer;
use moirai::WeakExecutor;
use moirai::sync::CancellationToken;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;
use tonic::transport::Server;

use crate::connections::accept;
use crate::error::ServeError;
use crate::service::{Service, Settings};

/// How many streams a connection may have. tokio-console has three.
const STREAMS: u32 = 16;
/// The largest request, in bytes. The longest that there is has an id.
const REQUEST: usize = 4_096;
/// After how long a client is asked whether it is still there, and how long it may take to answer.
const ARE_YOU_THERE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// A console that is being served. When this is dropped, it is [stopped](Self::stop).
///
/// If the executor is gone earlier, when it has shut down and all handles to it have been dropped, the clients see the end of their
/// streams, the address becomes free, and the thread ends.
#[derive(Debug)]
#[must_use = "when the handle is dropped, the console is served no more"]
pub struct ConsoleServer {
    address: SocketAddr,
    stop: CancellationToken,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<()>>,
}

impl ConsoleServer {
    pub(crate) fn start(
        executor: WeakExecutor,
        address: SocketAddr,
        settings: Settings,
    ) -> Result<Self, ServeError> {
        let refused = |source| ServeError::address(address, source);
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| ServeError::system("a runtime for its thread", source))?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(refused)?
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("moirai-console".to_owned())
            .spawn(move || run(runtime, executor, listener, settings, stopped))
            .map_err(|source| ServeError::system("a thread", source))?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Returns the address at which the console is served, with the port that the system has chosen if port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns whether the thread has ended, because the executor is gone.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Closes all connections, and returns when the thread has ended and the address is free. Dropping the handle does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for ConsoleServer {
    fn drop(&mut self) {
        self.stop.cancel();
        let Some(thread) = self.thread.take() else { return };
        // What belongs to the executor may own this, and the console's thread may be the one that drops the executor's last part. It
        // cannot wait for itself.
        if thread.thread().id() != thread::current().id() {
            // A panic was reported on that thread.
            let _ = thread.join();
        }
    }
}

/// Serves until it is stopped, or the executor is gone. All that was spawned is dropped with the runtime, and the connections with it.
fn run(
    runtime: Runtime,
    executor: WeakExecutor,
    listener: tokio::net::TcpListener,
    settings: Settings,
    stop: CancellationToken,
) {
    runtime.block_on(async move {
        let service = Service::new(executor.clone(), settings);
        let service = InstrumentServer::new(service).max_decoding_message_size(REQUEST);
        // A client that finds no place is told so, and needs a connection for that.
        let incoming = accept(listener, 2 * settings.max_watchers);
        let serving = Server::builder()
            .max_concurrent_streams(STREAMS)
            .http2_keepalive_interval(Some(ARE_YOU_THERE.0))
            .http2_keepalive_timeout(Some(ARE_YOU_THERE.1))
            .add_service(service)
            .serve_with_incoming(incoming);
        tokio::select! {
            // It ends only if accepting ends, which it does not.
            _ = serving => {}
            () = stop.cancelled() => {}
            () = gone(executor) => {}
        }
    });
}

/// Waits until the executor is gone. Until it begins to shut down, this costs nothing.
async fn gone(executor: WeakExecutor) {
    if let Some(shutting_down) = executor.upgrade().map(|executor| executor.shutting_down()) {
        shutting_down.await;
    }
    let mut pause = Duration::from_millis(10);
    while executor.is_alive() {
        sleep(pause).await;
        pause = (2 * pause).min(Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_handle_that_is_dropped_on_the_consoles_own_thread_does_not_wait_for_it() {
        let (give, given) = mpsc::channel::<ConsoleServer>();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            drop(given.recv().unwrap());
            tell.send(()).unwrap();
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let stop = CancellationToken::new();
        give.send(ConsoleServer { address, stop, thread: Some(thread) }).unwrap();
        told.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}
