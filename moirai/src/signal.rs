//! The signals of Unix, as futures.
//!
//! ```no_run
//! use moirai::prelude::*;
//! use moirai::signal::{self, SignalKind};
//!
//! let executor = Moirai::new()?;
//! executor.spawn_async(async {
//!     let mut reload = signal::signal(SignalKind::HANGUP)?;
//!     loop {
//!         reload.recv().await;
//!         println!("the configuration is read again");
//!     }
//!     # #[allow(unreachable_code)]
//!     # std::io::Result::Ok(())
//! });
//! // Serves until the process is asked to end, and then lets active tasks end their work.
//! println!("{}", executor.shutdown_on_signals(std::time::Duration::from_secs(10))?.wait());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The first listener for a signal changes what the signal does to the process, for as long as it runs: SIGTERM, for example, does not
//! end it any more; but see [`shutdown_on_signals`](crate::Moirai::shutdown_on_signals). Listeners that other libraries have installed with `signal-hook`, as tokio does, are told as well.
//!
//! Signals are received by one thread, `moirai-signals`, which is started with the first listener and sleeps between signals. A
//! simulation has no control over when they come.

mod drained;
mod kind;
mod listener;
mod receiver;

pub use self::drained::Drained;
pub(crate) use self::drained::drain_on_signals;
pub use self::kind::SignalKind;
pub use self::listener::{Signal, ctrl_c, hangup, signal, terminate};
