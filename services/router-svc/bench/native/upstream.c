/* A model server that costs nothing: answers the OpenAI API's completions with fixed words, far faster than any gateway.

   upstream PORT [PORT...]
   A streamed answer has 32 events, each an HTTP chunk and a send() of its own, with the time of sending (ns) after "@"; one more
   with the usage if the request asks for it, as vLLM does. GET /gap?us=N sets the time between events, 0 at first (a burst). */
#include "wire.h"

enum { EVENTS = 32, REQUEST_BYTES = 1 << 20, CONNECTIONS = 65536 };
#define LISTENER (1ull << 40)
#define TIMER (1ull << 41)

typedef struct {
    char *request; /* bytes that came in and belong to no answered request yet */
    size_t length;
    int events_left;
    unsigned generation; /* tells a connection from another one that had its number */
    bool tells_usage, closes;
} Connection;

typedef struct {
    uint64_t at_ns;
    int fd;
    unsigned generation;
} Due;

static Connection connections[CONNECTIONS];
/* every wait is equally long, so what comes first in is due first */
static Due queue[CONNECTIONS];
static size_t queue_first, queue_length;
static uint64_t gap_ns;
static int timer;

#define ID "\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"created\":1763700000,\"model\":\"mock\","
static const char BODY[] = "{" ID "\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
    "\"content\":\"The quick brown fox jumps over the lazy dog, and the dog does not mind it.\"},\"logprobs\":null,"
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":120,\"total_tokens\":152,\"completion_tokens\":32},"
    "\"system_fingerprint\":null,\"service_tier\":null}";
static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\ndate: Sat, 22 Nov 2025 08:00:00 GMT\r\nserver: mock\r\n"
    "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
static const char USAGE[] = "data: {" ID "\"object\":\"chat.completion.chunk\",\"choices\":[],"
    "\"usage\":{\"prompt_tokens\":120,\"total_tokens\":152,\"completion_tokens\":32}}\n\n";
static const char MODELS[] = "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\",\"created\":1763700000,"
    "\"owned_by\":\"mock\",\"root\":\"mock\",\"parent\":null,\"max_model_len\":65536}]}";

static void put(int fd, const char *bytes, size_t length) {
    /* the send buffer holds several answers; a client that does not read is cut off */
    if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) shutdown(fd, SHUT_RDWR);
}

static void put_json(int fd, const char *body) {
    char text[1024];
    int length = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\ndate: Sat, 22 Nov 2025 08:00:00 GMT\r\nserver: mock\r\n"
        "content-length: %zu\r\ncontent-type: application/json\r\n\r\n%s", strlen(body), body);
    put(fd, text, (size_t)length);
}

/* Sends the next event; the head goes with the first, the end with the last. */
static void put_event(int fd, Connection *connection) {
    char event[512], text[2048];
    bool first = connection->events_left == EVENTS, last = --connection->events_left == 0;
    int length = snprintf(event, sizeof event, "data: {" ID "\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,"
        "\"delta\":{%s\"content\":\" @%llu\"},\"logprobs\":null,\"finish_reason\":%s}]}\n\n",
        first ? "\"role\":\"assistant\"," : "", (unsigned long long)now_ns(), last ? "\"stop\"" : "null");
    char *end = text + sprintf(text, "%s%x\r\n%s\r\n", first ? STREAM_HEAD : "", length, event);
    if (last && connection->tells_usage) end += sprintf(end, "%zx\r\n%s\r\n", sizeof USAGE - 1, USAGE);
    if (last) end += sprintf(end, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    put(fd, text, (size_t)(end - text));
}

static void put_later(int fd) {
    if (queue_length == CONNECTIONS) die("too many streams");
    Due *due = &queue[(queue_first + queue_length++) % CONNECTIONS];
    *due = (Due){now_ns() + gap_ns, fd, connections[fd].generation};
    if (queue_length == 1) ring_at(timer, due->at_ns);
}

static void put_what_is_due(void) {
    uint64_t rings;
    if (read(timer, &rings, sizeof rings) < 0) return;
    while (queue_length && queue[queue_first].at_ns <= now_ns()) {
        Due due = queue[queue_first];
        queue_first = (queue_first + 1) % CONNECTIONS;
        queue_length--;
        Connection *connection = &connections[due.fd];
        if (connection->generation != due.generation || !connection->events_left) continue;
        put_event(due.fd, connection);
        if (connection->events_left) put_later(due.fd);
        else if (connection->closes) shutdown(due.fd, SHUT_WR);
    }
    if (queue_length) ring_at(timer, queue[queue_first].at_ns);
}

static void answer(int fd, Connection *connection, const char *path, const char *body, size_t length) {
    if (!strncmp(path, "/gap?us=", 8)) gap_ns = strtoull(path + 8, NULL, 10) * 1000;
    if (!memmem(path, strcspn(path, " "), "completions", 11)) {
        put_json(fd, MODELS); /* lists of models, health and whatever else a gateway wants to see */
        return;
    }
    if (!memmem(body, length, "\"stream\":true", 13) && !memmem(body, length, "\"stream\": true", 14)) {
        put_json(fd, BODY);
        return;
    }
    connection->tells_usage = memmem(body, length, "\"include_usage\"", 15) != NULL;
    connection->events_left = EVENTS;
    put_event(fd, connection);
    if (gap_ns) put_later(fd);
    else while (connection->events_left) put_event(fd, connection);
}

/* Length of the body, or -1 while more of it has to come. */
static ssize_t body_length(const char *head, const char *body, const char *end) {
    const char *value = header(head, body, "content-length");
    if (value) {
        ssize_t length = strtol(value, NULL, 10);
        return end - body < length ? -1 : length;
    }
    if (!header(head, body, "transfer-encoding")) return 0;
    const char *last = memmem(body, (size_t)(end - body), "0\r\n\r\n", 5);
    return last ? last + 5 - body : -1;
}

static void answer_requests(int fd, Connection *connection) {
    char *start = connection->request, *end = start + connection->length;
    for (char *blank; (blank = memmem(start, (size_t)(end - start), "\r\n\r\n", 4));) {
        char *body = blank + 4, *path = memchr(start, ' ', (size_t)(blank - start));
        ssize_t length = body_length(start, body, end);
        if (length < 0) break;
        if (!path || path[1] != '/') { /* HTTP/2 or TLS is not spoken here */
            shutdown(fd, SHUT_RDWR);
            return;
        }
        const char *wish = header(start, body, "connection");
        connection->closes = wish && !strncasecmp(wish, "close", 5);
        answer(fd, connection, path + 1, body, (size_t)length);
        if (connection->closes && !connection->events_left) shutdown(fd, SHUT_WR);
        start = body + length;
    }
    connection->length = (size_t)(end - start);
    memmove(connection->request, start, connection->length);
}

static void take_in(int fd) {
    Connection *connection = &connections[fd];
    ssize_t got = recv(fd, connection->request + connection->length, REQUEST_BYTES - connection->length, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { /* also a request that is too large: no room was left */
        connection->generation++;
        connection->events_left = 0;
        connection->length = 0;
        close(fd);
        return;
    }
    connection->length += (size_t)got;
    answer_requests(fd, connection);
}

static void welcome(int epoll, int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        int buffer_bytes = 1 << 20;
        if (fd >= CONNECTIONS) die("too many connections");
        without_delay(fd);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
        if (!connections[fd].request && !(connections[fd].request = malloc(REQUEST_BYTES))) die("memory");
        watch(epoll, fd, (uint64_t)fd);
    }
}

int main(int count, char **arguments) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(epoll, timer, TIMER);
    for (int place = 1; place < count; place++) {
        int listener = listen_on((uint16_t)atoi(arguments[place]));
        watch(epoll, listener, LISTENER | (uint64_t)listener);
    }
    for (struct epoll_event events[256];;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int place = 0; place < ready; place++) {
            uint64_t tag = events[place].data.u64;
            if (tag & LISTENER) welcome(epoll, (int)(tag & 0xffffffff));
            else if (tag & TIMER) put_what_is_due();
            else take_in((int)tag);
        }
    }
}
