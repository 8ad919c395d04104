//! The descriptions of what the server does, for programs: OpenAPI and AsyncAPI, from `docs/`.

use crate::embedded::Embedded;

/// `GET /openapi.json`: the HTTP endpoints (OpenAPI 3.1).
pub static OPENAPI: Embedded = Embedded::new(
    "application/json",
    include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz")),
    include_str!(concat!(env!("OUT_DIR"), "/openapi.json.etag")),
);

/// `GET /asyncapi.json`: the frames of `/ws` (AsyncAPI 3.0).
pub static ASYNCAPI: Embedded = Embedded::new(
    "application/json",
    include_bytes!(concat!(env!("OUT_DIR"), "/asyncapi.json.gz")),
    include_str!(concat!(env!("OUT_DIR"), "/asyncapi.json.etag")),
);
