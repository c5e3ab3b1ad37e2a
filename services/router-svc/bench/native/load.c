/* Asks a gateway on 127.0.0.1 for chat completions and prints what was measured, as one line of JSON.

   load --port P --connections C --seconds S --warmup S [--rate R] [--requests N] [--stream] [--prompt BYTES]
        [--model NAME] [--path PATH] [--key KEY]

   Without a rate each connection asks again as soon as it is answered: the ceiling. With a rate requests are sent by the clock,
   whether or not earlier ones were answered, and a latency counts from the time at which the request was due, also if all
   connections were busy then: a gateway that stalls cannot hide it (no coordinated omission).
   The lines "from" and "to" are printed when the measured time begins and ends. Every request that was sent is waited for. */
#include "wire.h"
#include <poll.h>

enum { USERS = 10000, EVENTS = 32, PIECE_BYTES = 65536, PATIENCE_S = 10 };
#define TIMER (1ull << 40)

typedef enum { IDLE, HEAD, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER } State;

typedef struct {
    int fd;
    State state;
    size_t left;                /* bytes of the body or chunk that are still to come */
    uint64_t due_ns, first_ns;  /* when the request should have been sent; when the first event came */
    int events;
    bool ok, done, closes;
    size_t raw_length, text_length;
    char raw[PIECE_BYTES];      /* what came in and was not read yet */
    char text[PIECE_BYTES];     /* the body so far, or the part of a stream that is no whole event yet */
} Connection;

typedef struct {
    uint64_t *values;
    size_t count, room;
} Series;

typedef struct {
    int port;
    int connections;
    double seconds, warmup, rate;
    uint64_t requests;
    bool stream;
    int prompt;
    const char *model, *path, *key;
} Options;

static Options options = {.connections = 64, .seconds = 3, .warmup = 1, .prompt = 400, .model = "mock",
    .path = "/v1/chat/completions", .key = "bench"};
static Connection *connections;
static int epoll, timer;
static int *idle, idle_count;   /* connections that wait for a request */
static uint64_t *late;          /* due times of requests that found no idle connection, a ring */
static size_t late_first, late_count, late_room = 1 << 20;
static char *request;
static size_t request_length;
static char *user_places[2];
static uint64_t measured_from, measured_to, sent, answered, answered_in_time, chunks_in_time, failed, broken, reconnected;
static Series latencies, first_events, chunk_delays;
static char first_failure[200];

static void add(Series *series, uint64_t value) {
    if (series->count == series->room) {
        series->room = series->room ? 2 * series->room : 1 << 16;
        if (!(series->values = realloc(series->values, series->room * sizeof value))) die("memory");
    }
    series->values[series->count++] = value;
}

static int compare(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static void print_quantiles(const char *name, Series *series) {
    if (series->count) qsort(series->values, series->count, sizeof *series->values, compare);
    const double shares[] = {.5, .99};
    const char *labels[] = {"p50", "p99"};
    for (int place = 0; place < 2; place++) {
        if (!series->count) printf("\"%s_%s_us\":null,", name, labels[place]);
        else printf("\"%s_%s_us\":%.1f,", name, labels[place],
            (double)series->values[(size_t)(shares[place] * (double)(series->count - 1) + .5)] / 1000);
    }
}

static void note_failure(const char *text, size_t length) {
    if (*first_failure) return;
    if (length >= sizeof first_failure) length = sizeof first_failure - 1;
    for (size_t place = 0; place < length; place++)
        first_failure[place] = text[place] < ' ' || text[place] == '"' || text[place] == '\\' ? ' ' : text[place];
}

static void write_request(void) {
    static const char *words[] = {"disk ", "error ", "on ", "node ", "raised ", "latency ", "of ", "the ", "service ", "while ",
        "memory ", "was ", "low ", "and ", "retries ", "grew ", "until ", "packet ", "loss ", "stopped "};
    char *prompt = malloc((size_t)options.prompt + 16);
    uint64_t chance = 7;
    int length = 0;
    while (length < options.prompt) {
        chance = chance * 6364136223846793005ull + 1442695040888963407ull;
        length += sprintf(prompt + length, "%s", words[(chance >> 33) % 20]);
    }
    prompt[options.prompt] = 0;
    size_t room = (size_t)options.prompt + 2048;
    char *body = malloc(room);
    request = malloc(room);
    int body_length = snprintf(body, room, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"max_tokens\":64,"
        "\"temperature\":0.7,\"user\":\"user-000000\",\"stream\":%s}", options.model, prompt, options.stream ? "true" : "false");
    request_length = (size_t)snprintf(request, room, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n"
        "Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.0.0\r\nAuthorization: Bearer %s\r\n"
        "x-session-id: user-000000\r\nContent-Length: %d\r\n\r\n%s", options.path, options.port, options.key, body_length, body);
    user_places[0] = strstr(request, "user-000000") + 5;
    user_places[1] = strstr(user_places[0], "user-000000") + 5;
    free(prompt);
    free(body);
}

static void name_user(void) {
    static uint64_t chance = 88172645463325252ull;
    char digits[24];
    chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
    snprintf(digits, sizeof digits, "%06u", (unsigned)(chance % USERS));
    for (int place = 0; place < 2; place++) memcpy(user_places[place], digits, 6);
}

static void send_request(Connection *connection, uint64_t due_ns) {
    name_user();
    connection->state = HEAD;
    connection->due_ns = due_ns;
    connection->first_ns = 0;
    connection->events = 0;
    connection->ok = true;
    connection->done = false;
    connection->raw_length = connection->text_length = 0;
    sent++;
    for (size_t gone = 0; gone < request_length;) {
        ssize_t bytes = send(connection->fd, request + gone, request_length - gone, MSG_NOSIGNAL);
        if (bytes < 0 && errno == EAGAIN) { /* a large prompt, more than the sockets hold */
            struct pollfd room = {.fd = connection->fd, .events = POLLOUT};
            poll(&room, 1, 1000);
            continue;
        }
        if (bytes < 0) return; /* its end shows when it is read from */
        gone += (size_t)bytes;
    }
}

static void take_event(Connection *connection, const char *event, size_t length, uint64_t now) {
    if (memmem(event, length, "[DONE]", 6)) connection->done = true;
    const char *mark = memmem(event, length, " @", 2);
    if (!mark) return;
    if (!connection->events++) connection->first_ns = now;
    if (now < measured_from || now >= measured_to) return;
    uint64_t written_ns = strtoull(mark + 2, NULL, 10);
    chunks_in_time++;
    add(&chunk_delays, now > written_ns ? now - written_ns : 0);
}

static void take_text(Connection *connection, const char *bytes, size_t length, uint64_t now) {
    if (connection->text_length + length > PIECE_BYTES) connection->text_length = 0; /* a long error page: its end is enough */
    if (length > PIECE_BYTES) return;
    memcpy(connection->text + connection->text_length, bytes, length);
    connection->text_length += length;
    if (!options.stream) return;
    char *start = connection->text, *end = start + connection->text_length;
    for (char *blank; (blank = memmem(start, (size_t)(end - start), "\n\n", 2)); start = blank + 2)
        take_event(connection, start, (size_t)(blank - start), now);
    connection->text_length = (size_t)(end - start);
    memmove(connection->text, start, connection->text_length);
}

static void take_head(Connection *connection, const char *head, const char *end) {
    if (strncmp(head + 9, "200", 3)) {
        connection->ok = false;
        note_failure(head, (size_t)(end - head));
    }
    const char *wish = header(head, end, "connection"), *length = header(head, end, "content-length");
    if (wish && !strncasecmp(wish, "close", 5)) connection->closes = true;
    connection->left = length ? strtoull(length, NULL, 10) : 0;
    connection->state = length ? LENGTH : CHUNK_SIZE;
}

/* Reads one step of an answer; returns the bytes it took, 0 if more have to come. At the end the state is IDLE. */
static size_t take_step(Connection *connection, const char *bytes, size_t length, uint64_t now) {
    const char *end = NULL;
    size_t part = length < connection->left ? length : connection->left;
    switch (connection->state) {
    case HEAD:
        if (!(end = memmem(bytes, length, "\r\n\r\n", 4))) return 0;
        take_head(connection, bytes, end + 4);
        if (connection->state == LENGTH && !connection->left) connection->state = IDLE;
        return (size_t)(end + 4 - bytes);
    case CHUNK_SIZE:
        if (!(end = memmem(bytes, length, "\r\n", 2))) return 0;
        connection->left = strtoull(bytes, NULL, 16);
        connection->state = connection->left ? CHUNK : TRAILER;
        return (size_t)(end + 2 - bytes);
    case LENGTH:
    case CHUNK:
        take_text(connection, bytes, part, now);
        connection->left -= part;
        if (!connection->left) connection->state = connection->state == LENGTH ? IDLE : CHUNK_END;
        return part;
    case CHUNK_END:
    case TRAILER:
        if (length < 2) return 0;
        connection->state = connection->state == CHUNK_END ? CHUNK_SIZE : IDLE;
        return 2;
    case IDLE:
        break;
    }
    return 0;
}

static void count_answer(Connection *connection, uint64_t now) {
    bool whole = options.stream ? connection->done && connection->events == EVENTS
                                : memmem(connection->text, connection->text_length, "quick brown fox", 15) != NULL;
    if (!connection->ok) {
        failed++;
        return;
    }
    answered++;
    if (!whole) {
        broken++;
        note_failure(connection->text, connection->text_length);
    }
    if (now >= measured_from && now < measured_to) answered_in_time++;
    /* by the clock every request of the measured time counts; without it only those that were answered in it */
    if (connection->due_ns < measured_from || connection->due_ns >= measured_to || (!options.rate && now >= measured_to)) return;
    add(&latencies, now - connection->due_ns);
    if (connection->first_ns) add(&first_events, connection->first_ns - connection->due_ns);
}

static void open_connection(int place) {
    Connection *connection = &connections[place];
    connection->fd = connect_to((uint16_t)options.port);
    connection->closes = false;
    connection->state = IDLE;
    if (connection->fd < 0) die("connect");
    watch(epoll, connection->fd, (uint64_t)place);
}

static bool more_wanted(uint64_t now) {
    return options.requests ? sent < options.requests : now < measured_to;
}

static void ask_again(int place, uint64_t now) {
    Connection *connection = &connections[place];
    if (connection->closes) {
        close(connection->fd);
        open_connection(place);
        reconnected++;
    }
    if (!options.rate && more_wanted(now)) send_request(connection, now);
    else if (late_count) {
        send_request(connection, late[late_first]);
        late_first = (late_first + 1) % late_room;
        late_count--;
    } else idle[idle_count++] = place;
}

static void take_answer(int place) {
    Connection *connection = &connections[place];
    ssize_t got = recv(connection->fd, connection->raw + connection->raw_length, PIECE_BYTES - connection->raw_length, 0);
    uint64_t now = now_ns();
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        connection->closes = true;
        if (connection->state == IDLE) { /* an idle connection was closed: it is opened anew, and is idle as before */
            close(connection->fd);
            open_connection(place);
            reconnected++;
            return;
        }
        failed++;
        note_failure("closed within an answer", 23);
        ask_again(place, now);
        return;
    }
    connection->raw_length += (size_t)got;
    size_t taken = 0;
    for (size_t step = 1; step && connection->state != IDLE; taken += step)
        step = take_step(connection, connection->raw + taken, connection->raw_length - taken, now);
    connection->raw_length -= taken;
    memmove(connection->raw, connection->raw + taken, connection->raw_length);
    if (connection->state != IDLE) return;
    count_answer(connection, now);
    ask_again(place, now);
}

/* Sends what is due by the clock since the last ring. */
static void send_what_is_due(uint64_t started) {
    static uint64_t scheduled;
    uint64_t rings;
    if (read(timer, &rings, sizeof rings) < 0 || !options.rate) return;
    for (;;) {
        uint64_t due_ns = started + (uint64_t)((double)++scheduled * (double)SECOND / options.rate);
        if (due_ns >= measured_to) return;
        if (due_ns > now_ns()) {
            scheduled--;
            ring_at(timer, due_ns);
            return;
        }
        if (idle_count) send_request(&connections[idle[--idle_count]], due_ns);
        else if (late_count == late_room) failed++;
        else late[(late_first + late_count++) % late_room] = due_ns;
    }
}

static void measure(void) {
    uint64_t started = now_ns(), given_up;
    const char *marks[] = {"from", "to", NULL}, **mark = marks;
    measured_from = started + (options.requests ? 0 : (uint64_t)(options.warmup * (double)SECOND));
    measured_to = options.requests ? UINT64_MAX / 2 : measured_from + (uint64_t)(options.seconds * (double)SECOND);
    given_up = measured_to + PATIENCE_S * SECOND;
    ring_at(timer, options.rate ? started + 1000 : measured_from);
    if (!options.rate)
        while (idle_count && more_wanted(now_ns())) send_request(&connections[idle[--idle_count]], now_ns());
    for (struct epoll_event events[256];;) {
        int ready = epoll_wait(epoll, events, 256, 20);
        uint64_t now = now_ns();
        for (; *mark && now >= (mark == marks ? measured_from : measured_to); mark++) {
            puts(*mark);
            fflush(stdout);
        }
        for (int place = 0; place < ready; place++) {
            if (events[place].data.u64 == TIMER) send_what_is_due(started);
            else take_answer((int)events[place].data.u64);
        }
        bool all_sent = !more_wanted(now) && !late_count;
        if ((all_sent && idle_count == options.connections) || now > given_up) break;
    }
    if (options.requests) options.seconds = (double)(now_ns() - measured_from) / (double)SECOND;
    for (; *mark; mark++) puts(*mark); /* a number of requests ends when it ends */
}

static void print_result(void) {
    uint64_t unanswered = (uint64_t)(options.connections - idle_count) + late_count;
    printf("{\"seconds\":%.3f,\"requests_s\":%.1f,\"chunks_s\":%.1f,\"answered_in_time\":%llu,\"chunks_in_time\":%llu,",
        options.seconds, (double)answered_in_time / options.seconds, (double)chunks_in_time / options.seconds,
        (unsigned long long)answered_in_time, (unsigned long long)chunks_in_time);
    print_quantiles("latency", &latencies);
    print_quantiles("first_event", &first_events);
    print_quantiles("chunk", &chunk_delays);
    printf("\"answered\":%llu,\"failed\":%llu,\"broken\":%llu,\"unanswered\":%llu,\"reconnected\":%llu,\"first_failure\":\"%s\"}\n",
        (unsigned long long)answered, (unsigned long long)failed, (unsigned long long)broken, (unsigned long long)unanswered,
        (unsigned long long)reconnected, first_failure);
}

static void read_options(int count, char **arguments) {
    for (int place = 1; place < count; place++) {
        const char *name = arguments[place], *value = place + 1 < count ? arguments[place + 1] : "";
        if (!strcmp(name, "--stream")) {
            options.stream = true;
            continue;
        }
        place++;
        if (!strcmp(name, "--port")) options.port = atoi(value);
        else if (!strcmp(name, "--connections")) options.connections = atoi(value);
        else if (!strcmp(name, "--seconds")) options.seconds = atof(value);
        else if (!strcmp(name, "--warmup")) options.warmup = atof(value);
        else if (!strcmp(name, "--rate")) options.rate = atof(value);
        else if (!strcmp(name, "--requests")) options.requests = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--prompt")) options.prompt = atoi(value);
        else if (!strcmp(name, "--model")) options.model = value;
        else if (!strcmp(name, "--path")) options.path = value;
        else if (!strcmp(name, "--key")) options.key = value;
        else {
            fprintf(stderr, "load: unknown option %s\n", name);
            exit(2);
        }
    }
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    write_request();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(epoll, timer, TIMER);
    connections = calloc((size_t)options.connections, sizeof *connections);
    idle = calloc((size_t)options.connections, sizeof *idle);
    late = calloc(late_room, sizeof *late);
    for (int place = 0; place < options.connections; place++) {
        open_connection(place);
        idle[idle_count++] = place;
    }
    measure();
    print_result();
    return 0;
}
