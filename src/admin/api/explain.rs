//! What a request would mean now, and what is stored for it. It asks for the very plan and the very entry that the request would
//! meet; nothing is sent anywhere and nothing changes (L14).

use schemars::JsonSchema;
use serde::Deserialize;

/// The request.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Asks {
    /// Its method. Default: GET.
    pub(super) method: Option<String>,
    /// Its URL, absolute; a path alone is one on localhost.
    pub(super) url: String,
    /// A field of it, as `Name: value`; may be given several times.
    #[serde(default)]
    pub(super) header: Vec<String>,
}
