//! An SMTP server (RFC 5321) that accepts and keeps every message unchanged, unless a test sets another reply.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One message with its envelope.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    pub sender: String,
    pub recipients: Vec<String>,
    /// Header and body with the SMTP line ends, after removal of the SMTP dot-stuffing.
    pub message: Vec<u8>,
}

pub struct SmtpServer {
    pub address: SocketAddr,
    mails: Arc<watch::Sender<Vec<Mail>>>,
    replies: Replies,
    task: JoinHandle<()>,
}

/// Replies of the test by command, such as `RCPT`. `CONNECT` stands for the greeting, `.` for the reply to a message. An empty
/// reply sends nothing.
type Replies = Arc<Mutex<HashMap<&'static str, String>>>;

impl SmtpServer {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let mails = Arc::new(watch::Sender::new(Vec::new()));
        let (counter, replies) = (Arc::clone(&mails), Replies::default());
        let told = Arc::clone(&replies);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counter, told) = (Arc::clone(&counter), Arc::clone(&told));
                // A client that disconnects in the middle has sent no mail.
                tokio::spawn(async move {
                    let _ = serve(stream, &counter, &told).await;
                });
            }
        });
        Self { address, mails, replies, task }
    }

    /// From now on this command gets this reply, such as `450 later`.
    pub fn replies(&self, command: &'static str, reply: &str) {
        self.replies.lock().expect("replies").insert(command, reply.to_owned());
    }

    /// From now on all commands are accepted again.
    pub fn takes_all(&self) {
        self.replies.lock().expect("replies").clear();
    }

    /// Waits for the mail with this number, counted from 0.
    pub async fn mail(&self, number: usize) -> Mail {
        let mut mails = self.mails.subscribe();
        let arrived = mails.wait_for(|mails| mails.len() > number);
        let mails = super::within(Duration::from_secs(10), "the mail", arrived).await.expect("the list of mails");
        mails[number].clone()
    }

    /// The last mail to this address, if there is any.
    pub fn last_to(&self, address: &str) -> Option<Mail> {
        let mails = self.mails.borrow();
        mails.iter().rev().find(|mail| mail.recipients.iter().any(|recipient| recipient == address)).cloned()
    }

    /// The number of mails to this address.
    pub fn count_to(&self, address: &str) -> usize {
        let mails = self.mails.borrow();
        mails.iter().filter(|mail| mail.recipients.iter().any(|recipient| recipient == address)).count()
    }

    /// A receiver of the list of all mails, for waiting.
    pub fn watches(&self) -> watch::Receiver<Vec<Mail>> {
        self.mails.subscribe()
    }

    pub fn count(&self) -> usize {
        self.mails.borrow().len()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, mails: &watch::Sender<Vec<Mail>>, replies: &Replies) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut mail = Mail::default();
    let other = |command: &str| {
        let reply = replies.lock().expect("replies").get(command).cloned();
        reply.map(|reply| if reply.is_empty() { reply } else { format!("{reply}\r\n") })
    };
    write.write_all(other("CONNECT").as_deref().unwrap_or("220 post office\r\n").as_bytes()).await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if read.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let command = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = command.get(..4).unwrap_or_default().to_ascii_uppercase();
        if let Some(reply) = other(&verb) {
            write.write_all(reply.as_bytes()).await?;
            continue;
        }
        let answer = match verb.as_str() {
            "EHLO" => "250-post office\r\n250 8BITMIME\r\n",
            "MAIL" => {
                mail = Mail { sender: address(&command), ..Mail::default() };
                "250 ok\r\n"
            }
            "RCPT" => {
                mail.recipients.push(address(&command));
                "250 ok\r\n"
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                mail.message = read_message(&mut read).await?;
                let taken = std::mem::take(&mut mail);
                if let Some(reply) = other(".") {
                    write.write_all(reply.as_bytes()).await?;
                    continue;
                }
                mails.send_modify(|mails| mails.push(taken));
                "250 taken\r\n"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            "HELO" | "RSET" | "NOOP" => "250 ok\r\n",
            _ => "502 what?\r\n",
        };
        write.write_all(answer.as_bytes()).await?;
    }
}

async fn read_message(read: &mut BufReader<tokio::net::tcp::OwnedReadHalf>) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if read.read_until(b'\n', &mut line).await? == 0 || line == b".\r\n" {
            return Ok(message);
        }
        // The client adds a dot to a line that begins with one.
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

/// The address between the angle brackets of `MAIL FROM:<...>`.
fn address(command: &str) -> String {
    command.split_once('<').and_then(|(_, rest)| rest.rsplit_once('>')).map_or_else(String::new, |(address, _)| address.to_owned())
}
