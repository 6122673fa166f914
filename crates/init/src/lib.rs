//! hull-init.
