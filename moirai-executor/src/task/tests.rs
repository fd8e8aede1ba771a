use std::future::Future;
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWakerVTable, Waker};

use moirai_core::{CancelCause, TaskError, TaskStatus};

use super::test_executor::{Gate, TestExecutor, Wait};
use super::yield_task;
use std::sync::atomic::Ordering;

struct PanicOnDrop(&'static str);

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

#[test]
fn an_output_reaches_the_handle_once() {
    let (executor, mut handle) = TestExecutor::spawn(async { 7 });
    assert!(handle.try_take().is_none());
    executor.run_queued();
    assert_eq!(handle.try_take().unwrap().unwrap(), 7);
    assert!(matches!(handle.try_take(), Some(Err(TaskError::ResultTaken))));
    drop(handle);
    assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
}

#[test]
fn a_wake_between_two_polls_asks_for_one_poll() {
    let gate = Arc::new(Gate::default());
    let (executor, handle) = TestExecutor::spawn(Wait(Arc::clone(&gate)));
    executor.run_queued();
    let waker = gate.take_waker().unwrap();
    waker.wake_by_ref();
    waker.wake_by_ref();
    waker.wake_by_ref();
    assert_eq!(executor.queued(), 1);
    executor.run_queued();
    assert_eq!(executor.polls.load(Ordering::Relaxed), 2);
    gate.open();
    executor.run_queued();
    assert_eq!(executor.polls.load(Ordering::Relaxed), 3);
    drop((handle, waker));
    assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
}

#[test]
fn a_task_that_nothing_will_wake_is_still_found_and_cancelled() {
    let (executor, mut handle) = TestExecutor::spawn(std::future::pending::<()>());
    executor.run_queued();
    executor.find().unwrap().cancel(CancelCause::Handle);
    executor.run_queued();
    assert!(matches!(handle.try_take(), Some(Err(TaskError::Cancelled))));
    assert!(executor.find().is_none());
    drop(handle);
    assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
}

#[test]
fn the_first_to_ask_decides_the_error() {
    let (executor, mut handle) = TestExecutor::spawn(async {});
    handle.task().cancel(CancelCause::Shutdown);
    handle.task().cancel(CancelCause::Handle);
    executor.run_queued();
    assert_eq!(executor.cancelled_by(), Some(CancelCause::Shutdown));
    assert!(matches!(handle.try_take(), Some(Err(TaskError::ShutDown))));
    assert_eq!(executor.polls.load(Ordering::Relaxed), 0);
}

#[test]
fn a_runnable_that_is_dropped_ends_its_task() {
    let (executor, mut handle) = TestExecutor::spawn(async {});
    executor.drop_queued();
    assert_eq!(executor.status(), Some(TaskStatus::Cancelled));
    assert!(matches!(handle.try_take(), Some(Err(TaskError::ShutDown))));
}

#[test]
fn a_destructor_that_panics_changes_nothing_but_the_record() {
    let gate = Arc::new(Gate::default());
    let (executor, mut handle) = TestExecutor::spawn({
        let gate = Arc::clone(&gate);
        async move {
            let _bomb = PanicOnDrop("bomb in a future");
            Wait(gate).await;
        }
    });
    executor.run_queued();
    handle.task().cancel(CancelCause::Handle);
    executor.run_queued();
    assert_eq!(executor.status(), Some(TaskStatus::Cancelled));
    assert_eq!(executor.error().as_deref(), Some("bomb in a future"));
    assert!(matches!(handle.try_take(), Some(Err(TaskError::Cancelled))));
    drop(handle);
    drop(gate.take_waker());
    assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
}

#[test]
fn an_output_whose_destructor_panics_is_contained_wherever_it_is_dropped() {
    let (executor, handle) = TestExecutor::spawn(async { PanicOnDrop("bomb in an output") });
    drop(handle);
    executor.run_queued();
    assert_eq!(executor.status(), Some(TaskStatus::Completed));
    assert_eq!(executor.error().as_deref(), Some("bomb in an output"));

    let (executor, handle) = TestExecutor::spawn(async { PanicOnDrop("bomb in a handle") });
    executor.run_queued();
    drop(handle);
    assert_eq!(*executor.notes.lock(), ["bomb in a handle"]);
    assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
}

#[test]
fn a_waker_that_panics_is_contained() {
    struct Bomb;
    impl std::task::Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("bomb in a waker");
        }
    }
    let (executor, mut handle) = TestExecutor::spawn(async { 7 });
    let waker = Waker::from(Arc::new(Bomb));
    assert!(handle.poll(&mut Context::from_waker(&waker)).is_pending());
    executor.run_queued();
    assert!(matches!(handle.poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(7))));
}

#[test]
fn a_waker_that_cannot_be_cloned_leaves_the_one_before_it_in_its_place() {
    struct Counted;
    impl std::task::Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }
    static TABLE: RawWakerVTable =
        RawWakerVTable::new(|_| panic!("the text of a test"), |_| {}, |_| {}, |_| {});
    // SAFETY: the functions do nothing, or panic.
    let bomb = unsafe { Waker::new(std::ptr::null(), &TABLE) };
    for ends in [false, true] {
        let counted = Arc::new(Counted);
        let waker = Waker::from(Arc::clone(&counted));
        let (executor, mut handle) = TestExecutor::spawn(async {});
        assert!(handle.poll(&mut Context::from_waker(&waker)).is_pending());
        let mut poll = || handle.poll(&mut Context::from_waker(&bomb));
        assert!(catch_unwind(AssertUnwindSafe(&mut poll)).is_err());
        if ends {
            executor.run_queued();
        }
        drop((handle, waker));
        assert_eq!(Arc::strong_count(&counted), 1, "a waker was leaked");
        executor.run_queued();
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn wakers_of_one_task_are_alike_and_of_two_are_not() {
    let gates = [(); 2].map(|()| Arc::new(Gate::default()));
    let tasks = gates.clone().map(|gate| TestExecutor::spawn(Wait(gate)));
    tasks.iter().for_each(|(executor, _)| executor.run_queued());
    let [a, b] = gates.map(|gate| gate.take_waker().unwrap());
    assert!(a.will_wake(&a.clone()));
    assert!(!a.will_wake(&b));
    drop((a, b));
    // By value, so that each handle is dropped before its executor, which must outlive the cell.
    for (executor, handle) in tasks {
        handle.task().cancel(CancelCause::Handle);
        executor.run_queued();
    }
}

/// A future that may not be moved once it was polled. It gives way once, and notes each address at which it is polled or dropped.
struct Pinned {
    polled: bool,
    addresses: Arc<Mutex<Vec<usize>>>,
    _pinned: PhantomPinned,
}

impl Pinned {
    fn note(&self) {
        self.addresses.lock().unwrap().push((&raw const *self).addr());
    }
}

impl Future for Pinned {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.note();
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        if std::mem::replace(&mut this.polled, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.note();
    }
}

#[test]
fn a_future_stays_where_it_was_polled_until_it_is_dropped() {
    enum End {
        Ready,
        Cancelled,
        DroppedUnrun,
    }
    for end in [End::Ready, End::Cancelled, End::DroppedUnrun] {
        let addresses = Arc::new(Mutex::new(Vec::new()));
        let (polled, _pinned) = (false, PhantomPinned);
        let (executor, handle) =
            TestExecutor::spawn(Pinned { polled, addresses: Arc::clone(&addresses), _pinned });
        executor.run_queued();
        let task = executor.find().unwrap();
        match end {
            End::Ready => task.wake(),
            End::Cancelled => task.cancel(CancelCause::Handle),
            End::DroppedUnrun => {
                task.wake();
                executor.drop_queued();
            }
        }
        executor.run_queued();
        assert!(executor.status().is_some());
        let addresses = addresses.lock().unwrap();
        assert!(addresses.len() >= 2, "it was polled and dropped");
        assert!(addresses.iter().all(|address| *address == addresses[0]), "it was moved");
        drop((task, handle));
        assert_eq!(executor.freed.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_yield_queues_the_task_again_and_counts_for_one_poll() {
    let mut polls = 0;
    let mut yields = move |waker: &Waker| {
        polls += 1;
        polls < 4 && yield_task::<TestExecutor>(waker, |_| true)
    };
    let (executor, mut handle) = TestExecutor::spawn(std::future::poll_fn(move |cx| {
        // The fifth poll would come only after a wake.
        let _ = yields(cx.waker());
        Poll::<()>::Pending
    }));
    executor.run_queued();
    assert_eq!(executor.polls.load(Ordering::Relaxed), 4);
    assert_eq!(executor.queued(), 0);
    handle.task().cancel(CancelCause::Handle);
    executor.run_queued();
    assert!(matches!(handle.try_take(), Some(Err(TaskError::Cancelled))));
}

#[test]
fn a_yield_by_another_waker_or_of_another_task_is_refused() {
    let (executor, handle) = TestExecutor::spawn(std::future::poll_fn(|cx| {
        assert!(!yield_task::<TestExecutor>(cx.waker(), |_| false));
        assert!(!yield_task::<TestExecutor>(Waker::noop(), |_| true));
        Poll::<()>::Pending
    }));
    executor.run_queued();
    assert_eq!((executor.polls.load(Ordering::Relaxed), executor.queued()), (1, 0));
    // A task that waits is not dropped with its handle.
    handle.task().cancel(CancelCause::Handle);
    executor.run_queued();
}

#[test]
fn polls_of_one_type_of_work_are_alike_and_of_two_are_not() {
    async fn one() {}
    async fn other() {}
    let of = |work: &dyn Fn() -> Arc<TestExecutor>| work().work.load(Ordering::Relaxed);
    let ones = [of(&|| ran(one())), of(&|| ran(one()))];
    assert_eq!(ones[0], ones[1]);
    assert_ne!(of(&|| ran(other())), ones[0]);
}

/// Runs a task to its end.
fn ran(work: impl Future<Output = ()> + Send + 'static) -> Arc<TestExecutor> {
    let (executor, _handle) = TestExecutor::spawn(work);
    executor.run_queued();
    executor
}

#[test]
fn each_poll_is_told_which_it_was() {
    let gate = Arc::new(Gate::default());
    let (executor, handle) = TestExecutor::spawn(Wait(Arc::clone(&gate)));
    for poll in 1..=12 {
        executor.run_queued();
        // From eight on all polls are alike.
        assert_eq!(executor.runs.load(Ordering::Relaxed), poll.min(8));
        if let Some(waker) = gate.take_waker() {
            waker.wake();
        }
    }
    gate.open();
    executor.run_queued();
    assert_eq!(executor.polls.load(Ordering::Relaxed), 13);
    drop(handle);
}
