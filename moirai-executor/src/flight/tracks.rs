//! The rings of an executor's threads.
//!
//! Each thread that runs tasks gets a ring when it starts. When it ends, its ring stays, so that what it did can be read: the last
//! [`ENDED`] of each size. Once there are as many, a new thread gets that of the thread which ended first.

use moirai_core::shim::sync::{Arc, Mutex};
use moirai_core::{FlightRecorderConfig, ThreadKind};

use super::ring::{Ring, RingWriter};

/// The number of rings of each size that are kept of threads which have ended.
const ENDED: usize = 8;

/// The size of an event, as a power of two: two words.
const EVENT_BITS: u32 = 4;

/// How much smaller the ring of a thread for blocking tasks is, as a power of two.
const BLOCKING_BITS: u32 = 4;

/// The rings of an executor's threads; see the [module](self).
pub(crate) struct Tracks {
    /// The sizes of rings in events, as powers of two.
    bits: u32,
    blocking_bits: u32,
    tracks: Mutex<Vec<Track>>,
}

/// What one thread writes, or has written.
#[derive(Clone)]
pub(crate) struct Track {
    pub(crate) name: String,
    /// `None` for a thread that runs no tasks.
    pub(crate) kind: Option<ThreadKind>,
    pub(crate) ring: Arc<Ring>,
    /// The number of the thread's first event.
    pub(crate) from: u64,
    /// Whether the thread has ended.
    pub(crate) ended: bool,
}

impl Tracks {
    /// Returns `None` if the recorder is off.
    pub(crate) fn new(config: &FlightRecorderConfig) -> Option<Self> {
        let bits = |bytes: usize| bytes.checked_ilog2().map(|bits| bits.saturating_sub(EVENT_BITS));
        let blocking =
            (config.bytes_per_thread >> BLOCKING_BITS).max(FlightRecorderConfig::MIN_BYTES);
        Some(Self {
            bits: bits(config.bytes_per_thread)?,
            blocking_bits: bits(blocking)?,
            tracks: Mutex::new(Vec::new()),
        })
    }

    /// Returns the ring of a thread that starts.
    pub(crate) fn start(&self, name: &str, kind: Option<ThreadKind>) -> RingWriter {
        let bits = match kind {
            Some(ThreadKind::Blocking) | None => self.blocking_bits,
            Some(_) => self.bits,
        };
        let mut tracks = self.tracks.lock();
        let ended = |track: &Track| track.ended && track.ring.length() == 1 << bits;
        let reused = if tracks.iter().filter(|track| ended(track)).count() >= ENDED {
            // Those that have ended stand in the order of their ends, before the others.
            tracks.iter().position(ended).map(|index| tracks.remove(index).ring)
        } else {
            None
        };
        let writer = match reused {
            Some(ring) => RingWriter::again(ring),
            None => RingWriter::new(bits),
        };
        let ring = Arc::clone(writer.ring());
        let name = name.to_owned();
        tracks.push(Track { name, kind, from: ring.written(), ring, ended: false });
        writer
    }

    /// Takes the ring of a thread that ends.
    pub(crate) fn end(&self, writer: RingWriter) {
        writer.set_activity(None);
        let mut tracks = self.tracks.lock();
        let is_its = |track: &Track| !track.ended && Arc::ptr_eq(&track.ring, writer.ring());
        if let Some(index) = tracks.iter().position(is_its) {
            let track = tracks.remove(index);
            let length = track.ring.length();
            let ended = |track: &Track| track.ended && track.ring.length() == length;
            if tracks.iter().filter(|track| ended(track)).count() >= ENDED
                && let Some(oldest) = tracks.iter().position(ended)
            {
                tracks.remove(oldest);
            }
            let place = tracks.iter().filter(|track| track.ended).count();
            tracks.insert(place, Track { ended: true, ..track });
        }
        // The lock orders what was written before what the next writer writes.
        drop(writer);
    }

    /// Returns all of them. First stand those of threads that have ended.
    pub(crate) fn all(&self) -> Vec<Track> {
        self.tracks.lock().clone()
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    fn tracks() -> Tracks {
        Tracks::new(&FlightRecorderConfig { bytes_per_thread: 5_000, ..Default::default() })
            .unwrap()
    }

    #[test]
    fn sizes_are_rounded_down_and_those_of_blocking_threads_are_smaller() {
        let tracks = tracks();
        let length = |kind| tracks.start("x", kind).ring().length();
        assert_eq!(length(Some(ThreadKind::Worker)), 4_096 / 16);
        assert_eq!(length(Some(ThreadKind::Blocking)), 1_024 / 16);
        assert!(Tracks::new(&FlightRecorderConfig::off()).is_none());
    }

    #[test]
    fn the_ring_of_a_thread_that_has_ended_is_read_until_another_needs_it() {
        let tracks = tracks();
        for number in 0..100_u64 {
            let writer = tracks.start(&format!("thread {number}"), Some(ThreadKind::Spare));
            writer.write([number, number]);
            tracks.end(writer);
        }
        let all = tracks.all();
        assert_eq!(all.len(), ENDED);
        for (number, track) in (92..).zip(&all) {
            assert_eq!(track.name, format!("thread {number}"));
            assert!(track.ended);
            assert_eq!(track.ring.read(track.from).events, [[number, number]]);
        }
    }

    #[test]
    fn threads_at_a_time_have_rings_of_their_own() {
        let tracks = tracks();
        let writers: Vec<_> =
            (0..20).map(|_| tracks.start("x", Some(ThreadKind::Worker))).collect();
        let all = tracks.all();
        assert_eq!(all.len(), 20);
        assert!(
            all.iter().zip(&writers).all(|(track, writer)| Arc::ptr_eq(&track.ring, writer.ring()))
        );
        writers.into_iter().for_each(|writer| tracks.end(writer));
        assert_eq!(tracks.all().len(), ENDED);
    }
}
