//! The global executor, for programs that need only one.

use std::sync::OnceLock;
use std::{fmt, io};

use moirai_core::BuildError;
use moirai_executor::WorkerThread;

use crate::{Moirai, MoiraiBuilder};

static GLOBAL: OnceLock<Moirai> = OnceLock::new();

/// Returns the global executor. It is started by the first call, with the default configuration unless [`init_global`] has started
/// it before, and never shuts down by itself.
///
/// The environment variable `MOIRAI_WORKER_THREADS` sets the number of its workers, as that of every [`Moirai::builder`].
///
/// ```
/// let executor = moirai::global();
/// assert_eq!(executor.spawn_parallel(|| 6 * 7).join().unwrap(), 42);
/// ```
///
/// # Panics
///
/// If its threads cannot be started. A program that wants to handle this calls [`init_global`] first.
pub fn global() -> &'static Moirai {
    GLOBAL.get_or_init(|| match Moirai::new() {
        Ok(executor) => executor,
        Err(error) => panic!("the global executor could not be started: {error}"),
    })
}

/// Starts the global executor with a configuration, and returns it. A program calls this once, first of all in `main`: the first
/// use of [`global`], or of a free function such as [`spawn_async`](crate::spawn_async) outside of any executor, starts it
/// otherwise.
///
/// Libraries should leave this to the program.
///
/// ```
/// use moirai::{CleanupConfig, Moirai};
///
/// let records = CleanupConfig { max_retained_tasks: 1_000, ..CleanupConfig::default() };
/// let executor = moirai::init_global(Moirai::builder().worker_threads(3).cleanup_config(records))?;
/// assert_eq!(executor.worker_count(), 3);
/// assert_eq!(moirai::spawn_async(async { Moirai::current().unwrap().worker_count() }).join().unwrap(), 3);
/// # Ok::<(), moirai::InitGlobalError>(())
/// ```
///
/// # Errors
///
/// [`InitGlobalError::AlreadyStarted`] if the global executor is running, and [`InitGlobalError::Build`] if it cannot be started.
/// In the latter case it can be tried again with another builder, and the first use starts it with the default configuration.
pub fn init_global(builder: MoiraiBuilder) -> Result<&'static Moirai, InitGlobalError> {
    init_global_with(builder, WorkerThread::spawn)
}

/// Starts the global executor as [`init_global`] does, with its workers on threads that `spawn` starts; see
/// [`build_with`](crate::HybridExecutorBuilder::build_with).
///
/// ```
/// use moirai::Moirai;
///
/// let builder = Moirai::builder().worker_threads(2).spare_threads(0);
/// moirai::init_global_with(builder, |worker| {
///     std::thread::Builder::new().name(format!("mine {}", worker.index())).spawn(|| worker.run()).map(drop)
/// })?;
/// let name = moirai::spawn_parallel(|| std::thread::current().name().map(str::to_owned)).join().unwrap();
/// assert!(name.unwrap().starts_with("mine "));
/// # Ok::<(), moirai::InitGlobalError>(())
/// ```
///
/// # Errors
///
/// As [`init_global`]; an error of `spawn` is one of an executor that cannot be started.
///
/// # Panics
///
/// If `spawn` panics.
pub fn init_global_with(
    builder: MoiraiBuilder,
    spawn: impl FnMut(WorkerThread) -> io::Result<()>,
) -> Result<&'static Moirai, InitGlobalError> {
    if GLOBAL.get().is_some() {
        return Err(InitGlobalError::AlreadyStarted);
    }
    // Schedulers and plugins are called while it starts. If one of them used the global executor while that is being initialized,
    // it would wait for itself. So it is started first; if another one is there by then, this one is dropped, which shuts it down.
    let executor = builder.build_with(spawn).map_err(InitGlobalError::Build)?;
    match GLOBAL.set(executor) {
        Ok(()) => Ok(global()),
        Err(_late) => Err(InitGlobalError::AlreadyStarted),
    }
}

/// Returns the executor that runs the calling thread, or else the global one.
pub(crate) fn current_or_global() -> Moirai {
    Moirai::current().unwrap_or_else(|| global().clone())
}

/// The error of [`init_global`].
#[derive(Debug)]
#[non_exhaustive]
pub enum InitGlobalError {
    /// The global executor is running already: it was initialized before, or something has used it.
    AlreadyStarted,
    /// The executor cannot be started.
    Build(BuildError),
}

impl InitGlobalError {
    /// Returns `true` if the global executor was running already.
    #[must_use]
    pub const fn is_already_started(&self) -> bool {
        matches!(self, Self::AlreadyStarted)
    }
}

impl fmt::Display for InitGlobalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted => f.write_str(
                "the global executor is running already, with the configuration of an earlier `init_global`, or the default one because \
                 `moirai::global()` or a free function such as `moirai::spawn_async` has used it: call `init_global` once, first of all \
                 in `main`",
            ),
            Self::Build(error) => write!(f, "the global executor cannot be started: {error}"),
        }
    }
}

impl std::error::Error for InitGlobalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AlreadyStarted => None,
            Self::Build(error) => Some(error),
        }
    }
}
