/*
 * Any bytes from a client of the admin port, through its own framing, login and replies: what the
 * client gets back is whole packets and does not depend on how its bytes were cut, or on whether a
 * command is answered at once or a moment later; afterwards nothing is left of it.
 *
 * The first byte says in its lowest bit whether there are users, in the next whether the client
 * leaves without reading on; the second seeds the cuts.
 */
#include <event2/event.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/options.h"
#include "proxy/admin_internal.h"
#include "proxy/admin_parse.h"
#include "proxy/audit.h"
#include "proxy/holds.h"
#include "proxy/log.h"
#include "proxy/server.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Turns of the loop without anything new after which nothing more will come. */
#define QUIET_TURNS 4

static struct server server;
static bool answer_later;

int64_t clock_ms(void)
{
    return 1;
}

/* Only commands that change something are audited, and none of ours says that it does. */
void audit_write(struct audit *a, const struct audit_entry *e)
{
    (void)a;
    (void)e;
    abort();
}

/* Nobody has set a hold. */
void holds_connection_gone(struct holds *hs, uint32_t connection)
{
    (void)hs;
    CHECK(connection != 0);
}

/* --- commands: as admin_commands.c, without a server behind them ------------------------------ */

static void answer(struct admin_request *rq, const char *text)
{
    static const char *const NAMES[] = {"Text"};

    if (*text == '1') {
        struct admin_table *t = admin_table_create(NAMES, 1);

        admin_table_row(t, &text);
        admin_table_row(t, (const char *const[]){NULL});
        admin_reply_table(rq, t);
    } else if (*text == '2') {
        admin_reply_error(rq, 1064, "42000", "%s", text);
    } else {
        admin_reply_ok(rq, 1, text);
    }
}

struct waiting {
    struct admin_request *rq;
    char text[16];
};

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct waiting *w = arg;

    (void)fd;
    (void)what;
    answer(w->rq, w->text);
    free(w);
}

void admin_command(struct admin_request *rq, const char *sql, size_t len)
{
    static const struct timeval NOW = {0, 0};
    struct waiting *w = calloc(1, sizeof(*w));

    CHECK(w);
    w->rq = rq;
    memcpy(w->text, sql, len < sizeof(w->text) ? len : sizeof(w->text) - 1);
    if (!answer_later)
        on_later(-1, 0, w);
    else
        CHECK(event_base_once(server.base, -1, EV_TIMEOUT, on_later, w, &NOW) == 0);
}

/* --- a client -------------------------------------------------------------------------------- */

/* Turns the loop until nothing more comes out. */
static void settle(int fd, struct buffer *out)
{
    for (unsigned quiet = 0; quiet < QUIET_TURNS; quiet++) {
        uint8_t part[4096];
        ssize_t n;

        event_base_loop(server.base, EVLOOP_NONBLOCK);
        while (out && (n = recv(fd, part, sizeof(part), MSG_DONTWAIT)) > 0) {
            buffer_bytes(out, part, (size_t)n);
            quiet = 0;
        }
    }
}

static void check_packets(const struct buffer *out)
{
    size_t at = 0;

    while (at < out->len) {
        CHECK(out->len - at > PACKET_HEADER);
        at += PACKET_HEADER + load_u24(out->data + at);
    }
    CHECK(at == out->len);
}

static void talk(struct admin *admin, const uint8_t *data, size_t size, uint32_t seed, bool cut,
                 struct buffer *out)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNIX};
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    struct admin_client *c = admin_client_create(admin, fds[0], (struct sockaddr *)&sa);

    CHECK(c);
    admin_login_greet(c);
    buffer_init(out, 1u << 24);
    settle(fds[1], out);
    CHECK(out->len > 60 && out->data[PACKET_HEADER] == 10);
    buffer_release(out); /* it has a salt and an id that differ */
    memset(c->salt, 's', sizeof(c->salt));
    memset(admin->failures, 0, sizeof(admin->failures)); /* nobody is blocked for what went before */
    for (size_t at = 0; at < size;) {
        size_t n = cut ? fuzz_piece(&seed, size - at) : size;

        if (send(fds[1], data + at, n, MSG_NOSIGNAL) < 0)
            break; /* it was closed */
        at += n;
        settle(fds[1], out);
    }
    close(fds[1]);
    settle(-1, NULL);
    check_packets(out);
    /* What waits for its last bytes to be taken is left to the look at all clients. */
    while ((c = TAILQ_FIRST(&admin->clients))) {
        CHECK(c->state == ADMIN_CLOSING);
        admin_client_free(c);
    }
    CHECK(admin->client_count == 0);
}

/* It leaves at once: what is under way has nobody to answer to. */
static void leave(struct admin *admin, const uint8_t *data, size_t size)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNIX};
    struct admin_client *c;
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    admin_login_greet(admin_client_create(admin, fds[0], (struct sockaddr *)&sa));
    CHECK(send(fds[1], data, size, MSG_NOSIGNAL) == (ssize_t)size);
    close(fds[1]);
    settle(-1, NULL);
    while ((c = TAILQ_FIRST(&admin->clients))) {
        CHECK(c->state == ADMIN_CLOSING);
        admin_client_free(c);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    signal(SIGPIPE, SIG_IGN); /* as server.c does */
    log_set_level(LOG_LEVEL_ERROR);
    static struct tls_contexts no_tls;

    server.base = event_base_new();
    atomic_init(&server.tls, &no_tls);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct admin_user users[2] = {{.name = "sre"}, {.name = "old"}};
    struct admin admin = {.server = &server, .users = users};
    struct buffer whole, pieces;

    if (size < 3 || size > 4096)
        return 0;
    admin_secret_parse(&users[0].secret, "secret");
    admin_secret_parse(&users[1].secret, "*0123456789abcdef0123456789abcdef01234567");
    admin.user_count = data[0] & 1 ? 2 : 0;
    TAILQ_INIT(&admin.clients);
    answer_later = false;
    talk(&admin, data + 2, size - 2, 0, false, &whole);
    answer_later = true;
    talk(&admin, data + 2, size - 2, data[1], true, &pieces);
    CHECK(whole.len == pieces.len);
    CHECK(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
    buffer_release(&whole);
    buffer_release(&pieces);
    if (data[0] & 2)
        leave(&admin, data + 2, size - 2);
    return 0;
}
