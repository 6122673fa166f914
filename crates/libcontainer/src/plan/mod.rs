//! Pure: a Spec and the Host's facts in, a Plan out.

pub mod options;
