//! Tests of tokio's I/O and timers on Moirai's workers.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai::{Moirai, MoiraiBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Far longer than any step of these tests takes.
const LONG: Duration = Duration::from_secs(60);

fn builder(name: &str, workers: usize) -> MoiraiBuilder {
    Moirai::builder().worker_threads(workers).thread_name_prefix(name)
}

fn with_driver(name: &str, workers: usize) -> Moirai {
    builder(name, workers).plugin(moirai_tokio::driver().unwrap()).build().unwrap()
}

/// Waits until the condition holds.
#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

/// Serves echoes, each connection in a task of Moirai, until the executor ends.
fn echo(moirai: &Moirai) -> SocketAddr {
    let (bound, address) = mpsc::channel();
    drop(moirai.task().name("echo").spawn_async(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        bound.send(listener.local_addr().unwrap()).unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            moirai_tokio::spawn(async move {
                let mut byte = [0];
                while stream.read_exact(&mut byte).await.is_ok() {
                    if stream.write_all(&byte).await.is_err() {
                        break;
                    }
                }
            });
        }
    }));
    address.recv_timeout(LONG).unwrap()
}

/// A client that is no part of any executor.
struct Client(std::net::TcpStream);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self(stream)
    }

    /// Returns how long one byte takes there and back.
    fn ping(&mut self) -> Duration {
        let start = Instant::now();
        self.0.write_all(b"x").unwrap();
        self.0.read_exact(&mut [0]).unwrap();
        start.elapsed()
    }
}

#[test]
fn sockets_and_timers_work_in_tasks_of_every_kind() {
    let moirai = with_driver("tk-kind", 2);
    let mut client = Client::connect(echo(&moirai));
    for _ in 0..200 {
        client.ping();
    }
    let slept = moirai.spawn_async(async {
        let start = Instant::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        start.elapsed()
    });
    assert!(slept.join().unwrap() >= Duration::from_millis(20));
    let timed_out = moirai.spawn_async(async {
        tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await
    });
    assert!(timed_out.join().unwrap().is_err());
    let has_context = || tokio::runtime::Handle::try_current().is_ok();
    assert!(moirai.spawn_parallel(has_context).join().unwrap());
    assert!(moirai.spawn_blocking(has_context).join().unwrap());
    // Another thread holds the worker while this one blocks.
    let here = moirai.clone();
    let inner = moirai.spawn_parallel(move || {
        moirai::block_in_place(|| {
            here.spawn_async(tokio::time::sleep(Duration::from_millis(1))).join()
        })
    });
    inner.join().unwrap().unwrap();
}

#[test]
fn many_connections_are_served_at_once() {
    for workers in [1, 2] {
        let moirai = with_driver("tk-many", workers);
        let address = echo(&moirai);
        let clients: Vec<_> = (0..50)
            .map(|_| {
                moirai.task().name("client").spawn_async(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    for round in 0..40_u8 {
                        stream.write_all(&[round]).await.unwrap();
                        let mut byte = [0];
                        stream.read_exact(&mut byte).await.unwrap();
                        assert_eq!(byte, [round]);
                        if round % 10 == 0 {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
    }
}

#[test]
fn what_tokio_spawns_runs_in_the_workers() {
    let moirai = with_driver("tk-spawn", 2);
    let [task, computed] = moirai
        .spawn_async(async {
            let task = tokio::spawn(async {
                let here = Moirai::current().expect("inside of Moirai");
                // A task of tokio's may wait for one of Moirai's.
                here.spawn_async(async {}).await.unwrap();
                thread_name()
            });
            let computed = tokio::spawn(async {
                let here = Moirai::current().expect("inside of Moirai");
                let (a, b) = here.join(thread_name, || 1);
                assert_eq!(b, 1);
                a
            });
            [task.await.unwrap(), computed.await.unwrap()]
        })
        .join()
        .unwrap();
    assert!(task.starts_with("tk-spawn-worker-"), "{task}");
    assert!(computed.starts_with("tk-spawn-worker-"), "{computed}");
    let blocking = moirai
        .spawn_async(async { tokio::task::spawn_blocking(thread_name).await.unwrap() })
        .join()
        .unwrap();
    assert!(blocking.starts_with("moirai-tokio"), "{blocking}");
    let panicked = moirai.spawn_async(async {
        let task = tokio::spawn(async { std::panic::resume_unwind(Box::new("on purpose")) });
        task.await.unwrap_err().is_panic()
    });
    assert!(panicked.join().unwrap());
}

#[test]
fn a_task_of_tokio_that_blocks_holds_up_no_task_of_moirai() {
    for workers in [1, 2] {
        // It is polled after the worker has waited for events, or before.
        for yields in [0, 1, 2] {
            let moirai = with_driver("tk-hog", workers);
            let (started, running) = mpsc::channel();
            let (end, ended) = mpsc::channel::<()>();
            drop(moirai.spawn_async(async move {
                tokio::spawn(async move {
                    for _ in 0..yields {
                        tokio::task::yield_now().await;
                    }
                    started.send(()).unwrap();
                    let _ = ended.recv();
                });
            }));
            running.recv_timeout(LONG).unwrap();
            for _ in 0..10 {
                moirai.spawn_async(yield_now()).join().unwrap();
            }
            drop(end);
        }
    }
}

#[test]
fn a_task_of_tokio_may_wait_for_one_of_moirai_that_needs_no_reactor() {
    for workers in [1, 2] {
        let moirai = with_driver("tk-wait", workers);
        let sum = moirai.spawn_async(async {
            let mut sum = 0;
            for round in 0..20 {
                let task = tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    Moirai::current().unwrap().spawn_async(async move { round }).join().unwrap()
                });
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum.join().unwrap(), (0..20).sum::<i32>());
    }
}

#[test]
fn tasks_of_tokio_that_are_always_ready_hold_up_no_task_of_moirai_and_no_shutdown() {
    for workers in [1, 2] {
        let moirai = with_driver("tk-loop", workers);
        let (started, running) = mpsc::channel();
        drop(moirai.spawn_async(async move {
            tokio::spawn(async move {
                started.send(()).unwrap();
                loop {
                    tokio::task::yield_now().await;
                }
            });
        }));
        running.recv_timeout(LONG).unwrap();
        for _ in 0..10 {
            moirai.spawn_async(yield_now()).join().unwrap();
        }
        moirai.spawn_parallel(|| ()).join().unwrap();
        let report = moirai.shutdown_timeout(LONG);
        assert!(report.elapsed < LONG / 2, "{report}");
    }
}

#[test]
fn the_reactor_is_driven_while_a_worker_waits_for_a_job_of_its_own() {
    let moirai = with_driver("tk-join", 2);
    let mut client = Client::connect(echo(&moirai));
    client.ping();
    let stop = Arc::new(AtomicBool::new(false));
    let stolen = Arc::new(AtomicBool::new(false));
    let task = moirai.spawn_parallel({
        let (stop, stolen) = (Arc::clone(&stop), Arc::clone(&stolen));
        move || {
            moirai::join(
                || {
                    while !stolen.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                },
                || {
                    stolen.store(true, Ordering::Relaxed);
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                },
            )
        }
    });
    wait_until("the other worker has the second half", || stolen.load(Ordering::Relaxed));
    for _ in 0..5 {
        assert!(client.ping() < LONG);
    }
    stop.store(true, Ordering::Relaxed);
    task.join().unwrap();
}

#[test]
fn a_shutdown_from_a_task_of_tokio_does_not_wait_for_itself() {
    let moirai = with_driver("tk-self", 2);
    let here = moirai.without_owner();
    let (done, is_done) = mpsc::channel();
    drop(moirai.spawn_async(async move {
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            let waiting = here.spawn_async(tokio::time::sleep(Duration::from_millis(20)));
            here.shutdown();
            done.send(waiting).unwrap();
        });
    }));
    let waiting = is_done.recv_timeout(LONG).unwrap();
    // It is drained, because the reactor goes on.
    waiting.join().unwrap();
    moirai.shutdown();
}

#[test]
fn a_driver_is_that_of_one_executor() {
    let driver = Arc::new(moirai_tokio::driver().unwrap());
    let first = builder("tk-first", 1).plugin(Arc::clone(&driver)).build().unwrap();
    let second = builder("tk-second", 2).plugin(driver).build().unwrap();
    for moirai in [&second, &first, &second] {
        for _ in 0..20 {
            moirai.spawn_async(yield_now()).join().unwrap();
        }
    }
    let slept = first.spawn_async(async { tokio::time::sleep(Duration::from_millis(1)).await });
    slept.join().unwrap();
}

#[test]
fn the_reactor_is_driven_while_all_workers_compute() {
    let moirai = with_driver("tk-busy", 2);
    let mut client = Client::connect(echo(&moirai));
    client.ping();
    let stop = Arc::new(AtomicBool::new(false));
    let started = Arc::new(std::sync::Barrier::new(3));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (stop, started) = (Arc::clone(&stop), Arc::clone(&started));
            moirai.spawn_parallel(move || {
                started.wait();
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    started.wait();
    // Without anybody who drives the reactor it would take until `stop` is set, that is for ever.
    for _ in 0..5 {
        assert!(client.ping() < LONG);
    }
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|task| task.join().unwrap());
}

#[test]
fn a_busy_worker_drives_the_reactor_between_two_tasks() {
    let moirai = builder("tk-short", 1)
        .plugin(moirai_tokio::driver().unwrap())
        .compensation_threads(0)
        .build()
        .unwrap();
    let mut client = Client::connect(echo(&moirai));
    let stop = Arc::new(AtomicBool::new(false));
    let busy = moirai.spawn_async({
        let stop = Arc::clone(&stop);
        async move {
            while !stop.load(Ordering::Relaxed) {
                yield_now().await;
            }
        }
    });
    for _ in 0..20 {
        assert!(client.ping() < LONG);
    }
    stop.store(true, Ordering::Relaxed);
    busy.join().unwrap();
}

/// Is dropped in the context of a runtime.
struct NeedsContext(mpsc::Sender<bool>);

impl Drop for NeedsContext {
    fn drop(&mut self) {
        let _ = self.0.send(tokio::runtime::Handle::try_current().is_ok());
    }
}

#[test]
fn at_the_end_tasks_are_dropped_in_the_context_and_the_sockets_are_closed() {
    let (dropped, was_inside) = mpsc::channel();
    let moirai = with_driver("tk-end", 2);
    let address = echo(&moirai);
    let (ready, waits) = mpsc::channel();
    let task = moirai.spawn_async({
        let (ready, dropped) = (ready.clone(), dropped.clone());
        async move {
            let _stream = TcpStream::connect(address).await.unwrap();
            let _guard = NeedsContext(dropped);
            ready.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    });
    // This one is tokio's.
    drop(moirai.spawn_async(async move {
        tokio::spawn(async move {
            let _stream = TcpStream::connect(address).await.unwrap();
            let _guard = NeedsContext(dropped);
            ready.send(()).unwrap();
            std::future::pending::<()>().await;
        });
    }));
    for _ in 0..2 {
        waits.recv_timeout(LONG).unwrap();
    }
    let handle = moirai.clone();
    moirai.shutdown_timeout(Duration::from_millis(10));
    assert!(task.join().unwrap_err().is_shut_down());
    assert!(was_inside.recv_timeout(LONG).unwrap());
    // tokio's tasks are dropped although there is still a handle to the executor.
    assert!(was_inside.recv_timeout(LONG).is_ok());
    wait_until("the port is closed", || std::net::TcpStream::connect(address).is_err());
    drop(handle);
}

#[test]
fn two_executors_have_a_reactor_each() {
    let executors = ["tk-one", "tk-two"].map(|name| with_driver(name, 1));
    let [first, second] = executors.each_ref().map(echo);
    // Each connects to the other, in turns.
    for _ in 0..20 {
        for (moirai, address) in executors.iter().zip([second, first]) {
            let client = moirai.spawn_async(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"x").await.unwrap();
                stream.read_exact(&mut [0]).await.unwrap();
            });
            client.join().unwrap();
        }
    }
    let [one, two] = executors;
    drop(one);
    let mut client = Client::connect(second);
    client.ping();
    drop(two);
}

#[test]
fn a_spawn_is_on_record_and_outside_of_an_executor_it_starts_none() {
    let moirai = with_driver("tk-record", 1);
    let id = moirai
        .spawn_async(async {
            let task = moirai_tokio::spawn(async { tokio::task::yield_now().await });
            let id = task.id();
            task.await.unwrap();
            id
        })
        .join()
        .unwrap();
    let stats = moirai.task_stats(id).unwrap();
    assert!(stats.status == TaskStatus::Completed);
    assert!(stats.location.file().ends_with("driver.rs"), "{}", stats.location);
    let panic = std::panic::catch_unwind(|| moirai_tokio::spawn(async {})).unwrap_err();
    let message =
        panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(|s| &**s));
    assert!(message.is_some_and(|message| message.contains("inside of a task")), "{message:?}");
}

#[test]
fn futures_can_be_polled_on_other_threads() {
    let driver = moirai_tokio::driver().unwrap();
    let tokio = driver.handle();
    let moirai = builder("tk-block", 1).plugin(driver).build().unwrap();
    let address = echo(&moirai);
    let future = async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        Moirai::current().is_some()
    };
    assert!(moirai_tokio::block_on(&moirai, tokio.clone(), future));
    // An executor without a reactor.
    let other = builder("tk-other", 1).build().unwrap();
    let sleeps =
        moirai_tokio::in_tokio(tokio, async { tokio::time::sleep(Duration::from_millis(1)).await });
    other.spawn_async(sleeps).join().unwrap();
}

#[test]
fn a_runtime_that_there_is_already_can_be_used() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let moirai = builder("tk-enter", 1)
        .plugin(moirai_tokio::enter(runtime.handle().clone()))
        .build()
        .unwrap();
    let mut client = Client::connect(echo(&moirai));
    client.ping();
    // In a task of that runtime an executor can be dropped.
    runtime.block_on(async {
        let inner = with_driver("tk-inner", 1);
        inner.spawn_async(tokio::time::sleep(Duration::from_millis(1))).await.unwrap();
        drop(inner);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn at_rest_no_thread_wakes() {
    /// Returns how often the threads of this test have gone to sleep.
    fn sleeps() -> u64 {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let ours = tasks.map(|task| task.path()).filter(|path| {
            std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with("tk-rest"))
        });
        ours.map(|path| {
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            line.and_then(|line| line.split_whitespace().last()?.parse::<u64>().ok()).unwrap_or(0)
        })
        .sum()
    }
    let moirai = with_driver("tk-rest", 2);
    let mut client = Client::connect(echo(&moirai));
    client.ping();
    // It is promised that from some moment on no thread wakes, but not how soon that is.
    wait_until("no thread has woken for a while", || {
        let before = sleeps();
        std::thread::sleep(Duration::from_millis(200));
        before == sleeps()
    });
    client.ping();
}
