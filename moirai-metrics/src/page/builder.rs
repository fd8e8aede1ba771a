//! Setting a server up.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;

use super::host::Hosts;
use super::permits::Permits;
use super::server::PageServer;
use super::site::Site;
use super::snapshot::Snapshots;
use crate::observable::{Observable, Observer};
use crate::queues::{ContainedSource, QueueSource};

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
    queues: Option<Arc<dyn QueueSource>>,
    allow_retry: bool,
    max_connections: usize,
    hosts: Vec<String>,
}

impl Page {
    /// Creates the page of an executor, at `127.0.0.1:9464`, without queues, on which nothing can be cancelled or
    /// retried, for at most 64 connections.
    pub fn new(executor: &impl Observable) -> Self {
        Self {
            observer: executor.observer(),
            addresses: Ok(vec![(Ipv4Addr::LOCALHOST, PORT).into()]),
            allow_cancel: false,
            queues: None,
            allow_retry: false,
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

    /// Shows these queues of durable jobs, on the page and in `/metrics`, in place of those that were set before. The server keeps the
    /// source until it ends.
    pub fn queues(mut self, source: Arc<dyn QueueSource>) -> Self {
        self.queues = Some(source);
        self
    }

    /// Sets whether the page can ask for further attempts of dead jobs. Default: `false`. It has no effect without
    /// [`queues`](Self::queues).
    pub fn allow_retry(mut self, allow: bool) -> Self {
        self.allow_retry = allow;
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
            permits: Permits::new(self.allow_cancel, self.allow_retry && self.queues.is_some())?,
            queues: self.queues.map(ContainedSource::new),
            snapshots: Snapshots::default(),
        };
        // The system has no more descriptors than that to give.
        let connections = self.max_connections.min(1 << 16);
        PageServer::start(listener, site, connections)
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("addresses", &self.addresses)
            .field("allow_cancel", &self.allow_cancel)
            .field("queues", &self.queues.is_some())
            .field("allow_retry", &self.allow_retry)
            .field("max_connections", &self.max_connections)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
