//! The settings of a console.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use moirai::{Moirai, WeakExecutor};

use crate::error::ServeError;
use crate::server::ConsoleServer;
use crate::service::Settings;

/// Sets up a console, and [serves](Self::serve) it. There is an [example](crate) in the documentation of the crate.
#[derive(Clone, Debug)]
#[must_use = "a console is not served before `serve` is called"]
pub struct Console {
    executor: WeakExecutor,
    address: SocketAddr,
    settings: Settings,
}

impl Console {
    /// The port at which tokio-console looks by itself.
    pub const DEFAULT_PORT: u16 = 6669;

    /// Creates a console with the default settings. Neither it nor its server keeps the executor running.
    pub fn new(moirai: &Moirai) -> Self {
        Self {
            executor: moirai.executor().downgrade(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, Self::DEFAULT_PORT)),
            settings: Settings {
                interval: Duration::from_secs(1),
                max_tasks: 5_000,
                max_watchers: 8,
            },
        }
    }

    /// Sets where to listen, 127.0.0.1:6669 by default. Port 0 stands for a free port, which
    /// [`ConsoleServer::address`] tells.
    ///
    /// Whoever can reach the address can see the tasks: see [the documentation of the crate](crate#who-may-watch).
    pub fn address(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// Sets how often each watcher gets an update, from 10 milliseconds to an hour; by default once a second.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval;
        self
    }

    /// Sets how many tasks are shown at a time, from 1 to 1,000,000; by default 5,000.
    pub fn max_tasks(mut self, tasks: usize) -> Self {
        self.settings.max_tasks = tasks;
        self
    }

    /// Sets how many programs may watch at a time, from 1 to 1,000; by default 8.
    pub fn max_watchers(mut self, watchers: usize) -> Self {
        self.settings.max_watchers = watchers;
        self
    }

    /// Listens at the address, and serves the console on a thread of its own until the returned handle is dropped, or the executor is
    /// gone.
    ///
    /// # Errors
    ///
    /// If a setting is not in its range, if the address is in use or not one of this machine, or if the system refuses the thread or
    /// what the thread needs: see [`ServeError`].
    pub fn serve(self) -> Result<ConsoleServer, ServeError> {
        self.settings.validate()?;
        ConsoleServer::start(self.executor, self.address, self.settings)
    }
}
