//! The device's side of onething: what an owner runs on the device to make it theirs.

pub mod command_line;
pub mod commands;

pub mod name;

pub mod bundle;
pub mod files;

pub mod credentials;
pub mod register;
pub mod state;
pub mod status;

mod link;
mod reach;

pub mod printer;

pub mod clock;
pub mod failure;
pub mod service;
