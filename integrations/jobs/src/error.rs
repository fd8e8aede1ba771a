//! Why an operation on durable jobs failed.

use std::error::Error as StdError;
use std::fmt;

type Source = Box<dyn StdError + Send + Sync>;

/// Why an operation on durable jobs failed.
///
/// No error loses a job: what was pushed stays in the storage until it has ended and was purged.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The calling thread is in no context of tokio, whose reactor waits for the storage. The executor needs the plugin
    /// [`moirai_tokio::driver()`].
    NoReactor,
    /// A setting makes no sense. The text says which, and what it may be.
    Setting(String),
    /// The storage could not be opened. The text says which storage, and what to check.
    Open {
        /// The storage: a path, or an address without its password.
        storage: String,
        /// What the storage's library said.
        source: Source,
    },
    /// The storage has refused or lost a request. What was to be written may have been written, or not.
    Storage(Source),
    /// A payload could not be written as JSON.
    Payload(serde_json::Error),
    /// A text is no id of a job.
    Id(String),
}

impl Error {
    pub(crate) fn storage(error: impl Into<Source>) -> Self {
        Self::Storage(error.into())
    }

    pub(crate) fn open(storage: impl Into<String>, error: impl Into<Source>) -> Self {
        Self::Open { storage: storage.into(), source: error.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReactor => f.write_str(
                "durable jobs wait for their storage in tokio's reactor, and this thread has none: build the executor with \
                 `.plugin(moirai_tokio::driver()?)`, and call this in one of its tasks or in `moirai_tokio::block_on`",
            ),
            Self::Setting(text) => f.write_str(text),
            Self::Open { storage, source } => write!(f, "cannot open the jobs in {storage}: {source}"),
            Self::Storage(source) => write!(f, "the storage of jobs: {source}"),
            Self::Payload(source) => write!(f, "the payload cannot be written as JSON: {source}"),
            Self::Id(text) => write!(f, "{text:?} is no id of a job, which has 26 letters and digits"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Open { source, .. } | Self::Storage(source) => Some(&**source),
            Self::Payload(source) => Some(source),
            Self::NoReactor | Self::Setting(_) | Self::Id(_) => None,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::storage(error)
    }
}

/// An error of a job after which further attempts are pointless: a payload that asks for the impossible, for example. The job is dead
/// at once, and its error is that of `E`.
///
/// ```
/// use moirai_jobs::Permanent;
///
/// fn width(text: &str) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
///     text.parse().map_err(|error| Permanent::new(error).into())
/// }
/// assert!(width("wide").unwrap_err().is::<Permanent>());
/// ```
#[derive(Debug)]
pub struct Permanent(Source);

impl Permanent {
    /// Wraps an error, or a text.
    pub fn new(error: impl Into<Source>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Permanent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Permanent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
