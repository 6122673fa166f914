//! Bundle and Spec: what the caller hands in, parsed and checked.
