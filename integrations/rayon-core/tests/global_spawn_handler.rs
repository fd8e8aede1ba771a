//! The pool of the whole process, on threads that the program starts.

mod common;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread::{self, ThreadId};

use common::watchdog;
use rayon::prelude::*;

#[test]
fn all_workers_are_threads_of_the_handler() {
    let _watchdog = watchdog();
    static OWN: Mutex<Vec<(usize, ThreadId)>> = Mutex::new(Vec::new());
    let (send, receive) = channel();
    rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .thread_name(|index| format!("own {index}"))
        .spawn_handler(|worker| {
            let send = send.clone();
            let name = worker.name().expect("it has been given a name").to_owned();
            thread::Builder::new().name(name).spawn(move || {
                OWN.lock().unwrap().push((worker.index(), thread::current().id()));
                send.send(()).unwrap();
                worker.run();
            })?;
            Ok(())
        })
        .build_global()
        .unwrap();
    (0..2).for_each(|_| receive.recv().unwrap());
    let own: HashSet<ThreadId> = OWN.lock().unwrap().iter().map(|&(_, id)| id).collect();
    assert_eq!(own.len(), 2);

    // One of the workers blocks, and nobody takes its place.
    let seen: Vec<_> = rayon::broadcast(|context| {
        let index = context.index();
        (index, moirai::block_in_place(|| thread::current().id()))
    });
    let mut expected = OWN.lock().unwrap().clone();
    expected.sort_by_key(|&(index, _)| index);
    assert_eq!(seen, expected);
    let ids: Vec<_> = (0..1_000).into_par_iter().map(|_| thread::current().id()).collect();
    assert!(ids.iter().all(|id| own.contains(id)));
    let task = moirai::spawn_parallel(|| thread::current().id());
    assert!(own.contains(&task.join().unwrap()));
    let again = rayon::ThreadPoolBuilder::new().spawn_handler(|_| unreachable!()).build_global();
    assert!(again.unwrap_err().to_string().contains("already been initialized"));
}
