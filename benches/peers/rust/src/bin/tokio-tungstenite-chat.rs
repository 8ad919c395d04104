//! The chat on tokio-tungstenite with a channel for each client, in the form of its own server example.
//!
//! A client's writing task takes all that waits in its channel, then flushes once. One thread, since
//! the comparison is about one core. Not a product: no limits, no history.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use catchup_bench_peers::{Options, Press, Switch, joined, left, user_count, welcome};
use clap::Parser;
use futures_util::SinkExt;
use futures_util::stream::{SplitSink, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

const FRAMES_PER_FLUSH: usize = 1024;
const NOBODY: u64 = 0;

struct Chat {
    options: Options,
    press: Press,
    members: Mutex<HashMap<u64, UnboundedSender<Message>>>,
}

impl Chat {
    fn tell(&self, author: u64, text: String) {
        let frame = Message::Text(Utf8Bytes::from(text));
        for (client, channel) in self.members.lock().expect("nobody panics while holding it").iter() {
            if *client != author {
                // A closed channel's client is about to be removed.
                let _ = channel.send(frame.clone());
            }
        }
    }

    fn present(&self) -> usize {
        self.members.lock().expect("nobody panics while holding it").len()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, options.port)).await?;
    let chat = Arc::new(Chat { options, press: Press::default(), members: Mutex::default() });
    let mut last_client = NOBODY;
    loop {
        let (stream, _) = listener.accept().await?;
        last_client += 1;
        tokio::spawn(serve(stream, last_client, chat.clone()));
    }
}

// The size of the error is the library's choice.
#[allow(clippy::result_large_err)]
async fn serve(stream: TcpStream, client: u64, chat: Arc<Chat>) {
    let _ = stream.set_nodelay(true);
    let mut name = String::from("nobody");
    let read_name = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let query = request.uri().query().unwrap_or("");
        if let Some(given) = query.split('&').find_map(|pair| pair.strip_prefix("username=")) {
            name = given.to_owned();
        }
        Ok(response)
    };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, read_name).await else {
        return;
    };
    let (mut sink, mut stream) = socket.split();
    let announces = chat.options.announce == Switch::On;
    if sink.send(Message::text(welcome(&name))).await.is_err() {
        return;
    }
    let (channel, frames) = unbounded_channel();
    chat.members.lock().expect("nobody panics while holding it").insert(client, channel.clone());
    if announces {
        chat.tell(client, joined(&name));
        chat.tell(NOBODY, user_count(chat.present()));
    } else {
        let _ = channel.send(Message::text(user_count(chat.present())));
    }
    drop(channel);
    let mut writer = tokio::spawn(write(sink, frames));
    loop {
        tokio::select! {
            _ = &mut writer => break,
            received = stream.next() => match received {
                Some(Ok(Message::Text(text))) => {
                    if let Some(frame) = chat.press.print(&name, &text) {
                        chat.tell(client, frame);
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            }
        }
    }
    writer.abort();
    chat.members.lock().expect("nobody panics while holding it").remove(&client);
    if announces {
        chat.tell(NOBODY, left(&name));
        chat.tell(NOBODY, user_count(chat.present()));
    }
}

async fn write(mut sink: SplitSink<WebSocketStream<TcpStream>, Message>, mut frames: UnboundedReceiver<Message>) {
    let mut waiting = Vec::new();
    while frames.recv_many(&mut waiting, FRAMES_PER_FLUSH).await > 0 {
        for frame in waiting.drain(..) {
            if sink.feed(frame).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}
