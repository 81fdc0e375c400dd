//! What survives: the real binary with the real workerd, killed at bad moments, filled up, and left without its tools.

mod durability;
mod full_disk;
mod imports;
mod processes;
mod quarantine;
mod replay;
mod rollback;
mod sleepers;
mod storm;
mod streams;
mod support;
mod unconfirmed;
mod values;
