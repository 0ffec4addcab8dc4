/*
 * A client connection and its vtgate connection: what they have in common, and how it ends.
 *
 * The phases are spread over files: login.c (until vtgate's OK), query.c (commands), relay.c
 * (responses), park.c (behind a hold), script.c (several statements), migration.c and ask.c (the
 * shim itself talks to vtgate over the session's connection).
 */
#ifndef VTSHIM_PROXY_SESSION_H
#define VTSHIM_PROXY_SESSION_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "planner/plan.h"
#include "protocol/handshake.h"
#include "protocol/reply.h"
#include "protocol/response.h"
#include "proxy/sockets.h"
#include "proxy/stream.h"

enum close_reason {
#define CLOSE(NAME, text) CLOSE_##NAME,
#include "proxy/closes.def"
#undef CLOSE
    CLOSE_COUNT
};

/* SESSION_STATE(NAME, "text as SHOW SESSIONS shows it") */
#define SESSION_STATES(X)                                                                          \
    X(LOGIN, "login")               /* until vtgate's OK */                                        \
    X(IDLE, "idle")                 /* between two commands */                                     \
    X(REQUEST, "request")           /* the rest of a command is still coming from the client */    \
    X(RESPONSE, "response")         /* vtgate is answering */                                      \
    X(INFILE, "infile")             /* the client sends a LOCAL INFILE's data */                   \
    X(PARKED, "parked")             /* a command waits behind a hold */                            \
    X(RETRYING, "retrying")         /* a command that vtgate refused waits for its next try */     \
    X(ASKING, "asking")             /* vtgate answers a question of the shim */                    \
    X(CALLING, "calling")           /* vtctld answers a call for a migration */                    \
    X(MIGRATING, "migrating")       /* waiting to ask again how a migration is doing */            \
    X(CHANGING, "changing VSchema") /* a transition of its client is under way */                  \
    X(KILLING, "killing")           /* a KILL of its client looks for its victim */                \
    X(PAUSING, "pausing")     /* others have their turn between two statements of a script */      \
    X(STREAMING, "streaming") /* bytes without structure, both ways, until one side closes */      \
    X(CLOSING, "closing")     /* the client still has bytes to get */                              \
    X(DEAD, "dead")           /* waits for the end of the loop turn */

enum session_state {
#define X(NAME, text) SESSION_##NAME,
    SESSION_STATES(X)
#undef X
};

struct proxy_address;
struct worker;
struct vtgate;
struct login;
struct ask;
struct script;
struct fallback;
struct lock_call;
struct migration;
struct gate;
struct notes;
struct inner;
struct collected;
struct kept_command;
struct retry;
struct statements;

struct session {
    struct worker *worker;
    uint64_t id;            /* the shim's; its low 32 bits are the client's connection id */
    uint32_t connection_id; /* vtgate's; the client sees `id`, which is unique over all vtgates */
    enum session_state state;
    struct stream client, backend;
    struct vtgate *vtgate;              /* counted there while set */
    struct vtgate_metrics *of_vtgate;   /* the worker's for it; NULL before the login's end */
    char *user, *database;              /* NULL: not known (yet), or none */
    char peer[56];                      /* "address:port" of the client, for logs and SHOW */
    struct proxy_address *proxied;      /* who a balancer said it is, or NULL (owned) */
    uint32_t capabilities;              /* what client and vtgate agreed upon */
    uint16_t status;                    /* status flags of the last response */
    bool client_is_local;               /* over a unix socket: as safe as TLS for a password */
    bool counted_user, counted_address; /* in server->quota */
    bool progress;                      /* the client takes MariaDB's progress packets */
    bool bridged;                       /* it logged in through bridge.c, and has to again */
    bool keeps_first_salt;              /* see bridge_keeps_first_salt */
    bool strategy_own;                  /* the user set @@ddl_strategy */
    bool
        fresh; /* BEGIN was the last thing that succeeded: nothing is executed in the transaction */
    bool plain_begin;          /* ... and that had no options, so that the shim can say it, too */
    bool backend_new;          /* vtgate's socket has no keepalive yet: the next sweep sets it */
    bool client_gone;          /* the client left while the shim still had work on vtgate's side */
    bool discard;              /* REQUEST: the command was answered already; its rest is dropped */
    bool consuming;            /* query_continue is at work on `input` */
    enum close_reason closing; /* CLOSING: why */
    uint8_t command;           /* the command byte under way */
    enum plan_effect effect;   /* of the command under way, if it succeeds */
    char *effect_text;         /* with effect: the database, or the text to keep (owned) */
    size_t effect_len;
    uint64_t change;                  /* with EFFECT_VSCHEMA: its id */
    struct prepared *effect_prepared; /* with EFFECT_PREPARE*: what to keep (owned) */
    struct prepared *resolved; /* what the variable of a PREPARE FROM holds, or NULL (owned) */
    struct elsewhere_found *elsewhere; /* what was asked about an ALTER VITESS_MIGRATION, or NULL */
    struct touched *touched;           /* by the open transaction; NULL: not known (owned) */
    uint64_t drained_by;          /* the hold of the cut-over that waits for this command, or 0 */
    struct names *temporary;      /* temporary tables created here, or NULL (owned) */
    uint32_t effect_id;           /* with EFFECT_CLOSE_PREPARED */
    struct packet_cursor request; /* of a command that is passed on in pieces */
    uint8_t request_next;         /* the number that its next packet must have */
    struct response response;
    struct buffer input; /* from the client, not yet acted upon: the start of a command, a parked
                            one, pipelined ones */
    struct statements *statements; /* prepared ones, or NULL */
    struct login *login;           /* LOGIN only */
    struct ask *ask;               /* a question of the shim, or NULL */
    struct script *script;         /* several statements under way, or NULL */
    struct fallback
        *fallback; /* a command that the shim does itself if vtgate refuses it, or NULL */
    struct migration *migration; /* a DDL under way, or NULL */
    struct gate *gate;           /* ... or one that is looked at first, or NULL */
    struct visible *visible;     /* either, done: vtgate has to know of it; or NULL */
    struct collected *collected; /* between BEGIN and COMMIT TRANSITION, or NULL */
    struct notes *notes;         /* what SHOW WARNINGS tells of the last DDL, or NULL */
    struct kept_command *kept;   /* the command that was sent, until its answer begins, or NULL */
    struct retry *retry;         /* an error that may not be its last answer, or NULL */
    struct inner *inner;         /* a session of the shim's own (inner.h), or NULL (owned) */
    unsigned locks;              /* user-level ones that it holds (locks.h) */
    struct lock_call *lock_call; /* a lock function under way, or NULL */
    int64_t locks_touched_ms;
    void (*locks_then)(struct session *s); /* what follows keeping them alive */
    int64_t since_ms; /* IDLE: when the last command was seen to have ended; CLOSING: began */
    struct socket_stall stall;       /* of the client */
    int64_t parked_us;               /* PARKED: when it parked first */
    uint64_t served;                 /* the last release that let it out of the queue */
    struct hold_tally *parked_tally; /* PARKED: of the hold (a reference), or NULL */
    int64_t connected_ms;
    int64_t transaction_ms;        /* when the open transaction was first seen */
    int64_t transaction_parked_ms; /* how much of its time it has been parked */
    int64_t began_us, sent_us;     /* timing.h; began_us 0: the command is not measured */
    uint32_t added_us;
    uint32_t busy_s;    /* CLOCK_MONOTONIC when a sweep first saw the command under way */
    uint64_t parked_by; /* PARKED: the hold's id */
    uint64_t commands, swept_commands; /* the latter: as the last sweep found it */
    TAILQ_ENTRY(session) link;         /* of worker->sessions, then worker->dead */
    TAILQ_ENTRY(session) parked_link;  /* PARKED: of worker->parked */
};

/* Takes over the client's socket and begins the login. */
void session_create(struct worker *w, int fd, const struct sockaddr_storage *peer);

/* A session without a client, for inner.c. */
struct session *session_create_inner(struct worker *w);

/* Gives the session a socket to vtgate (connecting or connected); replaces a closed one. */
void session_open_backend(struct session *s, int fd);

void session_set_state(struct session *s, enum session_state state);
const char *session_state_name(enum session_state state);
const char *close_reason_name(enum close_reason reason);

/*
 * The one way for a session to end: closes both sides at once, forgets what it was doing. The
 * memory lives until the end of the loop turn. Idempotent.
 */
void session_close(struct session *s, enum close_reason reason);

/* The same, but the client first gets what waits for it (within a few seconds). */
void session_finish(struct session *s, enum close_reason reason);

/* Reading one side stops while the other has a backlog or a command is under way, and goes on
   afterwards: to be called after whatever may have changed that, also from timers and mailboxes. */
void session_balance(struct session *s);

/* The client cannot be reached any more (it closed, or writing to it failed). A migration may have
   to be ended first. */
void session_client_gone(struct session *s, enum close_reason reason);

/* Sends bytes to one side, minding the backlog: the other side is not read while it lasts. False
   when the session was closed over it. */
bool session_send_client(struct session *s, const void *data, size_t len);
bool session_send_backend(struct session *s, const void *data, size_t len);

/* Answers the client's current command with an error or an OK of the shim's own. False: closed.
   While the client's TLS handshake lasts nothing is sent, which is true, too. */
bool session_send_error(struct session *s, uint8_t sequence, enum shim_error error, ...);
bool session_send_verror(struct session *s, uint8_t sequence, enum shim_error error, va_list args);

/* For an error of the shim's own that is sent otherwise than by the two above: counts it, and
   (session_make_error) puts its text into text[size]. */
void session_count_error(struct session *s, enum shim_error error);
const struct shim_error_row *session_make_error(struct session *s, char *text, size_t size,
                                                enum shim_error error, va_list args);

/* What the variable of a PREPARE FROM was found to hold counts for that one command. Idempotent. */
void session_forget_resolved(struct session *s);

/* How much of its client's bytes may wait, as the settings are now. */
size_t session_input_max(const struct session *s);

/* Gives up vtgate's connection and all that was known of the session on it: it logs in again. */
void session_leave_vtgate(struct session *s);

/* Counts the session for its client's address, or for its user, against the limits; false: too
   many. session_close takes it back. */
bool session_count_address(struct session *s);
bool session_count_user(struct session *s);

/* Whether the session is between commands and outside of a transaction. */
bool session_at_rest(const struct session *s);

/* Whether a drain may close it: at rest, and not so fresh that what it has come for is on its way.
 */
bool session_may_drain(const struct session *s);

/* Frees the memory: worker.c, at the end of a loop turn. */
void session_free(struct session *s);

/* The client's bytes that are in s->input and can now be acted upon (query.c). Whoever answers a
   command at once calls it from within itself, which does nothing. */
void query_continue(struct session *s);

/* The session's streams report here: one for each phase (login.c, query.c, relay.c). */
void login_begin(struct session *s, const struct sockaddr_storage *peer);
void login_begin_inner(struct session *s); /* of a session of the shim's own */
/* COM_CHANGE_USER: a fresh login on a new connection to vtgate, behind the same client connection.
   hr is what the client asked for; the next packet to it gets that sequence number. */
void login_change_user(struct session *s, const struct handshake_response *hr, uint8_t sequence);
void login_event(struct session *s, bool from_client, enum stream_event what);
void login_end(struct session *s); /* frees s->login; idempotent */
void query_readable(struct session *s);
void relay_readable(struct session *s);
void relay_response(struct session *s, const uint8_t *data, size_t len);

/* vtgate's response to the command under way is completely relayed (s->response tells how it
   ended): takes note of it and goes on with query_next. */
void query_command_done(struct session *s);

/* The status flags that vtgate has sent last: what a transaction touched is forgotten at its end.
 */
void query_note_status(struct session *s, uint16_t status);
/* Its transaction, if one is open, ends now. */
void query_note_end(struct session *s);

/* The client's command is answered: the next one may begin. */
void query_next(struct session *s);

/* The shim's own answer to a statement (whole packets; released here): the client gets it, and what
   comes behind it begins, be it the next of a script (whose packets then go on with `next`). A
   session whose client has gone ends. */
void query_answer(struct session *s, struct buffer *out, uint8_t next, bool succeeded);

/* Answers the command at the head of s->input with an error (its format's arguments follow), drops
   it, and goes on with what is behind it. */
void query_reject(struct session *s, enum shim_error error, ...);

/* The planner's facts as the session stands. */
struct plan_facts query_facts(const struct session *s);

/* Plans a text of the session's (find_named included). */
struct plan query_plan(struct session *s, const struct plan_facts *facts, const char *text,
                       size_t len, bool whole, bool may_grow, bool prepare);

/* PLAN_RESOLVE: finds out what the variable holds, and has the command planned again. */
void query_resolve(struct session *s, const struct sql_name *variable);

/* Notes what a statement that is passed on mentions, while somebody needs to know. */
void query_track(struct session *s, const char *text, size_t len, bool whole);

/* The command under way is going to be counted again. */
void query_uncount_command(struct session *s);

/* Sends vtgate a command that was kept, and follows its response. */
void query_send_command(struct session *s, uint8_t command, const uint8_t *packet, size_t len);

/* Says in the log why DDL went to vtgate as it is, and counts it. text: the command's, or NULL. */
void query_log_passed(struct session *s, const struct plan *plan, const char *text, size_t len);

/* Whether ddl.control_users keeps this session's user from controlling migrations. */
bool query_no_control(const struct session *s);

#endif
