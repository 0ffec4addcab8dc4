/*
 * The window of the day for cut-overs.
 */
#include "proxy/cutover_window.h"

#include <time.h>

#include "config/window.h"
#include "proxy/log.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

bool cutover_may_begin(struct session *s)
{
    const struct config *c = s->worker->server->config;
    struct migration *m = s->migration;
    int64_t now = time(NULL), wait;

    if (m->at_once || windows_open(&c->ddl_cutover_window, now, &wait)) {
        m->opens_at = 0;
        return true;
    }
    if (m->opens_at == 0)
        log_info("ddl_waiting_for_window", "session:u uuid:s opens_in_s:d", s->id, m->uuids[0],
                 wait);
    m->opens_at = now + wait;
    return false;
}
