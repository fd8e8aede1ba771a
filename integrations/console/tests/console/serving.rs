//! The server: who is served, for how long, and where.

use std::future::pending;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, LONG, TaskState};
use moirai::prelude::*;
use moirai_console::{Console, ConsoleServer};
use prost::Message;
use tonic::Code;

const TICK: Duration = Duration::from_millis(10);

fn console(moirai: &Moirai) -> Console {
    Console::new(moirai).address(([127, 0, 0, 1], 0)).interval(TICK)
}

fn executor() -> Moirai {
    Moirai::builder().worker_threads(1).build().unwrap()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let last = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < last, "waited too long for {what}");
        thread::yield_now();
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let moirai = executor();
    let first = console(&moirai).serve().unwrap();
    let address = first.address();
    assert!(address.ip().is_loopback() && address.port() > 0);
    let error = Console::new(&moirai).address(address).serve().unwrap_err();
    assert!(error.is_address_in_use());
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("`Console::address`"), "{text}");
    // Once it is stopped, the address is free.
    first.stop();
    let again = Console::new(&moirai).address(address).serve().unwrap();
    assert_eq!(again.address(), address);
}

#[test]
fn settings_out_of_their_ranges_are_refused_by_name() {
    let moirai = executor();
    let refused = |console: Console| {
        let error = console.serve().unwrap_err();
        let name = error.refused_setting().expect("a setting was refused");
        assert!(error.to_string().contains(name), "{error}");
        name
    };
    for interval in [Duration::ZERO, Duration::from_millis(9), Duration::MAX] {
        assert_eq!(refused(console(&moirai).interval(interval)), "interval");
    }
    for tasks in [0, usize::MAX] {
        assert_eq!(refused(console(&moirai).max_tasks(tasks)), "max_tasks");
        assert_eq!(refused(console(&moirai).max_watchers(tasks)), "max_watchers");
    }
}

#[test]
fn the_console_neither_keeps_the_executor_running_nor_outlives_it() {
    let moirai = executor();
    let console = console(&moirai).serve().unwrap();
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    let mut states = client.states();
    let mut details = client.details(moirai.spawn_async(pending::<()>()).id().get()).unwrap();
    let (dropped, drops) = mpsc::channel::<()>();
    moirai.task().name("waits").spawn_async(async move {
        let _dropped = dropped;
        pending::<()>().await;
    });
    watch.until_state("waits", TaskState::Idle);
    let address = console.address();

    drop(moirai);
    assert!(
        drops.recv_timeout(LONG).is_err_and(|error| error == mpsc::RecvTimeoutError::Disconnected)
    );
    // The streams end, however that is told.
    while let Ok(Some(_)) = watch.try_update() {}
    while let Ok(Some(_)) = client.next(&mut states) {}
    while let Ok(Some(_)) = client.next(&mut details) {}
    until("the end of the thread", || console.is_finished());
    assert!(TcpListener::bind(address).is_ok());
}

#[test]
fn a_draining_executor_is_served_until_it_is_gone() {
    let moirai = executor();
    let console = console(&moirai).serve().unwrap();
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    let (leave, left) = mpsc::channel::<()>();
    moirai.task().name("last").spawn_parallel(move || left.recv());
    watch.until_state("last", TaskState::Running);
    let draining = moirai.clone();
    let drained = thread::spawn(move || draining.drain(LONG));
    until("the drain", || moirai.is_shutting_down());
    for _ in 0..5 {
        watch.update();
    }
    leave.send(()).unwrap();
    assert!(drained.join().unwrap().is_clean());
    // The records can be looked at as long as there is a handle.
    watch.until_state("last", TaskState::Completed);
    assert!(!console.is_finished());
    drop(moirai);
    until("the end of the thread", || console.is_finished());
}

#[test]
fn stopping_ends_the_streams_and_leaves_the_executor_alone() {
    let moirai = executor();
    let console = console(&moirai).serve().unwrap();
    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    watch.update();
    console.stop();
    while let Ok(Some(_)) = watch.try_update() {}
    assert_eq!(moirai.spawn_async(async { 7 }).join().unwrap(), 7);
}

#[test]
fn the_executor_may_own_its_console() {
    type Place = Arc<Mutex<Option<ConsoleServer>>>;
    for _ in 0..20 {
        let place = Place::default();
        let moirai =
            Moirai::builder().worker_threads(1).extension(Arc::clone(&place)).build().unwrap();
        let served = console(&moirai).serve().unwrap();
        let address = served.address();
        let client = Client::new(&served);
        let mut watch = client.watch().unwrap();
        watch.update();
        *place.lock().unwrap() = Some(served);
        drop(place);
        drop(moirai);
        while let Ok(Some(_)) = watch.try_update() {}
        until("the address to be free", || TcpListener::bind(address).is_ok());
    }
}

#[test]
fn details_of_a_task_that_is_not_on_record_are_refused() {
    let config = CleanupConfig { max_retained_tasks: 0, ..CleanupConfig::default() };
    let moirai = Moirai::builder().worker_threads(1).cleanup_config(config).build().unwrap();
    let console = console(&moirai).serve().unwrap();
    let client = Client::new(&console);
    let task = moirai.spawn_async(pending::<()>());
    let id = task.id();
    let mut details = client.details(id.get()).unwrap();
    let first = client.next(&mut details).unwrap().unwrap();
    assert_eq!(first.task_id.unwrap().id, id.get());

    assert_eq!(client.details(0).unwrap_err().code(), Code::InvalidArgument);
    let unknown = client.details(u64::MAX).unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert!(unknown.message().contains(&u64::MAX.to_string()), "{unknown}");

    task.cancel();
    assert!(task.join().unwrap_err().is_cancelled());
    while let Some(_more) = client.next(&mut details).unwrap() {}
    let evicted = client.details(id.get()).unwrap_err();
    assert_eq!(evicted.code(), Code::NotFound);
    assert!(evicted.message().contains("not kept"), "{evicted}");
}

#[test]
fn more_watchers_than_the_limit_are_refused_until_one_leaves() {
    let moirai = executor();
    let console = console(&moirai).max_watchers(2).serve().unwrap();
    let [leaves, stays] = [Client::new(&console), Client::new(&console)];
    let mut first = leaves.watch().unwrap();
    let mut second = stays.watch().unwrap();
    first.update();
    second.update();
    let third = Client::new(&console);
    let refused = third.watch().err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("there are 2 watchers"), "{refused}");
    second.update();
    drop(first);
    drop(leaves);
    until("a place", || third.watch().is_ok());
}

#[test]
fn a_watcher_that_does_not_read_costs_a_bounded_number_of_bytes_and_nobody_else() {
    const ROUNDS: usize = 40;
    const EACH: usize = 1_000;
    let config = CleanupConfig { max_retained_tasks: EACH, ..CleanupConfig::default() };
    let moirai = Moirai::builder().worker_threads(1).cleanup_config(config).build().unwrap();
    let console = console(&moirai).max_tasks(2 * EACH).serve().unwrap();
    // It takes no more than it must.
    let small = 65_535;
    let idle_client = Client::connect(console.address(), |endpoint| {
        endpoint.initial_stream_window_size(small).initial_connection_window_size(small)
    });
    let mut idle = idle_client.watch().unwrap();
    idle.update();

    let client = Client::new(&console);
    let mut watch = client.watch().unwrap();
    let mut sent = 0;
    for round in 0..ROUNDS {
        let last = format!("{round}-{}", EACH - 1);
        let tasks = (0..EACH).map(|number| {
            let name = format!("{round}-{number}");
            moirai.task().name(name).spawn_async(async {})
        });
        tasks.collect::<Vec<_>>().into_iter().for_each(|task| task.join().unwrap());
        while watch.state(&last) != Some(TaskState::Completed) {
            sent += watch.update().encoded_len();
        }
        // Of those that have ended nothing more is told.
        watch.tasks.retain(|_, task| task.state() != TaskState::Completed);
    }

    let last = format!("{}-{}", ROUNDS - 1, EACH - 1);
    let mut received = 0;
    while idle.state(&last) != Some(TaskState::Completed) {
        received += idle.update().encoded_len();
    }
    assert!(sent > 5 << 20, "otherwise this would prove nothing: {sent}");
    assert!(received < 2 << 20, "{received} bytes were kept for it");
    assert!(idle.tasks.len() < ROUNDS * EACH / 2, "it has missed most tasks");
}
