use super::*;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Mutex;
use std::task::Waker;

crate::task_local! {
    /// It is `Send` and not `Sync`.
    pub(crate) static NUMBER: Cell<u32>;
    static NAME: String;
}
crate::task_local!(static LAST: ());

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn number() -> Option<u32> {
    NUMBER.try_with(Cell::get).ok()
}

/// Is pending once.
async fn yield_once() {
    let mut polled = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn the_value_is_there_during_each_poll_and_at_no_other_time() {
    let mut one = pin!(NUMBER.scope(Cell::new(1), async {
        let before = number();
        NUMBER.with(|number| number.set(10));
        yield_once().await;
        (before, number())
    }));
    let mut other = pin!(NUMBER.scope(Cell::new(2), async {
        yield_once().await;
        number()
    }));
    assert_eq!(number(), None);
    assert!(poll(one.as_mut()).is_pending());
    assert_eq!(number(), None);
    assert!(poll(other.as_mut()).is_pending());
    assert_eq!(poll(one), Poll::Ready((Some(1), Some(10))));
    assert_eq!(poll(other), Poll::Ready(Some(2)));
    assert_eq!(number(), None);
}

#[test]
fn an_inner_scope_hides_the_outer_one_of_its_key_only() {
    let mut outer = pin!(NAME.scope(
        "outer".into(),
        NUMBER.scope(Cell::new(1), async {
            let inner = NUMBER.scope(Cell::new(2), async {
                yield_once().await;
                (number(), NAME.get())
            });
            let inner = inner.await;
            (inner, number())
        })
    ));
    assert!(poll(outer.as_mut()).is_pending());
    assert_eq!(poll(outer), Poll::Ready(((Some(2), "outer".into()), Some(1))));
    assert!(LAST.try_with(|()| ()).is_err());
}

#[test]
fn the_value_travels_with_the_future_to_another_thread() {
    let mut future = Box::pin(NUMBER.scope(Cell::new(1), async {
        NUMBER.with(|number| number.set(number.get() + 1));
        yield_once().await;
        number()
    }));
    assert!(poll(future.as_mut()).is_pending());
    let polled = std::thread::spawn(move || poll(future.as_mut())).join().unwrap();
    assert_eq!(polled, Poll::Ready(Some(2)));
}

#[test]
fn a_poll_that_panics_takes_its_value_along() {
    let mut future = Box::pin(NUMBER.scope(Cell::new(1), async {
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()))).is_err());
    assert_eq!(number(), None);
    let outer = NUMBER.sync_scope(Cell::new(2), || {
        let inner = || NUMBER.sync_scope(Cell::new(3), || std::panic::resume_unwind(Box::new(())));
        assert!(catch_unwind(inner).is_err());
        number()
    });
    assert_eq!(outer, Some(2));
    assert_eq!(number(), None);
}

/// Notes which number it finds when it is dropped.
struct Notes<'a>(&'a Mutex<Vec<Option<u32>>>);

impl Drop for Notes<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(number());
    }
}

#[test]
fn the_destructor_of_the_future_finds_the_value() {
    let found = Mutex::new(Vec::new());
    let waits = |value| {
        let notes = Notes(&found);
        NUMBER.scope(Cell::new(value), async move {
            let _notes = notes;
            yield_once().await;
        })
    };
    drop(waits(1));
    let mut dropped_in_between = Box::pin(waits(2));
    assert!(poll(dropped_in_between.as_mut()).is_pending());
    drop(dropped_in_between);
    let mut done = Box::pin(waits(3));
    assert!(poll(done.as_mut()).is_pending());
    assert!(poll(done.as_mut()).is_ready());
    assert_eq!(*found.lock().unwrap(), [Some(1), Some(2), Some(3)]);
    drop(done);
    assert_eq!(found.lock().unwrap().len(), 3);
    assert_eq!(number(), None);
}

#[test]
fn a_scope_inside_of_a_borrow_panics_and_changes_nothing() {
    let outer = NUMBER.sync_scope(Cell::new(1), || {
        NUMBER.with(|number| {
            let inner = || NUMBER.sync_scope(Cell::new(2), || ());
            let panic = catch_unwind(AssertUnwindSafe(inner)).unwrap_err();
            assert!(panic.downcast_ref::<&str>().unwrap().contains("not inside of `with`"));
            // The destructor of a future that cannot have the value runs without it.
            drop(NUMBER.scope(Cell::new(2), async {}));
            // Another key, and another borrow of this one, are no matter.
            assert_eq!(NAME.sync_scope("name".into(), || NAME.get()), "name");
            number.get() + NUMBER.with(Cell::get)
        })
    });
    assert_eq!(outer, 2);
}

#[test]
fn outside_of_a_scope_there_is_an_error() {
    let error = NAME.try_with(String::clone).unwrap_err();
    assert!(error.to_string().contains("not inside of a `scope`"));
    assert!(catch_unwind(|| NAME.get()).is_err());
}

#[test]
fn the_value_of_an_ended_scope_is_dropped_with_the_future() {
    let value = std::sync::Arc::new(());
    crate::task_local!(static SHARED: std::sync::Arc<()>);
    let mut future = Box::pin(SHARED.scope(value.clone(), async { SHARED.get() }));
    assert!(poll(future.as_mut()).is_ready());
    drop(future);
    assert_eq!(std::sync::Arc::strong_count(&value), 1);
}
