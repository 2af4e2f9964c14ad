/* Clients of a chat endpoint, as many at once as wanted, on one thread.

   gateway_load PORT FILE CLIENTS COUNT whole|stream|leave [SECONDS]

   FILE is one HTTP request as bytes. `whole` sends it COUNT times over CLIENTS connections that are kept; `stream` and
   `leave` send it once on each of COUNT connections, CLIENTS at a time; `leave` cuts the connection at the first chunk.
   Prints one line of JSON: times in ms. A chunk's delay is from when the upstream wrote it, `@<ns>@`, to here. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_FDS 16384

typedef struct {
    int open, sent, chunks, head_done, good;
    long long began, length, body;
    char tail[16]; int tail_size;
    char *in; size_t size, room;
} Client;

typedef struct { double *at; size_t size, room; } Times;

static Client all[MOST_FDS];
static Times whole, first, delay;
static char *request; static size_t request_size;
static int poller, port, kept, leaving;
static long long started, wanted, done, failed, flying, left_ns, chunks;

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void note(Times *t, double ms) {
    if (t->size == t->room) t->at = realloc(t->at, (t->room = t->room ? t->room * 2 : 4096) * sizeof *t->at);
    t->at[t->size++] = ms;
}

static int by_value(const void *a, const void *b) {
    double x = *(double *)a, y = *(double *)b;
    return x < y ? -1 : x > y;
}

static double at(Times *t, double share) { return t->size ? t->at[(size_t)((t->size - 1) * share)] : -1; }

static void begin(int fd) {
    Client *c = &all[fd];
    c->began = now();
    c->size = c->head_done = c->chunks = c->good = c->tail_size = 0;
    c->body = 0;
    c->length = -1;
    started++;
    flying++;
    if (send(fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) { perror("send"); exit(1); }
}

static void start(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (void *)&address, sizeof address)) { perror("connect"); exit(1); }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    all[fd].open = 1;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    begin(fd);
}

static void end(int fd, int good, int again) {
    Client *c = &all[fd];
    flying--;
    if (good) { done++; note(&whole, (now() - c->began) / 1e6); } else failed++;
    if (again && kept && good) { if (started < wanted) begin(fd); else { c->open = 0; close(fd); } return; }
    c->open = 0;
    free(c->in); c->in = NULL; c->room = 0;
    close(fd);
    if (started < wanted) start();
}

static void scan(int fd) {
    Client *c = &all[fd];
    char *from = c->in;
    long long here = now();
    for (;;) {
        char *mark = memchr(from, '@', c->in + c->size - from);
        if (!mark) { c->size = 0; return; }
        char *close_ = memchr(mark + 1, '@', c->in + c->size - mark - 1);
        if (!close_) { memmove(c->in, mark, c->in + c->size - mark); c->size = c->in + c->size - mark; if (c->size > 64) c->size = 0; return; }
        long long wrote = atoll(mark + 1);
        if (wrote > 1000000) {
            if (!c->chunks++) note(&first, (here - c->began) / 1e6);
            note(&delay, (here - wrote) / 1e6);
            chunks++;
        }
        from = close_ + 1;
    }
}

static void take(int fd) {
    Client *c = &all[fd];
    if (c->size + 65536 > c->room) c->in = realloc(c->in, c->room = c->size + 131072);
    ssize_t got = recv(fd, c->in + c->size, c->room - c->size - 1, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { end(fd, 0, 0); return; }
    char *fresh = c->in + c->size;
    c->size += got;
    c->in[c->size] = 0;
    if (!c->head_done) {
        char *head = strstr(c->in, "\r\n\r\n");
        if (!head) return;
        c->head_done = 1;
        c->good = !strncmp(c->in + 8, " 200", 4);
        if (!c->good && getenv("SHOW")) fprintf(stderr, "%s\n", c->in);
        char *length = strcasestr(c->in, "content-length:");
        c->length = length && length < head ? atoll(length + 15) : -1;
        fresh = head + 4;
        got = c->in + c->size - fresh;
    }
    c->body += got;
    for (ssize_t i = got > 5 ? got - 5 : 0; i < got; i++) {
        if (c->tail_size == 5) { memmove(c->tail, c->tail + 1, 4); c->tail_size = 4; }
        c->tail[c->tail_size++] = fresh[i];
    }
    int over = c->length >= 0 ? c->body >= c->length : c->tail_size == 5 && !memcmp(c->tail, "0\r\n\r\n", 5);
    scan(fd);
    if (leaving && c->chunks) {
        struct linger now_ = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now_, sizeof now_);
        end(fd, 1, 0);
        left_ns = now();
    } else if (over) end(fd, c->good, 1);
}

int main(int count, char **arguments) {
    if (count < 6) return 2;
    port = atoi(arguments[1]);
    FILE *file = fopen(arguments[2], "rb");
    request = malloc(1 << 20);
    request_size = fread(request, 1, 1 << 20, file);
    long long clients = atoll(arguments[3]);
    wanted = atoll(arguments[4]);
    kept = !strcmp(arguments[5], "whole");
    leaving = !strcmp(arguments[5], "leave");
    double limit = count > 6 ? atof(arguments[6]) : 60;
    poller = epoll_create1(0);
    long long began = now();
    for (long long i = 0; i < clients && i < wanted; i++) start();
    struct epoll_event found[512];
    while (flying && (now() - began) / 1e9 < limit) {
        int ready = epoll_wait(poller, found, 512, 100);
        for (int i = 0; i < ready; i++) if (all[found[i].data.fd].open) take(found[i].data.fd);
    }
    double seconds = (now() - began) / 1e9;
    qsort(whole.at, whole.size, sizeof(double), by_value);
    qsort(first.at, first.size, sizeof(double), by_value);
    qsort(delay.at, delay.size, sizeof(double), by_value);
    printf("{\"done\":%lld,\"failed\":%lld,\"open\":%lld,\"seconds\":%.4f,\"per_s\":%.1f,\"p50\":%.4f,\"p99\":%.4f,"
           "\"first_p50\":%.4f,\"chunks\":%lld,\"chunk_p50\":%.4f,\"chunk_p99\":%.4f,\"left_ns\":%lld}\n",
           done, failed, flying, seconds, done / seconds, at(&whole, .5), at(&whole, .99), at(&first, .5), chunks,
           at(&delay, .5), at(&delay, .99), left_ns);
    return 0;
}
