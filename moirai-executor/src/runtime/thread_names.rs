//! The function that names threads, if a user has set one.

use std::fmt;

use moirai_core::{ThreadKind, text};

use crate::panics::{self, log};

/// Makes the names of the threads that run tasks.
#[derive(Default)]
pub(crate) struct ThreadNames(Option<Box<NameThread>>);

/// A function that names a thread of a kind with a number.
type NameThread = dyn Fn(ThreadKind, usize) -> String + Send + Sync;

impl ThreadNames {
    pub(crate) fn by(name: impl Fn(ThreadKind, usize) -> String + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(name)))
    }

    /// Returns the name that the user's function gives, if there is one, and if it does not panic.
    pub(crate) fn given(&self, kind: ThreadKind, number: usize) -> Option<String> {
        let name = self.0.as_deref()?;
        let mut given = None;
        if let Some(message) = panics::contain(|| given = Some(name(kind, number))) {
            log!(error, panic = &*message, "the function that names threads panicked");
        }
        // The system refuses a name with a NUL.
        given.map(|name| text::cut(&name.replace('\0', ""), text::MAX_NAME_BYTES).to_owned())
    }
}

impl Drop for ThreadNames {
    fn drop(&mut self) {
        let name = self.0.take();
        if let Some(message) = panics::contain(|| drop(name)) {
            log!(
                error,
                panic = &*message,
                "the destructor of the function that names threads panicked"
            );
        }
    }
}

impl fmt::Debug for ThreadNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadNames").field(&self.0.is_some()).finish()
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::ThreadNames;

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("expected by the test");
        }
    }

    #[test]
    fn a_panic_of_the_functions_destructor_is_contained() {
        let bomb = Bomb;
        drop(ThreadNames::by(move |_, _| {
            let _ = &bomb;
            String::new()
        }));
    }
}
