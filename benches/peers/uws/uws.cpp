// The chat on uWebSockets with its publish/subscribe. Messages are published from Loop::defer, once
// a turn: published in the handler, the 33rd of a turn makes it write to each receiver one by one.
// --direct publishes in the handler all the same. Not a product: no limits, no history.

#include "App.h"

#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

struct Member {
    std::string name;
};

using Socket = uWS::WebSocket<false, true, Member>;

struct Post {
    Socket *author;
    std::string frame;
};

static const char *const ROOM = "chat";
static const unsigned BACKPRESSURE_BYTES_MAX = 256u << 20; // nothing may be dropped: every delivery is counted

static std::vector<Post> posts;
static long long last_id = 0;
static int present = 0;

static const std::string &timestamp() {
    static time_t second = 0;
    static std::string text;
    time_t now = time(nullptr);
    if (now != second) {
        char buffer[32];
        strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M:%S", localtime(&now));
        second = now;
        text = buffer;
    }
    return text;
}

static std::string system_line(const std::string &text) {
    return "{\"type\":\"system\",\"message\":\"" + text + "\"}";
}

static std::string user_count() {
    return "{\"type\":\"user_count\",\"count\":" + std::to_string(present) + "}";
}

static void publish_posts() {
    std::vector<Post> waiting;
    waiting.swap(posts);
    for (auto &post : waiting) {
        post.author->publish(ROOM, post.frame, uWS::OpCode::TEXT);
    }
}

int main(int count, char **words) {
    int port = 8000;
    bool announces = true, direct = false;
    for (int at = 1; at < count; at++) {
        if (!strcmp(words[at], "--port") && at + 1 < count) port = atoi(words[++at]);
        else if (!strcmp(words[at], "--announce") && at + 1 < count) announces = !strcmp(words[++at], "on");
        else if (!strcmp(words[at], "--direct")) direct = true;
        else return fprintf(stderr, "uws: unknown option %s\n", words[at]), 2;
    }

    uWS::App app;
    uWS::App::WebSocketBehavior<Member> chat;
    chat.compression = uWS::DISABLED;
    chat.idleTimeout = 960;
    chat.sendPingsAutomatically = false;
    chat.maxBackpressure = BACKPRESSURE_BYTES_MAX;
    chat.upgrade = [](auto *response, auto *request, auto *context) {
        response->template upgrade<Member>(
            {std::string(request->getQuery("username"))}, request->getHeader("sec-websocket-key"),
            request->getHeader("sec-websocket-protocol"), request->getHeader("sec-websocket-extensions"), context);
    };
    chat.open = [&](Socket *socket) {
        const std::string &name = socket->getUserData()->name;
        present++;
        if (announces) app.publish(ROOM, system_line(name + " joined the chat"), uWS::OpCode::TEXT);
        socket->subscribe(ROOM);
        socket->send(system_line("Welcome to the chat, " + name + "!"), uWS::OpCode::TEXT);
        if (announces) app.publish(ROOM, user_count(), uWS::OpCode::TEXT);
        else socket->send(user_count(), uWS::OpCode::TEXT);
    };
    chat.message = [&](Socket *socket, std::string_view data, uWS::OpCode) {
        // The text as it stands between the quotes of {"type":"message","message":"..."}.
        static const std::string_view KEY = "\"message\":\"";
        size_t at = data.find(KEY);
        if (at == std::string_view::npos || data.size() < at + KEY.size() + 2) return;
        std::string_view text = data.substr(at + KEY.size(), data.size() - at - KEY.size() - 2);
        std::string frame = "{\"type\":\"message\",\"sender\":\"" + socket->getUserData()->name + "\",\"message\":\"";
        frame.append(text).append("\",\"timestamp\":\"").append(timestamp());
        frame.append("\",\"id\":").append(std::to_string(++last_id)).append("}");
        if (direct) {
            socket->publish(ROOM, frame, uWS::OpCode::TEXT);
            return;
        }
        if (posts.empty()) uWS::Loop::get()->defer(publish_posts);
        posts.push_back({socket, std::move(frame)});
    };
    chat.close = [&](Socket *socket, int, std::string_view) {
        publish_posts(); // some may be this one's
        present--;
        if (announces) {
            app.publish(ROOM, system_line(socket->getUserData()->name + " left the chat"), uWS::OpCode::TEXT);
            app.publish(ROOM, user_count(), uWS::OpCode::TEXT);
        }
    };
    app.ws<Member>("/ws", std::move(chat)).listen("127.0.0.1", port, [](auto *listening) {
        if (!listening) exit(1);
    }).run();
}
