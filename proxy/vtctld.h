/*
 * vtctld: a thread of its own with an event loop, on which grpc.c makes the calls that any other
 * thread asks for. Not the control loop, for names are resolved with blocking calls; not the
 * control thread, for a call may take long while health checks must not.
 */
#ifndef VTSHIM_PROXY_VTCTLD_H
#define VTSHIM_PROXY_VTCTLD_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/grpc.h"
#include "proxy/mailbox.h"

struct server;
struct vtctld;

struct vtctld_answer {
    enum grpc_status status;
    char *text;                /* of a failure: one line; may hold SQL. Owned by the answer */
    bool maybe_done;           /* of a failure: vtctld may have carried it out all the same */
    ProtobufCMessage *message; /* with OK: of the method's response type; owned by the answer */
    void *arg;                 /* the asker's; only its thread touches it */
};

/* NULL when there is no vtctld.addresses, or (with *failed) when the thread cannot be made. */
struct vtctld *vtctld_start(struct server *server, bool *failed);

/* Ends the thread; calls under way are answered with CANCELLED, later ones never. The threads that
   ask must still run. A silent name server holds it up as long as the resolver takes. */
void vtctld_stop(struct vtctld *v);

/* Frees everything, answers that nobody has taken included. The threads that ask have ended. */
void vtctld_destroy(struct vtctld *v);

/*
 * Calls a method of vtctlservice.Vtctld, as vitess/vtctlservice.proto names it. The request is
 * copied. done(context, answer) is posted to the mailbox; it frees the answer. The returned pointer
 * is the answer to come: until then only its `arg` may be touched. Any thread.
 */
struct vtctld_answer *vtctld_call(struct vtctld *v, const char *method,
                                  const ProtobufCMessage *request, int64_t timeout_ms,
                                  struct mailbox *mailbox, mailbox_fn *done, void *context,
                                  void *arg);
/* Posts done(context, arg) to the mailbox once the thread has begun another turn of its loop. Any
   thread. */
void vtctld_come_by(struct vtctld *v, struct mailbox *mailbox, mailbox_fn *done, void *context,
                    void *arg);

void vtctld_answer_free(struct vtctld_answer *answer);

#endif
