/*
 * What the files of the login share: login.c (its course), login_client.c (the client's side),
 * login_vtgate.c (vtgate's side). For them only.
 *
 * Invariant: from the greeting on, every byte of either side is part of a whole packet of at most
 * LOGIN_PACKET_MAX bytes before it is looked at.
 */
#ifndef VTSHIM_PROXY_LOGIN_INTERNAL_H
#define VTSHIM_PROXY_LOGIN_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "protocol/handshake.h"
#include "protocol/proxy_header.h"
#include "proxy/session.h"

/* Connection attributes may be 64 KiB; passwords, names and tokens are small. */
#define LOGIN_PACKET_MAX (256u << 10)
#define PLUGIN_NAME_MAX  64u

struct bridge;

enum login_stage {
    LOGIN_PROXY,      /* a PROXY header is awaited */
    LOGIN_CONNECTING, /* the TCP connect to vtgate is under way, as far as is known */
    LOGIN_GREETING,   /* vtgate's greeting is awaited */
    LOGIN_RESPONSE,   /* the client's SSLRequest or HandshakeResponse41 is */
    LOGIN_CLIENT_TLS, /* handshake with the client */
    LOGIN_BRIDGE,     /* bridge.c asks the client for its password */
    LOGIN_CHALLENGE,  /* COM_CHANGE_USER: the client's answer to the new vtgate connection's salt */
    LOGIN_BACKEND_TLS, /* handshake with vtgate; the client's response waits in client_in */
    LOGIN_EXCHANGE     /* packets in both directions until OK or ERR */
};

struct login {
    enum login_stage stage;
    struct loop_timer timer;
    int64_t deadline_ms;          /* PROXY: until when the header has to be there */
    uint64_t tried;               /* bit set of vtgates, see vtgates_choose */
    size_t addresses_left;        /* of s->vtgate, not tried yet */
    const char *last_tried;       /* the name of a vtgate, for the error text */
    struct sockaddr_storage peer; /* the client's address, as far as it is known */
    struct proxy_address proxy;   /* what a PROXY header said; family UNKNOWN: nothing */
    int error;                    /* errno of the last connect that failed */
    struct greeting greeting;     /* its runs do not outlive the packet: only the numbers count */
    char plugin[PLUGIN_NAME_MAX]; /* of the greeting */
    uint8_t client_next, backend_next; /* sequence number of the next packet to that side */
    uint32_t compression; /* the client's CAP_COMPRESS or CAP_ZSTD_COMPRESSION, if it is to be */
    uint8_t zstd_level;
    bool client_turn;      /* EXCHANGE: vtgate has asked the client for something */
    struct bridge *bridge; /* a client without mysql_native_password, or NULL */
    struct buffer change;  /* COM_CHANGE_USER: its contents as a HandshakeResponse41; or empty */
    struct buffer client_in, backend_in; /* packets not whole yet; hold answers to challenges */
};

/* login.c */
void login_refuse(struct session *s, enum close_reason reason); /* the client was told why */
void login_admit(struct session *s);                            /* the client's address is known */
void login_set_timer(struct session *s, int64_t ms);
/* One whole packet, with the next sequence number of that side. False: the session closed. */
bool login_pass_to_client(struct session *s, uint8_t *packet, size_t len);
/* vtgate's ERR, with which the login ends. */
void login_pass_refusal(struct session *s, uint8_t *packet, size_t len);
bool login_pass_to_backend(struct session *s, uint8_t *packet, size_t len);
/* The first whole packet of a buffer, or NULL. *broken: it can never become one. */
uint8_t *login_whole_packet(struct buffer *in, size_t *len, bool *broken);

/* login_client.c */
void login_read_client(struct session *s);
void login_read_proxy_header(struct session *s);
bool login_is_cleartext(struct bytes plugin);
/* A password in the clear must not cross a link that is not encrypted. True: refused. */
bool login_refuse_cleartext(struct session *s);
/* vtgate asks again for a client that bridge.c speaks for. */
void login_answer_for_client(struct session *s, struct bytes plugin, struct bytes data);
/* COM_CHANGE_USER: vtgate's new greeting is here; its challenge goes to the client. */
void login_challenge(struct session *s);

/* login_vtgate.c */
void login_try_vtgate(struct session *s);
void login_vtgate_failed(struct session *s, int error);
void login_backend_lost(struct session *s, int error); /* error: of the connect, or ECONNRESET */
void login_connected(struct session *s);
void login_greeted(struct session *s, uint8_t *packet, size_t len);
bool login_backend_wants_tls(struct session *s);
void login_go_on(struct session *s); /* the client's response stands whole in client_in */
void login_send_response(struct session *s);

#endif
