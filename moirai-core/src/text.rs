//! Limits on text that users hand in: names, and messages of panics.

/// The most bytes kept of a task's name.
pub const MAX_NAME_BYTES: usize = 256;

/// The most bytes kept of a panic's message.
pub const MAX_MESSAGE_BYTES: usize = 1024;

/// The longest prefix of `text` of at most `limit` bytes that ends at a character boundary.
///
/// ```
/// assert_eq!(moirai_core::text::cut("grün", 3), "gr");
/// assert_eq!(moirai_core::text::cut("grün", 4), "grü");
/// ```
#[must_use]
pub fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
