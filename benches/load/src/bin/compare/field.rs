//! Who can be compared, and under what: the known servers and the known loads. Runs nothing.

/// A server and how to get it. Paths are relative to the project, `{bin}` is where this program lies.
pub struct Peer {
    pub name: &'static str,
    pub command: &'static [&'static str],
    /// How it is kept from announcing joins, where a load wants that.
    pub quiet: Quiet,
    pub build: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Quiet {
    Flag,
    OwnRooms,
}

const CATCHUP: &str = "cargo build --release";
const BENCH: &str = "cargo build --release -p catchup-bench";
const RUST: &str = "cargo build --release --manifest-path benches/peers/rust/Cargo.toml";
const CPP: &str = "benches/peers/uws/build.sh";
const NODE: &str = "npm ci --prefix benches/peers/js";
const PYTHON: &str = "python3 -m venv benches/peers/python/.venv && benches/peers/python/.venv/bin/pip install -r benches/peers/python/requirements.txt";
const AXUM: &str = "benches/peers/rust/target/release/axum-chat";
const TOKIO: &str = "benches/peers/rust/target/release/tokio-tungstenite-chat";
const UWS: &str = "benches/peers/uws/build/uws-chat";
const BUN: &str = "benches/peers/js/node_modules/@oven/bun-linux-x64/bin/bun";

const fn peer(name: &'static str, command: &'static [&'static str], build: &'static str) -> Peer {
    Peer { name, command, quiet: Quiet::Flag, build }
}

pub const PEERS: &[Peer] = &[
    peer("limit", &["{bin}/limit"], BENCH),
    peer("limit-cork", &["{bin}/limit", "--cork"], BENCH),
    Peer {
        name: "catchup",
        command: &["{bin}/catchup", "--ephemeral", "--quiet", "--rate-limit", "off"],
        quiet: Quiet::OwnRooms,
        build: CATCHUP,
    },
    Peer {
        name: "catchup-stored",
        command: &["{bin}/catchup", "--quiet", "--rate-limit", "off"],
        quiet: Quiet::OwnRooms,
        build: CATCHUP,
    },
    peer("axum", &[AXUM], RUST),
    peer("axum-batch", &[AXUM, "--batch"], RUST),
    peer("tokio-tungstenite", &[TOKIO], RUST),
    peer("uws", &[UWS], CPP),
    peer("uws-direct", &[UWS, "--direct"], CPP),
    peer("node-ws", &["node", "benches/peers/js/node-ws.mjs"], NODE),
    peer("node-ws-tuned", &["node", "benches/peers/js/node-ws.mjs", "--tuned"], NODE),
    peer("bun", &[BUN, "benches/peers/js/bun.js"], NODE),
    peer("fastapi", &["benches/peers/python/.venv/bin/python", "benches/peers/python/fastapi_chat.py"], PYTHON),
];

/// The figure that a load is about.
#[derive(Clone, Copy, PartialEq)]
pub enum Figure {
    Rate,
    Ramp,
    Paced,
    Joins,
    Memory,
}

pub struct Load {
    pub name: &'static str,
    pub about: &'static str,
    pub arguments: &'static str,
    pub figure: Figure,
    pub is_quiet: bool,
}

const fn load(name: &'static str, arguments: &'static str, figure: Figure, about: &'static str) -> Load {
    Load { name, about, arguments, figure, is_quiet: false }
}

pub const LOADS: &[Load] = &[
    load("fanout100", "--clients 100", Figure::Rate, "100 members, 10 senders, 64 B, saturated"),
    load("fanout1000", "--clients 1000", Figure::Rate, "1,000 members, 10 senders, 64 B, saturated"),
    load("fanout100-1k", "--clients 100 --size 1024", Figure::Rate, "100 members, 10 senders, 1 KiB, saturated"),
    load("fanout1000-1k", "--clients 1000 --size 1024", Figure::Rate, "1,000 members, 10 senders, 1 KiB, saturated"),
    load("bunchat", "--clients 32 --mode bun", Figure::Rate, "Bun's chat pattern: 32 clients, rounds"),
    load("ramp500", "--clients 500 --mode ramp", Figure::Ramp, "500 members: highest rate with p99 under 25 ms"),
    load(
        "paced500",
        "--clients 500 --mode rate --rate 200",
        Figure::Paced,
        "500 members, 200 messages/s on a schedule",
    ),
    load("joins1000", "--clients 1000 --mode joins", Figure::Joins, "1,000 joins, announced"),
    Load {
        name: "handshakes",
        about: "5,000 joins, nobody told",
        arguments: "--clients 5000 --mode joins",
        figure: Figure::Joins,
        is_quiet: true,
    },
    load("idle10000", "--clients 10000 --mode idle --wait", Figure::Memory, "10,000 idle connections in one room"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers_and_loads_are_unique() {
        let mut names: Vec<&str> =
            PEERS.iter().map(|peer| peer.name).chain(LOADS.iter().map(|load| load.name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
