//! What the program does with bad input: the exit code of its class, a message that says what, where and what to do,
//! nothing on the site that was not verified, no panic, no hang, no more memory than a small machine has.
//!
//! Every run of the program here has a limit of address space and of time; see `world`.

mod archives;
mod bundles;
mod inputs;
mod lies;
mod sites;
mod world;
