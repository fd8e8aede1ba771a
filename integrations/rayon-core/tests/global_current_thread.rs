//! The pool of the whole process, with the calling thread among its workers.

mod common;

use std::sync::mpsc::channel;
use std::thread;

use common::watchdog;
use rayon::prelude::*;

#[test]
fn the_calling_thread_is_the_first_worker() {
    let _watchdog = watchdog();
    let build = || rayon::ThreadPoolBuilder::new().num_threads(2).use_current_thread();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let inside = pool.install(|| build().build_global().unwrap_err());
    assert!(inside.to_string().contains("already part of another thread pool"), "{inside}");

    let me = thread::current().id();
    build().build_global().unwrap();
    assert_eq!((rayon::current_thread_index(), rayon::current_num_threads()), (Some(0), 2));
    assert_eq!(rayon::join(|| thread::current().id(), || ()).0, me, "it is a worker itself");
    assert_eq!((0..1_000_u64).into_par_iter().sum::<u64>(), 499_500);
    // The others run what it spawns while it does something else.
    let (send, receive) = channel();
    rayon::spawn(move || send.send(rayon::current_thread_index()).unwrap());
    assert_eq!(receive.recv().unwrap(), Some(1));
    // Its share of a broadcast is its own.
    let shares = rayon::broadcast(|context| (context.index(), thread::current().id() == me));
    assert_eq!(shares, [(0, true), (1, false)]);
    assert_eq!(moirai::spawn_async(async { 6 * 7 }).join().unwrap(), 42);
    assert!(build().build_global().is_err());
}
