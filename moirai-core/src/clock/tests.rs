use super::*;

#[test]
fn a_timestamp_is_never_in_the_future() {
    let clock = Clock::system();
    let converter = clock.converter();
    assert_eq!(converter.timestamp(u64::MAX), converter.now());
    assert_eq!(converter.timestamp(0).as_nanos(), 0);
}

#[test]
fn the_system_clock_keeps_pace_with_instant() {
    let clock = Clock::system();
    let (a, start) = (clock.ticks(), Instant::now());
    while start.elapsed() < Duration::from_millis(20) {
        std::hint::spin_loop();
    }
    let (b, elapsed) = (clock.ticks(), start.elapsed());
    let converter = clock.converter();
    let span = converter.timestamp(b).saturating_since(converter.timestamp(a));
    // The thread may be off the processor between any two of these readings, so only one side is sharp.
    assert!(span + Duration::from_micros(100) > Duration::from_millis(20), "{span:?}");
    assert!(span < elapsed + Duration::from_secs(5), "{span:?} against {elapsed:?}");
}

#[test]
fn ticks_and_timestamps_convert_both_ways() {
    let (clock, manual) = Clock::manual();
    manual.advance(Duration::from_secs(100));
    let converter = clock.converter();
    let back = converter.ticks_before_now(Duration::from_secs(40)).unwrap();
    assert_eq!(converter.timestamp(back).as_nanos(), 60_000_000_000);
    assert_eq!(converter.ticks_before_now(Duration::from_secs(101)), None);
    assert_eq!(converter.ticks_before_now(Duration::MAX), None);
}

#[test]
fn differences_across_cores_saturate() {
    let (clock, manual) = Clock::manual();
    let early = clock.now();
    manual.advance(Duration::from_nanos(5));
    assert_eq!(early.saturating_since(clock.now()), Duration::ZERO);
}

#[test]
fn advancing_calls_every_listener() {
    let (_clock, manual) = Clock::manual();
    let calls = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let key = manual.listen({
        let calls = Arc::clone(&calls);
        move || {
            calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    manual.advance(Duration::MAX);
    manual.advance(Duration::MAX);
    manual.ignore(key);
    manual.advance(Duration::from_nanos(1));
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(manual.nanos(), u64::MAX);
}

#[test]
fn the_wall_clock_is_right_to_a_second() {
    let shown = Clock::system().now().to_system_time();
    let gap = SystemTime::now().duration_since(shown).unwrap_or_default();
    assert!(gap < Duration::from_secs(60), "{gap:?}");
}
