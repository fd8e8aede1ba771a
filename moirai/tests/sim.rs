//! Tests of the simulation: the same seed gives the same run, and a run that cannot go on is reported.
//!
//! They hold promise P21 (a seed is a run) of `docs/src/guarantees.md`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use moirai::sim::{self, Cause, Simulation, Strategy};
use moirai::{Moirai, TaskError, TaskStatus, time, yield_now};

const HOUR: Duration = Duration::from_secs(3600);

/// Uses everything at once: timers, closures, waits in the middle of a step, fork-join, a task that is cancelled, and one that
/// fails.
async fn a_bit_of_everything(executor: Moirai) -> Vec<String> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |name: String| {
        let log = Arc::clone(&log);
        move || log.lock().unwrap().push(format!("{name} {:?}", Moirai::worker_index()))
    };
    let mut handles = Vec::new();
    for number in 0..6_u64 {
        let note = note(format!("sleeper {number}"));
        handles.push(executor.spawn_async(async move {
            for _ in 0..3 {
                time::sleep(Duration::from_millis(1 + number % 3)).await;
                note();
                yield_now().await;
            }
        }));
    }
    for number in 0..3 {
        let (inner, note) = (executor.clone(), note(format!("blocking {number}")));
        handles.push(executor.spawn_blocking(move || {
            let waits = inner.spawn_async(time::sleep(Duration::from_millis(2)));
            waits.join().unwrap();
            note();
        }));
        let (first, second) = (note_of(&log, "first"), note_of(&log, "second"));
        handles.push(executor.spawn_parallel(move || {
            moirai::join(first, second);
        }));
    }
    let stuck = executor.task().timeout(HOUR).spawn_async(std::future::pending::<()>());
    let failing = executor.task().name("failing").spawn_async(async {
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    for handle in handles {
        handle.await.unwrap();
    }
    assert!(failing.await.is_err_and(|error: TaskError| error.is_panicked()));
    assert!(stuck.await.unwrap_err().is_timed_out());
    Arc::try_unwrap(log).unwrap().into_inner().unwrap()
}

fn note_of(log: &Arc<Mutex<Vec<String>>>, name: &'static str) -> impl Fn() + Send + 'static {
    let log = Arc::clone(log);
    move || log.lock().unwrap().push(name.into())
}

#[test]
fn the_same_seed_gives_the_same_run_byte_for_byte() {
    let mut fingerprints = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let run = || Simulation::new(seed).workers(3).run(a_bit_of_everything).unwrap();
        let (first, second) = (run(), run());
        assert_eq!(first.output, second.output);
        assert_eq!(format!("{:?}", first.tasks), format!("{:?}", second.tasks));
        assert_eq!(first.fingerprint, second.fingerprint);
        assert_eq!((first.steps, first.elapsed), (second.steps, second.elapsed));
        assert_eq!(first.elapsed, HOUR);
        fingerprints.insert(first.fingerprint);
    }
    assert!(fingerprints.len() > 35, "only {} different runs of 40 seeds", fingerprints.len());
}

/// Returns what the test below prints when it runs in a process of its own.
fn output_of_another_process() -> String {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_same_seed_gives_the_same_run_in_another_process", "--nocapture"])
        .env("MOIRAI_TEST_PRINT_RUN", "1")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_run_in_another_process() {
    let run = Simulation::new(11).workers(3).run(a_bit_of_everything).unwrap();
    let printed = format!("{:?} {:?} {:x}", run.output, run.tasks, run.fingerprint);
    if std::env::var_os("MOIRAI_TEST_PRINT_RUN").is_some() {
        println!("{printed}");
        return;
    }
    assert!(output_of_another_process().contains(&printed));
}

#[test]
fn the_run_of_a_seed_never_changes() {
    // The run is the same on every machine and in every build. It changes only when the executor does.
    let run = Simulation::new(1).strategy(Strategy::Uniform).run(|executor| async move {
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let numbers = Arc::clone(&numbers);
                executor.spawn_async(async move { numbers.lock().unwrap().push(number) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        Arc::try_unwrap(numbers).unwrap().into_inner().unwrap()
    });
    assert_eq!(run.unwrap().output, THE_ORDER_OF_SEED_1);
}

const THE_ORDER_OF_SEED_1: [i32; 8] = [7, 4, 1, 6, 2, 0, 5, 3];

#[test]
fn time_stands_still_until_all_wait_and_then_jumps() {
    let start = std::time::Instant::now();
    let mut config = moirai::ExecutorConfig::default();
    config.cleanup.enable_automatic_cleanup = false;
    let run = Simulation::new(3).config(config).run(|executor| async move {
        let begin = time::Instant::now();
        let late = executor.spawn_async(async {
            time::sleep(24 * HOUR).await;
            time::Instant::now()
        });
        let computes = executor.spawn_async(async {
            for _ in 0..100 {
                yield_now().await;
            }
            time::Instant::now()
        });
        assert_eq!(computes.await.unwrap() - begin, Duration::ZERO);
        assert_eq!(late.await.unwrap() - begin, 24 * HOUR);
        let mut ticks = time::interval(Duration::from_secs(1));
        ticks.tick().await;
        ticks.tick().await;
        let timed_out = time::timeout(HOUR, std::future::pending::<()>()).await;
        assert!(timed_out.is_err());
    });
    let run = run.unwrap();
    assert_eq!(run.elapsed, 25 * HOUR + Duration::from_secs(1));
    let sleeper = &run.tasks[1];
    assert_eq!(sleeper.finished_at.unwrap().to_system_time(), SystemTime::UNIX_EPOCH + 24 * HOUR);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_deadlock_is_reported_with_the_tasks_that_wait_and_where_they_were_spawned() {
    let failure = Simulation::new(5)
        .run(|executor| async move {
            let (here, there) = (moirai::sync::Event::new(), moirai::sync::Event::new());
            let (here, there) = (Arc::new(here), Arc::new(there));
            let one = executor.task().name("one").spawn_async({
                let (here, there) = (Arc::clone(&here), Arc::clone(&there));
                async move {
                    here.wait().await;
                    there.set();
                }
            });
            let other = executor.task().name("other").spawn_async(async move {
                there.wait().await;
                here.set();
            });
            let _ = (one.await, other.await);
        })
        .unwrap_err();
    let Cause::Deadlock(tasks) = failure.cause() else { panic!("{failure}") };
    let names: Vec<_> = tasks.iter().filter_map(|task| task.name.as_deref()).collect();
    assert_eq!(names, ["scenario", "one", "other"]);
    let text = failure.to_string();
    assert!(text.contains("one (id") && text.contains("sim.rs:"), "{text}");
    assert!(text.contains("sim::run(5, …)"), "{text}");
}

#[test]
fn waits_in_the_middle_of_a_step_end_in_any_order() {
    // The waits end in another order than that in which they begin, so they cannot be nested on one stack.
    for seed in 0..50 {
        let sum = sim::run(seed, |executor| async move {
            let started = Arc::new(moirai::sync::Event::new());
            let release = Arc::clone(&started);
            let slow = executor.spawn_async(async move {
                release.wait().await;
                1
            });
            let inner = executor.clone();
            let a = executor.spawn_blocking(move || slow.join().unwrap() + 1);
            let b = executor.spawn_blocking(move || inner.block_on(a).unwrap() + 1);
            let c = executor.spawn_parallel(move || b.join().unwrap() + 1);
            let d = executor.spawn_async(async move { c.join().unwrap() + 1 });
            for _ in 0..5 {
                yield_now().await;
            }
            started.set();
            d.await.unwrap()
        });
        assert_eq!(sum, 5);
    }
}

#[test]
fn a_wait_with_a_limit_ends_by_the_simulated_time() {
    let run = Simulation::new(9).run(|executor| async move {
        let inner = executor.clone();
        executor
            .spawn_blocking(move || {
                let mut late = inner.spawn_async(time::sleep(2 * HOUR));
                assert!(late.join_timeout(HOUR).is_none());
                assert!(late.join_timeout(3 * HOUR).is_some_and(|result| result.is_ok()));
            })
            .await
            .unwrap();
    });
    assert_eq!(run.unwrap().elapsed, 2 * HOUR);
}

#[test]
fn a_task_that_waits_forever_in_the_middle_of_a_step_is_unwound() {
    let dropped = Arc::new(AtomicBool::new(false));
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let guard = Dropped(Arc::clone(&dropped));
    let run = Simulation::new(2).run(|executor| async move {
        let never = executor.spawn_async(std::future::pending::<()>());
        let waits = executor.spawn_blocking(move || {
            let _guard = guard;
            let _ = never.join();
        });
        yield_now().await;
        drop(waits);
    });
    run.unwrap();
    assert!(dropped.load(Ordering::Relaxed));
    let failure = Simulation::new(2)
        .run(|executor| async move {
            executor.spawn_blocking(|| moirai::block_on(std::future::pending::<()>())).await
        })
        .unwrap_err();
    assert!(matches!(failure.cause(), Cause::Deadlock(tasks) if tasks.len() == 2), "{failure}");
}

#[test]
fn a_failed_run_leaves_nothing_behind() {
    let alive = Arc::new(());
    let stuck = |executor: Moirai| {
        let (inside, beside) = (Arc::clone(&alive), Arc::clone(&alive));
        async move {
            let task = executor.spawn_async(async move {
                std::future::pending::<()>().await;
                drop(inside);
            });
            let _ = task.await;
            drop(beside);
        }
    };
    assert!(Simulation::new(1).run(stuck).is_err());
    assert!(Simulation::new(1).max_steps(1).run(stuck).is_err());
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn a_panic_of_the_scenario_is_the_failure() {
    let failure = Simulation::new(4).run(|_| async { panic!("seen") }).unwrap_err();
    assert!(failure.to_string().contains("the scenario panicked: seen"), "{failure}");
    let caught = std::panic::catch_unwind(|| sim::run(4, |_| async { panic!("seen") }));
    let text = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("with seed 4"), "{text}");
}

#[test]
fn a_panic_that_no_caller_sees_is_a_failure_and_one_that_is_seen_is_not() {
    let failure = Simulation::new(4)
        .run(|executor| async move {
            drop(executor.task().name("alone").spawn_async(async { panic!("unseen") }));
            for _ in 0..100 {
                yield_now().await;
            }
        })
        .unwrap_err();
    let Cause::Unseen(stats) = failure.cause() else { panic!("{failure}") };
    assert_eq!((stats.name.as_deref(), stats.error.as_deref()), (Some("alone"), Some("unseen")));
    sim::run(4, |executor| async move {
        let seen = executor.spawn_async(async { panic!("seen") });
        assert!(seen.await.unwrap_err().is_panicked());
    });
}

#[test]
fn an_endless_scenario_is_stopped() {
    let endless = |_| async {
        loop {
            yield_now().await;
        }
    };
    let failure = Simulation::new(1).max_steps(1_000).run(endless).map(|_: sim::Run<()>| ());
    let failure = failure.unwrap_err();
    assert!(matches!(failure.cause(), Cause::TooManySteps(1_000)), "{failure}");
    let mut config = moirai::ExecutorConfig::default();
    config.cleanup.cleanup_interval = Duration::ZERO;
    let refused = Simulation::new(1).config(config).run(|_| async {}).unwrap_err();
    assert!(refused.to_string().contains("cleanup_interval"), "{refused}");
}

#[test]
fn the_seed_decides_which_closure_of_a_join_runs_first() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..40 {
        orders.insert(sim::run(seed, |executor| async move {
            let order = Mutex::new(String::new());
            let note = |what: &str| order.lock().unwrap().push_str(what);
            let (one, two) = executor.join(
                || {
                    note("a");
                    executor.join(|| note("b"), || note("c"));
                    1
                },
                || {
                    note("d");
                    2
                },
            );
            assert_eq!((one, two), (1, 2));
            executor.scope(|s| {
                s.spawn(|_| note("1"));
                s.spawn(|_| note("2"));
            });
            order.into_inner().unwrap()
        }));
    }
    // "d" comes first or last, and "b" and "c", and "1" and "2", come in either order.
    assert_eq!(orders.len(), 8, "{orders:?}");
}

#[test]
fn a_shutdown_from_inside_is_simulated_too() {
    let run = Simulation::new(6).run(|executor| async move {
        let stuck = executor.spawn_async(std::future::pending::<()>());
        let inner = executor.clone();
        let task = executor.spawn_async(async move { inner.shutdown_timeout(HOUR).still_active });
        assert_eq!(task.await.unwrap(), 3);
        assert!(executor.spawn_async(async {}).await.unwrap_err().is_shut_down());
        // The scenario is cancelled with the others, because it is a task like them.
        let _ = stuck.await;
        yield_now().await;
    });
    let failure = run.unwrap_err();
    assert!(matches!(failure.cause(), Cause::Failed(error) if error.is_shut_down()), "{failure}");
}

#[test]
fn records_are_swept_by_the_simulated_time() {
    sim::run(8, |executor| async move {
        let id = executor.spawn_async(async {});
        let known = id.id();
        id.await.unwrap();
        assert_eq!(executor.task_stats(known).unwrap().status, TaskStatus::Completed);
        // By default, the retention is five minutes, and there is a sweep every thirty seconds.
        time::sleep(Duration::from_secs(400)).await;
        yield_now().await;
        assert!(executor.task_stats(known).is_none());
    });
}

#[test]
fn an_executor_that_outlives_its_run_refuses_tasks() {
    let executor = sim::run(1, |executor| async move { executor.clone() });
    assert!(executor.spawn_async(async {}).join().unwrap_err().is_shut_down());
    assert!(executor.is_shutting_down());
    // `block_on` works as on any other executor that has been shut down.
    let (sender, receiver) = moirai::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(1));
    assert_eq!(executor.block_on(receiver), Ok(1));
    assert!(executor.shutdown().is_clean());
}

#[test]
fn a_task_that_is_unwound_at_the_end_may_wait_for_a_cancelled_one() {
    struct Waits(Option<moirai::TaskHandle<()>>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let handle = self.0.take().unwrap();
            assert!(handle.join().unwrap_err().is_shut_down());
        }
    }
    let failure = Simulation::new(3).run(|executor| async move {
        let waited_for = executor.spawn_async(std::future::pending::<()>());
        let never = executor.spawn_async(std::future::pending::<()>());
        let blocked = executor.spawn_blocking(move || {
            let _waits = Waits(Some(waited_for));
            let _ = never.join();
        });
        let _ = blocked.await;
    });
    assert!(matches!(failure.unwrap_err().cause(), Cause::Deadlock(tasks) if tasks.len() == 4));
}

#[test]
fn the_closure_that_makes_the_scenario_may_wait_and_may_panic() {
    let run = Simulation::new(3).run(|executor| {
        let one = executor.block_on(executor.spawn_async(time::sleep(HOUR))).map(|()| 1);
        async move { one.unwrap() }
    });
    assert_eq!(run.unwrap().output, 1);
    let panicked = std::panic::catch_unwind(|| {
        let scenario = |_| -> std::future::Ready<()> { panic!("before it begins") };
        Simulation::new(3).run(scenario)
    });
    assert!(panicked.is_err());
}

#[test]
fn a_seed_that_fails_is_found_and_fails_again() {
    // The failure needs four tasks to end in one order among many.
    let scenario = |executor: Moirai| async move {
        let stage = Arc::new(AtomicU32::new(0));
        let step = |from: u32| {
            let stage = Arc::clone(&stage);
            executor.spawn_async(async move {
                for _ in 0..3 {
                    yield_now().await;
                }
                let _ = stage.compare_exchange(from, from + 1, Ordering::SeqCst, Ordering::SeqCst);
            })
        };
        let tasks: Vec<_> = (0..4).rev().map(step).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_ne!(stage.load(Ordering::SeqCst), 4, "all in order");
    };
    let found = sim::explore(0..100_000, scenario);
    let failure = found.failure.expect("one of them fails");
    assert_eq!(found.runs, failure.seed() + 1);
    for _ in 0..10 {
        let again = Simulation::new(failure.seed()).run(scenario).unwrap_err();
        assert_eq!(again.cause().to_string(), failure.cause().to_string());
    }
    sim::explore(0..100, |_| async {}).expect_no_failure();
}

#[test]
fn a_simulation_inside_of_another_is_independent_of_it() {
    let inside = sim::run(1, |executor| async move {
        let inner = sim::run(2, |executor| async move {
            time::sleep(HOUR).await;
            executor.spawn_async(async { 1 }).await.unwrap()
        });
        let start = time::Instant::now();
        let outer = executor.spawn_async(async { 2 }).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        inner + outer
    });
    assert_eq!(inside, 3);
}
