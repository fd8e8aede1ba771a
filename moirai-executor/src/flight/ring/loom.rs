//! Models of a ring: a reader beside the writer.

use loom::thread;
use moirai_core::flight::raw::Words;
use moirai_core::shim::sync::Arc;

use super::RingWriter;

/// Event number `number`, whose two words belong together.
fn event(number: u64) -> Words {
    [number + 10, number + 20]
}

fn model(bits: u32, before: u64, beside: u64) {
    loom::model(move || {
        let writer = RingWriter::new(bits);
        (0..before).for_each(|number| writer.write(event(number)));
        let ring = Arc::clone(writer.ring());
        let reader = thread::spawn(move || {
            let copied = ring.read(0);
            for (number, words) in (copied.first..).zip(&copied.events) {
                assert_eq!(*words, event(number), "an event is read as it was written");
            }
            copied.first + copied.events.len() as u64
        });
        (before..before + beside).for_each(|number| writer.write(event(number)));
        let end = reader.join().unwrap();
        assert!(end >= before, "what was written before is seen");
        let all = writer.ring().read(0);
        assert_eq!(all.first + all.events.len() as u64, before + beside);
    });
}

#[test]
fn loom_flight_ring_is_read_without_mixtures_while_it_is_filled() {
    model(1, 0, 2);
}

#[test]
fn loom_flight_ring_is_read_without_mixtures_while_events_are_overwritten() {
    model(1, 2, 2);
}

/// The right to write goes to another thread.
#[test]
fn loom_flight_ring_a_second_writer_goes_on_where_the_first_has_stopped() {
    loom::model(|| {
        let writer = RingWriter::new(1);
        let ring = Arc::clone(writer.ring());
        let first = thread::spawn(move || {
            writer.write(event(0));
            writer
        });
        let copied = ring.read(0);
        assert!(copied.events.iter().all(|words| *words == event(0)));
        let writer = first.join().unwrap();
        writer.write(event(1));
        let copied = ring.read(0);
        assert_eq!((copied.first, copied.events), (1, vec![event(1)]));
    });
}
