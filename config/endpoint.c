/*
 * Endpoints: "HOST:PORT", "[IPV6]:PORT", "unix:/PATH". Only the text is looked at: no name is
 * resolved and no socket opened. An endpoint that was parsed is valid as far as a text can be, so
 * that mistakes are found with the line of the configuration and not when connecting.
 */
#include "config/support.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define UNIX_PATH_MAX 107 /* sizeof(sun_path) - 1 on Linux */
#define HOST_MAX      253 /* RFC 1035 in text form */

void endpoint_fini(struct endpoint *e)
{
    free(e->host);
    free(e->text);
    *e = (struct endpoint){0};
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    if (a->text == NULL || b->text == NULL) {
        return a->text == b->text;
    }
    if (a->is_unix || b->is_unix) {
        return a->is_unix == b->is_unix && strcmp(a->host, b->host) == 0;
    }
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

/* Decimal digits only: strtoul would let blanks and signs pass. */
static bool parse_port(const char *text, uint16_t *port)
{
    unsigned value = 0;
    if (*text == '\0' || strlen(text) > 5) {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(*text - '0');
    }
    *port = (uint16_t)value;
    return value >= 1 && value <= UINT16_MAX;
}

static bool is_host_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

/* A host name or an IPv4 address. What consists of digits and dots must be an address: the
   resolver would take 127.1 or 127.0.0.256 for something else than what was meant. */
static bool is_host(const char *host)
{
    size_t len = strlen(host);
    struct in_addr unused;
    for (size_t i = 0; i < len; i++) {
        if (!is_host_char(host[i])) {
            return false;
        }
    }
    if (strspn(host, "0123456789.") == len) {
        return inet_pton(AF_INET, host, &unused) == 1;
    }
    return len <= HOST_MAX && host[0] != '.' && host[0] != '-' && strstr(host, "..") == NULL;
}

/* An IPv6 address, possibly with a zone: fe80::1%eth0. */
static bool is_ipv6(const char *host)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr unused;
    size_t len = strcspn(host, "%");
    if (len >= sizeof(address) || (host[len] == '%' && !is_host_char(host[len + 1]))) {
        return false;
    }
    memcpy(address, host, len);
    address[len] = '\0';
    for (const char *zone = host + len; *zone != '\0'; zone++) {
        if (*zone != '%' && !is_host_char(*zone)) {
            return false;
        }
    }
    return inet_pton(AF_INET6, address, &unused) == 1;
}

static bool parse_unix(const char *text, struct endpoint *out, struct config_error *err)
{
    const char *path = text + strlen("unix:");
    if (path[0] != '/') {
        return config_error_set(err, "\"%.200s\": unix: must be followed by an absolute path",
                                text);
    }
    if (strlen(path) > UNIX_PATH_MAX) {
        return config_error_set(err,
                                "\"%.200s\": the path is longer than the %d bytes that a "
                                "socket address holds",
                                text, UNIX_PATH_MAX);
    }
    if (strchr(path, ',') != NULL) {
        return config_error_set(err, "\"%.200s\": the path must not contain a comma", text);
    }
    out->is_unix = true;
    out->host = config_strndup(path, strlen(path));
    return true;
}

/* Splits text into host and port; *colon becomes the one before the port. */
static bool find_port(const char *text, const char **colon, struct config_error *err)
{
    const char *bracket = strrchr(text, ']');
    *colon = strrchr(bracket != NULL ? bracket : text, ':');
    if (*colon == NULL) {
        return config_error_set(err, "\"%.200s\": the port is missing, write HOST:PORT", text);
    }
    if (*colon == text) {
        return config_error_set(err,
                                "\"%.200s\": the host is missing (0.0.0.0 stands for every "
                                "IPv4 address of this host, [::] for all)",
                                text);
    }
    if (text[0] != '[' && strchr(text, ':') != *colon) {
        return config_error_set(
            err, "\"%.200s\": write an IPv6 address in brackets, as in [::1]:3306", text);
    }
    return true;
}

static bool parse_tcp(const char *text, struct endpoint *out, struct config_error *err)
{
    const char *colon;
    if (!find_port(text, &colon, err)) {
        return false;
    }
    bool brackets = text[0] == '[' && colon[-1] == ']';
    size_t skip = brackets ? 1 : 0;
    char *host = config_strndup(text + skip, (size_t)(colon - text) - 2 * skip);
    if (!(brackets ? is_ipv6(host) : is_host(host))) {
        free(host);
        return config_error_set(err, "\"%.200s\": the host is neither a name nor an IP address",
                                text);
    }
    if (!parse_port(colon + 1, &out->port)) {
        free(host);
        return config_error_set(err, "\"%.200s\": the port must be 1 to 65535", text);
    }
    out->host = host;
    return true;
}

bool endpoint_parse(const char *text, struct endpoint *out, struct config_error *err)
{
    *out = (struct endpoint){0};
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p <= 0x20 || *p == 0x7F) {
            return config_error_set(err,
                                    "\"%.200s\": blanks and control characters are not "
                                    "allowed in an endpoint",
                                    text);
        }
    }
    bool is_unix = strncmp(text, "unix:", strlen("unix:")) == 0;
    if (!(is_unix ? parse_unix(text, out, err) : parse_tcp(text, out, err))) {
        *out = (struct endpoint){0};
        return false;
    }
    out->text = config_strndup(text, strlen(text));
    return true;
}
