//! Reads and writes the packets of one connection. Buffers exist only while they are needed, so a silent device uses almost no
//! memory.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::answer::{self, Answer};
use super::counters::Counters;
use super::packet::{Fault, Packet, Version};
use super::reader::Reader;
use super::reason::Reason;
use super::wake_up::WakeUp;

/// How many bytes are read at a time. The buffer grows for a larger packet.
const READ: usize = 1_024;
/// An empty buffer of a larger capacity is freed, in bytes.
const KEPT: usize = 2 * READ;
/// How long a client may take to read the bytes of one [`PacketStream::send`].
const WRITE_TIME: Duration = Duration::from_secs(30);
/// How long the close may take: the last packet, and the wait until the client closes.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// How many bytes are read and discarded during the close.
const LINGER: usize = 256 * 1024;

/// The packet stream of one connection.
pub(super) struct PacketStream<'c, S> {
    stream: S,
    reader: Reader,
    inbox: BytesMut,
    outbox: BytesMut,
    /// The Maximum Packet Size of the client, in bytes.
    pub(super) maximum: u32,
    counters: &'c Counters,
}

impl<'c, S: AsyncRead + AsyncWrite + Unpin> PacketStream<'c, S> {
    pub(super) fn new(stream: S, counters: &'c Counters) -> Self {
        Self { stream, reader: Reader::Fresh, inbox: BytesMut::new(), outbox: BytesMut::new(), maximum: u32::MAX, counters }
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.reader.version()
    }

    /// Decodes the next packet from the received bytes. `None` if it is not complete.
    pub(super) fn packet(&mut self, now: u64) -> Result<Option<Packet>, Fault> {
        if self.inbox.is_empty() {
            return Ok(None);
        }
        let packet = self.reader.read(&mut self.inbox, now)?;
        if self.inbox.is_empty() && self.inbox.capacity() > KEPT {
            self.inbox = BytesMut::new();
        }
        Ok(packet)
    }

    /// Receives more bytes. This is cancellation-safe.
    pub(super) async fn fill(&mut self) -> Result<(), Reason> {
        self.inbox.reserve(READ);
        match self.stream.read_buf(&mut self.inbox).await {
            Ok(read @ 1..) => {
                self.counters.bytes_in.add(read);
                Ok(())
            }
            Ok(0) | Err(_) => Err(Reason::Lost),
        }
    }

    /// Encodes a packet into the send buffer. Returns `false` if the packet is too large for the client, or if the version is
    /// unknown.
    pub(super) fn put(&mut self, answer: Answer, now: u64) -> bool {
        let Some(version) = self.version() else { return false };
        answer::write(answer, version, self.maximum, now, &mut self.outbox).unwrap_or(false)
    }

    /// Returns the number of bytes in the send buffer.
    pub(super) fn pending(&self) -> usize {
        self.outbox.len()
    }

    /// Sends the buffered bytes. Stops when the connection must end; the rest is then not sent.
    pub(super) async fn send(&mut self, wake_up: &WakeUp) -> Result<(), Reason> {
        tokio::select! {
            biased;
            sent = timeout(WRITE_TIME, self.write()) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(Reason::Lost),
                Err(_) => Err(Reason::NotReading),
            },
            reason = wake_up.ended() => Err(reason),
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        while self.outbox.has_remaining() {
            let written = self.stream.write_buf(&mut self.outbox).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.counters.bytes_out.add(written);
        }
        self.outbox = BytesMut::new();
        self.stream.flush().await
    }

    /// Sends the last packet, shuts down the sending side, and waits until the client closes. A close with unread bytes would
    /// reset the connection, and the client would lose the bytes that were sent (RFC 1122, section 4.2.2.13).
    pub(super) async fn close(mut self, last: Option<Answer>, now: u64) {
        let until = Instant::now() + CLOSE_TIME;
        let closing = async {
            // If a packet was sent in part, the client could not decode another one.
            if self.outbox.is_empty() {
                if let Some(last) = last {
                    self.put(last, now);
                }
                self.write().await?;
            }
            self.stream.shutdown().await?;
            let mut read = 0;
            while read < LINGER {
                self.inbox.clear();
                self.inbox.reserve(READ);
                match self.stream.read_buf(&mut self.inbox).await? {
                    0 => break,
                    more => read += more,
                }
            }
            io::Result::Ok(())
        };
        // The connection is dropped in any case.
        let _ = tokio::time::timeout_at(until, closing).await;
    }
}
