//! Pools that cannot be built.

mod common;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{io, thread};

use common::watchdog;
use rayon::prelude::*;

#[test]
fn a_thread_whose_pool_cannot_be_built_belongs_to_none() {
    let _watchdog = watchdog();
    let failing = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .use_current_thread()
        .spawn_handler(|worker| match worker.index() {
            1 => {
                thread::spawn(|| worker.run());
                Ok(())
            }
            _ => Err(io::Error::other("no more threads")),
        });
    let error = failing.build().unwrap_err();
    assert!(error.to_string().contains("no more threads"), "{error}");
    assert_eq!(rayon::current_thread_index(), None);

    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).use_current_thread().build().unwrap();
    assert_eq!((pool.current_thread_index(), rayon::current_num_threads()), (Some(0), 2));
    assert_eq!((0..100).into_par_iter().sum::<i32>(), 4_950);
    // The pool that the thread belongs to outlives an attempt to build another.
    assert!(rayon::ThreadPoolBuilder::new().use_current_thread().build().is_err());
    assert_eq!(pool.current_thread_index(), Some(0));
}

#[test]
fn each_thread_is_named_right_before_it_is_started() {
    let _watchdog = watchdog();
    let steps = RefCell::new(Vec::new());
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .thread_name(|index| format!("worker {index}"))
        .spawn_handler(|worker| {
            steps.borrow_mut().push((worker.index(), worker.name().map(str::to_owned)));
            thread::spawn(|| worker.run());
            Ok(())
        })
        .build()
        .unwrap();
    drop(pool);
    let name = |index| (index, Some(format!("worker {index}")));
    assert_eq!(*steps.borrow(), [name(0), name(1)]);

    let started = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&started);
    let naming = std::panic::catch_unwind(move || {
        rayon::ThreadPoolBuilder::new()
            .num_threads(3)
            .thread_name(|index| match index {
                2 => panic!("no name"),
                index => format!("worker {index}"),
            })
            .start_handler(move |_| _ = counted.fetch_add(1, SeqCst))
            .build()
    });
    assert_eq!(*naming.unwrap_err().downcast_ref::<&str>().unwrap(), "no name");
    while started.load(SeqCst) < 2 {
        thread::yield_now();
    }
}
