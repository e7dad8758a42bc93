//! Deltas from pack to site: a delta ends as its full bundle does, or it is refused before anything is written.

#[path = "../bundles/mod.rs"]
mod bundles;
mod crash;
mod pairs;
mod sites;
mod small;
#[allow(dead_code)] // made for another test crate
#[path = "../bad_input/world.rs"]
mod world;
