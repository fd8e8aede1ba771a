//! Tests of what the executor logs through `tracing`, and of the spans that tasks inherit.
//!
//! They hold the part of promise P17 (a task that keeps its worker is named) of `docs/src/guarantees.md` that concerns the log.

mod common;

use std::fmt::Write;
use std::sync::{Arc, Barrier, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use common::{Gate, ON_PURPOSE, retain_at_most, wait_until, watchdog};
use moirai::prelude::*;
use moirai::{Clock, ParkHook, idle};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber, info, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// An event that was logged.
#[derive(Clone, Debug)]
struct LoggedEvent {
    level: Level,
    target: String,
    /// The fields, as `name=value`.
    text: String,
    /// The names of the spans that it was in, the outermost first.
    spans: Vec<&'static str>,
    /// The fields of the innermost of them, as `name=value`.
    span_fields: String,
}

impl LoggedEvent {
    fn is_ours(&self, level: Level) -> bool {
        self.level == level && self.target.starts_with("moirai")
    }

    fn has(&self, parts: &[&str]) -> bool {
        parts.iter().all(|part| self.text.contains(part))
    }
}

/// A layer that records every event in [`EVENTS`].
struct Collector;

static EVENTS: Mutex<Vec<LoggedEvent>> = Mutex::new(Vec::new());

/// The fields of the spans that were closed.
static CLOSED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Renders an event's fields as text.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, "{field}={value} ").unwrap();
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let fields = |span: SpanRef<'_, S>| Some(span.extensions().get::<Text>()?.0.clone());
        let span_fields = context.lookup_current().and_then(fields);
        let spans = context
            .event_scope(event)
            .map(|scope| scope.from_root().map(|span| span.metadata().name()).collect::<Vec<_>>());
        EVENTS.lock().unwrap().push(LoggedEvent {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            text: text.0,
            spans: spans.unwrap_or_default(),
            span_fields: span_fields.unwrap_or_default(),
        });
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut text = Text(String::new());
        attributes.record(&mut text);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(text);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(text) = span.extensions_mut().get_mut::<Text>()
        {
            values.record(text);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(text) = span.extensions().get::<Text>()
        {
            CLOSED.lock().unwrap().push(text.0.clone());
        }
    }
}

/// Installs the collector, and keeps the other tests of this file from running at the same time, because events do not always say
/// of which executor they are.
fn alone() -> MutexGuard<'static, ()> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    static ALONE: Mutex<()> = Mutex::new(());
    INSTALLED.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Collector);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn events() -> Vec<LoggedEvent> {
    EVENTS.lock().unwrap().clone()
}

fn find(parts: &[&str]) -> Vec<LoggedEvent> {
    events().into_iter().filter(|event| event.has(parts)).collect()
}

#[test]
fn the_start_and_the_shutdown_are_logged() {
    let _watchdog = watchdog();
    let _alone = alone();
    let infos = || events().iter().filter(|event| event.is_ours(Level::INFO)).count();
    let before = infos();
    let executor = common::workers(1);
    assert_eq!(infos(), before + 1, "{:?}", events());
    common::assert_runs(&executor);
    assert_eq!(infos(), before + 1, "tasks are not logged at this level");
    executor.shutdown();
    let after = infos();
    assert!(after > before + 1, "{:?}", events());
    // The same without an explicit shutdown.
    let executor = common::workers(1);
    drop(executor);
    assert!(infos() > after + 1, "{:?}", events());
}

#[test]
fn a_stall_is_logged_once_and_again_when_it_is_over() {
    let _watchdog = watchdog();
    let _alone = alone();
    let budget = Duration::from_millis(20);
    let executor = Moirai::builder().worker_threads(1).stall_budget(budget).build().unwrap();
    let gate = Gate::new();
    let stuck = executor.task().name("stall-logged").spawn_async({
        let gate = gate.clone();
        async move { gate.wait() }
    });
    let id = format!("id={} ", stuck.id().get());
    let begun = [
        "name=stall-logged",
        &id,
        "kind=async",
        "tracing.rs",
        "worker=0",
        "age=",
        "keeps its worker",
    ];
    wait_until("the stall is logged", || !find(&begun).is_empty());
    // When the watchdog thread has looked again several times, the stall is still logged only once.
    let age = executor.stalled()[0].age;
    wait_until("the stall goes on", || executor.stalled()[0].age > age + 3 * budget);
    let events = find(&begun);
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].is_ours(Level::WARN));
    gate.open();
    stuck.join().unwrap();
    let over = ["name=stall-logged", &id, "has gone on", "age="];
    wait_until("its end is logged", || !find(&over).is_empty());
    assert_eq!(find(&over).len(), 1);
}

#[test]
fn the_panic_of_a_detached_task_is_logged() {
    let _watchdog = watchdog();
    let _alone = alone();
    let executor = common::workers(1);
    let fail = || std::panic::resume_unwind(Box::new(format!("{ON_PURPOSE}, detached")));
    for (kind, name) in
        ["detached-async", "detached-parallel", "detached-blocking"].into_iter().enumerate()
    {
        let gate = Gate::new();
        let passed = gate.clone();
        let task = executor.task().name(name);
        let line = line!() + 2;
        let handle: TaskHandle<()> = match kind {
            0 => task.spawn_async(async move {
                passed.passed().await;
                fail()
            }),
            1 => task.spawn_parallel(move || {
                passed.wait();
                fail()
            }),
            _ => task.spawn_blocking(move || {
                passed.wait();
                fail()
            }),
        };
        let id = handle.id();
        drop(handle);
        gate.open();
        wait_until("it has failed", || executor.task_status(id) == Some(TaskStatus::Failed));
        wait_until("the panic is logged", || !find(&[name]).is_empty());
        let warnings = find(&[name]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].is_ours(Level::WARN), "{warnings:?}");
        let line = format!("{}:{}", file!(), line + [0, 4, 8][kind]);
        assert!(warnings[0].has(&[&id.to_string(), &line, "detached"]), "{line}: {warnings:?}");
    }
}

#[test]
fn the_panic_of_a_task_that_is_waited_for_is_not_logged() {
    let _watchdog = watchdog();
    let _alone = alone();
    let executor = common::workers(1);
    for i in 0..3 {
        let task = executor.task().name("waited-for");
        let fail = || std::panic::resume_unwind(Box::new(ON_PURPOSE));
        let handle: TaskHandle<()> = match i {
            0 => task.spawn_async(async move { fail() }),
            1 => task.spawn_parallel(fail),
            _ => task.spawn_blocking(fail),
        };
        assert!(handle.join().unwrap_err().is_panicked());
    }
    // The end of a task whose handle has been dropped is not logged either, unless it is a panic.
    let cancelled = executor.task().name("waited-for").spawn_async(std::future::pending::<()>());
    let id = cancelled.id();
    drop(cancelled);
    executor.cancel_task(id);
    executor.shutdown();
    drop(executor);
    let warnings: Vec<_> =
        find(&["waited-for"]).into_iter().filter(|event| event.level <= Level::WARN).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn a_sweep_is_logged() {
    let _watchdog = watchdog();
    let _alone = alone();
    let (clock, controller) = Clock::manual();
    let executor = Moirai::builder()
        .worker_threads(1)
        .clock(clock)
        .cleanup_config(CleanupConfig {
            cleanup_interval: Duration::from_secs(1),
            ..retain_at_most(1_000, Duration::from_secs(60))
        })
        .build()
        .unwrap();
    for _ in 0..137 {
        executor.spawn_parallel(|| ()).join().unwrap();
    }
    controller.advance(Duration::from_secs(61));
    wait_until("all are swept", || {
        controller.advance(Duration::from_secs(1));
        executor.cleanup_stats().total_tasks == 0
    });
    let sweeps = || -> Vec<LoggedEvent> {
        events()
            .into_iter()
            .filter(|event| event.is_ours(Level::DEBUG) && event.has(&["137"]))
            .collect()
    };
    wait_until("the sweep is logged", || !sweeps().is_empty());
    let sweeps = sweeps();
    assert_eq!(sweeps.len(), 1, "{sweeps:?}");
    assert!(sweeps[0].has(&["age", "count", "bytes"]), "{sweeps:?}");
}

/// Runs one task of each kind, which log messages of their own.
fn log_from_tasks(executor: &Moirai, mark: &'static str) {
    let handles = [
        executor.spawn_async(async move {
            info!("{mark} first poll");
            yield_now().await;
            info!("{mark} second poll");
        }),
        executor.spawn_parallel(move || info!("{mark} parallel")),
        executor.spawn_blocking(move || info!("{mark} blocking")),
    ];
    for handle in handles {
        handle.join().unwrap();
    }
}

fn spans_of(message: &str) -> Vec<&'static str> {
    let events = find(&[message]);
    assert_eq!(events.len(), 1, "{message}: {events:?}");
    events[0].spans.clone()
}

const MESSAGES: [&str; 4] = ["first poll", "second poll", "parallel", "blocking"];

#[test]
fn tasks_inherit_the_span_of_their_spawn_if_configured() {
    let _watchdog = watchdog();
    let _alone = alone();
    let executor = Moirai::builder().worker_threads(1).inherit_spans(true).build().unwrap();
    info_span!("outer").in_scope(|| {
        info_span!("inner").in_scope(|| log_from_tasks(&executor, "inherited"));
    });
    for message in MESSAGES {
        assert_eq!(spans_of(&format!("inherited {message}")), ["outer", "inner"], "{message}");
    }
    // The span of one task is not inherited by the next, nor by a task that is spawned outside of it.
    log_from_tasks(&executor, "outside");
    for message in MESSAGES {
        assert!(spans_of(&format!("outside {message}")).is_empty(), "{message}");
    }
    // The same after a panic. And a task inherits the span of the task that spawns it.
    let failed: TaskHandle<()> = info_span!("panics")
        .in_scope(|| executor.spawn_parallel(|| std::panic::resume_unwind(Box::new(ON_PURPOSE))));
    assert!(failed.join().is_err());
    let nested = info_span!("grand").in_scope(|| {
        executor.spawn_async(async {
            let child = moirai::spawn_parallel(|| info!("grandchild"));
            child.await.unwrap();
        })
    });
    nested.join().unwrap();
    assert_eq!(spans_of("grandchild"), ["grand"]);
}

#[test]
fn fork_join_work_inherits_the_span_of_its_call_if_configured() {
    let _watchdog = watchdog();
    let _alone = alone();
    for inherits in [true, false] {
        let executor = Moirai::builder().worker_threads(2).inherit_spans(inherits).build().unwrap();
        let say = |what: &str| info!("{what} {inherits}");
        info_span!("outer").in_scope(|| {
            info_span!("inner").in_scope(|| {
                // They meet, so the second one is stolen.
                let meet = Barrier::new(2);
                executor.join(|| meet.wait(), || (say("stolen half"), meet.wait()));
                executor.scope(|s| {
                    s.spawn(|_| (say("job of a scope"), meet.wait()).0);
                    meet.wait();
                });
            });
        });
        let spans: &[&str] = if inherits { &["outer", "inner"] } else { &[] };
        for what in ["stolen half", "job of a scope"] {
            assert_eq!(spans_of(&format!("{what} {inherits}")), spans, "{what}");
        }
        // After a panic the thief is in no span, either.
        common::silence_expected_panics();
        let meet = Barrier::new(2);
        let panicked = std::panic::catch_unwind(|| {
            info_span!("panics").in_scope(|| {
                let panics = || {
                    meet.wait();
                    panic!("{ON_PURPOSE}")
                };
                executor.join(|| meet.wait(), panics)
            })
        });
        assert!(panicked.is_err());
        executor.join(|| meet.wait(), || (say("after a panic"), meet.wait()));
        assert!(spans_of(&format!("after a panic {inherits}")).is_empty());
    }
}

#[cfg(feature = "par-iter")]
#[test]
fn pieces_of_a_parallel_iterator_inherit_the_span_of_its_call() {
    use moirai::par::prelude::*;
    let _watchdog = watchdog();
    let _alone = alone();
    let executor = Moirai::builder().worker_threads(2).inherit_spans(true).build().unwrap();
    // They meet, so each runs on a thread of its own.
    let meet = Barrier::new(2);
    let say = |piece: usize| {
        meet.wait();
        info!("piece {piece}");
    };
    info_span!("iterates").in_scope(|| {
        executor.scope(|_| (0..2usize).par().for_each(say));
    });
    for piece in 0..2 {
        assert_eq!(spans_of(&format!("piece {piece}")), ["iterates"]);
    }
}

#[test]
fn each_task_has_a_span_of_its_own_if_configured() {
    let _watchdog = watchdog();
    let _alone = alone();
    for inherits in [false, true] {
        let builder = Moirai::builder().worker_threads(2).task_spans(true);
        let executor = builder.inherit_spans(inherits).build().unwrap();
        let said = format!("own {inherits}");
        let say = |what: &str| {
            let text = format!("{what} {said}");
            move || info!("{text}")
        };
        let (first, later, piece, blocks) =
            (say("first"), say("later"), say("piece"), say("blocks"));
        let (task, closure, blocking) = info_span!("outer").in_scope(|| {
            let task = executor.task().name("talkative").spawn_async(async move {
                first();
                yield_now().await;
                later();
            });
            let closure = executor.task().name("splits").spawn_parallel(move || {
                // They meet, so the second one is stolen.
                let meet = Barrier::new(2);
                moirai::join(|| meet.wait(), || (piece(), meet.wait()));
            });
            (task, closure, executor.spawn_blocking(blocks))
        });
        let ids = [task.id(), task.id(), closure.id(), blocking.id()];
        task.join().unwrap();
        closure.join().unwrap();
        blocking.join().unwrap();
        let spans: &[&str] = if inherits { &["outer", "task"] } else { &["task"] };
        let kinds = ["async", "async", "parallel", "blocking"];
        for ((what, id), kind) in ["first", "later", "piece", "blocks"].iter().zip(ids).zip(kinds) {
            let event = find(&[&format!("{what} {said}")]).pop().expect(what);
            assert_eq!(event.spans, spans, "{what}");
            let fields = &event.span_fields;
            assert!(fields.contains(&format!("id={id} ")), "{fields}");
            assert!(fields.contains(&format!("kind={kind} ")), "{fields}");
            assert!(fields.contains("tracing.rs"), "{fields}");
            let name = ["talkative", "splits"].iter().find(|name| fields.contains(**name));
            assert_eq!(name.is_some(), *what != "blocks", "{fields}");
            wait_until("its span is closed", || CLOSED.lock().unwrap().contains(fields));
        }
    }
}

#[test]
fn tasks_inherit_no_span_by_default() {
    let _watchdog = watchdog();
    let _alone = alone();
    let executor = common::workers(1);
    info_span!("unwanted").in_scope(|| log_from_tasks(&executor, "default"));
    for message in MESSAGES {
        assert!(spans_of(&format!("default {message}")).is_empty(), "{message}");
    }
}

#[test]
fn the_panic_of_a_group_member_is_logged_if_its_result_is_not_kept() {
    let _watchdog = watchdog();
    let _alone = alone();
    common::silence_expected_panics();
    let executor = common::workers(1);
    for (keeps, logged) in [(false, 1), (true, 0)] {
        let mut group = executor.group::<()>();
        if keeps {
            group = group.keep_results();
        }
        let before = find(&["a task panicked", ON_PURPOSE]).len();
        group.spawn_async(async { panic!("{ON_PURPOSE}") });
        executor.block_on(group.join_all());
        assert_eq!(find(&["a task panicked", ON_PURPOSE]).len(), before + logged, "{keeps}");
    }
}

#[test]
fn a_retention_class_that_there_is_not_is_warned_of_once() {
    let _watchdog = watchdog();
    let _alone = alone();
    let limits = Retention { max_records: 1, max_age: Duration::MAX };
    let executor = Moirai::builder().worker_threads(1).retention("jobs", limits).build().unwrap();
    let warnings = || find(&["asks for a retention class", "class=mails"]);
    executor.task().retention("jobs").spawn_parallel(|| ()).join().unwrap();
    assert!(find(&["asks for a retention class"]).is_empty());
    executor.task().retention("mails").spawn_parallel(|| ()).join().unwrap();
    executor.task().retention("notes").spawn_parallel(|| ()).join().unwrap();
    assert_eq!(warnings().len(), 1, "{:?}", events());
    assert!(warnings()[0].is_ours(Level::WARN));
    assert_eq!(find(&["asks for a retention class"]).len(), 1, "the next is not warned of");
}

#[test]
fn hints_that_the_scheduler_does_not_read_are_warned_of_once() {
    use moirai::scheduler::{EarliestDeadline, ThreadPerCore};

    let _watchdog = watchdog();
    let _alone = alone();
    let warnings = || find(&["a task has hints that the scheduler does not read"]);
    let with = |executor: Moirai| {
        let before = warnings().len();
        let timeout = executor.task().timeout(common::HOUR);
        timeout.spawn_async(async {}).join().unwrap();
        assert_eq!(warnings().len(), before, "a timeout is not a hint");
        executor.task().affinity(1).spawn_async(async {}).join().unwrap();
        executor.task().deadline(common::HOUR).spawn_async(async {}).join().unwrap();
        warnings()[before..].iter().map(|event| event.text.clone()).collect::<Vec<_>>()
    };
    let builder = || Moirai::builder().worker_threads(1);
    for (executor, unread) in [
        (builder(), "affinities"),
        (builder().scheduler(EarliestDeadline::new()), "affinities"),
        (builder().scheduler(ThreadPerCore::hashed()), "deadlines"),
    ] {
        let warned = with(executor.build().unwrap());
        assert_eq!(warned.len(), 1, "{warned:?}");
        assert!(warned[0].contains(&format!("hints={unread} ")), "{warned:?}");
    }
}

/// A park hook that keeps a worker, as if it ran a job, until the gate is open, and whose destructor panics.
struct Keeping(Gate);

impl ParkHook for Keeping {
    fn park(&self, _: usize) {
        assert!(idle::suspend());
        self.0.wait();
        std::thread::yield_now();
    }
    fn unpark(&self, _: usize) {}
    fn poll(&self) {}
    fn is_driven(&self) -> bool {
        true
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new(ON_PURPOSE));
    }
}

/// Gives its park hook away.
struct GivesHook(Mutex<Option<Keeping>>);

impl ExecutorPlugin for GivesHook {
    fn park_hook(&self) -> Option<Arc<dyn ParkHook>> {
        Some(Arc::new(self.0.lock().unwrap().take()?))
    }
}

#[test]
fn a_park_hook_that_keeps_a_worker_and_one_that_panics_at_the_end_are_logged() {
    let _watchdog = watchdog();
    let _alone = alone();
    let gate = Gate::new();
    let hook = GivesHook(Mutex::new(Some(Keeping(gate.clone()))));
    let builder = Moirai::builder().worker_threads(1).stall_budget(Duration::from_millis(20));
    let executor = builder.plugin(hook).build().unwrap();
    let kept = ["worker=0", "age=", "park hook keeps a worker"];
    wait_until("it is logged", || !find(&kept).is_empty());
    assert!(find(&kept)[0].is_ours(Level::WARN));
    gate.open();
    executor.spawn_async(async {}).join().unwrap();
    let panicked = ["destructor of a park hook", ON_PURPOSE];
    assert!(find(&panicked).is_empty());
    drop(executor);
    wait_until("the panic is logged", || !find(&panicked).is_empty());
    assert!(find(&panicked)[0].is_ours(Level::ERROR));
}
