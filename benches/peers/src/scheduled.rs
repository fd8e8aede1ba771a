//! Moirai with its defaults, that is with a record of every task, a limit on retained records, and histograms; and the same with
//! each of its schedulers.

use std::future::Future;
use std::sync::OnceLock;

use moirai::scheduler::{
    EarliestDeadline, GlobalFifo, PriorityBands, ShortFirst, ThreadPerCore, WorkStealing,
};
use moirai::{FlightRecorderConfig, Moirai, MoiraiBuilder, TaskHandle};

use super::interface::{Peer, workers};

/// A scheduler that Moirai is set up with.
pub trait Kind: Copy + Send + Sync + 'static {
    /// The name of the peer in tables.
    const NAME: &'static str;

    /// Returns the static that holds its executor.
    fn place() -> &'static OnceLock<Moirai>;

    /// Sets the scheduler.
    fn choose(builder: MoiraiBuilder) -> MoiraiBuilder;
}

/// Moirai with the scheduler `K`.
#[derive(Clone, Copy, Debug)]
pub struct Scheduled<K>(K);

impl<K: Kind> Scheduled<K> {
    /// Returns the executor, which the first call starts.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn executor() -> &'static Moirai {
        K::place().get_or_init(|| {
            let builder = K::choose(Moirai::builder().worker_threads(workers()));
            builder.build().expect("the executor starts")
        })
    }
}

impl<K: Kind> Peer for Scheduled<K> {
    const NAME: &'static str = K::NAME;
    type Handle<T: Send + 'static> = TaskHandle<T>;

    fn start() {
        Self::executor();
    }

    fn spawn<F>(future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Self::executor().spawn_async(future)
    }

    fn spawn_inside<F>(future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        moirai::spawn_async(future)
    }

    fn detach<T: Send + 'static>(handle: TaskHandle<T>) {
        drop(handle);
    }

    async fn join<T: Send + 'static>(handle: TaskHandle<T>) -> T {
        handle.await.expect("a task of a benchmark ends")
    }

    fn join_outside<T: Send + 'static>(handle: TaskHandle<T>) -> T {
        handle.join().expect("a task of a benchmark ends")
    }

    fn block_on<F: Future + Send>(future: F) -> F::Output
    where
        F::Output: Send,
    {
        Self::executor().block_on(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        moirai::yield_now()
    }
}

/// Moirai as it is if no scheduler is set.
pub type Ours = Scheduled<Default>;

/// The default scheduler, which is called directly.
#[derive(Clone, Copy, Debug)]
pub struct Default;

/// The default scheduler, without threads that take over from workers that block.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

/// The default scheduler, without a flight recorder.
#[derive(Clone, Copy, Debug)]
pub struct Unrecorded;

/// The default scheduler, set like one of your own, and therefore called through a vtable.
#[derive(Clone, Copy, Debug)]
pub struct Boxed;

/// [`GlobalFifo`].
#[derive(Clone, Copy, Debug)]
pub struct Fifo;

/// [`PriorityBands`], strict, with ageing.
#[derive(Clone, Copy, Debug)]
pub struct Bands;

/// [`EarliestDeadline`].
#[derive(Clone, Copy, Debug)]
pub struct Deadline;

/// [`ShortFirst`].
#[derive(Clone, Copy, Debug)]
pub struct Short;

/// [`ThreadPerCore`], which places tasks by their affinity.
#[derive(Clone, Copy, Debug)]
pub struct PerCore;

macro_rules! kinds {
    ($($kind:ident $name:literal $choose:expr;)*) => {
        $(
            impl Kind for $kind {
                const NAME: &'static str = $name;

                fn place() -> &'static OnceLock<Moirai> {
                    static EXECUTOR: OnceLock<Moirai> = OnceLock::new();
                    &EXECUTOR
                }

                fn choose(builder: MoiraiBuilder) -> MoiraiBuilder {
                    let choose: fn(MoiraiBuilder) -> MoiraiBuilder = $choose;
                    choose(builder)
                }
            }
        )*
    };
}

kinds! {
    Default "moirai" |builder| builder;
    Alone "moirai, workers only" |builder| builder.spare_threads(0).compensation_threads(0);
    Unrecorded "moirai, recorder off" |builder| builder.flight_recorder(FlightRecorderConfig::off());
    Boxed "WorkStealing, chosen" |builder| builder.scheduler(WorkStealing::new());
    Fifo "GlobalFifo" |builder| builder.scheduler(GlobalFifo::new());
    Bands "PriorityBands" |builder| builder.scheduler(PriorityBands::strict().ageing(64));
    Deadline "EarliestDeadline" |builder| builder.scheduler(EarliestDeadline::new());
    Short "ShortFirst" |builder| builder.scheduler(ShortFirst::new());
    PerCore "ThreadPerCore" |builder| builder.scheduler(ThreadPerCore::hashed());
}
