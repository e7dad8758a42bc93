//! The *disk* floor is the only one that opens, lists, links or renames files by path for the site, and walks source trees.
//!
//! It knows nothing of blobs and generations. Not part of the specification.

mod direct;
pub mod disk;
pub mod faulty;
pub mod medium;
pub mod output;
pub mod pairs;
pub mod real;
pub mod regular;
pub mod tree;
