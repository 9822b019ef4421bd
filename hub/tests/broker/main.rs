//! The broker over real TLS on loopback, against a client that other people wrote and against packets by hand.

mod foreign;
mod support;
