/*
 * The control thread: looks after each vtgate's health with libmysqlclient (blocking calls, so a
 * thread of its own) and keeps names resolved. With control.user set a check is a whole login and a
 * query; without, it ends at vtgate's greeting, for which a refused login (1045) will do as well.
 * control.password does not cross an unencrypted link with vtgate_tls.mode required or stricter.
 */
#ifndef VTSHIM_PROXY_VTGATE_CONTROL_H
#define VTSHIM_PROXY_VTGATE_CONTROL_H

#include <stdint.h>

#include "proxy/mailbox.h"

struct server;
struct vtgate;
struct vtgate_control;

/* NULL when the thread cannot be made. */
struct vtgate_control *vtgate_control_start(struct server *server);

/*
 * Ends the thread and frees everything; jobs not run yet are answered with an error. It waits for
 * the vtgate that is just being looked at: for one that is silent, that is one connect time-out
 * (rounded up to seconds), and for a name server that is silent as long as the resolver takes.
 */
void vtgate_control_stop(struct vtgate_control *control);

/*
 * Has the control thread run KILL QUERY connection_id on that vtgate, with control.user's login;
 * then done(context, arg) is posted to the mailbox. *error is set before: NULL, or why it failed (a
 * constant). Any thread.
 */
void vtgate_control_kill(struct vtgate_control *control, struct vtgate *v, uint32_t connection_id,
                         const char **error, struct mailbox *mailbox, mailbox_fn *done,
                         void *context, void *arg);

/*
 * Has the control thread run the statements on a vtgate (q->vtgate, or a healthy one if there is
 * any) with control.user's login; then done(context, arg) is posted to the mailbox. q is the
 * control thread's until then. Without control.user, or when no vtgate lets it in, q says so. Any
 * thread.
 */
struct control_query;
void vtgate_control_run(struct vtgate_control *control, struct control_query *q,
                        struct mailbox *mailbox, mailbox_fn *done, void *context, void *arg);

/*
 * Logs in to that vtgate and calls fn(connection, fn_arg) on a thread of its own, so that the
 * control thread goes on meanwhile; connection is NULL when the login failed or control.user is not
 * set. Then done(context, arg) is posted. What fn needs of the settings it must have a copy of. Any
 * thread.
 */
struct st_mysql;
typedef void control_call_fn(struct st_mysql *connection, void *fn_arg);
void vtgate_control_call(struct vtgate_control *control, struct vtgate *v, control_call_fn *fn,
                         void *fn_arg, struct mailbox *mailbox, mailbox_fn *done, void *context,
                         void *arg);

/* Posts done(context, arg) to the mailbox once the control thread is between two calls and looks at
   nothing of the settings that it may have looked at before. Any thread. */
void vtgate_control_come_by(struct vtgate_control *control, struct mailbox *mailbox,
                            mailbox_fn *done, void *context, void *arg);

/* The version of the client library, for SHOW VERSION. (Its header and protocol/ both name the
   commands COM_*: see control_login.h.) */
const char *vtgate_control_library(void);

#endif
