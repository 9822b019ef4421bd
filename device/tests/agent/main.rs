//! The agent as a process, as its owner meets it in a terminal, against a real hub and against what is none.

mod command_line;
mod credentials;
mod harness;
mod kill;
mod life;
mod server;
