//! All groups of fork-join work.

use super::{coarse, data, fine, many, mixed, sorts};
use crate::workload::group::Group;

pub(in crate::workload) fn groups() -> Vec<Group> {
    [
        fine::groups(),
        coarse::groups(),
        many::groups(),
        data::groups(),
        sorts::groups(),
        mixed::groups(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
