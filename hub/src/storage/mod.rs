//! The persistent data of a hub: the data folder, the database in it, and backups.

pub mod backup;
pub mod data_folder;
pub(crate) mod disk;
pub mod place;
pub mod store;
