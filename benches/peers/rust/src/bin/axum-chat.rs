//! The chat on axum and tokio's broadcast channel, as axum's own chat example has it.
//!
//! With `--batch` a client's task takes all frames that wait before it flushes. One thread, since
//! the comparison is about one core. Not a product: no limits, no history.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::any;
use catchup_bench_peers::{Options, Press, Switch, joined, left, user_count, welcome};
use clap::Parser;
use futures_util::SinkExt;
use futures_util::stream::{SplitSink, StreamExt};
use tokio::sync::broadcast::{self, Receiver, Sender};

/// Frames that a slow client may be behind before the channel drops the oldest.
const FRAMES_BEHIND_MAX: usize = 1 << 17;
const NOBODY: u64 = 0;

/// A frame and who must not get it.
#[derive(Clone)]
struct Post {
    author: u64,
    text: Utf8Bytes,
}

struct Chat {
    options: Options,
    press: Press,
    posts: Sender<Post>,
    last_client: AtomicU64,
    present: AtomicUsize,
}

impl Chat {
    fn tell(&self, author: u64, text: String) {
        // Fails only if nobody listens.
        let _ = self.posts.send(Post { author, text: text.into() });
    }
}

#[derive(serde::Deserialize)]
struct Caller {
    username: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let address = (std::net::Ipv4Addr::LOCALHOST, options.port);
    let chat = Chat {
        options,
        press: Press::default(),
        posts: broadcast::channel(FRAMES_BEHIND_MAX).0,
        last_client: AtomicU64::new(NOBODY),
        present: AtomicUsize::new(0),
    };
    let router = Router::new().route("/ws", any(upgrade)).with_state(Arc::new(chat));
    let listener = tokio::net::TcpListener::bind(address).await?;
    use axum::serve::ListenerExt;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}

async fn upgrade(upgrade: WebSocketUpgrade, Query(caller): Query<Caller>, State(chat): State<Arc<Chat>>) -> Response {
    upgrade.on_upgrade(|socket| serve(socket, caller.username, chat))
}

async fn serve(socket: WebSocket, name: String, chat: Arc<Chat>) {
    let client = chat.last_client.fetch_add(1, Ordering::Relaxed) + 1;
    let present = chat.present.fetch_add(1, Ordering::Relaxed) + 1;
    let announces = chat.options.announce == Switch::On;
    let posts = chat.posts.subscribe();
    let (mut sink, mut stream) = socket.split();
    if announces {
        chat.tell(client, joined(&name));
        chat.tell(NOBODY, user_count(present));
    }
    let greeted = sink.send(Message::text(welcome(&name))).await;
    if greeted.is_ok() && !announces {
        let _ = sink.send(Message::text(user_count(present))).await;
    }
    let mut writer = match chat.options.batch {
        true => tokio::spawn(write_batches(sink, posts, client)),
        false => tokio::spawn(write_each(sink, posts, client)),
    };
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
    let present = chat.present.fetch_sub(1, Ordering::Relaxed) - 1;
    if announces {
        chat.tell(client, left(&name));
        chat.tell(NOBODY, user_count(present));
    }
}

async fn write_each(mut sink: SplitSink<WebSocket, Message>, mut posts: Receiver<Post>, client: u64) {
    while let Some(post) = next(&mut posts).await {
        if post.author != client && sink.send(Message::Text(post.text)).await.is_err() {
            return;
        }
    }
}

async fn write_batches(mut sink: SplitSink<WebSocket, Message>, mut posts: Receiver<Post>, client: u64) {
    while let Some(first) = next(&mut posts).await {
        let mut waiting = Some(first);
        while let Some(post) = waiting {
            if post.author != client && sink.feed(Message::Text(post.text)).await.is_err() {
                return;
            }
            waiting = posts.try_recv().ok();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

async fn next(posts: &mut Receiver<Post>) -> Option<Post> {
    // Lagging ends the connection, as a real server would: the harness would see the loss.
    posts.recv().await.ok()
}
