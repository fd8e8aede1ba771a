//! A hierarchical timing wheel, which keeps deadlines in order at a constant cost for each.
//!
//! Time is counted in *ticks*. A deadline and the wheel's present tick are compared as numbers in base 64: the highest digit in
//! which they differ determines the level on which the deadline is kept, and the deadline's value of that digit the slot on this
//! level. A slot holds the indices of its entries. So a deadline in the present block of 64 ticks is on the lowest level, exact to
//! the tick, and one that is further off is moved down by at least one level when its slot is reached. A deadline is inserted and
//! removed in constant time, and is moved at most [`LEVELS`] times.
//!
//! Two things follow from taking the *differing* digit: a slot that holds entries never lies behind the present tick on its level,
//! so nothing wraps around; and all deadlines of a level come before all those of the level above.
//!
//! The idea is that of Varghese and Lauck (*Hashed and Hierarchical Timing Wheels*, 1987), in the form that tokio's timer has.
//! Unlike tokio's, the entries are in pages that the wheel owns, and are named by indices, so that no unsafe code is needed for
//! them.

use std::mem;

/// The number of levels. Each stands for a digit of 6 bits, and together they cover every tick.
const LEVELS: usize = 11;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;

/// The number of entries in a page.
const PAGE: usize = 1 << PAGE_BITS;
const PAGE_BITS: u32 = if cfg!(moirai_loom) { 2 } else { 10 };

/// Marks the end of the list of free entries.
const NONE: u32 = u32::MAX;

/// Stands in a slot's list in the place of an entry that was removed.
const GONE: u32 = u32::MAX;

/// A slot whose list has room for more entries than this frees its memory when it becomes empty. A list is compacted only if more
/// than this many were removed.
const KEPT: usize = 64;

/// Identifies one insertion. Its number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WheelKey {
    index: u32,
    number: u64,
}

/// Deadlines, each with an item that is returned when the deadline is reached.
#[derive(Debug)]
pub(crate) struct Wheel<T> {
    /// The present tick: all items that are due before it have been returned.
    now: u64,
    slots: Box<[WheelSlot]>,
    /// A bit for each slot that is not empty.
    occupied: [u64; LEVELS],
    /// The slot that [`fire`](Self::fire) has begun to empty, if its steps were used up before it was done.
    moving: Option<SlotIndex>,
    pages: Vec<Box<[TimerEntry<T>]>>,
    free: u32,
    live: usize,
    /// The number of insertions so far.
    number: u64,
}

/// An entry. It has a cache line of its own, because entries are accessed in any order.
#[derive(Debug)]
#[repr(align(64))]
struct TimerEntry<T> {
    deadline: u64,
    /// The number of the insertion; 0 while the entry is free.
    number: u64,
    item: Option<T>,
    /// The entry's position in the list of its slot; while the entry is free, the index of the next free entry.
    position: u32,
    slot_index: SlotIndex,
}

/// The entries of a slot.
#[derive(Debug, Default)]
struct WheelSlot {
    /// The indices of the entries, with [`GONE`] in the place of each that was removed.
    entries: Vec<u32>,
    gone: usize,
}

/// The index of a slot among the slots of all levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SlotIndex(u16);

impl SlotIndex {
    #[allow(clippy::cast_possible_truncation)]
    const fn new(level: usize, slot: usize) -> Self {
        Self((level * SLOTS + slot) as u16)
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

impl<T> Wheel<T> {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            slots: (0..LEVELS * SLOTS).map(|_| WheelSlot::default()).collect(),
            occupied: [0; LEVELS],
            moving: None,
            pages: Vec::new(),
            free: NONE,
            live: 0,
            number: 0,
        }
    }

    /// Returns the number of deadlines that are pending.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Inserts an item. If its deadline has passed, it is due at once.
    pub(crate) fn insert(&mut self, deadline: u64, item: T) -> WheelKey {
        let deadline = deadline.max(self.now);
        if self.free == NONE {
            self.add_page();
        }
        let index = self.free;
        self.number += 1;
        let number = self.number;
        let entry = self.entry(index);
        entry.deadline = deadline;
        entry.number = number;
        entry.item = Some(item);
        let next_free = entry.position;
        self.free = next_free;
        self.live += 1;
        self.link(index, deadline);
        WheelKey { index, number }
    }

    /// Returns the item with this key; `None` if it was returned or removed since.
    pub(crate) fn get_mut(&mut self, key: WheelKey) -> Option<&mut T> {
        let entry = self.known(key)?;
        entry.item.as_mut()
    }

    /// Removes the item with this key; `None` if it was returned or removed since.
    pub(crate) fn remove(&mut self, key: WheelKey) -> Option<T> {
        self.known(key)?;
        self.unlink(key.index);
        let item = self.release(key.index);
        self.trim();
        item
    }

    /// Removes all items.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let entries = (0..).zip(self.pages.iter().flatten());
        let pending = entries.filter(|(_, entry)| entry.item.is_some());
        let keys: Vec<_> =
            pending.map(|(index, entry)| WheelKey { index, number: entry.number }).collect();
        keys.into_iter().filter_map(|key| self.remove(key)).collect()
    }

    /// Advances the wheel towards `tick`, and passes the items that are due to `due`.
    ///
    /// Takes at most `steps` steps, of which each passes on one item, moves one entry down, or leaves a slot that has become empty.
    /// Returns `true` if the steps were used up, and there may be more items that are due.
    pub(crate) fn fire(&mut self, tick: u64, mut steps: usize, mut due: impl FnMut(T)) -> bool {
        loop {
            let (slot_index, at) = match self.moving {
                Some(slot_index) => (slot_index, self.now),
                None => match self.first() {
                    Some((slot_index, at)) if at <= tick => (slot_index, at),
                    _ => break,
                },
            };
            self.now = self.now.max(at);
            loop {
                self.moving = Some(slot_index);
                if steps == 0 {
                    return true;
                }
                steps -= 1;
                let Some(index) = self.pop(slot_index) else {
                    self.moving = None;
                    break;
                };
                let deadline = self.entry(index).deadline;
                if deadline > self.now {
                    self.link(index, deadline);
                } else if let Some(item) = self.release(index) {
                    due(item);
                }
            }
        }
        self.now = self.now.max(tick);
        self.trim();
        false
    }

    /// Returns the tick at which to call [`fire`](Self::fire) next: that of the first deadline, or an earlier one at which entries
    /// are to be moved down. `None` if there are no deadlines.
    pub(crate) fn next(&self) -> Option<u64> {
        if self.moving.is_some() {
            return Some(self.now);
        }
        self.first().map(|(_, at)| at)
    }

    /// Returns the first slot that holds entries, and the tick at which it begins.
    fn first(&self) -> Option<(SlotIndex, u64)> {
        let level = self.occupied.iter().position(|&occupied| occupied != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        let shift = BITS * level as u32;
        let above = self.now >> shift >> BITS << BITS << shift;
        Some((SlotIndex::new(level, slot), above | (slot as u64) << shift))
    }

    fn link(&mut self, index: u32, deadline: u64) {
        let differs = deadline ^ self.now;
        let level = (63 - (differs | 1).leading_zeros()) / BITS;
        let slot = (deadline >> (BITS * level)) as usize % SLOTS;
        let slot_index = SlotIndex::new(level as usize, slot);
        self.occupied[level as usize] |= 1 << slot;
        let entries = &mut self.slots[slot_index.index()].entries;
        // Fewer than 2^32: there are fewer entries than that, and removed ones take up at most as many places again.
        #[allow(clippy::cast_possible_truncation)]
        let position = entries.len() as u32;
        entries.push(index);
        let entry = self.entry(index);
        entry.slot_index = slot_index;
        entry.position = position;
    }

    /// Removes an entry from the list of its slot. The others keep their positions, so that none of them is accessed: with many
    /// deadlines each access is a cache miss.
    fn unlink(&mut self, index: u32) {
        let entry = self.entry(index);
        let (position, slot_index) = (entry.position, entry.slot_index);
        let slot = &mut self.slots[slot_index.index()];
        slot.entries[position as usize] = GONE;
        slot.gone += 1;
        if slot.gone == slot.entries.len() {
            self.vacate(slot_index);
        } else if slot.gone > KEPT && slot.gone * 2 > slot.entries.len() {
            self.close_up(slot_index);
        }
    }

    /// Removes the last entry from the list of a slot.
    fn pop(&mut self, slot_index: SlotIndex) -> Option<u32> {
        let slot = &mut self.slots[slot_index.index()];
        while let Some(index) = slot.entries.pop() {
            if index != GONE {
                if slot.entries.is_empty() {
                    self.vacate(slot_index);
                }
                return Some(index);
            }
            slot.gone -= 1;
        }
        self.vacate(slot_index);
        None
    }

    /// Marks a slot as empty.
    fn vacate(&mut self, slot_index: SlotIndex) {
        let slot = &mut self.slots[slot_index.index()];
        slot.gone = 0;
        slot.entries.clear();
        if slot.entries.capacity() > KEPT {
            slot.entries = Vec::new();
        }
        self.occupied[slot_index.index() / SLOTS] &= !(1 << (slot_index.index() % SLOTS));
    }

    /// Compacts the list of a slot, of which more than half is gone: so each removal pays for at most one entry that is moved.
    fn close_up(&mut self, slot_index: SlotIndex) {
        let slot = &mut self.slots[slot_index.index()];
        slot.gone = 0;
        let mut entries = mem::take(&mut slot.entries);
        entries.retain(|index| *index != GONE);
        entries.shrink_to(2 * entries.len());
        for (position, &index) in (0..).zip(&entries) {
            self.entry(index).position = position;
        }
        self.slots[slot_index.index()].entries = entries;
    }

    /// Frees an entry that is in no slot, and returns its item.
    fn release(&mut self, index: u32) -> Option<T> {
        let free = mem::replace(&mut self.free, index);
        self.live -= 1;
        let entry = self.entry(index);
        entry.position = free;
        entry.number = 0;
        entry.item.take()
    }

    fn known(&mut self, key: WheelKey) -> Option<&mut TimerEntry<T>> {
        let page = self.pages.get_mut((key.index >> PAGE_BITS) as usize)?;
        let entry = &mut page[key.index as usize % PAGE];
        (entry.number == key.number).then_some(entry)
    }

    fn entry(&mut self, index: u32) -> &mut TimerEntry<T> {
        &mut self.pages[(index >> PAGE_BITS) as usize][index as usize % PAGE]
    }

    fn add_page(&mut self) {
        let first = u32::try_from(self.pages.len() * PAGE).expect("fewer than 2^32 deadlines");
        let last = first + PAGE as u32 - 1;
        let entries = (first..=last).map(|index| TimerEntry {
            deadline: 0,
            number: 0,
            item: None,
            position: if index == last { self.free } else { index + 1 },
            slot_index: SlotIndex::new(0, 0),
        });
        self.pages.push(entries.collect());
        self.free = first;
    }

    /// Frees the pages when nothing is pending.
    fn trim(&mut self) {
        if self.live == 0 && self.pages.len() > 1 {
            self.pages = Vec::new();
            self.free = NONE;
        }
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn fire_all(wheel: &mut Wheel<u64>, tick: u64) -> Vec<u64> {
        let mut due = Vec::new();
        while wheel.fire(tick, 3, |item| due.push(item)) {}
        due
    }

    #[test]
    fn deadlines_are_handed_out_at_their_tick_and_not_before() {
        let mut wheel = Wheel::new();
        for deadline in [0, 1, 63, 64, 65, 4_095, 4_096, 1 << 30, u64::MAX] {
            wheel.insert(deadline, deadline);
        }
        assert_eq!(fire_all(&mut wheel, 0), [0]);
        assert_eq!(fire_all(&mut wheel, 62), [1]);
        assert_eq!(fire_all(&mut wheel, 64), [63, 64]);
        assert_eq!(wheel.next(), Some(65));
        assert_eq!(fire_all(&mut wheel, 4_095), [65, 4_095]);
        assert_eq!(fire_all(&mut wheel, 1 << 31), [4_096, 1 << 30]);
        assert_eq!(fire_all(&mut wheel, u64::MAX - 1), []);
        assert_eq!(fire_all(&mut wheel, u64::MAX), [u64::MAX]);
        assert_eq!((wheel.next(), wheel.len()), (None, 0));
    }

    #[test]
    fn a_key_names_one_insertion_only() {
        let mut wheel = Wheel::new();
        let first = wheel.insert(5, 1);
        assert_eq!(wheel.remove(first), Some(1));
        let second = wheel.insert(5, 2);
        assert_eq!((first.index, wheel.remove(first)), (second.index, None));
        assert_eq!(wheel.get_mut(second), Some(&mut 2));
        assert_eq!(fire_all(&mut wheel, 5), [2]);
        assert_eq!(wheel.remove(second), None);
    }

    #[test]
    fn memory_comes_back_and_old_keys_stay_unknown() {
        let mut wheel = Wheel::new();
        let keys: Vec<_> = (0..10_000).map(|i| wheel.insert(i, i)).collect();
        assert_eq!(fire_all(&mut wheel, 10_000).len(), 10_000);
        assert!(wheel.pages.is_empty());
        (0..10_000).for_each(|i| _ = wheel.insert(20_000, i));
        assert!(keys.into_iter().all(|key| wheel.remove(key).is_none()));
        assert_eq!(wheel.len(), 10_000);
    }

    #[test]
    fn a_slot_closes_up_when_more_than_half_of_it_is_gone() {
        let mut wheel = Wheel::new();
        // These are all in one slot of a higher level.
        let base = 1 << 30;
        let keys: Vec<_> = (0..1_000).map(|i| wheel.insert(base + i, i)).collect();
        let longest = |wheel: &Wheel<u64>| wheel.slots.iter().map(|slot| slot.entries.len()).max();
        assert_eq!(longest(&wheel), Some(1_000));
        for (i, key) in keys.iter().enumerate().filter(|(i, _)| i % 10 != 7) {
            assert_eq!(wheel.remove(*key), Some(i as u64));
            assert_eq!(wheel.remove(*key), None);
        }
        assert!(longest(&wheel) < Some(300), "{:?}", longest(&wheel));
        let mut due = fire_all(&mut wheel, base + 500);
        due.sort_unstable();
        assert_eq!(due, (0..50).map(|i| 10 * i + 7).collect::<Vec<_>>());
        // Entries whose positions have changed are still found by their keys.
        for i in (507..1_000).step_by(10) {
            assert_eq!(wheel.remove(keys[i]), Some(i as u64));
        }
        assert_eq!((wheel.len(), wheel.next()), (0, None));
    }

    /// Compares the wheel with a sorted map. The test has its own random numbers, so that a failing seed can be tried again.
    #[test]
    fn it_agrees_with_a_sorted_map_whatever_is_done() {
        for seed in 1..=200_u64 {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut below = |bound: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % bound
            };
            let (mut wheel, mut map) = (Wheel::new(), BTreeMap::new());
            let (mut now, mut keys) = (0, Vec::new());
            for item in 0..600 {
                match below(4) {
                    0 | 1 => {
                        let bits = below(40);
                        let deadline = now + below(1 << bits);
                        keys.push((wheel.insert(deadline, item), deadline, item));
                        map.insert((deadline, item), ());
                    }
                    2 if !keys.is_empty() => {
                        let index = usize::try_from(below(keys.len() as u64)).unwrap();
                        let (key, deadline, item) = keys.swap_remove(index);
                        let removed = wheel.remove(key);
                        let expected = map.remove(&(deadline, item)).map(|()| item);
                        assert_eq!(removed, expected, "seed {seed}");
                    }
                    _ => {
                        let bits = below(36);
                        now += below(1 << bits);
                        let mut due = fire_all(&mut wheel, now);
                        due.sort_unstable();
                        let later = map.split_off(&(now + 1, 0));
                        let mut expected: Vec<_> = map.keys().map(|(_, item)| *item).collect();
                        expected.sort_unstable();
                        map = later;
                        assert_eq!(due, expected, "seed {seed}");
                    }
                }
                assert_eq!(wheel.len(), map.len(), "seed {seed}");
                if let (Some(next), Some(((first, _), ()))) = (wheel.next(), map.first_key_value())
                {
                    assert!(next <= (*first).max(now), "seed {seed}");
                }
            }
        }
    }
}
