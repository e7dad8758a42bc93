//! Deltas from pack to site: a delta ends as its full bundle does, or it is refused before anything is written.

mod amend;
#[path = "../bundles/mod.rs"]
mod bundles;
mod choice;
mod crash;
mod dry;
mod have;
mod pairs;
mod sites;
mod small;
mod streams;
#[allow(dead_code)] // made for another test crate
#[path = "../bad_input/world.rs"]
mod world;
