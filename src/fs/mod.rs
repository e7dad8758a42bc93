//! The *disk* floor is the only one that opens, lists, links or renames files by path for the site, and walks source trees.
//!
//! It knows nothing of bundles. Not part of the specification.

pub mod disk;
pub mod faulty;
pub mod real;
pub mod tree;
