//! tokio's I/O and timers on the workers of a [Moirai](moirai) executor, without threads of their own.
//!
//! What is built on tokio asks for tokio's *reactor*, which waits for I/O and timers. With the plugin that [`driver()`] returns, an
//! executor has one: every thread of the executor is in its context, and workers that have nothing else to do sleep in it.
//!
//! ```
//! use moirai::prelude::*;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! let moirai = Moirai::builder().plugin(moirai_tokio::driver()?).build()?;
//! let served = moirai.spawn_async(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let mut client = TcpStream::connect(listener.local_addr()?).await?;
//!     let (mut server, _) = listener.accept().await?;
//!     client.write_all(b"hello").await?;
//!     let mut text = [0; 5];
//!     server.read_exact(&mut text).await?;
//!     std::io::Result::Ok(text)
//! });
//! assert_eq!(&served.join()??, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What runs where
//!
//! | what | where | on record |
//! | --- | --- | --- |
//! | tasks of Moirai, whatever crates of tokio's they use | as always: on the workers | yes |
//! | `tokio::spawn`, and libraries that call it | in the worker that drives the reactor, one task at a time | no |
//! | `tokio::task::spawn_blocking`, `tokio::fs`, the lookup of host names | on up to 512 threads of tokio, started as needed | no |
//!
//! Tasks that a library spawns through tokio, such as the connections of `axum::serve`, are polled by whichever thread drives the
//! reactor. There is one at a time, and while it polls a task it does not wait for I/O. So what computes belongs into tasks of
//! Moirai: spawn them by [`spawn`], or add the layer [`OnMoirai`], with which each HTTP request is one.
//!
//! Workers that have nothing else to do drive the reactor, one at a time. A worker that is busy with short tasks drives it between
//! two of them, at most every 200 µs. When all workers have been stuck in long ones for some 16 ms, a compensation thread of the
//! executor drives it every millisecond. With [`compensation_threads(0)`](moirai::MoiraiBuilder::compensation_threads) nobody does.
//!
//! What is spawned by `tokio::spawn` lives as long as the executor. If it needs the executor itself, give it a handle that does not
//! keep the executor running: [`Moirai::without_owner`](moirai::Moirai::without_owner).
//!
//! # What does not work
//!
//! - `tokio::task::block_in_place` panics, as it does on every current-thread runtime; use [`moirai::block_in_place`], in a task of
//!   Moirai. In one of tokio's, whatever blocks keeps the reactor from being driven, and so may wait for itself.
//! - `tokio::task::LocalSet` and `spawn_local` need a thread that runs nothing else.
//! - `tokio::runtime::Handle::block_on` panics in a task that was spawned by `tokio::spawn`.
//! - On threads that are not the executor's there is no reactor: wrap a future in [`in_tokio`] there, or use [`block_on`].
#![forbid(unsafe_code)]

mod context;
mod driver;
#[cfg(doctest)]
#[doc = include_str!("../../../docs/src/guide/http-service.md")]
mod http_service {}
#[cfg(doctest)]
#[doc = include_str!("../../../docs/src/guide/tokio-crates.md")]
mod tokio_crates {}
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "tower")]
mod tower;

pub use crate::context::{EnterRuntime, InTokio, block_on, enter, in_tokio, spawn};
pub use crate::driver::{Driver, driver};
#[cfg(feature = "hyper")]
pub use crate::hyper::{MoiraiExecutor, MoiraiTimer};
#[cfg(feature = "tower")]
pub use crate::tower::{OnMoirai, OnMoiraiService, RequestTask};
