//! The pool of the whole process, which is the global executor of Moirai.

mod common;

use common::watchdog;
use rayon::prelude::*;

#[test]
fn the_global_pool_is_the_global_executor() {
    let _watchdog = watchdog();
    let names = |index| format!("global {index}");
    rayon::ThreadPoolBuilder::new().num_threads(3).thread_name(names).build_global().unwrap();
    assert!(rayon::ThreadPoolBuilder::new().build_global().is_err(), "there is one already");
    assert_eq!((rayon::current_num_threads(), moirai::global().worker_count()), (3, 3));
    assert_eq!(rayon::current_thread_index(), None);
    let names: Vec<_> = (0..1_000)
        .into_par_iter()
        .map(|_| std::thread::current().name().map(str::to_owned))
        .collect();
    assert!(names.iter().flatten().all(|name| name.starts_with("global ")));
    let moirai = moirai::spawn_parallel(|| std::thread::current().name().map(str::to_owned));
    assert!(moirai.join().unwrap().unwrap().starts_with("global "));
}
