//! Why a console cannot be served.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// The reason why [`Console::serve`](crate::Console::serve) has failed.
#[derive(Debug)]
pub struct ServeError(Reason);

#[derive(Debug)]
enum Reason {
    Setting { name: &'static str, value: String, wanted: &'static str },
    Address { address: SocketAddr, source: io::Error },
    System { what: &'static str, source: io::Error },
}

impl ServeError {
    pub(crate) fn setting(
        name: &'static str,
        value: impl fmt::Debug,
        wanted: &'static str,
    ) -> Self {
        Self(Reason::Setting { name, value: format!("{value:?}"), wanted })
    }

    pub(crate) fn address(address: SocketAddr, source: io::Error) -> Self {
        Self(Reason::Address { address, source })
    }

    pub(crate) fn system(what: &'static str, source: io::Error) -> Self {
        Self(Reason::System { what, source })
    }

    /// Returns the name of the setting whose value was refused, if that is the reason.
    #[must_use]
    pub fn refused_setting(&self) -> Option<&'static str> {
        match &self.0 {
            Reason::Setting { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Returns `true` if something else listens at the address.
    #[must_use]
    pub fn is_address_in_use(&self) -> bool {
        match &self.0 {
            Reason::Address { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
            _ => false,
        }
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Setting { name, value, wanted } => {
                write!(f, "the console's `{name}` must be {wanted}, and is {value}")
            }
            Reason::Address { address, source } => {
                write!(f, "the console cannot listen at {address}: {source}")?;
                if self.is_address_in_use() {
                    f.write_str(
                        "; choose another with `Console::address`, or port 0 for a free one",
                    )?;
                }
                Ok(())
            }
            Reason::System { what, source } => {
                write!(f, "the console cannot have {what}: {source}")
            }
        }
    }
}

impl Error for ServeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Reason::Setting { .. } => None,
            Reason::Address { source, .. } | Reason::System { source, .. } => Some(source),
        }
    }
}
