//! Two kinds of clients: the independent `rumqttc`, and hand-made packets.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::codec::{Decoder, Encoder};

use crate::support::Identity;

/// The longest time that a test waits for an event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that sends and receives single packets.
pub(crate) struct Raw<C> {
    pub(crate) stream: TlsStream<TcpStream>,
    codec: C,
    buffer: BytesMut,
}

impl<C, P> Raw<C>
where
    C: Encoder<P> + Decoder<Item = (P, u32)>,
    <C as Encoder<P>>::Error: std::fmt::Debug,
    <C as Decoder>::Error: std::fmt::Debug,
{
    pub(crate) fn new(stream: TlsStream<TcpStream>, codec: C) -> Self {
        Self { stream, codec, buffer: BytesMut::new() }
    }

    pub(crate) async fn send(&mut self, packet: P) {
        let mut bytes = BytesMut::new();
        self.codec.encode(packet, &mut bytes).unwrap();
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        // The broker may have closed the connection already.
        if self.stream.write_all(bytes).await.is_ok() {
            let _ = self.stream.flush().await;
        }
    }

    /// The next packet; `None` if the broker has closed the connection, which it does with a TLS `close_notify`.
    pub(crate) async fn next(&mut self) -> Option<P> {
        timeout(PATIENCE, async {
            loop {
                if let Some((packet, _)) = self.codec.decode(&mut self.buffer).unwrap() {
                    return Some(packet);
                }
                if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                    return None;
                }
            }
        })
        .await
        .expect("no packet received")
    }

    pub(crate) async fn closed(&mut self) {
        assert!(self.next().await.is_none());
    }
}

impl Raw<v5::Codec> {
    pub(crate) async fn connect(&mut self, connect: v5::Connect) -> v5::ConnectAck {
        self.send(connect.into()).await;
        match self.next().await {
            Some(v5::Packet::ConnectAck(ack)) => *ack,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, options: v5::SubscriptionOptions) -> v5::SubscribeAckReason {
        let topic_filters = vec![(filter.into(), options)];
        self.send(v5::Subscribe { packet_id: id(77), id: None, user_properties: Vec::new(), topic_filters }.into()).await;
        match self.next().await {
            Some(v5::Packet::SubscribeAck(ack)) => ack.status[0],
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn message(&mut self) -> rmqtt_codec::types::Publish {
        match self.next().await {
            Some(v5::Packet::Publish(publish)) => *publish,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn disconnected(&mut self) -> v5::DisconnectReasonCode {
        match self.next().await {
            Some(v5::Packet::Disconnect(disconnect)) => disconnect.reason_code,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn id(number: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(number).unwrap()
}

/// A will message without a delay.
pub(crate) fn will(topic: &'static str, message: &'static str) -> v5::LastWill {
    v5::LastWill {
        qos: QoS::AtMostOnce,
        retain: false,
        topic: topic.into(),
        message: Bytes::from_static(message.as_bytes()),
        will_delay_interval_sec: None,
        correlation_data: None,
        message_expiry_interval: None,
        content_type: None,
        user_properties: Vec::new(),
        is_utf8_payload: None,
        response_topic: None,
    }
}

/// An MQTT 5 CONNECT packet with a clean start.
pub(crate) fn as_client(identity: &Identity) -> v5::Connect {
    v5::Connect { client_id: identity.name.as_str().into(), clean_start: true, keep_alive: 60, ..v5::Connect::default() }
}

/// The client `rumqttc`, whose events are polled one by one.
pub(crate) struct Foreign {
    pub(crate) client: AsyncClient,
    pub(crate) events: EventLoop,
}

impl Foreign {
    pub(crate) fn new(options: MqttOptions) -> Self {
        let (client, events) = AsyncClient::builder(options).capacity(16).build();
        Self { client, events }
    }

    /// Polls until a packet is accepted by `wanted`.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(Incoming) -> Option<T>) -> T {
        timeout(PATIENCE, async {
            loop {
                if let Event::Incoming(packet) = self.events.poll().await.unwrap()
                    && let Some(found) = wanted(packet)
                {
                    return found;
                }
            }
        })
        .await
        .expect("no packet received")
    }

    /// Waits for the CONNACK; returns whether an earlier session is resumed.
    pub(crate) async fn connected(&mut self) -> bool {
        self.until(|packet| if let Incoming::ConnAck(ack) = packet { Some(ack.session_present) } else { None }).await
    }

    pub(crate) async fn subscribed(&mut self) {
        self.until(|packet| matches!(packet, Incoming::SubAck(_)).then_some(())).await;
    }

    pub(crate) async fn acknowledged(&mut self) {
        self.until(|packet| matches!(packet, Incoming::PubAck(_)).then_some(())).await;
    }

    pub(crate) async fn message(&mut self) -> (String, Vec<u8>, bool) {
        let text = |topic: &[u8]| String::from_utf8(topic.to_vec()).unwrap();
        self.until(|packet| match packet {
            Incoming::Publish(publish) => Some((text(&publish.topic), publish.payload.to_vec(), publish.retain)),
            _ => None,
        })
        .await
    }

    /// Polls until the connection is closed.
    pub(crate) async fn over(&mut self) {
        timeout(PATIENCE, async { while self.events.poll().await.is_ok() {} }).await.expect("the connection is still open");
    }
}
