//! Being in the context of a tokio runtime, in which sockets and timers can be made.

use std::pin::Pin;
use std::task::{Context, Poll};

use moirai::{ExecutorPlugin, Moirai, TaskHandle, ThreadKind};
use pin_project_lite::pin_project;
use tokio::runtime::Handle;

/// Puts the calling thread into the context of a runtime for the rest of its life.
pub(crate) fn enter_for_good(runtime: &Handle) {
    // The guard would only restore what was before: no context.
    std::mem::forget(runtime.enter());
}

/// Returns a plugin that puts every thread of an executor into the context of a runtime that there is already, and that has threads
/// of its own: tasks of Moirai can then use what belongs to that runtime. Without such a runtime, use [`driver`](crate::driver()),
/// which needs no further threads.
///
/// ```
/// use moirai::prelude::*;
///
/// let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
/// let moirai = Moirai::builder().plugin(moirai_tokio::enter(tokio.handle().clone())).build()?;
/// let slept = moirai.spawn_async(async { tokio::time::sleep(std::time::Duration::from_millis(1)).await });
/// slept.join().unwrap();
/// # moirai.shutdown();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn enter(runtime: Handle) -> EnterRuntime {
    EnterRuntime(runtime)
}

/// A plugin that puts every thread of an executor into the context of a runtime; see [`enter`].
#[derive(Debug)]
pub struct EnterRuntime(Handle);

impl ExecutorPlugin for EnterRuntime {
    fn on_thread_start(&self, _: ThreadKind, _: usize) {
        enter_for_good(&self.0);
    }
}

pin_project! {
    /// A future that is polled, and dropped, in the context of a runtime; see [`in_tokio`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InTokio<F> {
        runtime: Handle,
        // `None` once it was dropped.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InTokio<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let _context = this.runtime.enter();
            let mut future = this.future;
            future.set(None);
        }
    }
}

/// Has a future polled, and dropped, in the context of a runtime, for threads that are not in it: those of another executor, for
/// example. The threads of an executor with a [`driver`](crate::driver()) are in the context of its runtime anyway.
pub fn in_tokio<F: Future>(runtime: Handle, future: F) -> InTokio<F> {
    InTokio { runtime, future: Some(future) }
}

impl<F: Future> Future for InTokio<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _context = this.runtime.enter();
        this.future.as_pin_mut().expect("it is there until the drop").poll(cx)
    }
}

/// Spawns a future as a task of the executor that runs the calling thread: in the stead of `tokio::spawn`, for what is to be on record
/// and run on all workers. Unlike [`moirai::spawn_async`], it never starts a global executor, which would have no reactor.
///
/// # Panics
///
/// If no executor runs the calling thread.
///
/// ```
/// use moirai::prelude::*;
///
/// let moirai = Moirai::builder().plugin(moirai_tokio::driver()?).build()?;
/// let slept = moirai.spawn_async(async {
///     moirai_tokio::spawn(tokio::time::sleep(std::time::Duration::from_millis(1))).await
/// });
/// slept.join()??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> TaskHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let moirai = Moirai::current();
    moirai
        .expect(
            "call `moirai_tokio::spawn` inside of a task of Moirai, or use `Moirai::spawn_async`",
        )
        .spawn_async(future)
}

/// Blocks the calling thread until the future has ended. The future is polled on this thread, inside of `moirai`, and in the
/// context of `runtime`, which is that of the executor's [`Driver`](crate::Driver::handle).
///
/// Call it on any thread, but not in a task that was spawned by `tokio::spawn`: only that thread could drive the reactor.
///
/// ```
/// use moirai::prelude::*;
///
/// let driver = moirai_tokio::driver()?;
/// let tokio = driver.handle();
/// let moirai = Moirai::builder().plugin(driver).build()?;
/// let listener = moirai_tokio::block_on(&moirai, tokio, async {
///     tokio::net::TcpListener::bind("127.0.0.1:0").await
/// })?;
/// assert!(listener.local_addr()?.ip().is_loopback());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn block_on<F: Future>(moirai: &Moirai, runtime: Handle, future: F) -> F::Output {
    moirai.block_on(in_tokio(runtime, future))
}
