//! The HTTP interface (api.md): parse, authenticate, store, answer.
