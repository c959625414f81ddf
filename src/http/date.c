#include "http/date.h"

static const char days[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                 "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

size_t http_date_format(time_t t, char buf[HTTP_DATE_MAX])
{
    struct tm tm;
    if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
        WRONG("a date that HTTP cannot express");
    int n = snprintf(buf, HTTP_DATE_MAX, "%.3s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
                     tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    assert(n > 0 && n < HTTP_DATE_MAX);
    return (size_t)n;
}

/* A cursor over the text; each function takes what it names, or fails the whole. */
struct scan {
    const char *at, *end;
    bool ok;
};

static void take_text(struct scan *scan, const char *text)
{
    size_t size = strlen(text);
    scan->ok = scan->ok && (size_t)(scan->end - scan->at) >= size && memcmp(scan->at, text, size) == 0;
    if (scan->ok)
        scan->at += size;
}

static int take_number(struct scan *scan, int digits)
{
    int value = 0;
    for (; digits > 0; digits--) {
        if (!scan->ok || scan->at == scan->end || *scan->at < '0' || *scan->at > '9') {
            scan->ok = false;
            return 0;
        }
        value = value * 10 + (*scan->at++ - '0');
    }
    return value;
}

static int take_month(struct scan *scan)
{
    for (int i = 0; scan->ok && i < 12; i++)
        if (scan->end - scan->at >= 3 && memcmp(scan->at, months[i], 3) == 0) {
            scan->at += 3;
            return i;
        }
    scan->ok = false;
    return 0;
}

static void take_time(struct scan *scan, struct tm *tm)
{
    tm->tm_hour = take_number(scan, 2);
    take_text(scan, ":");
    tm->tm_min = take_number(scan, 2);
    take_text(scan, ":");
    tm->tm_sec = take_number(scan, 2);
}

/* The name of a day, whole or its first three letters; returns how many bytes. */
static size_t day_name_size(struct slice s)
{
    for (size_t i = 0; i < ARRAY_SIZE(days); i++) {
        if (slice_starts_with(s, slice_of(days[i])))
            return strlen(days[i]);
        if (slice_starts_with(s, slice_make(days[i], 3)))
            return 3;
    }
    return 0;
}

static void take_imf_fixdate(struct scan *scan, struct tm *tm)
{
    take_text(scan, ", ");
    tm->tm_mday = take_number(scan, 2);
    take_text(scan, " ");
    tm->tm_mon = take_month(scan);
    take_text(scan, " ");
    tm->tm_year = take_number(scan, 4) - 1900;
    take_text(scan, " ");
    take_time(scan, tm);
    take_text(scan, " GMT");
}

static void take_rfc850(struct scan *scan, time_t now, struct tm *tm)
{
    struct tm today;
    gmtime_r(&now, &today);
    take_text(scan, ", ");
    tm->tm_mday = take_number(scan, 2);
    take_text(scan, "-");
    tm->tm_mon = take_month(scan);
    take_text(scan, "-");
    tm->tm_year = take_number(scan, 2) + today.tm_year / 100 * 100;
    if (tm->tm_year > today.tm_year + 50)
        tm->tm_year -= 100;
    take_text(scan, " ");
    take_time(scan, tm);
    take_text(scan, " GMT");
}

static void take_asctime(struct scan *scan, struct tm *tm)
{
    take_text(scan, " ");
    tm->tm_mon = take_month(scan);
    take_text(scan, " ");
    if (scan->at < scan->end && *scan->at == ' ') {
        scan->at++;
        tm->tm_mday = take_number(scan, 1);
    } else {
        tm->tm_mday = take_number(scan, 2);
    }
    take_text(scan, " ");
    take_time(scan, tm);
    take_text(scan, " ");
    tm->tm_year = take_number(scan, 4) - 1900;
}

bool http_date_parse(struct slice s, time_t now, time_t *ret)
{
    size_t day = day_name_size(s);
    if (day == 0)
        return false;
    struct scan scan = {s.data + day, s.data + s.size, true};
    struct tm tm = {0};
    if (day > 3)
        take_rfc850(&scan, now, &tm);
    else if (scan.at < scan.end && *scan.at == ',')
        take_imf_fixdate(&scan, &tm);
    else
        take_asctime(&scan, &tm);

    static const int month_days[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!scan.ok || scan.at != scan.end || tm.tm_mday < 1 || tm.tm_mday > month_days[tm.tm_mon] ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    *ret = timegm(&tm);
    return true;
}
