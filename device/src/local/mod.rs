//! Communication with other processes of the device: the local socket of a running agent, the requests to it, and its status
//! file.

pub(crate) mod local_socket;
pub(crate) mod requests;
pub(crate) mod status;
