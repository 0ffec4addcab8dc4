/*
 * Files of the program. Their headers leave the page nothing but its own script, its own style
 * sheet and its own host to talk to, and let no other page frame it.
 */
#include "proxy/assets.h"

#include <event2/buffer.h>
#include <stddef.h>
#include <string.h>

struct asset {
    const char *path, *type;
    const unsigned char *data;
    size_t len;
};

#include "assets_data.h" /* made by cmake/embed.cmake: the arrays, and the table of them */

static const char POLICY[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

bool assets_send(struct evhttp_request *rq, const char *path)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(rq);

    for (size_t i = 0; i < sizeof(ASSETS) / sizeof(ASSETS[0]); i++) {
        if (strcmp(ASSETS[i].path, path) != 0)
            continue;
        struct evbuffer *body = evbuffer_new();

        evbuffer_add(body, ASSETS[i].data, ASSETS[i].len);
        evhttp_add_header(headers, "Content-Type", ASSETS[i].type);
        evhttp_add_header(headers, "Cache-Control", "no-cache");
        evhttp_add_header(headers, "Content-Security-Policy", POLICY);
        evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
        evhttp_add_header(headers, "X-Frame-Options", "DENY");
        evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
        evhttp_add_header(headers, "Cross-Origin-Opener-Policy", "same-origin");
        evhttp_add_header(headers, "Cross-Origin-Resource-Policy", "same-origin");
        evhttp_send_reply(rq, 200, "OK", body);
        evbuffer_free(body);
        return true;
    }
    return false;
}
