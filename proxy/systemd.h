/*
 * What systemd says and is told, by its protocols and without its library: sd_notify(3) (datagrams
 * of KEY=VALUE lines to the socket in NOTIFY_SOCKET), sd_listen_fds(3) (sockets from descriptor 3
 * on), sd_watchdog_enabled(3). Without these variables nothing happens. Control loop's thread only.
 */
#ifndef VTSHIM_PROXY_SYSTEMD_H
#define VTSHIM_PROXY_SYSTEMD_H

#include <stddef.h>
#include <stdint.h>

/* Sends "READY=1" and the like, lines separated by '\n'. Never waits; what cannot be sent is lost.
 */
void systemd_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How often the service manager wants to hear WATCHDOG=1, in milliseconds; 0: it does not. */
int64_t systemd_watchdog_ms(void);

/* The number of sockets that were passed to this process, from SYSTEMD_FIRST_FD on. The variables
   are removed, so that no child takes them for its own. */
#define SYSTEMD_FIRST_FD 3
size_t systemd_listen_fds(void);

#endif
