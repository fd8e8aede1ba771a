//! Pools that cannot be built.

mod common;

use std::io;
use std::thread;

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
fn a_pool_whose_thread_name_panics_starts_no_thread() {
    let _watchdog = watchdog();
    let naming = std::panic::catch_unwind(|| {
        rayon::ThreadPoolBuilder::new().num_threads(2).thread_name(|_| panic!("no name")).build()
    });
    assert_eq!(*naming.unwrap_err().downcast_ref::<&str>().unwrap(), "no name");
}
