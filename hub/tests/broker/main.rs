//! Tests of the broker over real TLS on the loopback interface, with an independent client and with hand-made packets.

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
