/*
 * usage: client MODE --port N --user NAME --database NAME [OPTIONS]
 *
 *   idle     logs --count connections in, prints "ready COUNT", and keeps them until its standard
 *            input ends
 *   connect  logs in and out again on --threads threads for --seconds; prints "connections N"
 *   query    runs --sql (a %d in it becomes a random number up to --rows) on --threads connections
 *            for --seconds, each behind the answer to the one before; prints "started" when all are
 *            logged in, then "queries N bytes B p50 US p99 US"
 *
 *   --tls none   no TLS (the default)
 *         mysql  as MySQL does it: the greeting is plain, then the connection turns to TLS
 *         plain  TLS from the first byte, as a proxy terminates it that knows nothing of MySQL
 *
 * The benchmark's own MySQL client, for what sysbench cannot do. Blocking sockets, one thread a
 * connection in `connect` and `query`. The user has no password; certificates are not checked: it
 * talks to loopback only. Any error ends it with status 1 and a line on standard error.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CAP_CONNECT_WITH_DB = 0x8,
    CAP_PROTOCOL_41 = 0x200,
    CAP_SSL = 0x800,
    CAP_TRANSACTIONS = 0x2000,
    CAP_SECURE = 0x8000,
    CAP_PLUGIN_AUTH = 0x80000,
    CAPABILITIES = CAP_CONNECT_WITH_DB | CAP_PROTOCOL_41 | CAP_TRANSACTIONS | CAP_SECURE | CAP_PLUGIN_AUTH
};

#define BUFFER   (256u << 10)
#define BUCKETS  1024 /* of latencies: 8 a doubling, in nanoseconds */
#define THREADS  256

enum tls { TLS_NONE, TLS_MYSQL, TLS_PLAIN };

static struct {
    uint16_t port;
    const char *user, *database, *sql;
    long count, threads, seconds, rows;
    enum tls tls;
} options = {.user = "bench", .database = "", .sql = "SELECT 1", .count = 1, .threads = 1, .seconds = 1, .rows = 1};

static SSL_CTX *tls_context;
static pthread_barrier_t all_logged_in;

struct connection {
    int fd;
    SSL *ssl;
    uint8_t sequence;
    uint8_t *buffer; /* BUFFER bytes; NULL while reading exactly what is asked for */
    size_t at, have;
    uint64_t received;
};

struct job {
    pthread_t thread;
    unsigned seed;
    uint64_t done, bytes;
    uint64_t latencies[BUCKETS];
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "client: %s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static size_t receive_some(struct connection *c, void *into, size_t size)
{
    for (;;) {
        ssize_t n = c->ssl ? SSL_read(c->ssl, into, (int)size) : recv(c->fd, into, size, 0);

        if (n > 0) {
            c->received += (uint64_t)n;
            return (size_t)n;
        }
        if (n == 0 || c->ssl || errno != EINTR)
            die("receiving");
    }
}

static void receive(struct connection *c, void *into, size_t size)
{
    uint8_t *p = into;

    while (size > 0) {
        size_t n;

        if (!c->buffer) {
            n = receive_some(c, p, size);
        } else {
            if (c->at == c->have) {
                c->have = receive_some(c, c->buffer, BUFFER);
                c->at = 0;
            }
            n = c->have - c->at < size ? c->have - c->at : size;
            memcpy(p, c->buffer + c->at, n);
            c->at += n;
        }
        p += n;
        size -= n;
    }
}

static void transmit(struct connection *c, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = c->ssl ? SSL_write(c->ssl, data, (int)size) : send(c->fd, data, size, MSG_NOSIGNAL);

        if (n <= 0 && (c->ssl || errno != EINTR))
            die("sending");
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}

/* --- packets ---------------------------------------------------------------------------------- */

static void packet_send(struct connection *c, const uint8_t *payload, size_t len)
{
    uint8_t packet[4096] = {(uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16), c->sequence++};

    if (len > sizeof(packet) - 4) {
        errno = EMSGSIZE;
        die("packet");
    }
    memcpy(packet + 4, payload, len);
    transmit(c, packet, len + 4);
}

/* Receives a packet, keeps at most `size` of its first bytes; returns the payload's length. */
static size_t packet_receive(struct connection *c, uint8_t *into, size_t size)
{
    uint8_t header[4], rest[4096];

    receive(c, header, sizeof(header));
    size_t len = header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16;
    size_t keep = len < size ? len : size;

    c->sequence = (uint8_t)(header[3] + 1);
    receive(c, into, keep);
    for (size_t left = len - keep; left > 0;) {
        size_t n = left < sizeof(rest) ? left : sizeof(rest);

        receive(c, rest, n);
        left -= n;
    }
    return len;
}

static _Noreturn void refused(const uint8_t *packet, size_t len)
{
    fprintf(stderr, "client: error %u: %.*s\n", len > 2 ? packet[1] | packet[2] << 8 : 0,
            len > 9 ? (int)(len - 9) : 0, (const char *)packet + 9);
    exit(1);
}

static size_t put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
    return 4;
}

static size_t put_text(uint8_t *p, const char *text)
{
    size_t n = strlen(text) + 1;

    memcpy(p, text, n);
    return n;
}

/* --- the login -------------------------------------------------------------------------------- */

static void start_tls(struct connection *c)
{
    c->ssl = SSL_new(tls_context);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1) {
        ERR_print_errors_fp(stderr);
        errno = 0;
        die("TLS");
    }
}

/* What an SSLRequest is, and the login begins with. */
static size_t put_preamble(uint8_t *p)
{
    size_t n = put_u32(p, CAPABILITIES | (options.tls == TLS_MYSQL ? CAP_SSL : 0));

    n += put_u32(p + n, 0xffffff);
    p[n++] = 45; /* utf8mb4 */
    memset(p + n, 0, 23);
    return n + 23;
}

static void login(struct connection *c)
{
    uint8_t p[512];
    size_t n = packet_receive(c, p, sizeof(p));

    if (n > 0 && p[0] == 0xff)
        refused(p, n < sizeof(p) ? n : sizeof(p));
    n = put_preamble(p);
    if (options.tls == TLS_MYSQL) {
        packet_send(c, p, n);
        start_tls(c);
    }
    n += put_text(p + n, options.user);
    p[n++] = 0; /* no password */
    n += put_text(p + n, options.database);
    n += put_text(p + n, "mysql_native_password");
    packet_send(c, p, n);
    for (;;) {
        n = packet_receive(c, p, sizeof(p));
        if (n > 0 && p[0] == 0x00)
            return;
        if (n == 0 || p[0] == 0xff)
            refused(p, n < sizeof(p) ? n : sizeof(p));
        if (p[0] == 0xfe)
            packet_send(c, p, 0); /* another method; the password stays empty */
    }
}

static void connection_open(struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    int one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(c, 0, sizeof(*c));
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    if (connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("connecting");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (options.tls == TLS_PLAIN)
        start_tls(c);
    login(c);
}

static void connection_close(struct connection *c)
{
    uint8_t quit = 1;

    c->sequence = 0;
    packet_send(c, &quit, 1);
    SSL_free(c->ssl);
    close(c->fd);
}

/* --- queries ---------------------------------------------------------------------------------- */

static void receive_up_to_eof(struct connection *c)
{
    uint8_t p[16];

    for (;;) {
        size_t n = packet_receive(c, p, sizeof(p));

        if (n > 0 && p[0] == 0xff)
            refused(p, 9);
        if (n > 0 && n < 9 && p[0] == 0xfe)
            return;
    }
}

static void query(struct connection *c, const char *sql, size_t len)
{
    uint8_t p[4000];

    p[0] = 3; /* COM_QUERY */
    memcpy(p + 1, sql, len);
    c->sequence = 0;
    packet_send(c, p, len + 1);
    size_t n = packet_receive(c, p, sizeof(p));

    if (n > 0 && p[0] == 0xff)
        refused(p, n);
    if (n > 0 && p[0] == 0x00)
        return;
    receive_up_to_eof(c); /* the columns */
    receive_up_to_eof(c); /* the rows */
}

/* --- latencies -------------------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 8)
        return (unsigned)ns;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ns);

    return 8 * (exponent - 2) + (unsigned)(ns >> (exponent - 3) & 7);
}

/* The middle of a bucket. */
static double bucket_ns(unsigned bucket)
{
    if (bucket < 8)
        return bucket;
    return (8.5 + bucket % 8) * (double)(1ull << (bucket / 8 - 1));
}

static double percentile_us(const uint64_t *latencies, uint64_t n, double part)
{
    uint64_t seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += latencies[i];
        if ((double)seen >= part * (double)n)
            return bucket_ns(i) / 1000;
    }
    return 0;
}

/* --- modes ------------------------------------------------------------------------------------ */

static void *query_thread(void *arg)
{
    struct job *job = arg;
    struct connection c;
    char sql[4000];

    connection_open(&c);
    c.buffer = malloc(BUFFER);
    if (!c.buffer)
        die("memory");
    pthread_barrier_wait(&all_logged_in);
    int64_t begin = now_ns(), end = begin + options.seconds * 1000000000;
    uint64_t before = c.received;

    while (begin < end) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the user of this program is ours */
        int n = snprintf(sql, sizeof(sql), options.sql, (int)(rand_r(&job->seed) % options.rows) + 1);
#pragma GCC diagnostic pop

        query(&c, sql, (size_t)n < sizeof(sql) ? (size_t)n : sizeof(sql) - 1);
        int64_t done = now_ns();

        job->latencies[bucket_of((uint64_t)(done - begin))]++;
        job->done++;
        begin = done;
    }
    job->bytes = c.received - before;
    connection_close(&c);
    free(c.buffer);
    return NULL;
}

static void *connect_thread(void *arg)
{
    struct job *job = arg;
    int64_t end = now_ns() + options.seconds * 1000000000;

    while (now_ns() < end) {
        struct connection c;

        connection_open(&c);
        connection_close(&c);
        job->done++;
    }
    return NULL;
}

static struct job *run_threads(void *(*thread)(void *))
{
    struct job *jobs = calloc((size_t)options.threads, sizeof(*jobs));

    if (!jobs)
        die("memory");
    pthread_barrier_init(&all_logged_in, NULL, (unsigned)options.threads + 1);
    for (long i = 0; i < options.threads; i++) {
        jobs[i].seed = (unsigned)i + 1;
        if (pthread_create(&jobs[i].thread, NULL, thread, &jobs[i]) != 0)
            die("thread");
    }
    if (thread == query_thread) {
        pthread_barrier_wait(&all_logged_in);
        puts("started");
        fflush(stdout);
    }
    for (long i = 0; i < options.threads; i++)
        pthread_join(jobs[i].thread, NULL);
    return jobs;
}

static void mode_query(void)
{
    struct job *jobs = run_threads(query_thread), sum = {0};

    for (long i = 0; i < options.threads; i++) {
        sum.done += jobs[i].done;
        sum.bytes += jobs[i].bytes;
        for (unsigned b = 0; b < BUCKETS; b++)
            sum.latencies[b] += jobs[i].latencies[b];
    }
    printf("queries %llu bytes %llu p50 %.1f p99 %.1f\n", (unsigned long long)sum.done,
           (unsigned long long)sum.bytes, percentile_us(sum.latencies, sum.done, 0.5),
           percentile_us(sum.latencies, sum.done, 0.99));
    free(jobs);
}

static void mode_connect(void)
{
    struct job *jobs = run_threads(connect_thread);
    uint64_t sum = 0;

    for (long i = 0; i < options.threads; i++)
        sum += jobs[i].done;
    printf("connections %llu\n", (unsigned long long)sum);
    free(jobs);
}

static void mode_idle(void)
{
    struct connection *all = calloc((size_t)options.count, sizeof(*all));

    if (!all)
        die("memory");
    for (long i = 0; i < options.count; i++)
        connection_open(&all[i]);
    printf("ready %ld\n", options.count);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    for (long i = 0; i < options.count; i++)
        connection_close(&all[i]);
    free(all);
}

/* --- the command line ------------------------------------------------------------------------- */

static _Noreturn void usage(void)
{
    fputs("usage: client idle|connect|query --port N [--user NAME] [--database NAME] [--sql SQL]\n"
          "              [--rows N] [--count N] [--threads N] [--seconds N] [--tls none|mysql|plain]\n",
          stderr);
    exit(2);
}

static long number(const char *text, long max)
{
    char *end;
    long v = strtol(text, &end, 10);

    if (*end || v < 1 || v > max)
        usage();
    return v;
}

static enum tls tls_named(const char *text)
{
    if (strcmp(text, "none") == 0)
        return TLS_NONE;
    if (strcmp(text, "mysql") == 0)
        return TLS_MYSQL;
    if (strcmp(text, "plain") == 0)
        return TLS_PLAIN;
    usage();
}

static void parse(int argc, char **argv)
{
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];

        if (i + 1 == argc)
            usage();
        else if (strcmp(name, "--port") == 0)
            options.port = (uint16_t)number(value, 65535);
        else if (strcmp(name, "--user") == 0)
            options.user = value;
        else if (strcmp(name, "--database") == 0)
            options.database = value;
        else if (strcmp(name, "--sql") == 0)
            options.sql = value;
        else if (strcmp(name, "--rows") == 0)
            options.rows = number(value, 1000000000);
        else if (strcmp(name, "--count") == 0)
            options.count = number(value, 1000000);
        else if (strcmp(name, "--threads") == 0)
            options.threads = number(value, THREADS);
        else if (strcmp(name, "--seconds") == 0)
            options.seconds = number(value, 3600);
        else if (strcmp(name, "--tls") == 0)
            options.tls = tls_named(value);
        else
            usage();
    }
    if (!options.port || strlen(options.user) > 32 || strlen(options.database) > 64)
        usage();
}

int main(int argc, char **argv)
{
    struct rlimit files;

    if (argc < 2)
        usage();
    parse(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    tls_context = SSL_CTX_new(TLS_client_method());
    if (!tls_context)
        die("TLS");
    SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
    if (strcmp(argv[1], "idle") == 0)
        mode_idle();
    else if (strcmp(argv[1], "connect") == 0)
        mode_connect();
    else if (strcmp(argv[1], "query") == 0)
        mode_query();
    else
        usage();
    return 0;
}
