//! Simulation: the same seed gives the same run, and what cannot go on is told.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use moirai::sim::{self, Cause, Simulation, Strategy};
use moirai::{Moirai, TaskError, TaskStatus, time, yield_now};

const HOUR: Duration = Duration::from_secs(3600);

/// Everything at once: timers, closures, waits in the middle of a step, fork-join, a task that is cancelled, one that fails.
async fn a_bit_of_everything(m: Moirai) -> Vec<String> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |who: String| {
        let log = Arc::clone(&log);
        move || log.lock().unwrap().push(format!("{who} {:?}", Moirai::worker_index()))
    };
    let mut handles = Vec::new();
    for number in 0..6_u64 {
        let note = note(format!("sleeper {number}"));
        handles.push(m.spawn_async(async move {
            for _ in 0..3 {
                time::sleep(Duration::from_millis(1 + number % 3)).await;
                note();
                yield_now().await;
            }
        }));
    }
    for number in 0..3 {
        let (inner, note) = (m.clone(), note(format!("blocking {number}")));
        handles.push(m.spawn_blocking(move || {
            let waits = inner.spawn_async(time::sleep(Duration::from_millis(2)));
            waits.join().unwrap();
            note();
        }));
        let (first, second) = (note_of(&log, "first"), note_of(&log, "second"));
        handles.push(m.spawn_parallel(move || {
            moirai::join(first, second);
        }));
    }
    let stuck = m.task().timeout(HOUR).spawn_async(std::future::pending::<()>());
    let failing = m.task().name("failing").spawn_async(async {
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    for handle in handles {
        handle.await.unwrap();
    }
    assert!(failing.await.is_err_and(|error: TaskError| error.is_panicked()));
    assert!(stuck.await.unwrap_err().is_timed_out());
    Arc::try_unwrap(log).unwrap().into_inner().unwrap()
}

fn note_of(log: &Arc<Mutex<Vec<String>>>, who: &'static str) -> impl Fn() + Send + 'static {
    let log = Arc::clone(log);
    move || log.lock().unwrap().push(who.into())
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
    assert!(fingerprints.len() > 35, "seeds give runs of their own: {}", fingerprints.len());
}

/// What a process of its own says of a run.
fn told_by_another_process() -> String {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_same_in_another_process", "--nocapture"])
        .env("MOIRAI_TEST_TELL", "1")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_same_in_another_process() {
    let run = Simulation::new(11).workers(3).run(a_bit_of_everything).unwrap();
    let told = format!("{:?} {:?} {:x}", run.output, run.tasks, run.fingerprint);
    if std::env::var_os("MOIRAI_TEST_TELL").is_some() {
        println!("{told}");
        return;
    }
    assert!(told_by_another_process().contains(&told));
}

#[test]
fn the_run_of_a_seed_is_what_it_was() {
    // On another machine, and in another build, too. It changes only when the executor does.
    let run = Simulation::new(1).strategy(Strategy::Uniform).run(|m| async move {
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let numbers = Arc::clone(&numbers);
                m.spawn_async(async move { numbers.lock().unwrap().push(number) })
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
    let run = Simulation::new(3).config(config).run(|m| async move {
        let begin = time::Instant::now();
        let late = m.spawn_async(async {
            time::sleep(24 * HOUR).await;
            time::Instant::now()
        });
        let computes = m.spawn_async(async {
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
fn a_deadlock_is_told_with_who_waits_and_where_it_was_spawned() {
    let failure = Simulation::new(5)
        .run(|m| async move {
            let (here, there) = (moirai::sync::Event::new(), moirai::sync::Event::new());
            let (here, there) = (Arc::new(here), Arc::new(there));
            let one = m.task().name("one").spawn_async({
                let (here, there) = (Arc::clone(&here), Arc::clone(&there));
                async move {
                    here.wait().await;
                    there.set();
                }
            });
            let other = m.task().name("other").spawn_async(async move {
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
    // The first waits for the last, and the others for one another: a stack of waits could not end.
    for seed in 0..50 {
        let sum = sim::run(seed, |m| async move {
            let (start, started) = (Arc::new(AtomicBool::new(false)), moirai::sync::Event::new());
            let started = Arc::new(started);
            let release = Arc::clone(&started);
            let slow = m.spawn_async(async move {
                release.wait().await;
                1
            });
            let inner = m.clone();
            let a = m.spawn_blocking(move || slow.join().unwrap() + 1);
            let b = m.spawn_blocking(move || inner.block_on(a).unwrap() + 1);
            let c = m.spawn_parallel(move || b.join().unwrap() + 1);
            let d = m.spawn_async(async move { c.join().unwrap() + 1 });
            for _ in 0..5 {
                yield_now().await;
            }
            start.store(true, Ordering::Relaxed);
            started.set();
            d.await.unwrap()
        });
        assert_eq!(sum, 5);
    }
}

#[test]
fn a_wait_with_a_limit_ends_by_the_simulated_time() {
    let run = Simulation::new(9).run(|m| async move {
        let inner = m.clone();
        m.spawn_blocking(move || {
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
fn a_task_that_waits_for_ever_in_the_middle_of_a_step_is_unwound() {
    let dropped = Arc::new(AtomicBool::new(false));
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let guard = Dropped(Arc::clone(&dropped));
    let run = Simulation::new(2).run(|m| async move {
        let never = m.spawn_async(std::future::pending::<()>());
        let waits = m.spawn_blocking(move || {
            let _guard = guard;
            let _ = never.join();
        });
        yield_now().await;
        drop(waits);
    });
    run.unwrap();
    assert!(dropped.load(Ordering::Relaxed));
    let failure = Simulation::new(2)
        .run(|m| async move {
            m.spawn_blocking(|| moirai::block_on(std::future::pending::<()>())).await
        })
        .unwrap_err();
    assert!(matches!(failure.cause(), Cause::Deadlock(tasks) if tasks.len() == 2), "{failure}");
}

#[test]
fn a_failed_run_leaves_nothing_behind() {
    let alive = Arc::new(());
    let stuck = |m: Moirai| {
        let (inside, beside) = (Arc::clone(&alive), Arc::clone(&alive));
        async move {
            let task = m.spawn_async(async move {
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
fn a_panic_that_nobody_would_see_is_a_failure_and_one_that_is_seen_is_none() {
    let failure = Simulation::new(4)
        .run(|m| async move {
            drop(m.task().name("alone").spawn_async(async { panic!("unseen") }));
            for _ in 0..100 {
                yield_now().await;
            }
        })
        .unwrap_err();
    let Cause::Unseen(stats) = failure.cause() else { panic!("{failure}") };
    assert_eq!((stats.name.as_deref(), stats.error.as_deref()), (Some("alone"), Some("unseen")));
    sim::run(4, |m| async move {
        let seen = m.spawn_async(async { panic!("seen") });
        assert!(seen.await.unwrap_err().is_panicked());
    });
}

#[test]
fn a_scenario_without_end_is_ended() {
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
fn which_closure_of_a_join_goes_first_is_drawn() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..40 {
        orders.insert(sim::run(seed, |m| async move {
            let order = Mutex::new(String::new());
            let note = |what: &str| order.lock().unwrap().push_str(what);
            let (one, two) = m.join(
                || {
                    note("a");
                    m.join(|| note("b"), || note("c"));
                    1
                },
                || {
                    note("d");
                    2
                },
            );
            assert_eq!((one, two), (1, 2));
            m.scope(|s| {
                s.spawn(|_| note("1"));
                s.spawn(|_| note("2"));
            });
            order.into_inner().unwrap()
        }));
    }
    // "d" first or last; "b" and "c", "1" and "2" either way.
    assert_eq!(orders.len(), 8, "{orders:?}");
}

#[test]
fn a_shutdown_from_inside_is_simulated_too() {
    let run = Simulation::new(6).run(|m| async move {
        let stuck = m.spawn_async(std::future::pending::<()>());
        let inner = m.clone();
        let task = m.spawn_async(async move { inner.shutdown_timeout(HOUR).still_active });
        assert_eq!(task.await.unwrap(), 3);
        assert!(m.spawn_async(async {}).await.unwrap_err().is_shut_down());
        // The scenario is cancelled with the others: it is a task like them.
        let _ = stuck.await;
        yield_now().await;
    });
    let failure = run.unwrap_err();
    assert!(matches!(failure.cause(), Cause::Failed(error) if error.is_shut_down()), "{failure}");
}

#[test]
fn books_are_swept_by_the_simulated_time() {
    sim::run(8, |m| async move {
        let id = m.spawn_async(async {});
        let known = id.id();
        id.await.unwrap();
        assert_eq!(m.task_stats(known).unwrap().status, TaskStatus::Completed);
        // Five minutes of retention, and a sweep every thirty seconds.
        time::sleep(Duration::from_secs(400)).await;
        yield_now().await;
        assert!(m.task_stats(known).is_none());
    });
}

#[test]
fn what_outlives_the_run_is_refused() {
    let m = sim::run(1, |m| async move { m.clone() });
    assert!(m.spawn_async(async {}).join().unwrap_err().is_shut_down());
    assert!(m.is_shutting_down());
    // Waiting is as anywhere else.
    let (sender, receiver) = moirai::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(1));
    assert_eq!(m.block_on(receiver), Ok(1));
    assert!(m.shutdown().is_clean());
}

#[test]
fn what_unwinds_at_the_end_may_wait_for_what_is_cancelled() {
    struct Waits(Option<moirai::TaskHandle<()>>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let handle = self.0.take().unwrap();
            assert!(handle.join().unwrap_err().is_shut_down());
        }
    }
    let failure = Simulation::new(3).run(|m| async move {
        let waited_for = m.spawn_async(std::future::pending::<()>());
        let never = m.spawn_async(std::future::pending::<()>());
        let blocked = m.spawn_blocking(move || {
            let _waits = Waits(Some(waited_for));
            let _ = never.join();
        });
        let _ = blocked.await;
    });
    assert!(matches!(failure.unwrap_err().cause(), Cause::Deadlock(tasks) if tasks.len() == 4));
}

#[test]
fn a_scenario_may_wait_before_it_begins_and_may_panic_there() {
    let run = Simulation::new(3).run(|m| {
        let one = m.block_on(m.spawn_async(time::sleep(HOUR))).map(|()| 1);
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
    // It needs three steps in the right order, among many.
    let scenario = |m: Moirai| async move {
        let stage = Arc::new(AtomicU32::new(0));
        let step = |from: u32| {
            let stage = Arc::clone(&stage);
            m.spawn_async(async move {
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
fn a_simulation_inside_of_a_simulation_is_one_of_its_own() {
    let inside = sim::run(1, |m| async move {
        let inner = sim::run(2, |m| async move {
            time::sleep(HOUR).await;
            m.spawn_async(async { 1 }).await.unwrap()
        });
        let start = time::Instant::now();
        let outer = m.spawn_async(async { 2 }).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        inner + outer
    });
    assert_eq!(inside, 3);
}
