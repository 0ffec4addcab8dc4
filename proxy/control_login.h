/*
 * How the shim itself logs in to a vtgate, with control.user and vtgate_tls.*, through the client
 * library that it was built with (MariaDB's or Oracle's; their header and protocol/ both name the
 * commands COM_*: only the files of the control thread include it). Blocking. Control thread only.
 */
#ifndef VTSHIM_PROXY_CONTROL_LOGIN_H
#define VTSHIM_PROXY_CONTROL_LOGIN_H

#include <mysql.h>
#include <stdbool.h>

#include "proxy/vtgate_probe.h"
#include "proxy/vtgates.h"

struct config;
struct server;

/* The certificate that a vtgate was seen to have; empty: not seen yet. */
struct control_pin {
    char fingerprint[FINGERPRINT_SIZE];
};

struct control_login {
    struct server *server;
    struct control_pin pins[VTGATES_MAX]; /* in the order of the vtgates */
};

/*
 * A connection, to be closed with mysql_close. NULL with *code (the library's, or the server's)
 * when it failed. A certificate that was looked at is not looked at again before another turns up:
 * vtgate logs every login that ends half-way.
 */
MYSQL *control_login(struct control_login *login, struct vtgate *v, unsigned *code);

/*
 * Whether an error tells that the vtgate is there. What a server sent does (wrong password, unknown
 * user, TLS required: only the way in is refused), and so does what the library says about the
 * plugin that a greeting asked for. One that was seen to be fine a moment ago and now shows another
 * certificate is several behind one address.
 */
bool control_login_tells_alive(const struct config *c, unsigned code);

#endif
