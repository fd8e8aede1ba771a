//! A generator of pseudo-random numbers, drawn from a seed.

/// The generator SplitMix64 of Steele, Lea and Flood (2014). The same seed gives the same numbers, on every machine and in every
/// version of this crate.
///
/// The [`Deterministic`](crate::Deterministic) scheduler and the conformance kit draw from it. It is not suitable for cryptography.
///
/// ```
/// use moirai_scheduler::rng::SplitMix64;
/// let (mut one, mut other) = (SplitMix64::new(7), SplitMix64::new(7));
/// assert_eq!(one.next_u64(), other.next_u64());
/// assert!(one.below(6) < 6);
/// ```
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Creates a generator that starts from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Returns a number below `bound`, nearly evenly distributed; zero if `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let place = (u128::from(self.next_u64()) * bound as u128) >> 64;
        // The result is below `bound`, so it fits.
        usize::try_from(place).unwrap_or(0)
    }
}

/// Spreads the bits of a number over all bits of the result: the finalizer of [`SplitMix64`].
pub(crate) const fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}
