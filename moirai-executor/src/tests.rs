//! Where fields lie: which of them share a cache line. For the tests of several modules.

/// The bytes of a cache line.
const LINE: usize = 64;

/// The place of a field in a struct.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) offset: usize,
    pub(crate) size: usize,
}

/// The size of what a field contains. The function is not called.
pub(crate) const fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

/// Returns the [`Place`] of a field, or of a field of a field.
macro_rules! place {
    ($of:ty, $($field:ident).+) => {
        $crate::tests::Place {
            name: stringify!($($field).+),
            offset: std::mem::offset_of!($of, $($field).+),
            size: $crate::tests::size_of_field(|it: &$of| &it.$($field).+),
        }
    };
}
pub(crate) use place;

/// Panics if something that many threads write shares a cache line with something that every task reads.
pub(crate) fn assert_apart(written: &[Place], read: &[Place]) {
    let lines = |place: &Place| {
        let last = place.offset + place.size.max(1) - 1;
        place.offset / LINE..=last / LINE
    };
    for of_many in written {
        for of_each in read {
            let (a, b) = (lines(of_many), lines(of_each));
            let overlap = a.start() <= b.end() && b.start() <= a.end();
            assert!(!overlap, "`{}` and `{}` share a cache line", of_many.name, of_each.name);
        }
    }
}
