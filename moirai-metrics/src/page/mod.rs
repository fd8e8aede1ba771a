//! A page that shows an executor in the browser: what it is doing now, and the story of each task. It also serves `/metrics` to
//! Prometheus.
//!
//! [`serve`] starts it, with the limits that suit a developer's machine and a service; [`Page`] sets them.
//!
//! | path | what is there |
//! | --- | --- |
//! | `/` | the page |
//! | `/events` | server-sent events, one for each half second: everything that the page draws, as JSON |
//! | `/tasks?filter=…&sort=…&limit=…` | tasks, as JSON; [`Page`] says what a filter is |
//! | `/task/ID` | one task, as JSON; with `?events`, what the flight recorder knows of it, too |
//! | `POST /task/ID/cancel` | asks a task to stop; only with [`Page::allow_cancel`] |
//! | `/queues` | queues of durable jobs, as JSON; only with [`Page::queues`] |
//! | `/queues/dead?queue=…&limit=…` | the newest dead jobs of a queue, as JSON |
//! | `POST /queues/retry?queue=…&id=…` | asks for further attempts of a dead job; only with [`Page::allow_retry`] |
//! | `/metrics` | the [page for Prometheus](crate::prometheus) |
//!
//! # What it costs
//!
//! One thread serves all connections. While nobody looks, it wakes once a second to see whether the executor is still there. The
//! snapshot of an event is made once for all readers, and only if there are any; at most a tenth of the time goes into it, however
//! many records and queues there are. Tasks are not slowed down: nothing is recorded for the page.
//!
//! The server does not keep the executor running, and ends with it: once the executor has stopped, or its last handle is gone.
//!
//! # Who may see it
//!
//! Whoever reaches the address. By default that is the loopback interface, so every user and program of the machine. The page shows
//! names, tags, notes and error messages of tasks, and names, ids and error messages of durable jobs. There is no encryption and there are no passwords: to show it to others, put it
//! behind a proxy that has both.
//!
//! Web sites that a browser on the same machine visits can not: a request must name the server by a loopback name, by the address that
//! it is bound to, or by a name that [`Page::allow_host`] has added, so that a name that somebody else resolves to the loopback
//! interface is refused; no other origin is allowed to read an answer; and what cancels a task or retries a job must come from
//! the page itself, with a token that only the page has.

mod answer;
mod assets;
mod builder;
mod connection;
mod filter;
mod host;
mod limits;
mod list;
mod permits;
mod queues;
mod record;
mod request;
mod server;
mod site;
mod snapshot;
mod sort;
mod story;

pub use builder::{Page, serve};
pub use server::PageServer;

pub use crate::queues::{DeadJob, QueueSource, QueueStats};
