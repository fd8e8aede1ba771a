//! Tests of what a record says if it was asked to: tags, parents, progress and notes.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use common::{wait_until, watchdog};
use moirai::prelude::*;
use moirai::{Tags, task};

fn executor(workers: usize) -> Moirai {
    Moirai::builder().worker_threads(workers).build().unwrap()
}

#[test]
fn tasks_are_found_by_tags_while_they_run_and_after() {
    let _watchdog = watchdog();
    let executor = executor(2);
    let (release, released) = mpsc::channel::<()>();
    let waits = executor.task().tag("order", 7).tag("shop", "here").spawn_blocking(move || {
        let _ = released.recv();
    });
    let others: Vec<_> = (0..10)
        .map(|n| executor.task().tag("order", n).name("other").spawn_async(async {}))
        .collect();
    for other in others {
        other.join().unwrap();
    }
    let found = executor.tasks_tagged("order", 7);
    assert_eq!(found.len(), 2);
    assert!(found.iter().any(|task| task.id == waits.id() && task.status.is_active()));
    assert_eq!(executor.tasks_tagged("shop", "here").len(), 1);
    assert!(executor.tasks_tagged("shop", 7).is_empty());
    drop(release);
    let id = waits.id();
    waits.join().unwrap();
    let tags = executor.task_stats(id).unwrap().tags;
    assert_eq!(tags.iter().collect::<Vec<_>>(), [("order", "7"), ("shop", "here")]);
}

#[test]
fn tags_are_limited() {
    let _watchdog = watchdog();
    let executor = executor(1);
    let long = "x".repeat(10_000);
    let mut builder = executor.task();
    for n in 0..100 {
        builder = builder.tag(long.clone(), n);
    }
    let task = builder.spawn_parallel(|| ());
    let id = task.id();
    task.join().unwrap();
    let tags = executor.task_stats(id).unwrap().tags;
    assert_eq!(tags.iter().count(), Tags::MAX_TAGS);
    assert!(tags.iter().all(|(key, _)| key.len() < 1_000));
}

#[test]
fn a_task_tells_how_far_it_has_come() {
    let _watchdog = watchdog();
    let executor = executor(2);
    // With options and without, of each kind.
    let tell = |n: u64| {
        assert_eq!(task::current().unwrap().progress, None);
        task::set_progress(n, 2 * n);
        task::set_note("half");
        let told = task::current().unwrap();
        assert_eq!(told.progress.unwrap().fraction(), Some(0.5));
        assert_eq!(told.note.as_deref(), Some("half"));
        task::set_progress(2 * n, 2 * n);
        task::id().unwrap()
    };
    let ids = [
        executor.spawn_async(async move { tell(1) }).join().unwrap(),
        executor.spawn_parallel(move || tell(2)).join().unwrap(),
        executor.spawn_blocking(move || tell(3)).join().unwrap(),
        executor.task().name("n").tag("k", "v").spawn_async(async move { tell(4) }).join().unwrap(),
    ];
    for (id, n) in ids.into_iter().zip(1..) {
        let stats = executor.task_stats(id).unwrap();
        assert_eq!(stats.progress.unwrap().done, 2 * n);
        assert_eq!(stats.note.as_deref(), Some("half"));
    }
    assert_eq!(executor.task_stats(ids[3]).unwrap().tags.get("k"), Some("v"));
    assert_eq!(executor.task_stats(ids[3]).unwrap().name.as_deref(), Some("n"));
}

#[test]
fn outside_of_tasks_there_is_nothing_to_tell() {
    assert_eq!(task::id(), None);
    assert!(task::current().is_none() && task::name().is_none());
    task::set_progress(1, 2);
    task::set_note("nothing");
    let executor = executor(1);
    executor.block_on(async {
        task::set_progress(1, 2);
        assert_eq!(task::id(), None);
    });
}

#[test]
fn fork_join_work_tells_for_its_task() {
    let _watchdog = watchdog();
    let executor = executor(2);
    let computing = executor.spawn_parallel(|| {
        task::set_progress(0, 2);
        let id = task::id();
        let done = std::sync::atomic::AtomicU64::new(0);
        let step = || {
            assert_eq!(task::id(), id);
            task::set_progress(done.fetch_add(1, Ordering::SeqCst) + 1, 2);
        };
        moirai::join(step, step);
        id.unwrap()
    });
    let id = computing.join().unwrap();
    assert!(executor.task_stats(id).unwrap().progress.unwrap().done >= 1);
}

#[test]
fn a_parent_is_on_record() {
    let _watchdog = watchdog();
    let executor = executor(1);
    let parent = executor.spawn_async(async {
        let here = Moirai::current().unwrap();
        here.task().child_of_current().spawn_async(async {}).id()
    });
    let id = parent.id();
    let child = parent.join().unwrap();
    executor.block_on(executor.wait_for_task(child, None));
    assert_eq!(executor.task_stats(child).unwrap().parent, Some(id));
    assert_eq!(executor.task_stats(id).unwrap().parent, None);
}

#[test]
fn readers_see_whole_records_while_tasks_tell_and_the_memory_comes_back() {
    let _watchdog = watchdog();
    let executor = Moirai::builder()
        .worker_threads(2)
        .cleanup_config(CleanupConfig {
            task_retention_duration: Duration::ZERO,
            ..Default::default()
        })
        .build()
        .unwrap();
    // The pages of as many tasks.
    let warm: Vec<_> = (0..1_000).map(|_| executor.spawn_async(async {})).collect();
    warm.into_iter().for_each(|task| task.join().unwrap());
    executor.cleanup_completed_tasks();
    let before = executor.cleanup_stats().memory_bytes;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for stats in executor.tasks() {
                    if let Some(progress) = stats.progress {
                        assert_eq!(progress.total, 7 * progress.done);
                    }
                    assert!(stats.note.is_none_or(|note| &*note == "a note"));
                }
            }
        });
        for n in 0..2_000_u64 {
            let told = executor.spawn_async(async move {
                task::set_progress(n, 7 * n);
                moirai::yield_now().await;
                task::set_note("a note");
            });
            told.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    wait_until("no annotations are left", || {
        executor.cleanup_completed_tasks();
        // What 2,000 tasks have told takes a megabyte and more.
        executor.cleanup_stats().memory_bytes <= before + (64 << 10)
    });
}
