//! The guide, chapter by chapter, as doctests.
