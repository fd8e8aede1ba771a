use super::*;
use std::sync::atomic::AtomicBool;

#[test]
fn the_newest_events_are_there_and_the_others_are_not() {
    let writer = RingWriter::new(2);
    assert_eq!(writer.ring().read(0), Copied { first: 0, events: Vec::new() });
    (0..3).for_each(|number| writer.write([number, number]));
    let copied = writer.ring().read(0);
    assert_eq!(copied, Copied { first: 0, events: vec![[0, 0], [1, 1], [2, 2]] });
    (3..10).for_each(|number| writer.write([number, number]));
    // The place of the oldest is the next to be written, so that one does not count any more.
    let copied = writer.ring().read(0);
    assert_eq!(copied, Copied { first: 7, events: vec![[7, 7], [8, 8], [9, 9]] });
    assert_eq!(writer.ring().read(9), Copied { first: 9, events: vec![[9, 9]] });
    assert_eq!(writer.ring().read(99), Copied { first: 10, events: Vec::new() });
}

#[test]
fn a_reader_beside_the_writer_sees_whole_events_in_their_order() {
    let writer = RingWriter::new(6);
    let ring = Arc::clone(writer.ring());
    let done = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let is_done = Arc::clone(&done);
        let reader = scope.spawn(move || {
            let (mut reads, mut seen) = (0, 0);
            while !is_done.load(Ordering::Acquire) || reads < 100 {
                let copied = ring.read(0);
                for (number, words) in (copied.first..).zip(&copied.events) {
                    assert_eq!(*words, [number, !number]);
                }
                let end = copied.first + copied.events.len() as u64;
                assert!(end >= seen, "time goes on");
                seen = end;
                reads += 1;
            }
        });
        for number in 0..1_000_000 {
            writer.write([number, !number]);
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
}
