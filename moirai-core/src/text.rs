//! Limits on the length of texts that come from users: names, and messages of panics.

/// The largest number of bytes of a task's name that are kept.
pub const MAX_NAME_BYTES: usize = 256;

/// The largest number of bytes of a panic's message that are kept.
pub const MAX_MESSAGE_BYTES: usize = 1024;

/// Returns the longest prefix of `text` that has at most `limit` bytes and ends at a character boundary.
///
/// ```
/// assert_eq!(moirai_core::text::cut("grün", 3), "gr");
/// assert_eq!(moirai_core::text::cut("grün", 4), "grü");
/// ```
#[must_use]
pub fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
