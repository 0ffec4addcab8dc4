/*
 * A look at a vtgate's TLS, with the shim's own rules. MariaDB's client library cannot insist on
 * TLS without also comparing the certificate's name with the host's; but it can insist on a
 * certificate that it is told the fingerprint of (vtgate_control.c).
 */
#ifndef VTSHIM_PROXY_VTGATE_PROBE_H
#define VTSHIM_PROXY_VTGATE_PROBE_H

#include <openssl/evp.h>
#include <stdbool.h>

struct server;
struct vtgate;

#define FINGERPRINT_SIZE (2 * EVP_MAX_MD_SIZE + 1)

/*
 * Connects, reads the greeting and starts TLS as a session does: the certificate is checked as
 * vtgate_tls.mode demands. True when all went well; fingerprint is then the certificate's digest of
 * that kind in hexadecimal digits. Blocking, for timeouts.connect_ms at most. Not with
 * vtgate_tls.mode off.
 */
bool vtgate_probe(const struct server *server, struct vtgate *v, const EVP_MD *digest,
                  char fingerprint[FINGERPRINT_SIZE]);

#endif
