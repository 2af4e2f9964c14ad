/* A model server that does next to nothing, so that what stands before it is what is measured.

   gateway_upstream PORT

   OpenAI's chat completions, whole and streamed, on one thread and epoll. The last words of a prompt say what to do:
   #n=20 content chunks, #gap=50 ms between them, #delay=100 ms before the first. Each chunk's text is the moment it was
   written, @<CLOCK_MONOTONIC in ns>@. GET /stats tells what is open; the newest connection that a client closed in the
   middle of an answer, and when. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_FDS 16384
#define HIGH_WATER (256 * 1024)

typedef struct {
    int open, answering, streamed, watched;
    char *in; size_t in_size, in_room;
    char *out; size_t out_at, out_size, out_room;
    int left, gap_ms;
    long long next_ns;
} Connection;

static Connection all[MOST_FDS];
static int poller, highest;
static long long requests, cut, cut_ns, opened, answering;

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void put(Connection *c, const char *data, size_t size) {
    if (c->out_size + size > c->out_room) {
        c->out_room = (c->out_size + size) * 2;
        c->out = realloc(c->out, c->out_room);
    }
    memcpy(c->out + c->out_size, data, size);
    c->out_size += size;
}

static void put_chunk(Connection *c, const char *text) {
    char head[32];
    size_t size = strlen(text);
    put(c, head, snprintf(head, sizeof head, "%zx\r\n", size));
    put(c, text, size);
    put(c, "\r\n", 2);
}

#define EVENT "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"bench-model\","
#define USAGE "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,\"total_tokens\":14}"

static void put_content(Connection *c) {
    char event[512];
    snprintf(event, sizeof event, EVENT "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"@%lld@ \"},\"logprobs\":null,\"finish_reason\":null}]}\n\n", now());
    put_chunk(c, event);
}

static void put_end(Connection *c) {
    put_chunk(c, EVENT "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n");
    put_chunk(c, EVENT "\"choices\":[]," USAGE "}\n\n");
    put_chunk(c, "data: [DONE]\n\n");
    put(c, "0\r\n\r\n", 5);
}

static void put_whole(Connection *c, const char *body) {
    char head[160];
    put(c, head, snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n", strlen(body)));
    put(c, body, strlen(body));
}

static void drop(int fd) {
    Connection *c = &all[fd];
    if (c->answering) { cut++; cut_ns = now(); answering--; }
    free(c->in); free(c->out);
    memset(c, 0, sizeof *c);
    opened--;
    close(fd);
}

static void watch(int fd, int writing) {
    if (all[fd].watched == writing) return;
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | (writing ? EPOLLOUT : 0), .data.fd = fd};
    all[fd].watched = writing;
    epoll_ctl(poller, EPOLL_CTL_MOD, fd, &e);
}

static void write_out(int fd);

static void finish(Connection *c) {
    if (c->streamed) put_end(c);
    else {
        char body[700];
        snprintf(body, sizeof body, "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1760000000,\"model\":\"bench-model\",\"choices\":[{\"index\":0,"
            "\"message\":{\"role\":\"assistant\",\"content\":\"@%lld@ \",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}]," USAGE "}", now());
        put_whole(c, body);
    }
    c->answering = 0;
    answering--;
}

static void go_on(int fd, long long at) {
    Connection *c = &all[fd];
    while (c->answering && c->next_ns <= at && c->out_size - c->out_at < HIGH_WATER) {
        if (c->left > 0 && c->streamed) { put_content(c); c->left--; }
        else if (c->left > 0) c->left--;
        if (c->left == 0) finish(c);
        else if (c->gap_ms) { c->next_ns += c->gap_ms * 1000000LL; break; }
    }
    write_out(fd);
}

static long option(const char *body, const char *name, long otherwise) {
    const char *found = strstr(body, name);
    return found ? atol(found + strlen(name)) : otherwise;
}

static void take(int fd, const char *head, const char *body) {
    Connection *c = &all[fd];
    if (!strncmp(head, "GET /stats", 10)) {
        char said[300];
        snprintf(said, sizeof said, "{\"requests\":%lld,\"connections\":%lld,\"answering\":%lld,\"cut\":%lld,\"cut_ns\":%lld}", requests, opened, answering, cut, cut_ns);
        put_whole(c, said);
        return;
    }
    if (!strncmp(head, "GET ", 4)) {
        put_whole(c, "{\"object\":\"list\",\"data\":[{\"id\":\"bench-model\",\"object\":\"model\",\"created\":1,\"owned_by\":\"bench\",\"context_length\":100000}]}");
        return;
    }
    requests++;
    answering++;
    c->answering = 1;
    c->streamed = strstr(body, "\"stream\":true") || strstr(body, "\"stream\": true");
    c->left = option(body, "#n=", 1);
    c->gap_ms = option(body, "#gap=", 0);
    c->next_ns = now() + option(body, "#delay=", 0) * 1000000LL;
    if (c->streamed) {
        const char *said = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        put(c, said, strlen(said));
        put_chunk(c, EVENT "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    }
}

static void write_out(int fd) {
    Connection *c = &all[fd];
    while (c->out_at < c->out_size) {
        ssize_t sent = send(fd, c->out + c->out_at, c->out_size - c->out_at, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) { watch(fd, 1); return; }
            drop(fd);
            return;
        }
        c->out_at += sent;
    }
    c->out_at = c->out_size = 0;
    watch(fd, 0);
}

static void read_in(int fd) {
    Connection *c = &all[fd];
    for (;;) {
        if (c->in_size + 65536 > c->in_room) {
            c->in_room = c->in_room ? c->in_room * 2 : 131072;
            c->in = realloc(c->in, c->in_room);
        }
        ssize_t got = recv(fd, c->in + c->in_size, c->in_room - c->in_size - 1, 0);
        if (got < 0 && errno == EAGAIN) break;
        if (got <= 0) { drop(fd); return; }
        c->in_size += got;
    }
    while (c->in_size && !c->answering) {
        c->in[c->in_size] = 0;
        char *end = strstr(c->in, "\r\n\r\n");
        if (!end) return;
        size_t head = end + 4 - c->in, body = 0;
        char *length = strcasestr(c->in, "content-length:");
        if (length && length < end) body = atol(length + 15);
        if (c->in_size < head + body) return;
        char kept = c->in[head + body];
        c->in[head + body] = 0;
        take(fd, c->in, c->in + head);
        c->in[head + body] = kept;
        memmove(c->in, c->in + head + body, c->in_size - head - body);
        c->in_size -= head + body;
        go_on(fd, now());
        if (!all[fd].open) return;
    }
}

int main(int count, char **arguments) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(arguments[1]) : 0)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) { perror("bind"); return 1; }
    socklen_t size = sizeof address;
    getsockname(listener, (void *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    poller = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, found[512];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        long long soonest = -1, at = now();
        for (int fd = 0; fd <= highest && answering; fd++)
            if (all[fd].answering && all[fd].out_size == all[fd].out_at && (soonest < 0 || all[fd].next_ns < soonest)) soonest = all[fd].next_ns;
        int wait = soonest < 0 ? 1000 : soonest <= at ? 0 : (int)((soonest - at + 999999) / 1000000);
        int ready = epoll_wait(poller, found, 512, wait);
        for (int i = 0; i < ready; i++) {
            int fd = found[i].data.fd;
            if (fd == listener) {
                int made;
                while ((made = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    if (made >= MOST_FDS) { close(made); continue; }
                    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    all[made].open = 1;
                    opened++;
                    if (made > highest) highest = made;
                    struct epoll_event one = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = made};
                    epoll_ctl(poller, EPOLL_CTL_ADD, made, &one);
                }
                continue;
            }
            if (!all[fd].open) continue;
            if (found[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) read_in(fd);
            if (all[fd].open && (found[i].events & EPOLLOUT)) { write_out(fd); if (all[fd].open) go_on(fd, now()); }
        }
        at = now();
        for (int fd = 0; fd <= highest && answering; fd++)
            if (all[fd].answering && all[fd].next_ns <= at && all[fd].out_size == all[fd].out_at) go_on(fd, at);
    }
}
