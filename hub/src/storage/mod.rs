//! Everything of a hub that is on the disk: the folder, the database in it, and copies of both.

pub mod backup;
pub mod data_folder;
pub(crate) mod disk;
pub mod place;
pub mod store;
