//! The bytes of one connection, read and written with as little memory as they need: a device that is silent holds next to none.

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

/// How much is read at a time. A larger packet gets the room it needs.
const READ: usize = 1_024;
/// Buffers above this size are not kept when they are empty.
const KEPT: usize = 2 * READ;
/// How long a client may take to read what it is sent.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// How long the last words may take, and how long to wait for the client's.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// How much is still read of a client that is not listened to any more.
const LINGER: usize = 256 * 1024;

/// One connection, from which packets come and to which packets go.
pub(super) struct PacketStream<'c, S> {
    stream: S,
    reader: Reader,
    inbox: BytesMut,
    outbox: BytesMut,
    /// The largest packet the client takes.
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

    /// A packet that is here already.
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

    /// Waits for more bytes. Nothing is lost when this is dropped.
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

    /// Puts a packet among those that go out next. Whether the client takes one of its size.
    pub(super) fn put(&mut self, answer: Answer, now: u64) -> bool {
        let Some(version) = self.version() else { return false };
        answer::write(answer, version, self.maximum, now, &mut self.outbox).unwrap_or(false)
    }

    /// How many bytes wait to go out.
    pub(super) fn pending(&self) -> usize {
        self.outbox.len()
    }

    /// Sends what waits. What is left when the connection must end is never sent.
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

    /// Says a last word, says that there will be no other, and waits for the client to close: whoever closes with bytes unread
    /// takes back what was sent (RFC 1122, section 4.2.2.13).
    pub(super) async fn close(mut self, last: Option<Answer>, now: u64) {
        let until = Instant::now() + CLOSE_TIME;
        let goodbye = async {
            // After half a packet there is nothing that the client would understand.
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
        // The connection ends, well or not.
        let _ = tokio::time::timeout_at(until, goodbye).await;
    }
}
