//! Setting a server up.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;

use super::host::Hosts;
use super::server::PageServer;
use super::site::Site;
use super::snapshot::Snapshots;
use crate::observable::{Observable, Observer};

/// The port at which the page is if no other is asked for.
const PORT: u16 = 9464;

/// Serves the page of an executor at an address, until the result is dropped or the executor stops. [`Page`] has more to set.
///
/// ```no_run
/// # fn show(executor: &impl moirai_metrics::Observable) -> std::io::Result<()> {
/// let server = moirai_metrics::page::serve(executor, "127.0.0.1:9464")?;
/// println!("{}", server.url());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`Page::serve`].
pub fn serve(executor: &impl Observable, address: impl ToSocketAddrs) -> io::Result<PageServer> {
    Page::new(executor).address(address).serve()
}

/// A page of an executor that is to be served.
///
/// A *filter*, on the page and in `/tasks?filter=…`, is a list of conditions with spaces between them, all of which must hold; quotes
/// keep one that has spaces together, and a minus sign before a condition negates it. A plain word must be in the name, error, note,
/// tags or spawn location of the task, or be its id. `status:failed`, `kind:async`, `priority:high`, `cause:timeout`, `worker:0`,
/// `id:7`, `parent:7`, `tag:key` and `tag:key=value` compare one field; `status:active` and `status:ended` are two statuses and three.
///
/// ```no_run
/// use moirai_metrics::page::Page;
///
/// # fn show(executor: &impl moirai_metrics::Observable) -> std::io::Result<()> {
/// let server = Page::new(executor).address("127.0.0.1:0").allow_cancel(true).serve()?;
/// println!("{}", server.url());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Page {
    observer: Arc<dyn Observer>,
    /// An error is kept for `serve`.
    addresses: io::Result<Vec<SocketAddr>>,
    allow_cancel: bool,
    max_connections: usize,
    hosts: Vec<String>,
}

impl Page {
    /// Creates the page of an executor, at `127.0.0.1:9464`, on which tasks cannot be cancelled, for at most 64 connections.
    pub fn new(executor: &impl Observable) -> Self {
        Self {
            observer: executor.observer(),
            addresses: Ok(vec![(Ipv4Addr::LOCALHOST, PORT).into()]),
            allow_cancel: false,
            max_connections: 64,
            hosts: Vec::new(),
        }
    }

    /// Sets the address to bind. With port zero the system chooses one, which [`PageServer::address`] tells.
    ///
    /// At another address than one of the loopback interface, whoever reaches it sees the page; see the [module](super).
    pub fn address(mut self, address: impl ToSocketAddrs) -> Self {
        self.addresses = address.to_socket_addrs().map(Iterator::collect);
        self
    }

    /// Sets whether the page can cancel tasks. Default: `false`.
    pub fn allow_cancel(mut self, allow: bool) -> Self {
        self.allow_cancel = allow;
        self
    }

    /// Sets the largest number of connections, at least one. Default: 64. Each reader of events has one, and every other request has
    /// one for a moment. Further clients are answered with status 503.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Allows requests that name the server by this host name, without a port: the name of a proxy, for example. Loopback names and
    /// the bound address are allowed in any case.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Starts the server, on one thread of its own.
    ///
    /// # Errors
    ///
    /// If the address cannot be resolved or bound, or the system refuses the thread, a file descriptor or random numbers.
    pub fn serve(self) -> io::Result<PageServer> {
        let listener = TcpListener::bind(&*self.addresses?)?;
        let site = Site {
            observer: self.observer,
            hosts: Hosts::new(listener.local_addr()?.ip(), &self.hosts),
            token: if self.allow_cancel { Some(token()?) } else { None },
            snapshots: Snapshots::default(),
        };
        // The system has no more descriptors than that to give.
        let connections = self.max_connections.min(1 << 16);
        PageServer::start(listener, site, connections)
    }
}

/// Returns a token that nobody guesses.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("addresses", &self.addresses)
            .field("allow_cancel", &self.allow_cancel)
            .field("max_connections", &self.max_connections)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
