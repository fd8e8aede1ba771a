//! What tokio-console is told once: the description that all tasks have in common.
//!
//! In the protocol a task is a `tracing` span, and its fields are named by the metadata of that span. The fields that most tasks have
//! are named by their places in [`FIELDS`], which takes fewer bytes than their names.

use console_api::field::{Name, Value};
use console_api::register_metadata::NewMetadata;
use console_api::{Field, MetaId, Metadata, RegisterMetadata, metadata};

/// The number of the only metadata that there is.
const ID: MetaId = MetaId { id: 1 };

/// The field that has a column of its own, "Name".
pub(crate) const NAME: &str = "task.name";
/// The column "ID".
pub(crate) const TASK_ID: &str = "task.id";
/// The column "Kind".
pub(crate) const KIND: &str = "kind";

const FIELDS: [&str; 9] =
    [NAME, TASK_ID, KIND, "closure", "priority", "parent", "status", "error", "cancelled_by"];

/// Returns the message that describes the metadata.
pub(crate) fn register() -> RegisterMetadata {
    let metadata = Metadata {
        name: "runtime.spawn".to_owned(),
        target: "moirai".to_owned(),
        module_path: String::new(),
        location: None,
        kind: metadata::Kind::Span.into(),
        level: metadata::Level::Trace.into(),
        field_names: FIELDS.map(str::to_owned).to_vec(),
    };
    RegisterMetadata { metadata: vec![NewMetadata { id: Some(id()), metadata: Some(metadata) }] }
}

/// Returns the id of the metadata.
pub(crate) fn id() -> MetaId {
    ID
}

/// Creates a field of a task.
pub(crate) fn field(name: &str, value: impl Into<Value>) -> Field {
    let name = match FIELDS.iter().position(|field| *field == name) {
        Some(place) => Name::NameIdx(place as u64),
        None => Name::StrName(name.to_owned()),
    };
    Field { name: Some(name), value: Some(value.into()), metadata_id: Some(id()) }
}
