//! The broker over real TLS on loopback, against a client that other people wrote and against packets by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code: a panic is a failed test")]

mod access;
mod by_hand;
mod clients;
mod connack;
mod foreign;
mod load;
mod refusals;
mod store;
mod support;
